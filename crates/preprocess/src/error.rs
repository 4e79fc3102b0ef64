//! What can go wrong in preprocess, and the exit code of each.

use std::io;
use std::path::PathBuf;

use contract::cli::chain;
use contract::config::ConfigError;
use contract::instructions::InstructionsError;
use contract::receipt::TaskError;
use contract::splits::SplitsError;
use contract::table::TableError;
use contract::user_table::{Place, UserTableError};
use contract::{Coded, Exit};

use crate::preflight::Finding;
use crate::unet_training::TrainingError;

/// Series named in one message.
const NAMED: usize = 10;

fn listed(series: &[String]) -> String {
    let more = series.len().saturating_sub(NAMED);
    let mut text = series[..series.len() - more].join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What may have happened to ids that a spreadsheet has saved.
fn alike_note(alike: usize) -> String {
    match alike {
        0 => String::new(),
        alike => format!(
            " ({alike} of them have an id in the labels that differs only by leading zeros, capital letters or blanks, as spreadsheets \
             change them: write these ids as DICOM has them, in a column of text)"
        ),
    }
}

/// What to do about patients without a label.
const ADD_OR_SKIP: &str =
    "add a row with patient_id and label for each, or set preprocess.unlabelled: skip to leave them out";
/// The same where leaving them out leaves nobody.
const NOBODY_LEFT: &str = "preprocess.unlabelled: skip leaves out neither all patients nor those whose label is there in another spelling: write the labels' ids as DICOM has \
     them";

/// What may be meant by ids that are the names of folders.
fn folders_note(in_folders: usize) -> String {
    match in_folders {
        0 => String::new(),
        count => format!(
            " (the files of {count} of them lie in folders that are called as ids of the labels: if a folder is a patient, call that column \
             folder)"
        ),
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The study's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The frame of the task: inputs, output folder, receipt.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The processor's instructions that the study asks for.
    #[error(transparent)]
    Instructions(#[from] InstructionsError),
    /// Writing `slices.parquet`.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The study's own folds.
    #[error(transparent)]
    Splits(#[from] SplitsError),
    /// Training the lung U-Net.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// An input cannot be opened.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An output cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is truncated, corrupt or not what it claims to be.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// Expected, got, and what to do.
        message: String,
    },
    /// A folder holds no usable CT.
    #[error(
        "no CT slices in {folder}: {found}; give a folder of DICOM CT series (a NIfTI volume or an image: the file itself, and in a study \
         preprocess.manifest)"
    )]
    NoCt {
        /// The folder.
        folder: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// A row of a manifest or of the labels.
    #[error("{path}, {row}: {message}")]
    Row {
        /// The table.
        path: PathBuf,
        /// The line or row.
        row: Place,
        /// Expected, got, and what to do.
        message: String,
    },
    /// A patient of the CT has no usable label or id.
    #[error("patient {patient}: {message}")]
    Patient {
        /// The patient's id in the outputs.
        patient: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Patients of the CT without a label.
    #[error(
        "{} of {of} patients of the CT have no label in {}: {}{}{}; `chumoku-preprocess whois --unlabelled --config STUDY.yaml` lists their \
         PatientIDs and folders; {}",
        .patients.len(), .labels.display(), listed(.patients), alike_note(*.alike), folders_note(*.in_folders),
        if *.skips { NOBODY_LEFT } else { ADD_OR_SKIP }
    )]
    Unlabelled {
        /// Their ids in the outputs.
        patients: Vec<String>,
        /// Patients of the CT in all.
        of: usize,
        /// How many have an id in the labels that differs by leading zeros, case or blanks alone.
        alike: usize,
        /// How many lie in folders of the input that are called as ids of the labels.
        in_folders: usize,
        /// The labels file.
        labels: PathBuf,
        /// True if patients without a label are left out, which would leave nobody.
        skips: bool,
    },
    /// DICOM files without PatientID.
    #[error(
        "PatientID (0010,0020) is empty in {files} CT files in {folders} folders of the input; give the patient of each folder in {}: columns \
         folder,label with the folder's path relative to the input (and patient_id, if the patient is not called as the folder), or write \
         PatientID into a copy of the files",
        .labels.display()
    )]
    NoPatientId {
        /// CT files.
        files: usize,
        /// The folders they lie in.
        folders: usize,
        /// The labels file.
        labels: PathBuf,
    },
    /// A series cannot be what it claims.
    #[error("{what}: {finding}; if it is right all the same, {advice}")]
    Suspect {
        /// The series, or the study.
        what: String,
        /// What was seen.
        finding: Finding,
        /// What overrides it.
        advice: &'static str,
    },
    /// Values are not HU.
    #[error("{what}: {finding}; {remedy}")]
    Units {
        /// The series.
        what: String,
        /// What was seen.
        finding: Finding,
        /// What makes them HU, and what overrides the check.
        remedy: String,
    },
    /// Series without any lung.
    #[error(
        "{} series without any lung: {}; look at the input and the model, take them out, or set preprocess.allow_empty_series: true to \
         leave them out and list them",
        .series.len(), listed(.series)
    )]
    EmptySeries {
        /// The series.
        series: Vec<String>,
    },
    /// The lung model is missing, not trusted, or not a TorchScript lung model.
    #[error("lung model {path}: {message}")]
    Model {
        /// The model's file.
        path: PathBuf,
        /// What was found, and what to do.
        message: String,
    },
    /// Not one slice is left.
    #[error("nothing left of {slices} slices: {message}")]
    NoLungs {
        /// How many were looked at.
        slices: usize,
        /// By which rule, and what to do.
        message: String,
    },
    /// The mask of a volume shows no lung.
    #[error(
        "no lung was found in the {slices} slices of {}; {} is written and empty; look at the input: another part of the body, values that \
         are not HU, or a model that does not know such slices",
        .input.display(), .output.display()
    )]
    EmptyMask {
        /// What was segmented.
        input: PathBuf,
        /// The mask.
        output: PathBuf,
        /// Slices.
        slices: usize,
    },
    /// The command line asks for something that is not possible.
    #[error("{0}")]
    Usage(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; nothing was written, the next run starts this stage afresh")]
    Interrupted,
}

