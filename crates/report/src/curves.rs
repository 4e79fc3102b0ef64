//! ROC and precision-recall curves, with pointwise intervals by bootstrap over patients.
//!
//! | curve | corner at a threshold | between two thresholds |
//! |---|---|---|
//! | ROC | (FP / negatives, TP / positives) | straight, so that ties count one half (Fawcett 2006) |
//! | precision-recall | (TP / positives, TP / (TP + FP)) | a step: the precision of the next threshold, as in average precision |
//!
//! Average precision: sum over thresholds from the highest of (recall - recall before) * precision; no interpolation, which
//! would be too kind (Davis and Goadrich 2006). Several runs are averaged vertically, at the same specificity or the same
//! recall; the area under the mean curve is the mean of the areas. A resample counts whole patients (see
//! [`crate::intervals`]) and takes the mean over the runs, so the band is that of the thick curve.

use rayon::prelude::*;

use crate::auc::Ranking;
use crate::estimate::{Estimate, Interval};
use crate::intervals::{percentile, resample, too_few};
use crate::predictions::Predictions;

/// Steps of the grid of specificities, and of recalls, at which bands and means are taken.
pub const STEPS: usize = 100;
/// Why there is no curve of a one-class set.
pub const ONE_CLASS: &str = "one class only";

/// The patients drawn in each resample: the same as those behind every other interval of the report.
pub struct Resamples {
    /// How often each patient counts, by resample; empty if patients cannot be resampled.
    pub weights: Vec<Vec<u32>>,
    /// Level of the intervals, 0..1.
    pub confidence: f64,
}

impl Resamples {
    /// Draws `count` resamples of patients within class.
    pub fn new(predictions: &Predictions, count: usize, seed: u64, confidence: f64) -> Self {
        let (strata, patients) = (predictions.strata(), predictions.patients.len());
        let count = if too_few(&strata).is_some() { 0 } else { count };
        let weights = (0..count).into_par_iter().map(|index| resample(&strata, patients, seed, index)).collect();
        Self { weights, confidence }
    }

    /// What `statistics` gives in each resample.
    pub fn each<T: Send>(&self, statistics: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        self.weights.par_iter().map(|weights| statistics(weights)).collect()
    }

    /// The interval of one statistic from its values in the resamples.
    ///
    /// # Errors
    /// Why there is none.
    pub fn interval(&self, values: &[Option<f64>]) -> Interval {
        if self.weights.is_empty() {
            return Err("patients cannot be resampled".to_owned());
        }
        percentile(values, self.confidence)
    }
}

/// (x, y) corners.
pub type Corners = Vec<(f64, f64)>;

/// One curve of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The curve of each run.
    pub runs: Vec<Corners>,
    /// Their mean; of one run the same curve.
    pub mean: Corners,
    /// (x, low, high) of the mean; empty if patients cannot be resampled.
    pub band: Vec<(f64, f64, f64)>,
}

/// A method's scores with what the resamples make of them.
pub struct Scored<'a> {
    runs: &'a [Ranking],
    thick: &'a [Ranking],
    resamples: &'a Resamples,
    /// Weights of the two sides with every patient once.
    once: [Vec<u64>; 2],
    /// See [`averaged`].
    value: Vec<f64>,
    /// The same in each resample.
    draws: Vec<Vec<f64>>,
}

/// Weights of the two sides, by unit.
fn sides(positive: &[bool], weights: &[u32]) -> [Vec<u64>; 2] {
    [true, false].map(|side| {
        positive.iter().zip(weights).map(|(is, weight)| if *is == side { u64::from(*weight) } else { 0 }).collect()
    })
}

/// Corners of the ROC curve from the counts of [`Ranking::above`], both sides with weight.
pub fn roc(above: &[(u64, u64)]) -> Corners {
    let Some((positives, negatives)) = above.last() else { return Vec::new() };
    let corner = |(hits, alarms): &(u64, u64)| (*alarms as f64 / *negatives as f64, *hits as f64 / *positives as f64);
    above.iter().map(corner).collect()
}

/// (recall, precision) at each threshold from the highest down, at which anything is called positive.
pub fn precision_recall(above: &[(u64, u64)]) -> Corners {
    let positives = above.last().map_or(0, |last| last.0) as f64;
    let called = above.iter().filter(|(hits, alarms)| hits + alarms > 0);
    called.map(|(hits, alarms)| (*hits as f64 / positives, *hits as f64 / (hits + alarms) as f64)).collect()
}

