//! report.html: one file, no network, light and dark, for a screen, a phone and paper. A function of [`Study`] alone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::assess::Assessment;
use crate::comparison::{Comparison, Level};
use crate::format;
use crate::gallery::Outcome;
use crate::metrics::Metric;
use crate::overlay;
use crate::provenance::{Facts, Provenance};
use crate::study::{Exhibit, Study, Verdict};
use crate::tables::{Place, Table};

const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(study: &Study) -> String {
    let title = format!("Chumoku: {}", study.assessment.study);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "Chumoku report · study " strong { (study.assessment.study) } }
                    h1 { (study.answer.sentence) }
                    ul.details { @for detail in &study.answer.details { li { (detail) } } }
                    p.warning { "For research only. Not a medical device; not for diagnosis." }
                }
                (contents(study))
                main {
                    (forest(study))
                    @for section in &SECTIONS[..4] { (section_of(study, section)) }
                    (curves(study))
                    (training(study))
                    (gallery(study))
                    @for section in &SECTIONS[4..] { (section_of(study, section)) }
                    (data(study))
                    (provenance(&study.provenance, &study.assessment))
                    (limits())
                }
            }
        }
    };
    page.into_string()
}

/// A section of tables: where they belong, its anchor, its name in the contents, its heading.
type Section = (Place, &'static str, &'static str, &'static str);

/// The sections of tables; the first four come before the curves, the others after the gallery.
const SECTIONS: [Section; 6] = [
    (Place::Paper, "tables", "Tables", "Tables 1 and 2"),
    (Place::Methods, "methods", "Methods", "All methods and their seeds"),
    (Place::Attention, "measures", "Attention", "What the attention maps were measured to do"),
    (Place::Reversed, "reversed", "Reversed", "The confounder reversed"),
    (Place::Decisions, "decisions", "Decisions", "Which class was taken for which"),
    (Place::Reference, "all", "All metrics", "All metrics and tests"),
];

fn tables_at(study: &Study, place: Place) -> impl Iterator<Item = &Table> {
    study.tables.iter().filter(move |table| table.place == place)
}

fn section_of(study: &Study, (place, anchor, _, title): &Section) -> Markup {
    html! {
        @if tables_at(study, *place).next().is_some() {
            section id=(anchor) {
                h2 { (title) }
                @if *place == Place::Methods { (forest_of_methods(study)) }
                @for table in tables_at(study, *place) { (table_of(table)) }
            }
        }
    }
}

fn contents(study: &Study) -> Markup {
    let link = |(place, anchor, name, _): &Section| {
        html! { @if tables_at(study, *place).next().is_some() { a href=(format!("#{anchor}")) { (name) } } }
    };
    html! {
        nav aria-label="Contents" {
            @if !study.assessment.comparisons.is_empty() { a href="#differences" { "Differences" } }
            @for section in &SECTIONS[..4] { (link(section)) }
            @if study.roc.is_some() { a href="#roc" { "ROC" } }
            a href="#training" { "Training" }
            @if !study.gallery.is_empty() { a href="#gallery" { "Gallery" } }
            @for section in &SECTIONS[4..] { (link(section)) }
            a href="#data" { "Data" }
            a href="#provenance" { "Provenance" }
            a href="#limits" { "Limits" }
        }
    }
}

/// The differences of Table 1 as bars on one scale: the first pair compared, slice level.
fn forest(study: &Study) -> Markup {
    let Some(pair) = study.assessment.first_pair() else { return html! {} };
    let entry = |metric: Metric| study.assessment.comparison(pair, Level::Slice, metric);
    let rows: Vec<(String, &Comparison)> =
        Metric::TABLE.into_iter().filter_map(|metric| Some((format::head(metric), entry(metric)?))).collect();
    html! {
        section id="differences" {
            h2 { "How far apart the methods are, by slice" }
            p {
                "Difference " b { (pair.1) } " minus " b { (pair.0) } " with its "
                (format::level(study.assessment.confidence)) " interval. An interval that covers the middle line means that "
                "the data do not tell the two apart in this metric."
            }
            (bars(&rows))
            p.scale { span { (pair.0) " higher" } span { "0" } span { (pair.1) " higher" } }
        }
    }
}

/// The differences in slice AUC of every method, where there are several.
fn forest_of_methods(study: &Study) -> Markup {
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
                div.track {
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

fn table_of(table: &Table) -> Markup {
    let columns = table.head.len();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table id=(table.id) {
                caption { (table.title) }
                thead { tr { @for cell in &table.head { th scope="col" { (cell) } } } }
                @for block in &table.blocks {
                    tbody class=[(block.title == crate::paper::BLOCK).then_some("paper")] {
                        @if !block.title.is_empty() {
                            tr.block { th colspan=(columns) scope="colgroup" { (block.title) } }
                        }
                        @for row in &block.rows {
                            tr { @for (place, cell) in row.iter().enumerate() {
                                @if place == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            } }
                        }
                    }
                }
            }
        }
        ul.notes { @for note in &table.notes { li { (note) } } }
    }
}

fn figure(svg: &str, label: &str, caption: &str) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(label) { (PreEscaped(svg)) }
            figcaption { (caption) }
        }
    }
}

fn curves(study: &Study) -> Markup {
    let Some(svg) = &study.roc else {
        return html! { section id="roc" { h2 { "ROC curves" } p { "Undefined: slices of one class only." } } };
    };
    let caption = "Slices of all folds pooled; one line for each seed of the methods in question. The dot is the decision at the largest \
                   probability, which Table 1 reports.";
    html! { section id="roc" { h2 { "ROC curves" } div.one { (figure(svg, "ROC curves of the methods", caption)) } } }
}

