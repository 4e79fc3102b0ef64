//! `chumoku-train export`: a run's network as one TorchScript file that needs nothing else, for PyTorch in Python or C++.
//!
//! Input: (N, 1, S, S) f32, the windowed slice in 0..1. Inside are what training did to pixels (mean, standard deviation, grey repeated)
//! and the softmax. Output of an ABN: `(prob, prob_att, attention)`, (N, K), (N, K) and (N, 1, m, m); of a ResNet18: `prob`. The network is
//! traced; nothing in it depends on the traced sizes, so that N and S are free.
//!
//! tch can only trace a pass that returns one tensor. So the outputs of an ABN are traced into one operation that takes all three and
//! whose result nobody wants, and `archive` then takes that operation's name out of the file's code, which leaves a tuple.

use std::path::Path;

use contract::{atomic, hash};
use serde_json::{Value, json};
use tch::{CModule, Device, IValue, Kind, Tensor};

use crate::batch::Pixels;
use crate::predict_command::{self, Settings};
use crate::run::Model;
use crate::{Error, archive, device, libtorch};

/// Side of the traced input: its map has one pixel, so that softmax values and map have shapes that one operation takes.
const TRACED_SIDE: i64 = 16;
/// Side that the weights in the file are laid out for, fixed so that the bytes do not depend on where it is checked.
const LAYOUT_SIDE: usize = 224;
/// Base name of the archive inside the file, fixed so that the bytes do not depend on the file's name.
const NAME: &str = "model";
/// Largest difference between the file's outputs and the network's; both run the same operations, in another order at most.
const TOLERANCE: f64 = 1e-5;

/// Exports `weights` to `out`, with a description beside it (`.json`). The file is loaded again and held against the network on `side`
/// pixels before it appears.
///
/// # Errors
/// Weights that are missing or do not fit, a file that cannot be written, outputs that differ.
pub fn run(weights: &Path, out: &Path, side: i64) -> Result<(), Error> {
    if let Some(message) = atomic::is_input(out, [weights]) {
        return Err(Error::Usage(message));
    }
    device::open("cpu", 1)?;
    let (model, settings) = predict_command::open(weights, LAYOUT_SIDE, Device::Cpu)?;
    let bytes = tch::no_grad(|| script(&model, settings.pixels, out))?;
    let module = CModule::load_data(&mut bytes.as_slice())?;
    let difference = tch::no_grad(|| largest_difference(&module, &model, settings.pixels, side))?;
    if difference.is_nan() || difference > TOLERANCE {
        let problem =
            format!("its outputs differ by {difference:.1e} from the network's, expected at most {TOLERANCE:.0e}");
        return Err(Error::Export { path: out.to_owned(), problem });
    }
    atomic::write(out, &bytes).map_err(Error::at(out))?;
    let beside = out.with_extension("json");
    let card = serde_json::to_vec_pretty(&card(weights, &model, &settings)?).map_err(std::io::Error::other);
    atomic::write(&beside, &card.map_err(Error::at(&beside))?).map_err(Error::at(&beside))?;
    contract::tell!(
        "export: {} and {}; outputs equal the network's within {difference:.1e}",
        out.display(),
        beside.display()
    );
    Ok(())
}

/// The pass that is exported: the outputs for `x` (N, 1, S, S) in 0..1.
pub fn forward(model: &Model, pixels: Pixels, x: &Tensor) -> Vec<Tensor> {
    // The same factor, rounded alike, as training multiplies by.
    let (mean, scale) = (f64::from(pixels.mean as f32), f64::from((1.0 / pixels.std) as f32));
    let x = (x - mean) * scale;
    let x = if pixels.channels == 1 { x } else { x.repeat([1, pixels.channels as i64, 1, 1]) }; // (N, C, S, S)
    let output = model.network.forward(&x, false);
    let mut outputs = vec![output.per_logits.softmax(-1, Kind::Float)];
    if let Some(attention) = output.attention {
        outputs.extend([attention.logits.softmax(-1, Kind::Float), attention.map]);
    }
    outputs
}

