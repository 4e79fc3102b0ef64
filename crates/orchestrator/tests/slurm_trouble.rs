//! What happens to jobs on a cluster: they are requeued, held, cancelled by hand, killed for their memory; nodes and the controller fail.

mod cluster;
mod fake;

use std::process::{Child, Command};
use std::time::Duration;

use cluster::{Cluster, wait_until};
use fake::{Answer, Study, terminate};
use serde_json::Value;

const RUN: &str = "train/conventional/fold-0/seed-0";
const CODE: &str = "train-conventional-fold-0-seed-0.code";

/// Lets all that wait go on, and waits for the end. What was said, and the exit code.
fn ends(mut child: Child, study: &Study) -> (String, Option<i32>) {
    std::fs::write(study.path().join("go"), "").unwrap();
    let code = child.wait().unwrap().code();
    (study.file("said"), code)
}

/// True once all four training runs of a study have begun.
fn four_run(study: &Study) -> bool {
    study.file("calls").matches("train --config").count() == 4
}

/// The folder of a study's submission.
fn submission(study: &Study) -> std::path::PathBuf {
    let mut folders = std::fs::read_dir(study.path().join("data/s/slurm")).unwrap().flatten();
    folders.find(|entry| entry.path().is_dir()).unwrap().path()
}

#[test]
fn a_requeued_job_has_not_ended() {
    let Some(cluster) = Cluster::start(&["KillWait=2"]) else { return };
    let study = Study::new();
    let child = cluster.follow(&study, "wait train", &[]);
    let is_shown = || study.file("said").matches("result of train").count() == 4;
    wait_until("four runs", || four_run(&study) && is_shown());
    cluster.slurm("scontrol", &["requeue", "3_0"]);
    cluster.slurm("scontrol", &["requeuehold", "3_1"]);
    wait_until("a warning", || {
        study.file("said").contains("warning: job 3_1 waits (job requeued in held state): held")
    });
    cluster.slurm("scontrol", &["release", "3_1"]);
    wait_until("two more runs", || study.file("calls").matches("train --config").count() == 6);
    let (said, code) = ends(child, &study);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "[3/7] train/conventional/fold-0/seed-0: stopped after ",
        " s and waits to run again: Slurm requeued its job",
        "[3/7] train/conventional/fold-0/seed-0: runs because Slurm requeued its job",
        "[7/7] report: done after ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let out = std::fs::read_to_string(submission(&study).join("train-3_0.out")).unwrap();
    assert_eq!(out.matches("starts: ").count(), 2, "{out}");
}

#[test]
fn of_two_starts_of_a_task_the_first_stops_and_keeps_its_exit_code() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    assert_eq!(cluster.run(&study, "wait train", &["--detach"]).code, Some(0));
    wait_until("four runs", || four_run(&study));
    // What Slurm does where it has given up the node: the same script, somewhere else.
    let again = Command::new("sh")
        .arg(submission(&study).join("2-train.sh"))
        .current_dir(study.path())
        .env("FAKE", "wait train")
        .envs([("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_JOB_ID", "77"), ("SLURM_RESTART_COUNT", "1")])
        .env("SLURMD_NODENAME", "node2")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let log = || study.file("data/s/logs/train-conventional-fold-0-seed-0.log");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(log().matches("$ ").count(), 1, "it waits for the first: {}", log());
    wait_until("the second start", || log().matches("$ ").count() == 2);
    wait_until("the end of the first", || {
        cluster.slurm("squeue", &["-h", "-r", "-t", "R", "-o", "%K"]).lines().count() == 3
    });
    assert!(!submission(&study).join(CODE).exists(), "only the second may say how it ended");
    std::fs::write(study.path().join("go"), "").unwrap();
    assert!(Answer::of(again.wait_with_output().unwrap()).code == Some(0));
    assert_eq!(std::fs::read_to_string(submission(&study).join(CODE)).unwrap(), "0\n");
}

#[test]
fn a_controller_that_starts_anew_is_waited_for() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let child = cluster.follow(&study, "wait train", &[]);
    wait_until("four runs", || four_run(&study));
    // It writes down what it knows every few seconds.
    std::thread::sleep(Duration::from_secs(6));
    cluster.kill("slurmctld");
    wait_until("a warning", || {
        study.file("said").contains("warning: squeue failed: slurm_load_jobs error: Unable to contact")
    });
    cluster.daemon("slurmctld", &[]);
    wait_until("an answer", || study.file("said").contains("Slurm answers again"));
    let (said, code) = ends(child, &study);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(study.file("calls").matches("train --config").count(), 4);
}