impl Error {
    /// A table that was given to be read and cannot be; `advice` says what to do where it is another table than was expected.
    pub fn unusable(error: TableError, advice: &str) -> Self {
        match error {
            TableError::Io { path, source } => Self::Read { path, source },
            TableError::Parquet { path, source } => Self::file(path, "not a readable Parquet file", &source),
            TableError::Arrow { path, source } => Self::file(path, "a damaged Parquet file", &source),
            TableError::Column { path, column, expected, got } => {
                Self::File { path, message: format!("column \"{column}\": expected {expected}, got {got}; {advice}") }
            }
        }
    }

    /// A damaged file, from any error and its causes.
    pub fn file(path: impl Into<PathBuf>, what: &str, cause: &dyn std::error::Error) -> Self {
        // Parsers like to print several lines; one is enough beside the file's name.
        let cause = chain(cause);
        let cause = cause.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        Self::File { path: path.into(), message: format!("{what}: {cause}") }
    }
}

impl From<UserTableError> for Error {
    fn from(error: UserTableError) -> Self {
        match error {
            UserTableError::Io { path, source } => Self::Read { path, source },
            UserTableError::Fault { path, place: Place::File, message } => Self::File { path, message },
            UserTableError::Fault { path, place, message } => Self::Row { path, row: place, message },
        }
    }
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Task(error) => error.exit(),
            Self::Instructions(error) => error.exit(),
            Self::Training(error) => error.exit(),
            Self::Splits(error) => error.exit(),
            Self::Table(_) | Self::Write { .. } => Exit::Unexpected,
            Self::Read { .. }
            | Self::File { .. }
            | Self::NoCt { .. }
            | Self::Row { .. }
            | Self::Patient { .. }
            | Self::Unlabelled { .. }
            | Self::NoPatientId { .. }
            | Self::Suspect { .. }
            | Self::Units { .. } => Exit::Input,
            Self::Model { .. } => Exit::Missing,
            Self::NoLungs { .. } | Self::EmptySeries { .. } | Self::EmptyMask { .. } => Exit::Audit,
            Self::Usage(_) => Exit::Usage,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}
