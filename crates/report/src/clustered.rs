//! Variance of the AUC of slices that come in patients: Obuchowski's nonparametric method (Biometrics 1997, 53:567-578).
//!
//! A patient is all positive or all negative (there is one label a patient), so of the paper's three terms the one between a patient's
//! positive and negative slices is 0. With M slices of I positive patients, N slices of J negative ones:
//!
//! ```text
//! V10(x) = share of the N negative slices below x, ties one half;  V01(y) = share of the M positive slices above y
//! AUC    = sum of V10 / M = sum of V01 / N
//! d_i    = sum of patient i's V10 - (slices of i) AUC for a positive patient, of its V01 for a negative one
//! var    = I / (I - 1) sum of d_i^2 / M^2 over the positive + J / (J - 1) sum of d_j^2 / N^2 over the negative
//! cov    = the same with d_i of two scores multiplied
//! ```
//!
//! With one slice a patient this is DeLong's ([`crate::compare::DeLong`]). The d are linear in the AUC's kernel, so those of
//! a mean over seeds are the means of the seeds' d. Cost: one sort for V by ranks, O(n log n).

use crate::auc::Ranking;
use crate::compare::mean;
use crate::estimate::FEW_PATIENTS;

/// Name of the method, and of its test.
pub const OBUCHOWSKI: &str = "Obuchowski";

/// An AUC of slices with what each patient adds to its variance.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustered {
    /// The area.
    pub auc: f64,
    /// By patient: d_i / M sqrt(I / (I - 1)), and likewise for the negative, so that a variance is a sum of squares.
    shares: Vec<f64>,
}

impl Clustered {
    /// `ranking` has the patients as units, `positive` says which of them are. A patient without slices does not count.
    ///
    /// # Errors
    /// A class has fewer than 2 patients, without which the variance is undefined.
    pub fn new(ranking: &Ranking, positive: &[bool]) -> Result<Self, String> {
        let placed = ranking.placements(positive);
        let [cases, controls] = placed.sides.map(|count| count as f64);
        let with_slices = |side: bool| {
            let members = positive.iter().zip(&placed.items).filter(|(is, items)| **is == side && **items > 0);
            members.count() as f64
        };
        let patients = [with_slices(true), with_slices(false)];
        if patients.iter().any(|count| *count < 2.0) {
            return Err(FEW_PATIENTS.to_owned());
        }
        let of_cases = placed.twice.iter().zip(positive).filter(|(_, is)| **is).map(|(twice, _)| twice).sum::<u64>();
        let auc = of_cases as f64 / (2.0 * cases * controls);
        let share = |(patient, is): (usize, &bool)| {
            let (own, other, of_side) =
                if *is { (cases, controls, patients[0]) } else { (controls, cases, patients[1]) };
            let deviation = placed.twice[patient] as f64 / (2.0 * other) - placed.items[patient] as f64 * auc;
            deviation / own * (of_side / (of_side - 1.0)).sqrt()
        };
        Ok(Self { auc, shares: positive.iter().enumerate().map(share).collect() })
    }

    /// The mean over seeds on the same patients; at least one.
    pub fn mean(seeds: &[&Self]) -> Self {
        let over = |of: &dyn Fn(&Self) -> f64| mean(&seeds.iter().map(|one| of(one)).collect::<Vec<_>>());
        let shares = (0..seeds[0].shares.len()).map(|patient| over(&|one| one.shares[patient])).collect();
        Self { auc: over(&|one| one.auc), shares }
    }

    /// Variance of the area.
    pub fn variance(&self) -> f64 {
        self.shares.iter().map(|share| share * share).sum()
    }

    /// Covariance with another area of slices of the same patients.
    pub fn covariance(&self, other: &Self) -> f64 {
        self.shares.iter().zip(&other.shares).map(|(a, b)| a * b).sum()
    }

    /// `self` minus `other`, and the variance of that difference: patients who move both areas alike do not count.
    pub fn difference(&self, other: &Self) -> (f64, f64) {
        let variance = self.shares.iter().zip(&other.shares).map(|(a, b)| (a - b).powi(2)).sum();
        (self.auc - other.auc, variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::DeLong;

    #[test]
    fn by_hand() {
        // Positive patients {0.8, 0.5}, {0.9}; negative {0.5, 0.1}, {0.6}: M = N = 3, I = J = 2.
        // V10: 0.8 -> 1, 0.5 -> (1 + 1/2) / 3 = 1/2, 0.9 -> 1; AUC = 2.5 / 3 = 5/6. V01: 0.5 -> 2.5 / 3, 0.1 -> 1, 0.6 -> 2/3.
        // d: 1.5 - 10/6 = -1/6, 1 - 5/6 = 1/6; 11/6 - 10/6 = 1/6, 2/3 - 5/6 = -1/6. Each side 2 (2 / 36) / 9, so var = 2/81.
        let ranking = Ranking::new(&[0.8, 0.5, 0.9, 0.5, 0.1, 0.6], &[0, 0, 1, 2, 2, 3]);
        let found = Clustered::new(&ranking, &[true, true, false, false]).unwrap();
        assert!((found.auc - 5.0 / 6.0).abs() < 1e-12 && (found.variance() - 2.0 / 81.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn one_slice_a_patient_is_delong() {
        let positive = [true, false, true, true, false, false, true, false];
        let scores = [[0.8, 0.5, 0.5, 0.9, 0.1, 0.6, 0.3, 0.3], [0.7, 0.6, 0.6, 0.6, 0.2, 0.7, 0.4, 0.1]];
        let units: Vec<usize> = (0..positive.len()).collect();
        let [a, b] = scores.map(|score| Clustered::new(&Ranking::new(&score, &units), &positive).unwrap());
        let delong = DeLong::new(&scores.map(|score| score.to_vec()), &positive).unwrap();
        assert_eq!([a.auc, b.auc].to_vec(), delong.auc);
        let found = [a.variance(), a.covariance(&b), b.covariance(&a), b.variance()];
        assert!(found.iter().zip(&delong.covariance).all(|(got, wanted)| (got - wanted).abs() < 1e-15), "{found:?}");
        let (difference, variance) = delong.difference(0, 1);
        assert!((b.difference(&a).0 - difference).abs() < 1e-15 && (b.difference(&a).1 - variance).abs() < 1e-15);
    }

    #[test]
    fn two_patients_of_each_class_are_needed() {
        let ranking = Ranking::new(&[0.8, 0.5, 0.9], &[0, 1, 2]);
        assert_eq!(Clustered::new(&ranking, &[true, false, false]), Err(FEW_PATIENTS.to_owned()));
    }
}
