//! `chumoku-train`: trains the runs of a study, or predicts with given weights.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use contract::cli::{StageArgs, finish};
use train::stage::{self, Selection};
use train::{Error, predict_command};

/// Train Attention Branch Networks on the folds of a study
#[derive(Parser)]
#[command(name = "chumoku-train", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    stage: Option<StageArgs>,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Subcommand)]
enum Command {
    /// Predict slices with the weights of a run
    Predict(PredictArgs),
}

#[derive(Args)]
struct PredictArgs {
    /// Weights of a run; its config.yaml beside them is read. Given several times, the mean over the models is written
    #[arg(long, required = true)]
    weights: Vec<PathBuf>,
    /// The slices, slices.parquet
    #[arg(long)]
    slices: PathBuf,
    /// Where predictions.parquet goes
    #[arg(long)]
    out: PathBuf,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// CPU threads; 0: all cores
    #[arg(long, default_value_t = 0)]
    threads: u32,
}

fn run(cli: Cli) -> Result<(), Error> {
    match (cli.command, cli.stage) {
        (Some(Command::Predict(args)), _) => {
            predict_command::run(&args.weights, &args.slices, &args.out, &args.device, args.threads)
        }
        (None, Some(args)) => stage::run(&args.load()?, &cli.selection, args.force),
        (None, None) => {
            let _ = <Cli as clap::CommandFactory>::command().print_help();
            std::process::exit(contract::Exit::Usage as i32)
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    train::memory::keep();
    contract::interrupt::install();
    finish(run(cli))
}
