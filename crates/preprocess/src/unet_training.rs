//! Training of the lung U-Net on synthetic CT, and its export to TorchScript.
//!
//! Loss: mean cross-entropy over pixels plus one minus the soft Dice of the two lungs over the batch (Milletari et al., 3DV 2016,
//! arXiv:1606.04797, with sums instead of squares in the denominator). AdamW, cosine learning rate. Every slice is a function of
//! (seed, person), so a run that was interrupted goes on from its checkpoint to the same bytes at the same thread count.

mod adamw;
mod marks;
mod picture;
mod samples;
mod scene;
mod sheet;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use contract::progress::Progress;
use contract::{Coded, Exit, atomic, interrupt};
use rayon::prelude::*;
use tch::nn::{self, ModuleT};
use tch::{CModule, Device, Kind, Reduction, TchError, Tensor};

use crate::protocol::SIDE;
use crate::unet::{CLASSES, UNet};
use adamw::AdamW;
pub use samples::{FAMILY, Sample, Split, family};

/// Highest learning rate.
const LEARNING_RATE: f64 = 3e-3;
/// Steps over which the rate rises from 0.
const WARMUP_STEPS: i64 = 40;
const WEIGHT_DECAY: f64 = 1e-4;
/// Steps between two checkpoints.
const CHECKPOINT_STEPS: i64 = 100;
/// Held-out slices measured at the end.
const VALIDATION_SLICES: u64 = 240;
/// Steps whose slices are made together, so that the slices of one person are far apart.
const BLOCK: u64 = 32;
/// Label that cross-entropy would pass over; no target has it.
const IGNORED: i64 = -100;
/// Name of the step counter in the checkpoint.
const STEP: &str = "training.step";
/// Name of the settings in the checkpoint: seed, steps, batch.
const SETTINGS: &str = "training.settings";

/// Arguments of `train-unet`.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainUnetArgs {
    /// TorchScript file to write; the checkpoint lies beside it as .safetensors
    #[arg(long, value_name = "FILE.pt")]
    pub out: PathBuf,
    /// Training steps
    #[arg(long, default_value_t = 2300, value_parser = clap::value_parser!(i64).range(1..))]
    pub steps: i64,
    /// Slices of one step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i64).range(1..))]
    pub batch: i64,
    /// Seed of the weights and of the slices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// CPU threads of the network; 0: all cores. Another number gives other last digits. Slices are made on as many more
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Write pictures of the first training slices to this folder instead of training
    #[arg(long, value_name = "DIR")]
    pub preview: Option<PathBuf>,
}

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// libtorch refused.
    #[error("libtorch failed while {doing}: {source}")]
    Torch {
        /// What was done.
        doing: &'static str,
        /// Why.
        source: TchError,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The checkpoint belongs to another training.
    #[error(
        "{path} is a checkpoint of another training ({found}); delete it, or repeat that training's --seed, --steps and --batch"
    )]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        found: String,
    },
    /// The loss is infinite or not a number.
    #[error("the loss at step {step} is {loss}; expected a finite number; try another --seed")]
    Diverged {
        /// The step, from 1.
        step: i64,
        /// The loss.
        loss: f64,
    },
    /// Ctrl-C.
    #[error("interrupted after step {step}; run the same command to go on")]
    Interrupted {
        /// Steps in the checkpoint.
        step: i64,
    },
}

impl Coded for TrainingError {
    fn exit(&self) -> Exit {
        match self {
            Self::Torch { .. } | Self::File { .. } | Self::Diverged { .. } => Exit::Unexpected,
            Self::Checkpoint { .. } => Exit::Input,
            Self::Interrupted { .. } => Exit::Interrupted,
        }
    }
}

fn torch(doing: &'static str) -> impl Fn(TchError) -> TrainingError {
    move |source| TrainingError::Torch { doing, source }
}

/// Dice of one lung over many slices, and the share of false pixels where no lung is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Dice of the right and the left lung, pixels of all slices pooled; `None` if neither mask nor target has any.
    pub dice: [Option<f64>; 2],
    /// Share of pixels called lung in slices without lungs.
    pub false_share: Option<f64>,
    /// Slices measured.
    pub slices: u64,
}

