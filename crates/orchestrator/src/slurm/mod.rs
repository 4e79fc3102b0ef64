//! A study's tasks as jobs of a Slurm cluster.
//!
//! The same plan and programs as on one machine: a job for each single task, an array for the training runs, `afterok` between them
//! ([`submit`]). What was submitted is written down ([`record`]), so that a run that comes later follows those jobs instead of submitting
//! them twice ([`follow`]), and `chumoku status` finds them ([`view`]). Why jobs wait and how they ended is put into words by [`waiting`] and
//! [`verdict`]. Slurm is asked by its own commands ([`client`]); no accounting database is needed, since each job leaves
//! its exit code in a file.

pub mod client;
pub mod error;
pub mod follow;
pub mod options;
pub mod record;
pub mod script;
pub mod submit;
pub mod verdict;
pub mod view;
pub mod waiting;

use std::path::Path;

use contract::hash;
use contract::layout::Layout;
use nix::sys::signal::{SigHandler, Signal, signal};
use serde_json::{Value, json};

use crate::display::Display;
use crate::graph::{self, Forecast, Graph};
use crate::programs::Programs;
use crate::schedule::Outcome;

pub use error::Error;
use follow::Follow;
use options::Options;
use record::Record;

/// A study on a cluster.
pub struct Slurm<'a> {
    /// Name of the study.
    pub study: &'a str,
    /// Its file.
    pub file: &'a Path,
    /// Overrides of its keys.
    pub set: &'a [String],
    /// Its tasks.
    pub graph: &'a Graph,
    /// Its programs, in a folder that all nodes see.
    pub programs: &'a Programs,
    /// Its folders, likewise.
    pub layout: &'a Layout,
    /// What is shown meanwhile.
    pub display: &'a Display,
    /// What sbatch is told besides.
    pub options: Options,
    /// What each program is run by, such as a container; may be empty.
    pub inside: &'a str,
    /// Tasks of an array at a time; none: as Slurm sees fit.
    pub jobs: Option<u16>,
    /// Submit, and do not wait.
    pub detach: bool,
}

impl Slurm<'_> {
    /// Follows the jobs that an earlier run submitted, submits what else has to run, and follows that. `None` if the jobs are left to
    /// themselves (`detach`).
    ///
    /// # Errors
    /// A task failed, Slurm refused, or the run was interrupted, which cancels its jobs.
    pub fn run(&self) -> Result<Option<Outcome>, crate::Error> {
        // A terminal that closes ends the follower, and not its jobs.
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) };
        let mut ran = 0;
        if let Some(record) = Record::read(self.layout)? {
            match self.take_up(&record)? {
                Some(more) => ran += more,
                None => return Ok(None),
            }
        }
        let forecasts = graph::forecasts(self.graph, self.programs)?;
        for at in (0..forecasts.len()).filter(|at| forecasts[*at] == Forecast::UpToDate) {
            self.display.skip(at);
        }
        let total = forecasts.len();
        if forecasts.iter().any(|forecast| *forecast != Forecast::UpToDate) {
            let record = submit::all(self, &forecasts)?;
            self.display.say(&format!("{}: submitted {}", self.study, record.summary()));
            if self.detach {
                self.say_detached();
                return Ok(None);
            }
            ran += self.follow(&record, true)?;
        }
        // Two rounds may both run a task, if it failed in the first.
        let ran = ran.min(total);
        Ok(Some(Outcome { ran, up_to_date: total - ran }))
    }

    /// What becomes of jobs that an earlier run submitted: the number of tasks that ran in them; `None` if they are left to themselves.
    fn take_up(&self, record: &Record) -> Result<Option<usize>, crate::Error> {
        let alive = client::states(&record.name)?.values().any(|seen| !seen.is_over());
        if !record.complete {
            // Whoever submitted them ended on the way; the rest was never submitted.
            self.display.say(&format!("{}: cancels {}, whose submission broke off", self.study, record.summary()));
            client::cancel(&record.name, false)?;
            return self.follow(record, false).map(|_| Some(0)).or_else(|error| self.ended_badly(&error));
        }
        let same = record.plan == self.plan();
        match (alive, same) {
            (true, false) => {
                Err(Error::Others { study: self.study.to_owned(), jobs: record.summary(), name: record.name.clone() }
                    .into())
            }
            (false, false) => Ok(Some(0)),
            (false, true) => self.follow(record, false).map(Some).or_else(|error| self.ended_badly(&error)),
            (true, true) => {
                self.display.say(&format!("{}: goes on with {} of an earlier run", self.study, record.summary()));
                if self.detach {
                    self.say_detached();
                    return Ok(None);
                }
                self.follow(record, true).map(Some)
            }
        }
    }

    /// Nobody watched when this happened: said now, and tried again.
    fn ended_badly(&self, error: &crate::Error) -> Result<Option<usize>, crate::Error> {
        if !matches!(error, crate::Error::Stage(_) | crate::Error::Slurm(Error::Job { .. })) {
            return Ok(Some(0));
        }
        self.display.say(&format!("warning: of the jobs that ended meanwhile: {error}"));
        Ok(Some(0))
    }

    fn follow(&self, record: &Record, watched: bool) -> Result<usize, crate::Error> {
        Follow::new(self, record, watched).to_the_end()
    }

    fn say_detached(&self) {
        self.display.say(&format!("{}: not waiting; the same command without --detach follows", self.study));
    }

    /// Names what the jobs compute: other settings or programs give another plan.
    pub fn plan(&self) -> String {
        let one = |task: &contract::plan::Task| -> Value {
            json!([task.id, task.config, task.arguments, self.programs.hash(task.stage)])
        };
        hash::value(&self.graph.tasks().iter().map(one).collect())
    }
}

/// Refuses to touch a study whose jobs may still run on a cluster.
///
/// # Errors
/// They do, or nobody here can tell.
pub fn refuse_if_running(study: &str, layout: &Layout) -> Result<(), Error> {
    let Some(record) = Record::read(layout)? else { return Ok(()) };
    let jobs = record.summary();
    match client::states(&record.name) {
        Ok(states) if states.values().all(client::Seen::is_over) => Ok(()),
        Ok(_) => Err(Error::Running { study: study.to_owned(), jobs, name: record.name }),
        Err(_) => Err(Error::Unknown { study: study.to_owned(), jobs, file: record::path(layout) }),
    }
}