/// Average precision of such points.
pub fn average_precision(points: &[(f64, f64)]) -> f64 {
    let mut before = 0.0;
    let term = |(recall, precision): &(f64, f64)| {
        let rise = recall - before;
        before = *recall;
        rise * precision
    };
    points.iter().map(term).sum()
}

/// The steps of such points, as a line: recall rises at the precision of the threshold that is reached.
fn stairs(points: &[(f64, f64)]) -> Corners {
    let (mut line, mut before) = (Vec::new(), 0.0);
    for (recall, precision) in points.iter().filter(|(recall, _)| *recall > 0.0) {
        if *recall > before {
            line.extend([(before, *precision), (*recall, *precision)]);
            before = *recall;
        }
    }
    line
}

/// Sensitivity at each 1 - specificity of the grid: the highest there, on the straight line between two corners.
fn sensitivities(corners: &[(f64, f64)]) -> Vec<f64> {
    let mut place = 0;
    let at = |step: usize| {
        let x = step as f64 / STEPS as f64;
        while place + 1 < corners.len() && corners[place + 1].0 <= x {
            place += 1;
        }
        let (left, y) = corners[place];
        corners.get(place + 1).map_or(y, |(right, next)| y + (next - y) * (x - left) / (right - left))
    };
    (0..=STEPS).map(at).collect()
}

/// Precision at each recall of the grid: that of the first threshold that reaches it.
fn precisions(points: &[(f64, f64)]) -> Vec<f64> {
    let mut place = 0;
    let at = |step: usize| {
        let x = step as f64 / STEPS as f64;
        while place + 1 < points.len() && points[place].0 < x {
            place += 1;
        }
        points[place].1
    };
    (0..=STEPS).map(at).collect()
}

/// What is averaged over the runs: sensitivities, precisions, average precision, end to end.
fn averaged(rankings: &[Ranking], [positive, negative]: &[Vec<u64>; 2]) -> Vec<f64> {
    let mut sum = vec![0.0; 2 * (STEPS + 1) + 1];
    for ranking in rankings {
        let above = ranking.above(positive, negative);
        let points = precision_recall(&above);
        let values = sensitivities(&roc(&above)).into_iter().chain(precisions(&points));
        sum.iter_mut().zip(values.chain([average_precision(&points)])).for_each(|(sum, value)| *sum += value);
    }
    sum.iter().map(|sum| sum / rankings.len() as f64).collect()
}

fn x(step: usize) -> f64 {
    step as f64 / STEPS as f64
}

/// Place of the precisions, and of the average precision, in what [`averaged`] gives.
const PRECISIONS: usize = STEPS + 1;
const AVERAGE: usize = 2 * (STEPS + 1);

