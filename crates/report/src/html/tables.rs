//! Sections of tables.

use maud::{Markup, html};

use super::differences::forest_of_methods;
use crate::study::Study;
use crate::tables::{Place, Table};

/// A section of tables: where they belong, its anchor, its name in the contents, its heading.
pub(super) type Section = (Place, &'static str, &'static str, &'static str);

/// The sections of tables; the first four come before the curves, the others after the gallery.
pub(super) const SECTIONS: [Section; 6] = [
    (Place::Paper, "tables", "Tables", "Tables 1 and 2"),
    (Place::Methods, "methods", "Methods", "All methods and their seeds"),
    (Place::Attention, "measures", "Attention", "What the attention maps were measured to do"),
    (Place::Reversed, "reversed", "Reversed", "The confounder reversed"),
    (Place::Decisions, "decisions", "Decisions", "Which class was taken for which"),
    (Place::Reference, "all", "All metrics", "All metrics and tests"),
];

pub(super) fn tables_at(study: &Study, place: Place) -> impl Iterator<Item = &Table> {
    study.tables.iter().filter(move |table| table.place == place)
}

pub(super) fn section_of(study: &Study, (place, anchor, _, title): &Section) -> Markup {
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

fn table_of(table: &Table) -> Markup {
    let columns = table.head.len();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table.sortable id=(table.id) {
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
