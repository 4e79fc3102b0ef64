//! CT to lung masks to windowed slices: the first stage, and the one-shot segmentation of a volume.
//!
//! [`protocol`], [`cleanup`], [`runs`], [`window`], [`morphology`], [`patients`], [`geometry`], [`lungs`], [`survey`], [`ct_slice`],
//! [`preflight`] and [`choice`] are pure functions;
//! [`dicom`], [`hounsfield`], [`images`], [`labels`], [`lesions`] and [`nifti_io`] read; [`privacy`] names patients; [`model`] runs the network;
//! [`stage`] (by way of [`inputs`], [`pipeline`], [`finish`]), and [`segment`], [`prepare`] and [`paint`] (by way of [`source`], [`volume`])
//! put them together.

pub mod choice;
pub mod cleanup;
mod contain;
pub mod ct_slice;
pub mod dicom;
pub mod doctor;
pub mod error;
pub mod finish;
pub mod geometry;
pub mod hounsfield;
pub mod images;
pub mod inputs;
pub mod inspect;
pub mod labels;
pub mod lesions;
pub mod lung_series;
pub mod lungs;
pub mod model;
pub mod morphology;
pub mod nifti_io;
pub mod overlay;
pub mod paint;
pub mod patients;
pub mod pipeline;
pub mod preflight;
pub mod prepare;
pub mod privacy;
pub mod protocol;
pub mod quality;
pub mod runs;
pub mod second_choice;
pub mod segment;
pub mod sheet;
pub mod slices;
pub mod source;
pub mod splits;
pub mod stage;
pub mod survey;
pub mod timing;
pub mod unet;
pub mod unet_training;
pub mod volume;
pub mod whois;
pub mod window;

use contract::cli::{self, SetArgs, StageArgs, Start};
use contract::receipt::TaskError;
use contract::{instructions, owner, plan};

pub use error::Error;

/// Runs the stage of a study, unless its output is up to date, and prints what it did.
///
/// # Errors
/// See [`stage::process`]; nothing is left under the output's name then.
pub fn run(args: &StageArgs, set: SetArgs) -> Result<(), Error> {
    let config = set.of(args.load()?)?;
    instructions::hold(config.instructions)?;
    owner::claim(&config).map_err(TaskError::Owned)?;
    let mut summary = None;
    cli::run_task(&plan::preprocess(&config), args.force, Start::Fresh, |folder| {
        let done = stage::process(&config, folder.path())?;
        let environment = done.environment.clone();
        summary = Some(done);
        Ok::<_, Error>(environment)
    })?;
    if let Some(summary) = summary {
        contract::tell!("{}", summary.to_string().trim_end());
    }
    Ok(())
}
