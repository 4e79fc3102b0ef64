//! The real binary in a fresh folder: a fake study, anyone's predictions, and everything that can be wrong with them.

mod fake;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use assert_cmd::Command;
use fake::{Fake, Run, write_attention, write_predictions};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use tempfile::TempDir;

fn run(root: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("chumoku-report").unwrap().current_dir(root).args(arguments).output().unwrap()
}

fn study(root: &Path) -> Output {
    run(root, &["--config", "study.yaml", "--progress", "none"])
}

fn written(fake: &Fake) -> TempDir {
    let root = TempDir::new().unwrap();
    fake.write(root.path());
    root
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The stage must fail with `code`, say each of `words`, and leave no report.
fn fails(root: &Path, code: i32, words: &[&str]) {
    let output = study(root);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    words.iter().for_each(|word| assert!(error.contains(word), "{word} is not in {error}"));
    assert!(!root.join("reports/fake").exists() && !root.join("reports/fake.partial").exists());
}

#[test]
fn a_study_becomes_a_report() {
    let root = written(&Fake::default());
    let output = study(root.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    for word in ["Table 1.", "Table 2.", "conventional", "proposed", "299/346", "0.923", "the slice AUC of proposed is"]
    {
        assert!(stdout.contains(word), "{word} is not in {stdout}");
    }
    assert!(stdout.ends_with("\n\nreports/fake/report.html\n"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80) && !stdout.contains('\u{1b}'), "{stdout}");
    let reports = root.path().join("reports/fake");
    let summary = fs::read_to_string(reports.join("summary.txt")).unwrap();
    assert_eq!(stdout, format!("{summary}\nreports/fake/report.html\n"));
    for name in [
        "table1.csv",
        "table2.csv",
        "tables.json",
        "tables.md",
        "tables.tex",
        "figures/roc.svg",
        "figures/training-proposed.svg",
    ] {
        assert!(fs::metadata(reports.join(name)).unwrap().len() > 100, "{name}");
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(reports.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(json["study"], "fake");
    assert_eq!(json["$schema"], report::schema::ID);
    for method in ["conventional", "proposed"] {
        let result = &json["methods"][method];
        assert_eq!(result["slice"]["accuracy"]["n"], 64);
        assert_eq!(result["patient"]["accuracy"]["total"], 16);
        assert_eq!(result["per_fold"].as_array().unwrap().len(), 2);
        assert_eq!(result["per_seed"].as_array().unwrap().len(), 1);
    }
    let tests: Vec<&str> =
        json["comparisons"].as_array().unwrap().iter().filter_map(|entry| entry["test"].as_str()).collect();
    assert!(tests.contains(&"DeLong") && tests.contains(&"exact McNemar"), "{tests:?}");
    let html = fs::read_to_string(reports.join("report.html")).unwrap();
    assert!(
        !html.contains("http://")
            || html.matches("http://").count() == html.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(!html.contains("https://") && !html.contains(" src=\"http"));
    assert_eq!(html.matches("class=\"exhibit\"").count(), 8);
    assert_eq!(fs::read_dir(reports.join("figures/gallery")).unwrap().count(), 8);
    assert_eq!(html.matches("class=\"patient\"").count(), 6);
    assert!(html.contains("too little lung"));
}

/// Every file of a folder with its bytes.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let names = contract::hash::walk(root).unwrap();
    names.iter().map(|name| (name.display().to_string(), fs::read(root.join(name)).unwrap())).collect()
}

#[test]
fn the_same_predictions_are_the_same_bytes_and_no_work_twice() {
    let root = written(&Fake::default());
    assert!(study(root.path()).status.success());
    let reports = root.path().join("reports/fake");
    let first = files(&reports);
    let again = study(root.path());
    assert!(again.stdout.is_empty() && text(&again.stderr).contains("up to date"));
    let forced = run(root.path(), &["--config", "study.yaml", "--force", "--progress", "none"]);
    assert!(forced.status.success());
    assert_eq!(first, files(&reports));
}

#[test]
fn a_method_without_attention_and_several_seeds() {
    let methods = vec![("plain", "resnet18"), ("proposed", "alpha")];
    let root = written(&Fake { methods, seeds: vec![0, 1, 5], ..Fake::default() });
    let set = ["--config", "study.yaml", "--set", "report.conventional=plain", "--progress", "none"];
    let output = run(root.path(), &set);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let reports = root.path().join("reports/fake");
    let tables = fs::read_to_string(reports.join("tables.md")).unwrap();
    assert!(tables.contains("proposed, fold 1, seed 5") && !text(&output.stdout).contains("fold 1"));
    let json: Value = serde_json::from_str(&fs::read_to_string(reports.join("metrics.json")).unwrap()).unwrap();
    let lung = &json["methods"]["plain"]["attention"]["attention_in_lung"];
    assert!(lung["value"].is_null() && lung["undefined"] == "no slice in which it is defined");
    assert_eq!(json["methods"]["proposed"]["per_seed"].as_array().unwrap().len(), 3);
    assert!(fs::read_to_string(reports.join("report.html")).unwrap().contains("no attention map"));
}

#[test]
fn a_missing_run_is_named() {
    let root = written(&Fake::default());
    fs::remove_dir_all(root.path().join("data/fake/3_runs/proposed/fold-1")).unwrap();
    fails(root.path(), 4, &["3_runs/proposed/fold-1/seed-0/predictions.parquet", "No such file"]);
}

#[test]
fn damaged_predictions_are_named() {
    let root = written(&Fake::default());
    let path = root.path().join("data/fake/3_runs/proposed/fold-1/seed-0/predictions.parquet");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(root.path(), 4, &["proposed/fold-1/seed-0/predictions.parquet", "not a readable Parquet file"]);
}

#[test]
fn rows_of_another_run_and_missing_slices_are_named() {
    let fake = Fake::default();
    let root = written(&fake);
    let slices = fake.slices();
    let path = root.path().join("data/fake/3_runs/proposed/fold-1/seed-0/predictions.parquet");
    let tested: Vec<_> = slices.iter().filter(|slice| slice.fold == 1).collect();
    let right = Run { method: "proposed", fold: 1, seed: 0, skill: 0, attention: true, classes: 2 };
    write_predictions(&path, &tested, &Run { method: "conventional", ..right });
    fails(root.path(), 4, &["expected rows of method proposed, fold 1, seed 0"]);
    write_predictions(&path, &tested[1..], &right);
    fails(root.path(), 4, &[tested[0].id.as_str(), "in attention.parquet and not in predictions.parquet"]);
    write_attention(&path.with_file_name("attention.parquet"), &tested[1..], &right);
    fails(root.path(), 4, &[tested[0].id.as_str(), "same slices on both sides"]);
    write_predictions(&path, &tested, &right);
    fails(root.path(), 4, &[tested[0].id.as_str(), "in predictions.parquet and not in attention.parquet"]);
}

#[test]
fn a_patient_in_two_folds_fails_the_audit() {
    let fake = Fake::default();
    let root = written(&fake);
    let mut slices = fake.slices();
    slices[0].fold = 1;
    for method in ["conventional", "proposed"] {
        for fold in 0..2 {
            let tested: Vec<_> = slices.iter().filter(|slice| slice.fold == fold).collect();
            let folder = root.path().join(format!("data/fake/3_runs/{method}/fold-{fold}/seed-0"));
            let run = Run { method, fold, seed: 0, skill: 0, attention: true, classes: 2 };
            write_predictions(&folder.join("predictions.parquet"), &tested, &run);
            write_attention(&folder.join("attention.parquet"), &tested, &run);
        }
    }
    fails(root.path(), 5, &["patient p000", "folds 0 and 1"]);
}

#[test]
fn a_bad_configuration_is_exit_3_and_bad_usage_2() {
    let root = written(&Fake::default());
    let code = |arguments: &[&str]| run(root.path(), arguments).status.code();
    assert_eq!(code(&["--config", "study.yaml", "--set", "report.bootstraps=5"]), Some(3));
    assert_eq!(code(&["--config", "nowhere.yaml"]), Some(3));
    assert_eq!(code(&[]), Some(2));
    assert_eq!(code(&["metrics"]), Some(2));
}

const HEAD: &str = "slice_id,patient_id,label,prob";

/// Runs `metrics` on a CSV file of these lines.
fn metrics(lines: &str, more: &[&str]) -> (Output, TempDir) {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("mine.csv"), lines).unwrap();
    let output = run(root.path(), &[&["metrics", "mine.csv", "--json", "metrics.json"], more].concat());
    (output, root)
}

#[test]
fn metrics_of_a_csv_file() {
    // Hand-worked: positives 0.8, 0.5 (a tie, called positive); negatives 0.5 (called positive), 0.1 -> AUC 0.875.
    let lines = format!("{HEAD}\na,p1,1,0.8\nb,p2,1,0.5\nc,p3,0,0.5\nd,p4,0,0.1\n");
    let (output, root) = metrics(&lines, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Table 1. Slices: mine"));
    let json: Value = serde_json::from_str(&fs::read_to_string(root.path().join("metrics.json")).unwrap()).unwrap();
    let slice = &json["methods"]["predictions"]["slice"];
    assert_eq!(slice["accuracy"]["value"], 0.75);
    assert_eq!(slice["sensitivity"]["value"], 1.0);
    assert_eq!(slice["specificity"]["value"], 0.5);
    assert_eq!(slice["auc"]["value"], 0.875);
    assert_eq!(json["methods"]["predictions"]["patient"]["accuracy"]["correct"], 3);
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 0);
}

#[test]
fn the_positive_class_can_be_0() {
    let lines = format!("{HEAD}\na,p1,1,0.2\nb,p2,1,0.5\nc,p3,0,0.5\nd,p4,0,0.9\n");
    let (output, root) = metrics(&lines, &["--positive", "0"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: Value = serde_json::from_str(&fs::read_to_string(root.path().join("metrics.json")).unwrap()).unwrap();
    assert_eq!(json["methods"]["predictions"]["slice"]["auc"]["value"], 0.875);
    assert_eq!(json["methods"]["predictions"]["slice"]["sensitivity"]["value"], 1.0);
}

#[test]
fn metrics_of_a_parquet_file() {
    let fake = Fake { folds: 1, ..Fake::default() };
    let root = written(&fake);
    let path = "data/fake/3_runs/proposed/fold-0/seed-0/predictions.parquet";
    let output = run(root.path(), &["metrics", path]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("attention in the lungs"));
}

/// The paper's Tables 1 and 2, as PAPER.md of the project has them.
#[test]
fn the_papers_numbers_stand_beside_the_studys_in_every_form() {
    let root = written(&Fake::default());
    assert!(study(root.path()).status.success());
    let file = |name: &str| fs::read_to_string(root.path().join("reports/fake").join(name)).unwrap();
    let one = [["conventional", "83.1", "88.9", "77.8", "0.914"], ["proposed", "84.0", "81.3", "86.5", "0.923"]];
    let two = [["conventional", "299/346", "115/119", "184/227"], ["proposed", "309/346", "104/119", "205/227"]];
    let (markdown, latex, summary) = (file("tables.md"), file("tables.tex"), file("summary.txt"));
    for row in one.iter().map(|row| &row[..]).chain(two.iter().map(|row| &row[..])) {
        assert!(markdown.contains(&format!("| {} |\n", row.join(" | "))), "{row:?}");
        assert!(latex.contains(&format!("\n{} \\\\\n", row.join(" & "))), "{row:?}");
        let same = |line: &str| line.split_whitespace().eq(row.iter().copied());
        assert!(summary.lines().any(same), "{row:?} is not in {summary}");
    }
    let (first, second) = (file("table1.csv"), file("table2.csv"));
    for [method, accuracy, sensitivity, specificity, auc] in one {
        let line = format!("paper,{method},all,,13713,{accuracy},,,{sensitivity},,,{specificity},,,{auc},,\n");
        assert!(first.contains(&line), "{line}");
    }
    for [method, diagnosis, sensitivity, specificity] in two {
        let line = format!("paper,{method},all,,346,{diagnosis},,,{sensitivity},,,{specificity},,\n");
        assert!(second.contains(&line), "{line}");
    }
    let json: Value = serde_json::from_str(&file("tables.json")).unwrap();
    let paper = json["table1"].as_array().unwrap().iter().find(|row| row["source"] == "paper").unwrap();
    assert_eq!(paper["accuracy_percent"], 83.1);
    assert_eq!(paper["auc_low"], Value::Null);
    assert_eq!(json["table2"].as_array().unwrap().last().unwrap()["diagnosis"], "309/346");
}

#[test]
fn bad_csv_files_are_explained() {
    let cases: [(&str, &str); 12] = [
        (
            "slice_id,patient_id,label\na,p,1\n",
            "mine.csv, line 1: column \"prob\" is missing (found: slice_id, patient_id, label); add or rename a column",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1,high\n",
            "mine.csv, line 2: column \"prob\": expected a probability of the positive class in 0..1, got \"high\"; write a number",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1,1.5\n",
            "line 2: column \"prob\": expected a probability of the positive class in 0..1, got \"1.5\"; write probabilities, not logits or percent",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1,0.5\nb,p,1,NaN\n",
            "line 3: column \"prob\": expected a probability of the positive class in 0..1, got \"NaN\"",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,ill,0.5\n",
            "line 2: column \"label\": expected a class's index (0, 1, ...), got \"ill\"; write the class's index",
        ),
        (
            "slice_id,patient_id,label,prob\nb,q,0,0.5\na,p,3,0.5\n",
            "mine.csv, line 3: column \"label\": expected 0 or 1, because prob is one number, the probability of the positive class of \
             two, got \"3\"; number the two classes 0 and 1; three or more need Parquet with prob as a list",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1,0.5\nb,p,1,0.5\na,p,1,0.5\n",
            "mine.csv, lines 2, 4: slice a occurs twice for method predictions, seed 0",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1,0.5\nc,p,1,0.5\nb,p,0,0.5\n",
            "mine.csv, lines 2, 4: patient p has label 1 and label 0; expected one of them in all rows: correct the others",
        ),
        (
            "slice_id,patient_id,label,prob,method\na,p,1,0.5,x\nb,p,1,0.5,x\na,p,1,0.5,y\n",
            "mine.csv, line 3: slice b is in method x, seed 0 and not in method y, seed 0",
        ),
        (
            "slice_id,patient_id,label,prob\na,p,1\n",
            "mine.csv, line 2: expected 4 cells as in the head, got 3; correct or leave out the line",
        ),
        (
            "s0,P0,0,0.1\ns1,P1,1,0.9\n",
            "line 1: column \"slice_id\" is missing (found: s0, P0, 0, 0.1); is the first line the head? if it is a row, write a head",
        ),
        ("slice_id,patient_id,label,prob\n", "has no rows"),
    ];
    for (lines, word) in cases {
        let (output, root) = metrics(lines, &[]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{error}");
        assert!(error.contains(word) && error.contains("mine.csv"), "{word} is not in {error}");
        assert!(!root.path().join("metrics.json").exists());
    }
    let leak = "slice_id,patient_id,label,prob,fold\na,p,1,0.5,0\nb,p,1,0.5,1\n";
    let (output, _root) = metrics(leak, &[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("mine.csv, lines 2, 3: patient p is held out in folds 0 and 1"));
    let (output, _root) = metrics("slice_id,patient_id,label,prob\na,p,1,0.5\n", &["--positive", "2"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn tables_of_other_programs_give_the_numbers_of_the_plain_one() {
    let lines = |separator: &str, comma: bool, label: &[&str; 2]| {
        let mut text = ["slice_id", "patient_id", "label", "prob"].join(separator) + "\n";
        for row in 0..12 {
            let prob = format!("0.{}", 20 + 37 * row % 61);
            let prob = if comma { prob.replace('.', ",") } else { prob };
            text += &[format!("s{row}"), format!("p{}", row / 2), label[row / 2 % 2].to_owned(), prob].join(separator);
            text += "\n";
        }
        text
    };
    let (plain, _root) = metrics(&lines(",", false, &["0", "1"]), &[]);
    assert_eq!((plain.status.code(), text(&plain.stderr).as_str()), (Some(0), ""));
    for (other, remark) in [
        (lines(";", true, &["0", "1"]), ""),
        (lines("\t", true, &["0.0", "1.0"]), ""),
        (lines(";", false, &["False", "True"]), "warning: labels True and False"),
        (lines(",", false, &["0", "1"]).replace("slice_id", "\u{feff}Slice ID"), ""),
    ] {
        let (output, _root) = metrics(&other, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), text(&plain.stdout));
        assert!(text(&output.stderr).starts_with(remark) && text(&output.stderr).is_empty() == remark.is_empty());
    }
    let near = lines(",", false, &["0", "1"]).replacen("p0", "P0", 1);
    let (output, _root) = metrics(&near, &[]);
    let warning = "warning: column \"patient_id\" has ids that differ only by zeros, case or blanks (\"P0\" in line 2 and \"p0\" in line 3)";
    assert!(output.status.code() == Some(0) && text(&output.stderr).starts_with(warning), "{}", text(&output.stderr));
    let bool_of_zero = lines(",", false, &["False", "True"]);
    let (output, _root) = metrics(&bool_of_zero, &["--positive", "0"]);
    assert!(output.status.code() == Some(4) && text(&output.stderr).contains("got \"False\"; write 0 and 1"));
}

/// A Parquet file with these columns, `prob` as a number or as a list.
fn parquet(path: &Path, labels: Vec<Option<i64>>, prob: ArrayRef) {
    let names = |letter: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..labels.len()).map(|row| format!("{letter}{row}"))))
    };
    let labels_column: ArrayRef = Arc::new(Int64Array::from(labels.clone()));
    let columns = [("slice_id", names("s")), ("patient_id", names("p")), ("label", labels_column), ("prob", prob)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn bad_parquet_files_are_explained() {
    let numbers = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let lists = |rows: [Vec<f64>; 2]| -> ArrayRef {
        let rows = rows.map(|row| Some(row.into_iter().map(Some).collect::<Vec<_>>()));
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
    };
    let both = || vec![Some(0), Some(1)];
    let cases = [
        (
            both(),
            numbers([0.5, 1.5]),
            "mine.parquet, row 2: column \"prob\": expected a probability of the positive class in 0..1, got 1.5; write probabilities",
        ),
        (
            both(),
            numbers([f64::NAN, 0.5]),
            "row 1: column \"prob\": expected a probability of the positive class in 0..1, got no value",
        ),
        (
            vec![Some(0), None],
            numbers([0.5, 0.5]),
            "mine.parquet, row 2: column \"label\": expected a class's index (0, 1, ...), got no value",
        ),
        (
            both(),
            lists([vec![0.5, 0.5], vec![0.5, 0.4]]),
            "mine.parquet, row 2: slice s1, method predictions: prob: expected 2 probabilities in 0..1 that sum to 1 within 0.001, got [0.5, 0.4]",
        ),
        (
            both(),
            lists([vec![0.5, 0.5], vec![0.2, 0.3, 0.5]]),
            "mine.parquet, row 2: slice s1, method predictions: prob: expected 2 probabilities",
        ),
        (
            both(),
            Arc::new(Date32Array::from(vec![1, 2])),
            "mine.parquet, row 1: column \"prob\": expected a probability of the positive class in 0..1, got a value of type Date32",
        ),
    ];
    for (labels, prob, word) in cases {
        let root = TempDir::new().unwrap();
        parquet(&root.path().join("mine.parquet"), labels, prob);
        let output = run(root.path(), &["metrics", "mine.parquet"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{error}");
        assert!(error.contains(word), "{word} is not in {error}");
    }
}
