//! `chumoku verify`: holds every file of a study against the receipts, and the receipts against each other.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use contract::config::Config;
use contract::layout::{Layout, RECEIPT, TENSORBOARD, TIMING};
use contract::plan::{self, Input, Part};
use contract::progress::Mode;
use contract::receipt::{self, Reason, Receipt};
use contract::{atomic, hash};
use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::graph::{self, Graph};
use crate::programs::Programs;
use crate::{ExecutorName, RunArgs, lock, shell};

/// Ends the name of the study's data folder of a rerun.
const RERUN: &str = ".rerun";
/// The file by which that folder is known to be a rerun's, and not the user's.
const MARK: &str = ".chumoku-rerun";

/// Arguments of `chumoku verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// Override one key of the study, such as train.epochs=5; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run the whole study once more in data/STUDY.rerun, and compare every file; stopped, it goes on the next time
    #[arg(long)]
    pub rerun: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What is not as a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Difference {
    /// Something a run would act on.
    Changed(Reason),
    /// Something that only a check sees.
    Found(Found),
}

/// See [`Difference::Found`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Found {
    /// An input of the receipt is not there.
    LostInput {
        /// Its name.
        name: String,
        /// Where it was.
        path: PathBuf,
        /// Why it cannot be read.
        message: String,
        /// Whether a task of the study makes it.
        is_made: bool,
        /// Whether it is the files that the manifest there names.
        #[serde(skip)]
        is_listed: bool,
    },
    /// A file in the output that the receipt does not name.
    Extra {
        /// The file.
        file: PathBuf,
    },
    /// The task read other bytes than the receipt of the task that makes them says it made.
    Chain {
        /// The input.
        name: String,
        /// The task that makes it.
        from: String,
        /// BLAKE3 in the receipt of the reader.
        read: String,
        /// BLAKE3 after the receipt of the maker; none if it made no such file.
        made: Option<String>,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed(reason) => reason.fmt(to),
            Self::Found(Found::LostInput { name, path, message, .. }) => {
                write!(to, "input {name} ({}) cannot be read: {message}", path.display())
            }
            Self::Found(Found::Extra { file }) => write!(to, "{} is in no receipt", file.display()),
            Self::Found(Found::Chain { name, from, read, made }) => {
                let made = made.as_deref().map_or("no such file", receipt::short);
                let read = receipt::short(read);
                write!(to, "input {name} was {read} when it was read, but {from} made {made}; one of the two ran alone")
            }
        }
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Tasks with what is not as their receipts say.
    pub differences: Vec<(String, Difference)>,
    /// Receipts read.
    pub receipts: usize,
    /// Files that the receipts vouch for.
    pub files: usize,
    /// What lies among the runs and belongs to no task.
    pub others: Vec<PathBuf>,
}

/// Checks a study with the programs of the folder `programs`, and prints what is not as it should be.
///
/// # Errors
/// [`Error::Verify`] if anything differs, [`Error::Rerun`] if a rerun does; the study cannot be read.
pub fn run(args: &VerifyArgs, programs: &Path) -> Result<(), Error> {
    let config = crate::load(&args.study, &args.set)?;
    let layout = Layout::new(&config);
    let graph = Graph::new(plan::tasks(&config).map_err(Error::Splits)?);
    let stages = Programs::find(programs, graph.stages())?;
    lock::refuse_if_held(&config.study, &layout)?;
    let mut found = check(&graph, &stages)?;
    found.others = others(&graph, &layout.runs());
    crate::print(&if args.json { json_text(&config.study, &found) } else { text(&config.study, &found) })?;
    let command = shell::chumoku("run", &args.study, &args.set);
    if found.receipts == 0 {
        return Err(Error::Unfinished { study: config.study, reasons: "no task of it ever ran".to_owned(), command });
    }
    if !found.differences.is_empty() {
        let (differences, advice) = (found.differences.len(), found.advice(&command));
        return Err(Error::Verify { study: config.study, differences, advice });
    }
    if args.rerun { rerun(args, &config, &graph, programs) } else { Ok(()) }
}

