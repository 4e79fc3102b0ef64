//! `chumoku-dataset`: patient-stratified folds of a study.

use std::process::ExitCode;

use clap::Parser;
use contract::cli::{StageArgs, finish};

/// Draws patient-stratified folds from slices.parquet, audits them, writes folds.parquet and splits_final.json
#[derive(Parser)]
#[command(name = "chumoku-dataset", version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
}

fn main() -> ExitCode {
    let Args { stage } = Args::parse();
    contract::interrupt::install();
    finish(stage.load().map_err(dataset::Error::from).and_then(|config| {
        let summary = dataset::run(&config, stage.force)?;
        contract::tell!("{}", summary.table(&config.classes).trim_end());
        Ok(())
    }))
}
