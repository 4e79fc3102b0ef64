//! One score and one decision for a patient from all its slices.
//!
//! | rule | score of a patient, K numbers | decision |
//! |---|---|---|
//! | mean (paper) | mean of the softmax over the slices | the largest |
//! | max | softmax of the slice whose positive class is the most probable | the largest; for two classes positive if any slice is |
//! | share | share of the slices decided for each class | the largest: plurality, for two classes at one half |
//!
//! Ties in a decision are [`decide`]'s. Of slices that are equally positive, the one whose other probabilities, by label, are
//! larger speaks for the patient, so their order does not matter. With several seeds the scores are averaged over the seeds, and
//! the mean decides. Under `max` the score of a class other than the positive one is that of the most positive slice, not its own maximum.

use std::cmp::Ordering;

use contract::config::PatientRule;

use crate::metrics::decide;
use crate::predictions::{Predictions, Run};

/// The rules, in the order of the outputs.
pub const RULES: [PatientRule; 3] = [PatientRule::Mean, PatientRule::Max, PatientRule::Share];

/// Key of a rule in a study and in metrics.json.
pub fn key(rule: PatientRule) -> &'static str {
    match rule {
        PatientRule::Mean => "mean",
        PatientRule::Max => "max",
        PatientRule::Share => "share",
    }
}

/// What a rule does, for readers.
pub fn sentence(rule: PatientRule, several_seeds: bool) -> &'static str {
    match (rule, several_seeds) {
        (PatientRule::Mean, false) => "The softmax is averaged over all slices of a patient; the mean decides.",
        (PatientRule::Mean, true) => {
            "The softmax is averaged over all slices of a patient and over the seeds; the mean decides."
        }
        (PatientRule::Max, false) => "The slice that is most positive decides for its patient.",
        (PatientRule::Max, true) => {
            "The softmax of a patient's most positive slice is averaged over the seeds; the mean decides."
        }
        (PatientRule::Share, false) => {
            "Each slice is decided by itself; the class with the largest share of a patient's slices is its class."
        }
        (PatientRule::Share, true) => {
            "Each slice of each seed is decided by itself; the class with the largest share of them is the patient's."
        }
    }
}

/// The patient level of one run or of several averaged.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientScores {
    /// Number of classes.
    pub classes: usize,
    /// (patients, K) scores, which sum to 1 for each patient.
    pub prob: Vec<f64>,
}

impl PatientScores {
    /// Scores by `rule`, averaged over the runs. Each run has every slice once, so the mean is also the mean over all slices of all runs.
    pub fn new(predictions: &Predictions, runs: &[&Run], rule: PatientRule, positive: usize) -> Self {
        let classes = predictions.classes;
        let mut prob = vec![0.0; predictions.patients.len() * classes];
        let mut parts = vec![0_u64; predictions.patients.len()];
        let mut add = |patient: usize, values: &[f64]| {
            parts[patient] += 1;
            let sums = &mut prob[patient * classes..][..classes];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        };
        for run in runs {
            let slices = || predictions.slices.iter().map(|slice| slice.patient).zip(run.prob.chunks_exact(classes));
            match rule {
                PatientRule::Mean => slices().for_each(|(patient, prob)| add(patient, prob)),
                PatientRule::Max => {
                    let speaking = most_positive(predictions.patients.len(), slices(), positive);
                    speaking.into_iter().enumerate().for_each(|(patient, prob)| add(patient, prob));
                }
                PatientRule::Share => {
                    let votes = identity(classes);
                    slices().for_each(|(patient, prob)| add(patient, &votes[decide(prob, positive)]));
                }
            }
        }
        for (sums, count) in prob.chunks_exact_mut(classes).zip(&parts) {
            sums.iter_mut().for_each(|sum| *sum = without_rounding(*sum / *count as f64));
        }
        Self { classes, prob }
    }

    /// The decision for each patient.
    pub fn decisions(&self, positive: usize) -> Vec<usize> {
        self.prob.chunks_exact(self.classes).map(|prob| decide(prob, positive)).collect()
    }

    /// The score of one class, by patient.
    pub fn score(&self, class: usize) -> Vec<f64> {
        self.prob.iter().skip(class).step_by(self.classes).copied().collect()
    }
}

/// A mean to 12 significant digits. Probabilities are known to some 7; what is beyond depends on the order of the sum, and would break
/// ties between patients, and at one half, by chance. The digits are counted from the first, so that small means which differ do not tie.
fn without_rounding(mean: f64) -> f64 {
    format!("{mean:.11e}").parse().unwrap_or(mean)
}

