//! Tables for the terminal, at most [`WIDTH`] columns wide whatever the terminal's width, so that the text repeats.
//!
//! A table that is too wide has its intervals below the values, then its first column broken over lines, and in the end
//! the columns that find no room in a panel of their own below.

use crate::answer::Answer;
use crate::tables::Table;

use super::parts;

/// Columns of a line.
pub const WIDTH: usize = 80;
/// Columns between two cells.
const GAP: usize = 2;
/// Columns that the first cell keeps before others go into the next panel.
const LABEL: usize = 14;
/// Cells other than the first break beyond this: an interval of differences of AUC.
const CELL: usize = 18;

/// Columns that a character takes: two in East Asian scripts and emoji, none for combining marks. The ranges are those of
/// Unicode's EastAsianWidth W and F, to the block.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Columns that a text takes.
pub(super) fn columns_of(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Text in lines of at most `width` columns, broken at spaces; a word that is longer, wherever it must be.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        let gap = usize::from(!last.is_empty());
        if columns_of(last) + gap + columns_of(word) <= width {
            last.push_str(&" ".repeat(gap));
            last.push_str(word);
            continue;
        }
        if !last.is_empty() {
            lines.push(String::new());
        }
        for c in word.chars() {
            let last = lines.last_mut().expect("there is always a line");
            if !last.is_empty() && columns_of(last) + columns(c) > width {
                lines.push(String::new());
            }
            lines.last_mut().expect("there is always a line").push(c);
        }
    }
    lines
}

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| columns_of(line)).max().unwrap_or(0)
}

/// A table's cells as lines: (rows, columns), the head first.
struct Grid {
    head: Vec<Vec<String>>,
    blocks: Vec<Vec<Vec<Vec<String>>>>,
}

impl Grid {
    /// Every cell on one line.
    fn flat(table: &Table) -> Self {
        let row = |cells: &Vec<String>| cells.iter().map(|cell| vec![cell.clone()]).collect();
        Self::of(table, &row)
    }

    /// Intervals below their values, the first cell in lines of `label` columns.
    fn tall(table: &Table, label: usize) -> Self {
        let below = |cell: &String| {
            let (value, interval) = parts(cell);
            let interval = interval.map(|interval| interval.replace(" to ", ".."));
            wrap(value, CELL).into_iter().chain(interval).collect()
        };
        let first = |cell: &String| {
            let lines = wrap(cell, label);
            // A name in lines of its own is indented, so that it is not taken for two.
            if lines.len() == 1 {
                return lines;
            }
            let lines = wrap(cell, label - 2).into_iter().enumerate();
            lines.map(|(place, line)| if place == 0 { line } else { format!("  {line}") }).collect()
        };
        let row = |cells: &Vec<String>| {
            cells.iter().enumerate().map(|(place, cell)| if place == 0 { first(cell) } else { below(cell) }).collect()
        };
        Self::of(table, &row)
    }

    fn of(table: &Table, row: &dyn Fn(&Vec<String>) -> Vec<Vec<String>>) -> Self {
        let block = |block: &crate::tables::Block| block.rows.iter().map(row).collect();
        Self { head: row(&table.head), blocks: table.blocks.iter().map(block).collect() }
    }

    fn widths(&self) -> Vec<usize> {
        let rows = || self.blocks.iter().flatten().chain([&self.head]);
        (0..self.head.len()).map(|place| rows().map(|row| widest(&row[place])).max().unwrap_or(0)).collect()
    }
}

/// Columns of a line with the first cell and `places`.
fn total(widths: &[usize], places: &[usize]) -> usize {
    widths[0] + places.iter().map(|place| GAP + widths[*place]).sum::<usize>()
}

/// The columns after the first in panels that fit, at least one in each.
fn panels(widths: &[usize]) -> Vec<Vec<usize>> {
    let mut panels: Vec<Vec<usize>> = vec![Vec::new()];
    for place in 1..widths.len() {
        let last = panels.last_mut().expect("there is always a panel");
        if last.is_empty() || total(widths, last) + GAP + widths[place] <= WIDTH {
            last.push(place);
        } else {
            panels.push(vec![place]);
        }
    }
    panels
}

