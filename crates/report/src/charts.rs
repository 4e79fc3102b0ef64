//! Charts as SVG: ROC curves, training curves, differences with their intervals.
//!
//! plotters rounds to whole pixels, so charts are drawn large and scaled by their view box. Black and white are used
//! for text and ground alone, so that the page can swap them in the dark; the colours of the series are readable on
//! both.

use plotters::coord::Shift;
use plotters::prelude::*;

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

/// The colour of series `index`.
pub fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Runs `draw` on a fresh canvas of `size` pixels and returns the SVG.
fn svg(
    what: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String, Error> {
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

const FONT: &str = "sans-serif";

fn label_style() -> TextStyle<'static> {
    (FONT, 36).into_font().color(&BLACK)
}

/// One ROC curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Text of the legend; empty for a further seed of the method before.
    pub label: String,
    /// Index of the colour.
    pub colour: usize,
    /// (1 - specificity, sensitivity), from (0, 0) to (1, 1).
    pub points: Vec<(f64, f64)>,
    /// Where the decisions stand on the curve.
    pub operating: Option<(f64, f64)>,
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

/// ROC curves with the diagonal of chance.
///
/// # Errors
/// plotters refuses.
pub fn roc(curves: &[Curve]) -> Result<String, Error> {
    svg("the ROC curves", (1400, 1300), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(24)
            .x_label_area_size(90)
            .y_label_area_size(110)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart
            .configure_mesh()
            .x_desc("1 - specificity")
            .y_desc("sensitivity")
            .x_labels(6)
            .y_labels(6)
            .label_style(label_style())
            .axis_desc_style(label_style())
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(128, 128, 128).mix(0.35))
            .axis_style(BLACK)
            .draw()?;
        chart.draw_series(DashedLineSeries::new(
            [(0.0, 0.0), (1.0, 1.0)],
            12,
            12,
            RGBColor(128, 128, 128).stroke_width(3),
        ))?;
        for curve in curves {
            let style = colour(curve.colour).stroke_width(if curve.label.is_empty() { 2 } else { 5 });
            let series = chart.draw_series(LineSeries::new(thin(&curve.points), style))?;
            if !curve.label.is_empty() {
                series.label(&curve.label).legend(move |(x, y)| PathElement::new([(x, y), (x + 50, y)], style));
            }
            chart.draw_series(curve.operating.map(|point| Circle::new(point, 12, colour(curve.colour).filled())))?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

type Chart<'a> = ChartContext<
    'a,
    SVGBackend<'a>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn legend<'a>(chart: &mut Chart<'a>, position: SeriesLabelPosition) -> Result<(), Box<dyn std::error::Error>> {
    chart
        .configure_series_labels()
        .position(position)
        .margin(24)
        .legend_area_size(70)
        .background_style(WHITE)
        .border_style(RGBColor(128, 128, 128).mix(0.5))
        .label_font(label_style())
        .draw()?;
    Ok(())
}

/// One line of a training chart: a value for each epoch, the epochs counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Text of the legend.
    pub label: &'static str,
    /// Index of the colour.
    pub colour: usize,
    /// (epoch, value).
    pub points: Vec<(f64, f64)>,
}

/// Training curves of one method: losses above; shares, and alpha, below.
///
/// # Errors
/// plotters refuses.
pub fn training(losses: &[Series], shares: &[Series]) -> Result<String, Error> {
    let all = || losses.iter().chain(shares).flat_map(|series| &series.points);
    let epochs = all().map(|point| point.0).fold(1.0, f64::max);
    let highest = losses.iter().flat_map(|series| &series.points).map(|point| point.1).fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    svg("the training curves", (1400, 1200), |area| {
        let (above, below) = area.split_vertically(630);
        panel(&above, losses, epochs, top, "", "loss", SeriesLabelPosition::UpperRight)?;
        panel(&below, shares, epochs, 1.0, "epoch", "share", SeriesLabelPosition::MiddleRight)
    })
}

fn panel(
    area: &Area,
    series: &[Series],
    epochs: f64,
    top: f64,
    x: &str,
    y: &str,
    position: SeriesLabelPosition,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(20)
        .x_label_area_size(if x.is_empty() { 50 } else { 90 })
        .y_label_area_size(110)
        .build_cartesian_2d(1.0..epochs.max(2.0), 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(10)
        .y_labels(5)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .label_style(label_style())
        .axis_desc_style(label_style())
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(128, 128, 128).mix(0.35))
        .axis_style(BLACK)
        .draw()?;
    for one in series.iter().filter(|one| !one.points.is_empty()) {
        let style = colour(one.colour).stroke_width(5);
        chart
            .draw_series(LineSeries::new(one.points.iter().copied(), style))?
            .label(one.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 50, y)], style));
        // A study of one epoch has points and no lines.
        if let [only] = one.points[..] {
            chart.draw_series([Circle::new(only, 10, style.filled())])?;
        }
    }
    if series.iter().all(|one| one.points.is_empty()) {
        return Ok(());
    }
    legend(&mut chart, position)
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
        let curve = Curve {
            label: "a <b>".into(),
            colour: 0,
            points: vec![(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)],
            operating: None,
        };
        let first = roc(std::slice::from_ref(&curve)).unwrap();
        assert_eq!(first, roc(&[curve]).unwrap());
        assert!(first.starts_with("<svg") && first.contains("a &lt;b&gt;"));
        let series = Series { label: "loss", colour: 0, points: vec![(1.0, 0.5)] };
        assert!(training(&[series], &[]).unwrap().contains("loss"));
    }
}