/// The vote for each class.
fn identity(classes: usize) -> Vec<Vec<f64>> {
    (0..classes).map(|row| (0..classes).map(|column| f64::from(u8::from(row == column))).collect()).collect()
}

/// The softmax of each patient's most positive slice; empty for a patient without slices.
fn most_positive<'a>(
    patients: usize,
    slices: impl Iterator<Item = (usize, &'a [f64])>,
    positive: usize,
) -> Vec<&'a [f64]> {
    let by_label = |a: &[f64], b: &[f64]| {
        let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| *order != Ordering::Equal);
        differing.unwrap_or(Ordering::Equal)
    };
    let mut found: Vec<&[f64]> = vec![&[]; patients];
    for (patient, prob) in slices {
        let known = found[patient];
        let is_more =
            || prob[positive].total_cmp(&known[positive]).then_with(|| by_label(prob, known)) == Ordering::Greater;
        if known.is_empty() || is_more() {
            found[patient] = prob;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::predictions::Row;

    /// The scores of one patient with these slices, in both orders of the slices.
    fn scores(slices: &[&[f64]], rule: PatientRule) -> Vec<f64> {
        let row = |(slice, prob): (usize, &&[f64])| Row {
            slice_id: format!("s{slice}"),
            patient_id: "p".to_owned(),
            label: 1,
            method: "m".to_owned(),
            fold: 0,
            seed: 0,
            prob: prob.to_vec(),
            attention: measure::NOTHING,
        };
        let of = |rows: Vec<Row>| {
            let predictions = Predictions::assemble(rows, &[]).unwrap();
            PatientScores::new(&predictions, &[&predictions.methods[0].runs[0]], rule, 1).prob
        };
        let backward: Vec<&[f64]> = slices.iter().rev().copied().collect();
        let (one, other) =
            (of(slices.iter().enumerate().map(row).collect()), of(backward.iter().enumerate().map(row).collect()));
        assert_eq!(one, other);
        one
    }

    #[test]
    fn keys_are_the_words_of_a_study() {
        assert!(RULES.iter().all(|rule| serde_json::to_value(rule).unwrap() == key(*rule)));
    }

    #[test]
    fn two_classes_by_hand() {
        let slices: [&[f64]; 4] = [&[0.25, 0.75], &[0.75, 0.25], &[0.5, 0.5], &[1.0, 0.0]];
        assert_eq!(scores(&slices, PatientRule::Mean), [0.625, 0.375]);
        assert_eq!(scores(&slices, PatientRule::Max), [0.25, 0.75]);
        // 0.5 is a decision for the positive class, so two of four.
        assert_eq!(scores(&slices, PatientRule::Share), [0.5, 0.5]);
    }

    #[test]
    fn equal_means_of_other_slices_tie() {
        // 0.1 + 0.2 + 0.3 is 0.6 and a little in one order, and 0.6 in the other; a third of either is 0.2.
        let of = |positive: &[f64]| {
            let slices: Vec<[f64; 2]> = positive.iter().map(|p| [1.0 - p, *p]).collect();
            scores(&slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>(), PatientRule::Mean)[1]
        };
        assert_eq!([of(&[0.1, 0.2, 0.3]), of(&[0.3, 0.2, 0.1]), of(&[0.05, 0.15, 0.4])], [0.2; 3]);
        assert_eq!(of(&[0.7, 0.1, 0.7]), 0.5);
        // A ten-thousandth of a millionth more is more, however small the means are.
        for mean in [0.03, 1e-9, 1e-15, 1e-200] {
            assert!(of(&[mean, mean * (1.0 + 3e-10)]) > of(&[mean, mean]), "{mean}");
        }
        assert_eq!(of(&[1e-15, 2e-15, 6e-15]), of(&[6e-15, 2e-15, 1e-15]));
    }

    #[test]
    fn three_classes_by_hand() {
        // Two slices are equally positive: the one with more of the first class speaks, and decides for that class.
        let slices: [&[f64]; 3] = [&[0.5, 0.375, 0.125], &[0.125, 0.375, 0.5], &[0.125, 0.25, 0.625]];
        assert_eq!(scores(&slices, PatientRule::Max), [0.5, 0.375, 0.125]);
        let share = scores(&slices, PatientRule::Share);
        assert_eq!(share[..], [0.333333333333, 0.0, 0.666666666667]);
        assert_eq!(decide(&share, 1), 2);
    }
}
