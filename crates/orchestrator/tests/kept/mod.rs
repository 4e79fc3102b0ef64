//! A finished study whose outputs are small but whose receipts are real, beside the real `chumoku`.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, StringArray};
use arrow::datatypes::Float32Type;
use contract::atomic::Folder;
use contract::layout::Layout;
use contract::plan::{self, Stage, Task};
use contract::table::TableWriter;
use contract::{Config, hash, receipt, schema};
use serde_json::Value;

/// The user whose name is to be in no crate.
pub const USER: &str = "alice";
pub const TRAIN: &str = "train/proposed/fold-1/seed-0";

/// A finished study at `<temporary>/alice/work`, beside its programs.
pub struct Study {
    pub folder: tempfile::TempDir,
}

impl Study {
    pub fn new() -> Self {
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(USER).join("work").join(name)
    }

    pub fn config(&self) -> Config {
        let set = [("data", "data"), ("reports", "reports")]
            .map(|(key, name)| format!("paths.{key}={}", self.path(name).display()));
        Config::load(&self.path("study.yaml"), &set).unwrap()
    }

    /// All tasks, with absolute paths; the program works with relative ones.
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks = plan::tasks(&self.config()).unwrap();
        for task in &mut tasks {
            for input in &mut task.inputs {
                input.path = self.path(&input.path.to_string_lossy());
            }
        }
        tasks
    }

    pub fn make(&self, task: &Task) {
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
    pub fn chumoku(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(self.path("bin/chumoku"));
        command.args(arguments).current_dir(self.path("")).env("USER", USER).env("HOME", self.folder.path().join(USER));
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Whether something that was begun lies about.
    pub fn has_left_overs(&self) -> bool {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).any(|name| name.to_string_lossy().starts_with('.'))
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.chumoku(arguments).1).unwrap()
    }
}

/// One slice with an attention map of two cells.
pub fn predictions(path: &Path) {
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
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = hash::walk(folder).unwrap();
    all.into_iter()
        .map(|file| (file.to_string_lossy().into_owned(), std::fs::read(folder.join(file)).unwrap()))
        .collect()
}
