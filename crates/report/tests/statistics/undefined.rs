//! What cannot be computed is null with a reason: never 0, and never left out of a mean.

use report::assess::Assessment;
use report::predictions::Row;
use serde_json::Value;

use crate::cohort::{assessed, row};

/// Rows of both methods from (patient, label, probability of class 1).
fn both(slices: &[(usize, usize, f64)]) -> Vec<Row> {
    let of = |method: &'static str| {
        let slices = slices.iter().enumerate();
        slices.map(move |(place, (patient, label, p))| row(place, *patient, *label, method, vec![1.0 - p, *p]))
    };
    of("a").chain(of("b")).collect()
}

fn json(assessment: &Assessment) -> Value {
    serde_json::to_value(assessment).expect("JSON")
}

/// The value is null, and so are its ends, and a reason stands beside them.
fn is_undefined(entry: &Value, key: &str) {
    assert!(entry[key].is_null() && entry["low"].is_null() && entry["high"].is_null(), "{entry}");
    assert!(entry["undefined"].as_str().is_some_and(|reason| !reason.is_empty()), "{entry}");
}

/// There is a value, no interval, and a reason for that which has `word` in it.
fn has_no_interval(entry: &Value, key: &str, word: &str) {
    assert!(entry[key].is_number() && entry["low"].is_null() && entry["high"].is_null(), "{entry}");
    assert!(entry["no_interval"].as_str().is_some_and(|reason| reason.contains(word)), "{entry}");
}

fn compared<'a>(json: &'a Value, level: &str, metric: &str) -> &'a Value {
    let mut all = json["comparisons"].as_array().expect("a list").iter();
    all.find(|entry| entry["level"] == level && entry["metric"] == metric).expect("compared")
}

const OF_BOTH_CLASSES: [&str; 5] = ["specificity", "auc", "auc_clustered", "mcc", "balanced_accuracy"];

#[test]
fn slices_of_one_class() {
    let json = json(&assessed(both(&[(0, 1, 0.9), (0, 1, 0.4), (1, 1, 0.7), (2, 1, 0.2)]), 1, 100));
    let result = &json["methods"]["a"];
    OF_BOTH_CLASSES.iter().for_each(|metric| is_undefined(&result["slice"][metric], "value"));
    assert_eq!(result["slice"]["sensitivity"]["value"], 0.5);
    assert!(result["slice"]["ece"]["value"].is_number());
    for rule in ["mean", "max", "share"] {
        ["specificity", "auc"].iter().for_each(|metric| is_undefined(&result["patient_rules"][rule][metric], "value"));
    }
    for (level, metric) in
        [("slice", "auc"), ("slice", "auc_clustered"), ("patient", "specificity"), ("patient", "auc")]
    {
        let entry = compared(&json, level, metric);
        is_undefined(entry, "difference");
        assert!(entry["p"].is_null());
    }
}

#[test]
fn a_fold_of_one_class_does_not_spoil_the_others() {
    let rows = both(&[(0, 1, 0.9), (1, 0, 0.1), (2, 1, 0.6), (3, 0, 0.7), (4, 1, 0.2), (5, 1, 0.8)]);
    // Patients 4 and 5, both positive, are the second fold.
    let fold = |row: Row| Row { fold: i64::from(row.patient_id.as_str() >= "p0004"), ..row };
    let json = json(&assessed(rows.into_iter().map(fold).collect(), 1, 100));
    let folds = json["methods"]["a"]["per_fold"].as_array().expect("a list");
    assert_eq!(folds[0]["slice"]["auc"]["value"], 0.75);
    assert!(folds[1]["slice"]["auc"]["value"].is_null() && folds[1]["slice"]["auc"]["undefined"].is_string());
    assert_eq!(folds[1]["slice"]["sensitivity"]["value"], 0.5);
    // Pooled: 0.9, 0.6, 0.2, 0.8 against 0.1, 0.7: 2 + 1 + 1 + 2 of 8, and no mean over folds.
    assert_eq!(json["methods"]["a"]["slice"]["auc"]["value"], 0.75);
}

#[test]
fn scores_that_are_all_the_same() {
    let slices: Vec<_> = (0..12).map(|slice| (slice / 2, slice / 2 % 2, 0.5)).collect();
    let json = json(&assessed(both(&slices), 1, 100));
    let slice = &json["methods"]["a"]["slice"];
    assert_eq!((&slice["auc"]["value"], &slice["auc_clustered"]["value"]), (&0.5.into(), &0.5.into()));
    has_no_interval(&slice["auc"], "value", "same in every resample");
    has_no_interval(&slice["auc_clustered"], "value", "Obuchowski's variance");
    is_undefined(&slice["npv"], "value");
    is_undefined(&slice["mcc"], "value");
    has_no_interval(&json["methods"]["a"]["patient"]["auc"], "value", "DeLong's variance");
    for (level, metric) in [("slice", "auc"), ("slice", "auc_clustered"), ("patient", "auc")] {
        let entry = compared(&json, level, metric);
        has_no_interval(entry, "difference", "");
        assert!(entry["p"].is_null(), "{entry}");
    }
}

#[test]
fn one_patient_of_a_class() {
    let json = json(&assessed(both(&[(0, 1, 0.9), (0, 1, 0.3), (1, 0, 0.2), (2, 0, 0.6), (3, 0, 0.1)]), 1, 100));
    let result = &json["methods"]["a"];
    // 0.9 above all three, 0.3 above two of them.
    assert!((result["slice"]["auc"]["value"].as_f64().expect("a number") - 5.0 / 6.0).abs() < 1e-12);
    has_no_interval(&result["slice"]["auc"], "value", "one patient");
    has_no_interval(&result["slice"]["ece"], "value", "one patient");
    has_no_interval(&result["slice"]["auc_clustered"], "value", "fewer than 2 patients");
    has_no_interval(&result["patient"]["auc"], "value", "fewer than 2 patients");
    has_no_interval(compared(&json, "slice", "auc_clustered"), "difference", "fewer than 2 patients");
}
