//! How a job that did not end well ended, in words, and what to do about it.
//!
//! Three witnesses, none of which is always there: squeue, which forgets; the exit code that the job's script left, which a script that was
//! killed could not; and what Slurm's own daemon wrote into the file of the script's output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::Exit;
use contract::plan::Stage;

use super::client::Seen;
use super::record::Submitted;
use super::script::BEGINS;
use super::submit::NOTICE;
use crate::estimate::span;

/// Exit code of a program that stopped when it was asked to.
pub const INTERRUPTED: i32 = Exit::Interrupted as i32;
/// Exit code that a shell gives to a program that was killed: 128 + SIGKILL.
const KILLED: i32 = 128 + 9;
/// The same of one that was asked to stop before it could listen: 128 + SIGTERM.
const TERMINATED: i32 = 128 + 15;
/// How much earlier than asked for Slurm may send the notice before a time limit (sbatch(1), --signal).
pub const EARLY: Duration = Duration::from_secs(60);
/// Slurm's words, in lower case, for what ended a job.
const TELLING: [&str; 5] = [MEMORY, OOM, TIME_LIMIT, PREEMPTION, NODE_FAILURE];
const MEMORY: &str = "memory limit";
const OOM: &str = "oom";
const TIME_LIMIT: &str = "due to time limit";
const PREEMPTION: &str = "due to preemption";
const NODE_FAILURE: &str = "due to node failure";
/// Goes on where it stopped.
const GOES_ON: &str = "the same command goes on from where it was";

/// What is known of a job that ended.
pub struct Evidence<'a> {
    /// What squeue says.
    pub seen: Option<&'a Seen>,
    /// What its script left.
    pub code: Option<i32>,
    /// What Slurm wrote, see [`words`].
    pub words: String,
}

/// The file of what a job's script and Slurm write, as [`super::submit`] has it named.
pub fn output(folder: &Path, stage: Stage, submitted: &Submitted) -> PathBuf {
    folder.join(format!("{}-{}.out", stage.name(), submitted.shown()))
}

/// What Slurm wrote last into that file since the job's last start: `slurmstepd: error: Exceeded job memory limit`. Empty if nothing.
pub fn words(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().rev().map(str::trim).take_while(|line| !line.starts_with(BEGINS));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let tells = |line: &&&str| TELLING.iter().any(|words| line.to_ascii_lowercase().contains(words));
    let of_slurm = |line: &&&str| line.starts_with("slurm") || line.contains("error");
    let one = lines.iter().find(tells).or_else(|| lines.iter().find(of_slurm)).or(lines.first());
    one.map_or_else(String::new, |line| (*line).to_owned())
}

