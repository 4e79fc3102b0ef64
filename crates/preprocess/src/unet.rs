//! The lung U-Net: a small two-dimensional network that marks the right and the left lung.
//!
//! Source of the form: Ronneberger et al., MICCAI 2015 (arXiv:1505.04597), made small enough for a slice in tens of milliseconds on
//! one core: six resolutions, one convolution instead of two at full resolution. Five poolings make every output see the whole
//! 256 x 256 input, which telling right from left needs.
//!
//! Channels lie innermost in memory ("channels last"): on a CPU that takes two thirds of the time of the usual order.
//! The network that is exported has its normalisation folded into the convolutions ([`UNet::folded`]).
//!
//! - input: (N, 1, H, W) f32 in 0..1, `(HU + 1024) / 1624`; H and W multiples of [`STRIDE`]
//! - output: (N, 3, H, W) f32 logits of background, right lung, left lung

use tch::Tensor;
use tch::nn::{self, ModuleT};

/// Classes: background, right lung, left lung.
pub const CLASSES: i64 = 3;

/// Channels at each resolution, from full to 1/32.
const WIDTHS: [i64; 6] = [8, 16, 32, 64, 96, 128];

/// Rough shares of the classes, which the untrained network starts from.
const FREQUENCIES: [f32; CLASSES as usize] = [0.84, 0.08, 0.08];

/// Height and width must be multiples of this.
pub const STRIDE: i64 = 32;

/// Added to a variance before its root is taken.
const NORM_EPSILON: f64 = 1e-5;

/// Whether convolutions are followed by a normalisation or have a bias instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Normalised,
    Folded,
}

/// A 3x3 convolution, batch normalisation, ReLU; or, folded, a convolution with bias and ReLU.
#[derive(Debug)]
struct Block {
    conv: nn::Conv2D,
    norm: Option<nn::BatchNorm>,
}

impl Block {
    fn new(path: &nn::Path, from: i64, to: i64, form: Form) -> Self {
        let ws_init = nn::init::DEFAULT_KAIMING_NORMAL;
        let conv = nn::ConvConfig { padding: 1, bias: form == Form::Folded, ws_init, ..Default::default() };
        // tch draws the scale uniformly by default; one is what the method starts from.
        let norm = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), eps: NORM_EPSILON, ..Default::default() };
        let conv = nn::conv2d(path / "conv", from, to, 3, conv);
        Self { conv, norm: (form == Form::Normalised).then(|| nn::batch_norm2d(path / "norm", to, norm)) }
    }

    fn forward(&self, input: &Tensor, train: bool) -> Tensor {
        let sum = channels_last(&input.apply(&self.conv));
        match &self.norm {
            Some(norm) => sum.apply_t(norm, train),
            None => sum,
        }
        .relu()
    }

    /// Weights and bias of the convolution that equals this one with its normalisation in evaluation:
    /// `scale * (conv - mean) / sqrt(variance + epsilon) + shift`.
    fn fold(&self) -> (Tensor, Tensor) {
        let weights = &self.conv.ws; // (to, from, 3, 3)
        let Some(norm) = &self.norm else {
            return (weights.copy(), self.conv.bs.as_ref().map_or_else(Tensor::new, Tensor::copy));
        };
        let root = (&norm.running_var + NORM_EPSILON).sqrt();
        let factor = norm.ws.as_ref().map_or_else(|| root.reciprocal(), |scale| scale / &root); // (to)
        let moved = &norm.running_mean * -&factor;
        let bias = norm.bs.as_ref().map_or_else(|| moved.copy(), |shift| shift + &moved);
        (weights * factor.view([-1, 1, 1, 1]), bias)
    }
}

/// The same values with the channels innermost in memory; no copy if they are already.
fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// One resolution of the way up: upsample, join with the way down, convolve.
#[derive(Debug)]
struct Up {
    upsample: nn::ConvTranspose2D,
    blocks: Vec<Block>,
}

/// The network.
#[derive(Debug)]
pub struct UNet {
    down: Vec<Vec<Block>>,
    up: Vec<Up>,
    head: nn::Conv2D,
}

impl UNet {
    /// Makes the network's variables under `path`; their start comes from libtorch's generator.
    pub fn new(path: &nn::Path) -> Self {
        Self::build(path, Form::Normalised)
    }

    /// The same network for evaluation, its normalisations folded into the convolutions: equal up to rounding, faster and
    /// smaller. The new variables lie under `path`.
    pub fn folded(&self, path: &nn::Path) -> Self {
        let folded = Self::build(path, Form::Folded);
        let copy = |from: &Tensor, to: &Tensor| tch::no_grad(|| to.shallow_clone().copy_(from));
        for (from, to) in self.blocks().zip(folded.blocks()) {
            let (weights, bias) = from.fold();
            copy(&weights, &to.conv.ws);
            to.conv.bs.iter().for_each(|own| copy(&bias, own));
        }
        let plain = |from: (&Tensor, &Option<Tensor>), to: (&Tensor, &Option<Tensor>)| {
            copy(from.0, to.0);
            from.1.iter().zip(to.1).for_each(|(from, to)| copy(from, to));
        };
        for (from, to) in self.up.iter().zip(&folded.up) {
            plain((&from.upsample.ws, &from.upsample.bs), (&to.upsample.ws, &to.upsample.bs));
        }
        plain((&self.head.ws, &self.head.bs), (&folded.head.ws, &folded.head.bs));
        folded
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.down.iter().flatten().chain(self.up.iter().flat_map(|up| &up.blocks))
    }

