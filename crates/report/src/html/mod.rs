//! report.html: one file, no network, light and dark, for a screen, a phone and paper. A function of [`Study`] alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

mod browser;
mod data;
mod differences;
mod documents;
mod figures;
mod gallery;
mod tables;
mod view;

use crate::study::Study;

use browser::browser;
use data::{data, limits, provenance};
use differences::forest;
use documents::documents;
use gallery::gallery;
use tables::{SECTIONS, Section, section_of, tables_at};

const STYLE: &str = include_str!("../style.css");
const SCRIPT: &str = include_str!("../script.js");

/// What the page may do: its own script and styles, pictures inside it, and nothing over a network.
fn policy() -> String {
    let script = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
}

/// The page.
pub fn page(study: &Study) -> String {
    let title = format!("Chumoku: {}", study.assessment.study);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(figures::STYLE)) (PreEscaped(view::colours())) }
                script { (PreEscaped(SCRIPT)) }
            }
            body {
                a.skip href="#main" { "Skip to the results" }
                (view::definitions())
                header {
                    div.top {
                        p.kicker { "Chumoku report · study " strong { (study.assessment.study) } }
                        button.script type="button" id="theme" { "dark" }
                    }
                    h1 { (study.answer.sentence) }
                    ul.details { @for detail in &study.answer.details { li { (detail) } } }
                    p.warning { "For research only. Not a medical device; not for diagnosis." }
                }
                (contents(study))
                main id="main" tabindex="-1" {
                    (forest(study))
                    @for section in &SECTIONS[..4] { (section_of(study, section)) }
                    (figures::sections(study))
                    (gallery(study))
                    (browser(study))
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
            @if !study.browser.is_empty() { a href="#browser" { "Slices" } }
            @for section in &SECTIONS[4..] { (link(section)) }
            a href="#data" { "Data" }
            a href="#provenance" { "Provenance" }
            @if !study.documents.is_empty() { a href="#documents" { "Checklists" } }
            a href="#limits" { "Limits" }
        }
    }
}
