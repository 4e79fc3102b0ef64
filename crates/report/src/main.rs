//! Predictions to metrics, tables and a report.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use contract::cli::{StageArgs, finish};
use contract::config::PatientRule;
use report::Error;
use report::compare_reports::{self, CompareArgs};

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
        /// A table of text (CSV) or Parquet; prob is the probability of the positive class, or in Parquet a list of all
        #[arg(value_name = "PREDICTIONS")]
        predictions: PathBuf,
        /// Also write them as metrics.json
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// The positive class, whose recall is the sensitivity
        #[arg(long, value_name = "LABEL", default_value_t = 1)]
        positive: usize,
        /// How the slices of a patient become one decision
        #[arg(long, value_name = "RULE", value_enum, default_value = "mean")]
        rule: PatientRule,
    },
    /// What changed from one report to another, number by number, and whether it is more than noise
    Compare(CompareArgs),
    /// The JSON Schema of metrics.json
    Schema,
}

fn run(cli: Cli) -> Result<(), Error> {
    let text = match (cli.command, cli.stage) {
        (Some(Command::Metrics { predictions, json, positive, rule }), _) => {
            Some(report::anyone::metrics(&predictions, json.as_deref(), (positive, rule))?)
        }
        (Some(Command::Compare(args)), _) => return compare(&args),
        (Some(Command::Schema), _) => Some(report::schema::TEXT.to_owned()),
        (None, Some(stage)) => report::study::run(&stage.load()?, stage.force)?,
        (None, None) => {
            let kind = clap::error::ErrorKind::MissingRequiredArgument;
            Cli::command().error(kind, "expected --config STUDY.yaml, or a subcommand: metrics, compare, schema").exit()
        }
    };
    text.iter().for_each(|text| say(text));
    Ok(())
}

/// The comparison, and after it the error if the audit failed.
fn compare(args: &CompareArgs) -> Result<(), Error> {
    let said = compare_reports::run(args)?;
    say(&said.text);
    said.failed.map_or(Ok(()), Err)
}

/// Prints to stdout. A reader that left early (`| head`) is no failure.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

fn main() -> ExitCode {
    contract::interrupt::install();
    finish(run(Cli::parse()))
}
