//! Draws K folds of patients, balanced in patients and slices of every class. Pure: no files, no clock.
//!
//! Source: the paper asks for 3-fold cross-validation with a patient's slices together; how patients are dealt is ours.
//!
//! Within each class, patients are shuffled, ordered by the power of two of their slice count (largest first), and dealt
//! in rounds of K. In a round the patient with most slices goes to the fold with fewest slices of the class, and so on.
//! - Patients of a class differ between folds by at most 1: every full round gives one to each fold.
//! - Slices of a class differ by at most the largest range within a round while rounds are full: if folds are sorted by
//!   rising and patients by falling slices, the two differences have opposite signs. A last, incomplete round adds at
//!   most its largest patient, and holds the smallest ones.
//! - Incomplete rounds of different classes go to different folds as far as possible, so all patients differ by at most 1.
//! - The powers of two leave the seed a choice where slice counts differ, which sorting by the count itself would not.
//! - Where that leaves a fold more than 2 % off its share of a class's slices, patients change places ([`crate::swaps`]): the
//!   numbers of patients stay, and slices come nearer to their share. A class that is within 2 % is left as it was dealt.
//!
//! Patients that share an image are dealt first, as one; then the bounds hold only as far as such groups allow.

use std::collections::BTreeMap;

use contract::random;
use rand::seq::SliceRandom;

use crate::error::Error;
use crate::patient::Group;
use crate::swaps;

/// What a fold has been given.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    patients: usize,
    slices: usize,
}

impl Load {
    fn add(&mut self, group: &Group) {
        self.patients += group.patients.len();
        self.slices += group.slices;
    }
}

/// Checks that every class can be in every fold. `classes` are the names of labels 0, 1, ...
///
/// # Errors
/// A class has fewer groups of patients than there are folds.
pub fn check_size(groups: &[Group], classes: &[String], folds: usize) -> Result<(), Error> {
    for (label, class) in classes.iter().enumerate() {
        let of_class = || groups.iter().filter(|group| usize::try_from(group.label) == Ok(label));
        let patients = of_class().map(|group| group.patients.len()).sum();
        let apart = of_class().count();
        if apart < folds {
            let apart = if apart == patients { String::new() } else { format!(" in {apart} groups that share images") };
            return Err(Error::TooFewPatients { class: class.clone(), patients, apart, folds });
        }
    }
    Ok(())
}

/// The fold, in 0..`folds`, of every patient. A function of the seed and the set of groups: their order does not matter.
pub fn draw(groups: &[Group], folds: usize, seed: u64) -> BTreeMap<String, usize> {
    draw_with(groups, folds, seed, swaps::even)
}

/// The deal alone, without swaps.
#[cfg(test)]
pub(crate) fn dealt(groups: &[Group], folds: usize, seed: u64) -> BTreeMap<String, usize> {
    draw_with(groups, folds, seed, |_, _| ())
}

/// Deals class by class; `even` may change the folds of a class's groups, given the number of folds.
fn draw_with(
    groups: &[Group],
    folds: usize,
    seed: u64,
    even: fn(&mut [(usize, &Group)], usize),
) -> BTreeMap<String, usize> {
    let mut classes: BTreeMap<i32, Vec<&Group>> = BTreeMap::new();
    for group in groups {
        classes.entry(group.label).or_default().push(group);
    }
    let mut dealer = Dealer { total: vec![Load::default(); folds], fold_of: BTreeMap::new() };
    for (label, members) in classes {
        let mut dealt = dealer.deal(label, members, seed);
        even(&mut dealt, folds);
        dealer.keep(&dealt);
    }
    dealer.fold_of
}

struct Dealer {
    total: Vec<Load>,
    fold_of: BTreeMap<String, usize>,
}

