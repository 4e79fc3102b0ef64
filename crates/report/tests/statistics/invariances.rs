//! What must not change a number, for drawn cohorts; probabilities have two decimals, so that they tie, and none is on the edge of a bin.

use std::ops::Range;

use contract::config::PatientRule;
use proptest::prelude::*;
use report::assess::Assessment;
use report::comparison::Comparison;
use report::estimate::Estimate;
use report::metrics::Metric;
use report::patients;
use report::predictions::Row;

use crate::cohort::{assessed, row};

const RESAMPLES: usize = 100;

/// Probability of class 1 in both methods: odd hundredths, of which none is one half or a tenth.
fn probabilities() -> impl Strategy<Value = (u32, u32)> {
    (0..50_u32, 0..50_u32).prop_map(|(a, b)| (2 * a + 1, 2 * b + 1))
}

/// Two patients or more of each class, by turns, each with one to five slices.
fn cohort() -> impl Strategy<Value = Vec<Row>> {
    let slices: Range<usize> = 1..6;
    prop::collection::vec(prop::collection::vec(probabilities(), slices), 4..12).prop_map(|patients| {
        let all = patients
            .into_iter()
            .enumerate()
            .flat_map(|(patient, slices)| slices.into_iter().map(move |p| (patient, p)));
        let rows = |(slice, (patient, (a, b))): (usize, (usize, (u32, u32)))| {
            let of = |name, hundredths: u32| {
                let p = f64::from(hundredths) / 100.0;
                row(slice, patient, patient % 2, name, vec![1.0 - p, p])
            };
            [of("a", a), of("b", b)]
        };
        all.enumerate().flat_map(rows).collect()
    })
}

fn same(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-9,
        (None, None) => true,
        _ => false,
    }
}

fn same_ends(one: Option<(f64, f64)>, other: Option<(f64, f64)>) -> bool {
    same(one.map(|ends| ends.0), other.map(|ends| ends.0)) && same(one.map(|ends| ends.1), other.map(|ends| ends.1))
}

/// The first difference between two assessments in a value or, unless the resamples are others, an interval or a p.
fn first_difference(one: &Assessment, other: &Assessment, same_resamples: bool) -> Option<String> {
    let unequal = |a: &Estimate, b: &Estimate| {
        !same(a.defined(), b.defined()) || (same_resamples && !same_ends(a.ends(), b.ends()))
    };
    for ((name, a), (_, b)) in one.methods.0.iter().zip(&other.methods.0) {
        let rules = |result: &report::assess::MethodResult| -> Vec<(String, Estimate)> {
            result.patient_rules.0.iter().flat_map(|(_, values)| values.0.clone()).collect()
        };
        let levels = [(a.slice.0.clone(), b.slice.0.clone()), (rules(a), rules(b))];
        for ((key, a), (_, b)) in levels.iter().flat_map(|(a, b)| a.iter().zip(b)) {
            if unequal(a, b) {
                return Some(format!("{name} {key}: {a:?} and {b:?}"));
            }
        }
    }
    let ends = |entry: &Comparison| entry.interval.clone().ok();
    let unequal = |a: &Comparison, b: &Comparison| {
        let values = same(a.difference.clone().ok(), b.difference.clone().ok());
        !values || (same_resamples && !(same_ends(ends(a), ends(b)) && same(a.p, b.p)))
    };
    let mut pairs = one.comparisons.iter().zip(&other.comparisons);
    pairs.find(|(a, b)| unequal(a, b)).map(|(a, b)| format!("{a:?} and {b:?}"))
}

