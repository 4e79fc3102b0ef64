//! Initial weights: drawn from the seed by name, or read from a file.
//!
//! Drawn. Convolutions: He et al. (arXiv:1502.01852), normal with variance 2 / fan_out, as torchvision's ResNet. Batch norm: 1 and 0.
//! The last layer: uniform within 1 / sqrt(fan_in), PyTorch's default. Drawn on the CPU by a counter, so the device and the
//! number of threads do not change them.
//!
//! Read. A file with every tensor of the network is taken as it is. A ResNet18 in torchvision's names (`tools/export_torchvision.py`)
//! starts an ABN, too: the attention branch's copy of layer 4 starts as layer 4, and its head is drawn.

use std::collections::BTreeMap;
use std::path::Path;

use contract::random;
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};

use crate::{Error, weights};

/// The first convolution, (64, C, 7, 7).
const FIRST: &str = "conv1.weight";
/// The last layer: weight (K, 512) and bias (K).
const LAST: [&str; 2] = ["fc.weight", "fc.bias"];
/// What the attention branch's copy of a layer is called, and the layer.
const COPY: (&str, &str) = ("att_layer4.", "layer4.");
/// How the names of the rest of the attention branch begin.
const HEAD: [&str; 2] = ["att_conv", "bn_att"];

/// Gives the named tensors their initial values: those of `file`, or those drawn for `seed`. Returns what to tell about the file.
///
/// # Errors
/// The file is missing or not safetensors; tensors in it are missing, surplus or misshapen.
pub fn start(tensors: &[(String, Tensor)], seed: u64, file: Option<&Path>) -> Result<Option<String>, Error> {
    let Some(path) = file else {
        draw(tensors, seed);
        return Ok(None);
    };
    let mut found = weights::read(path)?;
    let mut told = Vec::new();
    let mut drawn = Vec::new();
    let (mut head, mut last) = (false, false);
    if !found.keys().any(|name| is_attention(name)) {
        told.extend(fit_channels(tensors, &mut found));
        told.extend(copy_layer(tensors, &mut found));
        let without = leave_out_last(tensors, &mut found);
        last = without.is_some();
        drawn.extend(without);
        head = tensors.iter().any(|(name, _)| is_head(name));
        drawn.extend(head.then(|| "the head of the attention branch".to_owned()));
    }
    let is_drawn = |name: &str| (head && is_head(name)) || (last && LAST.contains(&name));
    let all = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
    let (left, taken): (Vec<_>, Vec<_>) = all.partition(|(name, _)| is_drawn(name));
    draw(&left, seed);
    weights::load_into(&taken, &found, path).map_err(|error| with_remedy(error, &taken, &found))?;
    let drawn = if drawn.is_empty() { "nothing".to_owned() } else { drawn.join(" and ") };
    told.insert(0, format!("starts from {}: {} tensors", path.display(), taken.len()));
    Ok(Some(format!("{}; drawn from the seed: {drawn}", told.join(", "))))
}

/// Weights that do not fit, with what to do about it.
fn with_remedy(error: Error, tensors: &[(String, Tensor)], found: &BTreeMap<String, Tensor>) -> Error {
    let Error::WrongWeights { path, problem } = error else { return error };
    let channels = |tensor: Option<&Tensor>| tensor.and_then(|tensor| tensor.size().get(1).copied());
    let (have, want) = (channels(found.get(FIRST)), channels(target(tensors, FIRST)));
    let has_branch = found.keys().any(|name| is_attention(name));
    let wants_branch = tensors.iter().any(|(name, _)| is_attention(name));
    let mut remedies = Vec::new();
    if have != want {
        remedies.extend(have.filter(|have| matches!(have, 1 | 3)).map(|have| format!("set train.channels: {have}")));
    }
    if has_branch && !wants_branch {
        remedies.push("give it to a method with an attention branch (train.loss other than resnet18)".to_owned());
    }
    let own = if remedies.is_empty() { String::new() } else { format!("{}; or ", remedies.join(" and ")) };
    let others = "name the file of a network as this one, or set train.init: null";
    Error::WrongWeights { path, problem: format!("{problem}; {own}{others}") }
}

