//! Differences between methods with their intervals, as bars.

use maud::{Markup, html};

use crate::comparison::{Comparison, Level};
use crate::format;
use crate::metrics::Metric;
use crate::study::Study;

/// The differences of Table 1 as bars on one scale: the first pair compared, slice level.
pub(super) fn forest(study: &Study) -> Markup {
    let Some(pair) = study.assessment.first_pair() else { return html! {} };
    let entry = |metric: Metric| study.assessment.comparison(pair, Level::Slice, metric);
    let rows: Vec<(String, &Comparison)> =
        Metric::TABLE.into_iter().filter_map(|metric| Some((format::head(metric), entry(metric)?))).collect();
    html! {
        section id="differences" {
            h2 { "How far apart the methods are, by slice" }
            p {
                "Difference " b { (pair.1) } " minus " b { (pair.0) } " with its "
                (format::level(study.assessment.confidence)) " interval. An interval that covers the middle line shows no "
                "significant difference in this metric; Table 4 has the tests."
            }
            (bars(&rows))
            p.scale { span { (pair.0) " higher" } span { "0" } span { (pair.1) " higher" } }
        }
    }
}

/// The differences in slice AUC of every method, where there are several.
pub(super) fn forest_of_methods(study: &Study) -> Markup {
    let family = study.assessment.family(Level::Slice, Metric::Auc);
    let [first, _, ..] = family[..] else { return html! {} };
    let rows: Vec<(String, &Comparison)> = family.iter().map(|entry| (entry.b.clone(), *entry)).collect();
    html! {
        p { "Slice AUC of each method minus that of " b { (first.a) } ", over the seeds both have." }
        (bars(&rows))
        p.scale { span { (first.a) " higher" } span { "0" } span { "the method higher" } }
    }
}

/// Differences as bars on one scale.
fn bars(rows: &[(String, &Comparison)]) -> Markup {
    let ends = rows
        .iter()
        .filter_map(|(_, entry)| entry.interval.as_ref().ok())
        .flat_map(|(low, high)| [low.abs(), high.abs()]);
    // The scale is symmetric about 0 and a little wider than the widest interval.
    let scale = ends.fold(0.01_f64, f64::max) * 1.1;
    let percent = |value: f64| format!("{:.2}%", 50.0 + 50.0 * value / scale);
    html! {
        div.forest {
            @for (name, entry) in rows {
                div.name { (name) }
                div.track aria-hidden="true" {
                    span.zero {}
                    @if let Ok((low, high)) = &entry.interval {
                        @let width = 50.0 * (high - low) / scale;
                        span.bar style=(format!("left:{};width:{width:.2}%", percent(*low))) {}
                    }
                    @if let Ok(value) = &entry.difference {
                        span.dot style=(format!("left:{}", percent(value.clamp(-scale, scale)))) {}
                    }
                }
                div.value { (format::difference(entry)) }
            }
        }
    }
}