    fn build(path: &nn::Path, form: Form) -> Self {
        let mut down = Vec::new();
        let mut from = 1;
        for (level, width) in WIDTHS.into_iter().enumerate() {
            let path = path / format!("down{level}");
            let mut blocks = vec![Block::new(&(&path / 0), from, width, form)];
            if level > 0 {
                blocks.push(Block::new(&(&path / 1), width, width, form));
            }
            down.push(blocks);
            from = width;
        }
        let mut up = Vec::new();
        for level in (0..WIDTHS.len() - 1).rev() {
            let path = path / format!("up{level}");
            let (width, below) = (WIDTHS[level], WIDTHS[level + 1]);
            let stride = nn::ConvTransposeConfig { stride: 2, ..Default::default() };
            let upsample = nn::conv_transpose2d(&path / "upsample", below, width, 2, stride);
            let mut blocks = vec![Block::new(&(&path / 0), 2 * width, width, form)];
            if level > 0 {
                blocks.push(Block::new(&(&path / 1), width, width, form));
            }
            up.push(Up { upsample, blocks });
        }
        let head = nn::conv2d(path / "head", WIDTHS[0], CLASSES, 1, Default::default());
        // From even odds an optimiser with steps of a few thousandths takes hundreds of them to learn what is frequent.
        if let Some(bias) = &head.bs {
            tch::no_grad(|| bias.shallow_clone().copy_(&Tensor::from_slice(&FREQUENCIES).log()));
        }
        Self { down, up, head }
    }
}

impl ModuleT for UNet {
    fn forward_t(&self, input: &Tensor, train: bool) -> Tensor {
        let convolve = |x: Tensor, blocks: &[Block]| blocks.iter().fold(x, |x, block| block.forward(&x, train));
        let mut x = input.shallow_clone(); // (N, 1, H, W)
        let mut kept = Vec::new();
        for (level, blocks) in self.down.iter().enumerate() {
            if level > 0 {
                kept.push(x.shallow_clone());
                x = x.max_pool2d_default(2); // (N, width, H / 2^level, W / 2^level)
            }
            x = convolve(x, blocks);
        }
        for (up, skip) in self.up.iter().zip(kept.into_iter().rev()) {
            let larger = x.apply(&up.upsample); // (N, width, H / 2^level, W / 2^level)
            x = convolve(Tensor::cat(&[skip, larger], 1), &up.blocks);
        }
        x.apply(&self.head) // (N, 3, H, W)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn logits_have_the_shape_of_the_input() {
        let vs = nn::VarStore::new(Device::Cpu);
        let net = UNet::new(&vs.root());
        for (height, width) in [(256, 256), (64, 96)] {
            let input = Tensor::rand([2, 1, height, width], (Kind::Float, Device::Cpu));
            assert_eq!(tch::no_grad(|| net.forward_t(&input, false)).size(), [2, CLASSES, height, width]);
        }
    }

    #[test]
    fn folding_changes_nothing_but_rounding() {
        let (vs, other) = (nn::VarStore::new(Device::Cpu), nn::VarStore::new(Device::Cpu));
        tch::manual_seed(4);
        let net = UNet::new(&vs.root());
        // Moves means and variances away from 0 and 1, and scales and shifts from 1 and 0.
        tch::no_grad(|| {
            for (name, mut variable) in vs.variables() {
                if name.contains("norm") {
                    let _ = variable.f_add_(&(variable.rand_like() * 0.5)).expect("equal shapes");
                }
            }
        });
        let folded = net.folded(&other.root());
        let input = Tensor::rand([2, 1, 64, 96], (Kind::Float, Device::Cpu));
        let [expected, got] = [&net, &folded].map(|net| tch::no_grad(|| net.forward_t(&input, false)));
        assert!((&expected - got).abs().max().double_value(&[]) < 1e-4);
        assert!(expected.std(false).double_value(&[]) > 0.01);
        assert!(other.variables().keys().all(|name| !name.contains("norm")));
    }

    #[test]
    fn the_model_stays_small() {
        let vs = nn::VarStore::new(Device::Cpu);
        UNet::new(&vs.root());
        let values: usize = vs.variables().values().map(Tensor::numel).sum();
        // 8 MB of f32 is two million values; the file's limit leaves room for the rest of it.
        assert!(values < 1_000_000, "{values}");
    }

    #[test]
    fn every_output_sees_the_whole_slice() {
        let vs = nn::VarStore::new(Device::Cpu);
        tch::manual_seed(1);
        let net = UNet::new(&vs.root());
        let input = Tensor::rand([1, 1, 256, 256], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        // In training mode the normalisation mixes all pixels, so look at the network as it is used.
        net.forward_t(&input, false).select(2, 128).select(2, 128).sum(Kind::Float).backward();
        let gradient = input.grad();
        for (row, column) in [(2, 2), (2, 253), (253, 2), (253, 253)] {
            let corner =
                gradient.narrow(2, row - 2, 5.min(256 - row + 2)).narrow(3, column - 2, 5.min(256 - column + 2));
            assert!(corner.abs().max().double_value(&[]) > 0.0, "{row} {column}");
        }
    }
}
