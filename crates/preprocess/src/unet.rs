//! The lung U-Net: a small two-dimensional network that marks the right and the left lung.
//!
//! Source of the form: Ronneberger et al., MICCAI 2015 (arXiv:1505.04597), made small enough for a slice in tens of milliseconds on
//! one core: six resolutions, one convolution instead of two at full resolution. Five poolings make every output see the whole
//! 256 x 256 input, which telling right from left needs.
//!
//! - input: (N, 1, H, W) f32 in 0..1, `(HU + 1024) / 1624`; H and W multiples of [`STRIDE`]
//! - output: (N, 3, H, W) f32 logits of background, right lung, left lung

use tch::Tensor;
use tch::nn::{self, ModuleT};

/// Classes: background, right lung, left lung.
pub const CLASSES: i64 = 3;

/// Channels at each resolution, from full to 1/32.
const WIDTHS: [i64; 6] = [8, 16, 32, 48, 64, 96];

/// Height and width must be multiples of this.
pub const STRIDE: i64 = 32;

/// A 3x3 convolution, batch normalisation, ReLU.
#[derive(Debug)]
struct Block {
    conv: nn::Conv2D,
    norm: nn::BatchNorm,
}

impl Block {
    fn new(path: &nn::Path, from: i64, to: i64) -> Self {
        let conv =
            nn::ConvConfig { padding: 1, bias: false, ws_init: nn::init::DEFAULT_KAIMING_NORMAL, ..Default::default() };
        // tch draws the scale uniformly by default; one is what the method starts from.
        let norm = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
        Self { conv: nn::conv2d(path / "conv", from, to, 3, conv), norm: nn::batch_norm2d(path / "norm", to, norm) }
    }

    fn forward(&self, input: &Tensor, train: bool) -> Tensor {
        input.apply(&self.conv).apply_t(&self.norm, train).relu()
    }
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
        let mut down = Vec::new();
        let mut from = 1;
        for (level, width) in WIDTHS.into_iter().enumerate() {
            let path = path / format!("down{level}");
            let mut blocks = vec![Block::new(&(&path / 0), from, width)];
            if level > 0 {
                blocks.push(Block::new(&(&path / 1), width, width));
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
            let mut blocks = vec![Block::new(&(&path / 0), 2 * width, width)];
            if level > 0 {
                blocks.push(Block::new(&(&path / 1), width, width));
            }
            up.push(Up { upsample, blocks });
        }
        let head = nn::conv2d(path / "head", WIDTHS[0], CLASSES, 1, Default::default());
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
