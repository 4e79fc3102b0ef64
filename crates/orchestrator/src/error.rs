//! What can keep a study from finishing.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use contract::config::ConfigError;
use contract::plan::Stage;
use contract::receipt::TaskError;
use contract::splits::SplitsError;
use contract::table::TableError;
use contract::{Coded, Exit};

use crate::{programs, slurm};

/// Why a study did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The study's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An input or output of a task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The splits file, which says how many folds there are.
    #[error(transparent)]
    Splits(SplitsError),
    /// A stage's program does not exist.
    #[error("no program {program} in {folder}; {ADVICE}", ADVICE = programs::ADVICE)]
    MissingProgram {
        /// Its name.
        program: String,
        /// Where it should be.
        folder: PathBuf,
    },
    /// What a cluster said, or did not.
    #[error(transparent)]
    Slurm(#[from] slurm::Error),
    /// Another run of the same study.
    #[error("study \"{study}\" is already being run by {holder}; wait for it, or stop it first")]
    Locked {
        /// The study.
        study: String,
        /// Process and command.
        holder: String,
    },
    /// A killed run of the same study left a stage program that does not end.
    #[error(
        "study \"{study}\" was run by {holder}, which is gone, but a stage program that it started still runs; end that program"
    )]
    Orphan {
        /// The study.
        study: String,
        /// Process and command.
        holder: String,
    },
    /// A stage's program exists, but did not start.
    #[error("cannot start {program}: {source}; {ADVICE}", ADVICE = programs::ADVICE)]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the orchestrator's own.
    #[error("{path}: {source}{advice}", advice = contract::atomic::advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stage failed.
    #[error(transparent)]
    Stage(Failure),
    /// Ctrl-C or SIGTERM.
    #[error("stopped; the same command goes on from where it was (a training run from its last checkpoint)")]
    Interrupted,
    /// `chumoku predict` was asked for what the study does not have, or to write where it should not.
    #[error("{0}")]
    Usage(String),
    /// The CT to predict cannot be read.
    #[error("cannot read {path}: {source}")]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Weights that no run made yet.
    #[error("no weights {path}: this run of the study is not trained; run `{command}` first")]
    Untrained {
        /// Where they should be.
        path: PathBuf,
        /// What trains it.
        command: String,
    },
    /// Settings that are not those of the training.
    #[error(
        "settings of {task} changed: {keys}; the networks were trained on other pictures: put the settings back, or run \
         `{command}`"
    )]
    OtherPictures {
        /// The task that made the pictures.
        task: String,
        /// The keys.
        keys: String,
        /// What trains with these settings.
        command: String,
    },
    /// A table that a stage program made for `chumoku predict`.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Softmax values that are not the study's.
    #[error(
        "{path}: expected {expected} softmax values a slice, one a class, got {got}; predict with weights of this study"
    )]
    Classes {
        /// The predictions.
        path: PathBuf,
        /// Classes of the study.
        expected: usize,
        /// Values of a slice.
        got: usize,
    },
    /// Ctrl-C or SIGTERM during `chumoku predict`.
    #[error("stopped; nothing was written")]
    Stopped,
    /// `chumoku check` found what would keep the study from finishing.
    #[error("{} {first}", if *count == 1 { "1 of the checks above is an error:".to_owned() } else { format!("{count} of the checks above are errors, the first:") })]
    Check {
        /// How many.
        count: usize,
        /// The exit code of the first kind.
        exit: Exit,
        /// What the first of that kind says, which ends with what to do.
        first: String,
    },
    /// `chumoku init` cannot make a study of what it was given.
    #[error("{0}")]
    Init(String),
    /// A task without a log.
    #[error("no log of task {task} at {path}; a task has one once `chumoku run` ran it")]
    NoLog {
        /// The task.
        task: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// `chumoku verify` found something that is not what the receipts say.
    #[error("{differences} of the things above are not what the receipts of study \"{study}\" say; {advice}")]
    Verify {
        /// The study.
        study: String,
        /// How many.
        differences: usize,
        /// What to do, by what they are.
        advice: String,
    },
    /// A rerun made other bytes.
    #[error(
        "{differences} files of study \"{study}\" came out otherwise in {folder}; compare them, then delete that folder"
    )]
    Rerun {
        /// The study.
        study: String,
        /// How many.
        differences: usize,
        /// Where the rerun lies.
        folder: PathBuf,
    },
    /// A file that is not what its receipt says.
    #[error("{path} is not what its receipt says; `{verify}` lists all such files, `{run}` makes them again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What lists them.
        verify: String,
        /// What makes them again.
        run: String,
    },
    /// A study of which a part was never made.
    #[error("study \"{study}\" is not finished ({reasons}); run `{command}` first")]
    Unfinished {
        /// The study.
        study: String,
        /// What is missing, or not what it would be with these settings.
        reasons: String,
        /// What finishes it.
        command: String,
    },
    /// Stdout cannot be written.
    #[error("cannot write to stdout: {0}; make room there, or send it elsewhere")]
    Stdout(std::io::Error),
    /// `chumoku doctor` found something missing.
    #[error("{problems} of the checks above need attention, the first: {first}")]
    Doctor {
        /// How many.
        problems: usize,
        /// What the first says, which ends with what to do.
        first: String,
    },
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::OtherPictures { .. } => Exit::Config,
            Self::Task(error) => error.exit(),
            Self::Check { exit, .. } => *exit,
            Self::Splits(_) | Self::Input { .. } | Self::Init(_) | Self::NoLog { .. } | Self::Unfinished { .. } => {
                Exit::Input
            }
            Self::Slurm(error) => error.exit(),
            Self::Verify { .. } | Self::Rerun { .. } | Self::Damaged { .. } => Exit::Audit,
            Self::MissingProgram { .. }
            | Self::Start { .. }
            | Self::Doctor { .. }
            | Self::Untrained { .. }
            | Self::Classes { .. } => Exit::Missing,
            Self::Usage(_) => Exit::Usage,
            Self::Locked { .. } | Self::Orphan { .. } | Self::Io { .. } | Self::Stdout(_) | Self::Table(_) => {
                Exit::Unexpected
            }
            Self::Stage(failure) => failure.exit(),
            Self::Interrupted | Self::Stopped => Exit::Interrupted,
        }
    }
}

