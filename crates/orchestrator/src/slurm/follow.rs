//! Follows jobs to their end: what runs is shown, what failed is found, what was asked for is cancelled.
//!
//! One squeue a look, however many tasks: twice a second at first, later every twentieth of the time that has passed, and every
//! 20 s at the least. How a task ended is told by the file that its script leaves, by squeue while it still knows the job, and at
//! last by the receipt of its output. A job that Slurm starts again, because its node failed or another took its place, has not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract::receipt::{self, Decision};
use contract::{cli, hash, interrupt};

use super::client::{self, Place, Seen};
use super::error::Error;
use super::record::{self, Record, Submitted};
use super::verdict::{Evidence, INTERRUPTED};
use super::{Slurm, script, verdict, waiting};
use crate::display::Line;
use crate::error::Failure;
use crate::stage::{self, CALL};

/// Shortest and longest time between two looks.
const LOOKS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));
/// The time between two looks is this part of what has passed.
const PART: u32 = 20;
/// Time between two looks at whether a stop was asked for.
const TICK: Duration = Duration::from_millis(50);
/// How long a shared file system may take to show what another node wrote.
const GRACE: Duration = Duration::from_secs(10);
/// How long Slurm may not answer, as when its controller starts anew.
const SILENCE: Duration = Duration::from_secs(600);
/// Why a task runs again of which Slurm stopped the job.
const REQUEUED: &str = "Slurm requeued its job";
/// Bytes at the end of a log in which its last line is looked for.
const LAST: u64 = 4096;

/// How a task ended.
enum End {
    /// Well; false if it had nothing to do.
    Well(bool),
    /// Badly.
    Failed(crate::Error),
    /// Cancelled, by us or because of another task.
    Cancelled,
}

/// What Slurm is to cancel, the more the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cancel {
    Nothing,
    /// What has not started.
    Waiting,
    All,
}

struct Tracked<'a> {
    at: usize,
    submitted: &'a Submitted,
    line: Option<Line<'a>>,
    end: Option<End>,
    /// Since when neither squeue nor a file knows of it.
    missing: Option<Instant>,
    said: String,
    /// True if Slurm stopped it and starts it again.
    requeued: bool,
}

/// Jobs on their way.
pub struct Follow<'a> {
    slurm: &'a Slurm<'a>,
    record: &'a Record,
    folder: PathBuf,
    tracked: Vec<Tracked<'a>>,
    /// False for jobs that ended while nobody watched: nothing is shown.
    watched: bool,
    /// What is to be cancelled, and what Slurm was told to.
    wanted: Cancel,
    asked: Cancel,
    /// Reasons to wait that were said.
    reasons: BTreeSet<String>,
    since: Instant,
    /// When Slurm answered last, and whether it was said that it does not.
    answered: Instant,
    silent: bool,
}

