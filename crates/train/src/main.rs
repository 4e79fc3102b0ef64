//! `chumoku-train`: trains the runs of a study, or predicts with given weights.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use contract::cli::{StageArgs, finish};
use train::stage::{self, Selection};
use train::{Error, device, export, predict_command};

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
    /// Export the network of a run as TorchScript, for PyTorch
    Export(ExportArgs),
    /// Print as JSON what there is to compute with, for `chumoku doctor`
    #[command(hide = true)]
    Doctor,
}

#[derive(Args)]
struct ExportArgs {
    /// Weights of a run; its config.yaml beside them is read
    #[arg(long)]
    weights: PathBuf,
    /// Where the TorchScript file goes; a description of it appears beside it, as .json
    #[arg(long)]
    out: PathBuf,
    /// Side, in pixels, on which the file is held against the network; it runs at any
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(i64).range(16..=2048))]
    size: i64,
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
        (Some(Command::Export(args)), _) => export::run(&args.weights, &args.out, args.size),
        (Some(Command::Doctor), _) => {
            contract::tell!("{}", serde_json::json!(device::equipment()));
            Ok(())
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
