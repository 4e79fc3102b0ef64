//! `chumoku status`, `logs`, `verify` and `crate` over a study whose outputs are small but whose receipts are real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, StringArray,
};
use arrow::datatypes::Float32Type;
use contract::atomic::Folder;
use contract::layout::Layout;
use contract::plan::{self, Stage, Task};
use contract::table::{TableReader, TableWriter};
use contract::{Config, hash, receipt, schema};
use serde_json::Value;

/// The user whose name is to be in no crate.
const USER: &str = "alice";
const TRAIN: &str = "train/proposed/fold-1/seed-0";

/// A finished study at `<temporary>/alice/work`, beside its programs.
struct Study {
    folder: tempfile::TempDir,
}

impl Study {
    fn new() -> Self {
        let study = Self { folder: tempfile::tempdir().unwrap() };
        let (work, bin) = (study.path(""), study.path("bin"));
        std::fs::create_dir_all(study.path("ct")).unwrap();
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::hard_link(env!("CARGO_BIN_EXE_chumoku"), bin.join("chumoku"))
            .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_chumoku"), bin.join("chumoku")).map(|_| ()))
            .unwrap();
        for stage in Stage::ALL {
            std::fs::write(bin.join(stage.program()), stage.name()).unwrap();
        }
        let yaml = format!(
            "study: s\npreprocess: {{input: {}/ct, model: model.pt}}\ndataset: {{folds: 2}}\ntrain: {{init: {}/w.safetensors, epochs: 9}}\n",
            work.display(),
            work.display()
        );
        for (name, text) in [
            ("ct/labels.csv", "patient_id,label\n"),
            ("model.pt", "model"),
            ("w.safetensors", "w"),
            ("study.yaml", &yaml),
        ] {
            std::fs::write(study.path(name), text).unwrap();
        }
        study.tasks().iter().for_each(|task| study.make(task));
        study
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(USER).join("work").join(name)
    }

    fn config(&self) -> Config {
        let set = [("data", "data"), ("reports", "reports")]
            .map(|(key, name)| format!("paths.{key}={}", self.path(name).display()));
        Config::load(&self.path("study.yaml"), &set).unwrap()
    }

    /// All tasks, with absolute paths; the program works with relative ones.
    fn tasks(&self) -> Vec<Task> {
        let mut tasks = plan::tasks(&self.config()).unwrap();
        for task in &mut tasks {
            for (_, path) in &mut task.inputs {
                *path = self.path(&path.to_string_lossy());
            }
        }
        tasks
    }

    fn make(&self, task: &Task) {
        let folder = Folder::create(&task.output).unwrap();
        let files: &[&str] = match task.stage {
            Stage::Preprocess => {
                &["slices.parquet", "lesions.parquet", "excluded.csv", "qa.csv", "sheets/sheet-0001.png"]
            }
            Stage::Dataset => &["folds.parquet", "splits_final.json"],
            Stage::Train => &["attention.parquet", "log.csv", "weights.safetensors", "tb/events", "timing.json"],
            _ => &[
                "tables.md",
                "metrics.json",
                "report.html",
                "figures/roc.svg",
                "figures/maps.svg",
                "notes.bin",
                "told.csv",
            ],
        };
        for file in files {
            let content = match *file {
                "figures/maps.svg" => "<svg><image href=\"data:image/png;base64,AA\"/></svg>".to_owned(),
                "told.csv" => format!("from {}", self.path("ct").display()),
                _ => format!("{file} of {}", task.id),
            };
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        if task.stage == Stage::Train {
            predictions(&folder.path().join("predictions.parquet"));
        }
        let program = hash::file(&self.path("bin").join(task.stage.program())).unwrap();
        let environment = BTreeMap::from([("device".to_owned(), "cpu".to_owned())]);
        receipt::seal(task, folder, &program, environment, &mut hash::Cache::default()).unwrap();
        let log = Layout::new(&self.config()).log(&task.id);
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        let text = format!(
            "$ {0}/bin/{1} --config study.yaml\n{2} in {0}/ct by {USER}\n",
            self.path("").display(),
            task.stage.program(),
            task.id
        );
        std::fs::write(log, text).unwrap();
    }

    /// Exit code, stdout and stderr of `chumoku`.
    fn chumoku(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(self.path("bin/chumoku"));
        command.args(arguments).current_dir(self.path("")).env("USER", USER).env("HOME", self.folder.path().join(USER));
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.chumoku(arguments).1).unwrap()
    }
}

