//! Why a task cannot begin or end: a file that it reads or writes, or a folder that is not its own.

use std::io;
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::exit::{Coded, Exit};
use crate::owner::Owned;
use crate::plan::{Input, Task};

/// A file of a task cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// An input does not exist or cannot be read.
    #[error("input \"{name}\" of {task}, {path}: {source}{advice}")]
    Input {
        /// The task.
        task: String,
        /// The input's name.
        name: String,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do, behind a semicolon; empty where the cause says it.
        advice: String,
    },
    /// An input is not what it was when the task began.
    #[error(
        "input \"{name}\" of {task}, {path}, changed while the task ran; nothing was kept: run the same command again, and let \
         nothing write there meanwhile"
    )]
    Changed {
        /// The task.
        task: String,
        /// The input's name.
        name: String,
        /// Its path.
        path: PathBuf,
    },
    /// A file of the output is there and cannot be read.
    #[error("cannot read {path}: {source}; make it readable, or remove it to have it made again")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The study's folders hold the results of another.
    #[error(transparent)]
    Owned(#[from] Owned),
    /// Stopped while another process ran the task.
    #[error("stopped while another process ran {task}; the same command goes on")]
    Stopped {
        /// The task.
        task: String,
    },
    /// The output folder cannot be written.
    #[error("cannot write {path}: {source}{advice}", advice = atomic::advice(source))]
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
            Self::Input { .. } | Self::Changed { .. } => Exit::Input,
            Self::Owned(owned) => owned.exit(),
            Self::Stopped { .. } => Exit::Interrupted,
            Self::Output { .. } | Self::Unreadable { .. } => Exit::Unexpected,
        }
    }
}

fn advice(name: &str) -> &'static str {
    match name {
        "ct" => "set preprocess.input to a folder of DICOM series, or preprocess.manifest to a CSV of image files",
        "labels" => "put a labels.csv with patient_id,label there, or set preprocess.labels",
        "manifest" => "set preprocess.manifest to a CSV with path,patient_id,label",
        "truth" => "set preprocess.lesions to a Parquet file of lesion masks, or to null",
        "model" => {
            "set preprocess.model to a TorchScript lung U-Net (paths start at the working folder, not at the study's file); \
             data/models/README.md says how to make one"
        }
        "init" => "set train.init to a safetensors file",
        "splits" => "set dataset.splits to a splits_final.json",
        _ => "run the stages before this one, or `chumoku run` for all of them",
    }
}

/// What to do about a file in a path that goes on behind it.
fn no_folder(path: &Path) -> String {
    let file = path.ancestors().find(|above| above.is_file()).unwrap_or(path).display();
    format!(
        "; {file} is a file, and a folder is expected: set the path to a folder (for CT, preprocess.input to a folder of DICOM series)"
    )
}

impl TaskError {
    /// An input of `task` that cannot be read.
    pub(crate) fn input(task: &Task, input: &Input, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotADirectory {
            let (name, path) = (input.name.clone(), input.path.clone());
            return Self::Input { task: task.id.clone(), name, advice: no_folder(&path), path, source };
        }
        // An error of our own, about something in the input, says itself what to do.
        let advice = if source.get_ref().is_some() { String::new() } else { format!("; {}", advice(&input.name)) };
        let (name, path) = (input.name.clone(), input.path.clone());
        Self::Input { task: task.id.clone(), name, path, source, advice }
    }
}
