//! Receipts: what a task read, with which settings and program, and what it wrote. Same hashes, no rerun.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::atomic::{self, Folder};
use crate::config::flatten;
use crate::exit::{Coded, Exit};
use crate::hash;
use crate::layout::RECEIPT;
use crate::plan::Task;

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

/// A file of a task cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// An input does not exist or cannot be read.
    #[error("input \"{name}\" of {task}, {path}: {source}; {advice}")]
    Input {
        /// The task.
        task: String,
        /// The input's name.
        name: String,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        advice: String,
    },
    /// The output folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Coded for TaskError {
    fn exit(&self) -> Exit {
        match self {
            Self::Input { name, .. } if name == "model" || name == "init" => Exit::Missing,
            Self::Input { .. } => Exit::Input,
            Self::Output { .. } => Exit::Unexpected,
        }
    }
}

fn advice(name: &str) -> &'static str {
    match name {
        "ct" => "set preprocess.input to a folder of DICOM series, or preprocess.manifest to a CSV of image files",
        "labels" => "put a labels.csv with patient_id,label there, or set preprocess.labels",
        "manifest" => "set preprocess.manifest to a CSV with path,patient_id,label",
        "truth" => "set preprocess.lesions to a Parquet file of lesion masks, or to null",
        "model" => "set preprocess.model to a TorchScript lung U-Net; data/models/README.md says how to make one",
        "init" => "set train.init to a safetensors file",
        "splits" => "set dataset.splits to a splits_final.json",
        _ => "run the stages before this one, or `chumoku run` for all of them",
    }
}

/// Hashes of all inputs of a task.
fn inputs(task: &Task, cache: &mut hash::Cache) -> Result<BTreeMap<String, String>, TaskError> {
    let hash_one = |(name, path): &(String, PathBuf)| match cache.path(path) {
        Ok(hash) => Ok((name.clone(), hash)),
        Err(source) => Err(TaskError::Input {
            task: task.id.clone(),
            name: name.clone(),
            path: path.clone(),
            source,
            advice: advice(name).to_owned(),
        }),
    };
    task.inputs.iter().map(hash_one).collect()
}

/// Whether `task` has to run, given the hash of the program that would run it.
///
/// # Errors
/// An input cannot be read. While `decide` plans ahead an input may not exist yet: see [`Decision::Run`]'s reasons.
pub fn decide(task: &Task, program: &str, cache: &mut hash::Cache) -> Result<Decision, TaskError> {
    let now = inputs(task, cache)?;
    let Some(old) = read(&task.output) else {
        return Ok(Decision::Run(vec![format!("no output in {} yet", task.output.display())]));
    };
    let mut reasons = Vec::new();
    differences("input", &old.inputs, &now, &mut reasons);
    differences("config", &flatten(&old.config), &flatten(&task.config), &mut reasons);
    if old.program != program {
        reasons.push(format!("{} was built anew", task.stage.program()));
    }
    let (folder, known) = (&task.output, &old.outputs);
    reasons.extend(known.iter().filter_map(|(file, hash)| match hash::file(&folder.join(file)) {
        Ok(found) if found == *hash => None,
        Ok(_) => Some(format!("output {file} was changed")),
        Err(_) => Some(format!("output {file} is gone")),
    }));
    Ok(if reasons.is_empty() { Decision::UpToDate } else { Decision::Run(reasons) })
}

fn differences(what: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, reasons: &mut Vec<String>) {
    // Hashes are shown short, values whole.
    let show = |value: &String| if what == "input" { value[..8.min(value.len())].to_owned() } else { value.clone() };
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before) => reasons.push(format!("{what} {key} changed: {} -> {}", show(before), show(value))),
            None => reasons.push(format!("{what} {key} is new: {}", show(value))),
        }
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    reasons.extend(gone.map(|key| format!("{what} {key} is gone")));
}

/// The receipt in `folder`, if there is a readable one.
pub fn read(folder: &Path) -> Option<Receipt> {
    let text = std::fs::read_to_string(folder.join(RECEIPT)).ok()?;
    serde_yaml::from_str(&text).ok()
}

/// Writes the receipt of what is in `folder` and gives the folder its final name.
///
/// # Errors
/// An input vanished, or the folder cannot be written.
pub fn seal(
    task: &Task,
    folder: Folder,
    program: &str,
    environment: BTreeMap<String, String>,
) -> Result<Receipt, TaskError> {
    let failed = |source| TaskError::Output { path: task.output.clone(), source };
    let outputs = hash::walk(folder.path())
        .and_then(|files| {
            let one =
                |file: &PathBuf| Ok((file.to_string_lossy().into_owned(), hash::file(&folder.path().join(file))?));
            files.iter().filter(|file| *file != Path::new(RECEIPT)).map(one).collect()
        })
        .map_err(failed)?;
    let receipt = Receipt {
        task: task.id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program: program.to_owned(),
        inputs: inputs(task, &mut hash::Cache::default())?,
        config: task.config.clone(),
        outputs,
        environment,
    };
    let text = serde_yaml::to_string(&receipt).map_err(|error| failed(io::Error::other(error.to_string())))?;
    atomic::write(&folder.path().join(RECEIPT), text.as_bytes()).map_err(failed)?;
    folder.commit().map_err(failed)?;
    Ok(receipt)
}
