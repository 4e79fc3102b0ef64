//! A study's jobs as `chumoku status` sees them: the record, and one squeue.

use std::collections::BTreeMap;

use contract::layout::Layout;
use serde_json::{Value, json};

use super::client::{self, Place, Seen};
use super::error::Error;
use super::record::{Record, Submitted};

/// The jobs of a study's last submission.
pub struct View {
    record: Record,
    /// What squeue says of them, or why it cannot be asked.
    seen: Result<BTreeMap<Place, Seen>, Error>,
}

/// The job of a task.
pub struct Job<'a> {
    submitted: &'a Submitted,
    seen: Option<&'a Seen>,
    /// False if squeue could not be asked.
    known: bool,
}

impl View {
    /// `None` for a study of which nothing was submitted that nobody has followed to its end.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn read(layout: &Layout) -> Result<Option<Self>, Error> {
        let view = |record: Record| Self { seen: client::states(&record.name), record };
        Ok(Record::read(layout)?.map(view))
    }

    /// The job of a task.
    pub fn job(&self, task: &str) -> Option<Job<'_>> {
        let submitted = self.record.tasks.iter().find(|one| one.task == task)?;
        let seen = self.seen.as_ref().ok().and_then(|seen| seen.get(&submitted.place()));
        Some(Job { submitted, seen, known: self.seen.is_ok() })
    }

    /// A line for people.
    pub fn text(&self) -> String {
        let jobs = self.record.summary();
        match &self.seen {
            Ok(seen) if seen.values().all(Seen::is_over) => {
                format!("submitted to Slurm: {jobs}, all of which have ended; the same `chumoku run` takes up how")
            }
            Ok(_) => format!("submitted to Slurm: {jobs}"),
            Err(error) => format!("submitted to Slurm: {jobs}; how far they are cannot be said here: {error}"),
        }
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        json!({
            "name": self.record.name,
            "tasks": self.record.tasks.len(),
            "complete": self.record.complete,
            "error": self.seen.as_ref().err().map(Error::to_string),
        })
    }
}

impl Job<'_> {
    /// True while it waits to start.
    pub fn is_waiting(&self) -> bool {
        self.seen.is_some_and(Seen::is_waiting)
    }

    /// True while it runs.
    pub fn is_running(&self) -> bool {
        self.seen.is_some_and(Seen::is_running)
    }

    /// `job 3_1 (Resources)`, `job 3_1 on node7`, `job 3_1 ended (TIMEOUT)`.
    pub fn text(&self) -> String {
        let job = format!("job {}", self.submitted.shown());
        match self.seen {
            None if self.known => format!("{job} ended"),
            None => job,
            Some(seen) if seen.is_waiting() => format!("{job} ({})", seen.reason.trim_matches(['(', ')'])),
            Some(seen) if seen.is_running() => format!("{job} on {}", seen.nodes),
            Some(seen) => format!("{job} ended ({})", seen.state),
        }
    }

    /// Its number, its state in Slurm's words, why it waits and where it runs; null where that is not known.
    pub fn json(&self) -> Value {
        let of = |text: fn(&Seen) -> &str| self.seen.map(text).filter(|text| !text.is_empty());
        json!({
            "id": self.submitted.shown(),
            "state": of(|seen| &seen.state),
            "reason": of(|seen| &seen.reason),
            "nodes": of(|seen| &seen.nodes),
        })
    }
}
