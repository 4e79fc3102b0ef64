//! What keeps a run from finishing from outside: it says what, its last line is the one thing to do, and the next run goes on.

mod fake;

use std::path::{Path, PathBuf};
use std::process::Command;

use fake::{Answer, Study, programs};

/// A file system of its own in `data` of a study, of a megabyte; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`, and a line that says why, where it may not be mounted.
    fn mount(study: &Study, options: &str) -> Option<Self> {
        let path = study.path().join("data");
        std::fs::create_dir_all(&path).unwrap();
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => {
                eprintln!("skipped: a file system cannot be mounted here; run the tests as root");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn last(answer: &Answer) -> &str {
    answer.err.lines().last().unwrap_or_default()
}

#[test]
fn a_program_that_is_killed() {
    let study = Study::new();
    let answer = study.run("kill train", &["run", "study.yaml"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains("with signal 9 (killed, often because memory ran out)"), "{answer:?}");
    let advice =
        "free memory or run fewer tasks at a time (--jobs 1), and give the same command: it goes on from where it was";
    assert_eq!(last(&answer), advice);
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0));
}

#[test]
fn a_disk_that_is_full() {
    let study = Study::new();
    let Some(disk) = Disk::mount(&study, "size=1m") else { return };
    let advice = "make room on that disk, and give the same command: it goes on from where it was";
    let by_stage = study.run("fill preprocess", &["run", "study.yaml"]);
    assert_eq!((by_stage.code, last(&by_stage)), (Some(1), advice), "{by_stage:?}");
    // Not even a log can be written now.
    let by_us = study.run("", &["run", "study.yaml"]);
    assert_eq!(by_us.code, Some(1), "{by_us:?}");
    assert!(last(&by_us).contains("No space left on device") && last(&by_us).ends_with(advice), "{by_us:?}");
    std::fs::remove_file(disk.0.join("s/preprocess/all")).unwrap();
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0));
}

#[test]
fn a_folder_that_may_only_be_read() {
    let study = Study::new();
    let Some(disk) = Disk::mount(&study, "ro") else { return };
    let answer = study.run("", &["run", "study.yaml"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(last(&answer).contains("Read-only file system"), "{answer:?}");
    assert!(
        last(&answer).ends_with("make that folder writable, or set paths.data and paths.reports to folders that are")
    );
    drop(disk);
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0));
}

#[test]
fn an_input_that_vanishes_on_the_way() {
    let study = Study::new();
    let answer = study.run("forget lesions", &["run", "study.yaml"]);
    assert_eq!(answer.code, Some(4), "{answer:?}");
    let start = "error: input \"lesions\" of train/conventional/fold-0/seed-0, data/s/1_masks/lesions.parquet: ";
    assert!(last(&answer).starts_with(start), "{answer:?}");
    assert!(last(&answer).ends_with("run the stages before this one, or `chumoku run` for all of them"), "{answer:?}");
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0));
}

#[test]
fn a_program_that_vanishes_on_the_way() {
    let study = Study::new();
    let folder = study.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(programs()).unwrap() {
        let entry = entry.unwrap();
        std::fs::hard_link(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let mut command = Command::new(folder.join("chumoku"));
    command.current_dir(study.path()).env("FAKE", "wait preprocess").args(["run", "study.yaml"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    study.wait_for("preprocess --config");
    std::fs::remove_file(folder.join("chumoku-dataset")).unwrap();
    std::fs::write(study.path().join("go"), "").unwrap();
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(6), "{answer:?}");
    let expected = format!("error: cannot start {}: No such file", folder.join("chumoku-dataset").display());
    assert!(last(&answer).starts_with(&expected), "{answer:?}");
    assert!(last(&answer).ends_with("build all with `cargo build --release`"), "{answer:?}");
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0), "with the programs of another folder");
}

#[test]
fn a_run_that_is_killed_leaves_no_stage_that_writes_beside_the_next() {
    let study = Study::new();
    let mut first = study.command("linger train", &["run", "study.yaml", "--jobs", "1"]).spawn().unwrap();
    study.wait_for("train --config");
    first.kill().unwrap();
    let id = first.id();
    first.wait().unwrap();
    let second = study.run("", &["run", "study.yaml"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    let told = format!("s: waiting for a stage program that process {id} on ");
    assert!(second.err.contains(&told) && second.err.contains("left when it was killed"), "{second:?}");
    let calls = study.file("calls");
    let order: Vec<&str> = calls.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(order[..4], ["preprocess", "dataset", "train", "lingered"], "the kernel stopped it: {calls}");
    assert_eq!(order[4], "preprocess", "the next run began after that: {calls}");
    assert!(Path::new(&study.path().join("data/s/.lock")).exists());
}
