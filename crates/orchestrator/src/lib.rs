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
pub mod estimate;
pub mod graph;
pub mod init;
pub mod lock;
pub mod logs;
pub mod predict;
pub mod programs;
pub mod schedule;
pub mod shell;
pub mod slurm;
pub mod snakemake;
pub mod stage;
pub mod status;
pub mod verify;
pub mod when;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use contract::Config;
use contract::layout::Layout;
use contract::progress::Mode;
use contract::receipt::TaskError;
use contract::{owner, plan};

pub use error::{Error, Failure};

use display::Display;
use graph::Graph;
use lock::Lock;
use programs::Programs;
use schedule::Outcome;
use slurm::Slurm;
use slurm::options::Options;
use stage::Local;

/// Where stage programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExecutorName {
    /// On this machine
    Local,
    /// As jobs of a Slurm cluster, submitted and followed from here
    Slurm,
}

/// Programs that could run a study's plan instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Export {
    /// A Snakefile
    Snakemake,
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
    /// Options of sbatch, for all jobs or those of one stage: partition, account, time, memory, cpus, gres or any other; may be repeated
    #[arg(long = "slurm", value_name = "[STAGE:]KEY=VALUE,...")]
    pub slurm: Vec<String>,
    /// With --executor slurm: what each program is run by, such as "apptainer exec --nv chumoku.sif"; words are split at spaces
    #[arg(long, value_name = "COMMAND")]
    pub inside: Option<String>,
    /// With --executor slurm: submit and return; the same command without it follows
    #[arg(long)]
    pub detach: bool,
    /// Print the plan for another program to run, and change nothing
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub export: Option<Export>,
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
    if let Some((config, outcome)) = work(args, programs)? {
        say(&ending::text(&config, &outcome, started.elapsed()));
    }
    Ok(())
}

/// As [`run`], without its last words: what was done of which study; `None` where nothing was to be done, or others do it.
fn work(args: &RunArgs, programs: &Path) -> Result<Option<(Config, Outcome)>, Error> {
    args.progress.install();
    let options = Options::parse(&args.slurm)?;
    if args.executor == ExecutorName::Local && (args.detach || args.inside.is_some() || !args.slurm.is_empty()) {
        return Err(Error::Usage("--slurm, --inside and --detach need --executor slurm".to_owned()));
    }
    let config = load(&args.study, &args.set)?;
    let tasks = plan::tasks(&config).map_err(Error::Splits)?;
    let graph = Graph::new(tasks);
    graph.check_inputs()?;
    let programs = Programs::find(programs, graph.stages())?;
    if let Some(Export::Snakemake) = args.export {
        return print(&snakemake::text(&graph, &programs, &args.study, &args.set)).map(|()| None);
    }
    if args.dry_run {
        return print(&graph::forecast(&config.study, &graph, &programs, args.explain)?).map(|()| None);
    }
    let study = Study { args, config: &config, graph: &graph, programs: &programs };
    let outcome = match args.executor {
        ExecutorName::Local => Some(study.here()?),
        ExecutorName::Slurm => study.on_a_cluster(options)?,
    };
    Ok(outcome.map(|outcome| (config, outcome)))
}

/// The study at `file` with the overrides `set`, if its folders hold no other study's results.
///
/// # Errors
/// The study is wrong, or they do.
pub(crate) fn load(file: &Path, set: &[String]) -> Result<Config, Error> {
    let config = Config::load(file, set)?;
    owner::check(&config).map_err(TaskError::Owned)?;
    Ok(config)
}

/// Prints to stdout what a command is there for. A reader that left early (`| head`) is no failure; a full disk is.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(Error::Stdout(source)),
        _ => Ok(()),
    }
}

/// Prints to stdout. A reader that left early (`| head`) is no failure.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A study that is about to run.
struct Study<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    graph: &'a Graph,
    programs: &'a Programs,
}

impl Study<'_> {
    /// On this machine.
    fn here(&self) -> Result<Outcome, Error> {
        let (args, layout) = (self.args, Layout::new(self.config));
        let _lock = Lock::acquire(&self.config.study, &layout)?;
        slurm::refuse_if_running(&self.config.study, &layout)?;
        owner::claim(self.config).map_err(TaskError::Owned)?;
        self.graph.recover()?;
        let jobs = args.jobs.map_or_else(|| fitting_jobs(self.config), usize::from);
        let display = Display::new(Mode::current(), self.graph.tasks(), jobs, args.explain);
        let local = Local::new(self.programs, &layout, &args.study, &args.set, &display);
        schedule::run(self.graph, self.programs, jobs, &local)
    }

    /// As jobs of Slurm; `None` if they are left to themselves.
    fn on_a_cluster(&self, options: Options) -> Result<Option<Outcome>, Error> {
        let (args, layout) = (self.args, Layout::new(self.config));
        let _lock = Lock::acquire(&self.config.study, &layout)?;
        owner::claim(self.config).map_err(TaskError::Owned)?;
        let jobs = args.jobs.map_or(self.graph.tasks().len(), usize::from);
        let display = Display::new(Mode::current(), self.graph.tasks(), jobs, args.explain);
        let slurm = Slurm {
            study: &self.config.study,
            file: &args.study,
            set: &args.set,
            graph: self.graph,
            programs: self.programs,
            layout: &layout,
            display: &display,
            options,
            inside: args.inside.as_deref().unwrap_or_default(),
            jobs: args.jobs,
            detach: args.detach,
        };
        slurm.run()
    }
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
