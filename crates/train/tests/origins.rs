//! Networks that were trained on other classes, windows, sizes or pixels: mapped by name, or refused, through the real binary.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use common::Study;
use contract::schema::{self, metadata};
use contract::table::{TableReader, TableWriter, float_lists};

const FAST: &str = "epochs: 1, batch_size: 4, threads: 1";

/// The study's slices with other names of classes and another window in the file's metadata.
fn slices(study: &Study, name: &str, classes: &str, window: &str) -> PathBuf {
    let to = study.path().join(name);
    copy_slices(&study.path().join("data/tiny/1_masks/slices.parquet"), &to, classes, window);
    to
}

fn copy_slices(from: &Path, to: &Path, classes: &str, window: &str) {
    let schema = schema::slices();
    let pairs = [(metadata::CLASSES, classes.to_owned()), (metadata::WINDOW_HU, window.to_owned())];
    let mut writer = TableWriter::create(to, Arc::clone(&schema), &pairs).unwrap();
    for batch in TableReader::open(from, &schema).unwrap().batches(100).unwrap() {
        writer.write(&schema, batch.unwrap().columns().to_vec()).unwrap();
    }
    writer.commit().unwrap();
}

/// A study whose slices say what they are, and the weights of a run on them.
fn trained() -> (Study, PathBuf) {
    let study = Study::new(FAST);
    let own = slices(&study, "own.parquet", r#"["common_pneumonia","covid19"]"#, "[-1350.0,150.0]");
    std::fs::copy(own, study.path().join("data/tiny/1_masks/slices.parquet")).unwrap();
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.arg("--config").arg(study.yaml()).args(["--method", "proposed", "--fold", "0", "--seed", "0"]);
    command.assert().success();
    let weights = study.run_file("proposed", "weights.safetensors");
    (study, weights)
}

/// Exit code, stderr and softmax values of a prediction.
fn predict(study: &Study, weights: &Path, slices: &Path) -> (Option<i32>, String, Vec<Vec<f32>>) {
    let out = study.path().join("out.parquet");
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.args(["predict", "--threads", "1", "--weights"]).arg(weights).arg("--slices").arg(slices);
    let output = command.arg("--out").arg(&out).output().unwrap();
    let mut probs = Vec::new();
    if output.status.success() {
        for batch in TableReader::open(&out, &schema::predictions()).unwrap().batches(100).unwrap() {
            probs.extend(float_lists(&batch.unwrap(), "prob").into_iter().flatten());
        }
    }
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), probs)
}

#[test]
fn classes_are_mapped_by_name_and_windows_are_refused() {
    let (study, weights) = trained();
    let window = "[-1350.0,150.0]";
    let own = slices(&study, "own.parquet", r#"["common_pneumonia","covid19"]"#, window);
    let turned = slices(&study, "turned.parquet", r#"["covid19","common_pneumonia"]"#, window);
    let (code, error, expected) = predict(&study, &weights, &own);
    assert_eq!(code, Some(0), "{error}");
    let (code, error, found) = predict(&study, &weights, &turned);
    assert_eq!(code, Some(0), "{error}");
    assert!(!expected.is_empty() && expected.iter().any(|prob| prob[0] != prob[1]));
    let mirrored: Vec<Vec<f32>> = expected.iter().map(|prob| prob.iter().rev().copied().collect()).collect();
    assert_eq!(found, mirrored);
    let other = slices(&study, "other.parquet", r#"["benign","malignant"]"#, window);
    let (code, error, _) = predict(&study, &weights, &other);
    assert!(
        code == Some(6) && error.contains("common_pneumonia, covid19 apart, expected benign, malignant"),
        "{error}"
    );
    let wide = slices(&study, "wide.parquet", r#"["common_pneumonia","covid19"]"#, "[-1000.0,1000.0]");
    let (code, error, _) = predict(&study, &weights, &wide);
    assert!(code == Some(6) && error.contains("window -1350 to 150 HU, these are in -1000 to 1000 HU"), "{error}");
    let config = weights.with_file_name("config.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("side: 64", "side: 32")).unwrap();
    let (code, error, _) = predict(&study, &weights, &own);
    assert!(code == Some(6) && error.contains("trained on slices of 32 x 32 pixels, these have 64 x 64"), "{error}");
    std::fs::write(study.path().join("text.parquet"), "no table").unwrap();
    let (code, error, _) = predict(&study, &weights, &study.path().join("text.parquet"));
    assert!(
        code == Some(4) && error.contains("is not a readable slices.parquet") && !error.contains("delete"),
        "{error}"
    );
    std::fs::remove_file(&config).unwrap();
    let (code, error, found) = predict(&study, &weights, &own);
    assert!(code == Some(0) && error.contains("warning: no config.yaml beside"), "{error}");
    assert_eq!(found, expected);
}

#[test]
fn training_starts_from_a_network_of_the_same_kind_or_from_one_of_which_nothing_is_known() {
    let (study, weights) = trained();
    let start = |file: &Path, more: &[&str]| {
        let mut command = Command::cargo_bin("chumoku-train").unwrap();
        command.arg("--config").arg(study.yaml()).args(["--method", "proposed", "--fold", "1", "--seed", "0"]);
        command.args(["--set", &format!("train.init={}", file.display()), "--force"]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = start(&weights, &[]);
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = start(&weights, &["--set", "train.mean=0.3"]);
    assert!(
        code == Some(6) && error.contains("set train.mean: 0.5 and train.std: 0.25, or start from a copy"),
        "{error}"
    );
    let copy = study.path().join("copy.safetensors");
    std::fs::copy(&weights, &copy).unwrap();
    let (code, error) = start(&copy, &["--set", "train.mean=0.3"]);
    assert_eq!(code, Some(0), "{error}");
    let turned = slices(&study, "turned.parquet", r#"["covid19","common_pneumonia"]"#, "[-1350.0,150.0]");
    std::fs::copy(turned, study.path().join("data/tiny/1_masks/slices.parquet")).unwrap();
    let (code, error) = start(&weights, &[]);
    assert!(
        code == Some(6) && error.contains("its classes are in another order: common_pneumonia, covid19"),
        "{error}"
    );
}
