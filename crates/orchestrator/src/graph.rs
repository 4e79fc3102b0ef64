//! The order of tasks, read off the files they exchange, and what a run would do.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

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
    /// The tasks that write a folder, by it.
    writers: HashMap<PathBuf, Vec<usize>>,
}

impl Graph {
    /// A task needs each earlier task in whose output folder one of its inputs lies.
    pub fn new(tasks: Vec<Task>) -> Self {
        let mut writers: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (at, task) in tasks.iter().enumerate() {
            writers.entry(task.output.clone()).or_default().push(at);
        }
        let mut graph = Self { tasks, needs: Vec::new(), writers };
        let needs_of = |(at, task): (usize, &Task)| {
            let needed: BTreeSet<usize> = task.inputs.iter().flat_map(|input| graph.makers(at, &input.path)).collect();
            needed.into_iter().collect()
        };
        graph.needs = graph.tasks.iter().enumerate().map(needs_of).collect();
        graph
    }

    /// The tasks before task `at` in whose output folder `path` lies: one look for each folder above it, since a study has many tasks and
    /// its report reads something of each.
    pub fn makers<'a>(&'a self, at: usize, path: &'a Path) -> impl Iterator<Item = usize> + 'a {
        let writers = path.ancestors().filter_map(|folder| self.writers.get(folder));
        writers.flatten().copied().filter(move |maker| *maker < at)
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
            errors.extend(receipt::missing(task, |input| self.makers(at, &input.path).next().is_none()));
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
    judge_by(graph, programs, cache, |_| true)
}

/// As [`judge`], for who passes over the reasons that do not count.
///
/// # Errors
/// An input cannot be read.
pub fn judge_by(
    graph: &Graph,
    programs: &Programs,
    cache: &mut hash::Cache,
    mut counts: impl FnMut(&Reason) -> bool,
) -> Result<Vec<Judged>, TaskError> {
    let mut all: Vec<Judged> = Vec::new();
    foresee(graph, cache);
    for (at, task) in graph.tasks().iter().enumerate() {
        let runs = |other: usize| !all[other].reasons.is_empty() || !all[other].after.is_empty();
        let after = graph.needs(at).iter().filter(|other| runs(**other)).map(|other| graph.tasks()[*other].id.clone());
        let after = after.collect();
        let open = task.inputs.iter().filter(|input| graph.makers(at, &input.path).any(runs));
        let open: BTreeSet<&str> = open.map(|input| input.name.as_str()).collect();
        let mut reasons = receipt::reasons(task, programs.hash(task.stage), cache, &open)?;
        reasons.retain(&mut counts);
        all.push(Judged { reasons, after });
    }
    Ok(all)
}

/// Lets `cache` look for each task's output where a killed run left it, since the next run puts that in its place.
pub fn foresee(graph: &Graph, cache: &mut hash::Cache) {
    for task in graph.tasks() {
        if let Some(place) = receipt::left_elsewhere(task) {
            cache.look_elsewhere(task.output.clone(), place);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use contract::plan::Input;

    #[test]
    fn a_task_needs_those_before_it_that_write_where_it_reads() {
        // Output and inputs; folders in folders, names that begin alike, a path with a dot, what comes later, and what nobody makes.
        let tasks: [(&str, &[&str]); 7] = [
            ("d/1", &["d/6/late", "outside"]),
            ("d/10", &["d/1/a", "d/1"]),
            ("d/1/in", &["d/10x/a"]),
            ("d/3", &["d/1/in/deep/a", "d/10/b"]),
            ("d/4", &["d/./10//a", "d"]),
            ("d/1", &["d/3/a"]),
            ("d/6", &["d/1/a", "d/4", "d/6/own"]),
        ];
        let task = |(output, inputs): &(&str, &[&str])| Task {
            stage: Stage::Train,
            id: (*output).to_owned(),
            inputs: inputs.iter().map(|path| Input::whole(*path, path)).collect(),
            config: serde_json::Value::Null,
            output: PathBuf::from(output),
            arguments: Vec::new(),
        };
        let graph = Graph::new(tasks.iter().map(task).collect());
        let needs: Vec<&[usize]> = (0..tasks.len()).map(|at| graph.needs(at)).collect();
        assert_eq!(needs, [&[][..], &[0], &[], &[0, 1, 2], &[1], &[3], &[0, 4, 5]]);
    }
}
