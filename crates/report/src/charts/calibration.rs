//! Reliability diagrams: observed against predicted, and how the predictions are spread.

use plotters::prelude::*;

use super::{
    Axis, Entry, Failure, GREY, LEFT, MARGIN, Mark, THICK, WIDTH, colour, frame, legend, legend_height, line, share,
    svg,
};
use crate::calibration::BINS;
use crate::error::Error;
use crate::reliability::Bin;

/// What is drawn of a method.
pub struct Reliability {
    /// Text of the legend.
    pub label: String,
    /// Index of the colour.
    pub colour: usize,
    /// Bins that hold predictions.
    pub bins: Vec<Bin>,
}

/// Height of the histogram.
const HISTOGRAM: u32 = 330;

/// Reliability above, histogram below; `class` is the class whose probability it is.
///
/// # Errors
/// plotters refuses.
pub fn calibration(methods: &[Reliability], class: &str) -> Result<String, Error> {
    let of = |method: &'_ Reliability| (method.label.clone(), colour(method.colour), Mark::Line(THICK));
    let ideal = ("as predicted".to_owned(), GREY, Mark::Line(2));
    let rows: Vec<_> = methods.iter().map(of).chain([ideal]).collect();
    let entries: Vec<Entry> =
        rows.iter().map(|(label, colour, mark)| Entry { label, colour: *colour, mark: *mark }).collect();
    let top = legend_height(entries.len(), 1);
    let square = WIDTH - LEFT as u32 - MARGIN as u32 + 48 + 2 * MARGIN as u32;
    svg("the calibration", (WIDTH, top + square + HISTOGRAM), |area| {
        let (above, rest) = area.split_vertically(top);
        let (diagram, below) = rest.split_vertically(square);
        legend(&above, &entries, 1)?;
        let mut chart = frame(&diagram, &share(""), &share(&format!("share of {class}")))?;
        line(&mut chart, &[(0.0, 0.0), (1.0, 1.0)], GREY.stroke_width(2))?;
        for method in methods {
            let colour = colour(method.colour);
            for bin in &method.bins {
                if let Some((low, high)) = bin.interval {
                    line(&mut chart, &[(bin.predicted, low), (bin.predicted, high)], colour.mix(0.7).stroke_width(3))?;
                }
            }
            let points: Vec<(f64, f64)> = method.bins.iter().map(|bin| (bin.predicted, bin.observed)).collect();
            line(&mut chart, &points, colour.mix(0.6).stroke_width(2))?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 9, colour.filled())))?;
        }
        histogram(&below, methods, class)
    })
}

/// Percent of each method's predictions in each bin, side by side.
fn histogram(area: &super::Area, methods: &[Reliability], class: &str) -> Result<(), Failure> {
    let total = |method: &Reliability| method.bins.iter().map(|bin| bin.count).sum::<u64>().max(1) as f64;
    let percent = |method: &Reliability, bin: &Bin| 100.0 * bin.count as f64 / total(method);
    let all = methods.iter().flat_map(|method| method.bins.iter().map(move |bin| percent(method, bin)));
    let highest = all.fold(1.0, f64::max) * 1.1;
    let x = Axis { name: &format!("predicted probability of {class}"), ..share("") };
    let mut chart = frame(area, &x, &Axis { name: "%", range: 0.0..highest, labels: 3, decimals: 0 })?;
    let width = 1.0 / BINS as f64;
    let each = 0.9 * width / methods.len().max(1) as f64;
    for (place, method) in methods.iter().enumerate() {
        let bar = |bin: &Bin| {
            let left = (bin.place as f64 + 0.05) * width + place as f64 * each;
            Rectangle::new([(left, 0.0), (left + each, percent(method, bin))], colour(method.colour).mix(0.8).filled())
        };
        chart.draw_series(method.bins.iter().map(bar))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_a_bin_and_a_dot_a_bin() {
        let bin =
            |place: usize, interval| Bin { place, count: 3, predicted: 0.1 * place as f64, observed: 0.5, interval };
        let bins = vec![bin(1, Some((0.2, 0.8))), bin(4, None)];
        let svg = calibration(&[Reliability { label: "m".into(), colour: 0, bins }], "ill").unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        // The ground and a bar for each bin.
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("predicted probability of ill"));
    }
}