#[test]
fn a_stop_while_slurm_does_not_answer_is_passed_on_later() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let child = cluster.follow(&study, "hang train", &[]);
    wait_until("four runs", || four_run(&study));
    std::thread::sleep(Duration::from_secs(6));
    cluster.kill("slurmctld");
    wait_until("a warning", || study.file("said").contains("warning: squeue failed"));
    terminate(&child);
    wait_until("a word", || study.file("said").contains("as soon as Slurm answers; another Ctrl-C leaves them"));
    assert_eq!(study.file("calls").matches("told once").count(), 0);
    cluster.daemon("slurmctld", &[]);
    let (said, code) = ends(child, &study);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(study.file("calls").matches("told once").count(), 4);
}

#[test]
fn who_takes_too_much_memory_is_told_so() {
    let gather = ["JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherParams=OverMemoryKill"];
    let limits = ["JobAcctGatherFrequency=task=1", "SelectTypeParameters=CR_Core_Memory"];
    let Some(cluster) = Cluster::start(&[gather, limits].concat()) else { return };
    let study = Study::new();
    let answer = cluster.run(&study, "eat train", &["--slurm", "memory=100M", "--jobs", "1"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains("job 3_0: killed, because its job ran out of memory (slurmstepd-node"), "{answer:?}");
    assert!(answer.err.lines().last().unwrap().starts_with("give it more memory with --slurm train:memory=16G"));
}

#[test]
fn what_is_cancelled_by_hand_ends_it_and_what_cannot_start_is_said() {
    let down = ["PartitionName=down Nodes=ALL State=DOWN", "PartitionName=short Nodes=ALL MaxTime=5"];
    let Some(cluster) = Cluster::start(&down) else { return };
    let study = Study::new();
    let child = cluster.follow(&study, "wait train", &["--jobs", "2"]);
    wait_until("two runs", || study.file("calls").matches("train --config").count() == 2);
    cluster.slurm("scancel", &["3_0"]);
    wait_until("a look", || study.file("said").contains("fold-0/seed-0: stopped after "));
    let (said, code) = ends(child, &study);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: task train/conventional/fold-0/seed-0, job 3_0: cancelled; log: "), "{said}");
    // Slurm itself may start one in its place before this is seen.
    assert!(study.file("calls").matches("train --config").count() < 4, "nothing new starts");
    for (options, words) in [
        ("train:partition=down", "(PartitionDown): the partition starts no jobs now"),
        ("train:partition=short,time=10", "): more time, memory or nodes are asked for than the partition gives"),
    ] {
        let study = Study::new();
        let child = cluster.follow(&study, "", &["--slurm", options]);
        wait_until(words, || study.file("said").contains(words));
        terminate(&child);
        let (said, code) = ends(child, &study);
        assert_eq!(code, Some(130), "{said}");
        assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    }
}

/// `chumoku status --json`, where Slurm's commands are found if `path` says so.
fn status(cluster: &Cluster, study: &Study, path: Option<&str>) -> Value {
    let mut command = cluster.chumoku(study, "", &["status", "study.yaml", "--json"]);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

#[test]
fn the_status_knows_the_jobs_also_of_what_nobody_follows() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    assert_eq!(cluster.run(&study, "wait train", &["--detach", "--jobs", "1"]).code, Some(0));
    study.wait_for("train --config");
    wait_until("a look of Slurm", || cluster.states().matches("RUNNING").count() == 1);
    let text = Answer::of(cluster.chumoku(&study, "", &["status", "study.yaml"]).output().unwrap()).out;
    assert!(text.starts_with("s: 7 tasks, 1 running, 4 queued, 2 would run; "), "{text}");
    assert!(text.contains("\nsubmitted to Slurm: 7 tasks in jobs 1, 2, 3, 4 (chumoku-s-"), "{text}");
    let line = |task: &str| text.lines().find(|line| line.starts_with(task)).unwrap().to_owned();
    assert!(line("dataset").ends_with("; job 2 ended (COMPLETED)"), "{text}");
    assert!(line(RUN).contains("  running ") && line(RUN).contains("job 3_0 on node"), "{text}");
    assert!(line("train/proposed/fold-1/seed-0").contains("  queued "), "{text}");
    assert!(line("train/proposed/fold-1/seed-0").ends_with("job 3_3 (JobArrayTaskLimit)"), "{text}");
    assert!(line("report").ends_with("job 4 (Dependency)"), "{text}");
    let json = status(&cluster, &study, None);
    assert_eq!((&json["counts"]["queued"], &json["slurm"]["tasks"]), (&4.into(), &7.into()), "{json:#}");
    assert!(json["slurm"]["error"].is_null() && json["running"].is_null(), "{json:#}");
    let expected = serde_json::json!({"id": "4", "state": "PENDING", "reason": "Dependency", "nodes": null});
    assert_eq!((json["tasks"][6]["state"].as_str(), &json["tasks"][6]["job"]), (Some("queued"), &expected));
    let log = Answer::of(study.command("", &["logs", RUN, "study.yaml"]).output().unwrap());
    assert!(log.out.starts_with("$ ") && log.out.contains("\nworking on train\n"), "{log:?}");
    let nowhere = status(&cluster, &study, Some("/no/such/folder"));
    assert!(nowhere["slurm"]["error"].as_str().unwrap().contains("no program squeue"), "{nowhere:#}");
    let job = &nowhere["tasks"][6]["job"];
    assert!(job["id"] == "4" && job["state"].is_null(), "{nowhere:#}");
    std::fs::write(study.path().join("go"), "").unwrap();
    wait_until("the end", || !cluster.states().contains("RUNNING") && !cluster.states().contains("PENDING"));
    let text = Answer::of(cluster.chumoku(&study, "", &["status", "study.yaml"]).output().unwrap()).out;
    assert!(text.contains(", all of which have ended; the same `chumoku run` takes up how\n"), "{text}");
}

#[test]
fn the_same_study_in_two_folders_is_two_studies() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let (one, other) = (Study::new(), Study::new());
    let (first, second) = (cluster.follow(&one, "hang train", &[]), cluster.follow(&other, "wait train", &[]));
    wait_until("all runs", || four_run(&one) && four_run(&other));
    terminate(&first);
    let (said, code) = ends(first, &one);
    assert_eq!(code, Some(130), "{said}");
    let (said, code) = ends(second, &other);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(other.file("calls").matches("report --config").count(), 1);
}

