//! Who is in the study: labels, sites, and which patients show the confounder.
//!
//! Sites are shared out by weight within each class. At a site of correlation c the confounder shows in 0.5 (1 + c) of the patients of
//! label 1 and in 0.5 (1 - c) of the others: shares are rounded over the sites of a class rather than drawn patient by patient, so
//! that small studies come close to the correlation that was asked for.

use rand::seq::SliceRandom;

use contract::random::stream;
use contract::{Config, config};

/// Label of the class that the confounder comes with at positive correlation.
const POSITIVE: usize = 1;

/// One patient of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Number from 1, the patient's index in every draw; unrelated to the label.
    pub number: u64,
    /// Class index.
    pub label: usize,
    /// Index of the site.
    pub site: usize,
    /// Whether the confounder shows.
    pub confounder: bool,
}

impl Member {
    /// The patient's id: `PH-0001`.
    pub fn id(&self) -> String {
        format!("PH-{:04}", self.number)
    }
}

/// The patients of a study, by number: the same in both of its sets, but in the second each with the confounder where it was not, and
/// without it where it was.
pub fn members(config: &Config) -> Vec<Member> {
    let mut members = drawn(&config.phantom, config.classes.len());
    members.iter_mut().for_each(|member| member.confounder ^= config.is_reversed);
    members
}

/// The patients of a study with `classes` classes, by number.
fn drawn(phantom: &config::Phantom, classes: usize) -> Vec<Member> {
    let mut members: Vec<Member> = (0..classes).flat_map(|label| class(phantom, label)).collect();
    // Numbers are dealt after the labels, so that an id tells nothing.
    members.shuffle(&mut stream(phantom.seed, "phantom/numbers", &[]));
    for (index, member) in members.iter_mut().enumerate() {
        member.number = index as u64 + 1;
    }
    members
}

fn class(phantom: &config::Phantom, label: usize) -> Vec<Member> {
    let patients = phantom.patients_per_class as usize;
    let weights: Vec<f64> = phantom.sites.iter().map(|site| site.weight).collect();
    let total: f64 = weights.iter().sum();
    let of_site = running_round(weights.iter().map(|weight| weight / total * patients as f64));
    let direction = if label == POSITIVE { 1.0 } else { -1.0 };
    let expected = phantom.sites.iter().zip(&of_site);
    let shown = running_round(expected.map(|(site, count)| 0.5 * (1.0 + direction * site.correlation) * *count as f64));
    let mut members = Vec::with_capacity(patients);
    for (site, (count, shown)) in of_site.iter().zip(shown).enumerate() {
        let member = |index: usize| Member { number: 0, label, site, confounder: index < shown };
        members.extend((0..*count).map(member));
    }
    members
}

/// Rounds counts so that every partial sum is within one half of the exact one.
fn running_round(exact: impl Iterator<Item = f64>) -> Vec<usize> {
    let (mut sum, mut given) = (0.0, 0_usize);
    let mut next = |value: f64| {
        sum += value;
        // The slack lets 0.5 that rounding errors made 0.4999... still round up.
        let count = ((sum + 0.5 + 1e-9).floor() as usize).saturating_sub(given);
        given += count;
        count
    };
    exact.map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phantom(patients: u32, sites: &[(f64, f64)]) -> config::Phantom {
        let site = |(index, (weight, correlation)): (usize, &(f64, f64))| config::Site {
            name: format!("S{index}"),
            weight: *weight,
            correlation: *correlation,
        };
        config::Phantom {
            enabled: true,
            seed: 3,
            patients_per_class: patients,
            slices: 4,
            size: 64,
            difficulty: 0.5,
            noise_hu: 20.0,
            sites: sites.iter().enumerate().map(site).collect(),
            reversed: false,
        }
    }

    /// Pearson correlation of two binary variables (phi), from its textbook formula on the 2x2 table.
    fn phi(members: &[Member]) -> f64 {
        let count = |label: usize, shown: bool| {
            members.iter().filter(|member| member.label == label && member.confounder == shown).count() as f64
        };
        let (a, b, c, d) = (count(1, true), count(1, false), count(0, true), count(0, false));
        (a * d - b * c) / ((a + b) * (c + d) * (a + c) * (b + d)).sqrt()
    }

    #[test]
    fn the_correlation_is_realised() {
        // With equal classes and marginals of one half, phi equals the site's correlation.
        for correlation in [-1.0, -0.5, 0.0, 0.5, 0.8, 1.0] {
            let members = drawn(&phantom(20, &[(1.0, correlation)]), 2);
            assert!((phi(&members) - correlation).abs() < 0.051, "{correlation}: {}", phi(&members));
        }
    }

    #[test]
    fn each_site_keeps_its_own_correlation() {
        let all = drawn(&phantom(40, &[(1.0, 0.8), (1.0, -0.6)]), 2);
        for (site, wanted) in [(0, 0.8), (1, -0.6)] {
            let here: Vec<Member> = all.iter().filter(|member| member.site == site).cloned().collect();
            assert_eq!(here.len(), 40);
            assert!((phi(&here) - wanted).abs() < 0.06);
        }
    }

    #[test]
    fn sites_are_balanced_within_class() {
        let all = drawn(&phantom(9, &[(2.0, 0.0), (1.0, 0.0)]), 2);
        for label in 0..2 {
            let first = all.iter().filter(|member| member.label == label && member.site == 0).count();
            assert_eq!(first, 6);
        }
    }

    #[test]
    fn numbers_are_unique_and_mixed() {
        let all = drawn(&phantom(15, &[(1.0, 0.5)]), 3);
        assert_eq!(all.len(), 45);
        assert!(all.iter().enumerate().all(|(index, member)| member.number == index as u64 + 1));
        assert_ne!(all[..15].iter().map(|member| member.label).collect::<Vec<_>>(), vec![0; 15]);
        assert_eq!(all, drawn(&phantom(15, &[(1.0, 0.5)]), 3));
    }

    #[test]
    fn running_rounds_keep_the_sum() {
        assert_eq!(running_round([0.5, 0.5, 0.5, 0.5].into_iter()), vec![1, 0, 1, 0]);
        assert_eq!(running_round([3.3, 3.3, 3.4].into_iter()).iter().sum::<usize>(), 10);
    }
}
