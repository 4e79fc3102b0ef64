//! Drives the real `chumoku` beside stage programs that are shell scripts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use contract::plan::Stage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A stage that notes its call, does what `$FAKE` says, and leaves the files that the stages after it read.
const SCRIPT: &str = r#"#!/bin/sh
stage=$(basename "$0" | sed s/chumoku-//)
if [ "$1" = doctor ]; then echo "error: $3: no such file" >&2; exit 6; fi
echo "$stage $*" >> calls
echo "$stage: runs because of the test" >&2
echo "working on $stage" >&2
echo "result of $stage"
if [ "$FAKE" = "fail $stage" ]; then echo "error: no luck" >&2; exit 5; fi
if [ "$FAKE" = "hang $stage" ]; then
  trap 'echo "told once" >> calls; exit 130' TERM
  while true; do sleep 0.05; done
fi
case $stage in
  preprocess) mkdir -p data/s/1_masks/sheets; touch data/s/1_masks/slices.parquet data/s/1_masks/lesions.parquet data/s/1_masks/excluded.csv;;
  dataset) mkdir -p data/s/2_folds; touch data/s/2_folds/folds.parquet;;
  train)
    while [ "$1" != --method ]; do shift; done
    run="data/s/3_runs/$2/fold-$4/seed-$6"; mkdir -p "$run"; touch "$run/predictions.parquet" "$run/attention.parquet" "$run/log.csv";;
  report) mkdir -p reports/s; echo "both tables, and the answer" > reports/s/summary.txt;;
esac
"#;

/// A folder with `chumoku` and the scripts, made once: a file that was just written cannot be started while another
/// test's child still holds it open.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-stages");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::hard_link(env!("CARGO_BIN_EXE_chumoku"), folder.join("chumoku")).unwrap();
        for stage in Stage::ALL {
            let path = folder.join(stage.program());
            std::fs::write(&path, SCRIPT).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        folder
    })
}

struct Study(tempfile::TempDir);

impl Study {
    fn new() -> Self {
        programs();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("ct")).unwrap();
        for (name, text) in [
            ("ct/labels.csv", "patient_id,label\n"),
            ("model.pt", "model"),
            ("study.yaml", "study: s\npreprocess: {input: ct, model: model.pt}\ndataset: {folds: 2}\n"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn command(&self, fake: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs().join("chumoku"));
        command.current_dir(self.0.path()).env("FAKE", fake).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, fake: &str, arguments: &[&str]) -> Answer {
        Answer::of(self.command(fake, arguments).output().unwrap())
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }

    /// Waits until a stage noted its call.
    fn wait_for(&self, call: &str) {
        let started = Instant::now();
        while !self.file("calls").contains(call) {
            assert!(started.elapsed() < Duration::from_secs(20), "{call} never came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

#[test]
fn a_whole_study_ends_with_the_tables() {
    let study = Study::new();
    let answer = study.run("", &["run", "study.yaml", "--set", "train.epochs=3"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("[3/7] train/conventional/fold-0/seed-0: runs because no output in"), "{answer:?}");
    assert!(answer.err.contains("train/proposed/fold-1/seed-0: working on train"), "{answer:?}");
    assert!(!answer.err.contains("dataset: runs because of the test"), "the reason is given once: {answer:?}");
    assert!(answer.out.contains("result of dataset\n") && !answer.out.contains("result of report"), "{answer:?}");
    let (_, last) = answer.out.split_once("both tables, and the answer\n\n").unwrap();
    assert!(
        last.starts_with("s: ran 7 of 7 tasks, 0 were up to date (")
            && last.ends_with(" s)\nreport: reports/s/report.html\n"),
        "{answer:?}"
    );
    let calls = study.file("calls");
    let train = "train --config study.yaml --set train.epochs=3 --progress plain --method proposed --fold 1 --seed 0\n";
    assert!(calls.contains(train), "{calls}");
    let log = study.file("data/s/logs/train-proposed-fold-1-seed-0.log");
    assert!(log.starts_with("$ ") && log.contains("working on train\n") && log.contains("result of train\n"), "{log}");
}

#[test]
fn a_failing_stage_is_named_and_its_code_passed_on() {
    let study = Study::new();
    let answer = study.run("fail dataset", &["run", "study.yaml"]);
    assert_eq!(answer.code, Some(5), "{answer:?}");
    let start =
        "error: stage dataset failed in task dataset with exit code 5 (audit failed); log: data/s/logs/dataset.log";
    assert!(answer.err.contains(start), "{answer:?}");
    assert!(answer.err.ends_with("\n  error: no luck\n"), "{answer:?}");
    assert!(!study.file("calls").contains("train"));
}

#[test]
fn a_dry_run_calls_nothing_and_leaves_nothing() {
    let study = Study::new();
    let answer = study.run("", &["run", "study.yaml", "--dry-run", "--explain"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.starts_with("s: 7 of 7 tasks would run\n"), "{answer:?}");
    assert!(answer.out.contains("[2/7] dataset: would run: no output in data/s/2_folds yet\n"), "{answer:?}");
    assert_eq!(study.file("calls"), "");
    assert!(!study.0.path().join("data").exists());
}

#[test]
fn a_stop_reaches_the_stage_once_and_a_second_run_is_refused() {
    let study = Study::new();
    let child = study.command("hang train", &["run", "study.yaml", "--jobs", "1"]).spawn().unwrap();
    study.wait_for("train --config");
    let second = study.run("", &["run", "study.yaml"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains(&format!("already being run by process {}", child.id())), "{second:?}");
    terminate(&child);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(130), "{answer:?}");
    assert!(answer.err.contains("the same command goes on from where it was"), "{answer:?}");
    assert_eq!(study.file("calls").matches("told once").count(), 1);
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0), "the lock is free again");
}

#[test]
fn wrong_words_have_their_codes() {
    let study = Study::new();
    for (arguments, code, part) in [
        (&["run", "none.yaml"][..], 3, "none.yaml"),
        (&["run", "study.yaml", "--set", "train.epoch=3"], 3, "did you mean train.epochs?"),
        (&["run", "study.yaml", "--set", "preprocess.model=none.pt"], 6, "none.pt"),
        (&["run", "study.yaml", "--set", "preprocess.input=none"], 4, "set preprocess.input"),
        (&["run", "study.yaml", "--set", "dataset.splits=none.json"], 4, "none.json"),
        (&["run", "study.yaml", "--executor", "slurm"], 2, "not available in this version"),
        (&["run", "study.yaml", "--jobs", "0"], 2, "--jobs"),
        (&["walk"], 2, "walk"),
    ] {
        let answer = study.run("", arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?}: {answer:?}");
        assert!(answer.err.contains(part), "{arguments:?}: {answer:?}");
    }
    assert_eq!(study.file("calls"), "");
}

#[test]
fn the_doctor_names_what_is_missing() {
    let study = Study::new();
    let answer = study.run("", &["doctor"]);
    assert_eq!(answer.code, Some(6), "{answer:?}");
    assert!(answer.out.contains("problem  lung model           data/models/lung-unet.pt: no such file"), "{answer:?}");
    assert!(answer.out.contains("ok       chumoku-train"), "{answer:?}");
}