fn training(study: &Study) -> Markup {
    html! {
        section id="training" {
            h2 { "Training curves" }
            p {
                "Means over folds and seeds, on the training folds. Nothing here chose anything: the last epoch's weights are "
                "the ones tested. The total follows the weights, so it jumps where alpha does."
            }
            div.two {
                @for (method, svg) in &study.training { (figure(svg, &format!("Training curves of {method}"), method)) }
            }
        }
    }
}

fn gallery(study: &Study) -> Markup {
    if study.gallery.is_empty() {
        return html! {};
    }
    let judge = study.shown.last().map_or("", String::as_str);
    let of = |outcome: Outcome| study.gallery.iter().filter(move |exhibit| exhibit.choice.outcome == outcome);
    html! {
        section id="gallery" {
            h2 { "Where the networks looked" }
            p {
                "Chosen by rule: for each outcome of " b { (judge) } " (first seed) the slices it was most sure of, one for a "
                "patient. The line is the outline of the lung mask, the teacher of the attention. Colours show attention on "
                "one fixed scale:"
            }
            p.key { span { "0" } span.gradient style=(format!("background:{}", overlay::gradient())) {} span { "1" } }
            @for outcome in Outcome::ALL {
                @if of(outcome).next().is_some() {
                    h3 { (outcome.title()) "s of " (judge) }
                    div.exhibits { @for exhibit in of(outcome) { (exhibit_of(exhibit, study)) } }
                } @else {
                    h3 { (outcome.title()) "s of " (judge) }
                    p { "None." }
                }
            }
        }
    }
}

fn exhibit_of(exhibit: &Exhibit, study: &Study) -> Markup {
    let class = &study.assessment.classes[study.assessment.positive];
    let caption = |verdict: &Verdict| {
        let lung = verdict.in_lung.map_or(String::new(), |share| {
            format!("; {} % of the attention in the lung", format::fixed(share * 100.0, 0))
        });
        format!("p({class}) = {}{lung}", format::fixed(verdict.probability, 2))
    };
    html! {
        article {
            div.pictures {
                figure {
                    img src=(exhibit.picture) loading="lazy" alt=(format!("CT slice {} with lung outline", exhibit.slice_id));
                    figcaption { b { (exhibit.class) } br; "slice and lung mask" }
                }
                @for (name, verdict) in study.shown.iter().zip(&exhibit.methods) {
                    figure {
                        @match &verdict.picture {
                            Some(picture) => {
                                img src=(picture) loading="lazy" alt=(format!("attention of {name}, {}", exhibit.slice_id));
                            }
                            None => div.none { "no attention map" },
                        }
                        figcaption { b { (name) } br; (caption(verdict)) }
                    }
                }
            }
            p.id { (exhibit.slice_id) }
        }
    }
}

fn data(study: &Study) -> Markup {
    let assessment = &study.assessment;
    let total = |counts: &crate::ordered::Ordered<u64>| counts.0.iter().map(|(_, count)| count).sum::<u64>();
    let excluded: usize = study.excluded.values().sum();
    html! {
        section id="data" {
            h2 { "Patients, slices, exclusions" }
            div.scroll { table {
                thead { tr { th scope="col" { "class" } th scope="col" { "patients" } th scope="col" { "slices" } } }
                tbody {
                    @for (name, patients) in &assessment.patients.0 {
                        @let slices = assessment.slices.get(name).copied().unwrap_or(0);
                        tr { th scope="row" { (name) } td { (patients) } td { (slices) } }
                    }
                    tr { th scope="row" { "all" } td { (total(&assessment.patients)) } td { (total(&assessment.slices)) } }
                }
            } }
            p { "Each slice was tested once for each method and seed, by a network that saw no slice of its patient." }
            @if study.excluded.is_empty() {
                p { "Preprocessing left nothing out." }
            } @else {
                p { "Preprocessing left out " (excluded) " slices or series:" }
                ul { @for (reason, count) in &study.excluded { li { (count) ": " (reason) } } }
            }
            p { "The lung masks of all series are on the contact sheets in the folder sheets beside this page." }
        }
    }
}

fn facts(facts: &Facts) -> Markup {
    html! { dl { @for (name, value) in facts { dt { (name) } dd { (value) } } } }
}

fn provenance(provenance: &Provenance, assessment: &Assessment) -> Markup {
    html! {
        section id="provenance" {
            h2 { "Data, settings, versions, devices" }
            (facts(&provenance.settings))
            @if !provenance.differences.is_empty() {
                h3 { "What the methods differ in" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "key of train" }
                        @for (name, _) in &assessment.methods.0 { th scope="col" { (name) } }
                    } }
                    tbody { @for (key, values) in &provenance.differences {
                        tr { th scope="row" { code { (key) } } @for value in values { td { (value) } } }
                    } }
                } }
            }
            h3 { "Conditions" }
            (facts(&provenance.conditions))
        }
    }
}

fn limits() -> Markup {
    html! {
        section id="limits" {
            h2 { "Limits of the claim" }
            ul {
                li { "Research use only. A result on these patients says nothing about other scanners, hospitals or diseases." }
                li {
                    "The first term of the paper's equation (4) is unreadable in the copy this project was made from. The loss "
                    "named alpha follows our reading, alpha (L_att + L_map) + (1 - alpha) L_per; other readings can be selected "
                    "by name and may give other numbers."
                }
                li {
                    "What the paper does not state (input size, epochs, optimiser, gamma, windowing and more) was chosen here; "
                    "pipelines/defaults.yaml gives the reasons."
                }
                li { "The paper's numbers come from other patients. Compare the pattern between its two methods, not the level." }
                li { "Intervals cover the choice of patients. They take the folds, the training and the labels as given." }
                li { "An attention map shows what the network was taught to weight, not why it decided." }
            }
        }
    }
}
