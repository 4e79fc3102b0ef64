//! Checklists and model cards.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Options, Parser};

use crate::study::Study;

/// Markdown as HTML, tables included; HTML inside it is shown as text.
fn rendered(markdown: &str) -> String {
    let escaped = |event| match event {
        pulldown_cmark::Event::Html(text) | pulldown_cmark::Event::InlineHtml(text) => {
            pulldown_cmark::Event::Text(text)
        }
        other => other,
    };
    let mut text = String::new();
    pulldown_cmark::html::push_html(&mut text, Parser::new_ext(markdown, Options::ENABLE_TABLES).map(escaped));
    text
}

/// Each document folded away under its title.
pub(super) fn documents(study: &Study) -> Markup {
    html! {
        @if !study.documents.is_empty() {
            section id="documents" {
                h2 { "Checklists and model cards" }
                @for document in &study.documents {
                    details.document {
                        summary { (document.title) }
                        p.id { (document.file) }
                        (PreEscaped(rendered(&document.markdown)))
                    }
                }
            }
        }
    }
}