/// Trains the network, exports it, and prints its Dice on held-out slices.
///
/// # Errors
/// A file cannot be written, the checkpoint is of another training, the loss diverged, or the run was interrupted.
pub fn run(args: &TrainUnetArgs) -> Result<(), crate::Error> {
    // A pool that exists already serves as well: threads do not change the slices.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global();
    if let Some(folder) = &args.preview {
        return Ok(sheet::write(args.seed, folder)?);
    }
    let mut training = Training::start(args)?;
    training.steps(args)?;
    export(&training.net, &args.out)?;
    let found = validate(&training.net, args.seed, VALIDATION_SLICES);
    let text = |value: Option<f64>| value.map_or("n/a".to_owned(), |value| format!("{value:.4}"));
    contract::tell!("held-out slices: {}", found.slices);
    contract::tell!("Dice right lung: {}", text(found.dice[0]));
    contract::tell!("Dice left lung: {}", text(found.dice[1]));
    contract::tell!("false lung pixels where there is no lung: {}", text(found.false_share));
    contract::tell!("written: {}", args.out.display());
    Ok(())
}

struct Training {
    store: nn::VarStore,
    net: UNet,
    adam: AdamW,
    done: i64,
    checkpoint: PathBuf,
    settings: Tensor,
}

impl Training {
    fn start(args: &TrainUnetArgs) -> Result<Self, TrainingError> {
        let threads = if args.threads == 0 { rayon::current_num_threads() } else { args.threads };
        tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
        tch::manual_seed(args.seed as i64);
        let store = nn::VarStore::new(Device::Cpu);
        let net = UNet::new(&store.root());
        let mut variables: Vec<(String, Tensor)> =
            store.variables().into_iter().filter(|(_, variable)| variable.requires_grad()).collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let adam = AdamW::new(variables, WEIGHT_DECAY);
        let settings = Tensor::from_slice(&[args.seed as i64, args.steps, args.batch]);
        let checkpoint = args.out.with_extension("safetensors");
        let mut training = Self { store, net, adam, done: 0, checkpoint, settings };
        if training.checkpoint.exists() {
            training.resume()?;
            contract::say!("goes on after step {} of {}", training.done, training.checkpoint.display());
        }
        Ok(training)
    }

    fn resume(&mut self) -> Result<(), TrainingError> {
        let read = Tensor::read_safetensors(&self.checkpoint).map_err(torch("reading the checkpoint"))?;
        let find = |name: &str| read.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor.copy());
        let other = |found: String| TrainingError::Checkpoint { path: self.checkpoint.clone(), found };
        let found = find(SETTINGS).ok_or_else(|| other("it holds no training state".to_owned()))?;
        if found != self.settings {
            let numbers = Vec::<i64>::try_from(&found).unwrap_or_default();
            return Err(other(format!("seed, steps, batch: {numbers:?}")));
        }
        for (name, mut variable) in self.store.variables() {
            let saved = find(&name).filter(|saved| saved.size() == variable.size());
            let saved = saved.ok_or_else(|| other(format!("no weights \"{name}\" of this network")))?;
            tch::no_grad(|| variable.copy_(&saved));
        }
        if !self.adam.restore(find) {
            return Err(other("the optimiser's state is incomplete".to_owned()));
        }
        self.done = find(STEP).map_or(0, |step| step.int64_value(&[0]));
        Ok(())
    }

    fn save(&self) -> Result<(), TrainingError> {
        let mut all: Vec<(String, Tensor)> = self.store.variables().into_iter().collect();
        all.extend(self.adam.state());
        all.push((STEP.to_owned(), Tensor::from_slice(&[self.done])));
        all.push((SETTINGS.to_owned(), self.settings.shallow_clone()));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let write = |path: &Path| Tensor::write_safetensors(&all, path);
        write_whole(&self.checkpoint, "writing the checkpoint", write)
    }

    fn steps(&mut self, args: &TrainUnetArgs) -> Result<(), TrainingError> {
        let progress = Progress::new("train-unet", "steps", args.steps as u64);
        progress.advance(self.done as u64);
        let batches = produce(args.seed, self.done..args.steps, args.batch);
        let mut smooth: Option<(f64, f64)> = None;
        for (input, target) in batches {
            let (loss, dice) = self.step(args, &input, &target)?;
            let blend = |old: f64, new: f64| 0.98 * old + 0.02 * new;
            let (loss, dice) = smooth.map_or((loss, dice), |old| (blend(old.0, loss), blend(old.1, dice)));
            smooth = Some((loss, dice));
            progress.message(format!("loss {loss:.4} dice {dice:.4}"));
            progress.advance(1);
            let stop = interrupt::requested();
            if stop || self.done % CHECKPOINT_STEPS == 0 || self.done == args.steps {
                self.save()?;
            }
            if stop && self.done < args.steps {
                return Err(TrainingError::Interrupted { step: self.done });
            }
        }
        progress.finish();
        Ok(())
    }

    /// One step; returns the loss and the mean soft Dice of the lungs.
    fn step(&mut self, args: &TrainUnetArgs, input: &Tensor, target: &Tensor) -> Result<(f64, f64), TrainingError> {
        let logits = self.net.forward_t(input, true); // (N, 3, 256, 256)
        let dice = soft_dice(&logits, target);
        let entropy = logits.cross_entropy_loss::<Tensor>(target, None, Reduction::Mean, IGNORED, 0.0);
        let loss = entropy + 1.0 - &dice;
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.done + 1, loss: value });
        }
        loss.backward();
        self.done += 1;
        self.adam.step(self.done, learning_rate(self.done, args.steps));
        Ok((value, dice.double_value(&[])))
    }
}

