//! What every program's command line shares: arguments of a stage, the error chain, the exit code, the stage's frame.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::atomic::Folder;
use crate::config::{Config, ConfigError};
use crate::exit::{Coded, Exit};
use crate::hash;
use crate::interrupt;
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
            let text = chain(&error);
            let advice = if is_memory(&text) { MEMORY } else { "" };
            crate::say!("error: {text}{advice}");
            error.exit().into()
        }
    }
}

/// What libtorch, the C++ library and the kernel say when there is no memory left.
const NO_MEMORY: [&str; 4] = ["bad_alloc", "can't allocate memory", "annot allocate memory", "out of memory"];
const MEMORY: &str =
    "; memory ran out: give it more, run fewer tasks side by side (--jobs 1), or lower train.batch_size";

fn is_memory(text: &str) -> bool {
    NO_MEMORY.iter().any(|words| text.contains(words))
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
    let _alone = Alone::wait(task)?;
    receipt::recover(task)?;
    let mut read = hash::Cache::default();
    match receipt::decide(task, &program, &mut read)? {
        Decision::UpToDate if !force => {
            crate::say!("{}", up_to_date(&task.id));
            return Ok(false);
        }
        Decision::UpToDate => crate::say!("{}: runs because of --force", task.id),
        Decision::Run(reasons) => crate::say!("{}: runs because {}", task.id, summary(&reasons)),
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

/// Makes this process the only one that runs a task, as long as it lives.
struct Alone {
    _lock: Option<File>,
}

impl Alone {
    /// Waits for another process that runs `task`. A folder that cannot be written has no lock and needs none.
    fn wait(task: &Task) -> Result<Self, TaskError> {
        let folder = task.output.parent().unwrap_or(Path::new("."));
        let name = task.output.file_name().unwrap_or_default().to_string_lossy();
        let open = || {
            std::fs::create_dir_all(folder)?;
            File::options().create(true).append(true).open(folder.join(format!(".{name}.lock")))
        };
        let Ok(lock) = open() else { return Ok(Self { _lock: None }) };
        let mut said = false;
        // Any other answer: a file system without locks.
        while matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            if interrupt::requested() {
                return Err(TaskError::Stopped { task: task.id.clone() });
            }
            if !std::mem::replace(&mut said, true) {
                crate::say!("{}: waits for another process that runs it", task.id);
            }
            std::thread::sleep(LOOK);
        }
        Ok(Self { _lock: Some(lock) })
    }
}

/// Time between two looks at a lock.
const LOOK: Duration = Duration::from_millis(100);

/// A line on stderr. That nobody reads it any more is no reason to stop work.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A line on stdout, likewise.
pub fn tell(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// [`cli::say`](crate::cli::say) with a format.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::say(format_args!($($text)*)) };
}

/// [`cli::tell`](crate::cli::tell) with a format.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::tell(format_args!($($text)*)) };
}
