//! What can go wrong between slices and folds.

use std::path::PathBuf;

use contract::config::ConfigError;
use contract::receipt::TaskError;
use contract::splits::SplitsError;
use contract::table::TableError;
use contract::{Coded, Exit};

use crate::audit::AuditError;

/// Why there are no folds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The study's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An input or the output folder.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A Parquet file.
    #[error(transparent)]
    Table(#[from] TableError),
    /// No slice to divide.
    #[error("{path} has no slices; look at excluded.csv beside it for why they were left out")]
    NoSlices {
        /// `slices.parquet`.
        path: PathBuf,
    },
    /// Two rows of one id.
    #[error("slice id \"{slice}\" occurs twice in {path}; delete the file and run preprocess again")]
    TwiceASlice {
        /// The id.
        slice: String,
        /// `slices.parquet`.
        path: PathBuf,
    },
    /// A label is a patient's, not a slice's.
    #[error(
        "patient \"{patient}\" has two labels: {first} and {second}; \
         a label belongs to the patient: correct the labels file or the manifest"
    )]
    TwoLabels {
        /// The patient.
        patient: String,
        /// One class, as `label (name) in slice ID`.
        first: String,
        /// The other.
        second: String,
    },
    /// A label beyond the classes.
    #[error("slice {slice} has label {label}, but the study names {classes} classes (labels 0 to {})", classes - 1)]
    Label {
        /// The slice.
        slice: String,
        /// Its label.
        label: i32,
        /// Number of classes.
        classes: usize,
    },
    /// A class cannot be in every fold.
    #[error(
        "class \"{class}\" has {patients} patients{apart}, fewer than the {folds} folds (dataset.folds); \
         ask for fewer folds or add patients"
    )]
    TooFewPatients {
        /// Name of the class.
        class: String,
        /// Its patients.
        patients: usize,
        /// ` in N groups that share images`, or nothing.
        apart: String,
        /// K.
        folds: usize,
    },
    /// The splits file.
    #[error(transparent)]
    Splits(#[from] SplitsError),
    /// The key of the pseudonyms, by which ids of the splits file are known.
    #[error("cannot read {path}: {source}; put the key back that the slices were named with")]
    Key {
        /// `pseudonym.key`.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest's split column.
    #[error("manifest {path}: {message}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Expected, got, what to do.
        message: String,
    },
    /// The folds leak or lack a class.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A table operation failed.
    #[error("cannot count the folds: {0}")]
    Frame(#[from] polars::error::PolarsError),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was written is not what is read.
    #[error("{path} does not read back as it was written: {message}; the disk may be faulty")]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// The difference.
        message: String,
    },
    /// Ctrl-C.
    #[error("stopped; nothing was written")]
    Interrupted,
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Task(error) => error.exit(),
            Self::Table(_)
            | Self::NoSlices { .. }
            | Self::TwiceASlice { .. }
            | Self::TwoLabels { .. }
            | Self::Label { .. }
            | Self::TooFewPatients { .. }
            | Self::Key { .. }
            | Self::Manifest { .. } => Exit::Input,
            Self::Splits(error) => error.exit(),
            Self::Audit(_) => Exit::Audit,
            Self::Frame(_) | Self::Write { .. } | Self::ReadBack { .. } => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}
