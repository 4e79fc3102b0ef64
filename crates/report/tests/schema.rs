//! metrics.json against its published schema: what the program writes is valid, with every key described, and what it would never
//! write is refused.

mod fake;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fake::Fake;
use report::measure::Measure;
use report::metrics::Metric;
use serde_json::{Value, json};
use tempfile::TempDir;

fn program(root: &Path, arguments: &[&str]) -> String {
    let output =
        assert_cmd::Command::cargo_bin("chumoku-report").unwrap().current_dir(root).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the Python package jsonschema says of each file; None without it.
fn held(root: &Path, files: &[PathBuf]) -> Option<BTreeMap<String, Vec<String>>> {
    let Some(python) = std::env::var_os("CHUMOKU_SCHEMA_PYTHON") else {
        eprintln!("skipped: CHUMOKU_SCHEMA_PYTHON names no Python with jsonschema; `make test` sets it");
        return None;
    };
    let schema = root.join("schema.json");
    fs::write(&schema, program(root, &["schema"])).unwrap();
    let tool = repository().join("tools/check_schema.py");
    let output = Command::new(python).arg(tool).arg(schema).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A study's metrics.json below `root`.
fn study(root: &Path, name: &str, fake: &Fake) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir(&folder).unwrap();
    fake.write(&folder);
    program(&folder, &["--config", "study.yaml", "--progress", "none"]);
    folder.join("reports/fake/metrics.json")
}

/// The metrics.json of a CSV file of predictions.
fn csv(root: &Path, name: &str, rows: &str) -> PathBuf {
    fs::write(root.join(name).with_extension("csv"), format!("slice_id,patient_id,label,prob\n{rows}")).unwrap();
    program(root, &["metrics", &format!("{name}.csv"), "--json", &format!("{name}.json")]);
    root.join(name).with_extension("json")
}

fn reversed() -> Fake {
    Fake { reversed: true, seeds: vec![0, 1], ..Fake::default() }
}

#[test]
fn what_the_program_writes_is_valid() {
    let root = TempDir::new().unwrap();
    let others = vec![("conventional", "gamma"), ("proposed", "alpha"), ("plain", "resnet18")];
    let mut files = vec![
        study(root.path(), "two", &Fake::default()),
        study(root.path(), "three", &Fake { classes: 3, ..Fake::default() }),
        study(root.path(), "reversed", &reversed()),
        // No attention, and a method without a seed in common.
        study(root.path(), "others", &Fake { methods: others, own_seeds: vec![("plain", vec![7])], ..Fake::default() }),
        csv(root.path(), "plain", "a,p1,1,0.8\nb,p2,1,0.5\nc,p3,0,0.5\nd,p4,0,0.1\n"),
        csv(root.path(), "one-class", "a,p1,1,0.8\nb,p2,1,0.5\n"),
        csv(root.path(), "one-slice", "a,p1,0,0.8\n"),
    ];
    files.push(repository().join("reports/reference/phantom/metrics.json"));
    let Some(found) = held(root.path(), &files) else { return };
    assert_eq!(found.len(), files.len());
    found.iter().for_each(|(file, wrong)| assert!(wrong.is_empty(), "{file}: {wrong:?}"));
}

/// A broken copy: where, what stands there instead (None: the key is gone), and a word of the refusal.
type Break = (&'static str, Option<Value>, &'static str);

#[test]
fn what_it_never_writes_is_refused() {
    let root = TempDir::new().unwrap();
    let good: Value =
        serde_json::from_str(&fs::read_to_string(study(root.path(), "good", &reversed())).unwrap()).unwrap();
    let breaks: [Break; 14] = [
        ("/methods", None, "methods"),
        ("/methods/proposed/slice/auc", None, "auc"),
        ("/methods/proposed/slice/auc/value", Some(json!(1.2)), "maximum"),
        ("/methods/proposed/slice/auc/value", Some(Value::Null), "undefined"),
        ("/methods/proposed/slice/auc/low", Some(Value::Null), "no_interval"),
        ("/methods/proposed/slice/auc/undefined", Some(json!("a reason, and a value")), "a reason, and a value"),
        ("/methods/proposed/slice/kappa", Some(json!({"value": 0.5, "n": 3})), "kappa"),
        ("/methods/proposed/patient/accuracy/correct", Some(json!(-1)), "minimum"),
        ("/methods/proposed/seeds", Some(json!(["0"])), "integer"),
        ("/methods/proposed/confusion", Some(json!([[1, 2], [3, 0.5]])), "integer"),
        ("/comparisons/0/test", Some(json!("t test")), "t test"),
        ("/comparisons/0/p", Some(json!(2)), "maximum"),
        ("/comparisons/0/difference", Some(Value::Null), "undefined"),
        ("/$schema", Some(json!("urn:another")), "was expected"),
    ];
    let broken = |(place, (pointer, value, _)): (usize, &Break)| {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(key.to_owned(), value.clone()),
            None => parent.remove(key),
        };
        let path = root.path().join(format!("broken-{place:02}.json"));
        fs::write(&path, bad.to_string()).unwrap();
        path
    };
    let files: Vec<PathBuf> = breaks.iter().enumerate().map(broken).collect();
    let Some(found) = held(root.path(), &files) else { return };
    for ((pointer, _, word), wrong) in breaks.iter().zip(found.values()) {
        assert!(wrong.iter().any(|error| error.contains(word)), "{pointer}: {word} is not in {wrong:?}");
    }
}

/// Without Python: the keys of metrics and measures, which others add to, are in the schema's text.
#[test]
fn every_metric_and_measure_is_described() {
    let schema: Value = serde_json::from_str(report::schema::TEXT).unwrap();
    assert_eq!(schema["$id"], report::schema::ID);
    let known = schema["$defs"]["comparison"]["properties"]["metric"]["enum"].as_array().unwrap();
    for key in Metric::ALL.map(Metric::key) {
        assert!(schema["$defs"]["slice_level"]["properties"][key].is_object() && known.contains(&json!(key)), "{key}");
    }
    for key in Measure::ALL.map(Measure::key) {
        assert!(
            schema["$defs"]["attention_level"]["properties"][key].is_object() && known.contains(&json!(key)),
            "{key}"
        );
    }
}
