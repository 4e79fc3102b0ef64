//! A slice as layers in one drawing: the picture, attention, the outlines. Controls that show, hide and fade them.

use contract::attention::{ANCHORS, STRONGEST};
use maud::{Markup, html};

use crate::format;
use crate::overlay::{self, LESION, OUTLINE};
use crate::study::Study;
use crate::views::{Verdict, View};

/// Name of the filter that colours a grey map of attention.
const HEAT: &str = "heat";

/// What the layers need once a page: the filter that gives a grey value v the colour of attention v over the share of the slice that it
/// hides. The browser scales the map up before, so values are interpolated and not colours, as in [`contract::attention`].
pub(super) fn definitions() -> Markup {
    let channel = |channel: usize| {
        let values = ANCHORS.map(|anchor| format::fixed(f64::from(anchor[channel]) / 255.0, 4));
        values.join(" ")
    };
    html! {
        svg width="0" height="0" aria-hidden="true" class="definitions" {
            filter id=(HEAT) x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB" {
                feComponentTransfer in="SourceGraphic" result="colour" {
                    feFuncR type="table" tableValues=(channel(0)) {}
                    feFuncG type="table" tableValues=(channel(1)) {}
                    feFuncB type="table" tableValues=(channel(2)) {}
                }
                feColorMatrix in="SourceGraphic" result="share" values=(format!("0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {STRONGEST} 0 0 0 0")) {}
                feComposite in="colour" in2="share" operator="in" {}
            }
        }
    }
}

/// A name that may be broken after its underscores, below a narrow picture.
pub(super) fn breakable(name: &str) -> Markup {
    html! { @for (place, part) in name.split_inclusive('_').enumerate() { @if place > 0 { wbr; } (part) } }
}

/// Slice and attention of every method side by side. `id` is unique on the page, `first` stands below the slice.
pub(super) fn pictures(view: &View, study: &Study, id: &str, first: &Markup) -> Markup {
    html! {
        div.pictures {
            figure {
                (stack(view, id, None, &format!("CT slice {} with its outlines", view.slice_id)))
                figcaption { (first) }
            }
            @for (name, verdict) in study.shown.iter().zip(&view.verdicts) {
                figure {
                    @match &verdict.map {
                        Some(map) => (stack(view, id, Some(map), &format!("attention of {name} on slice {}", view.slice_id))),
                        None => div.none { "no attention map" },
                    }
                    figcaption { b { (breakable(name)) } br; span.verdict { (words(verdict, study)) } }
                }
            }
        }
    }
}

/// The layers of one picture. The slice itself is in the page once, in the drawing without attention.
fn stack(view: &View, id: &str, map: Option<&String>, label: &str) -> Markup {
    let (height, width) = view.size;
    html! {
        svg.stack viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) {
            @match map {
                None => image id=(id) href=(view.picture) width=(width) height=(height) preserveAspectRatio="none" {},
                Some(map) => {
                    use href=(format!("#{id}")) {}
                    image.map href=(map) width=(width) height=(height) preserveAspectRatio="none" filter=(format!("url(#{HEAT})")) {}
                }
            }
            path.lung d=(view.lung) transform="scale(.5)" {}
            path.lesion d=(view.lesion.as_deref().unwrap_or_default()) transform="scale(.5)" {}
        }
    }
}

/// What a method said of a slice.
pub(super) fn words(verdict: &Verdict, study: &Study) -> String {
    let class = &study.assessment.classes[study.assessment.positive];
    let lung = verdict
        .in_lung
        .map_or(String::new(), |share| format!("; {} % of the attention in the lung", format::fixed(share * 100.0, 0)));
    format!("p({class}) = {}{lung}", format::fixed(verdict.probability, 2))
}

/// Whether any slice on the page has known lesions.
fn has_lesions(study: &Study) -> bool {
    let browsed = study.browser.iter().flat_map(|patient| &patient.frames).map(|frame| &frame.view);
    study.gallery.iter().map(|exhibit| &exhibit.view).chain(browsed).any(|view| view.lesion.is_some())
}

/// What the colours and lines mean.
pub(super) fn key(study: &Study) -> Markup {
    let colour = |[r, g, b]: [u8; 3]| format!("border-color:rgb({r} {g} {b})");
    html! {
        p.key {
            span { "attention 0" span.gradient style=(format!("background:{}", overlay::gradient())) {} "1" }
            span { span.sample style=(colour(OUTLINE)) {} "lung mask, the teacher of the attention" }
            @if has_lesions(study) { span { span.sample style=(colour(LESION)) {} "lesions" } }
        }
    }
}

/// Controls of the layers, for the whole page; the script keeps those of several sections alike. `more` stands first.
pub(super) fn controls(study: &Study, more: &Markup) -> Markup {
    html! {
        div.controls.script role="group" aria-label="What the pictures show" {
            (more)
            label { input type="checkbox" data-view="lung" checked autocomplete="off"; " lung outline" }
            @if has_lesions(study) {
                label { input type="checkbox" data-view="lesion" checked autocomplete="off"; " lesions" }
            }
            label { "attention " input type="range" data-view="attention" min="0" max="100" step="5" value="100" autocomplete="off"; }
        }
    }
}

/// Colours of the layers, for the style sheet.
pub(super) fn colours() -> String {
    let stroke = |class: &str, [r, g, b]: [u8; 3]| format!(".stack .{class} {{ stroke: rgb({r} {g} {b}); }}\n");
    stroke("lung", OUTLINE) + &stroke("lesion", LESION)
}
