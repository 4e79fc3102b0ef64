//! Charts as SVG, each readable by itself: white ground, black text, its legend above the data.
//!
//! plotters rounds to whole pixels, so charts are drawn large and scaled by their view box; text is large enough to be read
//! on a telephone. Black and white are used for text and ground alone, so that the page can swap them in the dark; the
//! colours of the series are readable on both.

pub mod calibration;
pub mod confusion;
pub mod flow;
pub mod plane;
pub mod scores;
pub mod training;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::Error;

/// Colours of methods and of series, told apart by most colour-blind readers (after Okabe and Ito 2008, darkened).
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(46, 120, 190),
    RGBColor(214, 110, 20),
    RGBColor(20, 150, 110),
    RGBColor(180, 90, 150),
    RGBColor(150, 130, 20),
    RGBColor(120, 120, 130),
];

/// Lines that are no data: chance, grids, thresholds.
const GREY: RGBColor = RGBColor(128, 128, 128);
/// Width of every chart of data, px.
const WIDTH: u32 = 1000;
/// Size of text, as plotters counts: letters of 0.8 of it.
const TEXT: f64 = 36.0;
const MARGIN: i32 = 24;
const LEFT: i32 = 110;
const BELOW: i32 = 96;
/// Width of a line of data.
const THICK: u32 = 5;
/// Width of a line of one run among several.
const THIN: u32 = 2;
/// Opacity of bands.
const BAND: f64 = 0.18;

/// The colour of series `index`.
pub fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Chart<'a, 's> = ChartContext<'a, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Failure = Box<dyn std::error::Error>;

/// Runs `draw` on a fresh canvas of `size` pixels and returns the SVG.
fn svg(what: &str, size: (u32, u32), draw: impl FnOnce(&Area) -> Result<(), Failure>) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Draw { what: what.to_owned(), message: error.to_string() };
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        draw(&area).map_err(|error| failed(&error))?;
        area.present().map_err(|error| failed(&error))?;
    }
    Ok(text)
}

/// Text of a size, standing at a place as `h` and `v` say.
fn style(size: f64, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK).pos(Pos::new(h, v))
}

/// A size, no larger than `size`, at which `text` is not wider than `width` pixels. Letters of a sans-serif font are 0.55 of
/// their size wide on average, digits too.
fn fitting(size: f64, text: &str, width: i32) -> f64 {
    let letters = text.chars().count().max(1) as f64;
    size.min(f64::from(width) / (letters * 0.46))
}

/// Words in lines of no more than `letters`; a longer word stands alone.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What stands before a text of the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    /// A line of this width.
    Line(u32),
    /// A filled circle.
    Dot,
    /// An open circle.
    Ring,
}

/// An entry of a legend.
struct Entry<'a> {
    label: &'a str,
    colour: RGBColor,
    mark: Mark,
}

const ROW: u32 = 48;

/// Height of a legend above the data.
fn legend_height(entries: usize, columns: usize) -> u32 {
    entries.div_ceil(columns) as u32 * ROW + 16
}

/// The legend, in so many columns.
fn legend(area: &Area, entries: &[Entry], columns: usize) -> Result<(), Failure> {
    let width = (WIDTH as i32 - LEFT - MARGIN) / columns as i32;
    let size = entries.iter().map(|entry| fitting(TEXT, entry.label, width - 70)).fold(TEXT, f64::min);
    for (place, entry) in entries.iter().enumerate() {
        let (left, middle) =
            (LEFT + (place % columns) as i32 * width, (place / columns) as i32 * ROW as i32 + ROW as i32 / 2 + 8);
        let centre = (left + 24, middle);
        match entry.mark {
            Mark::Line(width) => {
                let ends = [(left, middle), (left + 48, middle)];
                area.draw(&PathElement::new(ends, entry.colour.stroke_width(width)))?;
            }
            Mark::Dot => area.draw(&Circle::new(centre, 10, entry.colour.filled()))?,
            Mark::Ring => area.draw(&Circle::new(centre, 10, entry.colour.stroke_width(3)))?,
        }
        area.draw(&Text::new(entry.label.to_owned(), (left + 64, middle), style(size, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

/// An axis: its name, its values, about how many of them are labelled with how many decimals.
struct Axis<'a> {
    name: &'a str,
    range: Range<f64>,
    labels: usize,
    decimals: usize,
}

/// 0 to 1.
fn share(name: &str) -> Axis<'_> {
    Axis { name, range: 0.0..1.0, labels: 6, decimals: 1 }
}

/// A frame with its axes and a pale grid.
fn frame<'a, 's>(area: &'a Area<'s>, x: &Axis, y: &Axis) -> Result<Chart<'a, 's>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(if x.name.is_empty() { 48 } else { BELOW })
        .y_label_area_size(LEFT - MARGIN)
        .build_cartesian_2d(x.range.clone(), y.range.clone())?;
    mesh(&mut chart, x, Some(y))?;
    Ok(chart)
}

/// Draws the axes, labels and lines of a chart; without `y` those of the horizontal axis alone.
fn mesh(chart: &mut Chart, x: &Axis, y: Option<&Axis>) -> Result<(), Failure> {
    let show = |axis: Option<&Axis>| {
        let decimals = axis.map_or(0, |axis| axis.decimals);
        move |value: &f64| format!("{value:.decimals$}")
    };
    let (of_x, of_y) = (show(Some(x)), show(y));
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.name).x_labels(x.labels).x_label_formatter(&of_x);
    match y {
        Some(y) => mesh.y_desc(y.name).y_labels(y.labels).y_label_formatter(&of_y),
        None => mesh.disable_y_mesh(),
    };
    mesh.label_style(("sans-serif", TEXT * 0.9).into_font().color(&BLACK))
        .axis_desc_style(("sans-serif", TEXT).into_font().color(&BLACK))
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.3))
        .axis_style(BLACK)
        .draw()?;
    Ok(())
}

/// The area between two lines.
fn band(chart: &mut Chart, ends: &[(f64, f64, f64)], colour: RGBColor) -> Result<(), Failure> {
    if !ends.is_empty() {
        let lower = ends.iter().map(|(x, low, _)| (*x, *low));
        let upper = ends.iter().rev().map(|(x, _, high)| (*x, *high));
        chart.draw_series([Polygon::new(lower.chain(upper).collect::<Vec<_>>(), colour.mix(BAND).filled())])?;
    }
    Ok(())
}

/// A line through points; a single point as a dot.
fn line(chart: &mut Chart, points: &[(f64, f64)], style: ShapeStyle) -> Result<(), Failure> {
    match points {
        [] => {}
        [only] => drop(chart.draw_series([Circle::new(*only, 10, style.filled())])?),
        _ => drop(chart.draw_series([PathElement::new(points.to_vec(), style)])?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_not_broken() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a-very-long-word it is", 5), ["a-very-long-word", "it is"]);
        assert!(wrapped("", 5).is_empty());
    }

    #[test]
    fn long_names_are_smaller() {
        assert_eq!(fitting(36.0, "short", 500), 36.0);
        assert!(fitting(36.0, &"x".repeat(100), 500) < 11.0);
    }
}