/// Linear rise, then half a cosine to 0; `step` counts from 1.
fn learning_rate(step: i64, steps: i64) -> f64 {
    let rise = (step as f64 / WARMUP_STEPS as f64).min(1.0);
    let fall = 0.5 * (1.0 + (std::f64::consts::PI * (step - 1) as f64 / steps as f64).cos());
    LEARNING_RATE * rise * fall
}

/// Mean over the two lungs of `2 sum(p t) / (sum(p) + sum(t))`, sums over the batch; one if a lung is in neither.
/// `logits`: (N, 3, H, W); `target`: (N, H, W) i64; result: scalar.
fn soft_dice(logits: &Tensor, target: &Tensor) -> Tensor {
    let share = logits.softmax(1, Kind::Float); // (N, 3, H, W)
    let mut sum = Tensor::zeros([], (Kind::Float, logits.device()));
    for class in 1..CLASSES {
        let probability = share.select(1, class); // (N, H, W)
        let truth = target.eq(class).to_kind(Kind::Float); // (N, H, W)
        let overlap = (&probability * &truth).sum(Kind::Float);
        // One pixel in numerator and denominator keeps an absent lung defined.
        sum += (overlap * 2.0 + 1.0) / (probability.sum(Kind::Float) + truth.sum(Kind::Float) + 1.0);
    }
    sum / (CLASSES - 1) as f64
}

/// (N, 1, 256, 256) inputs and (N, 256, 256) targets.
fn stack(samples: &[&Sample]) -> (Tensor, Tensor) {
    let (count, side) = (samples.len() as i64, SIDE as i64);
    let input: Vec<f32> = samples.iter().flat_map(|sample| sample.input.iter().copied()).collect();
    let target: Vec<i64> =
        samples.iter().flat_map(|sample| sample.target.iter().map(|label| i64::from(*label))).collect();
    (Tensor::from_slice(&input).view([count, 1, side, side]), Tensor::from_slice(&target).view([count, side, side]))
}

/// The slices of one block of [`BLOCK`] steps in the order of their numbers: whole families.
fn block(seed: u64, number: u64, batch: u64) -> Vec<Sample> {
    let (first, last) = (number * BLOCK * batch, (number + 1) * BLOCK * batch);
    let people: Vec<u64> = (first / FAMILY..last.div_ceil(FAMILY)).collect();
    people.into_par_iter().flat_map_iter(|person| family(seed, Split::Train, person)).collect()
}

