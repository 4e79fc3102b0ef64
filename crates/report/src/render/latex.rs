//! Tables in LaTeX: a file that compiles by itself and can be `\input` into a paper, with booktabs where it is installed and
//! plain rules where it is not, and no other package.

use crate::tables::{Block, Table};

use super::parts;

/// Letters that pdfLaTeX sets from its standard fonts; other characters go through `\chumokuchar`.
const LETTERS: &str = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĀāĂăĆćĈĉĊċČčĎďĒēĔĕĖėĚěĜĝĞğĠġĤĥĨĩĪīĬĭİıĴĵĹĺŁłŃńŇňŌōŎŏŐőŒœŔŕ\
                       ŘřŚśŜŝŞşŠšŢţŤťŨũŪūŬŭŮůŰűŴŵŶŷŸŹźŻżŽž";

/// Signs of a formula, which every LaTeX knows.
const SIGNS: [(char, &str); 37] = [
    ('<', "<"),
    ('>', ">"),
    ('|', "|"),
    ('−', "-"),
    ('±', "\\pm"),
    ('×', "\\times"),
    ('°', "{}^\\circ"),
    ('≤', "\\le"),
    ('≥', "\\ge"),
    ('µ', "\\mu"),
    ('²', "{}^2"),
    ('³', "{}^3"),
    ('α', "\\alpha"),
    ('β', "\\beta"),
    ('γ', "\\gamma"),
    ('δ', "\\delta"),
    ('ε', "\\epsilon"),
    ('ζ', "\\zeta"),
    ('η', "\\eta"),
    ('θ', "\\theta"),
    ('ι', "\\iota"),
    ('κ', "\\kappa"),
    ('λ', "\\lambda"),
    ('μ', "\\mu"),
    ('ν', "\\nu"),
    ('ξ', "\\xi"),
    ('ο', "o"),
    ('π', "\\pi"),
    ('ρ', "\\rho"),
    ('σ', "\\sigma"),
    ('ς', "\\varsigma"),
    ('τ', "\\tau"),
    ('υ', "\\upsilon"),
    ('φ', "\\phi"),
    ('χ', "\\chi"),
    ('ψ', "\\psi"),
    ('ω', "\\omega"),
];

/// Text that LaTeX prints as it is.
pub fn escape(text: &str) -> String {
    escape_with(text, |c| format!("\\chumokuchar{{{:04X}}}{{{c}}}", u32::from(c)))
}

/// A caption; the list of tables, which is read before this file, gets codes.
fn caption(text: &str) -> String {
    let short = escape_with(text, |c| format!("{{[}}U+{:04X}{{]}}", u32::from(c)));
    let long = escape(text);
    if short == long { format!("\\caption{{{long}}}") } else { format!("\\caption[{{{short}}}]{{{long}}}") }
}

fn escape_with(text: &str, other: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            // The text font's dollar is a pound in italics.
            '$' => out.push_str("$\\mathdollar$"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            // Quotes and back quotes are commands in some languages of babel.
            '"' => out.push_str("\\char34{}"),
            '`' => out.push_str("\\char96{}"),
            '#' | '%' | '&' | '_' | '{' | '}' => out.extend(['\\', c]),
            // Two of these together would be another sign.
            '-' | '\'' | ',' if before == c => out.extend(['{', '}', c]),
            '–' => out.push_str("--"),
            '—' => out.push_str("---"),
            '’' => out.push('\''),
            _ if c.is_control() || c.is_whitespace() => out.push(' '),
            _ => match SIGNS.iter().find(|(sign, _)| *sign == c) {
                Some((_, formula)) => out.push_str(&format!("${formula}$")),
                None if c.is_ascii() || LETTERS.contains(c) => out.push(c),
                None => out.push_str(&other(c)),
            },
        }
        before = c;
    }
    out
}

