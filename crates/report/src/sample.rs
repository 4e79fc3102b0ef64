//! One run's slices, folded up by patient so that any weighting of the patients is tallied quickly.
//!
//! A bootstrap resample, a fold and the whole set are all weightings: how often each patient counts.

use crate::auc::Ranking;
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
    /// Sum and number of each measure of attention, by patient; empty if nothing was measured.
    attention: Vec<Sums>,
    /// Slices ranked by the probability of a class: the positive one, or all if there are more than two.
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
        let ranked = if classes == 2 { positive..positive + 1 } else { 0..classes };
        sample.rankings = ranked.map(ranking).collect();
        sample
    }

    /// The tally when patient p counts `weights[p]` times.
    pub fn tally(&self, weights: &[u32]) -> Tally {
        let mut tally = Tally {
            classes: self.classes,
            positive: self.positive,
            confusion: vec![0; self.classes * self.classes],
            brier: 0.0,
            auc: vec![None; self.classes],
        };
        for (patient, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let row = self.labels[patient] * self.classes;
            for class in 0..self.classes {
                tally.confusion[row + class] += u64::from(*weight) * self.decided[patient * self.classes + class];
            }
            tally.brier += f64::from(*weight) * self.brier[patient];
        }
        for (class, ranking) in &self.rankings {
            let side = |is_class: bool| -> Vec<u64> {
                let weight = |(label, weight): (&usize, &u32)| if (label == class) == is_class { *weight } else { 0 };
                self.labels.iter().zip(weights).map(weight).map(u64::from).collect()
            };
            tally.auc[*class] = ranking.auc(&side(true), &side(false));
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

/// The patient level of one run or of several averaged: the mean of the softmax over all slices of a patient.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientScores {
    /// Number of classes.
    pub classes: usize,
    /// (patients, K) mean probabilities.
    pub prob: Vec<f64>,
}

impl PatientScores {
    /// Mean over the slices of each patient, then over the runs. Each run has every slice once, so this is also the
    /// mean over all slices of all runs.
    pub fn new(predictions: &Predictions, runs: &[&Run]) -> Self {
        let classes = predictions.classes;
        let mut prob = vec![0.0; predictions.patients.len() * classes];
        let mut slices = vec![0_u64; predictions.patients.len()];
        for run in runs {
            for (slice, values) in predictions.slices.iter().zip(run.prob.chunks_exact(classes)) {
                slices[slice.patient] += 1;
                let sums = &mut prob[slice.patient * classes..][..classes];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        for (sums, count) in prob.chunks_exact_mut(classes).zip(&slices) {
            sums.iter_mut().for_each(|sum| *sum /= *count as f64);
        }
        Self { classes, prob }
    }

    /// The decision for each patient.
    pub fn decisions(&self, positive: usize) -> Vec<usize> {
        self.prob.chunks_exact(self.classes).map(|prob| decide(prob, positive)).collect()
    }

    /// The mean probability of one class, by patient.
    pub fn score(&self, class: usize) -> Vec<f64> {
        self.prob.iter().skip(class).step_by(self.classes).copied().collect()
    }
}
