//! The scores of patients, a strip for each class and method.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Area, Axis, Chart, Entry, Failure, GREY, MARGIN, Mark, TEXT, WIDTH, colour, fitting, legend, legend_height, line,
    mesh, share, style, svg,
};
use crate::error::Error;

/// The patients of one class under one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// What stands above it.
    pub label: String,
    /// Index of the colour.
    pub colour: usize,
    /// Mean probability of the positive class, and whether the decision is right.
    pub patients: Vec<(f64, bool)>,
}

/// Height of a strip and of the words in it, px.
const STRIP: u32 = 150;
const WORDS: f64 = 48.0;
/// Columns of dots.
const COLUMNS: usize = 60;
/// Radius of a dot, px; dots closer than their width overlap.
const RADIUS: i32 = 6;
/// More patients than this are bars.
const MANY: usize = 600;

/// Strips from top to bottom; `threshold` is where the decision turns, where one probability decides.
///
/// # Errors
/// plotters refuses.
pub fn scores(strips: &[Strip], class: &str, threshold: Option<f64>) -> Result<String, Error> {
    let right = Entry { label: "decided rightly", colour: GREY, mark: Mark::Dot };
    let wrong = Entry { label: "decided wrongly", colour: GREY, mark: Mark::Ring };
    let turn = Entry { label: "threshold", colour: GREY, mark: Mark::Line(3) };
    let entries: Vec<Entry> = [right, wrong].into_iter().chain(threshold.map(|_| turn)).collect();
    let top = legend_height(entries.len(), 2);
    let height = STRIP * strips.len() as u32;
    svg("the scores of patients", (WIDTH, top + height + super::BELOW as u32 + 2 * MARGIN as u32), |area| {
        let (above, below) = area.split_vertically(top);
        legend(&above, &entries, 2)?;
        let rows = strips.len() as f64;
        let x = Axis { name: &format!("score of the patient for {class}"), ..share("") };
        let mut chart = bare(&below, &x, rows)?;
        for (row, one) in strips.iter().enumerate() {
            let top = rows - row as f64;
            if let Some(at) = threshold {
                // Not through the words.
                line(&mut chart, &[(at, top - WORDS / f64::from(STRIP)), (at, top - 1.0)], GREY.stroke_width(3))?;
            }
            strip(&mut chart, one, top)?;
        }
        Ok(())
    })
}

/// A frame without a y axis: one unit a strip.
fn bare<'a, 's>(area: &'a Area<'s>, x: &Axis, rows: f64) -> Result<Chart<'a, 's>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .margin_left(MARGIN + 16)
        .x_label_area_size(super::BELOW)
        .build_cartesian_2d(x.range.clone(), 0.0..rows)?;
    mesh(&mut chart, x, None)?;
    Ok(chart)
}

/// One strip whose upper edge is at `top`.
fn strip(chart: &mut Chart, strip: &Strip, top: f64) -> Result<(), Failure> {
    let unit = 1.0 / f64::from(STRIP);
    line(chart, &[(0.0, top), (1.0, top)], GREY.mix(0.3).stroke_width(1))?;
    let size = fitting(TEXT * 0.9, &strip.label, WIDTH as i32 - 120);
    let words = style(size, HPos::Left, VPos::Center);
    chart.draw_series([Text::new(strip.label.clone(), (0.008, top - unit * WORDS / 2.0), words)])?;
    let mut columns: Vec<Vec<(f64, bool)>> = vec![Vec::new(); COLUMNS];
    for (score, right) in &strip.patients {
        let column = (score * COLUMNS as f64) as usize;
        columns[column.min(COLUMNS - 1)].push((*score, *right));
    }
    let most = columns.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let room = unit * (f64::from(STRIP) - WORDS - 12.0);
    let middle = top - unit * WORDS - room / 2.0;
    let colour = colour(strip.colour);
    if strip.patients.len() > MANY {
        let bar = |(place, column): (usize, &Vec<(f64, bool)>)| {
            let (left, half) = (place as f64 / COLUMNS as f64, room / 2.0 * column.len() as f64 / most as f64);
            Rectangle::new([(left, middle - half), (left + 0.9 / COLUMNS as f64, middle + half)], colour.filled())
        };
        chart.draw_series(columns.iter().enumerate().map(bar))?;
        return Ok(());
    }
    let pitch = (unit * f64::from(2 * RADIUS + 2)).min(room / most as f64);
    for column in &columns {
        for (place, (score, right)) in column.iter().enumerate() {
            let y = middle + pitch * (place as f64 - (column.len() - 1) as f64 / 2.0);
            let style = if *right { colour.filled() } else { colour.stroke_width(2) };
            chart.draw_series([Circle::new((*score, y), RADIUS, style)])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_a_patient_or_bars_for_many() {
        let of = |count: usize| Strip {
            label: "ill, m".into(),
            colour: 0,
            patients: (0..count).map(|i| (i as f64 / count as f64, i % 3 > 0)).collect(),
        };
        let few = scores(&[of(30)], "ill", Some(0.5)).unwrap();
        // Two of the legend.
        assert_eq!(few.matches("<circle").count(), 30 + 2);
        assert!(few.contains("threshold"));
        let many = scores(&[of(MANY + 1)], "ill", None).unwrap();
        assert_eq!(many.matches("<circle").count(), 2);
        assert!(!many.contains("threshold") && many.matches("<rect").count() > COLUMNS);
    }
}