/// How a stage's program failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stage.
    pub stage: Stage,
    /// The task.
    pub task: String,
    /// Exit code; none if a signal ended the program.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All that it wrote, if that is kept.
    pub log: Option<PathBuf>,
    /// Last lines of its stderr.
    pub tail: Vec<String>,
}

/// The exit code of the contract with this number.
fn known(code: i32) -> Option<(Exit, &'static str)> {
    const KNOWN: [(Exit, &str); 7] = [
        (Exit::Unexpected, "unexpected failure"),
        (Exit::Usage, "wrong command-line arguments"),
        (Exit::Config, "bad configuration"),
        (Exit::Input, "bad or missing input"),
        (Exit::Audit, "audit failed"),
        (Exit::Missing, "missing model, weights or device"),
        (Exit::Interrupted, "interrupted"),
    ];
    KNOWN.into_iter().find(|(exit, _)| *exit as i32 == code)
}

impl Failure {
    /// The stage's exit code, where the contract knows it.
    pub fn exit(&self) -> Exit {
        self.code.and_then(known).map_or(Exit::Unexpected, |(exit, _)| exit)
    }

    fn how(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => {
                let meaning = known(code).map_or("a crash: please report it", |(_, meaning)| meaning);
                format!("exit code {code} ({meaning})")
            }
            (None, Some(9)) => "signal 9 (killed, often because memory ran out)".to_owned(),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        }
    }

    /// What to do where the program could not say it itself: its own error ends its last lines, but who is killed says nothing.
    fn advice(&self) -> Option<String> {
        let log = self.log.as_ref().map_or_else(String::new, |log| format!(" with {}", log.display()));
        match (self.code, self.signal) {
            (Some(code), _) if known(code).is_some() => self.advice_of_the_system(),
            (Some(_), _) => Some(format!("report it{log}; the same command goes on from where it was")),
            (None, Some(9)) => Some(
                "free memory or run fewer tasks at a time (--jobs 1), and give the same command: it goes on from where it was"
                    .to_owned(),
            ),
            (None, _) => {
                Some(format!("give the same command: it goes on from where it was; if it ends so again, report it{log}"))
            }
        }
    }

    /// What to do where the system refused the program a file and the program passed on no more than that.
    fn advice_of_the_system(&self) -> Option<String> {
        // What std::io prints of the errors that have an advice.
        const KNOWN: [(&str, ErrorKind); 4] = [
            ("No space left on device", ErrorKind::StorageFull),
            ("Disk quota exceeded", ErrorKind::QuotaExceeded),
            ("Permission denied", ErrorKind::PermissionDenied),
            ("Read-only file system", ErrorKind::ReadOnlyFilesystem),
        ];
        let said = |words: &str| self.tail.iter().any(|line| line.contains(words));
        let (_, kind) = KNOWN.into_iter().find(|(words, _)| said(words))?;
        let advice = contract::atomic::advice(&kind.into()).trim_start_matches("; ");
        (!said(advice)).then(|| advice.to_owned())
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stage, how) = (self.stage.name(), self.how());
        write!(formatter, "stage {stage} failed in task {} with {how}", self.task)?;
        if let Some(log) = &self.log {
            write!(formatter, "; log: {}", log.display())?;
        }
        if !self.tail.is_empty() {
            write!(formatter, "; its last lines:\n  {}", self.tail.join("\n  "))?;
        }
        if let Some(advice) = self.advice() {
            write!(formatter, "\n{advice}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: Option<i32>, signal: Option<i32>) -> Failure {
        Failure {
            stage: Stage::Train,
            task: "train/proposed/fold-0/seed-0".to_owned(),
            code,
            signal,
            log: Some(PathBuf::from("data/s/logs/train.log")),
            tail: vec!["epoch 3".to_owned(), "error: loss is not finite".to_owned()],
        }
    }

    #[test]
    fn a_failure_says_everything_with_the_error_last() {
        let text = failure(Some(4), None).to_string();
        assert_eq!(
            text,
            "stage train failed in task train/proposed/fold-0/seed-0 with exit code 4 (bad or missing input); \
             log: data/s/logs/train.log; its last lines:\n  epoch 3\n  error: loss is not finite"
        );
    }

    #[test]
    fn without_a_log_none_is_named() {
        let text = Failure { log: None, tail: vec![], ..failure(Some(4), None) }.to_string();
        assert!(text.ends_with("with exit code 4 (bad or missing input)"), "{text}");
    }

    #[test]
    fn what_the_program_cannot_say_is_the_last_line() {
        let last = |failure: Failure| failure.to_string().lines().last().unwrap_or_default().to_owned();
        assert!(last(failure(None, Some(9))).starts_with("free memory or run fewer tasks"));
        let full = vec!["error: cannot write data/s: No space left on device (os error 28)".to_owned()];
        let text = last(Failure { tail: full, ..failure(Some(1), None) });
        assert_eq!(text, "make room on that disk, and give the same command: it goes on from where it was");
        let refused = vec!["error: x: Permission denied (os error 13)".to_owned()];
        assert!(last(Failure { tail: refused, ..failure(Some(1), None) }).starts_with("make that folder writable"));
        assert_eq!(last(failure(Some(4), None)), "  error: loss is not finite");
    }

    #[test]
    fn codes_pass_through_and_crashes_are_unexpected() {
        for code in [1, 2, 3, 4, 5, 6, 130] {
            assert_eq!(failure(Some(code), None).exit() as i32, code);
        }
        assert_eq!(failure(Some(101), None).exit(), Exit::Unexpected);
        assert!(failure(Some(101), None).to_string().contains("a crash"));
        assert_eq!(failure(None, Some(9)).exit(), Exit::Unexpected);
        assert!(failure(None, Some(9)).to_string().contains("memory ran out"));
    }

    #[test]
    fn who_was_killed_gets_the_advice_that_he_cannot_give() {
        let text = failure(None, Some(9)).to_string();
        assert!(text.ends_with("(--jobs 1), and give the same command: it goes on from where it was"), "{text}");
        let text = failure(Some(101), None).to_string();
        assert!(
            text.ends_with("report it with data/s/logs/train.log; the same command goes on from where it was"),
            "{text}"
        );
        assert!(failure(Some(6), None).to_string().ends_with("error: loss is not finite"));
    }
}
