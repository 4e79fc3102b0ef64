//! What runs and what is skipped, with an executor that fakes the stages' outputs but seals real receipts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use contract::atomic::Folder;
use contract::plan::{self, Stage, Task};
use contract::{Coded, Config, Exit, hash, receipt};
use orchestrator::graph::{self, Graph};
use orchestrator::programs::Programs;
use orchestrator::schedule::{self, Executor, Outcome};
use orchestrator::{Error, Failure};

/// A study of two methods in three folds (9 tasks) in a folder of its own.
struct Study {
    folder: tempfile::TempDir,
}

impl Study {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let study = Self { folder };
        for stage in Stage::ALL {
            study.write(&format!("bin/{}", stage.program()), stage.name());
        }
        study.write("ct/labels.csv", "patient_id,label\n");
        study.write("model.pt", "model");
        let root = study.folder.path().display();
        study.write(
            "study.yaml",
            &format!(
                "study: s\npaths: {{data: {root}/data, reports: {root}/reports}}\n\
                 preprocess: {{input: {root}/ct, model: {root}/model.pt}}\n"
            ),
        );
        study
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        contract::atomic::write(&self.path(name), text.as_bytes()).unwrap();
    }

    fn graph(&self, set: &[&str]) -> Graph {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        let config = Config::load(&self.path("study.yaml"), &set).unwrap();
        Graph::new(plan::tasks(&config).unwrap())
    }

    fn programs(&self) -> Programs {
        Programs::find(&self.path("bin"), [Stage::Preprocess, Stage::Dataset, Stage::Train, Stage::Report]).unwrap()
    }

    /// Runs with `jobs` and an executor that fails in task `fail`. The ids of the tasks that started, and the result.
    fn run_with(&self, set: &[&str], jobs: usize, fail: Option<&str>) -> (Vec<String>, Result<Outcome, Error>) {
        let programs = self.programs();
        let fake = Fake { programs: &programs, started: Mutex::default(), fail };
        let result = schedule::run(&self.graph(set), &programs, jobs, &fake);
        (fake.started.into_inner().unwrap(), result)
    }

    /// The ids of the tasks that ran; all must go well.
    fn run(&self, set: &[&str]) -> Vec<String> {
        let (started, result) = self.run_with(set, 1, None);
        assert_eq!(result.unwrap(), Outcome { ran: started.len(), up_to_date: 9 - started.len() });
        started
    }
}

struct Fake<'a> {
    programs: &'a Programs,
    started: Mutex<Vec<String>>,
    fail: Option<&'a str>,
}

/// Writes the files that the tasks after this one read, and a receipt. Only dataset's content follows its settings.
fn fake_output(task: &Task, program: &str) {
    let folder = Folder::create(&task.output).unwrap();
    let files: &[&str] = match task.stage {
        Stage::Preprocess => &["slices.parquet", "lesions.parquet", "excluded.csv", "qa.csv", "sheets/sheet-0001.png"],
        Stage::Dataset => &["folds.parquet"],
        Stage::Train => &["predictions.parquet", "predictions-reversed.parquet", "attention.parquet", "log.csv"],
        Stage::Phantom | Stage::Report => &["tables.md"],
    };
    for file in files {
        let content = if task.stage == Stage::Dataset { task.config.to_string() } else { task.id.clone() };
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    receipt::seal(task, folder, program, BTreeMap::new(), &mut hash::Cache::default()).unwrap();
}

impl Executor for Fake<'_> {
    fn execute(&self, _: usize, task: &Task, reasons: &[String]) -> Result<(), Error> {
        assert!(!reasons.is_empty());
        self.started.lock().unwrap().push(task.id.clone());
        if self.fail == Some(task.id.as_str()) {
            let (stage, task, log) = (task.stage, task.id.clone(), None);
            return Err(Error::Stage(Failure { stage, task, code: Some(5), signal: None, log, tail: vec![] }));
        }
        fake_output(task, self.programs.hash(task.stage));
        Ok(())
    }
}

const TRAIN: [&str; 6] = [
    "train/conventional/fold-0/seed-0",
    "train/conventional/fold-1/seed-0",
    "train/conventional/fold-2/seed-0",
    "train/proposed/fold-0/seed-0",
    "train/proposed/fold-1/seed-0",
    "train/proposed/fold-2/seed-0",
];

#[test]
fn everything_runs_once_in_order_and_then_nothing() {
    let study = Study::new();
    let expected = [&["preprocess", "dataset"], TRAIN.as_slice(), &["report"]].concat();
    assert_eq!(study.run(&[]), expected);
    assert!(study.run(&[]).is_empty());
}

#[test]
fn a_task_that_makes_the_same_bytes_again_ends_the_chain() {
    let study = Study::new();
    study.run(&[]);
    study.write("model.pt", "another model");
    assert_eq!(study.run(&[]), ["preprocess"]);
}

#[test]
fn a_changed_setting_runs_what_depends_on_it() {
    let study = Study::new();
    study.run(&[]);
    assert_eq!(study.run(&["dataset.seed=1"]).len(), 8, "all but preprocess");
    assert_eq!(study.run(&["dataset.seed=1", "train.methods.proposed.gamma=2"])[..3], TRAIN[3..]);
    assert_eq!(study.run(&["dataset.seed=1", "train.methods.proposed.gamma=2", "report.gallery=3"]), ["report"]);
}

#[test]
fn a_new_program_or_a_lost_file_runs_its_task() {
    let study = Study::new();
    study.run(&[]);
    study.write("bin/chumoku-train", "built anew");
    assert_eq!(study.run(&[]), TRAIN);
    std::fs::remove_file(study.path("data/s/3_runs/proposed/fold-1/seed-0/log.csv")).unwrap();
    assert_eq!(study.run(&[]), ["train/proposed/fold-1/seed-0"]);
}

