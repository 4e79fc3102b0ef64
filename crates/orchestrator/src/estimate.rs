//! How far a run is and how long it still takes, from the times measured so far in this run.
//!
//! Stages follow each other, so what is left is a sum over stages. Within one, tasks run side by side: what is left of it is its
//! work divided by the tasks that run at a time, and never less than its longest task. A task is expected to take the mean of those of its
//! stage that have ended; before the first has, what a running one took divided by the part that it says is done.

use std::time::{Duration, Instant};

use contract::plan::Stage;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    /// Since when, and the part of its work that is done, if it said so.
    Running(Instant, Option<f64>),
    /// How long it took.
    Ran(Duration),
    UpToDate,
    /// Ended badly, or was stopped.
    Stopped,
}

/// The tasks of a run, as far as their times are known.
#[derive(Debug)]
pub struct Estimate {
    tasks: Vec<(Stage, State)>,
    jobs: usize,
}

/// How long a run still takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// What can be said.
    pub time: Duration,
    /// True if there are stages of which nothing is known yet.
    pub at_least: bool,
}

impl Estimate {
    /// Tasks of these stages, `jobs` at a time.
    pub fn new(stages: impl IntoIterator<Item = Stage>, jobs: usize) -> Self {
        Self { tasks: stages.into_iter().map(|stage| (stage, State::Waiting)).collect(), jobs: jobs.max(1) }
    }

    /// Task `at` runs since then.
    pub fn start(&mut self, at: usize, since: Instant) {
        self.tasks[at].1 = State::Running(since, None);
    }

    /// A part, in 0..1, of task `at` is done.
    pub fn advance(&mut self, at: usize, part: f64) {
        if let State::Running(_, known) = &mut self.tasks[at].1 {
            *known = Some(part);
        }
    }

    /// Task `at` ended; `well` if it did what it should.
    pub fn end(&mut self, at: usize, well: bool) {
        let took = match self.tasks[at].1 {
            State::Running(since, _) => since.elapsed(),
            _ => Duration::ZERO,
        };
        self.tasks[at].1 = if well { State::Ran(took) } else { State::Stopped };
    }

    /// Task `at`, which ran, waits to run again.
    pub fn wait(&mut self, at: usize) {
        self.tasks[at].1 = State::Waiting;
    }

    /// Task `at` has nothing to do.
    pub fn skip(&mut self, at: usize) {
        self.tasks[at].1 = State::UpToDate;
    }

    /// Tasks that are done, run or not.
    pub fn done(&self) -> usize {
        self.tasks.iter().filter(|(_, state)| matches!(state, State::Ran(_) | State::UpToDate)).count()
    }

    /// Tasks that run now.
    pub fn running(&self) -> usize {
        self.tasks.iter().filter(|(_, state)| matches!(state, State::Running(..))).count()
    }

    /// All tasks.
    pub fn total(&self) -> usize {
        self.tasks.len()
    }

    /// What is left as of `now`; `None` while nothing is known.
    pub fn left(&self, now: Instant) -> Option<Left> {
        let (mut time, mut known, mut at_least) = (Duration::ZERO, false, false);
        for stage in Stage::ALL {
            let states: Vec<State> =
                self.tasks.iter().filter(|(of, _)| *of == stage).map(|(_, state)| *state).collect();
            if !states.iter().any(|state| matches!(state, State::Waiting | State::Running(..))) {
                continue;
            }
            match self.of_stage(&states, now) {
                Some(more) => (time, known) = (time + more, true),
                None => at_least = true,
            }
        }
        known.then_some(Left { time, at_least })
    }

    fn of_stage(&self, states: &[State], now: Instant) -> Option<Duration> {
        let expected = expected(states, now)?;
        let left = |state: &State| match state {
            State::Waiting => Some(expected),
            State::Running(since, part) => {
                let elapsed = now.saturating_duration_since(*since);
                Some(part.and_then(|part| whole(elapsed, part)).unwrap_or(expected).saturating_sub(elapsed))
            }
            _ => None,
        };
        let left: Vec<Duration> = states.iter().filter_map(left).collect();
        // A cluster may run fewer than it is allowed to.
        let running = states.iter().filter(|state| matches!(state, State::Running(..))).count();
        let width = if running > 0 { running } else { self.jobs };
        let width = u32::try_from(width.min(left.len()).max(1)).unwrap_or(u32::MAX);
        let longest = left.iter().max().copied().unwrap_or_default();
        Some((left.iter().sum::<Duration>() / width).max(longest))
    }
}

