//! What went on in training: losses and shares by epoch with the schedule of alpha, and the attention of several methods.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Area, Axis, BELOW, Chart, Entry, Failure, GREY, MARGIN, Mark, TEXT, THICK, WIDTH, band, colour, fitting, frame,
    legend, legend_height, line, style, svg,
};
use crate::error::Error;

/// One line: a value for each epoch, the epochs counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Text of the legend.
    pub label: String,
    /// Index of the colour.
    pub colour: usize,
    /// (epoch, value).
    pub points: Vec<(f64, f64)>,
    /// (epoch, lowest, highest) over the runs; empty for none.
    pub band: Vec<(f64, f64, f64)>,
}

/// The schedule of alpha: a value for each epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alpha(pub Vec<(f64, f64)>);

/// With more changes than this the schedule is a slope, and no single change is marked.
const FEW: usize = 3;
/// Height of a panel, of the words above it.
const PANEL: u32 = 500;
const WORDS: u32 = 44;

impl Alpha {
    /// Where it changes: half an epoch after the epoch before, from, to.
    pub fn changes(&self) -> Vec<(f64, f64, f64)> {
        let pairs = self.0.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        pairs.map(|pair| ((pair[0].0 + pair[1].0) / 2.0, pair[0].1, pair[1].1)).collect()
    }

    /// In words: "constant 0.5", "0.9, then 0.1 from epoch 6", "from 0.9 to 0.1". None without alpha.
    pub fn words(&self) -> Option<String> {
        self.told(|to, at| format!(", then {to} from epoch {}", at.ceil()))
    }

    /// The same without the epochs, which the chart shows.
    fn label(&self) -> Option<String> {
        self.told(|to, _| format!(", then {to}")).map(|words| format!("alpha: {words}"))
    }

    fn told(&self, change: impl Fn(String, f64) -> String) -> Option<String> {
        let ((_, first), (_, last)) = (self.0.first()?, self.0.last()?);
        let changes = self.changes();
        Some(match changes.len() {
            0 => format!("constant {}", short(*first)),
            1..=FEW => {
                let then = changes.iter().map(|(at, _, to)| change(short(*to), *at));
                short(*first) + &then.collect::<String>()
            }
            _ => format!("from {} to {}", short(*first), short(*last)),
        })
    }

    /// As the steps it is made of: a value holds from half an epoch before to half an epoch after. A slope is left as it is.
    fn drawn(&self) -> Vec<(f64, f64)> {
        let (first, last) = (self.0.first().map_or(1.0, |point| point.0), self.0.last().map_or(1.0, |point| point.0));
        if self.changes().len() > FEW {
            return self.0.clone();
        }
        let step =
            |(epoch, value): &(f64, f64)| [((epoch - 0.5).max(first), *value), ((epoch + 0.5).min(last), *value)];
        self.0.iter().flat_map(step).collect()
    }
}

/// A number of a schedule, no longer than it must be.
fn short(value: f64) -> String {
    let text = crate::format::fixed(value, 3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Training curves of one method: losses above; shares, and alpha, below.
///
/// # Errors
/// plotters refuses.
pub fn training(losses: &[Series], shares: &[Series], alpha: &Alpha) -> Result<String, Error> {
    let highest = losses.iter().flat_map(|series| &series.points).map(|point| point.1).fold(0.0, f64::max);
    let loss =
        Axis { name: "loss", range: 0.0..if highest > 0.0 { highest * 1.05 } else { 1.0 }, labels: 5, decimals: 1 };
    let epochs = losses.iter().chain(shares).flat_map(|series| &series.points).map(|point| point.0).fold(2.0, f64::max);
    let words = alpha.label();
    let (over, under) = (legend_height(losses.len(), 2), legend_height(shares.len() + usize::from(words.is_some()), 2));
    let bottom = PANEL + BELOW as u32 - WORDS;
    svg("the training curves", (WIDTH, over + WORDS + PANEL + under + bottom), |area| {
        let (head, rest) = area.split_vertically(over + WORDS);
        let (above, rest) = rest.split_vertically(PANEL);
        let (between, below) = rest.split_vertically(under);
        legend(&head, &entries(losses), 2)?;
        let schedule = words.as_ref().map(|label| Entry { label, colour: BLACK, mark: Mark::Line(3) });
        legend(&between, &entries(shares).into_iter().chain(schedule).collect::<Vec<_>>(), 2)?;
        let mut upper = frame(&above, &axis("", epochs), &loss)?;
        let mut lower = frame(&below, &axis("epoch", epochs), &super::share("share"))?;
        marks(area, &mut upper, loss.range.end, alpha, true)?;
        marks(area, &mut lower, 1.0, alpha, false)?;
        draw(&mut upper, losses)?;
        draw(&mut lower, shares)?;
        line(&mut lower, &alpha.drawn(), BLACK.stroke_width(3))
    })
}

/// Percentages of each method, epoch by epoch, with the area between the lowest and the highest run. `levels` are values to hold
/// them against.
///
/// # Errors
/// plotters refuses.
pub fn methods(name: &str, methods: &[Series], levels: &[(String, f64)]) -> Result<String, Error> {
    let bands = methods.iter().flat_map(|one| &one.band).map(|(_, _, high)| *high);
    let highest = bands.chain(levels.iter().map(|level| level.1)).fold(0.0, f64::max);
    let y = Axis { name, range: 0.0..if highest > 0.0 { highest * 1.1 } else { 1.0 }, labels: 6, decimals: 0 };
    let epochs = methods.iter().flat_map(|one| &one.points).map(|point| point.0).fold(2.0, f64::max);
    let rows = methods.len() + levels.len();
    let top = legend_height(rows, 1);
    svg("attention by epoch", (WIDTH, top + PANEL + 160), |area| {
        let (head, below) = area.split_vertically(top);
        let level = |(label, _): &'_ (String, f64)| (label.clone(), GREY);
        let grey: Vec<_> = levels.iter().map(level).collect();
        let more = grey.iter().enumerate().map(|(place, (label, colour))| Entry {
            label,
            colour: *colour,
            mark: Mark::Line(if place == 0 { 2 } else { 4 }),
        });
        legend(&head, &entries(methods).into_iter().chain(more).collect::<Vec<_>>(), 1)?;
        let mut chart = frame(&below, &axis("epoch", epochs), &y)?;
        for (place, (_, value)) in levels.iter().enumerate() {
            line(&mut chart, &[(1.0, *value), (epochs, *value)], GREY.stroke_width(if place == 0 { 2 } else { 4 }))?;
        }
        draw(&mut chart, methods)
    })
}

fn axis(name: &str, epochs: f64) -> Axis<'_> {
    Axis { name, range: 1.0..epochs, labels: (epochs as usize).min(10), decimals: 0 }
}

fn entries(series: &[Series]) -> Vec<Entry<'_>> {
    series.iter().map(|one| Entry { label: &one.label, colour: colour(one.colour), mark: Mark::Line(THICK) }).collect()
}

