//! Calibration of the positive class's probability: of the predictions in a bin, how many were of the positive class?
//!
//! The bins are those of the calibration error, [`crate::calibration`]. Predictions of all runs are taken together. A resample counts whole patients (see [`crate::intervals`]); those in which a bin is
//! empty say nothing of it.

use crate::calibration::{BINS, bin as place};
use crate::curves::Resamples;
use crate::predictions::{Predictions, Run};

/// Share of the resamples in which a bin must hold predictions, or it has no interval.
pub const ENOUGH: f64 = 0.95;

/// A bin that holds predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Bin {
    /// Its place, from 0.
    pub place: usize,
    /// Predictions in it.
    pub count: u64,
    /// Their mean probability.
    pub predicted: f64,
    /// Share of them that are of the positive class.
    pub observed: f64,
    /// Interval of that share.
    pub interval: Option<(f64, f64)>,
}

/// The bins that hold predictions, ascending. `positive` says which patients are of the positive class, `class`.
pub fn bins(
    predictions: &Predictions,
    runs: &[Run],
    class: usize,
    positive: &[bool],
    resamples: &Resamples,
) -> Vec<Bin> {
    // By patient and bin: predictions, and the sum of their probabilities.
    let mut held = vec![[(0_u64, 0.0); BINS]; positive.len()];
    for run in runs {
        for (slice, prob) in predictions.slices.iter().zip(run.prob.chunks_exact(predictions.classes)) {
            let (count, sum) = &mut held[slice.patient][place(prob[class])];
            *count += 1;
            *sum += prob[class];
        }
    }
    let observed = |place: usize, weights: &[u32]| {
        let counted = held.iter().zip(positive).zip(weights).map(|((bins, is), weight)| {
            let count = u64::from(*weight) * bins[place].0;
            (count, if *is { count } else { 0 })
        });
        let (all, hits) = counted.fold((0, 0), |(all, hits), (count, hit)| (all + count, hits + hit));
        (all > 0).then(|| hits as f64 / all as f64)
    };
    let once = vec![1; positive.len()];
    let bin = |place: usize| {
        let (count, sum) = held.iter().fold((0, 0.0), |(n, sum), bins| (n + bins[place].0, sum + bins[place].1));
        let share = observed(place, &once)?;
        let interval = interval(&resamples.each(|weights| observed(place, weights)), resamples);
        Some(Bin { place, count, predicted: sum / count as f64, observed: share, interval })
    };
    (0..BINS).filter_map(bin).collect()
}

fn interval(draws: &[Option<f64>], resamples: &Resamples) -> Option<(f64, f64)> {
    let defined: Vec<Option<f64>> = draws.iter().copied().filter(Option::is_some).collect();
    let enough = defined.len() as f64 >= ENOUGH * draws.len() as f64;
    if enough { resamples.interval(&defined).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_without_enough_resamples_has_no_interval() {
        let resamples = Resamples { weights: vec![vec![]; 100], confidence: 0.95 };
        let draws = |missing: usize| -> Vec<Option<f64>> {
            (0..100).map(|i| (i >= missing).then_some(i as f64 / 100.0)).collect()
        };
        assert!(interval(&draws(5), &resamples).is_some());
        assert!(interval(&draws(6), &resamples).is_none());
        assert!(interval(&[Some(0.5); 100], &resamples).is_none());
    }
}