#[test]
fn more_runs_than_an_array_may_have_are_several() {
    let Some(cluster) = Cluster::start(&["MaxArraySize=3"]) else { return };
    let study = Study::new();
    let answer = cluster.run(&study, "", &[]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("submitted 7 tasks in jobs 1, 2, 3, 4, 5 ("), "{answer:?}");
    let arrays = ["3", "4"].map(|job| cluster.slurm("squeue", &["-h", "-r", "-t", "all", "-j", job]).lines().count());
    assert_eq!(arrays, [3, 1]);
}

/// slurmd is killed and what it started lives on: Slurm starts the tasks on the other node, and the first ones stop.
#[test]
#[ignore = "a minute: cargo test --release -p orchestrator --test slurm_trouble -- --ignored"]
fn a_node_that_fails_costs_no_task() {
    let Some(cluster) = Cluster::start(&["SlurmdTimeout=3"]) else { return };
    let study = Study::new();
    let child = cluster.follow(&study, "wait train", &[]);
    wait_until("four runs", || four_run(&study));
    let node = cluster.slurm("squeue", &["-h", "-r", "-t", "R", "-o", "%N"]);
    let node = node.lines().next().unwrap();
    let count = cluster.slurm("squeue", &["-h", "-r", "-t", "R", "-w", node]).lines().count();
    cluster.kill(node);
    wait_until("the other node", || study.file("calls").matches("train --config").count() == 4 + count);
    let (said, code) = ends(child, &study);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("runs because Slurm requeued its job").count(), count, "{said}");
    cluster.daemon("slurmd", &["-N", node]);
    wait_until("the node", || cluster.slurm("sinfo", &["-h", "-N", "-t", "idle", "-o", "%N"]).lines().count() == 2);
    // With no node at all there is a word for it.
    cluster.slurm("scontrol", &["update", "nodename=node1,node2", "state=down", "reason=test"]);
    let child = cluster.follow(&study, "", &[]);
    wait_until("a word", || study.file("said").contains("down, drained or kept for others (`sinfo -R` says why)"));
    cluster.slurm("scontrol", &["update", "nodename=node1,node2", "state=resume"]);
    assert_eq!(ends(child, &study).1, Some(0));
}

/// The default size of Slurm's arrays is 1001.
#[test]
#[ignore = "two minutes: cargo test --release -p orchestrator --test slurm_trouble -- --ignored"]
fn fifteen_hundred_runs_are_two_arrays() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let study = Study::new();
    let started = std::time::Instant::now();
    assert_eq!(cluster.run(&study, "", &["--set", "dataset.folds=750", "--detach"]).code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?} to submit", started.elapsed());
    let mut command = cluster.command(&study, "", &["--set", "dataset.folds=750"]);
    let answer = Answer::of(command.output().unwrap());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("goes on with 1503 tasks in jobs 1, 2, 3, 4, 5 ("), "{answer:?}");
}