/// One slice with an attention map of two cells.
fn predictions(path: &Path) {
    let list = |values: &[f32]| -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
        builder.append_value(values.iter().map(|value| Some(*value)));
        Arc::new(builder.finish())
    };
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns: Vec<ArrayRef> = vec![
        text("p/s/0"),
        text("p"),
        Arc::new(Int32Array::from(vec![1])),
        text("proposed"),
        Arc::new(Int32Array::from(vec![0])),
        Arc::new(Int64Array::from(vec![0])),
        list(&[0.25, 0.75]),
        list(&[0.5, 0.5]),
        list(&[0.125, 1.0]),
        Arc::new(Float32Array::from(vec![0.5])),
    ];
    let mut table = TableWriter::create(path, schema::predictions(), &[("chumoku.classes", "[]".to_owned())]).unwrap();
    table.write(&schema::predictions(), columns).unwrap();
    table.commit().unwrap();
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = hash::walk(folder).unwrap();
    all.into_iter()
        .map(|file| (file.to_string_lossy().into_owned(), std::fs::read(folder.join(file)).unwrap()))
        .collect()
}

#[test]
fn the_status_of_each_task_has_a_reason_a_size_and_a_time() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["status", "study.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("s: 7 tasks, 7 up to date; "), "{out}");
    std::fs::remove_dir_all(study.path("data/s/3_runs/proposed/fold-1")).unwrap();
    std::fs::create_dir_all(study.path("data/s/3_runs/proposed/fold-1/seed-0.partial")).unwrap();
    std::fs::write(study.path("data/s/3_runs/proposed/fold-1/seed-0.partial/half"), "half").unwrap();
    let log = study.path("data/s/logs/train-proposed-fold-0-seed-0.log");
    let running = std::fs::File::open(&log).unwrap();
    running.lock().unwrap();
    let (_, out, _) = study.chumoku(&["status", "study.yaml"]);
    assert!(out.starts_with("s: 7 tasks, 4 up to date, 1 running, 1 would run, 1 may run; "), "{out}");
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(line(TRAIN).contains("would run") && line(TRAIN).contains("no output in data/s/3_runs"), "{out}");
    assert!(line(TRAIN).ends_with("an unfinished attempt of 0.0 kB lies there"), "{out}");
    assert!(line("train/proposed/fold-0/seed-0").contains("running"), "{out}");
    assert!(line("report").ends_with(&format!("depends on {TRAIN}")), "{out}");
    let json = study.json(&["status", "study.yaml", "--json", "--set", "dataset.seed=4"]);
    assert_eq!(json["counts"]["may_run"], 5 - 1 - 1, "{json:#}");
    let dataset = &json["tasks"][1];
    assert_eq!(
        dataset["reasons"][0],
        serde_json::json!({"what": "key", "key": "dataset.seed", "old": "0", "new": "4"})
    );
    // "folds.parquet of dataset" and "splits_final.json of dataset", and the receipt.
    let receipt = std::fs::metadata(study.path("data/s/2_folds/receipt.yaml")).unwrap().len();
    assert_eq!(dataset["bytes"], 24 + 28 + receipt);
    assert!(dataset["made"].as_str().unwrap().starts_with("20") && json["running"].is_null());
}

