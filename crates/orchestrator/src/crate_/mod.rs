//! `chumoku crate`: a finished study as an RO-Crate, to be shared beside a paper: settings, receipts, folds, predictions, logs and the
//! report, without the patients' images and without anything that says whose machine it was.
//!
//! Form: RO-Crate 1.1 (w3id.org/ro/crate/1.1) with the profile Process Run Crate 0.5 (w3id.org/ro/wfrun/process/0.5): an action a task.

mod metadata;
mod scrub;
mod select;
mod target;
mod zip;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use contract::atomic::{self, FileWriter};
use contract::config::{self, Config};
use contract::layout::{CONFIG, Layout, RECEIPT};
use contract::plan::{self, Stage, Task};
use contract::receipt::{self, Reason, Receipt};
use contract::{cli, hash, interrupt, redact};

use crate::error::Error;
use crate::graph::{self, Graph};
use crate::programs::Programs;
use crate::{lock, shell, when};
use scrub::Scrubber;
use select::Fate;
use target::Target;

/// The file that makes a folder an RO-Crate.
pub const METADATA: &str = "ro-crate-metadata.json";
/// List of what a crate does not hold, with the reason.
const LEFT_OUT: &str = "left-out.csv";
/// Folder of the logs.
const LOGS: &str = "logs";

/// Arguments of `chumoku crate`.
#[derive(Debug, Clone, clap::Args)]
pub struct CrateArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// A new folder, or a file that ends in .zip
    #[arg(long, value_name = "FOLDER|FILE.zip")]
    pub out: PathBuf,
    /// Also the attention maps, in which lungs show
    #[arg(long)]
    pub with_attention: bool,
    /// Also the networks' weights
    #[arg(long)]
    pub with_weights: bool,
    /// Also what shows patients: slices, masks, contact sheets, the report's pictures
    #[arg(long)]
    pub with_images: bool,
    /// Licence of the crate, as the URL of its text
    #[arg(long, value_name = "URL")]
    pub license: Option<String>,
    /// Date of publication; today, UTC, without it. The same study, options and date give the same bytes
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
    /// Override one key of the study, such as paths.data=elsewhere; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// A file of a crate.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Path in the crate.
    pub name: String,
    /// The file it is of, in the study; none for what is written for the crate alone.
    pub source: Option<PathBuf>,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of what is in the crate; of the study's file if it is left out.
    pub hash: String,
    /// Whether the crate's bytes are not the study's, or why they are not there at all.
    pub note: Option<String>,
    /// Whether the crate holds it.
    pub held: bool,
}

/// A task whose action the crate tells of.
#[derive(Debug)]
pub struct Done {
    /// The task.
    pub task: Task,
    /// Its receipt.
    pub receipt: Receipt,
}

/// Writes the crate of a finished study. `programs` is the folder of the stage programs.
///
/// # Errors
/// The study is not finished, is being run or is not what its receipts say, or the crate cannot be written.
pub fn run(args: &CrateArgs, programs: &Path) -> Result<(), Error> {
    if args.license.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        let example = "https://creativecommons.org/licenses/by/4.0/";
        return Err(Error::Usage(format!("--license expects the URL of the licence's text, such as {example}")));
    }
    let date = date(args.date.as_deref())?;
    let config = crate::load(&args.study, &args.set)?;
    let target = Target::new(&args.out)?;
    let layout = Layout::new(&config);
    let graph = Graph::new(plan::tasks(&config).map_err(Error::Splits)?);
    let programs = Programs::find(programs, graph.stages())?;
    lock::refuse_if_held(&config.study, &layout)?;
    let (done, rebuilt) = finished(args, &config, &graph, &programs)?;
    let (temporary, folder) = target.begin()?;
    let scrubber = Scrubber::new(&config, &layout);
    let entries = Crate { args, config: &config, scrubber, folder: &folder, date }.fill(&done, &layout)?;
    target.place(temporary)?;
    crate::say(&ending(&target.out, &entries, &config));
    if !rebuilt.is_empty() {
        let programs = rebuilt.into_iter().collect::<Vec<_>>().join(", ");
        crate::say(&format!(
            "note: the study was run by other builds of {programs}; its receipts name those it was run by\n"
        ));
    }
    Ok(())
}

/// The date of publication.
fn date(given: Option<&str>) -> Result<String, Error> {
    let Some(given) = given else {
        let now = when::iso(SystemTime::now());
        return Ok(now.split('T').next().unwrap_or_default().to_owned());
    };
    let numbers: Vec<Option<u32>> = given.split('-').map(|part| part.parse().ok()).collect();
    let is_date = matches!(numbers[..], [Some(_), Some(1..=12), Some(1..=31)]);
    if is_date && given.len() == 10 {
        return Ok(given.to_owned());
    }
    Err(Error::Usage(format!("--date expects a day as 2026-01-31, got \"{given}\"")))
}