fn draw(chart: &mut Chart, series: &[Series]) -> Result<(), Failure> {
    for one in series {
        band(chart, &one.band, colour(one.colour))?;
    }
    for one in series {
        line(chart, &one.points, colour(one.colour).stroke_width(THICK))?;
    }
    Ok(())
}

/// A vertical line where alpha changes, and what it changes to above it if it `says` so.
fn marks(area: &Area, chart: &mut Chart, top: f64, alpha: &Alpha, says: bool) -> Result<(), Failure> {
    let changes = alpha.changes();
    for (at, from, to) in changes.iter().filter(|_| changes.len() <= FEW) {
        line(chart, &[(*at, 0.0), (*at, top)], BLACK.stroke_width(2))?;
        if says {
            let text = format!("alpha {} to {}", short(*from), short(*to));
            let (x, y) = chart.backend_coord(&(*at, top));
            let size = fitting(TEXT * 0.9, &text, 300);
            let inside = x.clamp(150 + MARGIN, WIDTH as i32 - 150);
            area.draw(&Text::new(text, (inside, y - 6), style(size, HPos::Center, VPos::Bottom)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alpha(values: &[f64]) -> Alpha {
        Alpha(values.iter().enumerate().map(|(place, value)| ((place + 1) as f64, *value)).collect())
    }

    #[test]
    fn schedules_in_words() {
        // The paper's rule for five epochs: 0.9 for n = 1, 2; 0.1 from n = 3.
        let step = alpha(&[0.9, 0.9, 0.1, 0.1, 0.1]);
        assert_eq!(step.changes(), [(2.5, 0.9, 0.1)]);
        assert_eq!(step.words().unwrap(), "0.9, then 0.1 from epoch 3");
        assert_eq!(alpha(&[0.5; 4]).words().unwrap(), "constant 0.5");
        assert_eq!(alpha(&[0.9, 0.7, 0.5, 0.3, 0.1]).words().unwrap(), "from 0.9 to 0.1");
        assert_eq!(Alpha::default().words(), None);
        assert_eq!(alpha(&[0.9, 0.1]).drawn(), [(1.0, 0.9), (1.5, 0.9), (1.5, 0.1), (2.0, 0.1)]);
    }

    #[test]
    fn the_change_is_marked_and_a_constant_is_in_the_legend() {
        let series = |label: &str| Series {
            label: label.into(),
            colour: 0,
            points: (1..=5).map(|epoch| (f64::from(epoch), 0.5)).collect(),
            band: Vec::new(),
        };
        let svg = training(&[series("loss")], &[series("accuracy")], &alpha(&[0.9, 0.9, 0.1, 0.1, 0.1])).unwrap();
        assert!(svg.contains("\nalpha 0.9 to 0.1\n") && svg.contains("\nalpha: 0.9, then 0.1\n"));
        let svg = training(&[series("loss")], &[series("accuracy")], &alpha(&[0.5; 5])).unwrap();
        assert!(svg.contains("\nalpha: constant 0.5\n") && !svg.contains("alpha 0."));
    }
}
