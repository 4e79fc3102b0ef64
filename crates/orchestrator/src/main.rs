//! `chumoku`: runs a study's stages, and checks the installation.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use orchestrator::check::{self, CheckArgs};
use orchestrator::crate_::{self, CrateArgs};
use orchestrator::init::{self, InitArgs};
use orchestrator::logs::{self, LogsArgs};
use orchestrator::predict::{self, PredictArgs};
use orchestrator::status::{self, StatusArgs};
use orchestrator::verify::{self, VerifyArgs};
use orchestrator::{Error, RunArgs};

/// Attention branch networks supervised by lung masks, from CT to an honest comparison
#[derive(Parser)]
#[command(name = "chumoku", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a study's YAML from a folder of CT or a manifest, asking what cannot be seen
    Init(InitArgs),
    /// Check a study before any work: settings, inputs, model, room and device
    Check(CheckArgs),
    /// Print the JSON Schema of a study's YAML
    Schema,
    /// Run a study: what is unchanged is skipped, the rest says why it runs
    Run(RunArgs),
    /// Say what a trained study makes of one CT: a patient's probability of each class, and where the networks looked
    Predict(PredictArgs),
    /// Say how far each task of a study is, how large its output, when it was made
    Status(StatusArgs),
    /// Print what a task's program wrote
    Logs(LogsArgs),
    /// Hold every file of a study against the receipts
    Verify(VerifyArgs),
    /// Put a finished study into an RO-Crate to share, without the patients' images
    Crate(CrateArgs),
    /// Check programs, libtorch, model, memory and disk
    Doctor,
}

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    // Nothing is begun while questions are asked, so that Ctrl-C ends them at once.
    if !matches!(command, Command::Init(_)) {
        contract::interrupt::install();
    }
    contract::cli::finish(dispatch(&command))
}

fn dispatch(command: &Command) -> Result<(), Error> {
    // The stage programs lie beside this one.
    let own = std::env::current_exe().map_err(|source| Error::Io { path: PathBuf::from("chumoku"), source })?;
    let folder = own.parent().unwrap_or(&own).to_owned();
    match command {
        Command::Init(args) => init::run(args, &folder),
        Command::Check(args) => check::run(args, &folder),
        Command::Schema => orchestrator::print(&contract::config::schema::text()),
        Command::Run(args) => orchestrator::run(args, &folder),
        Command::Predict(args) => predict::run(args, &folder),
        Command::Status(args) => status::run(args, &folder),
        Command::Logs(args) => logs::run(args),
        Command::Verify(args) => verify::run(args, &folder),
        Command::Crate(args) => crate_::run(args, &folder),
        Command::Doctor => orchestrator::doctor::run(&folder),
    }
}