/// The tasks of a study in which a run with the same settings would have nothing to do, and the programs that were built anew since: what
/// they made is what it was.
fn finished(
    args: &CrateArgs,
    config: &Config,
    graph: &Graph,
    programs: &Programs,
) -> Result<(Vec<Done>, BTreeSet<String>), Error> {
    let mut rebuilt = BTreeSet::new();
    let judged = graph::judge_by(graph, programs, &mut hash::Cache::default(), |reason| match reason {
        Reason::Program { program, .. } => {
            rebuilt.insert(program.clone());
            false
        }
        _ => true,
    })?;
    let why: Vec<(&Task, &Reason)> = graph
        .tasks()
        .iter()
        .zip(&judged)
        .flat_map(|(task, one)| one.reasons.iter().map(move |why| (task, why)))
        .collect();
    let mut damaged =
        why.iter().map(|(_, reason)| if let Reason::Output { file, .. } = reason { Some(file) } else { None });
    if let (Some(Some(path)), true) = (damaged.next(), damaged.all(|file| file.is_some())) {
        return Err(other_bytes(args, path.clone()));
    }
    let reasons: Vec<String> = why.iter().map(|(task, reason)| format!("{}: {reason}", task.id)).collect();
    let unfinished = |reasons| {
        let command = shell::chumoku("run", &args.study, &args.set);
        Error::Unfinished { study: config.study.clone(), reasons, command }
    };
    if !reasons.is_empty() {
        return Err(unfinished(cli::summary(&reasons)));
    }
    let done = |task: &Task| {
        let receipt = receipt::read(&task.output).ok_or_else(|| unfinished(task.id.clone()))?;
        Ok(Done { task: task.clone(), receipt })
    };
    Ok((graph.tasks().iter().map(done).collect::<Result<_, Error>>()?, rebuilt))
}

/// The error for a file that is not what its receipt says.
fn other_bytes(args: &CrateArgs, path: PathBuf) -> Error {
    let command = |name| shell::chumoku(name, &args.study, &args.set);
    Error::Damaged { path, verify: command("verify"), run: command("run") }
}

fn ending(out: &Path, entries: &[Entry], config: &Config) -> String {
    let held = entries.iter().filter(|entry| entry.held);
    let bytes = held.clone().map(|entry| entry.size).sum();
    let left = entries.len() - held.clone().count();
    let size = crate::status::megabytes(bytes);
    let mut text = format!(
        "{}: {} files, {size}; {left} left out, each with its reason in {LEFT_OUT}\n",
        out.display(),
        held.count()
    );
    text.extend(patients(config).map(|words| format!("note: {words}\n")));
    text
}

/// What whoever shares a crate has to know of the patient ids in it.
fn patients(config: &Config) -> Option<&'static str> {
    let kept = !config.phantom.enabled && config.values["preprocess"]["pseudonyms"] == "keep";
    kept.then_some("patient ids are as the CT had them (preprocess.pseudonyms: keep); see that they are public")
}

/// A crate being filled.
struct Crate<'a> {
    args: &'a CrateArgs,
    config: &'a Config,
    scrubber: Scrubber,
    folder: &'a Path,
    date: String,
}

