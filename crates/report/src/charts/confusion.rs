//! Which class was taken for which, as shaded cells.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{TEXT, colour, fitting, style, svg};
use crate::error::Error;
use crate::format;

/// Width of the whole chart, and of the names of the true classes, px.
const WHOLE: i32 = 760;
const NAMES: i32 = 220;
/// Height of the names of the decisions, and of a cell, px.
const HEAD: i32 = 120;
const CELL: i32 = 170;
/// Opacity of a cell with all of its row; text stays readable on it, dark or light.
const DARKEST: f64 = 0.55;

/// Counts by true class (row) and decision (column), shaded by their share of the row in colour `index`.
///
/// # Errors
/// plotters refuses.
pub fn confusion(classes: &[String], counts: &[Vec<u64>], index: usize) -> Result<String, Error> {
    let k = classes.len().max(1) as i32;
    let width = (WHOLE - NAMES - 8) / k;
    let size = |room: i32| classes.iter().map(|name| fitting(TEXT, name, room)).fold(TEXT, f64::min);
    let names = size(NAMES - 24).min(size(width - 12));
    svg("a confusion matrix", (WHOLE as u32, (HEAD + k * CELL + 8) as u32), |area| {
        let put = |text: &str, at: (i32, i32), room: i32, size: f64, h: HPos| {
            area.draw(&Text::new(text.to_owned(), at, style(fitting(size, text, room), h, VPos::Center)))
        };
        put("true class", (NAMES - 16, HEAD - 32), NAMES - 24, TEXT * 0.8, HPos::Right)?;
        put("decision", (NAMES + k * width / 2, 26), k * width, TEXT * 0.8, HPos::Center)?;
        for (row, (name, counts)) in classes.iter().zip(counts).enumerate() {
            let (top, total) = (HEAD + row as i32 * CELL, counts.iter().sum::<u64>());
            put(name, (NAMES - 16, top + CELL / 2), NAMES - 24, names, HPos::Right)?;
            let column = NAMES + row as i32 * width + width / 2;
            put(name, (column, HEAD - 32), width - 12, names, HPos::Center)?;
            for (place, count) in counts.iter().enumerate() {
                let left = NAMES + place as i32 * width;
                let cell = [(left + 2, top + 2), (left + width - 2, top + CELL - 2)];
                let share = if total > 0 { *count as f64 / total as f64 } else { 0.0 };
                area.draw(&Rectangle::new(cell, colour(index).mix(share * DARKEST).filled()))?;
                area.draw(&Rectangle::new(cell, colour(index).mix(0.5).stroke_width(1)))?;
                let middle = left + width / 2;
                put(&count.to_string(), (middle, top + CELL / 2 - 26), width - 12, TEXT * 1.5, HPos::Center)?;
                let percent = if total > 0 {
                    format!("{} %", format::fixed(100.0 * share, 1))
                } else {
                    format::UNDEFINED.to_owned()
                };
                put(&percent, (middle, top + CELL / 2 + 38), width - 12, TEXT * 0.9, HPos::Center)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares_of_rows_by_hand() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let svg = confusion(&classes, &[vec![3, 1, 0], vec![0, 2, 0], vec![0, 0, 0]], 1).unwrap();
        for text in ["\n75.0 %\n", "\n25.0 %\n", "\n100.0 %\n", ">\n3\n<"] {
            assert!(svg.contains(text), "{text:?} is not in {svg}");
        }
        // A class without slices has no shares.
        assert_eq!(svg.matches(format::UNDEFINED).count(), 3);
    }
}
