//! The network: an Attention Branch Network on ResNet18, and plain ResNet18 as its control.
//!
//! Source: Fukui et al., CVPR 2019 (arXiv:1812.10025). Tensor names are those of the authors' published state dict
//! (`conv1, bn1, layer1..layer4, att_layer4, bn_att, att_conv, bn_att2, att_conv2, att_conv3, bn_att3, fc`), so weights
//! move both ways. Unlike the published code, pooling adapts to the input, so that any side from 64 px works.
//!
//! Shapes, for an input of (N, C, S, S) and map side m = ceil(S / 16):
//! features (N, 256, m, m); attention (N, 1, m, m) in (0, 1); logits (N, K).

use contract::config::Precision;
use tch::nn;
use tch::{Kind, Tensor};

/// Channels of the features that both branches share.
const SHARED_CHANNELS: i64 = 256;
/// Channels of layer 4 and of its copy in the attention branch.
const TOP_CHANNELS: i64 = 512;

/// Which network to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Extractor, attention branch, perception branch.
    Abn,
    /// ResNet18 without an attention branch.
    ResNet18,
}

/// How to compute: changes digits and time, not meaning.
#[derive(Debug, Clone, Copy)]
pub struct Compute {
    /// Side of the input in pixels that memory is laid out for; others work, too.
    pub side: i64,
    /// Number format of the convolutions.
    pub precision: Precision,
}

/// Feature maps below this side are kept channel by channel: with few positions the reordering of a layer's weights at every step costs
/// more than that of its features. (Measured at 64 and 224 px: 70 instead of 55 images/s, and no loss.)
const CHANNELS_LAST_FROM: i64 = 7;

impl Compute {
    /// In 32-bit floats, for inputs of `side` pixels.
    pub fn of_side(side: i64) -> Self {
        Self { side, precision: Precision::F32 }
    }

    /// Whether a layer that works on the input's side divided by `stride` keeps channels innermost in memory.
    fn channels_last(self, stride: i64) -> bool {
        (self.side + stride - 1) / stride >= CHANNELS_LAST_FROM
    }
}

/// What a forward pass returns.
pub struct Output {
    /// Perception branch: raw logits (N, K). Its softmax is the diagnosis.
    pub per_logits: Tensor,
    /// Attention branch; absent in ResNet18.
    pub attention: Option<Attention>,
}

/// What the attention branch returns.
pub struct Attention {
    /// Raw logits (N, K).
    pub logits: Tensor,
    /// Attention map (N, 1, m, m) in (0, 1).
    pub map: Tensor,
}

/// A convolution without bias and the batch norm behind it.
#[derive(Debug)]
struct ConvNorm {
    weight: Tensor,
    stride: i64,
    norm: nn::BatchNorm,
    channels_last: bool,
    precision: Precision,
    /// Weight and bias of both as one convolution, for evaluation.
    folded: Option<(Tensor, Tensor)>,
}

/// Where the tensors of a unit live and how it computes.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a nn::Path<'a>,
    compute: Compute,
    /// Strides of all layers up to this one's output.
    stride: i64,
}

impl<'a> Place<'a> {
    fn under(self, root: &'a nn::Path<'a>) -> Self {
        Self { root, ..self }
    }
}

impl ConvNorm {
    fn new(place: Place, names: [&str; 2], channels: [i64; 2], kernel: i64, stride: i64) -> Self {
        let weight = convolution(place, names[0], channels, kernel);
        let norm = nn::batch_norm2d(nested(place.root, names[1]), channels[1], nn::BatchNormConfig::default());
        let channels_last = place.compute.channels_last(place.stride);
        Self { weight, stride, norm, channels_last, precision: place.compute.precision, folded: None }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match &self.folded {
            Some((weight, bias)) if !train => {
                convolve(x, weight, Some(bias), self.stride, self.channels_last, self.precision)
            }
            _ => {
                let x = convolve(x, &self.weight, None, self.stride, self.channels_last, self.precision);
                x.apply_t(&self.norm, train)
            }
        }
    }

