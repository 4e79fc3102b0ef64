//! What can go wrong in training.

use std::path::PathBuf;

use contract::config::ConfigError;
use contract::exit::{Coded, Exit};
use contract::instructions::InstructionsError;
use contract::receipt::TaskError;
use contract::splits::SplitsError;
use contract::table::TableError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    Instructions(#[from] InstructionsError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Splits(#[from] SplitsError),
    #[error("{0}")]
    Usage(String),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}, slice {slice_id}: {problem}; run chumoku-preprocess again")]
    Slice { path: PathBuf, slice_id: String, problem: String },
    #[error("slice {slice_id} of {folds} is not in {slices}; run chumoku-dataset again")]
    SliceMissing { slice_id: String, folds: PathBuf, slices: PathBuf },
    #[error("patient {patient_id} is on both sides of fold {fold} in {path}; run chumoku-dataset again")]
    Leak { patient_id: String, fold: usize, path: PathBuf },
    #[error("fold {fold} does not exist in {path}: folds held out are {found}; run chumoku-dataset again")]
    NoSuchFold { fold: usize, path: PathBuf, found: String },
    #[error("no run of the study is {asked}: its folds are {folds}; its methods are {methods}; choose among these")]
    NoSuchRun { asked: String, methods: String, folds: String },
    #[error("method \"{name}\" is not in train.methods ({known})")]
    NoSuchMethod { name: String, known: String },
    #[error("fold {fold} leaves no slices to train on in {path}")]
    NothingToTrain { fold: usize, path: PathBuf },
    #[error("{path} is not a readable slices.parquet: {problem}; name one that chumoku-preprocess made")]
    NotSlices { path: PathBuf, problem: String },
    #[error(
        "{path} is not a safetensors file of weights: {problem}; name the weights.safetensors of a run, or, as train.init, also null or a file that \
         tools/export_torchvision.py made"
    )]
    NotWeights { path: PathBuf, problem: String },
    #[error("{path} does not fit the network: {problem}")]
    WrongWeights { path: PathBuf, problem: String },
    #[error("weights not found: {path}; train first, or give --weights")]
    NoWeights { path: PathBuf },
    #[error("device \"{device}\" is not available: {problem}{}", contract::equipment::cpu(problem))]
    Device { device: String, problem: String },
    #[error(
        "the loss is {value} in epoch {epoch}, batch {batch} (method {method}): lower train.lr, or look at the slices of \
         that batch; nothing was written under the run's final name"
    )]
    NonFinite { value: f64, epoch: u32, batch: usize, method: String },
    #[error(
        "the network says nothing of slice {slice_id}: its softmax is not a number, so training has diverged; lower train.lr; \
         nothing was written under the run's final name"
    )]
    NoPrediction { slice_id: String },
    #[error("stopped; the same command goes on from its checkpoint")]
    Interrupted,
    #[error("cannot write {path}: {source}; if the disk is full, free some of it and run the same command again")]
    NotWritten { path: PathBuf, source: tch::TchError },
    #[error("cannot export {path}: {problem}; please report it")]
    Export { path: PathBuf, problem: String },
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Task(error) => error.exit(),
            Self::Instructions(error) => error.exit(),
            Self::NoSuchMethod { .. } => Exit::Config,
            Self::Usage(_) => Exit::Usage,
            Self::Table(_) | Self::Slice { .. } | Self::SliceMissing { .. } | Self::NothingToTrain { .. } => {
                Exit::Input
            }
            Self::NoSuchFold { .. } | Self::NoSuchRun { .. } | Self::NotSlices { .. } => Exit::Input,
            Self::Splits(error) => error.exit(),
            Self::Leak { .. } => Exit::Audit,
            Self::NotWeights { .. } | Self::WrongWeights { .. } | Self::NoWeights { .. } | Self::Device { .. } => {
                Exit::Missing
            }
            Self::Interrupted => Exit::Interrupted,
            Self::Io { .. }
            | Self::NotWritten { .. }
            | Self::NonFinite { .. }
            | Self::NoPrediction { .. }
            | Self::Export { .. }
            | Self::Torch(_) => Exit::Unexpected,
        }
    }
}

impl Error {
    /// An I/O error with the file it happened at.
    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}
