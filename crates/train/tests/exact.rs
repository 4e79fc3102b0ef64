//! A run that was killed, however often and wherever, ends in the bytes of one that was not; one that lost its optimiser's history does not.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::Study;
use contract::layout::CHECKPOINT_POSITION;
use contract::random;
use rand::RngExt;
use tch::Tensor;

/// Alpha falls from the second epoch to the third (E = 6, n >= 3 is late); the cosine changes the learning rate at every step.
const SETTINGS: &str = "epochs: 6, batch_size: 4, threads: 1, lr: 0.001, checkpoint_seconds: 0";
const OPTIMIZERS: [&str; 2] = ["sgd", "adamw"];
/// Every file of a run but those that tell the time: timing.json, tb and the receipt that hashes them.
const OUTPUTS: [&str; 5] =
    ["weights.safetensors", "predictions.parquet", "attention.parquet", "log.csv", "config.yaml"];

fn study(optimizer: &str) -> Study {
    Study::new(&format!("{SETTINGS}, optimizer: {optimizer}"))
}

fn command(study: &Study) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chumoku-train"));
    command.arg("--config").arg(study.yaml()).args(["--progress", "none", "--method", "proposed", "--fold", "0"]);
    command.args(["--seed", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(study: &Study) -> Child {
    command(study).spawn().unwrap()
}

fn finish(study: &Study) {
    assert!(start(study).wait().unwrap().success());
}

fn partial(study: &Study) -> PathBuf {
    study.path().join("data/tiny/3_runs/proposed/fold-0/seed-0.partial")
}

fn checkpoint(study: &Study) -> PathBuf {
    partial(study).join("checkpoint.safetensors")
}

/// Kills the run with SIGKILL as soon as `moment` has come. False if it ended before.
fn kill_at(study: &Study, moment: impl Fn() -> bool) -> bool {
    let mut child = start(study);
    while !moment() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// Whether a file is being written in `folder`.
fn is_writing(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(".writing-"))
}

fn outputs(study: &Study) -> Vec<Vec<u8>> {
    OUTPUTS.iter().map(|name| std::fs::read(study.run_file("proposed", name)).unwrap()).collect()
}

fn names(study: &Study) -> Vec<String> {
    let folder = study.run_file("proposed", "");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Uninterrupted is resumed is not weights alone.
#[test]
fn three_ways() {
    for optimizer in OPTIMIZERS {
        let [whole, resumed, forgetful] = [0; 3].map(|_| study(optimizer));
        finish(&whole);
        for study in [&resumed, &forgetful] {
            assert!(kill_at(study, || checkpoint(study).exists()), "{optimizer}: ended before it was killed");
        }
        let path = checkpoint(&forgetful);
        let all = Tensor::read_safetensors(&path).unwrap();
        let weights: Vec<(&str, &Tensor)> = all
            .iter()
            .filter(|(name, _)| !name.starts_with("optimizer."))
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        assert!(weights.len() < all.len());
        Tensor::write_safetensors(&weights, &path).unwrap();
        finish(&resumed);
        finish(&forgetful);
        assert!(outputs(&whole) == outputs(&resumed), "{optimizer}: resumed is another run");
        assert!(outputs(&whole)[0] != outputs(&forgetful)[0], "{optimizer}: the history made no difference");
        assert_eq!(names(&whole), names(&resumed));
    }
}

/// Killed eight times: by turns inside the writing of a checkpoint, and after a random time.
#[test]
fn killed_wherever() {
    for (turn, optimizer) in OPTIMIZERS.into_iter().enumerate() {
        let [whole, broken] = [0; 2].map(|_| study(optimizer));
        finish(&whole);
        let mut rng = random::stream(turn as u64, "kill", &[]);
        let mut inside = 0;
        for kill in 0..8 {
            let wait = Duration::from_millis(rng.random_range(50..900));
            let started = std::time::Instant::now();
            let writing = || is_writing(&partial(&broken));
            let after_a_while = || started.elapsed() >= wait;
            let killed = if kill % 2 == 0 { kill_at(&broken, writing) } else { kill_at(&broken, after_a_while) };
            inside += usize::from(killed && kill % 2 == 0);
        }
        assert!(inside >= 2, "{optimizer}: only {inside} of the kills hit the writing of a file");
        finish(&broken);
        assert!(outputs(&whole) == outputs(&broken), "{optimizer}");
        assert_eq!(names(&whole), names(&broken), "{optimizer}: something was left behind");
    }
}

/// Asked to stop, a run saves where it is, within an epoch too, however long ago the last checkpoint was.
#[test]
fn stopped_within_epochs() {
    let settings = "epochs: 16, batch_size: 1, threads: 1, lr: 0.001, checkpoint_seconds: 1000";
    let [whole, stopped] = [0; 2].map(|_| Study::new(settings));
    finish(&whole);
    let mut within = 0;
    for stop in 1..=6 {
        let mut child = start(&stopped);
        std::thread::sleep(Duration::from_millis(stop * 170));
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        if asked.success() && code == Some(130) {
            let position = &Tensor::read_safetensors(checkpoint(&stopped)).unwrap();
            let (_, bytes) = position.iter().find(|(name, _)| name == CHECKPOINT_POSITION).unwrap();
            let text = String::from_utf8(Vec::try_from(bytes).unwrap()).unwrap();
            within += usize::from(text.contains("\"begun\":{\"batches\":"));
        }
    }
    assert!(within >= 2, "only {within} stops came within an epoch");
    finish(&stopped);
    assert!(outputs(&whole) == outputs(&stopped));
    assert_eq!(names(&whole), names(&stopped));
}

/// A network that says "not a number" is no result: the loss of its last step was still one.
#[test]
fn a_diverged_run_is_not_a_result() {
    let study = Study::new("epochs: 1, batch_size: 4, threads: 1, lr: 1000.0, warmup_epochs: 0, optimizer: sgd");
    let output = command(&study).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("training has diverged; lower train.lr"), "{text}");
    assert!(!study.run_file("proposed", "receipt.yaml").exists());
}