    /// `w' = w g / sqrt(v + e)` and `b' = b - m g / sqrt(v + e)`: batch norm in evaluation is a part of the convolution before it.
    fn fold(&mut self) {
        let norm = &self.norm;
        let (Some(gain), Some(bias)) = (&norm.ws, &norm.bs) else { return };
        // Not the tensor's sqrt, see contract::instructions.
        let scale = gain * (&norm.running_var + nn::BatchNormConfig::default().eps).rsqrt();
        let weight = (&self.weight * scale.view([-1, 1, 1, 1])).detach();
        let bias = (bias - &norm.running_mean * scale).detach();
        let weight = precise(self.precision, &ordered(&weight, self.channels_last));
        self.folded = Some((weight, precise(self.precision, &bias)));
    }
}

/// The tensor in the number format of the convolutions.
fn precise(precision: Precision, x: &Tensor) -> Tensor {
    match precision {
        Precision::F32 => x.shallow_clone(),
        Precision::Bf16 => x.to_kind(Kind::BFloat16),
    }
}

/// The same values with channels innermost in memory, or outermost.
fn ordered(x: &Tensor, channels_last: bool) -> Tensor {
    if channels_last { x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]) } else { x.contiguous() }
}

fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: i64,
    channels_last: bool,
    precision: Precision,
) -> Tensor {
    let padding = weight.size()[2] / 2;
    // libtorch takes channels-last from its input; an input of the other order would have the weights reordered at every step.
    let x = if channels_last { precise(precision, x) } else { precise(precision, x).contiguous() };
    x.conv2d(&precise(precision, weight), bias, [stride, stride], [padding, padding], [1, 1], 1)
}

fn nested<'a>(root: &nn::Path<'a>, name: &str) -> nn::Path<'a> {
    name.split('.').fold(root.clone(), |path, part| path / part)
}

/// The weight (outputs, inputs, kernel, kernel) of a convolution without bias.
fn convolution(place: Place, name: &str, [inputs, outputs]: [i64; 2], kernel: i64) -> Tensor {
    let shape = [outputs, inputs, kernel, kernel];
    let weight = nested(place.root, name).var("weight", &shape, nn::Init::Const(0.0));
    let mut data = weight.shallow_clone();
    data.set_data(&ordered(&weight.detach(), place.compute.channels_last(place.stride)));
    weight
}

/// ResNet's basic block: two 3x3 convolutions around an identity, or a 1x1 projection where the shape changes.
#[derive(Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl Block {
    fn new(place: Place, inputs: i64, outputs: i64, stride: i64) -> Self {
        let unit = |names, inputs, kernel, stride| ConvNorm::new(place, names, [inputs, outputs], kernel, stride);
        Self {
            first: unit(["conv1", "bn1"], inputs, 3, stride),
            second: unit(["conv2", "bn2"], outputs, 3, 1),
            downsample: (stride != 1 || inputs != outputs)
                .then(|| unit(["downsample.0", "downsample.1"], inputs, 1, stride)),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = self.first.forward(x, train).relu_();
        let mut sum = self.second.forward(&inner, train);
        sum += match &self.downsample {
            Some(unit) => unit.forward(x, train),
            None => x.shallow_clone(),
        };
        sum.relu_()
    }
}

/// Two blocks, the first with the stride.
#[derive(Debug)]
struct Layer([Block; 2]);

impl Layer {
    fn new(place: Place, name: &str, inputs: i64, outputs: i64, stride: i64) -> Self {
        let [first, second] = ["0", "1"].map(|block| place.root / name / block);
        Self([
            Block::new(place.under(&first), inputs, outputs, stride),
            Block::new(place.under(&second), outputs, outputs, 1),
        ])
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [first, second] = &self.0;
        second.forward(&first.forward(x, train), train)
    }

    fn units(&mut self) -> impl Iterator<Item = &mut ConvNorm> {
        self.0.iter_mut().flat_map(|block| {
            [Some(&mut block.first), Some(&mut block.second), block.downsample.as_mut()].into_iter().flatten()
        })
    }
}

#[derive(Debug)]
struct AttentionBranch {
    att_layer4: Layer,
    bn_att: nn::BatchNorm,
    /// `att_conv` and `bn_att2`.
    evidence: ConvNorm,
    att_conv2: Tensor,
    /// `att_conv3` and `bn_att3`.
    gate: ConvNorm,
}

