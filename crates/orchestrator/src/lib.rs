//! A study's YAML to a plan to stage programs run.
//!
//! [`contract::plan`] names the tasks. This crate orders them by the files they exchange ([`graph`]), skips those whose
//! receipt still holds, runs the programs of the rest ([`schedule`], [`stage`]) and says what happens ([`display`]).
//! It knows no stage from inside: a program, its exit code and its receipt are all there is. [`predict`] takes a trained study to a new CT by
//! the same programs.

pub mod check;
pub mod crate_;
pub mod display;
pub mod doctor;
pub mod ending;
pub mod error;
pub mod graph;
pub mod init;
pub mod lock;
pub mod logs;
pub mod predict;
pub mod programs;
pub mod schedule;
pub mod stage;
pub mod status;
pub mod verify;
pub mod when;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use contract::Config;
use contract::layout::Layout;
use contract::plan;
use contract::progress::Mode;

pub use error::{Error, Failure};

use display::Display;
use graph::Graph;
use lock::Lock;
use programs::Programs;
use schedule::Outcome;
use stage::Local;

/// Where stage programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExecutorName {
    /// On this machine
    Local,
    /// As jobs of a Slurm cluster (not in this version)
    Slurm,
}

/// Arguments of `chumoku run`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// Override one key of the study, such as train.epochs=5; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Say what would run, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Give every reason for running a task, not the first three
    #[arg(long)]
    pub explain: bool,
    /// Independent tasks at a time; each keeps the threads the study gives it, since their number changes last digits.
    /// Without it: as many as the cores hold
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Where the stages run
    #[arg(long, value_enum, default_value = "local")]
    pub executor: ExecutorName,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Mode,
}

/// Runs a study with the stage programs of the folder `programs`, or says what would run.
///
/// # Errors
/// The study or an input is wrong, a program is missing, another run holds the study, or a stage fails.
pub fn run(args: &RunArgs, programs: &Path) -> Result<(), Error> {
    let started = Instant::now();
    if args.executor == ExecutorName::Slurm {
        return Err(Error::Executor);
    }
    args.progress.install();
    let config = Config::load(&args.study, &args.set)?;
    let tasks = plan::tasks(&config).map_err(Error::Splits)?;
    let graph = Graph::new(tasks);
    graph.check_inputs()?;
    let programs = Programs::find(programs, graph.stages())?;
    if args.dry_run {
        say(&graph::forecast(&config.study, &graph, &programs, args.explain)?);
        return Ok(());
    }
    let outcome = execute(args, &config, &graph, &programs)?;
    say(&ending::text(&config, &outcome, started.elapsed()));
    Ok(())
}

/// Prints to stdout. A reader that left early (`| head`) is no failure.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn execute(args: &RunArgs, config: &Config, graph: &Graph, programs: &Programs) -> Result<Outcome, Error> {
    let layout = Layout::new(config);
    let _lock = Lock::acquire(&config.study, &layout)?;
    graph.recover()?;
    let display = Display::new(Mode::current(), graph.tasks().len(), args.explain);
    let local = Local::new(programs, &layout, &args.study, &args.set, &display);
    schedule::run(graph, programs, args.jobs.map_or_else(|| fitting_jobs(config), usize::from), &local)
}

/// Training runs that the cores hold side by side: one thread each, and two runs at a time, are faster on two cores than two
/// threads and one run. One at a time where a run takes all cores or a GPU.
fn fitting_jobs(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let of = |train: &contract::config::Train| match train.threads as usize {
        threads if threads > 0 && train.device == "cpu" => (cores / threads).max(1),
        _ => 1,
    };
    config.methods.iter().map(|method| of(&method.train)).min().unwrap_or(1)
}
