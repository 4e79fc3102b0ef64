//! The network, the losses, the gradients and three SGD steps against a reference implementation in PyTorch, f64.
//!
//! Each JSON in `tests/fixtures` (and in the folder that CHUMOKU_SHARED names, if any) holds closed-form weights by a rule
//! and what PyTorch made of them. Files with other salts, sizes and numbers of classes are read when they are put there.

use std::path::PathBuf;

use contract::config::{Config, MapLoss, Precision, Train};
use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad};
use train::abn::{Architecture, Compute, Output};
use train::loss::{self, Terms};
use train::optimizer::Optimizer;
use train::run::Model;
use train::schedule::Weights;

/// Gradients smaller than this are compared absolutely: that of `bn_att.bias` is zero in exact arithmetic, because `bn_att2`
/// removes any constant, and rounding noise on both sides.
const ZERO: f64 = 1e-3;
/// In f32 the first forward pass keeps 1e-4. Behind it a pre-activation near 0 may round to the other side of a ReLU, so that
/// gradients and later steps differ by up to this much (4e-3 measured, in either memory layout); f64 holds 1e-9 throughout.
const F32_AFTER_RELU: f64 = 2e-2;
const GAMMA: Weights = Weights { att: 1.0, per: 1.0, map: 1.0 };

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `u(name, i)` of the fixtures' rule, in [0, 1).
fn uniform(salt: &str, name: &str, count: usize) -> Vec<f64> {
    let start = fnv1a64(&format!("{salt}{name}"));
    let value = |i: u64| (splitmix64(start.wrapping_add(i)) >> 11) as f64 / (1_u64 << 53) as f64;
    (0..count as u64).map(value).collect()
}

struct Case {
    name: String,
    json: Value,
    kind: Kind,
    /// Largest relative error of a first forward pass: 1e-4 in f32, 1e-9 in f64.
    forward: f64,
    /// Largest relative error of gradients and of what follows an update.
    backward: f64,
}

impl Case {
    fn number(&self, key: &str) -> i64 {
        self.json[key].as_i64().unwrap()
    }