/// The bytes of the TorchScript file.
fn script(model: &Model, pixels: Pixels, out: &Path) -> Result<Vec<u8>, Error> {
    for (_, tensor) in model.parameters() {
        let _ = tensor.set_requires_grad(false); // a trace holds weights as constants
    }
    let example = Tensor::zeros([1, 1, TRACED_SIDE, TRACED_SIDE], (Kind::Float, Device::Cpu));
    let mut pass = |inputs: &[Tensor]| match forward(model, pixels, &inputs[0]).as_slice() {
        [prob, prob_att, map] => vec![prob.addcdiv(prob_att, map)],
        [prob, ..] => vec![prob.shallow_clone()],
        [] => Vec::new(),
    };
    let module = CModule::create_by_tracing(NAME, "forward", &[example], &mut pass)?;
    let folder = tempfile::tempdir().map_err(Error::at(out))?;
    let file = folder.path().join(NAME);
    module.save(&file)?;
    let traced = std::fs::read(&file).map_err(Error::at(&file))?;
    let problem = |problem| Error::Export { path: out.to_owned(), problem };
    archive::rewrite(&traced, CODE, return_all).map_err(problem)
}

/// End of the name of the code inside the archive.
const CODE: &str = "/__torch__.py";

/// Makes the code return what `addcdiv` takes. Unchanged where there is no `addcdiv`: a ResNet18 returns one tensor.
fn return_all(code: &str) -> Result<String, String> {
    const CALL: &str = "torch.addcdiv(";
    const RETURNS: [&str; 2] = [") -> Tensor:", ") -> Tuple[Tensor, Tensor, Tensor]:"];
    match code.matches(CALL).count() {
        0 => Ok(code.to_owned()),
        1 if code.matches(RETURNS[0]).count() == 1 => Ok(code.replace(CALL, "(").replace(RETURNS[0], RETURNS[1])),
        found => Err(format!("its code has {found} calls of addcdiv or not one function, expected one of each")),
    }
}

/// The outputs of a loaded file for `x` (N, 1, S, S).
///
/// # Errors
/// The file does not run, or returns something else.
pub fn outputs(module: &CModule, x: &Tensor) -> Result<Vec<Tensor>, Error> {
    let tensor = |value| if let IValue::Tensor(tensor) = value { Some(tensor) } else { None };
    let found = match module.forward_is(&[IValue::Tensor(x.shallow_clone())])? {
        IValue::Tuple(values) => values.into_iter().map(tensor).collect(),
        value => tensor(value).map(|tensor| vec![tensor]),
    };
    found.ok_or_else(|| Error::Torch(tch::TchError::Convert("expected tensors from the exported network".to_owned())))
}

/// The largest difference on a batch of three slices; the trace saw one.
fn largest_difference(module: &CModule, model: &Model, pixels: Pixels, side: i64) -> Result<f64, Error> {
    let x =
        Tensor::linspace(0.0, 12.0, 3 * side * side, (Kind::Float, Device::Cpu)).sin().abs().view([3, 1, side, side]);
    let (expected, found) = (forward(model, pixels, &x), outputs(module, &x)?);
    if expected.len() != found.len() || expected.iter().zip(&found).any(|(a, b)| a.size() != b.size()) {
        return Ok(f64::NAN);
    }
    let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs().max().double_value(&[]));
    Ok(differences.fold(0.0, f64::max))
}

fn card(weights: &Path, model: &Model, settings: &Settings) -> Result<Value, Error> {
    let mut outputs = vec![
        json!({ "name": "prob", "shape": "(N, K)", "meaning": "softmax of the perception branch: the diagnosis" }),
    ];
    if model.tensors.iter().any(|(name, _)| name.starts_with("att_")) {
        outputs.push(json!({ "name": "prob_att", "shape": "(N, K)", "meaning": "softmax of the attention branch" }));
        let meaning = "attention map in 0..1, m = ceil(S / 16)";
        outputs.push(json!({ "name": "attention", "shape": "(N, 1, m, m)", "meaning": meaning }));
    }
    Ok(json!({
        "format": format!("TorchScript, libtorch {}", libtorch::VERSION),
        "classes": settings.origins.classes.clone().unwrap_or_default(),
        "input": {
            "shape": "(N, 1, S, S)", "kind": "float32", "range": [0, 1],
            "window_hu": settings.origins.window_hu, "side": settings.origins.side,
            "meaning": "CT slice, 0 at the lower end of the study's window (preprocess.window_center_hu, window_width_hu), 1 at its upper",
        },
        "normalisation": {
            "inside": true, "mean": settings.pixels.mean, "std": settings.pixels.std, "channels": settings.pixels.channels,
        },
        "outputs": outputs,
        "run": { "method": settings.origin.method, "fold": settings.origin.fold, "seed": settings.origin.seed },
        "weights_blake3": hash::file(weights).map_err(Error::at(weights))?,
    }))
}
