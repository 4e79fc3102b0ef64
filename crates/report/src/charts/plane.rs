//! Curves in the unit square: ROC, precision-recall.

use plotters::prelude::*;

use super::{
    Entry, Failure, GREY, MARGIN, Mark, THICK, THIN, WIDTH, band, colour, frame, legend, legend_height, line, share,
    svg,
};
use crate::curves::Curve;
use crate::error::Error;

/// A point with its intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Cross {
    /// (x, y).
    pub at: (f64, f64),
    /// Interval of x.
    pub x: Option<(f64, f64)>,
    /// Interval of y.
    pub y: Option<(f64, f64)>,
}

/// What is drawn of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Text of the legend.
    pub label: String,
    /// Index of the colour.
    pub colour: usize,
    /// Its curves.
    pub curve: Curve,
    /// Where its decisions stand.
    pub operating: Option<Cross>,
}

/// What a coin would do: its name and the ends of its line.
pub struct Chance<'a> {
    /// Text of the legend.
    pub label: &'a str,
    /// Two points.
    pub ends: [(f64, f64); 2],
}

/// Leaves out corners that no pixel can show: rounded to 1/1000, none twice, none inside a straight run.
pub fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let round = |value: f64| (value * 1000.0).round() / 1000.0;
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for point in points.iter().map(|(x, y)| (round(*x), round(*y))) {
        if kept.last() == Some(&point) {
            continue;
        }
        if let [.., before, last] = kept[..] {
            let straight = (before.0 == last.0 && last.0 == point.0) || (before.1 == last.1 && last.1 == point.1);
            if straight {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}

/// Curves with their bands and operating points; `axes` names x and y.
///
/// # Errors
/// plotters refuses.
pub fn plane(what: &str, axes: (&str, &str), traces: &[Trace], chance: &Chance) -> Result<String, Error> {
    let of = |trace: &'_ Trace| (trace.label.clone(), colour(trace.colour), Mark::Line(THICK));
    let rows: Vec<_> = traces.iter().map(of).chain([(chance.label.to_owned(), GREY, Mark::Line(2))]).collect();
    let entries: Vec<Entry> =
        rows.iter().map(|(label, colour, mark)| Entry { label, colour: *colour, mark: *mark }).collect();
    let top = legend_height(entries.len(), 1);
    // The data are a square: the width less labels and margins.
    let side = WIDTH - super::LEFT as u32 - MARGIN as u32;
    svg(what, (WIDTH, top + side + super::BELOW as u32 + 2 * MARGIN as u32), |area| {
        let (above, below) = area.split_vertically(top);
        legend(&above, &entries, 1)?;
        let mut chart = frame(&below, &share(axes.0), &share(axes.1))?;
        line(&mut chart, &chance.ends, GREY.stroke_width(2))?;
        for trace in traces {
            band(&mut chart, &trace.curve.band, colour(trace.colour))?;
        }
        for trace in traces {
            let colour = colour(trace.colour);
            for run in trace.curve.runs.iter().filter(|_| trace.curve.runs.len() > 1) {
                line(&mut chart, &thin(run), colour.mix(0.6).stroke_width(THIN))?;
            }
            line(&mut chart, &thin(&trace.curve.mean), colour.stroke_width(THICK))?;
        }
        for trace in traces {
            cross(&mut chart, trace)?;
        }
        Ok(())
    })
}

fn cross(chart: &mut super::Chart, trace: &Trace) -> Result<(), Failure> {
    let Some(Cross { at, x, y }) = &trace.operating else { return Ok(()) };
    let colour = colour(trace.colour);
    let ends = x.map(|(low, high)| [(low, at.1), (high, at.1)]).into_iter();
    for bar in ends.chain(y.map(|(low, high)| [(at.0, low), (at.0, high)])) {
        line(chart, &bar, colour.stroke_width(3))?;
    }
    // A ring of the ground keeps the point apart from its own curve.
    chart.draw_series([Circle::new(*at, 15, WHITE.filled()), Circle::new(*at, 11, colour.filled())])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_runs_are_two_points() {
        let stairs: Vec<(f64, f64)> = (0..=100).map(|i| (0.0, f64::from(i) / 100.0)).chain([(1.0, 1.0)]).collect();
        assert_eq!(thin(&stairs), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
    }

    #[test]
    fn same_numbers_same_bytes() {
        let mean = vec![(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)];
        let trace = Trace {
            label: "a <b>".into(),
            colour: 0,
            curve: Curve { runs: vec![mean.clone()], mean, band: vec![(0.0, 0.0, 0.5), (1.0, 1.0, 1.0)] },
            operating: Some(Cross { at: (0.2, 0.8), x: Some((0.1, 0.3)), y: None }),
        };
        let chance = Chance { label: "chance", ends: [(0.0, 0.0), (1.0, 1.0)] };
        let draw = || plane("a chart", ("x", "y"), std::slice::from_ref(&trace), &chance).unwrap();
        let first = draw();
        assert_eq!(first, draw());
        assert!(first.starts_with("<svg") && first.contains("a &lt;b&gt;") && first.contains("<polygon"));
        // Once in the legend and once in the square; a single run is not drawn thin as well.
        assert_eq!(first.matches(&format!("stroke-width=\"{THICK}\" points")).count(), 2);
        assert!(!first.contains("opacity=\"0.6\""));
    }
}