impl Evidence<'_> {
    fn state(&self) -> &str {
        self.seen.map_or("", |seen| &seen.state)
    }

    fn said(&self, words: &str) -> bool {
        self.words.to_ascii_lowercase().contains(words)
    }

    /// True if Slurm told it that its time was over, or would be soon.
    fn out_of_time(&self) -> bool {
        let near = |seen: &Seen| seen.limit.is_some_and(|limit| seen.ran + NOTICE + EARLY >= limit);
        let stopped = matches!(self.code, Some(INTERRUPTED | TERMINATED));
        self.state() == "TIMEOUT" || self.said(TIME_LIMIT) || stopped && self.seen.is_some_and(near)
    }

    /// How it ended, and what to do.
    pub fn verdict(&self, stage: Stage, folder: &Path) -> (String, String) {
        let stage = stage.name();
        let limit =
            self.seen.and_then(|seen| seen.limit).map_or_else(String::new, |limit| format!(" of {}", span(limit)));
        let more_memory = format!("give it more memory with --slurm {stage}:memory=16G; {GOES_ON}");
        match (self.state(), self.code) {
            ("OUT_OF_MEMORY", _) => ("killed, because its job ran out of memory".to_owned(), more_memory),
            _ if self.said(MEMORY) || self.said(OOM) => {
                (format!("killed, because its job ran out of memory ({})", self.words), more_memory)
            }
            _ if self.out_of_time() => (
                format!("stopped at its time limit{limit}"),
                format!("give it more time with --slurm {stage}:time=HOURS:MINUTES:SECONDS; {GOES_ON}"),
            ),
            ("PREEMPTED", _) => ("stopped to make room for another job".to_owned(), GOES_ON.to_owned()),
            _ if self.said(PREEMPTION) => ("stopped to make room for another job".to_owned(), GOES_ON.to_owned()),
            ("NODE_FAIL" | "BOOT_FAIL", _) => (self.node_failed(), GOES_ON.to_owned()),
            _ if self.said(NODE_FAILURE) => (self.node_failed(), GOES_ON.to_owned()),
            (_, Some(INTERRUPTED | TERMINATED)) => {
                ("asked to stop, not by this run: by hand, or by its cluster".to_owned(), GOES_ON.to_owned())
            }
            (_, Some(KILLED)) => ("killed, often because memory ran out".to_owned(), more_memory),
            (_, Some(code)) if code > 128 => (format!("ended by signal {}", code - 128), GOES_ON.to_owned()),
            ("FAILED", _) => (
                format!("Slurm could not run its script{}", self.in_brackets()),
                format!("see that all nodes have this folder, and what Slurm says in {}; {GOES_ON}", folder.display()),
            ),
            ("", _) => (
                format!("gone from Slurm without an exit code{}", self.in_brackets()),
                format!("ask your cluster's administrator why, if the same command does not end better; {GOES_ON}"),
            ),
            (state, _) => (format!("ended by Slurm as {state}{}", self.in_brackets()), GOES_ON.to_owned()),
        }
    }

    fn node_failed(&self) -> String {
        let node = self.seen.map(|seen| seen.nodes.as_str()).filter(|nodes| !nodes.is_empty());
        node.map_or_else(|| "its node failed".to_owned(), |node| format!("its node {node} failed"))
    }

    fn in_brackets(&self) -> String {
        let reason = self.seen.map_or("", |seen| &seen.reason);
        match (self.words.as_str(), reason) {
            ("", "" | "None") => String::new(),
            ("", reason) => format!(" ({reason})"),
            (words, _) => format!(" ({words})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(state: &str, code: Option<i32>, words: &str, ran: u64, limit: Option<u64>) -> (String, String) {
        let seen = Seen {
            state: state.to_owned(),
            reason: String::new(),
            ran: Duration::from_secs(ran),
            limit: limit.map(Duration::from_secs),
            nodes: "node7".to_owned(),
        };
        let seen = (!state.is_empty()).then_some(&seen);
        Evidence { seen, code, words: words.to_owned() }.verdict(Stage::Train, Path::new("folder"))
    }

    #[test]
    fn each_end_has_its_words_and_its_advice() {
        // States, codes and words as Slurm 22.05.8 left them when these things were done to a job; cgroups: as its source has them.
        let memory = "slurmstepd-node1: error: Exceeded job memory limit";
        let cgroup = "slurmstepd: error: Detected 1 oom_kill event in StepId=3.batch. Some of the step tasks have been OOM Killed.";
        let time = "slurmstepd-node1: error: *** JOB 2 ON node1 CANCELLED AT 2026-11-23T18:04:07 DUE TO TIME LIMIT ***";
        let room = "slurmstepd-node1: error: *** JOB 6 ON node1 CANCELLED AT 2026-11-23T18:06:23 DUE TO PREEMPTION ***";
        for (state, code, words, ran, limit, expected, advised) in [
            ("FAILED", None, memory, 2, None, "ran out of memory (slurmstepd", "train:memory="),
            ("FAILED", Some(137), cgroup, 2, None, "ran out of memory (slurmstepd", "train:memory="),
            ("OUT_OF_MEMORY", Some(137), "", 2, None, "ran out of memory", "train:memory="),
            ("FAILED", Some(137), "", 2, None, "often because memory", "train:memory="),
            ("TIMEOUT", None, time, 120, Some(120), "stopped at its time limit of 2 min 00 s", "train:time="),
            ("", None, time, 0, None, "stopped at its time limit", "train:time="),
            ("FAILED", Some(130), "", 3600 - 140, Some(3600), "time limit of 1 h 00 min", "train:time="),
            ("FAILED", Some(130), "", 600, Some(3600), "asked to stop, not by this run", "goes on"),
            ("FAILED", Some(143), "", 600, None, "asked to stop, not by this run", "goes on"),
            ("PREEMPTED", Some(130), "", 60, None, "room for another job", "goes on"),
            ("", Some(130), room, 0, None, "room for another job", "goes on"),
            ("NODE_FAIL", None, "", 9, None, "its node node7 failed", "goes on"),
            ("FAILED", Some(139), "", 9, None, "ended by signal 11", "goes on"),
            (
                "FAILED",
                None,
                "sh: x: not found",
                0,
                None,
                "not run its script (sh: x: not found)",
                "see that all nodes",
            ),
            ("DEADLINE", None, "", 9, None, "ended by Slurm as DEADLINE", "goes on"),
            ("", None, "", 0, None, "gone from Slurm", "administrator"),
        ] {
            let (how, advice) = how(state, code, words, ran, limit);
            assert!(how.contains(expected) && advice.contains(advised), "{state} {code:?} {words}: {how}; {advice}");
        }
    }

    #[test]
    fn of_what_was_written_slurms_own_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-3_1.out");
        assert_eq!(words(&path), "");
        std::fs::write(&path, format!("{BEGINS}3 0 node1 77\nslurmstepd: error: x\n{BEGINS}3 1 node2 78\n")).unwrap();
        assert_eq!(words(&path), "", "what was said of an earlier start is no news");
        std::fs::write(&path, "slurmstepd: error: first\nslurmstepd: error: *** JOB 2 ***\nTerminated\n\n").unwrap();
        assert_eq!(words(&path), "slurmstepd: error: *** JOB 2 ***");
        std::fs::write(&path, "slurmstepd: error: Exceeded job memory limit\nslurmstepd: error: *** JOB 2 ***\n")
            .unwrap();
        assert_eq!(words(&path), "slurmstepd: error: Exceeded job memory limit");
        std::fs::write(&path, "sh: 3: cannot create x\n").unwrap();
        assert_eq!(words(&path), "sh: 3: cannot create x");
    }
}
