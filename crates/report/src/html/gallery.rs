//! Where the networks looked.

use maud::{Markup, html};

use crate::exhibits::{Exhibit, Verdict};
use crate::gallery::Outcome;
use crate::study::Study;
use crate::{format, overlay};

pub(super) fn gallery(study: &Study) -> Markup {
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
