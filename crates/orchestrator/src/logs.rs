//! Logs of the tasks: a file a task with all that its program wrote, the last run and the one before. Not hashed, no part of any output.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::Config;
use contract::config::DEFAULTS;
use contract::layout::Layout;
use contract::plan;

use crate::error::Error;
use crate::shell;
use crate::stage::CALL;

/// Ends the name of the log of the run before the last.
const PREVIOUS: &str = "previous.log";

/// Arguments of `chumoku logs`.
#[derive(Debug, Clone, clap::Args)]
pub struct LogsArgs {
    /// The task, as `chumoku status` names it, such as train/proposed/fold-0/seed-0
    pub task: String,
    /// The study's YAML file; without it the one study in data/ that has a log of the task
    #[arg(value_name = "STUDY.yaml")]
    pub study: Option<PathBuf>,
    /// The run before the last
    #[arg(long)]
    pub previous: bool,
    /// Override one key of the study, such as paths.data=elsewhere; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Prints a task's log to stdout.
///
/// # Errors
/// There is no such task, or no log of it.
pub fn run(args: &LogsArgs) -> Result<(), Error> {
    let last = match &args.study {
        Some(study) => of_study(args, study)?,
        None => of_any(&args.task)?,
    };
    let path = if args.previous { previous(&last) } else { last };
    let text = std::fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NoLog { task: args.task.clone(), path: path.clone() },
        _ => Error::Io { path: path.clone(), source },
    })?;
    crate::print(&String::from_utf8_lossy(&text))
}

fn of_study(args: &LogsArgs, study: &Path) -> Result<PathBuf, Error> {
    let config = Config::load(study, &args.set)?;
    let tasks = plan::tasks(&config).map_err(Error::Splits)?;
    if tasks.iter().any(|task| task.id == args.task) {
        return Ok(Layout::new(&config).log(&args.task));
    }
    let known: Vec<String> = tasks.into_iter().map(|task| task.id).collect();
    Err(Error::Usage(format!("{} has no task {}; it has: {}", study.display(), args.task, known.join(", "))))
}

/// The log of a task in the only study of the default data folder that has one.
fn of_any(task: &str) -> Result<PathBuf, Error> {
    let defaults: serde_json::Value = serde_yaml::from_str(DEFAULTS).unwrap_or_default();
    let data = PathBuf::from(defaults["paths"]["data"].as_str().unwrap_or_default());
    let studies = std::fs::read_dir(&data).into_iter().flatten().flatten();
    let log = |study: PathBuf| Layout { data: study, reports: PathBuf::new(), suffix: "" }.log(task);
    let mut found: Vec<PathBuf> = studies.map(|entry| log(entry.path())).filter(|path| path.is_file()).collect();
    found.sort();
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), others) => Err(Error::Usage(format!(
            "{} studies in {} have a log of task {task}; name one: chumoku logs {task} STUDY.yaml",
            others + 1,
            data.display()
        ))),
        (None, _) => Err(Error::Usage(format!(
            "no study in {} has a log of task {task}; name the study: chumoku logs {task} STUDY.yaml",
            data.display()
        ))),
    }
}

/// Where the log of the run before lies.
pub fn previous(log: &Path) -> PathBuf {
    log.with_extension(PREVIOUS)
}

/// Begins a task's log with the command; the log of the last run becomes the previous one. While the file is open it is locked, which
/// tells [`is_running`] that the task runs, and ends however this process ends.
///
/// # Errors
/// It cannot be written.
pub fn start(path: &Path, command: &Command) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::rename(path, previous(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut log = OpenOptions::new().create(true).append(true).open(path)?;
    log.lock()?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    writeln!(log, "{CALL}{}", shell::line(words))?;
    Ok(log)
}

/// Whether a process holds the log, or another file, locked.
pub fn is_running(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The last line of a log, if it has one beside the command.
pub fn last_line(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty());
    lines.last().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_and_the_one_before_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/train.log");
        for run in ["one", "two", "three"] {
            let mut log = start(&path, Command::new("program").args(["--config", "my study.yaml"])).unwrap();
            assert!(is_running(&path));
            writeln!(log, "{run}\n").unwrap();
        }
        assert!(!is_running(&path), "nobody has it any more");
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&path), "$ program --config 'my study.yaml'\nthree\n\n");
        assert_eq!(text(&previous(&path)), "$ program --config 'my study.yaml'\ntwo\n\n");
        assert_eq!(last_line(&path).as_deref(), Some("three"));
        assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 2);
    }
}
