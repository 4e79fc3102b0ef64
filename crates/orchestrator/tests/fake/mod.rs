//! A study whose stage programs are shell scripts, beside the real `chumoku`.

#![allow(dead_code, reason = "each test uses a part of it")]

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
if [ "$FAKE" = "kill $stage" ]; then kill -9 $$; fi
if [ "$FAKE" = "fill $stage" ]; then mkdir -p data/s/$stage && head -c 4000000 /dev/zero > data/s/$stage/all || exit 1; fi
if [ "$FAKE" = "slow $stage" ]; then for part in 25 50 75; do echo "$stage: 1/4 images ($part %) 1.0/s eta 1 s" >&2; sleep 0.4; done; fi
if [ "$FAKE" = "eat $stage" ]; then head -c 300000000 /dev/zero | tail | sleep 60; fi
if [ "$FAKE" = "wait $stage" ]; then while [ ! -e go ]; do sleep 0.05; done; fi
if [ "$FAKE" = "hang $stage" ]; then
  trap 'echo "told once" >> calls; exit 130' TERM
  while true; do sleep 0.05; done
fi
if [ "$FAKE" = "linger $stage" ]; then
  trap 'sleep 1; echo "lingered" >> calls; exit 130' TERM
  while true; do sleep 0.05; done
fi
case $stage in
  preprocess) mkdir -p data/s/1_masks/sheets; touch data/s/1_masks/slices.parquet; [ "$FAKE" = "forget lesions" ] || touch data/s/1_masks/lesions.parquet; touch data/s/1_masks/excluded.csv data/s/1_masks/qa.csv;;
  dataset) mkdir -p data/s/2_folds; touch data/s/2_folds/folds.parquet;;
  train)
    while [ "$1" != --method ]; do shift; done
    run="data/s/3_runs/$2/fold-$4/seed-$6"; mkdir -p "$run"; touch "$run/predictions.parquet" "$run/attention.parquet" "$run/log.csv";;
  report) mkdir -p reports/s; echo "both tables, and the answer" > reports/s/summary.txt;;
esac
"#;

/// A folder with `chumoku` and [`SCRIPT`] for each stage.
pub fn programs() -> &'static Path {
    installed(SCRIPT)
}

/// A folder with `chumoku` and a script for each stage, made once by each test program: a file that was just written cannot be
/// started while another test's child still holds it open.
pub fn installed(script: &str) -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::hard_link(env!("CARGO_BIN_EXE_chumoku"), folder.join("chumoku")).unwrap();
        for stage in Stage::ALL {
            let path = folder.join(stage.program());
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        folder
    })
}

/// A study in a folder of its own.
pub struct Study(tempfile::TempDir);

impl Study {
    pub fn new() -> Self {
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

    /// As [`Self::run`], not yet started.
    pub fn command(&self, fake: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs().join("chumoku"));
        command.current_dir(self.0.path()).env("FAKE", fake).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `chumoku` with these arguments; the stages do what `fake` says.
    pub fn run(&self, fake: &str, arguments: &[&str]) -> Answer {
        Answer::of(self.command(fake, arguments).output().unwrap())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The text of one of its files; empty if it is not there.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }

    /// Waits until a stage noted its call.
    pub fn wait_for(&self, call: &str) {
        let started = Instant::now();
        while !self.file("calls").contains(call) {
            assert!(started.elapsed() < Duration::from_secs(20), "{call} never came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What a program left.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Answer {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Asks a process to stop.
pub fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}
