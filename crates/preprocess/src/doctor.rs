//! `chumoku-preprocess doctor`: does a study's lung model load? Asked by `chumoku doctor`.

use std::path::PathBuf;

use crate::error::Error;
use crate::model::{LungModel, Trust};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// The lung model
    #[arg(long)]
    model: PathBuf,
}

/// Prints the model's SHA-256 if it is the shipped one and libtorch loads it.
///
/// # Errors
/// The file is missing, another one, or does not load.
pub fn run(args: &DoctorArgs) -> Result<(), Error> {
    contract::tell!("{}", LungModel::load(&args.model, Trust::Study(None))?.sha256());
    Ok(())
}