impl Dealer {
    /// Deals one class.
    fn deal<'a>(&self, label: i32, mut members: Vec<&'a Group>, seed: u64) -> Vec<(usize, &'a Group)> {
        let folds = self.total.len();
        members.sort_by(|a, b| a.patients.cmp(&b.patients));
        // Each class has its own stream: patients added to one class do not reshuffle another.
        members.shuffle(&mut random::stream(seed, "folds", &[u64::from(label.unsigned_abs())]));
        let (mut shared, mut single): (Vec<&Group>, Vec<&Group>) =
            members.into_iter().partition(|group| group.patients.len() > 1);
        shared.sort_by_key(|group| std::cmp::Reverse((group.patients.len(), group.slices)));
        single.sort_by_key(|group| std::cmp::Reverse(group.slices.max(1).ilog2()));
        let mut class = vec![Load::default(); folds];
        let mut dealt: Vec<(usize, &'a Group)> = Vec::new();
        for group in shared {
            dealt.push((self.choose(group, &mut class, false), group));
        }
        for round in single.chunks_mut(folds) {
            round.sort_by_key(|group| std::cmp::Reverse(group.slices));
            let last = round.len() < folds;
            dealt.extend(round.iter().map(|group| (self.choose(group, &mut class, last), *group)));
        }
        dealt
    }

    /// The fold with fewest patients of the class, then (in a last round) fewest patients at all, then fewest slices of the
    /// class, then fewest slices at all, then the first.
    fn choose(&self, group: &Group, class: &mut [Load], last_round: bool) -> usize {
        let rank = |fold: &usize| {
            let (class, before) = (class[*fold], self.total[*fold]);
            let patients = if last_round { before.patients + class.patients } else { 0 };
            (class.patients, patients, class.slices, before.slices + class.slices, *fold)
        };
        let fold = (0..class.len()).min_by_key(rank).unwrap_or(0);
        class[fold].add(group);
        fold
    }

    /// Gives the groups of a class to their folds.
    fn keep(&mut self, dealt: &[(usize, &Group)]) {
        for (fold, group) in dealt {
            self.total[*fold].add(group);
            self.fold_of.extend(group.patients.iter().map(|patient| (patient.clone(), *fold)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alone(id: String, label: i32, slices: usize) -> Group {
        Group { label, patients: vec![id], slices }
    }

    fn sums(groups: &[Group], drawn: &BTreeMap<String, usize>, folds: usize, label: Option<i32>) -> Vec<Load> {
        let mut sums = vec![Load::default(); folds];
        for group in groups.iter().filter(|group| label.is_none_or(|label| group.label == label)) {
            sums[drawn[&group.patients[0]]].add(group);
        }
        sums
    }

    fn spread(values: impl Iterator<Item = usize> + Clone) -> usize {
        values.clone().max().unwrap_or(0) - values.min().unwrap_or(0)
    }

    /// 3 folds or so, three classes with at least as many patients, 1 to 80 slices each.
    fn study() -> impl Strategy<Value = (Vec<Group>, usize)> {
        (2_usize..6).prop_flat_map(|folds| {
            let class = move |label: i32| {
                prop::collection::vec(1_usize..80, folds..40).prop_map(move |counts| {
                    let group = |(at, slices)| alone(format!("{label}-{at:03}"), label, slices);
                    counts.into_iter().enumerate().map(group).collect::<Vec<_>>()
                })
            };
            (class(0), class(1), class(2)).prop_map(move |(a, b, c)| ([a, b, c].concat(), folds))
        })
    }

    proptest! {
        #[test]
        fn every_patient_is_once_in_a_fold((groups, folds) in study(), seed: u64) {
            let drawn = draw(&groups, folds, seed);
            prop_assert_eq!(drawn.len(), groups.len());
            prop_assert!(drawn.values().all(|fold| *fold < folds));
        }

        #[test]
        fn patients_are_balanced_to_within_one((groups, folds) in study(), seed: u64) {
            let drawn = draw(&groups, folds, seed);
            for label in [Some(0), Some(1), Some(2), None] {
                let sums = sums(&groups, &drawn, folds, label);
                prop_assert!(spread(sums.iter().map(|load| load.patients)) <= 1);
                prop_assert!(sums.iter().all(|load| load.patients > 0));
            }
        }

        #[test]
        fn slices_of_a_class_differ_by_less_than_the_two_largest_patients((groups, folds) in study(), seed: u64) {
            let drawn = draw(&groups, folds, seed);
            for label in [0, 1, 2] {
                let largest = groups.iter().filter(|group| group.label == label).map(|group| group.slices).max().unwrap_or(0);
                let difference = spread(sums(&groups, &drawn, folds, Some(label)).iter().map(|load| load.slices));
                prop_assert!(difference < 2 * largest, "{} {}", difference, largest);
            }
        }

        #[test]
        fn the_order_of_rows_does_not_matter((groups, folds) in study(), seed: u64) {
            let mut other = groups.clone();
            other.shuffle(&mut random::stream(seed, "test", &[]));
            prop_assert_eq!(draw(&groups, folds, seed), draw(&other, folds, seed));
        }

        #[test]
        fn groups_stay_together_and_every_fold_gets_each_class((groups, folds) in study(), seed: u64, size in 2_usize..5) {
            let mut groups = groups;
            groups.push(Group { label: 0, patients: (0..size).map(|at| format!("0-shared-{at}")).collect(), slices: 9 });
            let drawn = draw(&groups, folds, seed);
            for group in &groups {
                prop_assert!(group.patients.iter().all(|patient| drawn[patient] == drawn[&group.patients[0]]));
            }
            for label in [0, 1, 2] {
                prop_assert!(sums(&groups, &drawn, folds, Some(label)).iter().all(|load| load.patients > 0));
            }
        }
    }

    #[test]
    fn a_case_worked_by_hand() {
        // One class, 2 folds, slices 9 8 | 5 4 | 1: powers of two 8 8 4 4 1 fix the rounds whatever the shuffle.
        // 9 -> 0, 8 -> 1; 5 -> 1 (fewest slices), 4 -> 0; 13 against 13, so 1 -> 0.
        let groups =
            [("a", 5), ("b", 9), ("c", 1), ("d", 8), ("e", 4)].map(|(id, slices)| alone(id.to_owned(), 0, slices));
        for seed in 0..20 {
            let drawn: Vec<usize> = draw(&groups, 2, seed).into_values().collect();
            assert_eq!(drawn, [1, 0, 0, 1, 0]);
        }
    }

    #[test]
    fn the_seed_matters() {
        let groups: Vec<Group> = (0..20).map(|at| alone(format!("{at:02}"), 0, 12)).collect();
        assert_ne!(draw(&groups, 3, 0), draw(&groups, 3, 1));
        assert_eq!(draw(&groups, 3, 1), draw(&groups, 3, 1));
    }

    #[test]
    fn the_papers_patients_divide_evenly() {
        // PAPER: 119 COVID-19 and 227 common; in 3 folds that is 39.67 and 75.67 a fold, 115.33 together.
        let class =
            |label, count| (0..count).map(move |at| alone(format!("{label}-{at:03}"), label, 1 + (at * 7) % 90));
        let groups: Vec<Group> = class(0, 227).chain(class(1, 119)).collect();
        let drawn = draw(&groups, 3, 0);
        for (label, expected) in [(Some(0), [75, 76, 76]), (Some(1), [39, 40, 40]), (None, [115, 115, 116])] {
            let mut counts: Vec<usize> = sums(&groups, &drawn, 3, label).iter().map(|load| load.patients).collect();
            counts.sort_unstable();
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn a_class_with_fewer_patients_than_folds_is_named() {
        let classes = ["common".to_owned(), "covid".to_owned()];
        let mut groups: Vec<Group> = (0..5).map(|at| alone(format!("a{at}"), 0, 3)).collect();
        groups.extend((0..2).map(|at| alone(format!("b{at}"), 1, 3)));
        let text = check_size(&groups, &classes, 3).unwrap_err().to_string();
        assert!(text.starts_with("class \"covid\" has 2 patients, fewer than the 3 folds"), "{text}");
        groups.push(Group { label: 1, patients: vec!["b3".to_owned(), "b4".to_owned()], slices: 2 });
        assert!(check_size(&groups, &classes, 3).is_ok());
        let text = check_size(&groups, &classes, 4).unwrap_err().to_string();
        assert!(text.contains("4 patients in 3 groups that share images"), "{text}");
    }
}
