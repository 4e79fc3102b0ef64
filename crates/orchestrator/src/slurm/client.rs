//! Slurm's own commands: sbatch, squeue, scancel, scontrol.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::error::Error;

/// A job, or an element of an array.
pub type Place = (String, Option<usize>);

/// What squeue says of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its state, in Slurm's words: PENDING, RUNNING, FAILED ...
    pub state: String,
    /// Why it waits or ended.
    pub reason: String,
    /// How long it has run.
    pub ran: Duration,
    /// How long it may run, if there is a limit.
    pub limit: Option<Duration>,
    /// Where it runs or ran; empty while it waits.
    pub nodes: String,
}

/// States of a job that has started, and may run again.
const RUNS: [&str; 7] = ["RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"];
/// States of a job that is going to start, for the first time or again.
const WAITS: [&str; 7] =
    ["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"];

impl Seen {
    /// True once it runs no more.
    pub fn is_over(&self) -> bool {
        !self.is_running() && !self.is_waiting()
    }

    /// True while it runs.
    pub fn is_running(&self) -> bool {
        RUNS.contains(&self.state.as_str())
    }

    /// True while it waits to start.
    pub fn is_waiting(&self) -> bool {
        WAITS.contains(&self.state.as_str())
    }
}

/// Calls one of Slurm's commands, and returns what it printed.
fn call(program: &'static str, arguments: &[String]) -> Result<String, Error> {
    let mut command = Command::new(program);
    // A Ctrl-C is ours to pass on; half a submission would be worse than none.
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    // What a user or the job around this program set for these commands would change their answers or the new jobs.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["SQUEUE_", "SCANCEL_", "SLURM_"].iter().any(|prefix| text.starts_with(prefix));
        if ours && text != "SLURM_CONF" {
            command.env_remove(&name);
        }
    }
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoProgram(program),
        _ => Error::Command { command: program, said: error.to_string() },
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        let said = if said.is_empty() { output.status.to_string() } else { said };
        return Err(Error::Command { command: program, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Submits a job; its id.
///
/// # Errors
/// Slurm refuses it.
pub fn submit(arguments: &[String]) -> Result<String, Error> {
    let said = call("sbatch", &[&["--parsable".to_owned()], arguments].concat())?;
    // With several clusters: `id;cluster`.
    let id = said.trim().split(';').next().unwrap_or_default();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Command {
            command: "sbatch",
            said: format!("expected the number of a job, got \"{said}\""),
        });
    }
    Ok(id.to_owned())
}

/// Job, element, state, time, time limit, nodes and reason.
const FORMAT: &str = "--format=%F|%K|%T|%M|%l|%N|%r";

/// All jobs called `name` that Slurm still knows; those that ended it forgets after a while (MinJobAge).
///
/// # Errors
/// Slurm does not answer.
pub fn states(name: &str) -> Result<BTreeMap<Place, Seen>, Error> {
    let words = ["--noheader", "--me", "--array", "--states=all", FORMAT, "--name", name];
    Ok(call("squeue", &words.map(str::to_owned))?.lines().filter_map(seen).collect())
}

/// A line of squeue: `12|3|RUNNING|1:05|4:00:00|node7|None`; N/A is the element of a job that is no array.
fn seen(line: &str) -> Option<(Place, Seen)> {
    let mut parts = line.trim().splitn(7, '|');
    let mut next = || parts.next();
    let (job, element, state, ran, limit, nodes) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let reason = next().unwrap_or_default().to_owned();
    let ran = time(ran).unwrap_or_default();
    let seen = Seen { state: state.to_owned(), reason, ran, limit: time(limit), nodes: nodes.to_owned() };
    Some(((job.to_owned(), element.parse().ok()), seen))
}

/// `days-hours:minutes:seconds`, of which the front may be missing.
fn time(text: &str) -> Option<Duration> {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
    let seconds = parts?.into_iter().fold(0, |sum, part| sum * 60 + part);
    Some(Duration::from_secs(days.parse::<u64>().ok()? * 86_400 + seconds))
}

/// Cancels the jobs called `name`, or only those that have not started. A job that runs gets a SIGTERM, and time for a checkpoint.
///
/// # Errors
/// Slurm does not answer.
pub fn cancel(name: &str, only_waiting: bool) -> Result<(), Error> {
    let mut words = vec!["--quiet".to_owned(), format!("--name={name}")];
    if only_waiting {
        words.push("--state=PENDING".to_owned());
    }
    call("scancel", &words).map(|_| ())
}

/// Elements that an array may have, from `scontrol show config`; Slurm's default if that does not say.
pub fn array_limit() -> usize {
    const DEFAULT: usize = 1001;
    let config = call("scontrol", &["show".to_owned(), "config".to_owned()]).unwrap_or_default();
    let line = config.lines().find_map(|line| line.strip_prefix("MaxArraySize"));
    line.and_then(|line| line.trim_matches([' ', '=']).parse().ok()).unwrap_or(DEFAULT).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_squeue() {
        // As Slurm 22.05.8 prints them.
        let (place, state) = seen("12|3|RUNNING|1:05|UNLIMITED|node1|None").unwrap();
        assert_eq!((place, state.ran.as_secs(), state.limit), (("12".to_owned(), Some(3)), 65, None));
        assert!(state.is_running() && !state.is_over() && state.nodes == "node1");
        let (place, state) = seen("7|N/A|OUT_OF_MEMORY|1-02:03:04|2-00:00:00|node1|NonZeroExitCode").unwrap();
        assert_eq!((place, state.ran.as_secs(), state.is_over()), (("7".to_owned(), None), 93_784, true));
        assert_eq!(state.limit, Some(Duration::from_secs(172_800)));
        let (_, state) = seen("7|N/A|PENDING|0:00|10:00||(ReqNodeNotAvail, UnavailableNodes:n1|n2)").unwrap();
        assert!(state.is_waiting() && state.reason.ends_with("n1|n2)"));
        assert_eq!(seen("slurm_load_jobs error"), None);
    }
}
