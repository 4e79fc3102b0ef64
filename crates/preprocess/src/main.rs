//! The program `chumoku-preprocess`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use contract::cli::{SetArgs, StageArgs};
use preprocess::doctor::DoctorArgs;
use preprocess::inspect::LookArgs;
use preprocess::prepare::CtArgs;
use preprocess::segment::SegmentArgs;
use preprocess::unet_training::TrainUnetArgs;
use preprocess::whois::WhoisArgs;
use preprocess::{Error, doctor, inspect, paint, prepare, segment, unet_training, whois};

/// CT to Hounsfield units to lung masks to windowed slices.
#[derive(Debug, Parser)]
#[command(name = "chumoku-preprocess", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    stage: Option<StageArgs>,
    #[command(flatten)]
    set: SetArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Segment the lungs of one CT volume or image
    Segment(SegmentArgs),
    /// Make the slices of one CT, for the networks of a trained study
    Prepare(CtArgs),
    /// Lay what the networks said of prepared slices over their CT
    Paint(CtArgs),
    /// Train the lung U-Net on synthetic CT and export it
    TrainUnet(TrainUnetArgs),
    /// Print whose pseudonym a patient_id of the outputs is
    Whois(WhoisArgs),
    /// Load the lung model and print its SHA-256, for `chumoku doctor`
    #[command(hide = true)]
    Doctor(DoctorArgs),
    /// Print what a study would find in its input, for `chumoku check`
    #[command(hide = true)]
    Inspect(StageArgs),
    /// Print what a folder of DICOM files holds, for `chumoku init`
    #[command(hide = true)]
    Look(LookArgs),
}

fn run(arguments: Arguments) -> Result<(), Error> {
    match (arguments.command, arguments.stage) {
        (Some(Command::Segment(args)), _) => segment::run(&args),
        (Some(Command::Prepare(args)), _) => prepare::run(&args),
        (Some(Command::Paint(args)), _) => paint::run(&args),
        (Some(Command::TrainUnet(args)), _) => Ok(unet_training::run(&args)?),
        (Some(Command::Whois(args)), _) => whois::run(&args),
        (Some(Command::Doctor(args)), _) => doctor::run(&args),
        (Some(Command::Inspect(args)), _) => inspect::run(&args),
        (Some(Command::Look(args)), _) => inspect::look(&args),
        (None, Some(args)) => preprocess::run(&args, arguments.set),
        (None, None) => Err(Error::Usage(format!(
            "give --config STUDY.yaml or a command\n\n{}",
            Arguments::command().render_usage()
        ))),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    contract::interrupt::install();
    contract::cli::finish(run(arguments))
}
