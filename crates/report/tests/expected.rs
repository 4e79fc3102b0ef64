//! Every number against scikit-learn, scipy, statsmodels, numpy or pauc: `expected.json` is written by
//! tools/report_expected.py, which names their versions.

use report::assess::{Assessment, assess};
use report::compare::{DeLong, Discordant, holm, midranks};
use report::comparison::Level;
use report::intervals::{quantile, two_sided_p, wilson};
use report::measure::{self, Measure};
use report::metrics::Metric;
use report::pool::{Evidence, Settings};
use report::predictions::{Predictions, Row};
use report::quantity::Quantity;
use serde_json::Value;

fn expected() -> Value {
    serde_json::from_str(include_str!("expected.json")).expect("expected.json is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn close(got: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().expect("a number");
    assert!((got - expected).abs() <= tolerance, "{what}: got {got}, expected {expected}");
}

/// The rows of a case; methods are named a, b.
fn rows(case: &Value) -> Vec<Row> {
    let patients = numbers(&case["patient"]);
    let labels = numbers(&case["label_of"]);
    let methods = case["methods"].as_array().expect("a list");
    let of = |(name, method): (&str, &Value)| -> Vec<Row> {
        let prob: Vec<Vec<f64>> = method["prob"].as_array().expect("a list").iter().map(numbers).collect();
        let row = |(slice, prob): (usize, Vec<f64>)| Row {
            slice_id: format!("s{slice:04}"),
            patient_id: format!("p{:03}", patients[slice]),
            label: labels[patients[slice] as usize] as i64,
            method: name.to_owned(),
            fold: 0,
            seed: 0,
            prob,
            attention: measure::NOTHING,
        };
        prob.into_iter().enumerate().map(row).collect()
    };
    ["a", "b"].into_iter().zip(methods).flat_map(of).collect()
}

fn assessed(case: &Value, rows: Vec<Row>, bootstrap: usize) -> Assessment {
    let predictions = Predictions::assemble(rows, &[]).expect("the cases are consistent");
    let positive = case["positive"].as_u64().expect("a label") as usize;
    let settings = settings(predictions.classes, positive, bootstrap);
    assess(Evidence { predictions: &predictions, reversed: None }, &settings)
}

#[test]
fn metrics_of_slices_and_patients() {
    let all = expected();
    for name in ["binary", "binary_swapped", "three_classes"] {
        let case = &all[name];
        let assessment = assessed(case, rows(case), 200);
        for (method, wanted) in ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")) {
            let result = assessment.methods.get(method).expect("the method was assessed");
            for (metric, value) in wanted["slice"].as_object().expect("a map") {
                let got = result.slice.get(metric).and_then(|estimate| estimate.defined());
                close(got.expect("defined"), value, 1e-9, &format!("{name} {method} {metric}"));
            }
            for (metric, value) in wanted["patient"].as_object().expect("a map") {
                let fraction = result.patient.get(metric).and_then(|estimate| estimate.fraction).expect("a fraction");
                assert_eq!([fraction.0 as f64, fraction.1 as f64].to_vec(), numbers(value), "{name} {method} {metric}");
            }
            let counts = |found: &[Vec<u64>]| serde_json::to_value(found).expect("JSON");
            assert_eq!(counts(&result.confusion), wanted["confusion"], "{name} {method} slices");
            assert_eq!(counts(&result.patient_confusion), wanted["patient_confusion"], "{name} {method} patients");
            let auc = result.patient.get("auc").and_then(|estimate| estimate.defined()).expect("defined");
            close(auc, &wanted["patient_auc"], 1e-9, &format!("{name} {method} patient auc"));
        }
    }
}

/// Rows of one set of the second_set case; methods are named a, b.
fn rows_of_set(case: &Value, set: usize) -> Vec<Row> {
    let (patients, labels) = (numbers(&case["sets"][set]), numbers(&case["label_of"]));
    let of = |(name, method): (&str, &Value)| {
        let row = |(slice, patient): (usize, &f64)| {
            let mut attention = measure::NOTHING;
            attention[Measure::InLung as usize] = method["measure"][slice].as_f64().filter(|_| set == 0);
            Row {
                slice_id: format!("s{slice:04}"),
                patient_id: format!("p{patient:03}"),
                label: labels[*patient as usize] as i64,
                method: name.to_owned(),
                fold: 0,
                seed: 0,
                prob: numbers(&method["prob"][set][slice]),
                attention,
            }
        };
        patients.iter().enumerate().map(row).collect::<Vec<_>>()
    };
    ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")).flat_map(of).collect()
}

