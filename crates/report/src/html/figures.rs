//! Sections of charts.

use maud::{Markup, PreEscaped, html};

use crate::figures::{Drawn, Section};
use crate::study::Study;

/// Rules for what this module and [`super::data`] show.
pub(super) const STYLE: &str = include_str!("../figures.css");

fn drawn(one: &Drawn) -> Markup {
    html! {
        @match &one.figure {
            Ok(figure) => {
                figure.chart {
                    figcaption.title { (one.title) }
                    div.drawing role="img" aria-label=(figure.label) { (PreEscaped(&figure.svg)) }
                    figcaption { (figure.caption) " File: figures/" (figure.file) ".svg." }
                }
            }
            Err(reason) => div.chart { p.title { (one.title) } p.undefined { (reason) } },
        }
    }
}

/// Links of the contents.
pub(super) fn links(study: &Study) -> Markup {
    html! { @for section in &study.figures.sections { a href=(format!("#{}", section.anchor)) { (section.name) } } }
}

/// All sections.
pub(super) fn sections(study: &Study) -> Markup {
    html! { @for section in &study.figures.sections { (section_of(section)) } }
}

fn section_of(section: &Section) -> Markup {
    html! {
        section id=(section.anchor) {
            h2 { (section.title) }
            @if !section.words.is_empty() { p { (section.words) } }
            div.charts.leading[section.leads] { @for one in &section.drawn { (drawn(one)) } }
        }
    }
}
