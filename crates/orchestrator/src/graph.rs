//! The order of tasks, read off the files they exchange, and what a run would do.

use std::collections::BTreeSet;
use std::path::Path;

use contract::cli;
use contract::hash;
use contract::plan::{Stage, Task};
use contract::receipt::{self, Decision, TaskError};

use crate::error::Error;
use crate::programs::Programs;

/// Tasks, and which of the earlier ones each waits for.
#[derive(Debug)]
pub struct Graph {
    tasks: Vec<Task>,
    needs: Vec<Vec<usize>>,
}

impl Graph {
    /// A task needs each earlier task in whose output folder one of its inputs lies.
    pub fn new(tasks: Vec<Task>) -> Self {
        let makes = |task: &Task, path: &Path| path.starts_with(&task.output);
        let needs_of = |(at, task): (usize, &Task)| {
            let needed = |other: &usize| task.inputs.iter().any(|(_, path)| makes(&tasks[*other], path));
            (0..at).filter(needed).collect()
        };
        let needs = tasks.iter().enumerate().map(needs_of).collect();
        Self { tasks, needs }
    }

    /// The tasks, each after those it needs.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Indices of the tasks that task `at` needs.
    pub fn needs(&self, at: usize) -> &[usize] {
        &self.needs[at]
    }

    /// The stages that occur.
    pub fn stages(&self) -> BTreeSet<Stage> {
        self.tasks.iter().map(|task| task.stage).collect()
    }

    /// Checks, before any work, that inputs which no task makes exist.
    ///
    /// # Errors
    /// One does not.
    pub fn check_inputs(&self) -> Result<(), TaskError> {
        self.lost().into_iter().next().map_or(Ok(()), Err)
    }

    /// The inputs that no task makes and that do not exist, each with its advice.
    pub fn lost(&self) -> Vec<TaskError> {
        let mut errors = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            let made = |path: &Path| self.needs[at].iter().any(|other| path.starts_with(&self.tasks[*other].output));
            for input in task.inputs.iter().filter(|(_, path)| !made(path) && !path.exists()) {
                // With nothing but a lost input this hashes no file and ends with the error and its advice.
                let only_lost = Task { inputs: vec![input.clone()], ..task.clone() };
                errors.extend(receipt::decide(&only_lost, "", &mut hash::Cache::default()).err());
            }
        }
        errors
    }
}

/// What a run would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forecast {
    /// Nothing.
    UpToDate,
    /// Run, for these reasons.
    Run(Vec<String>),
    /// Run unless these tasks, which run first, make the same bytes again.
    Depends(Vec<String>),
}

/// The forecast of every task. Reads and hashes; changes nothing.
///
/// # Errors
/// An input cannot be read.
pub fn forecasts(graph: &Graph, programs: &Programs) -> Result<Vec<Forecast>, TaskError> {
    let mut cache = hash::Cache::default();
    let mut all: Vec<Forecast> = Vec::new();
    for (at, task) in graph.tasks().iter().enumerate() {
        let running = graph.needs(at).iter().filter(|other| all[**other] != Forecast::UpToDate);
        let names: Vec<String> = running.map(|other| graph.tasks()[*other].id.clone()).collect();
        all.push(if !names.is_empty() {
            Forecast::Depends(names)
        } else {
            match receipt::decide(task, programs.hash(task.stage), &mut cache)? {
                Decision::UpToDate => Forecast::UpToDate,
                Decision::Run(reasons) => Forecast::Run(reasons),
            }
        });
    }
    Ok(all)
}

/// The text of `--dry-run`: a line a task; with `explain`, a line for each reason.
///
/// # Errors
/// An input cannot be read.
pub fn forecast(study: &str, graph: &Graph, programs: &Programs, explain: bool) -> Result<String, Error> {
    let all = forecasts(graph, programs)?;
    let total = all.len();
    let running = all.iter().filter(|forecast| **forecast != Forecast::UpToDate).count();
    let mut text = format!("{study}: {running} of {total} tasks would run\n");
    for (at, (task, forecast)) in graph.tasks().iter().zip(&all).enumerate() {
        let start = format!("[{}/{total}] {}: ", at + 1, task.id);
        text.push_str(&start);
        text.push_str(&match forecast {
            Forecast::UpToDate => "up to date\n".to_owned(),
            Forecast::Run(reasons) => format!("would run: {}\n", why(reasons, explain)),
            Forecast::Depends(names) if explain => format!("would run: depends on {}\n", names.join(", ")),
            Forecast::Depends(names) => format!("would run: depends on {}\n", cli::summary(names)),
        });
    }
    Ok(text)
}

/// Reasons for a line: the first three, or with `explain` all, each on a line of its own if there are several.
pub fn why(reasons: &[String], explain: bool) -> String {
    match (explain, reasons.len()) {
        (true, 2..) => reasons.iter().map(|reason| format!("\n    {reason}")).collect(),
        _ => cli::summary(reasons),
    }
}
