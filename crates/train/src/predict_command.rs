//! `chumoku-train predict`: anyone's slices through the weights of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::config;
use contract::layout::CONFIG;
use serde_json::Value;
use tch::{Device, Tensor};

use crate::abn::{Architecture, Compute};
use crate::batch::Pixels;
use crate::predict::{self, Origin, Prediction, Question};
use crate::run::Model;
use crate::{Error, data, device, weights};

/// Predicts every slice of `slices` with each of `weights` into `out`: the mean of their softmax values and maps. Architecture, channels and
/// classes are read off the weights' shapes; mean and standard deviation of the pixels off the `config.yaml` beside them, or the defaults.
///
/// # Errors
/// Weights that are missing or do not fit, slices that cannot be read, a device that is not there.
pub fn run(weights: &[PathBuf], slices: &Path, out: &Path, device: &str, threads: u32) -> Result<(), Error> {
    let device = device::open(device, threads)?;
    let slices = data::read_slices(slices)?;
    let all: Vec<usize> = (0..slices.rows.len()).collect();
    let mut answers: Vec<Vec<Prediction>> = Vec::new();
    let mut origins = Vec::new();
    for path in weights {
        let (mut model, settings) = open(path, slices.side, device)?;
        let id = format!("predict {}/{}", answers.len() + 1, weights.len());
        let question = Question { slices: &slices, positions: &all, pixels: settings.pixels, curves: 0, id: &id };
        let answer = predict::predict(&mut model, question)?;
        if answers.first().is_some_and(|first: &Vec<Prediction>| shape_of(first) != shape_of(&answer)) {
            let problem =
                "another number of classes, or with and without attention, than the weights before it".to_owned();
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
    /// Names of the classes, as many as the network has, or none.
    pub classes: Vec<String>,
}

/// The network of a run for slices of `side` pixels, with its weights.
///
/// # Errors
/// Weights that are missing or no network's.
pub fn open(path: &Path, side: usize, device: Device) -> Result<(Model, Settings), Error> {
    let found = weights::read(path)?;
    let (architecture, channels, classes) = shape(&found, path)?;
    let model = Model::new(architecture, channels, classes, Compute::of_side(side as i64), device);
    weights::load_into(&model.tensors, &found, path)?;
    let settings = settings(path);
    let number = |key: &str| settings.pointer(&format!("/train/{key}")).and_then(Value::as_f64);
    let (Some(mean), Some(std)) = (number("mean"), number("std")) else {
        let problem = format!("no train.mean and train.std in {CONFIG} beside it or in the defaults");
        return Err(Error::NotWeights { path: path.to_owned(), problem });
    };
    let integer = |key: &str| settings.get(key).and_then(Value::as_i64).unwrap_or(-1);
    let origin = Origin {
        method: settings.get("method").and_then(Value::as_str).unwrap_or("weights").to_owned(),
        fold: i32::try_from(integer("fold")).unwrap_or(-1),
        seed: integer("seed"),
    };
    let names = settings.get("classes").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    if names.len() as i64 != classes {
        names.clear();
    }
    Ok((model, Settings { pixels: Pixels { mean, std, channels: channels as usize }, origin, classes: names }))
}

/// Architecture, input channels and classes of a state dict.
fn shape(found: &BTreeMap<String, Tensor>, path: &Path) -> Result<(Architecture, i64, i64), Error> {
    let size = |name: &str, axis: usize| {
        let missing = || Error::WrongWeights { path: path.to_owned(), problem: format!("missing: {name}") };
        found.get(name).and_then(|tensor| tensor.size().get(axis).copied()).ok_or_else(missing)
    };
    let architecture = if found.contains_key("att_conv.weight") { Architecture::Abn } else { Architecture::ResNet18 };
    Ok((architecture, size("conv1.weight", 1)?, size("fc.weight", 0)?))
}

/// The run's `config.yaml`, or the defaults where there is none.
fn settings(weights: &Path) -> Value {
    let beside = weights.with_file_name(CONFIG);
    let text = std::fs::read_to_string(beside).unwrap_or_else(|_| config::DEFAULTS.to_owned());
    config::from_yaml(&text)
}