/// Makes batches ahead on a thread of its own; ends when they are no longer taken.
///
/// A batch takes every [`BLOCK`]th slice of a block, so that its slices are of different persons.
fn produce(seed: u64, steps: std::ops::Range<i64>, batch: i64) -> Receiver<(Tensor, Tensor)> {
    let (send, receive) = sync_channel(BLOCK as usize);
    std::thread::spawn(move || {
        let mut made: Option<(u64, Vec<Sample>)> = None;
        for step in steps.map(i64::cast_unsigned) {
            let number = step / BLOCK;
            let samples = match made.take() {
                Some((known, samples)) if known == number => samples,
                _ => block(seed, number, batch.cast_unsigned()),
            };
            let own: Vec<&Sample> = samples.iter().skip((step % BLOCK) as usize).step_by(BLOCK as usize).collect();
            if send.send(stack(&own[..batch as usize])).is_err() {
                return;
            }
            made = Some((number, samples));
        }
    });
    receive
}

/// Measures the network on `slices` held-out slices.
fn validate(net: &UNet, seed: u64, slices: u64) -> Validation {
    const BATCH: u64 = 8;
    let (mut both, mut either) = ([0_i64; 2], [0_i64; 2]);
    let (mut false_pixels, mut empty_pixels) = (0, 0);
    for first in (0..slices / FAMILY).step_by((BATCH / FAMILY) as usize) {
        let people: Vec<u64> = (first..first + BATCH / FAMILY).collect();
        let samples: Vec<Sample> =
            people.into_par_iter().flat_map_iter(|person| family(seed, Split::Validation, person)).collect();
        let (input, target) = stack(&samples.iter().collect::<Vec<_>>());
        let found = tch::no_grad(|| net.forward_t(&input, false)).argmax(1, false); // (N, 256, 256)
        let count = |mask: Tensor| mask.sum(Kind::Int64).int64_value(&[]);
        for class in 1..CLASSES {
            let (found, truth) = (found.eq(class), target.eq(class));
            both[class as usize - 1] += count(found.logical_and(&truth));
            either[class as usize - 1] += count(found) + count(truth);
        }
        let empty = target.amax([1, 2], true).eq(0); // (N, 1, 1)
        empty_pixels += count(empty.shallow_clone()) * (SIDE * SIDE) as i64;
        false_pixels += count(found.gt(0).logical_and(&empty));
    }
    let ratio = |top: f64, bottom: i64| (bottom > 0).then(|| top / bottom as f64);
    Validation {
        dice: [0, 1].map(|lung| ratio(2.0 * both[lung] as f64, either[lung])),
        false_share: ratio(false_pixels as f64, empty_pixels),
        slices,
    }
}

/// Writes the network as TorchScript, normalisations folded. The bytes depend on the file's base name, not on its folder.
fn export(net: &UNet, path: &Path) -> Result<(), TrainingError> {
    let mut store = nn::VarStore::new(Device::Cpu);
    let folded = net.folded(&store.root());
    store.freeze();
    let example = Tensor::zeros([1, 1, SIDE as i64, SIDE as i64], (Kind::Float, Device::Cpu));
    let mut forward = |inputs: &[Tensor]| vec![folded.forward_t(&inputs[0], false)];
    let module = CModule::create_by_tracing("LungUNet", "forward", &[example], &mut forward)
        .map_err(torch("tracing the network"))?;
    write_whole(path, "writing the TorchScript file", |path| module.save(path))
}

