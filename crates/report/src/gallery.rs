//! Which slices the gallery shows. A rule and not a hand chooses: for each outcome of the proposed method (first seed)
//! the slices it was most sure of, one for a patient, the outcomes in turn until the gallery is full.

use std::collections::BTreeSet;

use crate::metrics::decide;
use crate::predictions::{Predictions, Run};

/// Truth and decision of a slice, positive class against the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Positive and called so.
    TruePositive,
    /// Positive and missed.
    FalseNegative,
    /// Negative and called so.
    TrueNegative,
    /// Negative and called positive.
    FalsePositive,
}

impl Outcome {
    /// All outcomes, in the order of the gallery.
    pub const ALL: [Self; 4] = [Self::TruePositive, Self::FalseNegative, Self::TrueNegative, Self::FalsePositive];

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::TruePositive => "true positive",
            Self::FalseNegative => "false negative",
            Self::TrueNegative => "true negative",
            Self::FalsePositive => "false positive",
        }
    }

    fn of(is_positive: bool, called_positive: bool) -> Self {
        match (is_positive, called_positive) {
            (true, true) => Self::TruePositive,
            (true, false) => Self::FalseNegative,
            (false, false) => Self::TrueNegative,
            (false, true) => Self::FalsePositive,
        }
    }
}

/// A slice to show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Index of the slice.
    pub slice: usize,
    /// Its outcome.
    pub outcome: Outcome,
}

/// Chooses up to `count` slices by the rule of the module's head, grouped by outcome.
pub fn choose(predictions: &Predictions, run: &Run, positive: usize, count: usize) -> Vec<Choice> {
    let mut queues = Outcome::ALL.map(|outcome| queue(predictions, run, positive, outcome).into_iter());
    let mut chosen: Vec<Choice> = Vec::new();
    let mut left = true;
    while left && chosen.len() < count {
        left = false;
        for (outcome, queue) in Outcome::ALL.into_iter().zip(&mut queues) {
            if chosen.len() < count
                && let Some(slice) = queue.next()
            {
                chosen.push(Choice { slice, outcome });
                left = true;
            }
        }
    }
    // Stable: within an outcome the surest stays first.
    chosen.sort_by_key(|choice| choice.outcome);
    chosen
}

/// Slices of one outcome, the surest first (ties by id), one for a patient.
fn queue(predictions: &Predictions, run: &Run, positive: usize, outcome: Outcome) -> Vec<usize> {
    let prob = |slice: usize| &run.prob[slice * predictions.classes..][..predictions.classes];
    let sure = |slice: usize| match outcome {
        Outcome::TruePositive | Outcome::FalsePositive => prob(slice)[positive],
        Outcome::TrueNegative | Outcome::FalseNegative => 1.0 - prob(slice)[positive],
    };
    let is = |slice: &usize| {
        let label = predictions.patients[predictions.slices[*slice].patient].label;
        Outcome::of(label == positive, decide(prob(*slice), positive) == positive) == outcome
    };
    let mut slices: Vec<usize> = (0..predictions.slices.len()).filter(is).collect();
    // Slices are in the order of their ids, and the sort is stable.
    slices.sort_by(|a, b| sure(*b).total_cmp(&sure(*a)));
    let mut seen = BTreeSet::new();
    slices.retain(|slice| seen.insert(predictions.slices[*slice].patient));
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Row;

    fn predictions() -> Predictions {
        let row = |slice: &str, patient: &str, label: i64, p: f64| Row {
            slice_id: slice.into(),
            patient_id: patient.into(),
            label,
            method: "m".into(),
            fold: 0,
            seed: 0,
            prob: vec![1.0 - p, p],
            attention: crate::measure::NOTHING,
        };
        let rows = vec![
            row("a1", "a", 1, 0.9),
            row("a2", "a", 1, 0.95),
            row("b1", "b", 1, 0.8),
            row("b2", "b", 1, 0.1),
            row("c1", "c", 0, 0.2),
            row("d1", "d", 0, 0.7),
        ];
        Predictions::assemble(rows, &[]).unwrap()
    }

    #[test]
    fn surest_first_one_a_patient_outcomes_in_turn() {
        let predictions = predictions();
        let names = |count| {
            let chosen = choose(&predictions, &predictions.methods[0].runs[0], 1, count);
            chosen.iter().map(|choice| predictions.slices[choice.slice].id.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(5), ["a2", "b1", "b2", "c1", "d1"]);
        assert_eq!(names(99), names(5));
        assert_eq!(names(3), ["a2", "b2", "c1"]);
        assert!(names(0).is_empty());
    }
}
