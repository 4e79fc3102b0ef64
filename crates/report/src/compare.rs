//! Paired tests of two methods on the same patients.
//!
//! McNemar: of the patients on which exactly one method is right, each method should win half; exact binomial,
//! two-sided (McNemar 1947). DeLong: the variance of two correlated AUCs from their placement values (DeLong, DeLong
//! and Clarke-Pearson 1988), computed by ranks (Sun and Xu 2014). Holm: p of several tests, adjusted so that the chance of
//! any false alarm among them stays below the level (Holm 1979).

use statrs::distribution::{Binomial, DiscreteCDF};

/// Patients that only one of two methods got right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discordant {
    /// Only the first.
    pub first: u64,
    /// Only the second.
    pub second: u64,
}

impl Discordant {
    /// Counts pairs of (first is right, second is right).
    pub fn count(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        pairs.into_iter().fold(Self { first: 0, second: 0 }, |counts, pair| match pair {
            (true, false) => Self { first: counts.first + 1, ..counts },
            (false, true) => Self { second: counts.second + 1, ..counts },
            _ => counts,
        })
    }

    /// Exact two-sided p of McNemar's test. 1 when the methods never disagree.
    pub fn mcnemar(self) -> f64 {
        let total = self.first + self.second;
        let half = Binomial::new(0.5, total).expect("one half is a probability");
        (2.0 * half.cdf(self.first.min(self.second))).min(1.0)
    }
}

/// Name of the method for patient AUCs, and of its test.
pub const DELONG: &str = "DeLong";

/// AUCs of several scores on the same patients with their covariance.
#[derive(Debug, Clone, PartialEq)]
pub struct DeLong {
    /// AUC of each score.
    pub auc: Vec<f64>,
    /// (scores, scores) row-major covariance of the AUCs.
    pub covariance: Vec<f64>,
}

impl DeLong {
    /// `scores[s][p]`: score s of patient p. None unless each class has at least 2 patients, without which the
    /// variance is undefined.
    pub fn new(scores: &[Vec<f64>], positive: &[bool]) -> Option<Self> {
        let of = |side: bool| (0..positive.len()).filter(|p| positive[*p] == side).collect::<Vec<_>>();
        let (cases, controls) = (of(true), of(false));
        if cases.len() < 2 || controls.len() < 2 {
            return None;
        }
        let placements: Vec<_> = scores.iter().map(|score| placements(score, &cases, &controls)).collect();
        let auc: Vec<f64> = placements.iter().map(|(of_cases, _)| mean(of_cases)).collect();
        let mut covariance = Vec::with_capacity(scores.len() * scores.len());
        for (cases_a, controls_a) in &placements {
            for (cases_b, controls_b) in &placements {
                let between_cases = sample_covariance(cases_a, cases_b) / cases.len() as f64;
                covariance.push(between_cases + sample_covariance(controls_a, controls_b) / controls.len() as f64);
            }
        }
        Some(Self { auc, covariance })
    }

    /// Variance of AUC `s`.
    pub fn variance(&self, s: usize) -> f64 {
        self.covariance[s * self.auc.len() + s]
    }

    /// AUC `b` minus AUC `a`, and the variance of that difference.
    pub fn difference(&self, a: usize, b: usize) -> (f64, f64) {
        let covariance = self.covariance[a * self.auc.len() + b];
        (self.auc[b] - self.auc[a], (self.variance(a) + self.variance(b) - 2.0 * covariance).max(0.0))
    }
}

/// For each case the share of controls below it (ties one half), and for each control the share of cases above it.
fn placements(score: &[f64], cases: &[usize], controls: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let pick = |members: &[usize]| members.iter().map(|p| score[*p]).collect::<Vec<f64>>();
    let (case_scores, control_scores) = (pick(cases), pick(controls));
    let together: Vec<f64> = case_scores.iter().chain(&control_scores).copied().collect();
    let (all, among_cases, among_controls) = (midranks(&together), midranks(&case_scores), midranks(&control_scores));
    let (m, n) = (cases.len() as f64, controls.len() as f64);
    let of_cases = all.iter().zip(&among_cases).map(|(all, own)| (all - own) / n).collect();
    let of_controls = all[cases.len()..].iter().zip(&among_controls).map(|(all, own)| 1.0 - (all - own) / m).collect();
    (of_cases, of_controls)
}

/// Ranks from 1; equal values share the mean of their ranks.
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = order[start..].iter().take_while(|item| values[**item] == values[order[start]]).count();
        for item in &order[start..start + same] {
            ranks[*item] = start as f64 + (same as f64 + 1.0) / 2.0;
        }
        start += same;
    }
    ranks
}

/// Holm's step-down adjustment of a family of m p values: the i-th smallest times m - i + 1, none below the one before it,
/// at most 1. In the order of `p`.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut highest = 0.0_f64;
    for (rank, item) in order.iter().enumerate() {
        highest = highest.max(p[*item] * (p.len() - rank) as f64).min(1.0);
        adjusted[*item] = highest;
    }
    adjusted
}

/// Mean of values; NaN of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sample_covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / (a.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midranks_of_ties() {
        assert_eq!(midranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert!(midranks(&[]).is_empty());
    }

    #[test]
    fn mcnemar_by_hand() {
        // One of five: 2 * (1 + 5) / 32.
        assert!((Discordant { first: 1, second: 4 }.mcnemar() - 0.375).abs() < 1e-12);
        assert_eq!(Discordant { first: 0, second: 0 }.mcnemar(), 1.0);
        assert_eq!(Discordant { first: 3, second: 3 }.mcnemar(), 1.0);
        let pairs = [(true, true), (true, false), (false, true), (false, true), (false, false)];
        assert_eq!(Discordant::count(pairs), Discordant { first: 1, second: 2 });
    }

    #[test]
    fn holm_by_hand() {
        // Sorted 0.01, 0.02, 0.03, 0.4 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.4.
        let adjusted = holm(&[0.03, 0.01, 0.4, 0.02]);
        assert!(adjusted.iter().zip([0.06, 0.04, 0.4, 0.06]).all(|(got, expected)| (got - expected).abs() < 1e-12));
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn delong_needs_two_of_each() {
        assert!(DeLong::new(&[vec![0.1, 0.2, 0.3]], &[true, false, false]).is_none());
        let same =
            DeLong::new(&[vec![0.1, 0.4, 0.3, 0.2], vec![0.1, 0.4, 0.3, 0.2]], &[false, true, false, true]).unwrap();
        assert_eq!(same.difference(0, 1), (0.0, 0.0));
    }
}