/// Lets libtorch write a file of the same base name aside, then puts it in place whole.
fn write_whole(
    path: &Path,
    doing: &'static str,
    write: impl FnOnce(&Path) -> Result<(), TchError>,
) -> Result<(), TrainingError> {
    let failed = |source| TrainingError::File { path: path.to_owned(), source };
    let aside = tempfile::tempdir().map_err(failed)?;
    let file = aside.path().join(path.file_name().unwrap_or_default());
    write(&file).map_err(torch(doing))?;
    let bytes = std::fs::read(&file).map_err(failed)?;
    atomic::write(path, &bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path, steps: i64) -> TrainUnetArgs {
        TrainUnetArgs { out: folder.join("lung-unet.pt"), steps, batch: 2, seed: 5, threads: 1, preview: None }
    }

    #[test]
    fn dice_of_a_perfect_and_of_an_empty_answer() {
        // By hand: right answer with certainty -> 1; all background where each lung has 2 pixels -> (0 + 1) / (0 + 2 + 1) = 1/3.
        let target = Tensor::from_slice(&[0_i64, 1, 1, 2, 2, 0]).view([1, 2, 3]);
        let sure = target.one_hot(CLASSES).permute([0, 3, 1, 2]).to_kind(Kind::Float) * 60.0; // (1, 3, 2, 3)
        assert!((soft_dice(&sure, &target).double_value(&[]) - 1.0).abs() < 1e-5);
        let nothing = target.zeros_like().one_hot(CLASSES).permute([0, 3, 1, 2]).to_kind(Kind::Float) * 60.0;
        assert!((soft_dice(&nothing, &target).double_value(&[]) - 1.0 / 3.0).abs() < 1e-5);
    }

    #[test]
    fn the_rate_rises_then_falls() {
        assert!(learning_rate(1, 1000) < learning_rate(WARMUP_STEPS, 1000));
        assert!(learning_rate(500, 1000) > learning_rate(900, 1000));
        assert!(learning_rate(1000, 1000) < 1e-4);
    }

    #[test]
    fn an_interrupted_training_ends_as_an_uninterrupted_one() {
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut straight = Training::start(&args(whole.path(), 4)).unwrap();
        straight.steps(&args(whole.path(), 4)).unwrap();
        let mut first = Training::start(&args(parts.path(), 4)).unwrap();
        for (input, target) in produce(5, 0..2, 2) {
            first.step(&args(parts.path(), 4), &input, &target).unwrap();
        }
        first.save().unwrap();
        let mut second = Training::start(&args(parts.path(), 4)).unwrap();
        assert_eq!(second.done, 2);
        second.steps(&args(parts.path(), 4)).unwrap();
        let bytes = |folder: &Path| std::fs::read(folder.join("lung-unet.safetensors")).unwrap();
        assert!(bytes(whole.path()) == bytes(parts.path()));
        let other = TrainUnetArgs { batch: 3, ..args(parts.path(), 4) };
        assert!(matches!(Training::start(&other), Err(TrainingError::Checkpoint { .. })));
    }

    #[test]
    fn a_step_takes_slices_of_different_persons() {
        // Slice b of a batch of n at step s is number s + 32 b of the block, which has 32 n slices, 4 of each person.
        let all = block(5, 0, 2);
        assert_eq!(all.len() as u64, 2 * BLOCK);
        let input = |sample: &Sample| Tensor::from_slice(&sample.input).view([1, SIDE as i64, SIDE as i64]);
        let steps: Vec<(Tensor, Tensor)> = produce(5, 3..5, 2).into_iter().collect();
        for ((found, target), first) in steps.iter().zip([3, 4]) {
            assert_eq!(target.size(), [2, 256, 256]);
            assert_eq!(found.get(0), input(&all[first]));
            assert_eq!(found.get(1), input(&all[first + BLOCK as usize]));
        }
    }

    #[test]
    fn the_export_answers_as_the_network_does() {
        let folder = tempfile::tempdir().unwrap();
        let training = Training::start(&args(folder.path(), 1)).unwrap();
        let path = folder.path().join("lung-unet.pt");
        export(&training.net, &path).unwrap();
        let input = stack(&family(1, Split::Validation, 0).iter().collect::<Vec<_>>()).0;
        let module = CModule::load(&path).unwrap();
        let expected = tch::no_grad(|| training.net.forward_t(&input, false));
        let difference = module.forward_ts(&[input]).unwrap() - expected;
        assert!(difference.abs().max().double_value(&[]) < 1e-4);
        let first = std::fs::read(&path).unwrap();
        export(&training.net, &path).unwrap();
        assert!(first == std::fs::read(&path).unwrap());
    }
}
