//! The order of tasks, read off the files they exchange, and what a run would do.

use std::collections::BTreeSet;
use std::path::Path;

use contract::cli;
use contract::hash;
use contract::plan::{Stage, Task};
use contract::receipt::{self, Reason, TaskError};

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

    /// Ends what a killed run had begun to put in its place; only for who holds the study's lock.
    ///
    /// # Errors
    /// A folder cannot be renamed or removed.
    pub fn recover(&self) -> Result<(), TaskError> {
        self.tasks.iter().try_for_each(receipt::recover)
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
    /// Run, for these reasons, whatever the tasks before it make.
    Run(Vec<String>),
    /// Run unless these tasks, which run or may run first, make the same bytes again.
    Depends(Vec<String>),
}

/// The forecast of every task. Reads and hashes; changes nothing.
///
/// # Errors
/// An input cannot be read.
pub fn forecasts(graph: &Graph, programs: &Programs) -> Result<Vec<Forecast>, TaskError> {
    let all = judge(graph, programs, &mut hash::Cache::default())?;
    Ok(all.into_iter().map(|judged| judged.forecast()).collect())
}

/// What is known of a task before a run.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Why it has to run, whatever the tasks before it make; none if nothing is known to have changed.
    pub reasons: Vec<Reason>,
    /// Tasks that run or may run first and make what it reads.
    pub after: Vec<String>,
}

impl Judged {
    /// The same, as a forecast.
    pub fn forecast(self) -> Forecast {
        match (self.reasons.is_empty(), self.after.is_empty()) {
            (false, _) => Forecast::Run(self.reasons.iter().map(Reason::to_string).collect()),
            (true, false) => Forecast::Depends(self.after),
            (true, true) => Forecast::UpToDate,
        }
    }
}

/// Judges every task as a run would, which asks [`receipt::decide`] when a task's turn comes: inputs that another task is going to write,
/// or may, are left open.
///
/// # Errors
/// An input cannot be read.
pub fn judge(graph: &Graph, programs: &Programs, cache: &mut hash::Cache) -> Result<Vec<Judged>, TaskError> {
    let mut all: Vec<Judged> = Vec::new();
    for (at, task) in graph.tasks().iter().enumerate() {
        // What a killed run left is put in its place by the next, which a forecast has to foresee.
        if let Some(place) = receipt::left_elsewhere(task) {
            cache.look_elsewhere(task.output.clone(), place);
        }
        let runs = |other: &&usize| !all[**other].reasons.is_empty() || !all[**other].after.is_empty();
        let after: Vec<&Task> = graph.needs(at).iter().filter(runs).map(|other| &graph.tasks()[*other]).collect();
        let open = |path: &Path| after.iter().any(|other| path.starts_with(&other.output));
        let open: BTreeSet<&str> =
            task.inputs.iter().filter(|(_, path)| open(path)).map(|(name, _)| name.as_str()).collect();
        let reasons = receipt::reasons(task, programs.hash(task.stage), cache, &open)?;
        all.push(Judged { reasons, after: after.into_iter().map(|other| other.id.clone()).collect() });
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
    let count = |wanted: fn(&Forecast) -> bool| all.iter().filter(|forecast| wanted(forecast)).count();
    let (running, open) =
        (count(|one| matches!(one, Forecast::Run(_))), count(|one| matches!(one, Forecast::Depends(_))));
    let mut text = format!("{study}: {running} of {total} tasks would run");
    if open > 0 {
        text.push_str(&format!(", and {open} more if those before them make other bytes than they did"));
    }
    text.push('\n');
    for (at, (task, forecast)) in graph.tasks().iter().zip(&all).enumerate() {
        text.push_str(&format!("[{}/{total}] {}: {}\n", at + 1, task.id, words(forecast, explain)));
    }
    Ok(text)
}

/// A forecast in words.
pub fn words(forecast: &Forecast, explain: bool) -> String {
    match forecast {
        Forecast::UpToDate => "up to date".to_owned(),
        Forecast::Run(reasons) => format!("would run: {}", why(reasons, explain)),
        Forecast::Depends(names) if explain => format!("may run: depends on {}", names.join(", ")),
        Forecast::Depends(names) => format!("may run: depends on {}", cli::summary(names)),
    }
}

/// Reasons for a line: the first three, or with `explain` all, each on a line of its own if there are several.
pub fn why(reasons: &[String], explain: bool) -> String {
    match (explain, reasons.len()) {
        (true, 2..) => reasons.iter().map(|reason| format!("\n    {reason}")).collect(),
        _ => cli::summary(reasons),
    }
}
