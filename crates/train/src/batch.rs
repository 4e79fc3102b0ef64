//! Batches: which slices, augmented how, as tensors; prepared ahead on a thread of its own.

use std::sync::mpsc;
use std::thread::Scope;

use contract::config::Train;
use contract::random;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use tch::{Device, Tensor};

use crate::augment::{self, Draw};
use crate::data::{Slice, Slices};

/// Batches prepared ahead of the one in use. Two hide the preparation; more only take memory.
const AHEAD: usize = 2;

/// One batch on the CPU, before it becomes tensors.
pub struct Batch {
    /// Positions in the slices.
    pub positions: Vec<usize>,
    image: Vec<f32>,
    lung: Vec<f32>,
    lesion: Option<Vec<f32>>,
    labels: Vec<i64>,
    side: usize,
    channels: usize,
}

/// One batch on its device.
pub struct Tensors {
    /// (N, C, S, S), normalised.
    pub image: Tensor,
    /// (N, 1, S, S) share of lung.
    pub lung: Tensor,
    /// (N, 1, S, S) share of lesion, if lesions are known.
    pub lesion: Option<Tensor>,
    /// (N) labels.
    pub labels: Tensor,
}

/// How pixels become numbers for the network.
#[derive(Debug, Clone, Copy)]
pub struct Pixels {
    /// Subtracted from the pixel in 0..1.
    pub mean: f64,
    /// Divides the difference.
    pub std: f64,
    /// 1, or 3 for grey repeated.
    pub channels: usize,
}

impl Pixels {
    /// The settings of a method.
    pub fn new(train: &Train) -> Self {
        Self { mean: train.mean, std: train.std, channels: train.channels as usize }
    }
}

impl Batch {
    /// Cuts the slices at `positions` with one draw each.
    pub fn new(slices: &Slices, positions: Vec<usize>, pixels: Pixels, draw: impl Fn(usize) -> Draw + Sync) -> Self {
        let side = slices.side;
        let (mean, scale) = (pixels.mean as f32, (1.0 / pixels.std) as f32);
        let draws: Vec<(usize, Draw)> = positions.par_iter().map(|position| (*position, draw(*position))).collect();
        let image = cut(slices, &draws, |slice, draw, out| {
            augment::image(draw, &slice.image, side, out);
            out.iter_mut().for_each(|value| *value = (*value - mean) * scale);
        });
        let lung = cut(slices, &draws, |slice, draw, out| augment::mask(draw, &slice.lung, side, out));
        let known = positions.iter().any(|position| slices.rows[*position].lesion.is_some());
        let lesion = known.then(|| {
            cut(slices, &draws, |slice, draw, out| {
                if let Some(lesion) = &slice.lesion {
                    augment::mask(draw, lesion, side, out);
                }
            })
        });
        let labels = positions.iter().map(|position| i64::from(slices.rows[*position].label)).collect();
        Self { positions, image, lung, lesion, labels, side, channels: pixels.channels }
    }

    /// Moves the batch to `device`.
    pub fn tensors(&self, device: Device) -> Tensors {
        let (n, side) = (self.labels.len() as i64, self.side as i64);
        let planes = |values: &[f32]| Tensor::from_slice(values).view([n, 1, side, side]).to_device(device);
        let image = planes(&self.image);
        Tensors {
            image: if self.channels == 1 { image } else { image.repeat([1, self.channels as i64, 1, 1]) },
            lung: planes(&self.lung),
            lesion: self.lesion.as_deref().map(planes),
            labels: Tensor::from_slice(&self.labels).to_device(device),
        }
    }
}

/// One plane a slice: `fill` gets the slice, its draw and side * side zeros.
fn cut(slices: &Slices, draws: &[(usize, Draw)], fill: impl Fn(&Slice, &Draw, &mut [f32]) + Sync) -> Vec<f32> {
    let area = slices.side * slices.side;
    let mut planes = vec![0.0; draws.len() * area];
    let jobs = draws.par_iter().zip(planes.par_chunks_mut(area));
    jobs.for_each(|((position, draw), plane)| fill(&slices.rows[*position], draw, plane));
    planes
}

/// The batches of one epoch: positions shuffled by (seed, epoch), the last batch smaller.
pub fn order(train: &[usize], batch_size: usize, seed: u64, epoch: u32) -> Vec<Vec<usize>> {
    let mut shuffled = train.to_vec();
    shuffled.sort_unstable();
    shuffled.shuffle(&mut random::stream(seed, "order", &[u64::from(epoch)]));
    shuffled.chunks(batch_size).map(<[usize]>::to_vec).collect()
}

/// Prepares `batches` in order on a thread of `scope`, two at most before they are asked for.
pub fn prefetch<'scope, 'env, F>(
    scope: &'scope Scope<'scope, 'env>,
    slices: &'env Slices,
    batches: Vec<Vec<usize>>,
    pixels: Pixels,
    draw: F,
) -> mpsc::Receiver<Batch>
where
    F: Fn(usize) -> Draw + Send + Sync + 'scope,
{
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    scope.spawn(move || {
        for positions in batches {
            // The receiver is gone when the run stops early.
            if sender.send(Batch::new(slices, positions, pixels, &draw)).is_err() {
                break;
            }
        }
    });
    receiver
}
