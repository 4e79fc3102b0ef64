//! Where the networks looked: slices chosen by rule, by outcome.

use maud::{Markup, html};

use super::view;
use crate::exhibits::Exhibit;
use crate::gallery::{Outcome, RULE};
use crate::study::Study;

pub(super) fn gallery(study: &Study) -> Markup {
    if study.gallery.is_empty() {
        return html! {};
    }
    let judge = study.shown.last().map_or("", String::as_str);
    let of = |outcome: Outcome| {
        study.gallery.iter().enumerate().filter(move |(_, exhibit)| exhibit.choice.outcome == outcome)
    };
    html! {
        section id="gallery" {
            h2 { "Where the networks looked" }
            p {
                "Chosen by rule: for each outcome of " b { (judge) } " (first seed) " (RULE) ", until there are "
                (study.gallery.len()) ". Attention is on one fixed scale. The same pictures are PNG files in figures/gallery beside this page."
            }
            (view::key(study))
            (view::controls(study, &filter()))
            @for outcome in Outcome::ALL {
                div.outcome data-outcome=(outcome.title()) {
                    h3 { (outcome.title()) "s of " (judge) }
                    @if of(outcome).next().is_none() { p { "None." } }
                    div.exhibits { @for (place, exhibit) in of(outcome) { (exhibit_of(place, exhibit, study)) } }
                }
            }
        }
    }
}

/// Which outcomes to show.
fn filter() -> Markup {
    html! {
        label { "show " select data-filter="" autocomplete="off" {
            option value="" { "all outcomes" }
            @for outcome in Outcome::ALL { option value=(outcome.title()) { (outcome.title()) "s" } }
        } }
    }
}

fn exhibit_of(place: usize, exhibit: &Exhibit, study: &Study) -> Markup {
    let first = html! { b { (view::breakable(&exhibit.class)) } br; (exhibit.choice.rank.title()) };
    html! {
        article.exhibit {
            (view::pictures(&exhibit.view, study, &format!("exhibit-{place}"), &first))
            p.id { (exhibit.view.slice_id) }
        }
    }
}
