//! Receipts: what a task read, with which settings and program, and what it wrote. Same hashes, no rerun.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::atomic::{self, Folder};
use crate::cli;
use crate::config::flatten;
use crate::hash;
use crate::layout::RECEIPT;
use crate::plan::{Input, Task};

pub use crate::task_error::TaskError;

/// Version of Chumoku, of all its programs.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The receipt beside a task's output, `receipt.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// The task's name.
    pub task: String,
    /// Version of Chumoku.
    pub version: String,
    /// BLAKE3 of the program's file.
    pub program: String,
    /// BLAKE3 of each input.
    pub inputs: BTreeMap<String, String>,
    /// The settings the output depends on.
    pub config: Value,
    /// BLAKE3 of each file written, by its path in the folder.
    pub outputs: BTreeMap<String, String>,
    /// Conditions that are recorded but start no rerun: device, threads, versions of libraries.
    pub environment: BTreeMap<String, String>,
}

/// Whether a task has to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Inputs, settings, program and outputs are what the receipt says.
    UpToDate,
    /// It has to, for these reasons.
    Run(Vec<String>),
}

/// Hashes of all inputs of a task.
fn inputs(task: &Task, cache: &mut hash::Cache) -> Result<BTreeMap<String, String>, TaskError> {
    cache.prepare(task.inputs.iter().map(|input| input.path.clone()));
    let hash_one = |input: &Input| match input.hash(cache) {
        Ok(hash) => Ok((input.name.clone(), hash)),
        Err(source) => Err(TaskError::input(task, input, source)),
    };
    task.inputs.iter().map(hash_one).collect()
}

/// The inputs of a task that are not there, as far as is seen without reading them all.
pub fn missing<'a>(task: &'a Task, counts: impl Fn(&Input) -> bool + 'a) -> impl Iterator<Item = TaskError> + 'a {
    let counted = task.inputs.iter().filter(move |input| counts(input));
    counted.filter_map(|input| input.missing().map(|source| TaskError::input(task, input, source)))
}

/// One difference between what a task's receipt says and what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Reason {
    /// There is no output.
    NoOutput {
        /// The folder that should hold it.
        folder: PathBuf,
    },
    /// There is an output without a readable receipt, so nobody knows of what it is.
    NoReceipt {
        /// The receipt.
        file: PathBuf,
        /// Why it cannot be read.
        message: String,
    },
    /// An input has other bytes.
    Input {
        /// Its name.
        name: String,
        /// Where it is, if the task still has it.
        path: Option<PathBuf>,
        /// BLAKE3 in the receipt.
        old: Option<String>,
        /// BLAKE3 now.
        new: Option<String>,
    },
    /// A key of the settings has another value.
    Key {
        /// Dotted name.
        key: String,
        /// JSON in the receipt.
        old: Option<String>,
        /// JSON now.
        new: Option<String>,
    },
    /// The stage's program is another.
    Program {
        /// Its name.
        program: String,
        /// BLAKE3 in the receipt.
        old: String,
        /// BLAKE3 now.
        new: String,
        /// Version in the receipt.
        old_version: String,
        /// Version now.
        new_version: String,
    },
    /// A file of the output is damaged or missing.
    Output {
        /// The file.
        file: PathBuf,
        /// BLAKE3 in the receipt.
        old: String,
        /// BLAKE3 now; none if it is gone.
        new: Option<String>,
    },
}

/// Hex digits of a hash that a reason shows.
const SHORT: usize = 8;

/// The first digits of a hash.
pub fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOutput { folder } => write!(to, "no output in {} yet", folder.display()),
            Self::NoReceipt { file, message } => write!(to, "{} cannot be read: {message}", file.display()),
            Self::Input { name, path, old, new } => {
                let place = path.as_ref().map_or_else(String::new, |path| format!(" ({})", path.display()));
                change(to, &format!("input {name}{place}"), old.as_deref().map(short), new.as_deref().map(short))
            }
            Self::Key { key, old, new } => change(to, &format!("config {key}"), old.as_deref(), new.as_deref()),
            Self::Program { program, old, new, old_version, new_version } => {
                let (old, new) = (short(old), short(new));
                match old_version == new_version {
                    true => write!(to, "program {program} changed: {old} -> {new} (both version {new_version})"),
                    false => write!(to, "program {program} changed: {old_version} ({old}) -> {new_version} ({new})"),
                }
            }
            Self::Output { file, new: None, .. } => write!(to, "output {} is gone", file.display()),
            Self::Output { file, old, new: Some(new) } => {
                write!(to, "output {} was changed: {} -> {}", file.display(), short(old), short(new))
            }
        }
    }
}

