//! The slice browser: one patient at a time, every slice. Without the script each patient's middle slice stands there.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::view;
use crate::browser::{Browsed, Frame, RULE};
use crate::charts;
use crate::format;
use crate::study::Study;

/// What the script puts in place of the slice that is shown.
#[derive(Serialize)]
struct Slide<'a> {
    id: &'a str,
    place: String,
    picture: &'a str,
    lung: &'a str,
    lesion: &'a str,
    maps: Vec<Option<&'a str>>,
    words: Vec<String>,
}

pub(super) fn browser(study: &Study) -> Markup {
    if study.browser.is_empty() {
        return html! {};
    }
    let judge = study.shown.last().map_or("", String::as_str);
    html! {
        section id="browser" {
            h2 { "Slice by slice" }
            p {
                "Chosen by rule: by " b { (judge) } " (first seed), " (RULE) ", until there are " (study.browser.len())
                ". Pictures are made smaller where there are many."
            }
            (view::key(study))
            p.noscript { "The script of this page does not run here: each patient's middle slice is shown." }
            (view::controls(study, &chooser(study)))
            @for (place, patient) in study.browser.iter().enumerate() { (browsed(place, patient, study)) }
        }
    }
}

fn title(patient: &Browsed) -> String {
    let (id, class, reason) = (&patient.id, &patient.class, patient.reason.title());
    format!(
        "{id}, {class}: {reason}, taken for {} (mean p = {})",
        patient.decided,
        format::fixed(patient.probability, 2)
    )
}

fn chooser(study: &Study) -> Markup {
    html! {
        label { "patient " select data-patients="" autocomplete="off" {
            @for (place, patient) in study.browser.iter().enumerate() { option value=(anchor(place)) { (title(patient)) } }
        } }
    }
}

fn anchor(place: usize) -> String {
    format!("patient-{}", place + 1)
}

/// One patient: the slice in the middle, the line of probabilities, the slider, and all slices as data.
fn browsed(place: usize, patient: &Browsed, study: &Study) -> Markup {
    let middle = patient.frames.len() / 2;
    let Some(frame) = patient.frames.get(middle) else { return html! {} };
    let first = html! { b { (view::breakable(&patient.class)) } br; span.place { (position(patient, middle)) } };
    let slides: Vec<Slide> = (0..patient.frames.len()).map(|slice| slide(patient, slice, study)).collect();
    // A list of text cannot fail to become JSON; "<" must not end the element.
    let data = serde_json::to_string(&slides).unwrap_or_default().replace('<', "\\u003c");
    html! {
        article.patient id=(anchor(place)) {
            h3.as-is { (title(patient)) }
            (view::pictures(&frame.view, study, &format!("slice-{place}"), &first))
            p.id { (frame.view.slice_id) }
            @if patient.frames.len() > 1 {
                label.slice.script {
                    "slice "
                    input type="range" data-slice="" min="1" max=(patient.frames.len()) step="1" value=(middle + 1) autocomplete="off"
                        aria-valuetext=(position(patient, middle));
                }
                (line(patient, middle, study))
                script type="application/json" { (PreEscaped(data)) }
            }
        }
    }
}

/// Where a slice lies in words.
fn position(patient: &Browsed, slice: usize) -> String {
    let place = &patient.frames[slice].place;
    let z = place.z_mm.map_or(String::new(), |z| format!(", z = {} mm", format::fixed(z, 1)));
    format!("slice {} of {}{z}", slice + 1, patient.frames.len())
}

fn slide<'a>(patient: &'a Browsed, slice: usize, study: &Study) -> Slide<'a> {
    let view = &patient.frames[slice].view;
    Slide {
        id: &view.slice_id,
        place: position(patient, slice),
        picture: &view.picture,
        lung: &view.lung,
        lesion: view.lesion.as_deref().unwrap_or_default(),
        maps: view.verdicts.iter().map(|verdict| verdict.map.as_deref()).collect(),
        words: view.verdicts.iter().map(|verdict| view::words(verdict, study)).collect(),
    }
}

/// Width and height of the line of probabilities, and the room around it.
const LINE: (f64, f64) = (600.0, 72.0);
const ROOM: f64 = 8.0;

/// The probability of the positive class, slice by slice: a mark a slice, a line a method.
fn line(patient: &Browsed, shown: usize, study: &Study) -> Markup {
    let class = &study.assessment.classes[study.assessment.positive];
    let step = LINE.0 / patient.frames.len() as f64;
    let x = |slice: usize| format::fixed((slice as f64 + 0.5) * step, 1);
    let y = |p: f64| format::fixed(ROOM + (1.0 - p) * (LINE.1 - 2.0 * ROOM), 1);
    let marks = |method: usize| {
        let mark = move |(slice, frame): (usize, &Frame)| (x(slice), y(frame.view.verdicts[method].probability));
        patient.frames.iter().enumerate().map(mark).collect::<Vec<_>>()
    };
    let colour = |method: usize| {
        let plotters::style::RGBColor(r, g, b) = charts::colour(method);
        format!("rgb({r} {g} {b})")
    };
    html! {
        figure.line {
            svg viewBox=(format!("0 0 {} {}", LINE.0, LINE.1)) preserveAspectRatio="none" role="img"
                aria-label=(format!("p({class}) of each slice by {}", study.shown.join(" and "))) data-line="" {
                @for p in [0.0, 0.5, 1.0] {
                    line.level.half[p == 0.5] x1="0" x2=(LINE.0) y1=(y(p)) y2=(y(p)) {}
                }
                rect.cursor x=(format::fixed(shown as f64 * step, 2)) y="0" width=(format::fixed(step, 2)) height=(LINE.1) {}
                @for method in 0..study.shown.len() {
                    g style=(format!("color:{}", colour(method))) {
                        polyline points=(marks(method).iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")) {}
                        // A line of no length with round ends is a dot that stays round when the drawing is stretched.
                        @for (x, y) in marks(method) { path.mark d=(format!("M{x} {y}h0")) {} }
                    }
                }
            }
            figcaption {
                span { "p(" (class) ") of each slice, from 0 (below) to 1; dashed: 0.5; the band is the slice shown" }
                @for (method, name) in study.shown.iter().enumerate() {
                    span { span.swatch style=(format!("background:{}", colour(method))) {} (name) }
                }
            }
        }
    }
}
