//! Curves and calibration bins against scikit-learn: `curves.json` is written by tools/report_curves.py, which names the version.

use report::auc::Ranking;
use report::curves::{Resamples, average_precision, precision_recall, roc};
use report::measure::NOTHING;
use report::predictions::{Predictions, Row};
use report::reliability::bins;
use serde_json::Value;

fn cases() -> Vec<(String, Value)> {
    let all: Value = serde_json::from_str(include_str!("curves.json")).expect("curves.json is JSON");
    let all = all.as_object().expect("a map");
    assert_eq!(all.len(), 7);
    all.iter().map(|(name, case)| (name.clone(), case.clone())).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn flags(value: &Value) -> Vec<bool> {
    value.as_array().expect("a list").iter().map(|value| value.as_bool().expect("a truth value")).collect()
}

fn close(got: impl Iterator<Item = f64>, expected: &Value, what: &str) {
    let (got, expected) = (got.collect::<Vec<_>>(), numbers(expected));
    assert_eq!(got.len(), expected.len(), "{what}: {got:?} {expected:?}");
    for (got, expected) in got.iter().zip(&expected) {
        assert!((got - expected).abs() < 1e-12, "{what}: got {got}, expected {expected}");
    }
}

/// What each threshold calls positive, with the case's weights.
fn above(case: &Value) -> Vec<(u64, u64)> {
    let (scores, positive) = (numbers(&case["scores"]), flags(&case["positive"]));
    let weights: Vec<u64> = numbers(&case["weights"]).into_iter().map(|weight| weight as u64).collect();
    let side = |of: bool| -> Vec<u64> {
        positive.iter().zip(&weights).map(|(is, weight)| if *is == of { *weight } else { 0 }).collect()
    };
    let units: Vec<usize> = (0..scores.len()).collect();
    let mut above = Ranking::new(&scores, &units).above(&side(true), &side(false));
    // scikit-learn does not know of scores that nobody drawn has.
    above.dedup();
    above
}

#[test]
fn roc_and_precision_recall_curves() {
    for (name, case) in cases() {
        let above = above(&case);
        let corners = roc(&above);
        close(corners.iter().map(|corner| corner.0), &case["fpr"], &format!("{name}: 1 - specificity"));
        close(corners.iter().map(|corner| corner.1), &case["tpr"], &format!("{name}: sensitivity"));
        // scikit-learn leaves out thresholds below the one that reaches every positive only if asked to.
        let points = precision_recall(&above);
        close(points.iter().map(|point| point.0), &case["recall"], &format!("{name}: recall"));
        close(points.iter().map(|point| point.1), &case["precision"], &format!("{name}: precision"));
        let expected = case["average_precision"].as_f64().expect("a number");
        assert!((average_precision(&points) - expected).abs() < 1e-12, "{name}: average precision");
    }
}

#[test]
fn calibration_bins() {
    for (name, case) in cases() {
        let (scores, positive) = (numbers(&case["scores"]), flags(&case["positive"]));
        // Each item is a patient, with as many slices as it counts.
        let items = scores.iter().zip(&positive).zip(numbers(&case["weights"])).enumerate();
        let rows: Vec<Row> = items
            .flat_map(|(item, ((score, is), weight))| {
                (0..weight as usize).map(move |copy| Row {
                    slice_id: format!("{item:03}/{copy}"),
                    patient_id: format!("{item:03}"),
                    label: i64::from(*is),
                    method: "m".to_owned(),
                    fold: 0,
                    seed: 0,
                    prob: vec![1.0 - score, *score],
                    attention: NOTHING,
                })
            })
            .collect();
        let predictions = Predictions::assemble(rows, &[]).expect("the cases are consistent");
        let positive: Vec<bool> = predictions.patients.iter().map(|patient| patient.label == 1).collect();
        let resamples = Resamples::new(&predictions, 50, 0, 0.95);
        let found = bins(&predictions, &predictions.methods[0].runs, 1, &positive, &resamples);
        close(found.iter().map(|bin| bin.observed), &case["observed"], &format!("{name}: observed"));
        close(found.iter().map(|bin| bin.predicted), &case["predicted"], &format!("{name}: predicted"));
        assert_eq!(found.iter().map(|bin| bin.count).sum::<u64>(), predictions.slices.len() as u64);
        let holds =
            |interval: Option<(f64, f64)>| interval.is_none_or(|(low, high)| 0.0 <= low && low < high && high <= 1.0);
        assert!(found.iter().all(|bin| holds(bin.interval)), "{name}");
    }
}