    fn tensor(&self, name: &str, shape: &[i64], rule: impl Fn(f64) -> f64) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let values = uniform(self.json["salt"].as_str().unwrap(), name, count).into_iter().map(rule);
        Tensor::from_slice(&values.collect::<Vec<f64>>()).view(shape).to_kind(self.kind)
    }

    fn model(&self) -> Model {
        let (channels, classes) = (self.number("in_channels"), self.number("classes"));
        let compute = Compute { side: self.number("size"), precision: Precision::F32 };
        let mut model = Model::new(Architecture::Abn, channels, classes, compute, Device::Cpu);
        if self.kind == Kind::Double {
            model.double();
        }
        for (name, tensor) in &model.tensors {
            let shape = tensor.size();
            let fan_in: i64 = shape.iter().skip(1).product();
            let value = self.tensor(name, &shape, |u| match name.rsplit('.').next() {
                _ if shape.len() >= 2 => (6.0 / fan_in as f64).sqrt() * (2.0 * u - 1.0),
                Some("weight") => 1.0 + 0.1 * (2.0 * u - 1.0),
                Some("running_var") => 1.0 + 0.5 * u,
                _ => 0.1 * (2.0 * u - 1.0),
            });
            no_grad(|| tensor.shallow_clone().copy_(&value));
        }
        model
    }

    fn input(&self) -> Tensor {
        let (n, side) = (self.number("batch"), self.number("size"));
        self.tensor("input", &[n, self.number("in_channels"), side, side], |u| 4.0 * u - 2.0)
    }

    fn mask(&self) -> Tensor {
        let (n, side) = (self.number("batch"), self.number("size"));
        let mask = self.tensor("mask", &[n, 1, side, side], |u| f64::from(u8::from(u < 0.3)));
        loss::mask_to_map(&mask, self.number("map"))
    }

    fn labels(&self) -> Tensor {
        Tensor::from_slice(&serde_json::from_value::<Vec<i64>>(self.json["labels"].clone()).unwrap())
    }

    fn terms(&self, output: &Output, mask: &Tensor, labels: &Tensor) -> Terms {
        loss::terms(output, labels, mask, GAMMA, MapLoss::Mse, None)
    }

    fn close(&self, what: &str, got: f64, expected: &Value, scale: f64) {
        let expected = expected.as_f64().unwrap();
        let error = (got - expected).abs() / scale.max(ZERO);
        let first = ["eval", "train", "step 0"].iter().any(|start| what.starts_with(start));
        let tolerance = if first { self.forward } else { self.backward };
        assert!(error <= tolerance, "{} {what}: got {got}, expected {expected}, relative {error:e}", self.name);
    }

    fn all_close(&self, what: &str, got: &Tensor, expected: &Value) {
        let expected: Vec<Vec<f64>> = serde_json::from_value(expected.clone()).unwrap();
        let got = Vec::<Vec<f64>>::try_from(got.flatten(1, -1).to_kind(Kind::Double).contiguous()).unwrap();
        assert_eq!((got.len(), got[0].len()), (expected.len(), expected[0].len()), "{what}");
        let scale = expected.iter().flatten().fold(0.0_f64, |max, value| max.max(value.abs()));
        for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
            self.close(what, *got, &Value::from(*expected), scale);
        }
    }

    /// Sum and sum of magnitudes; the latter is the scale of both, since sums cancel.
    fn sums(&self, what: &str, tensor: &Tensor, expected: &Value) {
        let tensor = tensor.to_kind(Kind::Double);
        let scale = expected["abs_sum"].as_f64().unwrap();
        self.close(&format!("{what} sum"), tensor.sum(Kind::Double).double_value(&[]), &expected["sum"], scale);
        self.close(
            &format!("{what} abs_sum"),
            tensor.abs().sum(Kind::Double).double_value(&[]),
            &expected["abs_sum"],
            scale,
        );
    }

    fn evaluation(&self) {
        let mut model = self.model();
        for folded in [false, true] {
            if folded {
                model.network.fold();
            }
            let output = no_grad(|| model.network.forward(&self.input(), false));
            let attention = output.attention.unwrap();
            self.all_close("eval att_logits", &attention.logits, &self.json["eval"]["att_logits"]);
            self.all_close("eval per_logits", &output.per_logits, &self.json["eval"]["per_logits"]);
            self.all_close("eval map", &attention.map, &self.json["eval"]["map"]);
        }
    }

    fn gradients(&self) {
        let model = self.model();
        let output = model.network.forward(&self.input(), true);
        let expected = &self.json["train"];
        self.all_close("train att_logits", &output.attention.as_ref().unwrap().logits, &expected["att_logits"]);
        self.all_close("train per_logits", &output.per_logits, &expected["per_logits"]);
        let terms = self.terms(&output, &self.mask(), &self.labels());
        self.losses("train", &terms, expected);
        terms.total.backward();
        let grads = expected["grads"].as_object().unwrap();
        assert_eq!(grads.len(), model.parameters().len());
        for (name, tensor) in model.parameters() {
            let grad = tensor.grad();
            self.sums(&format!("grad {name}"), &grad, &grads[&name]);
            let first: Vec<f64> = serde_json::from_value(grads[&name]["first"].clone()).unwrap();
            let got = Vec::<f64>::try_from(grad.contiguous().flatten(0, -1).to_kind(Kind::Double)).unwrap();
            let scale = got.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
            for (got, expected) in got.iter().zip(&first) {
                self.close(&format!("grad {name} first"), *got, &Value::from(*expected), scale);
            }
        }
    }

    fn losses(&self, what: &str, terms: &Terms, expected: &Value) {
        let terms =
            [("loss_att", terms.att.as_ref()), ("loss_per", Some(&terms.per)), ("loss_map", terms.map.as_ref())];
        for (name, term) in terms {
            let scale = expected[name].as_f64().unwrap();
            self.close(&format!("{what} {name}"), term.unwrap().double_value(&[]), &expected[name], scale);
        }
    }

    fn sgd_steps(&self) {
        let expected = &self.json["sgd_steps"];
        let number = |key: &str| expected[key].as_f64().unwrap();
        let settings = settings(number("momentum"), number("weight_decay"));
        let model = self.model();
        let mut optimizer = Optimizer::new(&settings, model.parameters());
        let (input, mask, labels) = (self.input(), self.mask(), self.labels());
        for (step, losses) in expected["losses"].as_array().unwrap().iter().enumerate() {
            let output = model.network.forward(&input, true);
            let terms = self.terms(&output, &mask, &labels);
            self.losses(&format!("step {step}"), &terms, losses);
            optimizer.descend(&terms.total, number("lr")).unwrap();
        }
        let after = expected["after"].as_object().unwrap();
        assert_eq!(after.len(), model.tensors.len());
        for (name, tensor) in &model.tensors {
            self.sums(&format!("after {name}"), tensor, &after[name]);
        }
    }
}

fn settings(momentum: f64, weight_decay: f64) -> Train {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study.yaml");
    std::fs::write(&study, "study: reference\n").unwrap();
    let set = [
        "train.optimizer=sgd".to_owned(),
        format!("train.momentum={momentum}"),
        format!("train.weight_decay={weight_decay}"),
    ];
    Config::load(&study, &set).unwrap().methods.remove(0).train
}

fn cases() -> Vec<Case> {
    let mut all = cases_in(Kind::Float, 1e-4, F32_AFTER_RELU);
    all.extend(cases_in(Kind::Double, 1e-9, 1e-9));
    all
}

fn cases_in(kind: Kind, forward: f64, backward: f64) -> Vec<Case> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")];
    folders.extend(std::env::var_os("CHUMOKU_SHARED").map(|shared| PathBuf::from(shared).join("fixtures")));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("abn_")));
    paths.sort();
    assert!(paths.len() >= 2, "no fixtures found");
    let case = |path: &PathBuf| {
        let json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Case { name: format!("{} {kind:?}", path.display()), json, kind, forward, backward }
    };
    paths.iter().map(case).collect()
}

#[test]
fn outputs_in_evaluation_agree() {
    cases().iter().for_each(Case::evaluation);
}

#[test]
fn losses_and_gradients_agree() {
    cases().iter().for_each(Case::gradients);
}

#[test]
fn three_sgd_steps_agree() {
    cases().iter().for_each(Case::sgd_steps);
}