impl Crate<'_> {
    fn fill(&self, done: &[Done], layout: &Layout) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let settings = config::to_yaml(&self.scrubber.values(&self.config.values));
        entries.push(self.write(
            CONFIG,
            None,
            settings.as_bytes(),
            Some("all settings; paths are taken out".to_owned()),
        )?);
        for one in done {
            if interrupt::requested() {
                return Err(Error::Stopped);
            }
            self.task(one, layout, &mut entries)?;
            entries.extend(self.log(one, layout)?);
        }
        let left: String = entries.iter().filter(|entry| !entry.held).map(row).collect();
        let left = format!("path,bytes,blake3,reason\n{left}");
        entries.push(self.write(LEFT_OUT, None, left.as_bytes(), Some("what is not here, and why".to_owned()))?);
        let metadata = metadata::document(&self.about(), done, layout, &entries);
        entries.push(self.write(METADATA, None, format!("{metadata:#}\n").as_bytes(), None)?);
        Ok(entries)
    }

    fn about(&self) -> metadata::About<'_> {
        let (license, date) = (self.args.license.as_deref(), self.date.as_str());
        metadata::About { config: self.config, license, patients: patients(self.config), date }
    }

    /// The files of a task.
    fn task(&self, done: &Done, layout: &Layout, entries: &mut Vec<Entry>) -> Result<(), Error> {
        let Done { task, receipt, .. } = done;
        let values = serde_json::to_value(receipt).unwrap_or_default();
        let scrubbed = self.scrubber.values(&values);
        let note = (scrubbed != values).then(|| "paths are taken out".to_owned());
        let name = format!("{}/{RECEIPT}", place(&task.output, layout));
        entries.push(self.write(
            &name,
            Some(task.output.join(RECEIPT)),
            config::to_yaml(&scrubbed).as_bytes(),
            note,
        )?);
        if task.stage == Stage::Phantom {
            entries.push(ct(task, receipt, layout));
            return Ok(());
        }
        for (file, hash) in &receipt.outputs {
            let source = task.output.join(file);
            let name = format!("{}/{file}", place(&task.output, layout));
            entries.push(self.file(select::fate(file, self.args), name, source, hash)?);
        }
        Ok(())
    }

    /// A file of an output, if it may be shared.
    fn file(&self, fate: Fate, name: String, source: PathBuf, hash: &str) -> Result<Entry, Error> {
        let failed = |error| Error::Io { path: source.clone(), source: error };
        let size = std::fs::metadata(&source).map_err(failed)?.len();
        let entry = Entry { name, source: Some(source.clone()), size, hash: hash.to_owned(), note: None, held: false };
        if let Fate::LeftOut(reason) = fate {
            return Ok(Entry { note: Some(reason.to_owned()), ..entry });
        }
        let bytes = std::fs::read(&source).map_err(failed)?;
        if hash::bytes(&bytes) != hash {
            return Err(other_bytes(self.args, source));
        }
        if let Some(reason) = select::refused(&bytes, self.args, &self.scrubber) {
            return Ok(Entry { note: Some(reason.to_owned()), ..entry });
        }
        let to = self.folder.join(&entry.name);
        if fate == Fate::WithoutAttention {
            redact::predictions(&source, &to)?;
            let failed = |error| Error::Io { path: to.clone(), source: error };
            let (size, hash) = (std::fs::metadata(&to).map_err(failed)?.len(), hash::file(&to).map_err(failed)?);
            let note = format!("without the attention maps; the whole file is BLAKE3 {}", entry.hash);
            return Ok(Entry { size, hash, note: Some(note), held: true, ..entry });
        }
        self.write(&entry.name, entry.source, &bytes, None)
    }

    /// The log of a task.
    fn log(&self, done: &Done, layout: &Layout) -> Result<Option<Entry>, Error> {
        let path = layout.log(&done.task.id);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let text = self.scrubber.text(&String::from_utf8_lossy(&bytes));
        let name = format!("{LOGS}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        let note = "what the program wrote; paths outside the study are taken out".to_owned();
        self.write(&name, Some(path), text.as_bytes(), Some(note)).map(Some)
    }

    fn write(&self, name: &str, source: Option<PathBuf>, bytes: &[u8], note: Option<String>) -> Result<Entry, Error> {
        let path = self.folder.join(name);
        atomic::write(&path, bytes).map_err(|error| Error::Io { path, source: error })?;
        let (name, size, hash) = (name.to_owned(), bytes.len() as u64, hash::bytes(bytes));
        Ok(Entry { name, source, size, hash, note, held: true })
    }
}

/// Synthetic CT as one entry, which no crate holds.
fn ct(task: &Task, receipt: &Receipt, layout: &Layout) -> Entry {
    let files = receipt.outputs.iter().map(|(file, hash)| (Path::new(file), hash.as_str()));
    Entry {
        name: place(&task.output, layout),
        source: Some(task.output.clone()),
        size: crate::status::size(&task.output),
        hash: hash::tree_of(files),
        note: Some(select::CT.to_owned()),
        held: false,
    }
}

/// Where the folder of an output lies in a crate: as in the study's data folder, and the report in `report`.
fn place(output: &Path, layout: &Layout) -> String {
    output.strip_prefix(&layout.data).map_or_else(|_| "report".to_owned(), |below| below.to_string_lossy().into_owned())
}

fn row(entry: &Entry) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let reason = entry.note.as_deref().unwrap_or_default();
    format!("{},{},{},{}\n", quoted(&entry.name), entry.size, entry.hash, quoted(reason))
}

/// The folder as a ZIP file with its files at the top.
fn pack(folder: &Path, out: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { path: out.to_owned(), source };
    let mut archive = zip::Zip::new(FileWriter::create(out).map_err(failed)?);
    for file in hash::walk(folder).map_err(failed)? {
        let bytes = std::fs::read(folder.join(&file)).map_err(failed)?;
        archive.add(&file.to_string_lossy(), &bytes).map_err(failed)?;
    }
    archive.finish().and_then(FileWriter::commit).map_err(failed)
}
