//! Tables as text for the terminal, Markdown, LaTeX and CSV.

use crate::assess::{Assessment, Part};
use crate::estimate::Estimate;
use crate::format;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::paper;
use crate::tables::{PATIENT_COLUMNS, Table};

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

fn latex_table(table: &Table) -> String {
    let line = |row: &[String]| row.iter().map(|cell| escape_latex(cell)).collect::<Vec<_>>().join(" & ") + " \\\\\n";
    let columns = table.head.len();
    let title = table.title.split_once(". ").map_or(table.title.as_str(), |(_, title)| title);
    let mut out = format!(
        "\\begin{{table}}[htbp]\n\\centering\n\\scriptsize\n\\setlength{{\\tabcolsep}}{{3pt}}\n\\caption{{{}}}\n\\label{{tab:{}}}\n",
        escape_latex(title),
        table.id
    );
    // A box of the line's width centres a table that is a little wider than the text.
    out.push_str(&format!("\\makebox[\\linewidth][c]{{\\begin{{tabular}}{{{}}}\n\\hline\n", "l".repeat(columns)));
    out.push_str(&format!("{}\\hline\n", line(&table.head)));
    for block in &table.blocks {
        if !block.title.is_empty() {
            out.push_str(&format!(
                "\\multicolumn{{{columns}}}{{l}}{{\\textit{{{}}}}} \\\\\n",
                escape_latex(&block.title)
            ));
        }
        block.rows.iter().for_each(|row| out.push_str(&line(row)));
        out.push_str("\\hline\n");
    }
    let notes: Vec<String> = table.notes.iter().map(|note| escape_latex(note)).collect();
    out.push_str(&format!(
        "\\end{{tabular}}}}\n\\par\\medskip\\parbox{{\\linewidth}}{{{}}}\n\\end{{table}}\n\n",
        notes.join(" ")
    ));
    out
}

/// A row of a CSV table before it is written: source, method, fold, seed, slices, patients, values.
struct Line<'a> {
    method: &'a str,
    fold: String,
    seed: String,
    count: u64,
    values: &'a Ordered<Estimate>,
}

fn lines<'a>(assessment: &'a Assessment, slices: bool) -> Vec<Line<'a>> {
    const ALL: &str = "all";
    let level = |part: &'a Part| if slices { (part.slices, &part.slice) } else { (part.patients, &part.patient) };
    let counts = if slices { &assessment.slices } else { &assessment.patients };
    let total = counts.0.iter().map(|(_, count)| count).sum();
    let mut lines = Vec::new();
    for (method, result) in &assessment.methods.0 {
        let values = if slices { &result.slice } else { &result.patient };
        lines.push(Line { method, fold: ALL.to_owned(), seed: ALL.to_owned(), count: total, values });
        let per_seed = result.per_seed.iter().filter(|_| assessment.seeds.len() > 1);
        for part in per_seed.chain(&result.per_fold) {
            let (count, values) = level(part);
            let fold = part.fold.map_or(ALL.to_owned(), |fold| fold.to_string());
            lines.push(Line { method, fold, seed: part.seed.to_string(), count, values });
        }
    }
    lines
}

fn csv_text(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let quote = |cell: &String| {
        if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n";
    std::iter::once(&head).chain(&rows).map(line).collect()
}

/// Low and high end in the metric's unit; empty where there is no interval.
fn ends(metric: Metric, estimate: Option<&Estimate>) -> [String; 2] {
    let ends = estimate.and_then(Estimate::ends);
    ends.map_or([String::new(), String::new()], |(low, high)| [low, high].map(|end| format::number(metric, end)))
}

/// table1.csv: slices. Percent with one decimal, AUC with three; an undefined value is empty.
pub fn table1_csv(assessment: &Assessment) -> String {
    let mut head = ["source", "method", "fold", "seed", "slices"].map(str::to_owned).to_vec();
    for metric in Metric::TABLE {
        let unit = if metric.is_percent() { "_percent" } else { "" };
        head.extend([
            format!("{}{unit}", metric.key()),
            format!("{}_low", metric.key()),
            format!("{}_high", metric.key()),
        ]);
    }
    let row = |line: Line| {
        let mut row = vec!["study".to_owned(), line.method.to_owned(), line.fold, line.seed, line.count.to_string()];
        for metric in Metric::TABLE {
            let estimate = line.values.get(metric.key());
            row.push(estimate.and_then(Estimate::defined).map_or(String::new(), |value| format::number(metric, value)));
            row.extend(ends(metric, estimate));
        }
        row
    };
    let mut rows: Vec<Vec<String>> = lines(assessment, true).into_iter().map(row).collect();
    for known in paper::TABLE_1 {
        let mut row = ["paper", known.method, "all", "", "13713"].map(str::to_owned).to_vec();
        let percent = [known.accuracy, known.sensitivity, known.specificity].map(|value| format::fixed(value, 1));
        for value in percent.into_iter().chain([format::fixed(known.auc, 3)]) {
            row.extend([value, String::new(), String::new()]);
        }
        rows.push(row);
    }
    csv_text(head, rows)
}

/// table2.csv: patients, fractions with Wilson's interval in percent; an undefined value is empty.
pub fn table2_csv(assessment: &Assessment) -> String {
    let mut head = ["source", "method", "fold", "seed", "patients"].map(str::to_owned).to_vec();
    for (name, _) in PATIENT_COLUMNS {
        head.extend([name.to_owned(), format!("{name}_low_percent"), format!("{name}_high_percent")]);
    }
    let row = |line: Line| {
        let mut row = vec!["study".to_owned(), line.method.to_owned(), line.fold, line.seed, line.count.to_string()];
        for (_, metric) in PATIENT_COLUMNS {
            let estimate = line.values.get(metric.key());
            let fraction = estimate.filter(|estimate| estimate.value.is_ok()).and_then(|estimate| estimate.fraction);
            row.push(fraction.map_or(String::new(), |(correct, total)| format!("{correct}/{total}")));
            row.extend(ends(metric, estimate));
        }
        row
    };
    let mut rows: Vec<Vec<String>> = lines(assessment, false).into_iter().map(row).collect();
    for known in paper::TABLE_2 {
        let mut row = ["paper", known.method, "all", "", "346"].map(str::to_owned).to_vec();
        for (correct, total) in [known.diagnosis, known.sensitivity, known.specificity] {
            row.extend([format!("{correct}/{total}"), String::new(), String::new()]);
        }
        rows.push(row);
    }
    csv_text(head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Block;

    fn table() -> Table {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let blocks = vec![Block { title: "this_study".into(), rows: vec![row(["a|b", "1 %"])] }];
        Table {
            id: "t",
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
        assert_eq!(csv_text(vec!["a,b".into()], vec![vec!["\"".into()]]), "\"a,b\"\n\"\"\"\"\n");
    }
}