impl Checked {
    /// What to do, by what was found: a run makes its own again, but neither the user's files nor what somebody put into an output.
    fn advice(&self, command: &str) -> String {
        let (mut lost, mut extra, mut others) = (Vec::new(), Vec::new(), 0);
        for (_, difference) in &self.differences {
            match difference {
                Difference::Found(Found::LostInput { path, is_made: false, is_listed, .. }) => {
                    let words = if *is_listed { "what is missing of the files that are named in " } else { "" };
                    lost.push(format!("{words}{}", path.display()));
                }
                Difference::Found(Found::Extra { file }) => extra.push(file.display().to_string()),
                _ => others += 1,
            }
        }
        lost.dedup();
        let mut all = Vec::new();
        if !lost.is_empty() {
            all.push(format!("put back {}", lost.join(", ")));
        }
        if !extra.is_empty() {
            all.push(format!("move or delete what no task wrote: {}", extra.join(", ")));
        }
        if others > 0 {
            all.push(format!(
                "`{command}` makes again what {} touch",
                if all.is_empty() { "they" } else { "the others" }
            ));
        }
        all.join("; ")
    }
}

/// Folders and files among the training runs that belong to no task, such as those of a method that was taken out. What an attempt or a
/// replacement left is not meant.
fn others(graph: &Graph, runs: &Path) -> Vec<PathBuf> {
    let outputs: HashSet<&Path> = graph.tasks().iter().map(|task| task.output.as_path()).collect();
    let above: HashSet<&Path> = outputs.iter().flat_map(|output| output.ancestors().skip(1)).collect();
    let (mut found, mut open) = (Vec::new(), vec![runs.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if above.contains(path.as_path()) {
                open.push(path);
            } else if !outputs.contains(path.as_path()) && !entry.file_name().to_string_lossy().contains('.') {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn text(study: &str, found: &Checked) -> String {
    let mut text: String = found.differences.iter().map(|(task, what)| format!("{task}: {what}\n")).collect();
    let note = |path: &PathBuf| {
        format!("note: {} belongs to no task of this study; delete it if nobody wants it\n", path.display())
    };
    text.extend(found.others.iter().map(note));
    let Checked { receipts, files, .. } = found;
    let end = if found.differences.is_empty() { ", all as the receipts say" } else { "" };
    text.push_str(&format!("{study}: {receipts} receipts and {files} files checked{end}\n"));
    text
}

fn json_text(study: &str, found: &Checked) -> String {
    let differences: Vec<_> =
        found.differences.iter().map(|(task, difference)| json!({ "task": task, "difference": difference })).collect();
    let Checked { receipts, files, others, .. } = found;
    let all = json!({
        "study": study, "receipts": receipts, "files": files, "differences": differences, "of_no_task": others,
    });
    format!("{all:#}\n")
}

/// Holds all files of a graph's tasks against the receipts, and the receipts against each other.
///
/// # Errors
/// A folder cannot be read.
pub fn check(graph: &Graph, programs: &Programs) -> Result<Checked, Error> {
    let mut cache = hash::Cache::default();
    graph::foresee(graph, &mut cache);
    let receipts: Vec<Option<Receipt>> =
        graph.tasks().iter().map(|task| receipt::read(&cache.real(&task.output))).collect();
    let mut found = Checked { receipts: receipts.iter().flatten().count(), ..Checked::default() };
    for (at, task) in graph.tasks().iter().enumerate() {
        // Of a task that never ran only that is worth saying, not what its inputs are.
        let lost = if receipts[at].is_some() { lost_inputs(graph, at, &mut cache) } else { Vec::new() };
        let open: BTreeSet<&str> = match &receipts[at] {
            Some(_) => lost.iter().map(|(name, _)| *name).collect(),
            None => task.inputs.iter().map(|input| input.name.as_str()).collect(),
        };
        let changed = receipt::reasons(task, programs.hash(task.stage), &mut cache, &open)?;
        let mut differences: Vec<Difference> = lost.into_iter().map(|(_, found)| Difference::Found(found)).collect();
        differences.extend(changed.into_iter().map(Difference::Changed));
        if let Some(receipt) = &receipts[at] {
            found.files += receipt.outputs.len();
            differences.extend(extra(&cache.real(&task.output), receipt)?.into_iter().map(Difference::Found));
            differences.extend(broken(graph, at, &receipts).into_iter().map(Difference::Found));
        }
        found.differences.extend(differences.into_iter().map(|difference| (task.id.clone(), difference)));
    }
    Ok(found)
}

/// Inputs of a task that cannot be read, by name.
fn lost_inputs<'a>(graph: &'a Graph, at: usize, cache: &mut hash::Cache) -> Vec<(&'a str, Found)> {
    let judge = |input: &'a Input| {
        let is_listed = input.part == Part::Listed;
        let error = if is_listed { input.missing() } else { None };
        let message = error.or_else(|| input.hash(cache).err())?.to_string();
        let is_made = graph.makers(at, &input.path).next().is_some();
        let (name, path) = (input.name.clone(), input.path.clone());
        Some((input.name.as_str(), Found::LostInput { name, path, message, is_made, is_listed }))
    };
    graph.tasks()[at].inputs.iter().filter_map(judge).collect()
}

/// Files of a task's output that its receipt does not name.
fn extra(output: &Path, receipt: &Receipt) -> Result<Vec<Found>, Error> {
    let failed = |source| Error::Io { path: output.to_owned(), source };
    let there = hash::walk(output).map_err(failed)?;
    let known = |file: &Path| file == Path::new(RECEIPT) || receipt.outputs.contains_key(&*file.to_string_lossy());
    let files = there.into_iter().filter(|file| !known(file));
    Ok(files.map(|file| Found::Extra { file: output.join(file) }).collect())
}

/// Inputs of a task that one before should have made with other bytes.
fn broken(graph: &Graph, at: usize, receipts: &[Option<Receipt>]) -> Vec<Found> {
    let (task, receipt) = (&graph.tasks()[at], receipts[at].as_ref());
    let judge = |Input { name, path, .. }: &Input| {
        let read = receipt?.inputs.get(name)?;
        let maker = graph.makers(at, path).find(|maker| receipts[*maker].is_some())?;
        let (maker, made) = (&graph.tasks()[maker], receipts[maker].as_ref()?);
        let below = path.strip_prefix(&maker.output).ok()?;
        let made = made_hash(made, below);
        let from = maker.id.clone();
        (made.as_ref() != Some(read)).then(|| Found::Chain { name: name.clone(), from, read: read.clone(), made })
    };
    task.inputs.iter().filter_map(judge).collect()
}

/// The hash that [`hash::path`] gave a file or folder of an output when its receipt was written.
fn made_hash(receipt: &Receipt, below: &Path) -> Option<String> {
    if let Some(hash) = receipt.outputs.get(&*below.to_string_lossy()) {
        return Some(hash.clone());
    }
    let inside = |(file, hash): (&'_ String, &'_ String)| {
        Some((Path::new(file).strip_prefix(below).ok()?.to_owned(), hash.clone()))
    };
    let files: Vec<(PathBuf, String)> = receipt.outputs.iter().filter_map(inside).collect();
    (!files.is_empty()).then(|| hash::tree_of(files.iter().map(|(file, hash)| (file.as_path(), hash.as_str()))))
}

/// Runs the study in folders of its own and compares what came out, file by file.
fn rerun(args: &VerifyArgs, config: &Config, graph: &Graph, programs: &Path) -> Result<(), Error> {
    let layout = Layout::new(config);
    let folder = PathBuf::from(format!("{}{RERUN}", layout.data.display()));
    let failed = |source| Error::Io { path: folder.clone(), source };
    if folder.symlink_metadata().is_ok() && !folder.join(MARK).is_file() {
        let text = format!(
            "a rerun works in {0}, which is there and was made by no rerun; move it, or delete it if nobody wants it",
            folder.display()
        );
        return Err(Error::Usage(text));
    }
    atomic::write(&folder.join(MARK), b"made by `chumoku verify --rerun`, which deletes it\n").map_err(failed)?;
    let again = RunArgs { set: elsewhere(args, config, &folder), ..run_args(args) };
    let other = Config::load(&again.study, &again.set)?;
    // The same patients are to get the same pseudonyms.
    let key = layout.pseudonym_key();
    if key.is_file() {
        let key = std::fs::read(&key).map_err(|source| Error::Io { path: key.clone(), source })?;
        atomic::write(&Layout::new(&other).pseudonym_key(), &key).map_err(failed)?;
    }
    crate::work(&again, programs)?;
    let tasks = plan::tasks(&other).map_err(Error::Splits)?;
    let mut differences = Vec::new();
    for (task, other) in graph.tasks().iter().zip(&tasks) {
        differences.extend(unlike(&task.output, &other.output));
    }
    for difference in &differences {
        crate::say(&format!("{difference}\n"));
    }
    if differences.is_empty() {
        clear(&folder).map_err(failed)?;
        crate::say(&format!("{}: rerun from the start, every file came out the same, byte for byte\n", config.study));
        return Ok(());
    }
    Err(Error::Rerun { study: config.study.clone(), differences: differences.len(), folder })
}

/// The two folders of a rerun in its own.
const PARTS: [&str; 2] = ["data", "reports"];

/// Removes what a rerun made; a file that somebody else put there keeps its folder.
fn clear(folder: &Path) -> std::io::Result<()> {
    for part in PARTS.map(|part| folder.join(part)).into_iter().filter(|part| part.exists()) {
        std::fs::remove_dir_all(part)?;
    }
    std::fs::remove_file(folder.join(MARK))?;
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

fn run_args(args: &VerifyArgs) -> RunArgs {
    RunArgs {
        study: args.study.clone(),
        set: Vec::new(),
        dry_run: false,
        explain: false,
        jobs: None,
        executor: ExecutorName::Local,
        slurm: Vec::new(),
        inside: None,
        detach: false,
        export: None,
        progress: Mode::Auto,
    }
}

/// The overrides of the rerun: other folders, but the same CT where the study keeps its own.
fn elsewhere(args: &VerifyArgs, config: &Config, folder: &Path) -> Vec<String> {
    let mut set = args.set.clone();
    set.extend(PARTS.map(|part| format!("paths.{part}={}", folder.join(part).display())));
    let pre = &config.preprocess;
    if !config.phantom.enabled && pre.input.is_none() && pre.manifest.is_none() {
        set.push(format!("preprocess.input={}", Layout::new(config).raw().display()));
    }
    set
}

/// Files of two outputs that are not the same by their receipts; what holds the clock is passed over.
fn unlike(one: &Path, other: &Path) -> Vec<String> {
    let (Some(a), Some(b)) = (receipt::read(one), receipt::read(other)) else {
        return vec![format!("{} has no receipt to compare", one.display())];
    };
    let clock = |file: &str| file == TIMING || Path::new(file).starts_with(TENSORBOARD);
    let timeless = |all: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        all.iter().filter(|(file, _)| !clock(file)).map(|(file, hash)| (file.clone(), hash.clone())).collect()
    };
    let (a, b) = (timeless(&a.outputs), timeless(&b.outputs));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let different = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    different.map(|name| format!("{} is not {}", other.join(name).display(), one.join(name).display())).collect()
}
