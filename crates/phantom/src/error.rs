//! What can go wrong while a study is made.

use std::path::PathBuf;

use contract::config::ConfigError;
use contract::receipt::TaskError;
use contract::table::TableError;
use contract::{Coded, Exit};

/// An error of the phantom stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The study's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An input or the output folder.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The table of true masks.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A slice cannot be encoded.
    #[error("cannot encode {path} as DICOM: {message}")]
    Dicom {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The study is not one of synthetic CT.
    #[error(
        "phantom.enabled is false in {path}: this study brings its own CT; set phantom.enabled to true to make synthetic CT"
    )]
    Disabled {
        /// The study.
        path: PathBuf,
    },
    /// Ctrl-C.
    #[error("interrupted; nothing was kept, run again to start over")]
    Interrupted,
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Task(error) => error.exit(),
            Self::Disabled { .. } => Exit::Config,
            Self::Table(_) | Self::Write { .. } | Self::Dicom { .. } => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}
