//! Checkpoints: weights, optimiser state, log and position of a run in one safetensors file.
//!
//! A checkpoint names the task it belongs to, so that a run never goes on from another configuration's state.

use std::collections::BTreeMap;
use std::path::Path;

use contract::layout::CHECKPOINT_POSITION as POSITION;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Error;
use crate::log::{Partial, Row, Timing};
use crate::optimizer::Optimizer;
use crate::weights;

const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";

/// Where a run stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Position {
    /// Hash of the task: configuration and inputs.
    pub task: String,
    /// Epochs that are complete.
    pub epochs: u32,
    /// What is done of the next one, if the run was stopped within it.
    #[serde(default)]
    pub begun: Option<Begun>,
    /// Optimiser steps that are complete.
    pub steps: i64,
    /// The log so far.
    pub log: Vec<Row>,
    /// The clock so far.
    pub timing: Vec<Timing>,
}

/// The part of an epoch before a stop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// Batches that are complete.
    pub batches: usize,
    /// What was summed over them.
    pub sums: Partial,
    /// Seconds they took.
    pub seconds: f64,
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, position: &Position, model: &[(String, Tensor)], optimizer: &Optimizer) -> Result<(), Error> {
    let (state, steps) = optimizer.state();
    let position = Position { steps, ..position.clone() };
    let text = serde_json::to_vec(&position).map_err(std::io::Error::other).map_err(Error::at(path))?;
    let prefixed = |prefix: &str, list: &[(String, Tensor)]| -> Vec<(String, Tensor)> {
        list.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.shallow_clone())).collect()
    };
    let mut tensors = prefixed(MODEL, model);
    tensors.extend(prefixed(OPTIMIZER, &state));
    tensors.push((POSITION.to_owned(), Tensor::from_slice(&text)));
    weights::write(path, &tensors)
}

/// Restores model and optimiser and returns the position, or `None` where there is no checkpoint of `task`.
///
/// # Errors
/// The checkpoint is of this task but does not fit the network.
pub fn restore(
    path: &Path,
    task: &str,
    model: &[(String, Tensor)],
    optimizer: &mut Optimizer,
) -> Result<Option<Position>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    // A checkpoint is written whole, so an unreadable one is not ours: start afresh rather than fail.
    let Ok(mut tensors) = weights::read(path) else { return Ok(None) };
    let Some(position) = tensors.get(POSITION).and_then(position) else { return Ok(None) };
    if position.task != task {
        return Ok(None);
    }
    let part: BTreeMap<String, Tensor> = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(MODEL)?.to_owned(), tensor.shallow_clone())))
        .collect();
    weights::load_into(model, &part, path)?;
    let device = model.first().map_or(tch::Device::Cpu, |(_, tensor)| tensor.device());
    optimizer.restore(|name| Some(tensors.remove(&format!("{OPTIMIZER}{name}"))?.to_device(device)), position.steps);
    Ok(Some(position))
}

fn position(tensor: &Tensor) -> Option<Position> {
    let bytes: Vec<u8> = Vec::try_from(tensor.to_kind(Kind::Uint8)).ok()?;
    serde_json::from_slice(&bytes).ok()
}
