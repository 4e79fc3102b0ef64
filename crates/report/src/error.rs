//! What can go wrong in this stage, and the exit code of each.

use std::path::PathBuf;

use contract::config::ConfigError;
use contract::receipt::TaskError;
use contract::splits::SplitsError;
use contract::{Coded, Exit};

use crate::predictions::Fault;

/// Every error of the stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The study's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The frame around the stage: inputs that do not exist, an output folder that cannot be written.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The number of folds is unknown because the splits file cannot be read.
    #[error(transparent)]
    Folds(#[from] SplitsError),
    /// A file cannot be opened.
    #[error("cannot read {path}: {source}; {advice}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A Parquet file is damaged or is none.
    #[error("{path} is not a readable Parquet file: {message}; delete it and run the stage that makes it again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        message: String,
    },
    /// A column is missing or has another type.
    #[error("column \"{column}\" in {path}: expected {expected}, got {got}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The type that was expected.
        expected: &'static str,
        /// What was found.
        got: String,
    },
    /// A line of a CSV file.
    #[error("{path}, line {line}: {message}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Line, from 1; the head is line 1.
        line: u64,
        /// Expected and got.
        message: String,
    },
    /// The predictions contradict themselves or the folds.
    #[error("{origin}: {fault}")]
    Predictions {
        /// File or folder.
        origin: String,
        /// What is wrong.
        fault: Fault,
    },
    /// A file that should be a metrics.json and is not.
    #[error("{path}: {key}: expected {expected}, got {got}; name a metrics.json of chumoku-report, or make it again")]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was expected there.
        expected: &'static str,
        /// What was found.
        got: String,
    },
    /// A report that does not repeat another.
    #[error(
        "{path} is not within {tolerance} of what is expected in {count} places: {named}; raise --tolerance, or find what changed"
    )]
    Drift {
        /// The report.
        path: PathBuf,
        /// How far a number may be off.
        tolerance: f64,
        /// Number of places.
        count: usize,
        /// The first of them, expected and got.
        named: String,
    },
    /// A command-line argument that does not fit the file.
    #[error("{0}")]
    Usage(String),
    /// An output cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A chart or picture cannot be drawn.
    #[error("cannot draw {what}: {message}")]
    Draw {
        /// The chart or picture.
        what: String,
        /// The library's words.
        message: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Task(error) => error.exit(),
            Self::Folds(_) | Self::Open { .. } | Self::Parquet { .. } | Self::Column { .. } | Self::Csv { .. } => {
                Exit::Input
            }
            Self::Predictions { fault: Fault::Leak { .. }, .. } | Self::Drift { .. } => Exit::Audit,
            Self::Predictions { .. } | Self::Metrics { .. } => Exit::Input,
            Self::Usage(_) => Exit::Usage,
            Self::Write { .. } | Self::Draw { .. } => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}