/// Makes the file both a document of its own and one to `\input`: LaTeX forgets `\@nodocument` at `\begin{document}`. What a
/// paper may have defined already, it keeps.
const HEAD: &str = r"% The tables of a report by chumoku-report, in UTF-8.
%   By itself:   pdflatex tables.tex
%   In a paper:  \input{tables} in its body; \usepackage{booktabs} in its preamble for rules of three weights.
% Each table is a float of its own (\ref{tab:table1}, \ref{tab:table2}, ...); copy those you need; in two
% columns, with table* for table where it is wider than one.
% A character that pdfLaTeX has no letter for stands as its code, [U+6CE8]; LuaLaTeX and XeLaTeX print it in a font that
% has it. To print it otherwise, define \chumokuchar{CODE}{CHARACTER} in the paper, such as
% \newcommand\chumokuchar[2]{\begin{CJK}{UTF8}{min}#2\end{CJK}} with the package CJKutf8.
\makeatletter
\ifx\@nodocument\relax
\def\chumokuend{}
\else
\documentclass[a4paper]{article}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}{}
\setlength{\textwidth}{150mm}\setlength{\oddsidemargin}{5mm}\setlength{\textheight}{240mm}\setlength{\topmargin}{-15mm}
\begin{document}
\def\chumokuend{\end{document}}
\fi
\makeatother
\providecommand\toprule{\hline}
\providecommand\midrule{\hline}
\providecommand\bottomrule{\hline}
\providecommand\addlinespace{\noalign{\smallskip}}
\ifdefined\chumokuchar\else
\DeclareRobustCommand\chumokuchar[2]{\ifdefined\Umathchar\iffontchar\font`#2 #2\else[U+#1]\fi\else[U+#1]\fi}
\fi
";

/// All tables.
pub fn latex(tables: &[Table]) -> String {
    let body: String = tables.iter().map(table).collect();
    format!("{HEAD}\n{body}\\chumokuend\n")
}

/// What a page of LaTeX's article has room for beside the caption, in points; and what it takes: a line of a row or of the head,
/// an interval with the air below it, a line of notes.
const PAGE_PT: usize = 500;
const LINE_PT: usize = 10;
const INTERVAL_PT: usize = 13;
const NOTE_PT: usize = 9;
/// Letters of a line of notes.
const NOTE_LINE: usize = 95;
/// What is left to rows, however long the notes are.
const LEAST_PT: usize = 150;
/// Letters of a first column or a head beyond which they are broken over lines.
const LABEL: usize = 30;
/// Letters of a line of a head.
const HEAD_LINE: usize = 14;

/// Letters of a line of a first column that is broken.
const LABEL_LINE: usize = 20;

/// Height of a row: the lines of its first cell, and an interval below its value.
fn height(row: &[String]) -> usize {
    let lines = if printed(&row[0]) > LABEL { printed(&row[0]).div_ceil(LABEL_LINE) } else { 1 };
    lines * LINE_PT + if has_intervals(row) { INTERVAL_PT } else { 0 }
}

/// Letters that a text takes in print, where those without a letter stand as their code.
fn printed(text: &str) -> usize {
    text.chars()
        .map(|c| if escape(c.encode_utf8(&mut [0; 4])).starts_with("\\chumokuchar") { "[U+6CE8]".len() } else { 1 })
        .sum()
}

fn has_intervals(row: &[String]) -> bool {
    row.iter().skip(1).any(|cell| parts(cell).1.is_some())
}

/// What the rows of a page may take.
fn room(table: &Table) -> usize {
    let notes: usize = table.notes.iter().map(|note| printed(note) + 1).sum();
    let head = table.head.iter().map(|cell| printed(cell).div_ceil(HEAD_LINE)).max().unwrap_or(1);
    PAGE_PT.saturating_sub(notes.div_ceil(NOTE_LINE) * NOTE_PT + head * LINE_PT).max(LEAST_PT)
}

/// A table as one or more floats: LaTeX does not break them, so what does not fit stands on pages of its own.
fn table(table: &Table) -> String {
    let room = room(table);
    let mut pages: Vec<(usize, Vec<Block>)> = vec![(0, Vec::new())];
    for block in &table.blocks {
        let whole: usize = LINE_PT + block.rows.iter().map(|row| height(row)).sum::<usize>();
        let mut is_open = false;
        for row in &block.rows {
            let (used, blocks) = pages.last_mut().expect("there is always a page");
            // A block that fits on one page is not broken, any other where the page ends.
            let needed = if is_open || whole > room { height(row) } else { whole };
            let full = *used > 0 && *used + needed > room;
            let title =
                |more: &str| if block.title.is_empty() { String::new() } else { format!("{}{more}", block.title) };
            let next = Block { title: title(if is_open { ", continued" } else { "" }), rows: vec![row.clone()] };
            match (full, is_open) {
                (true, _) => pages.push((LINE_PT + height(row), vec![next])),
                (false, true) => {
                    *used += height(row);
                    blocks.last_mut().expect("a block is open").rows.push(row.clone());
                }
                (false, false) => {
                    *used += LINE_PT + height(row);
                    blocks.push(next);
                }
            }
            is_open = true;
        }
    }
    let last = pages.len() - 1;
    let float = |(place, (_, blocks)): (usize, &(usize, Vec<Block>))| float(table, blocks, place, place == last);
    pages.iter().enumerate().map(float).collect()
}

/// Whether every cell of a column is a number or stands for one, so that it is centred.
fn is_numeric(table: &Table, column: usize) -> bool {
    let is = |cell: &String| {
        let digits = cell.trim_start_matches(['+', '-', '<', ' ']);
        cell.is_empty() || cell == crate::format::UNDEFINED || digits.starts_with(|c: char| c.is_ascii_digit())
    };
    table.blocks.iter().flat_map(|block| &block.rows).all(|row| is(&row[column]))
}

/// A number with its minus signs.
fn number(text: &str) -> String {
    escape(text).replace('-', "$-$")
}

/// Columns of the tabular: the first broken over lines if its cells are long.
fn columns(table: &Table) -> String {
    let longest = table.blocks.iter().flat_map(|block| &block.rows).map(|row| printed(&row[0])).max();
    let first = if longest.unwrap_or(0) > LABEL { "p{0.3\\linewidth}" } else { "l" };
    let others = (1..table.head.len()).map(|column| if is_numeric(table, column) { 'c' } else { 'l' });
    format!("@{{}}{first}{}@{{}}", others.collect::<String>())
}

fn head(table: &Table) -> String {
    let cell = |(place, cell): (usize, &String)| {
        let lines: Vec<String> =
            super::wrap(cell, HEAD_LINE.max(longest_word(cell))).iter().map(|line| escape(line)).collect();
        let side = if is_numeric(table, place) { 'c' } else { 'l' };
        if lines.len() == 1 { lines[0].clone() } else { format!("\\shortstack[{side}]{{{}}}", lines.join("\\\\ ")) }
    };
    table.head.iter().enumerate().map(cell).collect::<Vec<_>>().join(" & ") + " \\\\\n"
}

fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0)
}

/// A row, and below it the row of its intervals if it has any.
fn row(cells: &[String], is_broken: bool) -> String {
    let label = escape(&cells[0]).replace(" - ", " $-$ ");
    let label = if is_broken { format!("\\raggedright {}", label.replace("\\_", "\\_\\allowbreak{}")) } else { label };
    let value = |cell: &String| match parts(cell).0 {
        words if words.contains(char::is_alphabetic) => escape(words),
        digits => number(digits),
    };
    let values = std::iter::once(label).chain(cells[1..].iter().map(value)).collect::<Vec<_>>().join(" & ");
    let below = |cell: &String| {
        parts(cell).1.map_or(String::new(), |interval| format!("{{\\scriptsize {}}}", number(interval)))
    };
    let intervals = cells[1..].iter().map(below).collect::<Vec<_>>().join(" & ");
    if has_intervals(cells) {
        format!("{values} \\\\*\n & {intervals} \\\\\n\\addlinespace\n")
    } else {
        format!("{values} \\\\\n")
    }
}

fn float(table: &Table, blocks: &[Block], page: usize, is_last: bool) -> String {
    let title = table.title.split_once(". ").map_or(table.title.as_str(), |(_, title)| title);
    let (more, label) =
        if page == 0 { ("", table.id.to_owned()) } else { (" (continued)", format!("{}-{}", table.id, page + 1)) };
    let columns = columns(table);
    let mut out = format!(
        "\\begin{{table}}[htbp]\n\\centering\\footnotesize\n\\setlength{{\\tabcolsep}}{{4pt}}\\setlength{{\\belowcaptionskip}}{{4pt}}\n{}\n\\label{{tab:{label}}}\n",
        caption(&format!("{title}{more}")),
    );
    // A box of the line's width centres a table that is a little wider than the text.
    out.push_str(&format!("\\makebox[\\linewidth][c]{{\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}", head(table)));
    for block in blocks {
        out.push_str("\\midrule\n");
        if !block.title.is_empty() {
            let (count, title) = (table.head.len(), escape(&block.title));
            out.push_str(&format!("\\multicolumn{{{count}}}{{@{{}}l@{{}}}}{{\\textit{{{title}}}}} \\\\\n"));
        }
        block.rows.iter().for_each(|cells| out.push_str(&row(cells, columns.contains('p'))));
    }
    let notes: Vec<String> = table.notes.iter().filter(|_| is_last).map(|note| escape(note)).collect();
    out.push_str(&format!(
        "\\bottomrule\n\\end{{tabular}}}}\n\\par\\medskip\\parbox{{\\linewidth}}{{\\scriptsize\\raggedright {}}}\n\\end{{table}}\n\n",
        notes.join("\n")
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{table as small, wide};
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        let latex = latex(&[small()]);
        assert!(latex.contains("this\\_study") && latex.contains("1 \\%") && latex.contains("50 \\% $<$ p"), "{latex}");
        assert_eq!(escape("a\\b{}"), "a\\textbackslash{}b\\{\\}");
        assert_eq!(caption("a 注"), "\\caption[{a {[}U+6CE8{]}}]{a \\chumokuchar{6CE8}{注}}");
        assert_eq!(escape("ü 注 α a--b\n\"q\""), "ü \\chumokuchar{6CE8}{注} $\\alpha$ a-{}-b \\char34{}q\\char34{}");
    }

    #[test]
    fn intervals_stand_below_with_minus_signs() {
        let latex = latex(&[wide()]);
        assert!(latex.contains("\nproposed $-$ conventional & $-$12.2 & +16.8 & 66.4 & $-$0.006 \\\\*\n"), "{latex}");
        assert!(latex.contains("\n & {\\scriptsize ($-$17.8 to $-$13.8)} & "), "{latex}");
        assert!(latex.contains("{tabular}{@{}lcccc@{}}"), "{latex}");
    }

    #[test]
    fn a_table_longer_than_a_page_is_continued() {
        let block =
            |title: &str, rows: usize| Block { title: title.into(), rows: vec![vec!["m".into(), "1".into()]; rows] };
        let blocks = vec![block("one", 25), block("two", 14), block("three", 12)];
        let text = latex(&[Table { blocks, ..small() }]);
        assert_eq!(text.matches("\\begin{table}").count(), 2);
        assert!(
            text.contains("\\caption{T}\n\\label{tab:t}")
                && text.contains("\\caption{T (continued)}\n\\label{tab:t-2}")
        );
        let (first, second) = text.split_once("(continued)").unwrap();
        assert!(first.contains("{two}") && second.contains("{three}") && !first.contains("50 \\% $<$ p"), "{text}");
        // A block that fits on no page is broken, with its title again.
        let long = latex(&[Table { blocks: vec![block("one", 100)], ..small() }]);
        assert_eq!(long.matches("\nm & 1 \\\\").count(), 100);
        assert_eq!((long.matches("\\begin{table}").count(), long.matches("{one, continued}").count()), (3, 2));
    }
}