impl<'a> Scored<'a> {
    /// Ranks by patient: thin curves are those of `runs`, the thick one is the mean of those of `thick`. `positive` says of each
    /// patient whether it counts as one.
    ///
    /// # Errors
    /// One side has no patient.
    pub fn new(
        runs: &'a [Ranking],
        thick: &'a [Ranking],
        positive: &[bool],
        resamples: &'a Resamples,
    ) -> Result<Self, &'static str> {
        if thick.is_empty() || positive.iter().all(|is| *is) || positive.iter().all(|is| !is) {
            return Err(ONE_CLASS);
        }
        let once = sides(positive, &vec![1; positive.len()]);
        let value = averaged(thick, &once);
        let draws = resamples.each(|weights| averaged(thick, &sides(positive, weights)));
        Ok(Self { runs, thick, resamples, once, value, draws })
    }

    fn above(&self, ranking: &Ranking) -> Vec<(u64, u64)> {
        ranking.above(&self.once[0], &self.once[1])
    }

    fn interval(&self, place: usize) -> Interval {
        let values: Vec<Option<f64>> = self.draws.iter().map(|draw| Some(draw[place])).collect();
        self.resamples.interval(&values)
    }

    fn band(&self, from: usize) -> Vec<(f64, f64, f64)> {
        // The same in every resample: a band without width.
        let ends = |place: usize| self.interval(place).unwrap_or((self.value[place], self.value[place]));
        let steps = 0..if self.draws.is_empty() { 0 } else { STEPS + 1 };
        let at = |step: usize| {
            let (low, high) = ends(from + step);
            (x(step), low, high)
        };
        steps.into_par_iter().map(at).collect()
    }

    fn grid(&self, from: usize) -> Corners {
        (0..=STEPS).map(|step| (x(step), self.value[from + step])).collect()
    }

    /// Sensitivity against 1 - specificity.
    pub fn roc(&self) -> Curve {
        let exact = |ranking: &Ranking| roc(&self.above(ranking));
        let mean = match self.thick {
            [only] => exact(only),
            _ => [(0.0, 0.0)].into_iter().chain(self.grid(0)).collect(),
        };
        Curve { runs: self.runs.iter().map(exact).collect(), mean, band: self.band(0) }
    }

    /// Precision against recall.
    pub fn precision(&self) -> Curve {
        let exact = |ranking: &Ranking| stairs(&precision_recall(&self.above(ranking)));
        let mean = match self.thick {
            [only] => exact(only),
            _ => stairs(&self.grid(PRECISIONS)),
        };
        Curve { runs: self.runs.iter().map(exact).collect(), mean, band: self.band(PRECISIONS) }
    }

    /// Average precision of `n` items.
    pub fn average_precision(&self, n: u64) -> Estimate {
        Estimate { value: Ok(self.value[AVERAGE]), interval: Some(self.interval(AVERAGE)), n, fraction: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positives 0.8, 0.5; negatives 0.5, 0.1. Thresholds: 0.8 (1 of 1), 0.5 (2 of 3), 0.1 (2 of 4).
    fn above() -> Vec<(u64, u64)> {
        Ranking::new(&[0.8, 0.5, 0.5, 0.1], &[0, 1, 2, 3]).above(&[1, 1, 0, 0], &[0, 0, 1, 1])
    }

    #[test]
    fn corners_by_hand() {
        assert_eq!(roc(&above()), [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        let points = precision_recall(&above());
        assert_eq!(points, [(0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
        assert_eq!(average_precision(&points), 0.5 + 0.5 * 2.0 / 3.0);
        assert_eq!(stairs(&points), [(0.0, 1.0), (0.5, 1.0), (0.5, 2.0 / 3.0), (1.0, 2.0 / 3.0)]);
    }

    #[test]
    fn the_grid_by_hand() {
        let at = sensitivities(&roc(&above()));
        // The tie is a straight line from (0, 0.5) to (0.5, 1).
        assert_eq!((at[0], at[25], at[50], at[100]), (0.5, 0.75, 1.0, 1.0));
        let at = precisions(&precision_recall(&above()));
        assert_eq!((at[0], at[50], at[51], at[100]), (1.0, 1.0, 2.0 / 3.0, 2.0 / 3.0));
    }

    #[test]
    fn bands_hold_the_curve_and_the_mean_of_two_runs_is_vertical() {
        let scores: Vec<f64> = (0..40).map(|i| f64::from(i * 17 % 40) / 40.0 + f64::from(i % 2) * 0.3).collect();
        let units: Vec<usize> = (0..40).collect();
        let positive: Vec<bool> = (0..40).map(|i| i % 2 == 1).collect();
        let strata = [(0..40).step_by(2).collect::<Vec<_>>(), (1..40).step_by(2).collect()];
        let weights = (0..200).map(|index| resample(&strata, 40, 1, index)).collect();
        let resamples = Resamples { weights, confidence: 0.95 };
        let runs = [Ranking::new(&scores, &units), Ranking::new(&[0.5; 40], &units)];
        let one = Scored::new(&runs[..1], &runs[..1], &positive, &resamples).unwrap();
        let (one_roc, one_area) = (one.roc(), one.average_precision(40));
        let inside = |step: usize| {
            let (_, low, high) = one_roc.band[step];
            let value = sensitivities(&one_roc.mean)[step];
            low <= value && value <= high && (!(10..=60).contains(&step) || low < high)
        };
        assert!((0..=STEPS).all(inside));
        let (low, high) = one_area.ends().unwrap();
        let value = one_area.defined().unwrap();
        assert!(low < value && value < high);
        // A run that gives everyone one score has the diagonal and a precision of one half.
        let two = Scored::new(&runs, &runs, &positive, &resamples).unwrap();
        let half = |a: f64, b: f64| (a + b) / 2.0;
        let expected = half(sensitivities(&one_roc.mean)[30], 0.3);
        assert!((two.roc().mean[31].1 - expected).abs() < 1e-12);
        assert!((two.average_precision(40).defined().unwrap() - half(value, 0.5)).abs() < 1e-12);
        assert!(Scored::new(&runs, &runs, &[true; 40], &resamples).is_err_and(|reason| reason == ONE_CLASS));
    }
}
