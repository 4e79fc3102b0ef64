//! Which slices the gallery shows. A rule and not a hand chooses: for each outcome of the proposed method (first seed)
//! the slice it was most sure of, the one it was least sure of, the second most sure and so on, one for a patient in each outcome,
//! the outcomes in turn until the gallery is full.

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

/// Which end of an outcome a slice was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Among those the method was most sure of.
    Surest,
    /// Among those it was least sure of.
    LeastSure,
}

impl Rank {
    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Surest => "most sure",
            Self::LeastSure => "least sure",
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
    /// Why it of this outcome.
    pub rank: Rank,
}

/// The rule in words for readers, after the name of the method.
pub const RULE: &str = "the slice it was most sure of, the one it was least sure of, the second most sure and so on, one slice for a \
                        patient in each outcome, the outcomes in turn";

/// Chooses up to `count` slices by the rule of the module's head, grouped by outcome.
pub fn choose(predictions: &Predictions, run: &Run, positive: usize, count: usize) -> Vec<Choice> {
    let mut queues = Outcome::ALL.map(|outcome| queue(predictions, run, positive, outcome).into_iter());
    let mut chosen: Vec<Choice> = Vec::new();
    let mut left = true;
    while left && chosen.len() < count {
        left = false;
        for queue in &mut queues {
            if chosen.len() < count
                && let Some(choice) = queue.next()
            {
                chosen.push(choice);
                left = true;
            }
        }
    }
    // Stable: within an outcome the order of choosing stays, but for what is alike standing together.
    chosen.sort_by_key(|choice| (choice.outcome, choice.rank == Rank::LeastSure));
    chosen
}

/// Slices of one outcome in the order in which they are taken: surest, least sure, next surest ... (ties by id), one for a patient.
fn queue(predictions: &Predictions, run: &Run, positive: usize, outcome: Outcome) -> Vec<Choice> {
    let prob = |slice: usize| &run.prob[slice * predictions.classes..][..predictions.classes];
    let sure = |slice: usize| match outcome {
        Outcome::TruePositive | Outcome::FalsePositive => prob(slice)[positive],
        Outcome::TrueNegative | Outcome::FalseNegative => 1.0 - prob(slice)[positive],
    };
    let is = |slice: &usize| {
        let label = predictions.patients[predictions.slices[*slice].patient].label;
        Outcome::of(label == positive, decide(prob(*slice), positive) == positive) == outcome
    };
    let mut surest: Vec<usize> = (0..predictions.slices.len()).filter(is).collect();
    let mut least = surest.clone();
    // Slices are in the order of their ids, and the sorts are stable.
    surest.sort_by(|a, b| sure(*b).total_cmp(&sure(*a)));
    least.sort_by(|a, b| sure(*a).total_cmp(&sure(*b)));
    let mut ends = [(surest.into_iter(), Rank::Surest), (least.into_iter(), Rank::LeastSure)];
    let mut seen = BTreeSet::new();
    let mut choices = Vec::new();
    for turn in 0.. {
        let (slices, rank) = &mut ends[turn % 2];
        let Some(slice) = slices.find(|slice| seen.insert(predictions.slices[*slice].patient)) else { break };
        choices.push(Choice { slice, outcome, rank: *rank });
    }
    choices
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
            row("e1", "e", 1, 0.55),
            row("e2", "e", 1, 0.99),
        ];
        Predictions::assemble(rows, &[]).unwrap()
    }

    #[test]
    fn surest_and_least_sure_one_a_patient_outcomes_in_turn() {
        let predictions = predictions();
        let names = |count| {
            let chosen = choose(&predictions, &predictions.methods[0].runs[0], 1, count);
            let name = |choice: &Choice| format!("{} {}", predictions.slices[choice.slice].id, choice.rank.title());
            chosen.iter().map(name).collect::<Vec<_>>()
        };
        // True positives: e2 is the surest; the least sure of other patients is b1 (e1 is of the same patient); a2 is left.
        let all = ["e2 most sure", "a2 most sure", "b1 least sure", "b2 most sure", "c1 most sure", "d1 most sure"];
        assert_eq!(names(6), all);
        assert_eq!(names(99), names(6));
        assert_eq!(names(5), [all[0], all[2], all[3], all[4], all[5]]);
        assert_eq!(names(3), [all[0], all[3], all[4]]);
        assert!(names(0).is_empty());
    }
}
