//! `chumoku status`: how far each task of a study is, how large its output, and when it was made.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use contract::atomic;
use contract::cli;
use contract::hash;
use contract::layout::{CHECKPOINT, CHECKPOINT_POSITION, Layout, RECEIPT};
use contract::plan::{self, Task};
use contract::receipt::Reason;
use serde_json::{Value, json};

use crate::error::Error;
use crate::graph::{self, Graph, Judged};
use crate::programs::Programs;
use crate::slurm::view::{Job, View};
use crate::{lock, logs, when};

/// Arguments of `chumoku status`.
#[derive(Debug, Clone, clap::Args)]
pub struct StatusArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// Override one key of the study, such as train.epochs=5; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// As JSON, with every reason
    #[arg(long)]
    pub json: bool,
}

/// Prints the state of a study's tasks; the programs that would run them lie in the folder `programs`.
///
/// # Errors
/// The study or an input is wrong, or a program is missing.
pub fn run(args: &StatusArgs, programs: &Path) -> Result<(), Error> {
    let config = crate::load(&args.study, &args.set)?;
    let graph = Graph::new(plan::tasks(&config).map_err(Error::Splits)?);
    let programs = Programs::find(programs, graph.stages())?;
    let judged = graph::judge(&graph, &programs, &mut hash::Cache::default())?;
    let layout = Layout::new(&config);
    let slurm = View::read(&layout)?;
    let job = |task: &Task| slurm.as_ref().and_then(|view| view.job(&task.id));
    let rows = graph.tasks().iter().zip(judged).map(|(task, judged)| Row::new(task, judged, job(task), &layout));
    let rows: Vec<Row<'_>> = rows.collect();
    let status = Status { study: config.study, holder: lock::holder(&layout), slurm: slurm.as_ref(), rows };
    crate::say(&if args.json { format!("{:#}\n", status.json()) } else { status.text() });
    Ok(())
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UpToDate,
    MayRun,
    WouldRun,
    /// As a job that waits.
    Queued,
    /// Here, or as a job.
    Running,
}

impl State {
    const ALL: [Self; 5] = [Self::UpToDate, Self::Running, Self::Queued, Self::WouldRun, Self::MayRun];

    fn words(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::MayRun => "may run",
            Self::WouldRun => "would run",
            Self::Queued => "queued",
            Self::Running => "running",
        }
    }
}

/// One task.
struct Row<'a> {
    id: String,
    state: State,
    judged: Judged,
    /// Bytes of the output, and when it was made; nothing without one.
    made: Option<(u64, String)>,
    /// Bytes of an unfinished attempt.
    partial: Option<u64>,
    /// Epochs in the checkpoint of an unfinished training, and of all.
    epochs: Option<(u64, u64)>,
    /// What the program said last, if it runs.
    said: Option<String>,
    /// Its job, if one was submitted.
    job: Option<Job<'a>>,
}

impl<'a> Row<'a> {
    fn new(task: &Task, judged: Judged, job: Option<Job<'a>>, layout: &Layout) -> Self {
        let log = layout.log(&task.id);
        let state = match (judged.reasons.is_empty(), judged.after.is_empty()) {
            // Where Slurm has given up a node that goes on, its word counts.
            _ if job.as_ref().is_some_and(Job::is_waiting) => State::Queued,
            _ if logs::is_running(&log) || job.as_ref().is_some_and(Job::is_running) => State::Running,
            (false, _) => State::WouldRun,
            (true, false) => State::MayRun,
            (true, true) => State::UpToDate,
        };
        let receipt = std::fs::metadata(task.output.join(RECEIPT)).and_then(|found| found.modified());
        let partial = atomic::partial(&task.output);
        Self {
            id: task.id.clone(),
            state,
            made: receipt.ok().map(|time| (size(&task.output), when::iso(time))),
            epochs: checkpoint(&partial.join(CHECKPOINT)).zip(task.config["train"]["epochs"].as_u64()),
            partial: partial.is_dir().then(|| size(&partial)),
            said: (state == State::Running).then(|| logs::last_line(&log)).flatten(),
            judged,
            job,
        }
    }

