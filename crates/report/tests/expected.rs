//! Every number against scikit-learn, scipy, statsmodels, numpy or pauc: `expected.json` is written by
//! tools/report_expected.py, which names their versions.

mod cohort;

use cohort::{row, settings};
use report::assess::{Assessment, assess};
use report::auc::Ranking;
use report::clustered::Clustered;
use report::compare::{DeLong, Discordant, holm, midranks};
use report::comparison::Level;
use report::intervals::{quantile, two_sided_p, wilson, z};
use report::measure::{self, Measure};
use report::metrics::Metric;
use report::patients::{self, RULES};
use report::pool::{Evidence, Settings};
use report::predictions::{Predictions, Row};
use report::quantity::Quantity;
use report::tables::tables;
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
    let patients: Vec<usize> = numbers(&case["patient"]).iter().map(|patient| *patient as usize).collect();
    let labels = numbers(&case["label_of"]);
    let of = |(name, method): (&'static str, &Value)| -> Vec<Row> {
        let prob = method["prob"].as_array().expect("a list").iter().map(numbers).enumerate();
        prob.map(|(slice, prob)| row(slice, patients[slice], labels[patients[slice]] as usize, name, prob)).collect()
    };
    ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")).flat_map(of).collect()
}

fn assessed(case: &Value, rows: Vec<Row>, bootstrap: usize) -> Assessment {
    cohort::assessed(rows, case["positive"].as_u64().expect("a label") as usize, bootstrap)
}

#[test]
fn metrics_of_slices_and_patients() {
    let all = expected();
    for name in ["binary", "binary_swapped", "three_classes", "tied"] {
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
            for (rule, wanted) in wanted["rules"].as_object().expect("a map") {
                let found = result.patient_rules.get(rule).expect("the rule was assessed");
                for (metric, value) in wanted.as_object().expect("a map") {
                    let what = format!("{name} {method} {rule} {metric}");
                    let got = found.get(metric).expect("assessed");
                    match got.fraction {
                        Some(fraction) => {
                            assert_eq!(vec![fraction.0 as f64, fraction.1 as f64], numbers(value), "{what}")
                        }
                        None => close(got.defined().expect("defined"), value, 1e-9, &what),
                    }
                }
            }
            assert_eq!(result.patient_rules.get("mean"), Some(&result.patient), "the rule if nothing else is said");
            let counts = |found: &[Vec<u64>]| serde_json::to_value(found).expect("JSON");
            assert_eq!(counts(&result.confusion), wanted["confusion"], "{name} {method} slices");
            assert_eq!(counts(&result.patient_confusion), wanted["patient_confusion"], "{name} {method} patients");
            let auc = result.patient.get("auc").and_then(|estimate| estimate.defined()).expect("defined");
            close(auc, &wanted["patient_auc"], 1e-9, &format!("{name} {method} patient auc"));
        }
    }
}

#[test]
fn the_rule_of_the_settings_is_that_of_table_2_and_its_tests() {
    let all = expected();
    let predictions = Predictions::assemble(rows(&all["binary"]), &[]).expect("the case is consistent");
    for rule in RULES {
        let settings = Settings { rule, ..settings(2, 1, 100) };
        let assessment = assess(Evidence { predictions: &predictions, reversed: None }, &settings);
        let wanted =
            |method: usize| numbers(&all["binary"]["methods"][method]["rules"][patients::key(rule)]["accuracy"]);
        for (place, (name, result)) in assessment.methods.0.iter().enumerate() {
            assert_eq!(result.patient_rules.get(patients::key(rule)), Some(&result.patient), "{name}");
            let fraction = result.patient.get("accuracy").and_then(|estimate| estimate.fraction).expect("a fraction");
            assert_eq!(vec![fraction.0 as f64, fraction.1 as f64], wanted(place), "{name} {rule:?}");
        }
        let entry = assessment.comparison(("a", "b"), Level::Patient, Metric::Accuracy).expect("compared");
        let difference = (wanted(1)[0] - wanted(0)[0]) / wanted(0)[1];
        assert!((entry.difference.clone().expect("defined") - difference).abs() < 1e-12, "{rule:?}");
        let table = tables(&assessment).into_iter().find(|table| table.id == "table2").expect("table 2");
        assert!(table.notes.iter().any(|note| note == patients::sentence(rule, false)), "{:?}", table.notes);
    }
}

