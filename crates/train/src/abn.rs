//! The network: an Attention Branch Network on ResNet18, and plain ResNet18 as its control.
//!
//! Source: Fukui et al., CVPR 2019 (arXiv:1812.10025). Tensor names are those of the authors' published state dict
//! (`conv1, bn1, layer1..layer4, att_layer4, bn_att, att_conv, bn_att2, att_conv2, att_conv3, bn_att3, fc`), so weights
//! move both ways. Unlike the published code, pooling adapts to the input, so that any side from 64 px works.
//!
//! Shapes, for an input of (N, C, S, S) and map side m = ceil(S / 16):
//! features (N, 256, m, m); attention (N, 1, m, m) in (0, 1); logits (N, K).

use tch::nn::{self, ModuleT};
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

fn conv(path: nn::Path, inputs: i64, outputs: i64, kernel: i64, stride: i64) -> nn::Conv2D {
    let config = nn::ConvConfig { stride, padding: kernel / 2, bias: false, ..Default::default() };
    nn::conv2d(path, inputs, outputs, kernel, config)
}

fn batch_norm(path: nn::Path, channels: i64) -> nn::BatchNorm {
    nn::batch_norm2d(path, channels, nn::BatchNormConfig::default())
}

/// ResNet's basic block: two 3x3 convolutions around an identity, or a 1x1 projection where the shape changes.
#[derive(Debug)]
struct Block {
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    conv2: nn::Conv2D,
    bn2: nn::BatchNorm,
    downsample: Option<(nn::Conv2D, nn::BatchNorm)>,
}

impl Block {
    fn new(path: nn::Path, inputs: i64, outputs: i64, stride: i64) -> Self {
        let project = || {
            let path = &path / "downsample";
            (conv(&path / "0", inputs, outputs, 1, stride), batch_norm(&path / "1", outputs))
        };
        Self {
            conv1: conv(&path / "conv1", inputs, outputs, 3, stride),
            bn1: batch_norm(&path / "bn1", outputs),
            conv2: conv(&path / "conv2", outputs, outputs, 3, 1),
            bn2: batch_norm(&path / "bn2", outputs),
            downsample: (stride != 1 || inputs != outputs).then(project),
        }
    }
}

impl ModuleT for Block {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = x.apply(&self.conv1).apply_t(&self.bn1, train).relu_();
        let inner = inner.apply(&self.conv2).apply_t(&self.bn2, train);
        let mut sum = match &self.downsample {
            Some((conv, bn)) => inner + x.apply(conv).apply_t(bn, train),
            None => inner + x,
        };
        sum.relu_()
    }
}

/// Two blocks, the first with the stride.
#[derive(Debug)]
struct Layer([Block; 2]);

impl Layer {
    fn new(path: nn::Path, inputs: i64, outputs: i64, stride: i64) -> Self {
        Self([Block::new(&path / "0", inputs, outputs, stride), Block::new(&path / "1", outputs, outputs, 1)])
    }
}

impl ModuleT for Layer {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let [first, second] = &self.0;
        x.apply_t(first, train).apply_t(second, train)
    }
}

#[derive(Debug)]
struct AttentionBranch {
    att_layer4: Layer,
    bn_att: nn::BatchNorm,
    att_conv: nn::Conv2D,
    bn_att2: nn::BatchNorm,
    att_conv2: nn::Conv2D,
    att_conv3: nn::Conv2D,
    bn_att3: nn::BatchNorm,
}

impl AttentionBranch {
    fn new(root: &nn::Path, classes: i64) -> Self {
        Self {
            // Stride 1 keeps the map at the resolution of the shared features.
            att_layer4: Layer::new(root / "att_layer4", SHARED_CHANNELS, TOP_CHANNELS, 1),
            bn_att: batch_norm(root / "bn_att", TOP_CHANNELS),
            att_conv: conv(root / "att_conv", TOP_CHANNELS, classes, 1, 1),
            bn_att2: batch_norm(root / "bn_att2", classes),
            att_conv2: conv(root / "att_conv2", classes, classes, 1, 1),
            att_conv3: conv(root / "att_conv3", classes, 1, 3, 1),
            bn_att3: batch_norm(root / "bn_att3", 1),
        }
    }

    fn forward(&self, features: &Tensor, train: bool) -> Attention {
        let x = features.apply_t(&self.att_layer4, train).apply_t(&self.bn_att, train); // (N, 512, m, m)
        let x = x.apply(&self.att_conv).apply_t(&self.bn_att2, train).relu(); // (N, K, m, m)
        let map = x.apply(&self.att_conv3).apply_t(&self.bn_att3, train).sigmoid(); // (N, 1, m, m)
        let logits = x.apply(&self.att_conv2).mean_dim([2_i64, 3].as_slice(), false, None::<Kind>); // (N, K)
        Attention { logits, map }
    }
}

/// The network, its parameters in the `VarStore` it was built in.
#[derive(Debug)]
pub struct Network {
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    layers: [Layer; 3],
    attention: Option<AttentionBranch>,
    layer4: Layer,
    fc: nn::Linear,
}

impl Network {
    /// Builds the network below `root` for `channels` input channels (1 or 3) and `classes` classes.
    /// Parameters hold tch's defaults: see [`crate::init`] for the project's.
    pub fn new(root: &nn::Path, architecture: Architecture, channels: i64, classes: i64) -> Self {
        Self {
            conv1: conv(root / "conv1", channels, 64, 7, 2),
            bn1: batch_norm(root / "bn1", 64),
            layers: [
                Layer::new(root / "layer1", 64, 64, 1),
                Layer::new(root / "layer2", 64, 128, 2),
                Layer::new(root / "layer3", 128, SHARED_CHANNELS, 2),
            ],
            attention: (architecture == Architecture::Abn).then(|| AttentionBranch::new(root, classes)),
            layer4: Layer::new(root / "layer4", SHARED_CHANNELS, TOP_CHANNELS, 2),
            fc: nn::linear(root / "fc", TOP_CHANNELS, classes, Default::default()),
        }
    }

    /// One pass over `x` (N, C, S, S). With `train` batch norm uses and updates batch statistics.
    pub fn forward(&self, x: &Tensor, train: bool) -> Output {
        let x = x.apply(&self.conv1).apply_t(&self.bn1, train).relu_(); // (N, 64, S/2, S/2)
        let x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false); // (N, 64, S/4, S/4)
        let [layer1, layer2, layer3] = &self.layers;
        let features = x.apply_t(layer1, train).apply_t(layer2, train).apply_t(layer3, train); // (N, 256, m, m)
        let attention = self.attention.as_ref().map(|branch| branch.forward(&features, train));
        let seen = match &attention {
            Some(attention) => &features * &attention.map + &features, // (N, 256, m, m)
            None => features,
        };
        let x = seen.apply_t(&self.layer4, train); // (N, 512, m/2, m/2)
        let x = x.mean_dim([2_i64, 3].as_slice(), false, None::<Kind>); // (N, 512)
        Output { per_logits: x.apply(&self.fc), attention }
    }
}

/// Side of the attention map for an input side: four halvings, each rounded up.
pub fn map_side(size: i64) -> i64 {
    (size + 15) / 16
}
