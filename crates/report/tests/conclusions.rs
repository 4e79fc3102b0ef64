//! The sentences agree with the tests beside them, through the real binary on made predictions.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A patient's label and, by method, the probabilities of the slices.
type Patient = (usize, [Vec<f64>; 2]);

/// The sentences in one line, and metrics.json.
fn concluded(patients: &[Patient]) -> (String, Value) {
    let mut lines = "slice_id,patient_id,label,method,prob\n".to_owned();
    for (patient, (label, methods)) in patients.iter().enumerate() {
        for (method, slices) in ["conventional", "proposed"].iter().zip(methods) {
            for (slice, p) in slices.iter().enumerate() {
                lines.push_str(&format!("p{patient:02}/{slice},p{patient:02},{label},{method},{p}\n"));
            }
        }
    }
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("made.csv"), lines).unwrap();
    let mut command = Command::cargo_bin("chumoku-report").unwrap();
    let output =
        command.current_dir(root.path()).args(["metrics", "made.csv", "--json", "metrics.json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let json = fs::read_to_string(root.path().join("metrics.json")).unwrap();
    (text, serde_json::from_str(&json).unwrap())
}

/// 40 patients of three slices: the mean decides all of them wrongly by one method and rightly by the other, and the slice AUC of
/// both is one half. By hand, slices of new against those of the other class: 0.05 against 0.95, 0.2, 0.05: 0, 0, 1/2; 0.8 twice:
/// 0, 1, 1; together 4.5 of 9. The old probabilities are one minus the new.
fn all_or_nothing() -> Vec<Patient> {
    let mirrored = |new: Vec<f64>| [new.iter().map(|p| 1.0 - p).collect(), new];
    (0..40)
        .map(|at| (at % 2, mirrored(if at % 2 == 1 { vec![0.05, 0.8, 0.8] } else { vec![0.95, 0.2, 0.05] })))
        .collect()
}

#[test]
fn none_against_all_of_the_patients_is_a_difference_though_the_auc_is_the_same() {
    let (text, json) = concluded(&all_or_nothing());
    let expected = [
        "the slice AUC of proposed is 0.500 against 0.500 of conventional",
        "the difference is not tested: the same in every resample, so the bootstrap cannot say how uncertain it is, but the two differ \
         significantly in other measures, named below.",
        "Patients diagnosed correctly: 40/40 by proposed, 0/40 by conventional; 40 only by proposed and 0 only by conventional \
         (exact McNemar): proposed is significantly higher (p < 0.001).",
        "Tests by patient, proposed against conventional: significantly higher accuracy (p < 0.001), sensitivity (p < 0.001) and \
         specificity (p < 0.001); not tested: AUC.",
    ];
    expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    // 2 * 0.5^40, the exact binomial tail (by hand).
    let entries = json["comparisons"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["level"] == "patient" && entry["metric"] == "accuracy").unwrap();
    assert!((entry["p"].as_f64().unwrap() - 1.818_989_403_545_856_5e-12).abs() < 1e-20, "{entry}");
}

#[test]
fn an_auc_without_significance_is_told_beside_patients_with_it() {
    // As above, each probability moved by up to 0.04, so that resamples differ; a patient's mean stays on its side of one half.
    let moved = |at: usize, method: usize, slices: &[f64]| {
        let by = |slice: usize| (((at * 7 + slice * 3 + method * 5) % 11) as f64 - 5.0) * 0.008;
        slices.iter().enumerate().map(|(slice, p)| p + by(slice)).collect::<Vec<f64>>()
    };
    let patient = |(at, (label, [old, new])): (usize, Patient)| (label, [moved(at, 0, &old), moved(at, 1, &new)]);
    let (text, json) = concluded(&all_or_nothing().into_iter().enumerate().map(patient).collect::<Vec<_>>());
    let entries = json["comparisons"].as_array().unwrap();
    let auc = entries.iter().find(|entry| entry["level"] == "slice" && entry["metric"] == "auc").unwrap();
    assert!(auc["p"].as_f64().unwrap() > 0.05, "{auc}");
    let expected = [
        "no significant difference (p = ",
        "), but the two differ significantly in other measures, named below.",
        "40/40 by proposed, 0/40 by conventional",
        "proposed is significantly higher (p < 0.001)",
    ];
    expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
}

#[test]
fn none_against_all_is_a_difference_though_the_auc_is_undefined() {
    // Patients of one class alone.
    let patients: Vec<Patient> = all_or_nothing().into_iter().filter(|(label, _)| *label == 1).collect();
    let (text, _) = concluded(&patients);
    let expected = [
        "the slice AUC of proposed and conventional cannot be compared:",
        "20/20 by proposed, 0/20 by conventional; 20 only by proposed and 0 only by conventional (exact McNemar): proposed is \
         significantly higher (p < 0.001).",
    ];
    expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    assert!(!text.contains("no significant difference in accuracy"), "{text}");
}

#[test]
fn opposite_signs_are_both_told() {
    // By hand: 32 patients whose slices 0.9, 0.2, 0.2 against 0.1, 0.8, 0.8 win 5 of 9 pairs by the old method and 4 of 9 by the new
    // one, which alone decides their means rightly; 8 are easy for both. Old AUC: 0.64 * 5/9 + 0.32 + 0.04; new: 0.64 * 4/9 +
    // 0.32 * 5/6 + 0.04.
    let (low, high) = (vec![0.9, 0.2, 0.2], vec![0.1, 0.8, 0.8]);
    let patient = |at: usize| match (at % 2, at / 2 % 5) {
        (1, 0) => (1, [vec![0.9; 3], vec![0.9; 3]]),
        (0, 0) => (0, [vec![0.1; 3], vec![0.1; 3]]),
        (1, _) => (1, [low.clone(), high.clone()]),
        _ => (0, [high.clone(), low.clone()]),
    };
    let (text, _) = concluded(&(0..40).map(patient).collect::<Vec<_>>());
    let expected = [
        "the slice AUC of proposed is 0.591 against 0.716 of conventional",
        "conventional is significantly higher (p < 0.001",
        "40/40 by proposed, 8/40 by conventional",
        "proposed is significantly higher (p < 0.001)",
        "Tests by slice, proposed against conventional: significantly higher accuracy",
    ];
    expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
}

#[test]
fn equal_methods_have_no_significant_difference_anywhere() {
    let p = |at: usize| vec![0.1 + 0.02 * at as f64, 0.3, 0.6];
    let patients: Vec<Patient> = (0..30).map(|at| (at % 2, [p(at), p(at)])).collect();
    let (text, _) = concluded(&patients);
    assert!(text.contains("no significant difference (p = 1.000).") && !text.contains("significantly"), "{text}");
    assert!(!text.contains("named below"), "{text}");
}
