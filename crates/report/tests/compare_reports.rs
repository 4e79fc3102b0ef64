//! `chumoku-report compare` on real reports: the same, changed, of other patients, of another kind.

mod fake;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use fake::Fake;
use serde_json::{Value, json};
use tempfile::TempDir;

fn run(root: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("chumoku-report").unwrap().current_dir(root).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A report in `a`, and a copy of its metrics.json in `b`, changed.
fn two(change: impl FnOnce(&mut Value)) -> TempDir {
    let root = TempDir::new().unwrap();
    Fake::default().write(root.path());
    let made = run(root.path(), &["--config", "study.yaml", "--progress", "none", "--set", "paths.reports=a"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mut value = read(&root.path().join("a/fake/metrics.json"));
    change(&mut value);
    fs::create_dir(root.path().join("b")).unwrap();
    fs::write(root.path().join("b/metrics.json"), value.to_string()).unwrap();
    root
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn compare(root: &Path, more: &[&str]) -> (i32, String, String) {
    let output = run(root, &[&["compare", "a/fake", "b/metrics.json"], more].concat());
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn identical_reports_do_not_differ() {
    let root = two(|_| {});
    let (code, said, _) = compare(root.path(), &["--tolerance", "0", "--json", "c.json"]);
    assert_eq!(code, 0);
    assert!(said.contains("No difference: all ") && said.contains("all are within"), "{said}");
    let json = read(&root.path().join("c.json"));
    assert_eq!(json["identical"], true);
    assert_eq!(json["audit"]["passed"], true);
    assert!(
        json["numbers"].as_array().unwrap().iter().all(|number| number["difference"].as_f64().is_none_or(|d| d == 0.0))
    );
}

#[test]
fn a_changed_number_is_said_and_held_to_the_tolerance() {
    let pointer = "/methods/proposed/slice/auc/value";
    let root = two(|value| {
        let auc = value.pointer(pointer).unwrap().as_f64().unwrap();
        *value.pointer_mut(pointer).unwrap() = json!(auc + 0.01);
        value["methods"]["proposed"]["patient"]["accuracy"] =
            json!({"value": null, "correct": 0, "total": 0, "low": null, "high": null, "undefined": "no patients"});
    });
    let (code, said, _) = compare(root.path(), &[]);
    assert_eq!(code, 0);
    for word in [
        "+0.0100",
        "inside each other's interval",
        "n/a in B: no patients",
        "are not independent",
        "conventional: slice: no difference",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    let (code, said, error) = compare(root.path(), &["--tolerance", "0.009"]);
    assert_eq!(code, 5, "{error}");
    assert!(
        error.contains("b/metrics.json is not within 0.009") && error.contains("proposed, slice, auc: expected"),
        "{error}"
    );
    assert!(said.contains("proposed, patient, accuracy: expected") && said.contains("got null"), "{said}");
    let root = two(|value| {
        let auc = value.pointer(pointer).unwrap().as_f64().unwrap();
        *value.pointer_mut(pointer).unwrap() = json!(auc + 0.01);
    });
    assert_eq!(compare(root.path(), &["--tolerance", "0.011"]).0, 0);
    assert_eq!(compare(root.path(), &["--tolerance", "-1"]).0, 2);
}

#[test]
fn what_b_lacks_fails_and_what_it_has_besides_does_not() {
    let root = two(|value| {
        value["methods"].as_object_mut().unwrap().remove("proposed");
        value["comparisons"] = json!([]);
    });
    let (code, said, error) = compare(root.path(), &["--tolerance", "1"]);
    assert_eq!(code, 5);
    assert!(said.contains("B has no method proposed.") && error.contains("got nothing"), "{said}{error}");
    let root = two(|value| {
        let more = value["methods"]["proposed"].clone();
        value["methods"]["another"] = more;
        value["patient_rule"] = json!("mean");
    });
    let (code, said, _) = compare(root.path(), &["--tolerance", "0"]);
    assert!(code == 0 && said.contains("A has no method another.") && said.contains("not in A"), "{said}");
}

#[test]
fn other_patients_are_tested_approximately() {
    let root = two(|value| value["patients"]["covid19"] = json!(9));
    let (code, said, _) = compare(root.path(), &[]);
    assert!(code == 0 && said.contains("taken for different patients") && said.contains("approximate"), "{said}");
    assert!(said.contains("patients differs."), "{said}");
    let root = two(|value| {
        let auc = &mut value["methods"]["proposed"]["slice"]["auc"];
        ["value", "low", "high"].iter().for_each(|key| auc[*key] = json!(auc[*key].as_f64().unwrap() - 0.6));
    });
    let (_, said, _) = compare(root.path(), &["--patients", "different"]);
    assert!(said.contains("more than noise (approximate z = -"), "{said}");
}

#[test]
fn reports_of_another_kind_are_not_guessed_at() {
    let root = two(|value| value["classes"] = json!(["x", "covid19"]));
    let (code, said, _) = compare(root.path(), &[]);
    assert!(code == 0 && said.contains("The classes differ") && said.contains("No number could be compared"), "{said}");
    let root = two(|value| value["positive"] = json!(0));
    let (_, said, _) = compare(root.path(), &[]);
    assert!(said.contains("The positive class differs") && !said.contains("sensitivity"), "{said}");
    let root = two(|value| value["confidence"] = json!(0.9));
    let (code, said, _) = compare(root.path(), &["--tolerance", "1"]);
    assert!(code == 5 && said.contains("confidence differs. A: 0.95; B: 0.9."), "{said}");
}

#[test]
fn a_file_that_is_no_report_is_named() {
    let root = two(|value| *value = json!({"study": "s"}));
    let (code, _, error) = compare(root.path(), &[]);
    assert!(
        code == 4 && error.contains("b/metrics.json: patients: expected numbers of patients by class, got nothing"),
        "{error}"
    );
    fs::write(root.path().join("b/metrics.json"), "{\"study\": ").unwrap();
    let (code, _, error) = compare(root.path(), &[]);
    assert!(code == 4 && error.contains("expected JSON, got EOF"), "{error}");
    let missing = run(root.path(), &["compare", "a/fake", "nowhere"]);
    assert_eq!(missing.status.code(), Some(4));
    assert!(text(&missing.stderr).contains("nowhere") && text(&missing.stderr).contains("name the folder of a report"));
}