    /// Why it would run, or how far it is.
    fn remark(&self) -> String {
        let reasons: Vec<String> = self.judged.reasons.iter().map(Reason::to_string).collect();
        let mut parts = match self.state {
            State::UpToDate | State::Queued => Vec::new(),
            State::Running => {
                self.said.iter().map(|said| said.trim_start_matches(&format!("{}: ", self.id)).to_owned()).collect()
            }
            State::MayRun => vec![format!("depends on {}", cli::summary(&self.judged.after))],
            State::WouldRun => {
                let more = reasons.len() - 1;
                vec![if more > 0 { format!("{} (and {more} more)", reasons[0]) } else { reasons[0].clone() }]
            }
        };
        parts.extend(match (self.epochs, self.partial) {
            (Some((done, all)), _) => Some(format!("goes on from epoch {done} of {all}")),
            (None, Some(bytes)) if self.state != State::Running && bytes > 0 => {
                Some(format!("an unfinished attempt of {} lies there", megabytes(bytes)))
            }
            _ => None,
        });
        // What is done needs no job any more.
        parts.extend(self.job.as_ref().filter(|_| self.state != State::UpToDate).map(Job::text));
        parts.join("; ")
    }

    fn json(&self) -> Value {
        json!({
            "task": self.id,
            "state": self.state.words().replace(' ', "_"),
            "reasons": self.judged.reasons,
            "depends_on": self.judged.after,
            "bytes": self.made.as_ref().map(|(bytes, _)| bytes),
            "made": self.made.as_ref().map(|(_, time)| time),
            "partial_bytes": self.partial,
            "checkpoint_epoch": self.epochs.map(|(done, _)| done),
            "epochs": self.epochs.map(|(_, all)| all),
            "said": self.said,
            "job": self.job.as_ref().map(Job::json),
        })
    }
}

/// A study.
struct Status<'a> {
    study: String,
    /// Who runs it.
    holder: Option<String>,
    /// Its jobs of Slurm, if it has any.
    slurm: Option<&'a View>,
    rows: Vec<Row<'a>>,
}

impl Status<'_> {
    fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    fn bytes(&self) -> u64 {
        self.rows.iter().filter_map(|row| Some(row.made.as_ref()?.0)).sum()
    }

    fn text(&self) -> String {
        let counts = State::ALL.map(|state| (self.count(state), state.words()));
        let counts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
        let total = self.rows.len();
        let mut text = format!("{}: {total} tasks, {}; {}\n", self.study, counts.join(", "), megabytes(self.bytes()));
        text.extend(self.holder.iter().map(|holder| format!("being run by {holder}\n")));
        text.extend(self.slurm.map(|view| format!("{}\n", view.text())));
        let width = self.rows.iter().map(|row| row.id.len()).max().unwrap_or(0);
        for row in &self.rows {
            let (size, time) =
                row.made.as_ref().map_or_else(Default::default, |(bytes, time)| (megabytes(*bytes), time.clone()));
            let line =
                format!("{:<width$}  {:<10}  {size:>9}  {time:<20}  {}", row.id, row.state.words(), row.remark());
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn json(&self) -> Value {
        let counts: Value =
            State::ALL.map(|state| (state.words().replace(' ', "_"), json!(self.count(state)))).into_iter().collect();
        json!({
            "study": self.study,
            "running": self.holder,
            "slurm": self.slurm.map(View::json),
            "counts": counts,
            "bytes": self.bytes(),
            "tasks": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

/// Bytes in words.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Bytes of all files below `folder`; what vanishes meanwhile counts nothing.
pub fn size(folder: &Path) -> u64 {
    let files = hash::walk(folder).unwrap_or_default();
    files.iter().filter_map(|file| Some(std::fs::metadata(folder.join(file)).ok()?.len())).sum()
}

/// Epochs that a checkpoint holds. Its form is that of safetensors: eight bytes with the length of a JSON header, which says where
/// each tensor lies behind it.
fn checkpoint(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let header: Value = serde_json::from_slice(&part(&mut file, 8, length)?).ok()?;
    let offset = |at: usize| header[CHECKPOINT_POSITION]["data_offsets"][at].as_u64();
    let (from, to) = (offset(0)?, offset(1)?);
    let position: Value = serde_json::from_slice(&part(&mut file, 8 + length + from, to.checked_sub(from)?)?).ok()?;
    position["epochs"].as_u64()
}

/// `length` bytes of a file, if it has them.
fn part(file: &mut File, from: u64, length: u64) -> Option<Vec<u8>> {
    let whole = file.metadata().ok()?.len();
    (from.checked_add(length)? <= whole).then_some(())?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epochs_of_a_checkpoint_are_read_and_damage_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CHECKPOINT);
        // By hand after the format's description: header, then one F32 and the text.
        let text = br#"{"task":"x","epochs":7}"#;
        let header = format!(
            r#"{{"w":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"position":{{"dtype":"U8","shape":[{0}],"data_offsets":[4,{1}]}}}}"#,
            text.len(),
            4 + text.len()
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend([header.as_bytes(), &[0; 4], text].concat());
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(checkpoint(&path), Some(7));
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(checkpoint(&path), None, "cut at {cut}");
        }
        std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
        assert_eq!(checkpoint(&path), None);
    }
}
