//! Progress on stderr: a bar with rate and ETA on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// Always a bar
    Bar,
    /// A line every few seconds
    Plain,
    /// Nothing
    None,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Auto as u8);

impl Mode {
    /// Sets the mode of the whole program.
    pub fn install(self) {
        MODE.store(self as u8, Ordering::Relaxed);
    }

    /// The mode in force, `Auto` resolved: a terminal, and neither NO_COLOR nor TERM=dumb asked for plain output.
    pub fn current() -> Self {
        let mode = MODE.load(Ordering::Relaxed);
        if let Some(fixed) = [Self::Bar, Self::Plain, Self::None].into_iter().find(|fixed| *fixed as u8 == mode) {
            return fixed;
        }
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        if std::io::stderr().is_terminal() && !dumb { Self::Bar } else { Self::Plain }
    }
}

/// Time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The progress of one piece of long work.
pub struct Progress {
    what: String,
    unit: &'static str,
    total: u64,
    bar: ProgressBar,
    started: Instant,
    plain: Option<Mutex<(Instant, String)>>,
}

impl Progress {
    /// Starts the display of `total` `unit`s of `what`.
    pub fn new(what: &str, unit: &'static str, total: u64) -> Self {
        let mode = Mode::current();
        let bar = match mode {
            Mode::Bar => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            _ => ProgressBar::hidden(),
        };
        bar.set_length(total);
        let colour = if std::env::var_os("NO_COLOR").is_some() { "" } else { ".cyan" };
        let template = format!("{{prefix}} {{bar:30{colour}}} {{pos}}/{{len}} {unit} {{per_sec}} eta {{eta}} {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        let plain = (mode == Mode::Plain).then(|| Mutex::new((Instant::now(), String::new())));
        Self { what: what.to_owned(), unit, total, bar, started: Instant::now(), plain }
    }

    /// `count` more are done. May be called from any thread.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        let Some(plain) = &self.plain else { return };
        let Ok(mut state) = plain.lock() else { return };
        if state.0.elapsed() >= PLAIN_EVERY {
            state.0 = Instant::now();
            crate::say!("{}", self.line(&state.1));
        }
    }

    /// Shows a figure beside the bar, such as the loss.
    pub fn message(&self, text: String) {
        if let Some(Ok(mut state)) = self.plain.as_ref().map(Mutex::lock) {
            state.1.clone_from(&text);
        }
        self.bar.set_message(text);
    }

    /// Prints a line above the bar.
    pub fn note(&self, text: &str) {
        if self.plain.is_some() || self.bar.is_hidden() {
            crate::say!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Ends the display with one last line that keeps the figures.
    pub fn finish(&self) {
        let message = self.bar.message();
        self.bar.finish_and_clear();
        if Mode::current() != Mode::None {
            let seconds = self.started.elapsed().as_secs_f64();
            let rate = self.bar.position() as f64 / seconds.max(1e-9);
            let tail = if message.is_empty() { String::new() } else { format!("; {message}") };
            crate::say!("{}: {} {} in {seconds:.1} s ({rate:.1}/s){tail}", self.what, self.bar.position(), self.unit);
        }
    }

    /// What [`part`] reads.
    fn line(&self, message: &str) -> String {
        let done = self.bar.position();
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let eta = (self.total.saturating_sub(done)) as f64 / rate.max(1e-9);
        let percent = 100.0 * done as f64 / self.total.max(1) as f64;
        format!(
            "{}: {done}/{} {} ({percent:.0} %) {rate:.1}/s eta {eta:.0} s {message}",
            self.what, self.total, self.unit
        )
    }
}

/// The part of the work, in 0..1, that a plain line of [`Progress`] says is done; `None` for any other line.
pub fn part(line: &str) -> Option<f64> {
    let (before, _) = line.split_once(" %) ")?;
    before.rsplit_once(" (")?.1.parse().ok().map(|percent: f64| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_which_part_is_done() {
        let progress = Progress::new("train/a (b)", "images", 48);
        progress.bar.set_position(12);
        assert_eq!(part(&progress.line("loss 0.5")), Some(0.25));
        for other in ["", "warning: 12 (25 %)", "epoch 3 (no %) of 4", "loss 0.5"] {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
