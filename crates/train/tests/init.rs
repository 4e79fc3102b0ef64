//! Initial weights from files made here: what is taken, what is adapted, what is drawn, what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};
use train::abn::{Architecture, Compute};
use train::run::Model;
use train::{Error, init, weights};

const SEED: u64 = 3;
/// Classes of ImageNet, of which torchvision's file has its `fc`.
const IMAGENET: i64 = 1000;

fn model(architecture: Architecture, channels: i64, classes: i64) -> Model {
    Model::new(architecture, channels, classes, Compute::of_side(64), Device::Cpu)
}

/// A file of a ResNet18 of `channels` and `classes`, drawn for another seed, and what it holds. torchvision's names and shapes
/// are ours but for the counters of batch norm, which are added.
fn file(folder: &Path, architecture: Architecture, channels: i64, classes: i64) -> (PathBuf, Model) {
    let source = model(architecture, channels, classes);
    init::draw(&source.tensors, SEED + 1);
    let path = folder.join("weights.safetensors");
    let mut tensors: Vec<(String, Tensor)> = copies(&source);
    tensors.push(("bn1.num_batches_tracked".to_owned(), Tensor::from(7_i64)));
    weights::write(&path, &tensors).unwrap();
    (path, source)
}

fn copies(model: &Model) -> Vec<(String, Tensor)> {
    model.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.detach().copy())).collect()
}

fn by_name(model: &Model) -> BTreeMap<String, Tensor> {
    copies(model).into_iter().collect()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn one_channel_sees_what_three_see_in_repeated_grey() {
    let folder = tempfile::tempdir().unwrap();
    let (path, three) = file(folder.path(), Architecture::ResNet18, 3, 2);
    let one = model(Architecture::ResNet18, 1, 2);
    let told = init::start(&one.tensors, SEED, Some(&path)).unwrap().unwrap();
    assert!(told.contains("conv1.weight summed over its 3 channels"), "{told}");
    assert!(told.ends_with("drawn from the seed: nothing"), "{told}");
    let grey = Tensor::from_slice(&(0..2 * 64 * 64).map(|i| (i % 97) as f32 / 97.0).collect::<Vec<_>>());
    let grey = grey.view([2, 1, 64, 64]);
    let (expected, got) = (three.network.forward(&grey.repeat([1, 3, 1, 1]), false), one.network.forward(&grey, false));
    assert!(expected.per_logits.abs().max().double_value(&[]) > 0.1, "an output that says something");
    assert!(largest_difference(&expected.per_logits, &got.per_logits) < 1e-5);
}

#[test]
fn an_abn_starts_from_a_resnet18_with_its_head_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (path, source) = file(folder.path(), Architecture::ResNet18, 3, IMAGENET);
    let (abn, drawn) = (model(Architecture::Abn, 3, 2), model(Architecture::Abn, 3, 2));
    let told = init::start(&abn.tensors, SEED, Some(&path)).unwrap().unwrap();
    assert!(told.contains("att_layer4.* as layer4.*"), "{told}");
    assert!(told.contains("the file has 1000 classes, the study 2) and the head of the attention branch"), "{told}");
    init::draw(&drawn.tensors, SEED);
    let (source, drawn) = (by_name(&source), by_name(&drawn));
    let mut counts = [0; 3];
    for (name, tensor) in by_name(&abn) {
        let head = name.starts_with("fc.") || name.starts_with("bn_att") || name.starts_with("att_conv");
        let (kind, expected) = match name.strip_prefix("att_layer4.") {
            Some(rest) => (0, &source[&format!("layer4.{rest}")]),
            None if head => (1, &drawn[&name]),
            None => (2, &source[&name]),
        };
        counts[kind] += 1;
        assert_eq!(tensor, *expected, "{name}");
    }
    // A batch norm has four tensors. The copy of layer 4: five convolutions, each with its batch norm; the head: three and three, and
    // fc; taken as they are: the 20 convolutions of a ResNet18 (He et al., table 1, with three projections), each with its batch norm.
    assert_eq!(counts, [5 + 5 * 4, 3 + 3 * 4 + 2, 20 * 5]);
}

#[test]
fn the_last_layer_is_taken_where_the_classes_are_as_many() {
    let folder = tempfile::tempdir().unwrap();
    let (path, source) = file(folder.path(), Architecture::ResNet18, 1, 2);
    let abn = model(Architecture::Abn, 1, 2);
    init::start(&abn.tensors, SEED, Some(&path)).unwrap();
    assert_eq!(by_name(&abn)["fc.weight"], by_name(&source)["fc.weight"]);
}

#[test]
fn a_whole_abn_is_taken_as_it_is_and_no_file_draws_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (path, source) = file(folder.path(), Architecture::Abn, 1, 2);
    let (read, drawn) = (model(Architecture::Abn, 1, 2), model(Architecture::Abn, 1, 2));
    let told = init::start(&read.tensors, SEED, Some(&path)).unwrap().unwrap();
    assert!(told.ends_with("drawn from the seed: nothing"), "{told}");
    assert_eq!(by_name(&read), by_name(&source));
    assert!(init::start(&drawn.tensors, SEED + 1, None).unwrap().is_none());
    assert_eq!(by_name(&drawn), by_name(&source));
}

#[test]
fn wrong_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, source) = file(folder.path(), Architecture::ResNet18, 3, 2);
    let problem = |change: &dyn Fn(&mut BTreeMap<String, Tensor>), architecture| {
        let mut tensors = by_name(&source);
        change(&mut tensors);
        weights::write(&path, &tensors.into_iter().collect::<Vec<_>>()).unwrap();
        match init::start(&model(architecture, 3, 2).tensors, SEED, Some(&path)) {
            Err(error @ Error::WrongWeights { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let abn = Architecture::Abn;
    // An ABN lacks the copy of what its layer 4 lacks, too.
    let text = problem(&|tensors| drop(tensors.remove("layer4.0.conv1.weight")), abn);
    assert!(text.contains("missing: att_layer4.0.conv1.weight, layer4.0.conv1.weight"), "{text}");
    let text = problem(&|tensors| drop(tensors.remove("fc.bias")), abn);
    assert!(
        text.contains("missing: fc.bias; name the file of a network as this one, or set train.init: null"),
        "{text}"
    );
    let text = problem(&|tensors| drop(tensors.insert("layer5.weight".to_owned(), zeros(&[1]))), abn);
    assert!(text.contains("surplus: layer5.weight; name the file"), "{text}");
    let text = problem(&|tensors| drop(tensors.insert("conv1.weight".to_owned(), zeros(&[64, 4, 7, 7]))), abn);
    assert!(text.contains("misshapen: conv1.weight is [64, 4, 7, 7], expected [64, 3, 7, 7]"), "{text}");
    let whole =
        |tensors: &mut BTreeMap<String, Tensor>| drop(tensors.insert("att_conv.weight".to_owned(), zeros(&[1])));
    let text = problem(&whole, Architecture::ResNet18);
    assert!(text.contains("surplus: att_conv.weight; give it to a method with an attention branch"), "{text}");
    let text = problem(&|tensors| drop(tensors.insert("conv1.weight".to_owned(), zeros(&[64, 1, 7, 7]))), abn);
    assert!(text.contains("expected [64, 3, 7, 7]; set train.channels: 1; or name"), "{text}");
}
