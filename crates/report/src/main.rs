//! Predictions to metrics, tables and a report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use contract::cli::{StageArgs, finish};
use report::Error;

/// Predictions to metrics, tests, tables and a report: the conventional method against the proposed one
#[derive(Debug, Parser)]
#[command(name = "chumoku-report", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(flatten)]
    stage: Option<StageArgs>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The metrics of anyone's predictions: columns slice_id, patient_id, label, prob; optional method, fold, seed
    Metrics {
        /// Parquet, or CSV where prob is the probability of the positive class
        #[arg(value_name = "PREDICTIONS")]
        predictions: PathBuf,
        /// Also write them as metrics.json
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// The positive class, whose recall is the sensitivity
        #[arg(long, value_name = "LABEL", default_value_t = 1)]
        positive: usize,
    },
}

fn run(cli: Cli) -> Result<(), Error> {
    let text = match (cli.command, cli.stage) {
        (Some(Command::Metrics { predictions, json, positive }), _) => {
            Some(report::anyone::metrics(&predictions, json.as_deref(), positive)?)
        }
        (None, Some(stage)) => report::study::run(&stage.load()?, stage.force)?,
        (None, None) => {
            let kind = clap::error::ErrorKind::MissingRequiredArgument;
            Cli::command().error(kind, "expected --config STUDY.yaml, or the subcommand metrics").exit()
        }
    };
    if let Some(text) = text {
        println!("{}", text.trim_end());
    }
    Ok(())
}

fn main() -> ExitCode {
    contract::interrupt::install();
    finish(run(Cli::parse()))
}
