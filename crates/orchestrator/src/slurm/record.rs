//! What was submitted, written down beside the study's data for the run that comes later.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use contract::atomic;
use contract::layout::Layout;
use serde::{Deserialize, Serialize};

use super::client::Place;
use super::error::Error;

/// Folder of all that concerns Slurm, in `data/<study>`.
const FOLDER: &str = "slurm";
/// The record in it.
const FILE: &str = "jobs.json";

/// The jobs of one submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name that all of them have, and no others.
    pub name: String,
    /// What they compute, see [`super::Slurm::plan`].
    pub plan: String,
    /// False until the last one was submitted.
    pub complete: bool,
    /// The tasks.
    pub tasks: Vec<Submitted>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its id.
    pub task: String,
    /// Why it runs.
    pub reasons: Vec<String>,
    /// Its job.
    pub job: String,
    /// Its element, if the job is an array.
    pub element: Option<usize>,
}

impl Submitted {
    /// Where it is among what squeue says.
    pub fn place(&self) -> Place {
        (self.job.clone(), self.element)
    }

    /// As Slurm writes it: `12`, or `12_3`.
    pub fn shown(&self) -> String {
        shown(&self.place())
    }
}

/// A job or an element of an array as Slurm writes it: `12`, or `12_3`.
pub fn shown((job, element): &Place) -> String {
    element.map_or_else(|| job.clone(), |element| format!("{job}_{element}"))
}

/// The folder of all that concerns Slurm.
pub fn folder(layout: &Layout) -> PathBuf {
    layout.data.join(FOLDER)
}

/// The record.
pub fn path(layout: &Layout) -> PathBuf {
    folder(layout).join(FILE)
}

/// Forgets the jobs, all of which have ended.
///
/// # Errors
/// The file cannot be removed.
pub fn remove(layout: &Layout) -> Result<(), Error> {
    match std::fs::remove_file(path(layout)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(wrong(layout, &error)),
        _ => Ok(()),
    }
}

fn wrong(layout: &Layout, error: &dyn std::fmt::Display) -> Error {
    Error::Record { path: path(layout), said: error.to_string() }
}

impl Record {
    /// The record of an earlier run, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(layout: &Layout) -> Result<Option<Self>, Error> {
        match std::fs::read_to_string(path(layout)) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| wrong(layout, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(layout, &error)),
        }
    }

    /// Writes it, whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, layout: &Layout) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).map_err(|error| wrong(layout, &error))?;
        atomic::write(&path(layout), text.as_bytes()).map_err(|error| wrong(layout, &error))
    }

    /// For people: `9 tasks in jobs 1, 2, 3 (chumoku-smoke-0a1b2c3d)`.
    pub fn summary(&self) -> String {
        let jobs: BTreeSet<u64> = self.tasks.iter().filter_map(|task| task.job.parse().ok()).collect();
        let jobs: Vec<String> = jobs.iter().map(u64::to_string).collect();
        let tasks = if self.tasks.len() == 1 { "1 task".to_owned() } else { format!("{} tasks", self.tasks.len()) };
        let word = if jobs.len() == 1 { "job" } else { "jobs" };
        format!("{tasks} in {word} {} ({})", jobs.join(", "), self.name)
    }
}
