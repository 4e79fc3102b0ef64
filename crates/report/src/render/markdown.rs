//! Tables in Markdown.

use crate::tables::Table;

use super::text::columns_of;

/// Text that Markdown shows as it is. An underscore inside a word, and a sign beside a number, are no markup and stay.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let is_markup = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '<' => next.is_alphabetic() || matches!(next, '/' | '!' | '?'),
            '&' => next.is_alphabetic() || next == '#',
            _ => false,
        };
        if is_markup {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
        before = c;
    }
    out
}

/// A table in Markdown.
pub fn markdown(table: &Table) -> String {
    let line =
        |row: &[String]| format!("| {} |\n", row.iter().map(|cell| escape(cell)).collect::<Vec<_>>().join(" | "));
    let mut out =
        format!("## {}\n\n{}|{}\n", escape(&table.title), line(&table.head), " --- |".repeat(table.head.len()));
    for block in &table.blocks {
        if !block.title.is_empty() {
            out.push_str(&format!("| *{}* |{}\n", escape(&block.title), " |".repeat(table.head.len() - 1)));
        }
        block.rows.iter().for_each(|row| out.push_str(&line(row)));
    }
    out.push('\n');
    table.notes.iter().for_each(|note| out.push_str(&format!("- {}\n", escape(note))));
    out.push('\n');
    out
}

/// Rows under a head as a Markdown table whose columns line up on a terminal, too.
pub fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
    let width = |place: usize| rows.iter().chain([&head]).map(|row| columns_of(&row[place])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - columns_of(cell))));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
    line(&head) + &format!("|{rule}|\n") + &rows.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    #[test]
    fn markup_is_escaped_and_nothing_else() {
        assert!(markdown(&table()).contains("| a\\|b | 1 % |"));
        assert_eq!(escape("common_pneumonia -2.2 (< 0.001)"), "common_pneumonia -2.2 (< 0.001)");
        assert_eq!(escape("<b>_x_ *y* `z` a\nb R&D; &amp; 注"), "\\<b>\\_x\\_ \\*y\\* \\`z\\` a b R\\&D; \\&amp; 注");
    }

    #[test]
    fn columns_line_up_by_display_width() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = aligned(&["class", "A"], &[row(["肺炎", "1"]), row(["covid19", "22"])]);
        assert_eq!(text, "| class   | A  |\n|---------|----|\n| 肺炎    | 1  |\n| covid19 | 22 |\n");
    }
}
