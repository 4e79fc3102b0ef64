//! Studies by the real stage programs as jobs of a real Slurm: the bytes of a run on one machine, whatever happened on the way.

mod cluster;
mod fake;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::{Cluster, real, sums};
use fake::Answer;

/// A tiny study in `folder`, with these overrides.
fn run(cluster: &Cluster, chumoku: &Path, folder: &Path, set: &[&str], extra: &[&str]) -> Answer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(chumoku);
    command.current_dir(&root).env("SLURM_CONF", cluster.conf()).args(["run", "pipelines/smoke.yaml"]).args(extra);
    let paths = ["data", "reports"].map(|name| format!("paths.{name}={}", folder.join(name).display()));
    let given = set.iter().map(|text| (*text).to_owned()).chain(paths);
    for text in given {
        command.args(["--set".to_owned(), text]);
    }
    Answer::of(command.output().unwrap())
}

/// One task at a time, two, and on a cluster.
#[test]
fn the_same_bytes_wherever_and_however_many_at_a_time() {
    let Some(chumoku) = real() else { return };
    let Some(cluster) = Cluster::start(&[]) else { return };
    let bytes = |extra: &[&str]| -> (BTreeMap<PathBuf, String>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let set = ["train.epochs=1", "phantom.patients_per_class=4", "phantom.slices=3"];
        let answer = run(&cluster, chumoku, folder.path(), &set, extra);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        (sums(folder.path()), folder)
    };
    let (one, _kept) = bytes(&["--jobs", "1"]);
    assert!(one.len() >= 20 && one.keys().any(|file| file.ends_with("weights.safetensors")), "{one:?}");
    assert_eq!(one, bytes(&["--jobs", "2"]).0);
    assert_eq!(one, bytes(&["--executor", "slurm"]).0);
}

/// A real time limit, of which a minute is the least: training that takes longer is stopped, goes on with the same command, and ends in the
/// bytes of one that nobody stopped.
#[test]
#[ignore = "five to ten minutes: cargo test --release -p orchestrator --test slurm_bytes -- --ignored"]
fn training_stopped_at_its_time_limit_ends_in_the_same_bytes() {
    let Some(chumoku) = real() else { return };
    let Some(cluster) = Cluster::start(&[]) else { return };
    let small = ["phantom.patients_per_class=3", "phantom.slices=3", "phantom.size=64", "preprocess.threads=1"];
    let set = [&small[..], &["train.epochs=200", "train.batch_size=4", "train.checkpoint_seconds=2"]].concat();
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stopped = 0;
    loop {
        let limited = ["--executor", "slurm", "--slurm", "train:time=1"];
        let answer = run(&cluster, chumoku, parts.path(), &set, &limited);
        if answer.code == Some(0) {
            break;
        }
        stopped += 1;
        assert!(stopped < 40, "{answer:?}");
        assert!(answer.err.contains("warning: jobs of train have 1 min 00 s"), "{answer:?}");
        assert!(answer.err.contains("stopped at its time limit of 1 min 00 s; log: "), "{answer:?}");
        assert!(answer.err.lines().last().unwrap().starts_with("give it more time with --slurm train:time="));
    }
    assert!(stopped > 0, "the limit was never reached: give it more epochs");
    let answer = run(&cluster, chumoku, whole.path(), &set, &["--jobs", "2"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(sums(whole.path()), sums(parts.path()), "stopped {stopped} times");
    println!("stopped {stopped} times");
}