impl<'a> Follow<'a> {
    /// The jobs of `record`. Tasks that have none were up to date when it was written.
    pub fn new(slurm: &'a Slurm<'a>, record: &'a Record, watched: bool) -> Self {
        let tasks = slurm.graph.tasks();
        let track = |submitted: &'a Submitted| {
            let at = tasks.iter().position(|task| task.id == submitted.task)?;
            // What an earlier attempt said last is not news.
            let said = last_line(&slurm.layout.log(&submitted.task));
            Some(Tracked { at, submitted, line: None, end: None, missing: None, said, requeued: false })
        };
        let tracked: Vec<Tracked<'a>> = record.tasks.iter().filter_map(track).collect();
        if watched {
            let others = (0..tasks.len()).filter(|at| !tracked.iter().any(|one| one.at == *at));
            others.for_each(|at| slurm.display.skip(at));
        }
        let folder = record::folder(slurm.layout).join(&record.name);
        let (wanted, asked, now) = (Cancel::Nothing, Cancel::Nothing, Instant::now());
        let (reasons, since, answered, silent) = (BTreeSet::new(), now, now, false);
        Self { slurm, record, folder, tracked, watched, wanted, asked, reasons, since, answered, silent }
    }

    /// Looks until all have ended, and forgets them. The number of tasks that ran.
    ///
    /// # Errors
    /// That of the earliest task that failed; a stop was asked for; Slurm does not answer for long.
    pub fn to_the_end(mut self) -> Result<usize, crate::Error> {
        loop {
            match self.look() {
                Ok(true) => {
                    record::remove(self.slurm.layout)?;
                    return self.result();
                }
                Ok(false) => self.hears(),
                Err(crate::Error::Slurm(error @ Error::Command { .. })) if self.answered.elapsed() < SILENCE => {
                    self.hears_nothing(&error);
                }
                Err(error) => return Err(error),
            }
            self.wait();
        }
    }

    fn hears(&mut self) {
        self.answered = Instant::now();
        if std::mem::take(&mut self.silent) {
            self.slurm.display.say("Slurm answers again");
        }
    }

    /// Its controller may be starting anew; the jobs go on without it.
    fn hears_nothing(&mut self, error: &Error) {
        self.slurm.display.remark("Slurm does not answer".to_owned());
        if !std::mem::replace(&mut self.silent, true) {
            let minutes = SILENCE.as_secs() / 60;
            self.slurm.display.say(&format!(
                "warning: {error}; jobs that run go on meanwhile, and Slurm is asked again for {minutes} minutes"
            ));
        }
    }

    /// Sleeps until the next look, or until a stop is asked for: then everything is to be cancelled.
    fn wait(&mut self) {
        let now = Instant::now();
        let until = now + (self.since.elapsed() / PART).clamp(LOOKS.0, LOOKS.1);
        while Instant::now() < until {
            if interrupt::requested() && self.wanted < Cancel::All {
                self.wanted = Cancel::All;
                // What is cancelled ends soon: look often again.
                self.since = Instant::now();
                let (study, jobs) = (self.slurm.study, self.record.summary());
                let silent =
                    if self.silent { " as soon as Slurm answers; another Ctrl-C leaves them as they are" } else { "" };
                self.slurm.display.say(&format!("{study}: cancels {jobs}{silent}"));
                return;
            }
            std::thread::sleep(TICK);
        }
    }

    /// Asks Slurm how the jobs are, and to cancel what is to be cancelled. True if all have ended.
    fn look(&mut self) -> Result<bool, crate::Error> {
        self.cancel()?;
        let seen = client::states(&self.record.name)?;
        self.remark(&seen);
        for index in 0..self.tracked.len() {
            if self.tracked[index].end.is_some() {
                continue;
            }
            let state = seen.get(&self.tracked[index].submitted.place());
            match self.end(index, state)? {
                Some(end) => self.ended(index, state, end),
                None => self.goes_on(index, state),
            }
        }
        let failed = self.tracked.iter().any(|one| matches!(one.end, Some(End::Failed(_))));
        if failed && self.watched {
            // As on one machine: after a failure nothing new starts; what runs is waited for.
            self.wanted = self.wanted.max(Cancel::Waiting);
            self.cancel()?;
        }
        // Also those of a submission that broke off before they were written down.
        Ok(self.tracked.iter().all(|one| one.end.is_some()) && seen.values().all(Seen::is_over))
    }

    fn cancel(&mut self) -> Result<(), Error> {
        if self.wanted > self.asked {
            client::cancel(&self.record.name, self.wanted == Cancel::Waiting)?;
            self.asked = self.wanted;
        }
        Ok(())
    }

    /// A task that waits or runs.
    fn goes_on(&mut self, index: usize, state: Option<&Seen>) {
        let Some(state) = state.filter(|_| self.watched) else { return };
        if state.is_waiting() {
            let one = &mut self.tracked[index];
            if let Some(line) = one.line.take() {
                line.wait(REQUEUED);
                one.requeued = true;
            }
            return;
        }
        self.open(index, Some(state));
        let one = &mut self.tracked[index];
        let said = last_line(&self.slurm.layout.log(&one.submitted.task));
        if said.is_empty() || said == one.said {
            return;
        }
        if let Some(line) = one.line.as_ref().filter(|_| !said.contains(": runs because")) {
            line.update(&said);
        }
        one.said = said;
    }

    fn open(&mut self, index: usize, state: Option<&Seen>) {
        let display = self.slurm.display;
        let one = &mut self.tracked[index];
        if one.line.is_none() {
            let ran = state.map_or(Duration::ZERO, |state| state.ran);
            let since = Instant::now().checked_sub(ran).unwrap_or_else(Instant::now);
            let requeued = [REQUEUED.to_owned()];
            let reasons = if one.requeued { &requeued[..] } else { &one.submitted.reasons };
            one.line = Some(display.start(one.at, reasons, since));
        }
    }

    fn ended(&mut self, index: usize, state: Option<&Seen>, end: End) {
        if self.watched {
            match &end {
                End::Well(false) if self.tracked[index].line.is_none() => {
                    self.slurm.display.skip(self.tracked[index].at)
                }
                End::Cancelled if self.tracked[index].line.is_none() => {}
                _ => self.open(index, state),
            }
        }
        let one = &mut self.tracked[index];
        if let Some(line) = one.line.take() {
            line.finish(matches!(end, End::Well(_)));
        }
        one.end = Some(end);
    }

    /// How task `index` ended, if it has.
    fn end(&mut self, index: usize, state: Option<&Seen>) -> Result<Option<End>, crate::Error> {
        if state.is_some_and(|state| !state.is_over()) {
            self.tracked[index].missing = None;
            return Ok(None);
        }
        let submitted = self.tracked[index].submitted;
        let code = std::fs::read_to_string(script::code_file(&self.folder, &submitted.task)).ok();
        let code: Option<i32> = code.and_then(|text| text.trim().parse().ok());
        let word = state.map_or("", |state| state.state.as_str());
        let end = match (word, code) {
            (_, Some(0)) | ("COMPLETED", _) => End::Well(!self.had_nothing_to_do(index)),
            ("CANCELLED", _) | (_, Some(INTERRUPTED)) if self.wanted == Cancel::All => End::Cancelled,
            ("CANCELLED", _) => self.cancelled_by_others(index),
            (_, Some(code)) if code != INTERRUPTED && code <= 128 => self.failed(index, code),
            ("", None) => return self.judge_by_receipt(index),
            (_, code) => End::Failed(self.stopped(index, state, code)),
        };
        Ok(Some(end))
    }

    /// The program found its receipt still good.
    fn had_nothing_to_do(&self, index: usize) -> bool {
        let task = &self.tracked[index].submitted.task;
        last_line(&self.slurm.layout.log(task)) == cli::up_to_date(task)
    }

    /// Not by this run: because a task before it failed, or by hand.
    fn cancelled_by_others(&self, index: usize) -> End {
        let failed = self.tracked.iter().any(|one| !matches!(one.end, None | Some(End::Well(_))));
        if failed || self.wanted > Cancel::Nothing || !self.record.complete {
            return End::Cancelled;
        }
        let advice = "somebody cancelled it; the same command goes on from where it was";
        End::Failed(self.job_error(index, "cancelled".to_owned(), advice.to_owned()))
    }

    fn failed(&self, index: usize, code: i32) -> End {
        let task = &self.slurm.graph.tasks()[self.tracked[index].at];
        let log = self.slurm.layout.log(&task.id);
        let tail = stage::tail(&log);
        let (stage, task) = (task.stage, task.id.clone());
        End::Failed(crate::Error::Stage(Failure { stage, task, code: Some(code), signal: None, log: Some(log), tail }))
    }

    /// Not by its program's own will, and not by ours.
    fn stopped(&self, index: usize, seen: Option<&Seen>, code: Option<i32>) -> crate::Error {
        let one = &self.tracked[index];
        let stage = self.slurm.graph.tasks()[one.at].stage;
        let words = verdict::words(&verdict::output(&self.folder, stage, one.submitted));
        let (how, advice) = Evidence { seen, code, words }.verdict(stage, &self.folder);
        self.job_error(index, how, advice)
    }

    fn job_error(&self, index: usize, how: String, advice: String) -> crate::Error {
        let submitted = self.tracked[index].submitted;
        let log = self.slurm.layout.log(&submitted.task);
        let (task, job) = (submitted.task.clone(), submitted.shown());
        Error::Job { task, job, how, log, advice }.into()
    }

    /// Nothing is known of it: its files may still be on their way, Slurm may have forgotten it.
    fn judge_by_receipt(&mut self, index: usize) -> Result<Option<End>, crate::Error> {
        let since = *self.tracked[index].missing.get_or_insert_with(Instant::now);
        if self.watched && since.elapsed() < GRACE {
            return Ok(None);
        }
        if self.wanted > Cancel::Nothing || !self.record.complete {
            return Ok(Some(End::Cancelled));
        }
        let task = &self.slurm.graph.tasks()[self.tracked[index].at];
        // An input that is not there is a task before this one that did not run.
        let decision = receipt::decide(task, self.slurm.programs.hash(task.stage), &mut hash::Cache::default());
        Ok(Some(match decision {
            Ok(Decision::UpToDate) => End::Well(true),
            _ if self.tracked.iter().any(|one| !matches!(one.end, None | Some(End::Well(_)))) => End::Cancelled,
            _ => End::Failed(self.stopped(index, None, None)),
        }))
    }

    /// How many wait, and why; said once of a reason that may never pass.
    fn remark(&mut self, seen: &BTreeMap<Place, Seen>) {
        self.slurm.display.remark(waiting::remark(seen));
        if self.watched {
            let warnings = waiting::warnings(&self.record.name, seen, &mut self.reasons);
            warnings.iter().for_each(|warning| self.slurm.display.say(warning));
        }
    }

    fn result(self) -> Result<usize, crate::Error> {
        let (mut ran, mut left) = (0, 0);
        let mut tracked = self.tracked;
        tracked.sort_by_key(|one| one.at);
        for one in tracked {
            match one.end {
                Some(End::Failed(error)) => return Err(error),
                Some(End::Well(did)) => ran += usize::from(did),
                Some(End::Cancelled) | None => left += 1,
            }
        }
        if self.wanted == Cancel::All {
            return Err(Error::Cancelled(self.record.summary()).into());
        }
        // Only jobs that nobody watched are left without a failure.
        if left > 0 && self.watched { Err(crate::Error::Interrupted) } else { Ok(ran) }
    }
}

/// The last line of a log that a program writes; nothing if that is the line of its call.
fn last_line(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(end.saturating_sub(LAST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.starts_with(CALL) { String::new() } else { line.to_owned() }
}
