//! Checklists and model cards.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::study::Study;

/// A heading below the page's own: a document stands in a section, under a summary.
fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// Markdown as HTML, tables included, headings below those of the page; HTML inside it is shown as text.
fn rendered(markdown: &str) -> String {
    let changed = |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Event::Start(Tag::Heading { level: lower(level), id, classes, attrs })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        other => other,
    };
    let mut text = String::new();
    pulldown_cmark::html::push_html(&mut text, Parser::new_ext(markdown, Options::ENABLE_TABLES).map(changed));
    // A wide table scrolls by itself. Text of the document has no tags left, so these are the writer's own.
    text.replace("<table>", "<div class=\"scroll\"><table>").replace("</table>", "</table></div>")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_follow_the_page_and_html_is_text() {
        let text = rendered("# A\n\n<b>b</b>\n\n#### C\n\n|x|\n|-|\n|1|\n");
        for part in ["<h3>A</h3>", "&lt;b&gt;", "<h6>C</h6>", "<div class=\"scroll\"><table>", "</table></div>"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
