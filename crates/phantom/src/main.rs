//! `chumoku-phantom`: makes the synthetic CT of a study.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use contract::cli::{SetArgs, StageArgs, finish};

/// Makes the synthetic chest CT of a study: DICOM series, labels and true masks in the raw folder of the study
#[derive(Parser)]
#[command(name = "chumoku-phantom", version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Write contact sheets of the first patients to this folder instead of the study
    #[arg(long, value_name = "DIR")]
    preview: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    contract::interrupt::install();
    finish(run(&args))
}

fn run(args: &Args) -> Result<(), phantom::Error> {
    let config = args.set.of(args.stage.load()?)?;
    if let Some(folder) = &args.preview {
        return phantom::preview::write(&config, folder);
    }
    if !config.phantom.enabled {
        return Err(phantom::Error::Disabled { path: args.stage.config.clone() });
    }
    phantom::study::run(&config, args.stage.force).map(|_| ())
}