/// Rows of one set of the second_set case; methods are named a, b.
fn rows_of_set(case: &Value, set: usize) -> Vec<Row> {
    let (patients, labels) = (numbers(&case["sets"][set]), numbers(&case["label_of"]));
    let of = |(name, method): (&str, &Value)| {
        let of_slice = |(slice, patient): (usize, &f64)| {
            let mut attention = measure::NOTHING;
            attention[Measure::InLung as usize] = method["measure"][slice].as_f64().filter(|_| set == 0);
            let label = labels[*patient as usize] as usize;
            Row { attention, ..row(slice, *patient as usize, label, name, numbers(&method["prob"][set][slice])) }
        };
        patients.iter().enumerate().map(of_slice).collect::<Vec<_>>()
    };
    ["a", "b"].into_iter().zip(case["methods"].as_array().expect("a list")).flat_map(of).collect()
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
        for metric in ["sensitivity", "auc", "ece", "brier"] {
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
fn obuchowskis_variance_and_p_are_those_of_a_direct_computation() {
    let all = expected();
    for name in ["binary", "binary_swapped", "three_classes", "tied"] {
        let case = &all[name];
        let assessment = assessed(case, rows(case), 100);
        let (areas, covariance) = (&case["clustered"]["auc"], numbers(&case["clustered"]["covariance"]));
        for (place, method) in ["a", "b"].into_iter().enumerate() {
            let result = assessment.methods.get(method).expect("assessed");
            let found = result.slice.get("auc_clustered").expect("assessed");
            assert_eq!(found.value, result.slice.get("auc").expect("assessed").value);
            close(found.defined().expect("defined"), &areas[place], 1e-12, &format!("{name} {method}"));
            let half = z(0.95) * covariance[3 * place].sqrt();
            let (low, high) = found.ends().expect("an interval");
            let area = areas[place].as_f64().expect("a number");
            assert!(
                (low - (area - half).max(0.0)).abs() < 1e-9 && (high - (area + half).min(1.0)).abs() < 1e-9,
                "{name} {method}"
            );
        }
        let entry = assessment.comparison(("a", "b"), Level::Slice, Metric::AucClustered).expect("compared");
        assert_eq!((entry.test, entry.interval_method), ("Obuchowski", "Obuchowski"));
        close(entry.p.expect("a test"), &case["clustered"]["p"], 1e-9, name);
        let half = z(0.95) * (covariance[0] + covariance[3] - 2.0 * covariance[1]).sqrt();
        let (low, high) = entry.interval.clone().expect("an interval");
        assert!((high - low - 2.0 * half).abs() < 1e-9, "{name}");
    }
}

/// The same two sets of probabilities as two seeds of one method: the variance of the mean of two correlated areas.
#[test]
fn obuchowskis_variance_of_a_mean_over_seeds() {
    let all = expected();
    let case = &all["binary"];
    let covariance = numbers(&case["clustered"]["covariance"]);
    let truth: Vec<bool> = numbers(&case["label_of"]).iter().map(|label| *label == 1.0).collect();
    let units: Vec<usize> = numbers(&case["patient"]).iter().map(|patient| *patient as usize).collect();
    let seeds: Vec<Clustered> = case["methods"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|method| {
            let scores: Vec<f64> =
                method["prob"].as_array().expect("a list").iter().map(|prob| numbers(prob)[1]).collect();
            Clustered::new(&Ranking::new(&scores, &units), &truth).expect("both classes")
        })
        .collect();
    let mean = Clustered::mean(&seeds.iter().collect::<Vec<_>>());
    assert!((seeds[0].covariance(&seeds[1]) - covariance[1]).abs() < 1e-12);
    assert!((mean.variance() - covariance.iter().sum::<f64>() / 4.0).abs() < 1e-12);
    let areas = numbers(&case["clustered"]["auc"]);
    assert!((mean.auc - (areas[0] + areas[1]) / 2.0).abs() < 1e-12);
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
