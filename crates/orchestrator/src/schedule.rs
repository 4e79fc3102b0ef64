//! Runs the tasks of a graph, several at a time where they do not need each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use contract::hash;
use contract::interrupt;
use contract::plan::Task;
use contract::receipt::{self, Decision};

use crate::error::Error;
use crate::graph::Graph;
use crate::programs::Programs;

/// Runs one task to its end, wherever that is.
pub trait Executor: Sync {
    /// Runs `task`, the one at index `at`, which has to run for these reasons.
    ///
    /// # Errors
    /// It failed or was stopped.
    fn execute(&self, at: usize, task: &Task, reasons: &[String]) -> Result<(), Error>;

    /// The task at index `at` has nothing to do.
    fn skip(&self, _at: usize) {}
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Tasks that ran.
    pub ran: usize,
    /// Tasks whose receipt held.
    pub up_to_date: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Done,
}

struct State {
    status: Vec<Status>,
    outcome: Outcome,
    /// The failure of the earliest task, by its index.
    failed: Option<(usize, Error)>,
}

struct Schedule<'a> {
    graph: &'a Graph,
    programs: &'a Programs,
    executor: &'a dyn Executor,
    state: Mutex<State>,
    changed: Condvar,
    hashes: Mutex<hash::Cache>,
}

/// A poisoned lock means that another worker panicked; the scope passes that panic on once all have ended.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what is not up to date, `jobs` tasks at a time. After a failure nothing new starts; what runs is waited for.
///
/// # Errors
/// That of the earliest task that failed, or [`Error::Interrupted`].
pub fn run(graph: &Graph, programs: &Programs, jobs: usize, executor: &dyn Executor) -> Result<Outcome, Error> {
    let status = vec![Status::Waiting; graph.tasks().len()];
    let schedule = Schedule {
        graph,
        programs,
        executor,
        state: Mutex::new(State { status, outcome: Outcome::default(), failed: None }),
        changed: Condvar::new(),
        hashes: Mutex::new(hash::Cache::default()),
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, graph.tasks().len().max(1)) {
            scope.spawn(|| schedule.work());
        }
    });
    let state = schedule.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some((_, error)) => Err(error),
        None if state.status.iter().any(|status| *status != Status::Done) => Err(Error::Interrupted),
        None => Ok(state.outcome),
    }
}

impl Schedule<'_> {
    /// One worker: task after task until none is left.
    fn work(&self) {
        while let Some(at) = self.next() {
            let result = self.one(at);
            let mut state = lock(&self.state);
            match result {
                Ok(ran) => {
                    state.status[at] = Status::Done;
                    *if ran { &mut state.outcome.ran } else { &mut state.outcome.up_to_date } += 1;
                }
                Err(error) => {
                    // Waiting again, so that a run in which everything else was fine does not look complete.
                    state.status[at] = Status::Waiting;
                    if state.failed.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
                        state.failed = Some((at, error));
                    }
                }
            }
            self.changed.notify_all();
        }
    }

    /// Takes the first task that needs nothing more; waits while others may still make one ready.
    fn next(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        loop {
            if state.failed.is_some() || interrupt::requested() {
                return None;
            }
            let ready = |at: &usize| {
                let done = |other: &usize| state.status[*other] == Status::Done;
                state.status[*at] == Status::Waiting && self.graph.needs(*at).iter().all(done)
            };
            if let Some(at) = (0..state.status.len()).find(ready) {
                state.status[at] = Status::Running;
                return Some(at);
            }
            if !state.status.contains(&Status::Running) {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs a task unless its receipt holds. True if it ran.
    fn one(&self, at: usize) -> Result<bool, Error> {
        let task = &self.graph.tasks()[at];
        let decision = receipt::decide(task, self.programs.hash(task.stage), &mut lock(&self.hashes))?;
        let Decision::Run(reasons) = decision else {
            self.executor.skip(at);
            return Ok(false);
        };
        let result = self.executor.execute(at, task, &reasons);
        lock(&self.hashes).forget(&task.output);
        result.map(|()| true)
    }
}