fn settings(classes: usize, positive: usize, bootstrap: usize) -> Settings {
    let pair = ("a".to_owned(), "b".to_owned());
    Settings {
        study: "expected".to_owned(),
        classes: (0..classes).map(|class| format!("c{class}")).collect(),
        positive,
        confidence: 0.95,
        bootstrap,
        seed: 0,
        shown: vec![pair.0.clone(), pair.1.clone()],
        pairs: vec![pair],
    }
}

#[test]
fn attention_and_falls_and_their_paired_differences_are_those_of_another_program() {
    let all = expected();
    let case = &all["second_set"];
    let [standard, reversed] =
        [0, 1].map(|set| Predictions::assemble(rows_of_set(case, set), &[]).expect("the case is consistent"));
    let evidence = Evidence { predictions: &standard, reversed: Some(&reversed) };
    let assessment = assess(evidence, &settings(2, 1, 20_000));
    // Both have 20,000 resamples, whose own error at the 2.5 % point is up to 0.003 here.
    let same = |value: f64, ends: (f64, f64), wanted: &Value, what: &str| {
        close(value, &wanted[0], 1e-9, what);
        close(ends.0, &wanted[1], 0.012, &format!("{what} low"));
        close(ends.1, &wanted[2], 0.012, &format!("{what} high"));
    };
    for name in ["a", "b"] {
        let result = assessment.methods.get(name).expect("assessed");
        let reversed = result.reversed.as_ref().expect("a second set");
        let values = [
            (&reversed.slice, "auc", "reversed_auc"),
            (&reversed.slice, "accuracy", "reversed_accuracy"),
            (&reversed.fall_slice, "auc", "fall_auc"),
            (&reversed.fall_slice, "accuracy", "fall_accuracy"),
            (&reversed.fall_patient, "accuracy", "fall_patient_accuracy"),
            (result.attention.as_ref().expect("measured"), "attention_in_lung", "measure"),
        ];
        for (values, key, wanted) in values {
            let got = values.get(key).expect("assessed");
            same(got.defined().expect("defined"), got.ends().expect("an interval"), &case[name][wanted], wanted);
        }
        let patients = reversed.patient.get("accuracy").expect("assessed");
        close(patients.defined().expect("defined"), &case[name]["reversed_patient_accuracy"][0], 1e-9, name);
        let measured = case["methods"][usize::from(name == "b")]["measure"].as_array().expect("a list");
        let n = measured.iter().filter(|value| !value.is_null()).count() as u64;
        assert_eq!(result.attention.as_ref().expect("measured").get("attention_in_lung").expect("measured").n, n);
    }
    let differences = [
        (Level::FallSlice, Quantity::from(Metric::Auc), "fall_auc"),
        (Level::FallSlice, Metric::Accuracy.into(), "fall_accuracy"),
        (Level::FallPatient, Metric::Accuracy.into(), "fall_patient_accuracy"),
        (Level::Attention, Measure::InLung.into(), "measure"),
    ];
    for (level, quantity, wanted) in differences {
        let entry = assessment.comparison(("a", "b"), level, quantity).expect("compared");
        let (value, ends) = (entry.difference.clone().expect("defined"), entry.interval.clone().expect("an interval"));
        same(value, ends, &case["difference"][wanted], &format!("difference of {wanted}"));
    }
}

