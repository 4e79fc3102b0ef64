//! What a run shows on stderr: a line for each running task on a terminal, plain lines elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use contract::progress::Mode;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::graph::why;

/// The display of one run.
pub struct Display {
    mode: Mode,
    bars: MultiProgress,
    total: usize,
    explain: bool,
}

impl Display {
    /// For a run of `total` tasks; `mode` as [`Mode::current`] resolves it.
    pub fn new(mode: Mode, total: usize, explain: bool) -> Self {
        Self { mode, bars: MultiProgress::new(), total, explain }
    }

    /// A task starts: says why, and opens its line.
    pub fn start(&self, at: usize, id: &str, reasons: &[String]) -> Line<'_> {
        let place = format!("[{}/{}] {id}", at + 1, self.total);
        self.say(&format!("{place}: runs because {}", why(reasons, self.explain)));
        let bar = (self.mode == Mode::Bar).then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(place.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Line { display: self, id: id.to_owned(), place, bar, started: Instant::now() }
    }

    /// Passes on what a program wrote to stdout.
    pub fn stdout(&self, bytes: &[u8]) {
        self.bars.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            // A closed pipe (`| head`) is not the study's problem.
            let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
        });
    }

    fn say(&self, text: &str) {
        match self.mode {
            Mode::None => {}
            Mode::Bar => self.bars.suspend(|| eprintln!("{text}")),
            _ => eprintln!("{text}"),
        }
    }
}

/// The line of one running task.
pub struct Line<'a> {
    display: &'a Display,
    id: String,
    place: String,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Line<'_> {
    /// The task's program wrote a line. On a terminal it replaces the one before, unless it is a warning.
    pub fn update(&self, text: &str) {
        match &self.bar {
            Some(bar) if !text.starts_with("warning") => bar.set_message(text.to_owned()),
            // Progress names its task already.
            _ if text.starts_with(&self.id) => self.display.say(text),
            _ => self.display.say(&format!("{}: {text}", self.id)),
        }
    }

    /// The task ended.
    pub fn finish(&self, well: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let how = if well { "done" } else { "stopped" };
        self.display.say(&format!("{}: {how} after {:.1} s", self.place, self.started.elapsed().as_secs_f64()));
    }
}