fn is_head(name: &str) -> bool {
    HEAD.iter().any(|start| name.starts_with(start))
}

fn is_attention(name: &str) -> bool {
    is_head(name) || name.starts_with(COPY.0)
}

fn target<'a>(tensors: &'a [(String, Tensor)], wanted: &str) -> Option<&'a Tensor> {
    tensors.iter().find_map(|(name, tensor)| (name == wanted).then_some(tensor))
}

/// A network of one channel sees what the file's network sees in the same grey repeated: the sum over its channels.
fn fit_channels(tensors: &[(String, Tensor)], found: &mut BTreeMap<String, Tensor>) -> Option<String> {
    let first = found.get_mut(FIRST)?;
    let channels = |tensor: &Tensor| tensor.size().get(1).copied().unwrap_or_default();
    let (have, want) = (channels(first), channels(target(tensors, FIRST)?));
    (want == 1 && have > 1).then(|| {
        *first = first.sum_dim_intlist([1_i64].as_slice(), true, None::<Kind>);
        format!("{FIRST} summed over its {have} channels")
    })
}

fn copy_layer(tensors: &[(String, Tensor)], found: &mut BTreeMap<String, Tensor>) -> Option<String> {
    let (copy, layer) = COPY;
    let wanted = |name: &String| name.starts_with(layer) && target(tensors, &format!("att_{name}")).is_some();
    let copies: Vec<_> = found.iter().filter(|(name, _)| wanted(name)).collect();
    let copies: Vec<_> =
        copies.into_iter().map(|(name, tensor)| (format!("att_{name}"), tensor.shallow_clone())).collect();
    let any = !copies.is_empty();
    found.extend(copies);
    any.then(|| format!("{copy}* as {layer}*"))
}

/// Leaves out the last layer of a file with another number of classes.
fn leave_out_last(tensors: &[(String, Tensor)], found: &mut BTreeMap<String, Tensor>) -> Option<String> {
    let classes = |tensor: &Tensor| tensor.size().first().copied();
    let (have, want) = (classes(found.get(LAST[0])?)?, classes(target(tensors, LAST[0])?)?);
    (have != want).then(|| {
        LAST.iter().for_each(|name| drop(found.remove(*name)));
        format!("the last layer (the file has {have} classes, the study {want})")
    })
}

/// Pairs of uniform numbers become pairs of normal ones (Box and Muller, 1958).
fn normals(rng: &mut random::ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (u, v): (f64, f64) = (1.0 - rng.random_range(0.0..1.0), rng.random_range(0.0..1.0));
        let radius = (-2.0 * u.ln()).sqrt() * deviation;
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        values.push((radius * cos) as f32);
        values.push((radius * sin) as f32);
    }
    values.truncate(count);
    values
}

/// Fills named tensors with the project's initial values for `seed`.
pub fn draw(tensors: &[(String, Tensor)], seed: u64) {
    no_grad(|| {
        for (name, tensor) in tensors {
            let mut rng = random::stream(seed, &format!("init/{name}"), &[]);
            let shape = tensor.size();
            let count = tensor.numel();
            let mut target = tensor.shallow_clone();
            match (shape.as_slice(), name.rsplit('.').next()) {
                ([out, _, height, width], _) => {
                    let deviation = (2.0 / (out * height * width) as f64).sqrt();
                    target.copy_(&Tensor::from_slice(&normals(&mut rng, count, deviation)).view(shape.as_slice()));
                }
                ([_, fan_in], _) => fill_uniform(&mut target, &mut rng, *fan_in),
                (_, Some("weight" | "running_var")) => {
                    let _ = target.fill_(1.0);
                }
                _ => {
                    let _ = target.fill_(0.0);
                }
            }
        }
    });
}

fn fill_uniform(target: &mut Tensor, rng: &mut random::ChaCha8Rng, fan_in: i64) {
    let bound = 1.0 / (fan_in as f32).sqrt();
    let values: Vec<f32> = (0..target.numel()).map(|_| rng.random_range(-bound..bound)).collect();
    target.copy_(&Tensor::from_slice(&values).view(target.size().as_slice()));
}