/// The estimate of a metric of slices of method a.
fn slice(assessment: &Assessment, metric: Metric) -> Estimate {
    assessment.methods.get("a").expect("assessed").slice.get(metric.key()).expect("assessed").clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rows in any order, and slices with other names: another order within the patients.
    #[test]
    fn order_of_slices(rows in cohort(), seed in 0..1000_usize) {
        let plain = assessed(rows.clone(), 1, RESAMPLES);
        let mut turned = rows.clone();
        let places = turned.len();
        turned.rotate_left(seed % places);
        turned.reverse();
        prop_assert_eq!(serde_json::to_string(&plain).unwrap(), serde_json::to_string(&assessed(turned, 1, RESAMPLES)).unwrap());
        let renamed = |row: Row| {
            let slice: usize = row.slice_id[1..].parse().unwrap();
            Row { slice_id: format!("s{:05}", (slice * 7919 + seed) % 10_007), ..row }
        };
        let other = assessed(rows.into_iter().map(renamed).collect(), 1, RESAMPLES);
        prop_assert_eq!(first_difference(&plain, &other, true), None);
    }

    /// Slices are not patients: to have every slice k times says nothing new, and no interval may shrink.
    #[test]
    fn every_slice_several_times(rows in cohort(), times in 2..5_usize) {
        let copies = |row: &Row| {
            let copy = |copy: usize| Row { slice_id: format!("{}-{copy}", row.slice_id), ..row.clone() };
            (0..times).map(copy).collect::<Vec<_>>()
        };
        let many = assessed(rows.iter().flat_map(copies).collect(), 1, RESAMPLES);
        prop_assert_eq!(first_difference(&assessed(rows, 1, RESAMPLES), &many, true), None);
    }

    /// Other names in the same order change nothing; in another order other patients are drawn, so only the intervals of the bootstrap do.
    #[test]
    fn other_names_for_patients(rows in cohort()) {
        let plain = assessed(rows.clone(), 1, RESAMPLES);
        let named = |row: &Row, name: &dyn Fn(usize) -> usize| {
            Row { patient_id: format!("q{:04}", name(row.patient_id[1..].parse().unwrap())), ..row.clone() }
        };
        let shifted = rows.iter().map(|row| named(row, &|patient| 10 * patient + 3)).collect();
        prop_assert_eq!(first_difference(&plain, &assessed(shifted, 1, RESAMPLES), true), None);
        let backward = assessed(rows.iter().map(|row| named(row, &|patient| 9000 - patient)).collect(), 1, RESAMPLES);
        prop_assert_eq!(first_difference(&plain, &backward, false), None);
        let clustered = |of: &Assessment| slice(of, Metric::AucClustered).ends();
        prop_assert!(same_ends(clustered(&plain), clustered(&backward)));
    }

    /// With the other class as the positive one, sensitivity and specificity, and PPV and NPV, change places; what is of both classes stays.
    #[test]
    fn the_other_class_as_the_positive_one(rows in cohort()) {
        let [one, zero] = [1, 0].map(|positive| assessed(rows.clone(), positive, RESAMPLES));
        use Metric::{Accuracy, Auc, AucClustered, BalancedAccuracy, Brier, Ece, Mcc, Npv, Ppv, Sensitivity, Specificity};
        let partners = [(Sensitivity, Specificity), (Specificity, Sensitivity), (Ppv, Npv), (Npv, Ppv)];
        let own = [Accuracy, Auc, AucClustered, BalancedAccuracy, Mcc, Brier, Ece].map(|metric| (metric, metric));
        for (here, there) in partners.into_iter().chain(own) {
            let (a, b) = (slice(&one, here), slice(&zero, there));
            prop_assert!(same(a.defined(), b.defined()) && same_ends(a.ends(), b.ends()), "{:?}: {:?} and {:?}", here, a, b);
        }
        // Of patients all rules but `max` treat the classes alike, ties apart; `max` asks for the most positive slice.
        let rule = |of: &Assessment, rule: PatientRule, metric: Metric| {
            of.methods.get("a").unwrap().patient_rules.get(patients::key(rule)).unwrap().get(metric.key()).unwrap().clone()
        };
        for kind in [PatientRule::Mean, PatientRule::Share] {
            let (a, b) = (rule(&one, kind, Auc), rule(&zero, kind, Auc));
            prop_assert!(same(a.defined(), b.defined()) && same_ends(a.ends(), b.ends()), "{:?}: {:?} and {:?}", kind, a, b);
        }
    }
}