/// How long a task of a stage with these tasks takes.
fn expected(states: &[State], now: Instant) -> Option<Duration> {
    let ran: Vec<Duration> =
        states.iter().filter_map(|state| if let State::Ran(took) = state { Some(*took) } else { None }).collect();
    if let Ok(count @ 1..) = u32::try_from(ran.len()) {
        return Some(ran.iter().sum::<Duration>() / count);
    }
    let of_running = |state: &State| match state {
        State::Running(since, Some(part)) => whole(now.saturating_duration_since(*since), *part),
        _ => None,
    };
    states.iter().filter_map(of_running).max()
}

/// The whole time of what took `elapsed` for this part; nothing is said before a hundredth is done.
fn whole(elapsed: Duration, part: f64) -> Option<Duration> {
    (part >= 0.01).then(|| elapsed.div_f64(part.min(1.0)))
}

/// A time for people: `45 s`, `3 min`, `1 h 20 min`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, 1..=9) => format!("{} min {:02} s", seconds / 60, seconds % 60),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(jobs: usize, states: &[(Stage, State)]) -> Estimate {
        Estimate { tasks: states.to_vec(), jobs }
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn six_runs_two_at_a_time_by_hand() {
        let start = Instant::now();
        let now = start + seconds(130);
        let train = |state| (Stage::Train, state);
        // Two runs took 90 and 110 s: 100 s each. Of two that run for 30 s 70 s are left each, and two more wait: (70 + 70 + 100 + 100) / 2.
        let mut states = vec![train(State::Ran(seconds(90))), train(State::Ran(seconds(110)))];
        states.extend([train(State::Running(start + seconds(100), None)); 2]);
        states.extend([train(State::Waiting); 2]);
        assert_eq!(estimate(2, &states).left(now), Some(Left { time: seconds(170), at_least: false }));
        // A report of which nothing is known makes it a lower bound; one that ran does not.
        states.push((Stage::Report, State::Waiting));
        assert_eq!(estimate(2, &states).left(now), Some(Left { time: seconds(170), at_least: true }));
        // Before any runs, the jobs count: with as many as tasks one task is left, with one job two.
        let waiting = [train(State::Ran(seconds(100))), train(State::Waiting), train(State::Waiting)];
        let left = |jobs| estimate(jobs, &waiting).left(now).map(|left| left.time);
        assert_eq!((left(6), left(1)), (Some(seconds(100)), Some(seconds(200))));
    }

    #[test]
    fn before_the_first_ended_what_it_says_counts() {
        let start = Instant::now();
        let now = start + seconds(30);
        let running = |part| (Stage::Train, State::Running(start, part));
        assert_eq!(estimate(1, &[running(None)]).left(now), None);
        // A quarter in 30 s: 90 s more, and 120 s for the one that waits.
        let states = [running(Some(0.25)), (Stage::Train, State::Waiting)];
        assert_eq!(estimate(1, &states).left(now).map(|left| left.time), Some(seconds(210)));
        assert_eq!(estimate(1, &[running(Some(0.0))]).left(now), None);
    }

    #[test]
    fn counts_follow_the_tasks() {
        let mut estimate = Estimate::new([Stage::Dataset, Stage::Train, Stage::Report], 2);
        estimate.skip(0);
        estimate.start(1, Instant::now());
        estimate.advance(1, 0.5);
        assert_eq!((estimate.done(), estimate.running(), estimate.total()), (1, 1, 3));
        estimate.wait(1);
        assert_eq!((estimate.done(), estimate.running()), (1, 0));
        estimate.start(1, Instant::now());
        estimate.end(1, false);
        assert_eq!((estimate.done(), estimate.running()), (1, 0));
        assert_eq!(estimate.left(Instant::now()), None);
    }

    #[test]
    fn times_for_people() {
        let texts = [45, 65, 600, 4800].map(|count| span(seconds(count)));
        assert_eq!(texts, ["45 s", "1 min 05 s", "10 min", "1 h 20 min"]);
    }
}
