//! What a run shows on stderr: on a terminal a line for each running task and one for the whole, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use contract::plan::Task;
use contract::progress::{self, Mode};
use contract::{cli, interrupt};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::estimate::{Estimate, span};
use crate::graph::why;

/// Time between two looks at the clock for the line of the whole run.
const TICK: Duration = Duration::from_millis(200);
/// Less than this is not worth saying.
const SHORTEST: Duration = Duration::from_secs(1);
/// Tasks that have lines of their own; a terminal is not higher than that.
const LINES: usize = 12;

/// The display of one run.
pub struct Display {
    mode: Mode,
    bars: MultiProgress,
    /// The line of the whole run, below the others.
    whole: Option<ProgressBar>,
    ids: Vec<String>,
    state: Arc<Mutex<State>>,
    explain: bool,
}

struct State {
    estimate: Estimate,
    /// What else there is to say of the whole, such as how many tasks wait in a queue.
    remark: String,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// `4 of 9 tasks done, 2 running, eta 3 min`.
    fn text(&self) -> String {
        let estimate = &self.estimate;
        let mut text = format!("{} of {} tasks done", estimate.done(), estimate.total());
        if estimate.running() > 0 {
            text.push_str(&format!(", {} running", estimate.running()));
        }
        if !self.remark.is_empty() {
            text.push_str(&format!(", {}", self.remark));
        }
        if let Some(left) = estimate.left(Instant::now()).filter(|left| left.time >= SHORTEST) {
            let more = if left.at_least { "more than " } else { "" };
            text.push_str(&format!(", eta {more}{}", span(left.time)));
        }
        text
    }
}

impl Display {
    /// For a run of `tasks`, `jobs` at a time; `mode` as [`Mode::current`] resolves it.
    pub fn new(mode: Mode, tasks: &[Task], jobs: usize, explain: bool) -> Self {
        let estimate = Estimate::new(tasks.iter().map(|task| task.stage), jobs);
        let state = Arc::new(Mutex::new(State { estimate, remark: String::new() }));
        let bars = MultiProgress::new();
        let whole = (mode == Mode::Bar).then(|| bars.add(styled("{elapsed} {wide_msg}")));
        if let Some(bar) = &whole {
            keep_current(bar, Arc::downgrade(&state));
            let bars = bars.clone();
            interrupt::speak_through(move |text| above(&bars, text));
        }
        let ids = tasks.iter().map(|task| task.id.clone()).collect();
        Self { mode, bars, whole, ids, state, explain }
    }

    /// A task that runs since then: says why, and opens its line.
    pub fn start(&self, at: usize, reasons: &[String], since: Instant) -> Line<'_> {
        let place = self.place(at);
        self.say(&format!("{place}: runs because {}", why(reasons, self.explain)));
        let running = {
            let mut state = lock(&self.state);
            state.estimate.start(at, since);
            state.estimate.running()
        };
        let bar = self.whole.as_ref().filter(|_| running <= LINES).map(|whole| {
            let bar = self.bars.insert_before(whole, styled("{spinner} {prefix} {elapsed} {wide_msg}"));
            bar.set_prefix(place.clone());
            bar.enable_steady_tick(TICK);
            bar
        });
        self.renew();
        Line { display: self, at, place, bar, since }
    }

    /// A task has nothing to do.
    pub fn skip(&self, at: usize) {
        lock(&self.state).estimate.skip(at);
        self.renew();
    }

    /// What else the line of the whole run says; empty for nothing.
    pub fn remark(&self, text: String) {
        lock(&self.state).remark = text;
    }

    /// Passes on what a program wrote to stdout.
    pub fn stdout(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        if self.mode == Mode::Bar && stdout.is_terminal() {
            // The terminal on which the lines move.
            return above(&self.bars, String::from_utf8_lossy(bytes).trim_end_matches('\n'));
        }
        // A closed pipe (`| head`) is not the study's problem.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    /// Prints a line above what moves.
    pub fn say(&self, text: &str) {
        match self.mode {
            Mode::None => {}
            Mode::Bar => above(&self.bars, text),
            _ => cli::say(text),
        }
    }

    fn renew(&self) {
        if let Some(whole) = &self.whole {
            let text = lock(&self.state).text();
            whole.set_message(text);
        }
    }

    fn place(&self, at: usize) -> String {
        format!("[{}/{}] {}", at + 1, self.ids.len(), self.ids[at])
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(whole) = &self.whole {
            whole.finish_and_clear();
        }
    }
}

/// Prints a line above `bars`, or where they would be. Not by their own `suspend`, which panics once the terminal is gone.
fn above(bars: &MultiProgress, text: &str) {
    if bars.is_hidden() {
        cli::say(text);
    } else {
        let _ = bars.println(text);
    }
}

fn styled(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Renews the line of the whole run while its display lives.
fn keep_current(bar: &ProgressBar, state: Weak<Mutex<State>>) {
    let bar = bar.downgrade();
    std::thread::spawn(move || {
        while let (Some(bar), Some(state)) = (bar.upgrade(), state.upgrade()) {
            if bar.is_finished() {
                return;
            }
            let text = lock(&state).text();
            bar.set_message(text);
            bar.tick();
            drop((bar, state));
            std::thread::sleep(TICK);
        }
    });
}

/// The line of one running task.
pub struct Line<'a> {
    display: &'a Display,
    at: usize,
    place: String,
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Line<'_> {
    /// The task's program wrote a line. On a terminal it replaces the one before, unless it is a warning.
    pub fn update(&self, text: &str) {
        let (display, is_warning) = (self.display, text.starts_with("warning"));
        let id = &display.ids[self.at];
        if let Some(part) = progress::part(text) {
            lock(&display.state).estimate.advance(self.at, part);
        }
        match &self.bar {
            // The prefix names the task already.
            Some(bar) if !is_warning => {
                let rest = text.strip_prefix(id.as_str()).and_then(|rest| rest.strip_prefix(": "));
                bar.set_message(rest.unwrap_or(text).to_owned());
            }
            // One of those for which there is no room.
            None if display.mode == Mode::Bar && !is_warning => {}
            // Progress names its task already.
            _ if text.starts_with(id.as_str()) => display.say(text),
            _ => display.say(&format!("{id}: {text}")),
        }
    }

    /// The task was stopped from outside and waits to run again, which opens another line.
    pub fn wait(self, why: &str) {
        self.clear();
        lock(&self.display.state).estimate.wait(self.at);
        self.display.renew();
        let seconds = self.since.elapsed().as_secs_f64();
        self.display.say(&format!("{}: stopped after {seconds:.1} s and waits to run again: {why}", self.place));
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.display.bars.remove(bar);
        }
    }

    /// The task ended.
    pub fn finish(&self, well: bool) {
        let display = self.display;
        self.clear();
        let text = {
            let mut state = lock(&display.state);
            state.estimate.end(self.at, well);
            state.text()
        };
        display.renew();
        let how = if well { "done" } else { "stopped" };
        let ended = format!("{}: {how} after {:.1} s", self.place, self.since.elapsed().as_secs_f64());
        // A terminal shows the whole all the time.
        let whole = if display.mode == Mode::Bar || !well { String::new() } else { format!("; {text}") };
        display.say(&format!("{ended}{whole}"));
    }
}
