//! One run's slices, folded up by patient so that any weighting of the patients is tallied quickly.
//!
//! A bootstrap resample, a fold and the whole set are all weightings: how often each patient counts.

use crate::auc::Ranking;
use crate::calibration::{self, BINS};
use crate::measure;
use crate::metrics::{Tally, brier_term, decide};
use crate::predictions::{Predictions, Run};

/// Sum over slices, and number of slices, of each measure of attention.
pub type Sums = [(f64, u64); measure::COUNT];

/// The slices of one run.
pub struct Sample {
    classes: usize,
    positive: usize,
    /// Class of each patient.
    labels: Vec<usize>,
    /// (patients, K): slices of the patient by decision.
    decided: Vec<u64>,
    /// Sum of the Brier terms by patient.
    brier: Vec<f64>,
    /// (classes assessed, patients): sums of (y - p) by bin of p.
    calibration: Vec<Vec<[f64; BINS]>>,
    /// Sum and number of each measure of attention, by patient; empty if nothing was measured.
    attention: Vec<Sums>,
    /// Slices ranked by the probability of each class assessed.
    rankings: Vec<(usize, Ranking)>,
}

impl Sample {
    /// Folds up a run.
    pub fn new(predictions: &Predictions, run: &Run, positive: usize) -> Self {
        let classes = predictions.classes;
        let patients = predictions.patients.len();
        let mut sample = Self {
            classes,
            positive,
            labels: predictions.patients.iter().map(|patient| patient.label).collect(),
            decided: vec![0; patients * classes],
            brier: vec![0.0; patients],
            calibration: Vec::new(),
            attention: attention(predictions, run),
            rankings: Vec::new(),
        };
        for (slice, prob) in predictions.slices.iter().zip(run.prob.chunks_exact(classes)) {
            let patient = slice.patient;
            sample.decided[patient * classes + decide(prob, positive)] += 1;
            sample.brier[patient] += brier_term(prob, sample.labels[patient], positive);
        }
        let units: Vec<usize> = predictions.slices.iter().map(|slice| slice.patient).collect();
        let ranking = |class: usize| {
            let scores: Vec<f64> = run.prob.iter().skip(class).step_by(classes).copied().collect();
            (class, Ranking::new(&scores, &units))
        };
        // The positive class, or all if there are more than two.
        let assessed = if classes == 2 { positive..positive + 1 } else { 0..classes };
        sample.rankings = assessed.clone().map(ranking).collect();
        sample.calibration = assessed.map(|class| calibration(predictions, run, class)).collect();
        sample
    }

    /// The slices ranked by the probability of the positive class.
    pub fn ranking(&self) -> &Ranking {
        let found = self.rankings.iter().find(|(class, _)| *class == self.positive);
        &found.expect("the positive class is always ranked").1
    }

    /// The tally when patient p counts `weights[p]` times.
    pub fn tally(&self, weights: &[u32]) -> Tally {
        let mut tally = Tally {
            classes: self.classes,
            positive: self.positive,
            confusion: vec![0; self.classes * self.classes],
            brier: 0.0,
            calibration: vec![[0.0; BINS]; self.calibration.len()],
            auc: vec![None; self.classes],
        };
        for (patient, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let row = self.labels[patient] * self.classes;
            for class in 0..self.classes {
                tally.confusion[row + class] += u64::from(*weight) * self.decided[patient * self.classes + class];
            }
            tally.brier += f64::from(*weight) * self.brier[patient];
            for (total, sums) in tally.calibration.iter_mut().zip(&self.calibration) {
                total.iter_mut().zip(&sums[patient]).for_each(|(total, sum)| *total += f64::from(*weight) * sum);
            }
        }
        for (class, ranking) in &self.rankings {
            let side = |(label, weight): (&usize, &u32)| if label == class { [0, *weight] } else { [*weight, 0] };
            tally.auc[*class] = ranking.auc(&self.labels.iter().zip(weights).map(side).collect::<Vec<_>>());
        }
        tally
    }

    /// The measures of attention when patient p counts `weights[p]` times.
    pub fn attention(&self, weights: &[u32]) -> Sums {
        let mut total = [(0.0, 0); measure::COUNT];
        for (sums, weight) in self.attention.iter().zip(weights).filter(|(_, weight)| **weight > 0) {
            for (total, (sum, count)) in total.iter_mut().zip(sums) {
                total.0 += f64::from(*weight) * sum;
                total.1 += u64::from(*weight) * count;
            }
        }
        total
    }
}

/// Sums of (y - p) of a class by patient and bin of p.
fn calibration(predictions: &Predictions, run: &Run, class: usize) -> Vec<[f64; BINS]> {
    let mut sums = vec![[0.0; BINS]; predictions.patients.len()];
    for (slice, prob) in predictions.slices.iter().zip(run.prob.chunks_exact(predictions.classes)) {
        let truth = f64::from(u8::from(predictions.patients[slice.patient].label == class));
        sums[slice.patient][calibration::bin(prob[class])] += truth - prob[class];
    }
    sums
}

/// The measures of attention of a run, folded up by patient; empty if there are none.
fn attention(predictions: &Predictions, run: &Run) -> Vec<Sums> {
    if run.attention.iter().flatten().all(Option::is_none) {
        return Vec::new();
    }
    let mut sums = vec![[(0.0, 0); measure::COUNT]; predictions.patients.len()];
    for (slice, measures) in predictions.slices.iter().zip(&run.attention) {
        for ((sum, count), value) in sums[slice.patient].iter_mut().zip(measures) {
            *sum += value.unwrap_or(0.0);
            *count += u64::from(value.is_some());
        }
    }
    sums
}
