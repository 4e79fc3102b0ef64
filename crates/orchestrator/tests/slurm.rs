//! Studies as jobs of a real Slurm (`tools/slurm_local.sh`); skipped where that is not installed or not allowed.

mod cluster;
mod fake;

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use cluster::{Cluster, wait_until};
use fake::{Answer, Study, terminate};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Lines of `calls`, sorted.
fn calls(study: &Study) -> Vec<String> {
    let mut calls: Vec<String> = study.file("calls").lines().map(str::to_owned).collect();
    calls.sort();
    calls
}

fn kill_hard(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_study_runs_as_it_does_here() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let (here, there) = (Study::new(), Study::new());
    assert_eq!(here.run("", &["run", "study.yaml", "--set", "train.gamma=2"]).code, Some(0));
    let answer = cluster.run(
        &there,
        "",
        &["--set", "train.gamma=2", "--slurm", "time=10", "--slurm", "train:nice=5", "--inside", "env INSIDE=1"],
    );
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("s: submitted 7 tasks in jobs 1, 2, 3, 4 (chumoku-s-"), "{answer:?}");
    assert!(answer.err.contains("[7/7] report: done after"), "{answer:?}");
    assert!(answer.out.contains("s: ran 7 of 7 tasks, 0 were up to date"), "{answer:?}");
    assert!(answer.out.contains("both tables, and the answer\n\n"), "{answer:?}");
    assert_eq!(calls(&here), calls(&there));
    let log = "data/s/logs/train-proposed-fold-1-seed-0.log";
    assert_eq!(here.file(log).lines().count(), there.file(log).lines().count(), "{}", there.file(log));
    assert!(there.file(log).starts_with("$ env INSIDE=1 /"), "{}", there.file(log));
    // What sbatch was told, as Slurm understood it.
    let array = cluster.slurm("scontrol", &["show", "job", "3_0"]);
    for part in ["NumCPUs=1 ", "TimeLimit=00:10:00", "Nice=5", "Requeue="] {
        assert!(array.contains(part), "{part}: {array}");
    }
    assert!(cluster.slurm("scontrol", &["show", "job", "4"]).contains("Nice=0"));
    assert!(!there.path().join("data/s/slurm/jobs.json").exists(), "nothing is left to follow");
}

#[test]
fn a_failure_ends_it_and_the_next_run_goes_on() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let answer = cluster.run(&study, "fail train", &["--jobs", "1"]);
    assert_eq!(answer.code, Some(5), "{answer:?}");
    assert!(answer.err.contains("error: stage train failed in task train/conventional/fold-0/seed-0 with exit code 5"));
    assert!(answer.err.ends_with("\n  error: no luck\n"), "{answer:?}");
    assert_eq!(study.file("calls").matches("report --config").count(), 0, "its dependants do not run");
    assert!(study.file("calls").matches("train --config").count() < 4, "nothing new starts after a failure");
    let answer = cluster.run(&study, "kill train", &[]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let last = answer.err.lines().last().unwrap();
    assert!(last.starts_with("give it more memory with --slurm train:memory=16G"), "{answer:?}");
    let answer = cluster.run(&study, "", &[]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

#[test]
fn a_follower_that_was_killed_is_followed_by_another() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let mut first = cluster.command(&study, "wait train", &[]).spawn().unwrap();
    study.wait_for("train --config");
    // A terminal that closes, and then the worst.
    kill(Pid::from_raw(first.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(Signal::SIGHUP as i32));
    let mut again = cluster.command(&study, "", &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    kill_hard(&mut again);
    let others = cluster.run(&study, "", &["--set", "train.epochs=3"]);
    assert_eq!(others.code, Some(1), "{others:?}");
    assert!(others.err.contains("of an earlier run with other settings or programs"), "{others:?}");
    let mut here = study.command("", &["run", "study.yaml"]);
    let here = Answer::of(here.env("SLURM_CONF", cluster.conf()).output().unwrap());
    assert_eq!(here.code, Some(1), "{here:?}");
    assert!(here.err.contains("follow them with --executor slurm"), "{here:?}");
    let detached = cluster.run(&study, "", &["--detach"]);
    assert_eq!(detached.code, Some(0), "{detached:?}");
    let second = cluster.command(&study, "", &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    std::fs::write(study.path().join("go"), "").unwrap();
    let answer = Answer::of(second.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("s: goes on with 7 tasks in jobs 1, 2, 3, 4"), "{answer:?}");
    let calls = study.file("calls");
    // The stages here leave no receipts, so a second round follows the first; the four runs of that were not started twice.
    let first_round = calls.split("report --config").next().unwrap();
    assert_eq!(first_round.matches("train --config").count(), 4, "{calls}");
}

#[test]
fn a_stop_cancels_the_jobs_and_says_so() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let child = cluster.command(&study, "hang train", &[]).spawn().unwrap();
    wait_until("four runs", || study.file("calls").matches("train --config").count() == 4);
    terminate(&child);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(130), "{answer:?}");
    assert!(answer.err.contains("error: stopped, and cancelled 7 tasks in jobs 1, 2, 3, 4"), "{answer:?}");
    assert_eq!(study.file("calls").matches("told once").count(), 4, "each is asked once, and has its time");
    let states = cluster.states();
    assert!(!states.contains("RUNNING") && !states.contains("PENDING"), "{states}");
    assert_eq!(cluster.run(&study, "", &[]).code, Some(0));
}

#[test]
fn the_notice_before_the_time_limit_reaches_the_program_once() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let child = cluster.command(&study, "hang dataset", &[]).spawn().unwrap();
    study.wait_for("dataset --config");
    cluster.slurm("scancel", &["--signal=USR1", "--batch", "2"]);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains("task dataset, job 2: asked to stop, not by this run"), "{answer:?}");
    assert_eq!(answer.err.lines().last(), Some("the same command goes on from where it was"));
    assert_eq!(study.file("calls").matches("told once").count(), 1);
}

#[test]
fn a_refused_submission_leaves_no_jobs() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let answer = cluster.run(&study, "", &["--slurm", "report:partition=none"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains("sbatch failed: ") && answer.err.contains("invalid partition"), "{answer:?}");
    assert!(answer.err.contains("; `sinfo` lists those there are: --slurm partition=NAME"), "{answer:?}");
    wait_until("the end of all jobs", || {
        !cluster.states().contains("PENDING") && !cluster.states().contains("RUNNING")
    });
    assert!(!study.path().join("data/s/slurm/jobs.json").exists());
}

#[test]
fn without_slurm_that_is_what_is_said() {
    let study = Study::new();
    let answer = Answer::of(
        study
            .command("", &["run", "study.yaml", "--executor", "slurm"])
            .env("PATH", "/no/such/folder")
            .output()
            .unwrap(),
    );
    assert_eq!(answer.code, Some(6), "{answer:?}");
    assert!(answer.err.contains("or use --executor local"), "{answer:?}");
}
