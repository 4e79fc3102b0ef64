//! What every program's command line shares: arguments of a stage, the error chain, the exit code, the stage's frame.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::atomic::Folder;
use crate::config::{Config, ConfigError};
use crate::exit::{Coded, Exit};
use crate::hash;
use crate::plan::{self, Task};
use crate::progress::Mode;
use crate::receipt::{self, Decision, TaskError};

/// Arguments of a stage's program.
#[derive(Debug, Clone, clap::Args)]
pub struct StageArgs {
    /// The study's YAML file
    #[arg(long, value_name = "STUDY.yaml")]
    pub config: PathBuf,
    /// Override one key of the study, such as train.epochs=5; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Mode,
    /// Run although nothing changed
    #[arg(long)]
    pub force: bool,
}

impl StageArgs {
    /// Loads the configuration and sets the progress mode.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.progress.install();
        Config::load(&self.config, &self.set)
    }
}

/// Which of a study's sets of CT a program works on.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct SetArgs {
    /// Work on the study's second set of synthetic CT, the one with the confounder reversed
    #[arg(long)]
    pub reversed: bool,
}

impl SetArgs {
    /// The study over the set that is asked for.
    ///
    /// # Errors
    /// The study has no second set.
    pub fn of(self, config: Config) -> Result<Config, ConfigError> {
        if !self.reversed {
            return Ok(config);
        }
        config.reversed().ok_or_else(|| {
            let message = "phantom.reversed: the study has one set of CT; set phantom.enabled and phantom.reversed to true for a second";
            ConfigError::one(plan::REVERSED, message)
        })
    }
}

/// Ends a program: prints the error with its causes to stderr and returns the exit code.
pub fn finish<E: Coded>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            say(format_args!("error: {}", chain(&error)));
            error.exit().into()
        }
    }
}

/// An error and its causes in one line. A cause that the message above it already quotes is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = inner.source();
    }
    text
}

/// How a task's output folder starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Empty, whatever an earlier attempt left.
    Fresh,
    /// With what an earlier attempt left; kept when this one fails.
    Resume,
}

/// BLAKE3 of the running program, which receipts name.
///
/// # Errors
/// The program's own file cannot be read.
pub fn own_hash() -> Result<String, TaskError> {
    let path = std::env::current_exe().unwrap_or_default();
    hash::file(&path).map_err(|source| TaskError::Output { path, source })
}

/// Runs `work` in the frame all tasks share: skip if up to date, say why if not, write aside, receipt, rename.
/// `work` fills the folder and returns the conditions to record.
///
/// Returns true if the task ran.
///
/// # Errors
/// What `work` returns, or a file that cannot be read or written.
pub fn run_task<E>(
    task: &Task,
    force: bool,
    start: Start,
    work: impl FnOnce(&Folder) -> Result<BTreeMap<String, String>, E>,
) -> Result<bool, E>
where
    E: From<TaskError>,
{
    let program = own_hash()?;
    receipt::recover(task)?;
    let mut read = hash::Cache::default();
    match receipt::decide(task, &program, &mut read)? {
        Decision::UpToDate if !force => {
            eprintln!("{}", up_to_date(&task.id));
            return Ok(false);
        }
        Decision::UpToDate => eprintln!("{}: runs because of --force", task.id),
        Decision::Run(reasons) => eprintln!("{}: runs because {}", task.id, summary(&reasons)),
    }
    let failed = |source| TaskError::Output { path: task.output.clone(), source };
    let folder = match start {
        Start::Fresh => Folder::create(&task.output),
        Start::Resume => Folder::resume(&task.output),
    }
    .map_err(failed)?;
    match work(&folder) {
        Ok(environment) => {
            receipt::seal(task, folder, &program, environment, &mut read)?;
            Ok(true)
        }
        Err(error) => {
            if start == Start::Fresh {
                folder.discard();
            }
            Err(error)
        }
    }
}

/// What a stage says of a task that has nothing to do.
pub fn up_to_date(task: &str) -> String {
    format!("{task}: up to date")
}

/// The first reasons, and how many more.
pub fn summary(reasons: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut text = reasons.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if reasons.len() > SHOWN {
        text.push_str(&format!("; and {} more", reasons.len() - SHOWN));
    }
    text
}

/// Prints a line to stderr. Nobody there to read it (a closed terminal, a full disk) is no reason to stop.
pub fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line to stdout; as [`say`], whoever reads it.
pub fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
