//! `chumoku-train predict`: anyone's slices through the weights of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::config;
use contract::layout::CONFIG;
use contract::table::TableError;
use tch::{Device, Tensor};

use crate::abn::{Architecture, Compute};
use crate::batch::Pixels;
use crate::origins::Origins;
use crate::predict::{self, Origin, Prediction, Question};
use crate::run::Model;
use crate::{Error, data, device, weights};

/// Predicts every slice of `slices` with each of `weights` into `out`: the mean of their softmax values and maps. Architecture, channels and
/// classes are read off the weights' shapes; mean and standard deviation of the pixels off the `config.yaml` beside them, or the defaults.
///
/// # Errors
/// Weights that are missing or do not fit, slices that cannot be read, a device that is not there.
pub fn run(weights: &[PathBuf], slices: &Path, out: &Path, device: &str, threads: u32) -> Result<(), Error> {
    let inputs = weights.iter().map(PathBuf::as_path).chain([slices]);
    if let Some(message) = contract::atomic::is_input(out, inputs) {
        return Err(Error::Usage(message));
    }
    let device = device::open(device, threads)?;
    let slices = data::read_slices(slices).map_err(not_slices)?;
    // The order of the classes that all outputs get.
    let mut classes = slices.classes.clone();
    let all: Vec<usize> = (0..slices.rows.len()).collect();
    let mut answers: Vec<Vec<Prediction>> = Vec::new();
    let mut origins = Vec::new();
    for path in weights {
        let (mut model, settings) = open(path, slices.side, device)?;
        settings.origins.check(&slices, path)?;
        let order = settings.origins.order(classes.as_deref(), path)?;
        classes = classes.or_else(|| settings.origins.classes.clone());
        let id = format!("predict {}/{}", answers.len() + 1, weights.len());
        let question = Question { slices: &slices, positions: &all, pixels: settings.pixels, curves: 0, id: &id };
        let mut answer = predict::predict(&mut model, question)?;
        order.iter().for_each(|order| predict::reorder(&mut answer, order));
        if answers.first().is_some_and(|first: &Vec<Prediction>| shape_of(first) != shape_of(&answer)) {
            let problem =
                "another number of classes, or with and without attention, than the weights before it; give weights of one method"
                    .to_owned();
            return Err(Error::WrongWeights { path: path.clone(), problem });
        }
        answers.push(answer);
        origins.push(settings.origin);
    }
    let predictions = predict::mean(&answers);
    predict::write(out, &slices, &predictions, &common(&origins))?;
    contract::tell!("predict: {} slices with {} model(s), {}", predictions.len(), weights.len(), out.display());
    Ok(())
}

/// The error about a file that the user named, which no stage need have made.
fn not_slices(error: Error) -> Error {
    match error {
        Error::Table(TableError::Parquet { path, source }) => Error::NotSlices { path, problem: source.to_string() },
        other => other,
    }
}

/// Classes and whether there is attention; none without slices.
fn shape_of(answer: &[Prediction]) -> Option<(usize, bool)> {
    answer.first().map(|first| (first.prob.len(), first.attention.is_some()))
}

/// Of several runs what they have in common: the method, if it is one.
fn common(origins: &[Origin]) -> Origin {
    match origins {
        [one] => one.clone(),
        [first, rest @ ..] if rest.iter().all(|origin| origin.method == first.method) => {
            Origin { fold: -1, seed: -1, ..first.clone() }
        }
        _ => Origin { method: "several".to_owned(), fold: -1, seed: -1 },
    }
}

/// What stands beside a run's weights.
pub struct Settings {
    /// How pixels become numbers.
    pub pixels: Pixels,
    /// Which run it is.
    pub origin: Origin,
    /// What it was trained on.
    pub origins: Origins,
}

/// The network of a run for slices of `side` pixels, with its weights.
///
/// # Errors
/// Weights that are missing or no network's.
pub fn open(path: &Path, side: usize, device: Device) -> Result<(Model, Settings), Error> {
    let found = weights::read(path)?;
    let (architecture, channels, classes) = shape(&found, path)?;
    let model = Model::new(architecture, channels, classes, Compute::of_side(side as i64), device);
    weights::load_into(&model.tensors, &found, path).map_err(of_a_run)?;
    let origins = origins_of(path, classes)?;
    let Some((mean, std)) = origins.normalisation else {
        let problem = format!("no train.mean and train.std in {CONFIG} beside it or in the defaults");
        return Err(Error::NotWeights { path: path.to_owned(), problem });
    };
    let (method, fold, seed) = origins.run.clone().unwrap_or_else(|| ("weights".to_owned(), -1, -1));
    let origin = Origin { method, fold, seed };
    Ok((model, Settings { pixels: Pixels { mean, std, channels: channels as usize }, origin, origins }))
}

/// What to do about weights that are no network's.
const RUN: &str = "name the weights.safetensors of a run";

fn of_a_run(error: Error) -> Error {
    match error {
        Error::WrongWeights { path, problem } => Error::WrongWeights { path, problem: format!("{problem}; {RUN}") },
        other => other,
    }
}

/// What is known of a network of `classes` classes; of one without `config.yaml` no more than the defaults' normalisation.
fn origins_of(path: &Path, classes: i64) -> Result<Origins, Error> {
    let Some(origins) = Origins::beside(path)? else {
        let number = |key: &str| config::schema::default(&format!("train.{key}")).as_f64();
        contract::say!(
            "warning: no {CONFIG} beside {}: its classes, window and size are not known, and pixels are normalised by the defaults",
            path.display()
        );
        return Ok(Origins { normalisation: number("mean").zip(number("std")), ..Origins::default() });
    };
    match &origins.classes {
        Some(names) if names.len() as i64 != classes => {
            let problem = format!(
                "it has {classes} classes, the {CONFIG} beside it names {}; put the {CONFIG} of its own run beside it",
                names.len()
            );
            Err(Error::WrongWeights { path: path.to_owned(), problem })
        }
        _ => Ok(origins),
    }
}

/// Architecture, input channels and classes of a state dict.
fn shape(found: &BTreeMap<String, Tensor>, path: &Path) -> Result<(Architecture, i64, i64), Error> {
    let size = |name: &str, axis: usize| {
        let missing = || Error::WrongWeights { path: path.to_owned(), problem: format!("missing: {name}; {RUN}") };
        found.get(name).and_then(|tensor| tensor.size().get(axis).copied()).ok_or_else(missing)
    };
    let architecture = if found.contains_key("att_conv.weight") { Architecture::Abn } else { Architecture::ResNet18 };
    Ok((architecture, size("conv1.weight", 1)?, size("fc.weight", 0)?))
}
