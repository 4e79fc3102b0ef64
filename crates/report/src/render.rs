//! Tables as text for the terminal, Markdown and LaTeX.

use crate::tables::{Block, Table};

/// A table with aligned columns, as it stands on the terminal.
pub fn text(table: &Table) -> String {
    let rows = || table.blocks.iter().flat_map(|block| &block.rows).chain([&table.head]);
    let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)) + "\n";
    let mut out = format!("{}\n{rule}{}{rule}", table.title, line(&table.head));
    for block in &table.blocks {
        if !block.title.is_empty() {
            out.push_str(&format!("[{}]\n", block.title));
        }
        block.rows.iter().for_each(|row| out.push_str(&line(row)));
    }
    out.push_str(&rule);
    table.notes.iter().for_each(|note| out.push_str(&format!("  {note}\n")));
    out
}

/// A table in Markdown.
pub fn markdown(table: &Table) -> String {
    let cell = |text: &String| text.replace('|', "\\|");
    let line = |row: &[String]| format!("| {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
    let mut out = format!("## {}\n\n{}|{}\n", table.title, line(&table.head), " --- |".repeat(table.head.len()));
    for block in &table.blocks {
        if !block.title.is_empty() {
            out.push_str(&format!("| *{}* |{}\n", cell(&block.title), " |".repeat(table.head.len() - 1)));
        }
        block.rows.iter().for_each(|row| out.push_str(&line(row)));
    }
    out.push('\n');
    table.notes.iter().for_each(|note| out.push_str(&format!("- {note}\n")));
    out.push('\n');
    out
}

/// Text with LaTeX's special characters escaped.
pub fn escape_latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("$<$"),
            '>' => out.push_str("$>$"),
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    out
}

/// Makes the file both a document of its own and one to `\input`: after `\begin{document}`, LaTeX redefines
/// `\documentclass`.
const LATEX_HEAD: &str = "\\makeatletter\n\\def\\chumokuend{}\n\\ifx\\documentclass\\@twoclasseserror\\else\n\
                          \\documentclass{article}\n\\begin{document}\n\\def\\chumokuend{\\end{document}}\n\\fi\n\\makeatother\n";

/// All tables in LaTeX without packages.
pub fn latex(tables: &[Table]) -> String {
    let body: String = tables.iter().map(latex_table).collect();
    format!("% Compiles by itself, and can be \\input into a document.\n{LATEX_HEAD}\n{body}\\chumokuend\n")
}

/// Lines that a page of LaTeX has room for beside head and notes.
const LATEX_LINES: usize = 50;

/// A table as one or more floats: LaTeX does not break them, so blocks that do not fit together stand on pages of their own.
fn latex_table(table: &Table) -> String {
    let mut pages: Vec<(usize, Vec<&Block>)> = Vec::new();
    for block in &table.blocks {
        let lines = block.rows.len() + usize::from(!block.title.is_empty());
        match pages.last_mut() {
            Some((used, blocks)) if *used + lines <= LATEX_LINES => {
                *used += lines;
                blocks.push(block);
            }
            _ => pages.push((lines, vec![block])),
        }
    }
    let last = pages.len().saturating_sub(1);
    let page = |(page, (_, blocks)): (usize, &(usize, Vec<&Block>))| latex_page(table, blocks, page, page == last);
    pages.iter().enumerate().map(page).collect()
}

fn latex_page(table: &Table, blocks: &[&Block], page: usize, is_last: bool) -> String {
    let line = |row: &[String]| row.iter().map(|cell| escape_latex(cell)).collect::<Vec<_>>().join(" & ") + " \\\\\n";
    let columns = table.head.len();
    let title = table.title.split_once(". ").map_or(table.title.as_str(), |(_, title)| title);
    let (more, label) =
        if page == 0 { ("", table.id.to_owned()) } else { (" (continued)", format!("{}-{}", table.id, page + 1)) };
    let mut out = format!(
        "\\begin{{table}}[htbp]\n\\centering\n\\scriptsize\n\\setlength{{\\tabcolsep}}{{3pt}}\n\\caption{{{}{more}}}\n\\label{{tab:{label}}}\n",
        escape_latex(title),
    );
    // A box of the line's width centres a table that is a little wider than the text.
    out.push_str(&format!("\\makebox[\\linewidth][c]{{\\begin{{tabular}}{{{}}}\n\\hline\n", "l".repeat(columns)));
    out.push_str(&format!("{}\\hline\n", line(&table.head)));
    for block in blocks {
        if !block.title.is_empty() {
            out.push_str(&format!(
                "\\multicolumn{{{columns}}}{{l}}{{\\textit{{{}}}}} \\\\\n",
                escape_latex(&block.title)
            ));
        }
        block.rows.iter().for_each(|row| out.push_str(&line(row)));
        out.push_str("\\hline\n");
    }
    let notes: Vec<String> = table.notes.iter().filter(|_| is_last).map(|note| escape_latex(note)).collect();
    out.push_str(&format!(
        "\\end{{tabular}}}}\n\\par\\medskip\\parbox{{\\linewidth}}{{{}}}\n\\end{{table}}\n\n",
        notes.join(" ")
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Place;

    fn table() -> Table {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let blocks = vec![Block { title: "this_study".into(), rows: vec![row(["a|b", "1 %"])] }];
        Table {
            id: "t",
            place: Place::Paper,
            title: "Table 1. T".into(),
            head: row(["method", "x"]),
            blocks,
            notes: vec!["50 % < p".into()],
        }
    }

    #[test]
    fn columns_line_up() {
        let text = text(&table());
        assert!(text.contains("\nmethod  x\n"), "{text}");
        assert!(text.contains("\na|b     1 %\n"), "{text}");
    }

    #[test]
    fn special_characters_are_escaped() {
        assert!(markdown(&table()).contains("| a\\|b | 1 % |"));
        let latex = latex(&[table()]);
        assert!(latex.contains("this\\_study") && latex.contains("1 \\%") && latex.contains("50 \\% $<$ p"));
        assert_eq!(escape_latex("a\\b{}"), "a\\textbackslash{}b\\{\\}");
    }

    #[test]
    fn a_table_longer_than_a_page_is_continued() {
        let block =
            |title: &str, rows: usize| Block { title: title.into(), rows: vec![vec!["m".into(), "1".into()]; rows] };
        let blocks = vec![block("one", 30), block("two", 18), block("three", 12)];
        let latex = latex(&[Table { blocks, ..table() }]);
        assert_eq!(latex.matches("\\begin{table}").count(), 2);
        assert!(
            latex.contains("\\caption{T}\n\\label{tab:t}")
                && latex.contains("\\caption{T (continued)}\n\\label{tab:t-2}")
        );
        let (first, second) = latex.split_once("(continued)").unwrap();
        assert!(first.contains("{two}") && second.contains("{three}") && !first.contains("50 \\% $<$ p"), "{latex}");
    }
}
