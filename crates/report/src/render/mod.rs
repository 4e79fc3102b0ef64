//! Tables as text for the terminal, Markdown and LaTeX.

mod latex;
mod markdown;
mod text;

pub use latex::{escape as escape_latex, latex};
pub use markdown::{aligned, markdown};
pub use text::{WIDTH, paragraphs, text, wrap};

/// A cell such as "66.4 (59.9 to 72.4)" as value and interval, brackets and all; other cells have no second part.
fn parts(cell: &str) -> (&str, Option<&str>) {
    let is_interval = |rest: &str| rest.ends_with(')') && rest.contains(" to ");
    match cell.split_once(" (") {
        Some((value, rest)) if is_interval(rest) => (value, Some(&cell[value.len() + 1..])),
        _ => (cell, None),
    }
}

#[cfg(test)]
mod tests {
    use super::parts;
    use crate::tables::{Block, Place, Table};

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    /// A small table with everything that needs care.
    pub fn table() -> Table {
        Table {
            id: "t",
            place: Place::Paper,
            title: "Table 1. T".into(),
            head: cells(&["method", "x"]),
            blocks: vec![Block { title: "this_study".into(), rows: vec![cells(&["a|b", "1 %"])] }],
            notes: vec!["50 % < p".into()],
        }
    }

    /// A table with the columns of Table 1 and the widest cells that occur.
    pub fn wide() -> Table {
        let row = |name: &str| {
            cells(&[name, "-12.2 (-17.8 to -13.8)", "+16.8 (-10.4 to +14.5)", "66.4", "-0.006 (-0.088 to +0.083)"])
        };
        let rows = vec![row("conventional"), row("proposed - conventional")];
        let head = cells(&["method", "accuracy, %", "sensitivity, %", "specificity, %", "AUC"]);
        Table { head, blocks: vec![Block { title: "this study, all folds".into(), rows }], ..table() }
    }

    #[test]
    fn intervals_are_told_from_other_brackets() {
        assert_eq!(parts("66.4 (59.9 to 72.4)"), ("66.4", Some("(59.9 to 72.4)")));
        assert_eq!(parts("55/72 (65.4 to 84.7 %)"), ("55/72", Some("(65.4 to 84.7 %)")));
        assert_eq!(parts("a (b)"), ("a (b)", None));
        assert_eq!(parts("n/a"), ("n/a", None));
    }
}
