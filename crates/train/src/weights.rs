//! Weights in and out as safetensors. Missing, surplus and misshapen tensors are named.

use std::collections::BTreeMap;
use std::path::Path;

use contract::atomic::FileWriter;
use tch::{Device, Tensor, no_grad};

use crate::Error;

/// PyTorch counts batches in batch norm; nothing uses the count.
const IGNORED_SUFFIX: &str = "num_batches_tracked";
/// How many names an error lists.
const NAMES_SHOWN: usize = 5;

/// Reads all tensors of a file, by name.
///
/// # Errors
/// The file is missing or not safetensors.
pub fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, Error> {
    if !path.exists() {
        return Err(Error::NoWeights { path: path.to_owned() });
    }
    let tensors = Tensor::read_safetensors(path);
    let tensors = tensors.map_err(|error| Error::NotWeights { path: path.to_owned(), problem: error.to_string() })?;
    Ok(tensors.into_iter().filter(|(name, _)| !name.ends_with(IGNORED_SUFFIX)).collect())
}

/// Writes tensors whole or not at all, in plain memory order, sorted by name.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    let plain: BTreeMap<&str, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.detach().to_device(Device::Cpu).contiguous()))
        .collect();
    let list: Vec<(&str, &Tensor)> = plain.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let file = FileWriter::create(path).map_err(Error::at(path))?;
    let written = Tensor::write_safetensors(&list, file.temporary());
    written.map_err(|source| Error::NotWritten { path: path.to_owned(), source })?;
    file.commit().map_err(Error::at(path))
}

/// Copies the tensors of `found` into the network's `targets`. Every name must be there with its shape, and no other.
///
/// # Errors
/// Names what is missing, surplus or misshapen.
pub fn load_into(targets: &[(String, Tensor)], found: &BTreeMap<String, Tensor>, path: &Path) -> Result<(), Error> {
    let mut problems = Vec::new();
    let missing = targets.iter().filter(|(name, _)| !found.contains_key(name)).map(|(name, _)| name.clone());
    list_names("missing", missing.collect(), &mut problems);
    let known: BTreeMap<&str, &Tensor> = targets.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let surplus = found.keys().filter(|name| !known.contains_key(name.as_str())).cloned();
    list_names("surplus", surplus.collect(), &mut problems);
    let misshapen = targets.iter().filter_map(|(name, target)| {
        let tensor = found.get(name)?;
        (tensor.size() != target.size()).then(|| format!("{name} is {:?}, expected {:?}", tensor.size(), target.size()))
    });
    list_names("misshapen", misshapen.collect(), &mut problems);
    if !problems.is_empty() {
        return Err(Error::WrongWeights { path: path.to_owned(), problem: problems.join("; ") });
    }
    no_grad(|| {
        for (name, target) in targets {
            target.shallow_clone().copy_(&found[name]);
        }
    });
    Ok(())
}

fn list_names(what: &str, names: Vec<String>, problems: &mut Vec<String>) {
    if names.is_empty() {
        return;
    }
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    problems.push(format!("{what}: {}{tail}", names[..names.len().min(NAMES_SHOWN)].join(", ")));
}
