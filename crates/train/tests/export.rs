//! The exported TorchScript file, made by the real binary and loaded again.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tch::{CModule, Device, Kind, Tensor};
use train::abn::{Architecture, Compute};
use train::batch::Pixels;
use train::run::Model;
use train::{export, init, weights};

const CONFIG: &str = "classes: [left, right, none]\nmethod: m\nfold: 1\nseed: 5\ntrain: {mean: 0.25, std: 0.5}\n";

/// A model drawn from a seed with its weights on disk, exported.
fn exported(folder: &Path, architecture: Architecture, channels: i64) -> (Model, PathBuf) {
    let model = Model::new(architecture, channels, 3, Compute::of_side(64), Device::Cpu);
    init::draw(&model.tensors, 1);
    let (file, out) = (folder.join("weights.safetensors"), folder.join("net.pt"));
    weights::write(&file, &model.tensors).unwrap();
    std::fs::write(folder.join("config.yaml"), CONFIG).unwrap();
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.args(["export", "--size", "64", "--weights"]).arg(&file).arg("--out").arg(&out);
    command.assert().success();
    (model, out)
}

fn grey(batch: i64, side: i64) -> Tensor {
    Tensor::linspace(0.0, 40.0, batch * side * side, (Kind::Float, Device::Cpu))
        .cos()
        .abs()
        .view([batch, 1, side, side])
}

/// The network's outputs with normalisation and repetition as (x - mean) / std, in f64 before the network. With 0.25 and 0.5 nothing
/// is lost in f32, either: an untrained network makes much of a last digit.
fn expected(model: &Model, channels: i64, x: &Tensor) -> Vec<Tensor> {
    let x: Tensor = (x.to_kind(Kind::Double) - 0.25) / 0.5;
    let output = model.network.forward(&x.to_kind(Kind::Float).repeat([1, channels, 1, 1]), false);
    let mut all = vec![output.per_logits.softmax(-1, Kind::Float)];
    if let Some(attention) = output.attention {
        all.extend([attention.logits.softmax(-1, Kind::Float), attention.map]);
    }
    all
}

#[test]
fn the_file_gives_the_networks_outputs_at_any_batch_and_side() {
    for (architecture, channels, outputs) in [(Architecture::Abn, 3, 3), (Architecture::ResNet18, 1, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let (model, out) = exported(folder.path(), architecture, channels);
        let module = CModule::load(&out).unwrap();
        for (batch, side) in [(1, 64), (5, 64), (2, 97)] {
            let x = grey(batch, side);
            let (expected, found) = (expected(&model, channels, &x), export::outputs(&module, &x).unwrap());
            assert_eq!(found.len(), outputs);
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected.size(), found.size());
                let difference = (expected - found).abs().max().double_value(&[]);
                assert!(difference < 1e-5, "{architecture:?}, {batch} x {side}: {difference}");
            }
        }
        let card: Value = serde_json::from_slice(&std::fs::read(out.with_extension("json")).unwrap()).unwrap();
        assert_eq!(card["classes"], serde_json::json!(["left", "right", "none"]));
        assert_eq!(card["outputs"].as_array().unwrap().len(), outputs);
        assert_eq!((card["normalisation"]["mean"].as_f64(), card["run"]["seed"].as_i64()), (Some(0.25), Some(5)));
    }
}

#[test]
fn the_bytes_repeat_and_do_not_depend_on_the_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out) = exported(folder.path(), Architecture::Abn, 1);
    let first = std::fs::read(&out).unwrap();
    let other = folder.path().join("another.pt");
    export::run(&folder.path().join("weights.safetensors"), &other, 32).unwrap();
    assert!(first == std::fs::read(other).unwrap());
}

#[test]
fn missing_weights_are_exit_code_6() {
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    let assert = command.args(["export", "--weights", "/nowhere.safetensors", "--out", "/nowhere.pt"]).assert().code(6);
    assert!(String::from_utf8_lossy(&assert.get_output().stderr).contains("/nowhere.safetensors"));
}

#[test]
fn the_pass_takes_values_in_0_to_1() {
    // Grey at the mean becomes 0 for the network, whatever the standard deviation.
    let model = Model::new(Architecture::ResNet18, 1, 2, Compute::of_side(64), Device::Cpu);
    init::draw(&model.tensors, 1);
    let x = Tensor::full([1, 1, 64, 64], 0.25, (Kind::Float, Device::Cpu));
    let found = export::forward(&model, Pixels { mean: 0.25, std: 0.01, channels: 1 }, &x);
    let zeros = model.network.forward(&x.zeros_like(), false).per_logits.softmax(-1, Kind::Float);
    assert_eq!(found[0], zeros);
}