fn change(to: &mut fmt::Formatter<'_>, what: &str, old: Option<&str>, new: Option<&str>) -> fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => write!(to, "{what} changed: {old} -> {new}"),
        (None, Some(new)) => write!(to, "{what} is new: {new}"),
        (_, None) => write!(to, "{what} is gone"),
    }
}

/// Whether `task` has to run, given the hash of the program that would run it.
///
/// # Errors
/// An input cannot be read.
pub fn decide(task: &Task, program: &str, cache: &mut hash::Cache) -> Result<Decision, TaskError> {
    let reasons = reasons(task, program, cache, &BTreeSet::new())?;
    if reasons.is_empty() {
        return Ok(Decision::UpToDate);
    }
    Ok(Decision::Run(reasons.iter().map(Reason::to_string).collect()))
}

/// Every reason for which `task` has to run; none if its receipt holds. Inputs named in `open` are not looked at: what they will be
/// is not known yet.
///
/// # Errors
/// Another input cannot be read.
pub fn reasons(
    task: &Task,
    program: &str,
    cache: &mut hash::Cache,
    open: &BTreeSet<&str>,
) -> Result<Vec<Reason>, TaskError> {
    let known = Task {
        inputs: task.inputs.iter().filter(|input| !open.contains(input.name.as_str())).cloned().collect(),
        ..task.clone()
    };
    let now = inputs(&known, cache)?;
    let place = cache.real(&task.output);
    let old = match find(&place) {
        Ok(Some(old)) => old,
        Ok(None) if std::fs::read_dir(&place).is_ok_and(|mut files| files.next().is_some()) => {
            let message = "there is none beside the files in that folder, which are kept aside".to_owned();
            return Ok(vec![Reason::NoReceipt { file: task.output.join(RECEIPT), message }]);
        }
        Ok(None) => return Ok(vec![Reason::NoOutput { folder: task.output.clone() }]),
        Err(message) => return Ok(vec![Reason::NoReceipt { file: task.output.join(RECEIPT), message }]),
    };
    let mut reasons = Vec::new();
    let path = |name: &str| task.inputs.iter().find(|input| input.name == name).map(|input| input.path.clone());
    let before = old.inputs.iter().filter(|(name, _)| !open.contains(name.as_str()));
    let before: BTreeMap<String, String> = before.map(|(name, hash)| (name.clone(), hash.clone())).collect();
    reasons.extend(differences(&before, &now).into_iter().map(|(name, old, new)| {
        let path = path(&name);
        Reason::Input { name, path, old, new }
    }));
    let keys = differences(&flatten(&old.config), &flatten(&task.config));
    reasons.extend(keys.into_iter().map(|(key, old, new)| Reason::Key { key, old, new }));
    if old.program != program {
        reasons.push(Reason::Program {
            program: task.stage.program(),
            old: old.program.clone(),
            new: program.to_owned(),
            old_version: old.version.clone(),
            new_version: VERSION.to_owned(),
        });
    }
    reasons.extend(damage(&place, &old, cache)?);
    Ok(reasons)
}

/// Names whose values differ, with both.
fn differences(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
    let both = names.into_iter().map(|name| (name.clone(), old.get(name).cloned(), new.get(name).cloned()));
    both.filter(|(_, old, new)| old != new).collect()
}

/// Files of `folder` that are not what its receipt says.
///
/// # Errors
/// One is there and cannot be read: made again it might be lost for a fault that passes.
pub fn damage(folder: &Path, receipt: &Receipt, cache: &mut hash::Cache) -> Result<Vec<Reason>, TaskError> {
    cache.prepare(receipt.outputs.keys().map(|file| folder.join(file)));
    let mut found = Vec::new();
    for (file, old) in &receipt.outputs {
        let path = folder.join(file);
        let new = match cache.file(&path) {
            Ok(new) => Some(new),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(TaskError::Unreadable { path, source }),
        };
        if new.as_ref() != Some(old) {
            found.push(Reason::Output { file: path, old: old.clone(), new });
        }
    }
    Ok(found)
}

/// The receipt in `folder`, if there is a readable one.
pub fn read(folder: &Path) -> Option<Receipt> {
    find(folder).ok().flatten()
}

/// The receipt in `folder`, if there is one.
///
/// # Errors
/// It cannot be read, in words.
pub fn find(folder: &Path) -> Result<Option<Receipt>, String> {
    match std::fs::read_to_string(folder.join(RECEIPT)) {
        Ok(text) => serde_yaml::from_str(&text).map(Some).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Hashes of all files of a folder but the receipt, by path.
fn outputs(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let names: Vec<PathBuf> = hash::walk(folder)?.into_iter().filter(|name| name != Path::new(RECEIPT)).collect();
    let hashes = hash::files(&names.iter().map(|name| folder.join(name)).collect::<Vec<_>>())?;
    Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).zip(hashes).collect())
}