/// The grid and its panels: the first layout that fits.
fn layout(table: &Table) -> (Grid, Vec<Vec<usize>>) {
    let flat = Grid::flat(table);
    let everything: Vec<usize> = (1..table.head.len()).collect();
    if total(&flat.widths(), &everything) <= WIDTH {
        return (flat, vec![everything]);
    }
    let natural = flat.widths()[0];
    let others: usize = Grid::tall(table, natural.max(LABEL)).widths()[1..].iter().map(|width| GAP + width).sum();
    let room = WIDTH.saturating_sub(others).clamp(LABEL, natural.max(LABEL));
    let tall = Grid::tall(table, room);
    let panels = panels(&tall.widths());
    (tall, panels)
}

fn row_of(row: &[Vec<String>], widths: &[usize], places: &[usize]) -> String {
    let places: Vec<usize> = std::iter::once(0).chain(places.iter().copied()).collect();
    let height = places.iter().map(|place| row[*place].len()).max().unwrap_or(0);
    let cell = |place: &usize, line: usize| {
        let text = row[*place].get(line).map_or("", String::as_str);
        format!("{text}{}", " ".repeat(widths[*place] - columns_of(text)))
    };
    let line = |line: usize| {
        let cells: Vec<String> = places.iter().map(|place| cell(place, line)).collect();
        cells.join(&" ".repeat(GAP)).trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

/// A table as it stands on the terminal.
pub fn text(table: &Table) -> String {
    let (grid, panels) = layout(table);
    let widths = grid.widths();
    let mut out = wrap(&table.title, WIDTH).join("\n") + "\n";
    for places in &panels {
        let rule = "-".repeat(total(&widths, places).min(WIDTH)) + "\n";
        out.push_str(&format!("{rule}{}{rule}", row_of(&grid.head, &widths, places)));
        for (block, rows) in table.blocks.iter().zip(&grid.blocks) {
            if !block.title.is_empty() {
                out.push_str(&(wrap(&format!("[{}]", block.title), WIDTH).join("\n") + "\n"));
            }
            rows.iter().for_each(|row| out.push_str(&row_of(row, &widths, places)));
        }
        out.push_str(&rule);
    }
    for note in &table.notes {
        wrap(note, WIDTH - 2).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out
}

/// The answer, each of its parts a paragraph.
pub fn paragraphs(answer: &Answer) -> String {
    let sentences = std::iter::once(&answer.sentence).chain(&answer.details);
    sentences.map(|sentence| wrap(sentence, WIDTH).join("\n") + "\n").collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{table, wide};
    use super::*;
    use crate::tables::Block;

    #[test]
    fn columns_line_up() {
        let text = text(&table());
        assert!(text.contains("\nmethod  x\n"), "{text}");
        assert!(text.contains("\na|b     1 %\n"), "{text}");
    }

    #[test]
    fn a_wide_table_has_its_intervals_below() {
        let text = text(&wide());
        assert!(text.lines().all(|line| columns_of(line) <= WIDTH), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let place = lines.iter().position(|line| line.starts_with("proposed -")).unwrap();
        assert!(lines[place].ends_with("66.4            -0.006"), "{text}");
        assert!(lines[place + 1].starts_with("  conventional  (-17.8..-13.8)"), "{text}");
        assert!(lines[place + 1].ends_with("(-0.088..+0.083)"), "{text}");
    }

    #[test]
    fn columns_without_room_go_below() {
        let names = (0..9).map(|number| format!("a-method-with-a-name-{number}"));
        let head: Vec<String> = std::iter::once("metric".to_owned()).chain(names).collect();
        let row: Vec<String> =
            std::iter::once("accuracy".to_owned()).chain((0..9).map(|n| format!("0.{n} (0.1 to 0.9)"))).collect();
        let blocks = vec![Block { title: "slices".into(), rows: vec![row] }];
        let text = text(&Table { head, blocks, ..table() });
        assert!(text.lines().all(|line| columns_of(line) <= WIDTH), "{text}");
        assert_eq!(text.matches("[slices]").count(), 3, "{text}");
        assert!((0..9).all(|number| text.matches(&format!("0.{number}\n")).count()
            + text.matches(&format!("0.{number} ")).count()
            >= 1));
    }

    #[test]
    fn words_break_only_where_they_must() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("肺炎肺炎", 5), ["肺炎", "肺炎"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