#[test]
fn a_failure_stops_the_run_and_the_next_goes_on_from_there() {
    let study = Study::new();
    let (started, result) = study.run_with(&[], 1, Some(TRAIN[2]));
    assert_eq!(started, [&["preprocess", "dataset"], &TRAIN[..3]].concat());
    assert_eq!(result.unwrap_err().exit(), Exit::Audit);
    assert_eq!(study.run(&[]), [&TRAIN[2..], &["report"]].concat());
}

#[test]
fn with_several_jobs_the_same_tasks_run() {
    let study = Study::new();
    let (mut started, result) = study.run_with(&[], 4, None);
    assert_eq!(result.unwrap().ran, 9);
    assert_eq!((started[0].as_str(), started[1].as_str(), started[8].as_str()), ("preprocess", "dataset", "report"));
    started[2..8].sort();
    assert_eq!(started[2..8], TRAIN);
    let (_, result) = study.run_with(&["dataset.seed=1"], 4, Some(TRAIN[4]));
    assert!(result.unwrap_err().to_string().contains(TRAIN[4]));
}

/// Holds every training run until three are running.
struct Meeting<'a> {
    programs: &'a Programs,
    arrived: Mutex<usize>,
    changed: Condvar,
}

impl Executor for Meeting<'_> {
    fn execute(&self, _: usize, task: &Task, _: &[String]) -> Result<(), Error> {
        if task.stage == Stage::Train {
            let mut arrived = self.arrived.lock().unwrap();
            *arrived += 1;
            self.changed.notify_all();
            let wait = self.changed.wait_timeout_while(arrived, Duration::from_secs(20), |count| *count < 3).unwrap();
            assert!(!wait.1.timed_out(), "three runs at a time were asked for");
        }
        fake_output(task, self.programs.hash(task.stage));
        Ok(())
    }
}

#[test]
fn jobs_run_at_the_same_time() {
    let study = Study::new();
    let programs = study.programs();
    let meeting = Meeting { programs: &programs, arrived: Mutex::default(), changed: Condvar::new() };
    assert_eq!(schedule::run(&study.graph(&[]), &programs, 3, &meeting).unwrap().ran, 9);
}

#[test]
fn a_forecast_changes_nothing_and_gives_reasons() {
    let study = Study::new();
    let text = graph::forecast("s", &study.graph(&[]), &study.programs(), false).unwrap();
    assert!(text.starts_with("s: 9 of 9 tasks would run\n[1/9] preprocess: would run: no output in "), "{text}");
    assert!(text.contains("[3/9] train/conventional/fold-0/seed-0: would run: no output in "), "{text}");
    assert!(!study.path("data").exists() && !study.path("reports").exists());
    study.run(&[]);
    let set = ["dataset.seed=1", "dataset.folds=4", "dataset.split_val=drop", "train.seeds=[0]"];
    let text = graph::forecast("s", &study.graph(&set), &study.programs(), true).unwrap();
    assert!(text.contains("[1/11] preprocess: up to date\n"), "{text}");
    assert!(text.contains("[3/11] train/conventional/fold-0/seed-0: may run: depends on dataset\n"), "{text}");
    for reason in ["seed changed: 0 -> 1", "folds changed: 3 -> 4", "split_val changed: \"train\" -> \"drop\""] {
        assert!(text.contains(&format!("\n    config dataset.{reason}")), "{text}");
    }
}

#[test]
fn what_nobody_makes_is_missed_before_any_work() {
    let study = Study::new();
    assert!(study.graph(&[]).check_inputs().is_ok());
    let model = format!("preprocess.model={}", study.path("none.pt").display());
    let error = study.graph(&[&model]).check_inputs().unwrap_err();
    assert_eq!(error.exit(), Exit::Missing);
    assert!(error.to_string().contains("none.pt"), "{error}");
    let error = study.graph(&["preprocess.input=/no/such/folder"]).check_inputs().unwrap_err();
    assert_eq!(error.exit(), Exit::Input);
    assert!(error.to_string().contains("set preprocess.input"), "{error}");
    // Phantoms make their own CT.
    let graph = study.graph(&["phantom.enabled=true", "preprocess.input=null"]);
    assert!(graph.check_inputs().is_ok());
    assert_eq!((graph.needs(0), graph.needs(1)), (&[][..], &[0][..]));
}

#[test]
fn a_second_set_of_phantoms_is_made_for_the_runs_alone() {
    let study = Study::new();
    let graph = study.graph(&["phantom.enabled=true", "phantom.reversed=true", "preprocess.input=null"]);
    let ids: Vec<&str> = graph.tasks().iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids[..5], ["phantom", "preprocess", "phantom/reversed", "preprocess/reversed", "dataset"]);
    let needs = |id: &str| {
        let at = ids.iter().position(|other| *other == id).unwrap();
        graph.needs(at).iter().map(|other| ids[*other]).collect::<Vec<_>>()
    };
    assert_eq!(needs("preprocess/reversed"), ["phantom/reversed"]);
    assert_eq!(needs("dataset"), ["preprocess"]);
    assert_eq!(needs(TRAIN[0]), ["preprocess", "preprocess/reversed", "dataset"]);
    assert_eq!(needs("report"), [&["preprocess", "dataset"], TRAIN.as_slice()].concat());
    assert!(graph.tasks()[3].output.ends_with("s/1_masks-reversed"));
}

#[test]
fn a_missing_program_is_named() {
    let error = Programs::find(Path::new("/no/such/folder"), [Stage::Train]).unwrap_err();
    assert_eq!(error.exit(), Exit::Missing);
    assert!(error.to_string().contains("chumoku-train") && error.to_string().contains("cargo build --release"));
}