/// Writes the receipt of what is in `folder` and gives the folder its final name. `read` holds the hashes that the inputs had when the
/// task began, as [`decide`] left them there.
///
/// # Errors
/// An input vanished or changed since, or the folder cannot be written.
pub fn seal(
    task: &Task,
    folder: Folder,
    program: &str,
    environment: BTreeMap<String, String>,
    read: &mut hash::Cache,
) -> Result<Receipt, TaskError> {
    let failed = |source| TaskError::Output { path: task.output.clone(), source };
    let began = inputs(task, read)?;
    let ended = inputs(task, &mut hash::Cache::default())?;
    if let Some(input) = task.inputs.iter().find(|input| began[&input.name] != ended[&input.name]) {
        let (name, path) = (input.name.clone(), input.path.clone());
        return Err(TaskError::Changed { task: task.id.clone(), name, path });
    }
    // What the receipt vouches for is on the disk before the receipt is.
    folder.sync().map_err(failed)?;
    let receipt = Receipt {
        task: task.id.clone(),
        version: VERSION.to_owned(),
        program: program.to_owned(),
        inputs: began,
        config: task.config.clone(),
        outputs: outputs(folder.path()).map_err(failed)?,
        environment: machine().into_iter().chain(environment).collect(),
    };
    let text = serde_yaml::to_string(&receipt).map_err(|error| failed(io::Error::other(error.to_string())))?;
    atomic::write(&folder.path().join(RECEIPT), text.as_bytes()).map_err(failed)?;
    set_strangers_aside(&task.output).map_err(failed)?;
    folder.commit().map_err(failed)?;
    Ok(receipt)
}

/// Moves what no task wrote out of the folder `output`, which is about to be replaced: the user's notes beside a report, or a user's CT
/// where the study's own would go.
fn set_strangers_aside(output: &Path) -> io::Result<()> {
    let output = &atomic::real(output);
    // Of a link only the link is replaced, and what it leads to stays.
    if !output.is_dir() || output.is_symlink() {
        return Ok(());
    }
    let known = read(output).map(|receipt| receipt.outputs).unwrap_or_default();
    let mut strangers = all_files(output)?;
    strangers.retain(|file| file != Path::new(RECEIPT) && !known.contains_key(&*file.to_string_lossy()));
    if strangers.is_empty() {
        return Ok(());
    }
    let kept = atomic::kept(output);
    for file in &strangers {
        let place = kept.join(file);
        std::fs::create_dir_all(place.parent().unwrap_or(&kept))?;
        std::fs::rename(output.join(file), place)?;
    }
    let names: Vec<String> = strangers.iter().map(|file| file.display().to_string()).collect();
    let (from, to) = (output.display(), kept.display());
    crate::say!(
        "note: {from} held files that this study did not write; they are in {to} now: {}",
        cli::summary(&names)
    );
    Ok(())
}

/// Where the output of `task` is until [`recover`] puts it in its place, if that is elsewhere.
pub fn left_elsewhere(task: &Task) -> Option<PathBuf> {
    let whole = complete(task).map(|folder| folder.path().to_owned());
    whole.or_else(|| atomic::replaced(&task.output).filter(|_| !task.output.exists()))
}

/// An output that was complete, receipt and all, under its temporary name.
fn complete(task: &Task) -> Option<Folder> {
    let folder = Folder::left(&task.output)?;
    let receipt = self::read(folder.path())
        .filter(|receipt| receipt.task == task.id && flatten(&receipt.config) == flatten(&task.config))?;
    outputs(folder.path()).is_ok_and(|found| found == receipt.outputs).then_some(folder)
}

/// All files below `folder`, relative to it and sorted, hidden ones too. A link counts as a file, whatever it leads to.
fn all_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(relative) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&relative))? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut open } else { &mut found };
            list.push(relative.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// Ends what a process that was killed had begun: an output that was complete under its temporary name, receipt and all, gets its final
/// one; a folder that was about to be replaced is put back or removed.
///
/// # Errors
/// A folder cannot be renamed or removed.
pub fn recover(task: &Task) -> Result<(), TaskError> {
    let failed = |source| TaskError::Output { path: task.output.clone(), source };
    if let Some(folder) = complete(task) {
        set_strangers_aside(&task.output).map_err(failed)?;
        return folder.commit().map_err(failed);
    }
    atomic::recover(&task.output).map_err(failed)
}

/// What of the machine may change last digits, or a reader of the results wants to know. No names.
fn machine() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map(|(_, name)| ("processor".to_owned(), name.trim().to_owned()));
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    std::iter::once(("system".to_owned(), system)).chain(model).collect()
}