impl AttentionBranch {
    fn new(place: Place, classes: i64) -> Self {
        Self {
            // Stride 1 keeps the map at the resolution of the shared features.
            att_layer4: Layer::new(place, "att_layer4", SHARED_CHANNELS, TOP_CHANNELS, 1),
            bn_att: nn::batch_norm2d(place.root / "bn_att", TOP_CHANNELS, nn::BatchNormConfig::default()),
            evidence: ConvNorm::new(place, ["att_conv", "bn_att2"], [TOP_CHANNELS, classes], 1, 1),
            att_conv2: convolution(place, "att_conv2", [classes, classes], 1),
            gate: ConvNorm::new(place, ["att_conv3", "bn_att3"], [classes, 1], 3, 1),
        }
    }

    fn forward(&self, features: &Tensor, train: bool) -> Attention {
        let x = self.att_layer4.forward(features, train).apply_t(&self.bn_att, train); // (N, 512, m, m)
        let x = self.evidence.forward(&x, train).relu(); // (N, K, m, m)
        let kind = self.att_conv2.kind();
        let map = self.gate.forward(&x, train).to_kind(kind).sigmoid(); // (N, 1, m, m)
        let x = x.to_kind(kind);
        let logits = x.conv2d(&self.att_conv2, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
        Attention { logits: logits.mean_dim([2_i64, 3].as_slice(), false, None::<Kind>), map } // (N, K)
    }
}

/// The network, its parameters in the `VarStore` it was built in.
#[derive(Debug)]
pub struct Network {
    stem: ConvNorm,
    layers: [Layer; 3],
    attention: Option<AttentionBranch>,
    layer4: Layer,
    fc: nn::Linear,
}

impl Network {
    /// Builds the network below `root` for `channels` input channels (1 or 3) and `classes` classes.
    /// Parameters hold no meaning yet: see [`crate::init`].
    pub fn new(root: &nn::Path, architecture: Architecture, channels: i64, classes: i64, compute: Compute) -> Self {
        let place = |stride| Place { root, compute, stride };
        Self {
            stem: ConvNorm::new(place(2), ["conv1", "bn1"], [channels, 64], 7, 2),
            layers: [
                Layer::new(place(4), "layer1", 64, 64, 1),
                Layer::new(place(8), "layer2", 64, 128, 2),
                Layer::new(place(16), "layer3", 128, SHARED_CHANNELS, 2),
            ],
            attention: (architecture == Architecture::Abn).then(|| AttentionBranch::new(place(16), classes)),
            layer4: Layer::new(place(32), "layer4", SHARED_CHANNELS, TOP_CHANNELS, 2),
            fc: nn::linear(root / "fc", TOP_CHANNELS, classes, Default::default()),
        }
    }

    /// One pass over `x` (N, C, S, S). With `train` batch norm uses and updates batch statistics.
    pub fn forward(&self, x: &Tensor, train: bool) -> Output {
        let x = self.stem.forward(&ordered(x, self.stem.channels_last), train).relu_(); // (N, 64, S/2, S/2)
        let mut features = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false); // (N, 64, S/4, S/4)
        for layer in &self.layers {
            features = layer.forward(&features, train);
        } // (N, 256, m, m)
        let attention = self.attention.as_ref().map(|branch| branch.forward(&features, train));
        let seen = match &attention {
            Some(attention) => features.addcmul(&features, &attention.map.to_kind(features.kind())), // f M + f
            None => features,
        };
        let x = self.layer4.forward(&seen, train); // (N, 512, m/2, m/2)
        let x = x.to_kind(self.fc.ws.kind()).mean_dim([2_i64, 3].as_slice(), false, None::<Kind>); // (N, 512)
        Output { per_logits: x.apply(&self.fc), attention }
    }

    /// Makes evaluation faster: each batch norm becomes part of the convolution before it. Weights that change afterwards are not seen.
    pub fn fold(&mut self) {
        tch::no_grad(|| {
            self.stem.fold();
            self.layers.iter_mut().chain([&mut self.layer4]).flat_map(Layer::units).for_each(ConvNorm::fold);
            if let Some(branch) = &mut self.attention {
                branch.att_layer4.units().for_each(ConvNorm::fold);
                branch.evidence.fold();
                branch.gate.fold();
            }
        });
    }
}

/// Side of the attention map for an input side: four halvings, each rounded up.
pub fn map_side(size: i64) -> i64 {
    (size + 15) / 16
}