#[test]
fn logs_are_found_by_task_with_and_without_the_study() {
    let study = Study::new();
    let (code, out, _) = study.chumoku(&["logs", TRAIN, "study.yaml"]);
    assert!(code == Some(0) && out.contains(&format!("{TRAIN} in ")), "{out}");
    assert_eq!(study.chumoku(&["logs", TRAIN]).1, out);
    for (arguments, code, words) in [
        (&["logs", TRAIN, "study.yaml", "--previous"][..], 4, "previous.log"),
        (&["logs", "trian", "study.yaml"], 2, "it has: preprocess, dataset, "),
        (&["logs", "trian"], 2, "no study in data has a log of task trian"),
    ] {
        let (got, _, err) = study.chumoku(arguments);
        assert!(got == Some(code) && err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn verify_names_each_file_that_is_not_what_a_receipt_says() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    // 5 of preprocess, 2 of dataset, 6 of each of four runs, 7 of report.
    assert_eq!(out, "s: 7 receipts and 38 files checked, all as the receipts say\n");
    std::fs::write(study.path("data/s/2_folds/folds.parquet"), "other").unwrap();
    std::fs::remove_file(study.path("data/s/1_masks/qa.csv")).unwrap();
    std::fs::write(study.path("data/s/1_masks/more.csv"), "more").unwrap();
    std::fs::remove_file(study.path("model.pt")).unwrap();
    std::fs::write(study.path("bin/chumoku-report"), "built anew").unwrap();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert_eq!(code, Some(5), "{out}{err}");
    for line in [
        "dataset: output data/s/2_folds/folds.parquet was changed: ",
        "preprocess: output data/s/1_masks/qa.csv is gone\n",
        "preprocess: data/s/1_masks/more.csv is in no receipt\n",
        "preprocess: input model (model.pt) cannot be read: ",
        "report: program chumoku-report changed: ",
        "train/conventional/fold-0/seed-0: input folds (data/s/2_folds/folds.parquet) changed: ",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
    // Five above, and folds.parquet for the four runs and the report.
    assert!(err.starts_with("error: 10 of the things above") && out.lines().count() == 11, "{out}{err}");
    let json = study.json(&["verify", "study.yaml", "--json"]);
    assert_eq!(json["differences"].as_array().unwrap().len(), 10);
}

#[test]
fn receipts_that_do_not_chain_are_seen_though_each_holds() {
    let study = Study::new();
    let tasks = study.tasks();
    // Folds are made anew, with other bytes, and the file is then put back as the others read it.
    let folds = study.path("data/s/2_folds/folds.parquet");
    let before = std::fs::read(&folds).unwrap();
    let receipt = study.path("data/s/2_folds/receipt.yaml");
    let text = std::fs::read_to_string(&receipt).unwrap();
    let forged = text.replace(&hash::bytes(&before), &hash::bytes(b"other folds"));
    assert_ne!(text, forged);
    std::fs::write(&receipt, forged).unwrap();
    let json = study.json(&["verify", "study.yaml", "--json"]);
    let chained: Vec<&Value> =
        json["differences"].as_array().unwrap().iter().filter(|one| one["difference"]["what"] == "chain").collect();
    assert_eq!(chained.len(), tasks.len() - 2, "four runs and the report: {json:#}");
    assert_eq!(chained[0]["difference"]["from"], "dataset");
    assert_eq!(chained[0]["difference"]["made"], hash::bytes(b"other folds"));
}

#[test]
fn a_crate_holds_numbers_and_no_patients_and_no_names() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["crate", "study.yaml", "--out", "shared"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let held = files(&study.path("shared"));
    for name in [
        "ro-crate-metadata.json",
        "config.yaml",
        "left-out.csv",
        "1_masks/qa.csv",
        "1_masks/receipt.yaml",
        "2_folds/folds.parquet",
        "3_runs/proposed/fold-1/seed-0/predictions.parquet",
        "logs/dataset.log",
        "report/metrics.json",
        "report/figures/roc.svg",
    ] {
        assert!(held.contains_key(name), "{name} in {:?}", held.keys());
    }
    let left = String::from_utf8(held["left-out.csv"].clone()).unwrap();
    for name in [
        "1_masks/slices.parquet",
        "1_masks/lesions.parquet",
        "1_masks/sheets/sheet-0001.png",
        "report/report.html",
        "report/notes.bin",
        "report/figures/maps.svg",
        "report/told.csv",
        "3_runs/proposed/fold-1/seed-0/weights.safetensors",
        "3_runs/proposed/fold-1/seed-0/tb/events",
    ] {
        assert!(!held.contains_key(name) && left.contains(&format!("\"{name}\",")), "{name}");
    }
    let own = study.folder.path().to_string_lossy().into_owned();
    for (name, bytes) in &held {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(USER) && !text.contains(&own), "{name}: {text}");
    }
    let schema = schema::predictions();
    let table = study.path("shared/3_runs/proposed/fold-1/seed-0/predictions.parquet");
    let batch = TableReader::open(&table, &schema).unwrap().batches(8).unwrap().next().unwrap().unwrap();
    assert!(batch.column_by_name("attention").unwrap().is_null(0));
    assert_eq!(contract::table::float_lists(&batch, "prob"), [Some(vec![0.25, 0.75])]);
    assert_eq!(batch.column_by_name("attention_in_lung").unwrap().as_primitive::<Float32Type>().value(0), 0.5);
    check_graph(&serde_json::from_slice(&held["ro-crate-metadata.json"]).unwrap(), &held);
    let again = study.chumoku(&["crate", "study.yaml", "--out", "shared"]);
    assert!(again.0 == Some(0) && files(&study.path("shared")) == held, "the same bytes again");
}

/// Every reference leads somewhere, every file is described, every task has an action with its program.
fn check_graph(document: &Value, held: &BTreeMap<String, Vec<u8>>) {
    let graph = document["@graph"].as_array().unwrap();
    let known: BTreeMap<&str, &Value> = graph.iter().map(|entity| (entity["@id"].as_str().unwrap(), entity)).collect();
    assert_eq!(known.len(), graph.len(), "each entity once");
    let parts: Vec<&str> =
        known["./"]["hasPart"].as_array().unwrap().iter().map(|part| part["@id"].as_str().unwrap()).collect();
    for name in held.keys().filter(|name| *name != "ro-crate-metadata.json") {
        assert!(parts.contains(&name.as_str()), "{name}");
        assert_eq!(known[name.as_str()]["contentSize"], held[name].len().to_string());
        assert_eq!(known[name.as_str()]["identifier"], format!("blake3:{}", hash::bytes(&held[name])), "{name}");
    }
    let actions: Vec<&&Value> = known.values().filter(|entity| entity["@type"] == "CreateAction").collect();
    assert_eq!(actions.len(), 7);
    for action in actions {
        let lists = ["object", "result"].map(|key| action[key].as_array().unwrap().clone()).concat();
        for reference in lists.iter().chain([&action["instrument"]]) {
            assert!(known.contains_key(reference["@id"].as_str().unwrap()), "{reference} of {}", action["@id"]);
        }
        assert_eq!(known[action["instrument"]["@id"].as_str().unwrap()]["@type"], "SoftwareApplication");
    }
}

#[test]
fn a_crate_grows_by_what_is_asked_for_and_can_be_a_zip_file() {
    let study = Study::new();
    let all = ["--with-images", "--with-weights", "--with-attention"];
    let (code, _, err) = study.chumoku(&[&["crate", "study.yaml", "--out", "all.zip"], &all[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(!study.path("all").exists() && !study.path("all.partial").exists());
    study.chumoku(&[&["crate", "study.yaml", "--out", "all"], &all[..]].concat());
    let held = files(&study.path("all"));
    for name in ["1_masks/slices.parquet", "report/report.html", "3_runs/proposed/fold-1/seed-0/weights.safetensors"] {
        assert!(held.contains_key(name), "{name}");
    }
    let run = "3_runs/proposed/fold-1/seed-0/predictions.parquet";
    assert_eq!(held[run], std::fs::read(study.path("data/s").join(run)).unwrap());
    assert!(!held.contains_key("report/told.csv"), "who names a folder stays out");
    // Python's zipfile reads the archive and checks every sum.
    let script =
        "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.namelist()))";
    match Command::new("python3").args(["-c", script]).arg(study.path("all.zip")).output() {
        Ok(found) => assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), held.len().to_string(), "{found:?}"),
        Err(_) => eprintln!("skipped: no python3 to read the ZIP file"),
    }
}

#[test]
fn a_crate_is_refused_where_it_would_vouch_for_what_is_not_so() {
    let study = Study::new();
    std::fs::create_dir(study.path("mine")).unwrap();
    std::fs::write(study.path("mine/thesis.tex"), "mine").unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "mine"]);
    assert!(code == Some(2) && err.contains("is no crate") && study.path("mine/thesis.tex").exists(), "{err}");
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new", "--license", "MIT"]);
    assert!(code == Some(2) && err.contains("--license expects the URL"), "{err}");
    std::fs::write(study.path("data/s/1_masks/qa.csv"), "better").unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(code == Some(5) && err.contains("1_masks/qa.csv is not what its receipt says"), "{err}");
    std::fs::remove_dir_all(study.path("reports")).unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(code == Some(4) && err.contains("task report has no output yet"), "{err}");
    assert!(!study.path("new").exists() && !study.path("new.partial").exists());
}

#[test]
fn a_crate_is_valid_after_the_published_profiles() {
    let Ok(python) = std::env::var("CHUMOKU_CRATE_PYTHON") else {
        eprintln!("skipped: CHUMOKU_CRATE_PYTHON names no Python with tools/crate_requirements.txt; make test does");
        return;
    };
    let study = Study::new();
    study.chumoku(&[
        "crate",
        "study.yaml",
        "--out",
        "shared",
        "--license",
        "https://creativecommons.org/licenses/by/4.0/",
    ]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/check_crate.py");
    let found = Command::new(python).arg(script).arg(study.path("shared")).output().unwrap();
    let text = [found.stdout, found.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(found.status.success() && text.contains("7 actions"), "{text}");
}