#[test]
fn each_of_several_classes_against_the_rest() {
    let all = expected();
    let case = &all["three_classes"];
    let assessment = assessed(case, rows(case), 200);
    for (method, wanted) in ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")) {
        let result = assessment.methods.get(method).expect("the method was assessed");
        let found = result.auc_by_class.as_ref().expect("three classes");
        for (values, wanted) in
            [(&found.slice, &wanted["auc_by_class"]), (&found.patient, &wanted["patient_auc_by_class"])]
        {
            for (class, wanted) in wanted.as_array().expect("a list").iter().enumerate() {
                let got = values.get(&format!("c{class}")).expect("a class");
                close(got.defined().expect("defined"), wanted, 1e-9, &format!("{method} class {class}"));
                let (low, high) = got.ends().expect("an interval");
                assert!(low < got.defined().unwrap() && got.defined().unwrap() < high);
            }
        }
        // The positive class against the rest is `auc`, at both levels.
        assert_eq!(found.slice.get("c1").unwrap().value, result.slice.get("auc").unwrap().value);
        assert_eq!(found.patient.get("c1").unwrap().value, result.patient.get("auc").unwrap().value);
        let mean = numbers(&wanted["patient_auc_by_class"]).iter().sum::<f64>() / 3.0;
        assert!((result.patient.get("auc_macro").unwrap().defined().unwrap() - mean).abs() < 1e-9);
    }
    assert!(assessed(&all["binary"], rows(&all["binary"]), 100).methods.0[0].1.auc_by_class.is_none());
}

#[test]
fn holm_adjusted_p() {
    for case in expected()["holm"].as_array().expect("a list") {
        for (got, wanted) in holm(&numbers(&case["p"])).iter().zip(case["adjusted"].as_array().expect("a list")) {
            close(*got, wanted, 1e-12, "Holm");
        }
    }
}

#[test]
fn bootstrap_intervals_are_those_of_another_program() {
    let all = expected();
    let case = &all["binary"];
    let assessment = assessed(case, rows(case), 20_000);
    for (method, wanted) in ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")) {
        for metric in ["sensitivity", "auc"] {
            let (low, high) =
                assessment.methods.get(method).unwrap().slice.get(metric).unwrap().ends().expect("an interval");
            // Both have 20,000 resamples, whose own error at the 2.5 % point is about 0.003 here.
            close(low, &wanted["bootstrap"][metric][0], 0.012, &format!("{method} {metric} low"));
            close(high, &wanted["bootstrap"][metric][1], 0.012, &format!("{method} {metric} high"));
        }
    }
}

#[test]
fn wilson_intervals() {
    for row in expected()["wilson"].as_array().expect("a list") {
        let number = |name: &str| row[name].as_u64().expect("a count");
        let (low, high) = wilson(number("correct"), number("total"), row["confidence"].as_f64().expect("a level"));
        close(low, &row["ends"][0], 1e-9, "low");
        close(high, &row["ends"][1], 1e-9, "high");
    }
}

#[test]
fn mcnemar_exact() {
    for row in expected()["mcnemar"].as_array().expect("a list") {
        let discordant = Discordant {
            first: row["first"].as_u64().expect("a count"),
            second: row["second"].as_u64().expect("a count"),
        };
        close(discordant.mcnemar(), &row["p"], 1e-9, &format!("{discordant:?}"));
    }
}

#[test]
fn delong_variance_and_p() {
    for case in expected()["delong"].as_array().expect("a list") {
        let positive: Vec<bool> = numbers(&case["truth"]).iter().map(|label| *label == 1.0).collect();
        let scores: Vec<Vec<f64>> = case["scores"].as_array().expect("a list").iter().map(numbers).collect();
        let delong = DeLong::new(&scores, &positive).expect("both classes are there");
        for (got, wanted) in delong.auc.iter().zip(case["auc"].as_array().expect("a list")) {
            close(*got, wanted, 1e-12, "AUC");
        }
        for (got, wanted) in delong.covariance.iter().zip(case["covariance"].as_array().expect("a list")) {
            close(*got, wanted, 1e-12, "covariance");
        }
        let (difference, variance) = delong.difference(0, 1);
        close(two_sided_p(difference / variance.sqrt()), &case["p"], 1e-9, "p");
    }
}

#[test]
fn ranks_and_quantiles() {
    let all = expected();
    assert_eq!(midranks(&numbers(&all["midranks"]["values"])), numbers(&all["midranks"]["ranks"]));
    let mut sorted = numbers(&all["quantiles"]["values"]);
    sorted.sort_by(f64::total_cmp);
    for (at, wanted) in
        numbers(&all["quantiles"]["at"]).iter().zip(all["quantiles"]["expected"].as_array().expect("a list"))
    {
        close(quantile(&sorted, *at), wanted, 1e-12, "quantile");
    }
}

