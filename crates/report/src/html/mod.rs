//! report.html: one file, no network, light and dark, for a screen, a phone and paper. A function of [`Study`] alone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

mod data;
mod differences;
mod documents;
mod figures;
mod gallery;
mod tables;

use crate::study::Study;

use data::{data, limits, provenance};
use differences::forest;
use documents::documents;
use gallery::gallery;
use tables::{SECTIONS, Section, section_of, tables_at};

const STYLE: &str = include_str!("../style.css");

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
                style { (PreEscaped(STYLE)) (PreEscaped(figures::STYLE)) }
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
                    (figures::sections(study))
                    (gallery(study))
                    @for section in &SECTIONS[4..] { (section_of(study, section)) }
                    (data(study))
                    (provenance(&study.provenance, &study.assessment))
                    (documents(study))
                    (limits())
                }
            }
        }
    };
    page.into_string()
}

fn contents(study: &Study) -> Markup {
    let link = |(place, anchor, name, _): &Section| {
        html! { @if tables_at(study, *place).next().is_some() { a href=(format!("#{anchor}")) { (name) } } }
    };
    html! {
        nav aria-label="Contents" {
            @if !study.assessment.comparisons.is_empty() { a href="#differences" { "Differences" } }
            @for section in &SECTIONS[..4] { (link(section)) }
            (figures::links(study))
            @if !study.gallery.is_empty() { a href="#gallery" { "Gallery" } }
            @for section in &SECTIONS[4..] { (link(section)) }
            a href="#data" { "Data" }
            a href="#provenance" { "Provenance" }
            @if !study.documents.is_empty() { a href="#documents" { "Checklists" } }
            a href="#limits" { "Limits" }
        }
    }
}