#[test]
fn invariances() {
    let all = expected();
    let case = &all["binary"];
    let plain = serde_json::to_string(&assessed(case, rows(case), 200)).expect("JSON");
    let backward: Vec<Row> = rows(case).into_iter().rev().collect();
    assert_eq!(plain, serde_json::to_string(&assessed(case, backward, 200)).expect("JSON"), "order of rows");

    let twice = rows(case)
        .into_iter()
        .flat_map(|row| [Row { slice_id: format!("{}x", row.slice_id), ..row.clone() }, row])
        .collect();
    let (once, twice) = (assessed(case, rows(case), 200), assessed(case, twice, 200));
    for metric in Metric::ALL.into_iter().filter(|metric| once.methods.0[0].1.slice.get(metric.key()).is_some()) {
        let value = |assessment: &Assessment| assessment.methods.0[0].1.slice.get(metric.key()).unwrap().clone();
        let (one, two) = (value(&once), value(&twice));
        let (a, b) = (one.defined().unwrap(), two.defined().unwrap());
        assert!((a - b).abs() < 1e-12, "{metric:?} of slices that are all there twice");
        let (a, b) = (one.ends().unwrap(), two.ends().unwrap());
        assert!(
            (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12,
            "interval of {metric:?}: slices are not patients"
        );
    }

    let swapped = &all["binary_swapped"];
    let value = |positive: u64, metric: &str| {
        let mut case = swapped.clone();
        case["positive"] = positive.into();
        assessed(&case, rows(&case), 100).methods.0[0].1.slice.get(metric).unwrap().defined().unwrap()
    };
    assert!((value(0, "auc") - value(1, "auc")).abs() < 1e-9, "AUC does not depend on which class is positive");
    assert!((value(0, "brier") - value(1, "brier")).abs() < 1e-9);
}

#[test]
fn one_class_is_null_with_a_reason() {
    let all = expected();
    let case = &all["binary"];
    let positives: Vec<Row> = rows(case).into_iter().filter(|row| row.label == 1).collect();
    let assessment = assessed(case, positives, 100);
    let json = serde_json::to_value(&assessment).expect("JSON");
    let slice = &json["methods"]["a"]["slice"];
    for metric in ["specificity", "auc", "mcc", "balanced_accuracy"] {
        assert!(slice[metric]["value"].is_null() && slice[metric]["low"].is_null(), "{metric}");
        assert!(slice[metric]["undefined"].as_str().is_some_and(|reason| !reason.is_empty()), "{metric}");
    }
    assert!(slice["sensitivity"]["value"].is_number());
    assert!(json["methods"]["a"]["patient"]["specificity"]["value"].is_null());
    let comparisons = json["comparisons"].as_array().expect("a list");
    let auc = comparisons.iter().find(|entry| entry["level"] == "slice" && entry["metric"] == "auc").expect("an entry");
    assert!(auc["difference"].is_null() && auc["p"].is_null() && auc["undefined"].is_string());
}

#[test]
fn several_seeds_are_averaged_by_slice_and_voted_by_patient() {
    let all = expected();
    let case = &all["binary"];
    // Two seeds whose probabilities are those of the two methods of the case.
    let seeds =
        rows(case).into_iter().map(|row| Row { seed: i64::from(row.method == "b"), method: "m".to_owned(), ..row });
    let assessment = assessed(case, seeds.collect(), 100);
    let result = &assessment.methods.0[0].1;
    let single: Vec<f64> =
        result.per_seed.iter().map(|part| part.slice.get("auc").unwrap().defined().unwrap()).collect();
    close(single[0], &case["methods"][0]["slice"]["auc"], 1e-9, "seed 0");
    close(single[1], &case["methods"][1]["slice"]["auc"], 1e-9, "seed 1");
    let pooled = result.slice.get("auc").unwrap().defined().unwrap();
    assert!((pooled - (single[0] + single[1]) / 2.0).abs() < 1e-12);
    assert_eq!(result.patient.get("accuracy").unwrap().fraction.unwrap().1, 24);
}
