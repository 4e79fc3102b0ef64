//! One training run: a method, a held-out fold, a seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use contract::config::{ClassWeights, Loss, Method};
use contract::interrupt;
use contract::progress::Progress;
use tch::{Device, Kind, Tensor, nn};

use crate::Error;
use crate::abn::{Architecture, Compute, Network, map_side};
use crate::attention;
use crate::augment::Draw;
use crate::batch::{self, Batch, Pixels};
use crate::checkpoint::{self, Begun, Position};
use crate::data::{Slices, Split};
use crate::log::{Row, Sums, Timing};
use crate::optimizer::Optimizer;
use crate::origins::Origins;
use crate::{init, loss, schedule};

/// A network with its tensors by name.
pub struct Model {
    /// The network.
    pub network: Network,
    /// All tensors, trainable or not, sorted by name.
    pub tensors: Vec<(String, Tensor)>,
    /// Where it lives.
    pub device: Device,
    store: nn::VarStore,
}

impl Model {
    /// Builds a network whose tensors are not yet meaningful: draw or load them.
    pub fn new(architecture: Architecture, channels: i64, classes: i64, compute: Compute, device: Device) -> Self {
        let store = nn::VarStore::new(device);
        let network = Network::new(&store.root(), architecture, channels, classes, compute);
        let named: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
        Self { network, tensors: named.into_iter().collect(), device, store }
    }

    /// The trainable tensors, sorted by name.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let trainable = self.tensors.iter().filter(|(_, tensor)| tensor.requires_grad());
        trainable.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// Switches every tensor to f64, for tests against the reference.
    pub fn double(&mut self) {
        self.store.double();
        self.tensors = self.store.variables().into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
    }
}

/// The network that a loss needs.
pub fn architecture(loss: Loss) -> Architecture {
    if loss == Loss::Resnet18 { Architecture::ResNet18 } else { Architecture::Abn }
}

/// Steps between two looks at the loss on a GPU.
const LOOK_EVERY: usize = 20;

/// What one update works with.
struct Step<'a> {
    model: &'a Model,
    batch: &'a Batch,
    loss_weights: schedule::Weights,
    class_weights: Option<&'a Tensor>,
    lr: f64,
}

/// What a run works on.
pub struct Run<'a> {
    /// The task's name, for progress and errors.
    pub id: &'a str,
    /// Hash of the task, for its checkpoint.
    pub task: String,
    /// Method with its settings.
    pub method: &'a Method,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Number of classes.
    pub classes: usize,
    /// All slices.
    pub slices: &'a Slices,
    /// Who trains.
    pub split: &'a Split,
    /// Where to compute.
    pub device: Device,
    /// Checkpoint file.
    pub checkpoint: &'a Path,
}

/// How far an epoch came.
enum Course {
    /// To its end.
    Whole(Row),
    /// To a stop that was asked for.
    Stopped(Begun),
}

/// A run that is complete.
pub struct Trained {
    /// Last-epoch network.
    pub model: Model,
    /// A row an epoch.
    pub log: Vec<Row>,
    /// The clock.
    pub timing: Vec<Timing>,
}

impl Run<'_> {
    /// Trains all epochs, going on from the checkpoint if there is one of this very task.
    ///
    /// # Errors
    /// A loss that is not finite, an interrupt (after which the checkpoint stays), a file that cannot be written.
    pub fn train(&self) -> Result<Trained, Error> {
        let train = &self.method.train;
        let model = self.initial_model()?;
        let mut optimizer = Optimizer::new(train, model.parameters());
        let restored = checkpoint::restore(self.checkpoint, &self.task, &model.tensors, &mut optimizer)?;
        let mut position = restored.unwrap_or_else(|| Position { task: self.task.clone(), ..Position::default() });
        let done = position.begun.as_ref().map_or(0, |begun| begun.batches as u64 * u64::from(train.batch_size));
        let total = u64::from(train.epochs - position.epochs) * self.split.train.len() as u64 - done;
        let progress = Progress::new(self.id, "images", total);
        if let Some(place) = place(&position) {
            progress.note(&format!("{}: goes on after {place}", self.id));
        }
        let mut saved = Instant::now();
        while position.epochs < train.epochs {
            let started = Instant::now();
            let begun = position.begun.take();
            let before = begun.as_ref().map_or(0.0, |begun| begun.seconds);
            let row = match self.epoch(position.epochs, begun, &model, &mut optimizer, &progress)? {
                Course::Whole(row) => row,
                Course::Stopped(begun) => {
                    let seconds = before + started.elapsed().as_secs_f64();
                    position.begun = Some(Begun { seconds, ..begun });
                    checkpoint::save(self.checkpoint, &position, &model.tensors, &optimizer)?;
                    return Err(Error::Interrupted);
                }
            };
            let seconds = before + started.elapsed().as_secs_f64();
            let images_per_second = self.split.train.len() as f64 / seconds;
            position.timing.push(Timing { epoch: row.epoch, seconds, images_per_second });
            position.log.push(row);
            position.epochs += 1;
            let due = position.epochs.is_multiple_of(train.checkpoint_epochs)
                && saved.elapsed().as_secs_f64() >= train.checkpoint_seconds;
            if due || position.epochs == train.epochs {
                checkpoint::save(self.checkpoint, &position, &model.tensors, &optimizer)?;
                saved = Instant::now();
            }
        }
        progress.finish();
        Ok(Trained { model, log: position.log, timing: position.timing })
    }

    fn initial_model(&self) -> Result<Model, Error> {
        let train = &self.method.train;
        let channels = i64::from(train.channels);
        let compute = Compute { side: self.slices.side as i64, precision: train.precision };
        let model = Model::new(architecture(train.loss), channels, self.classes as i64, compute, self.device);
        if let Some(file) = &train.init
            && let Some(origins) = Origins::beside(file)?
        {
            origins.check_start(self.slices, train, file)?;
        }
        if let Some(told) = init::start(&model.tensors, self.seed, train.init.as_deref())? {
            contract::say!("{}: {told}", self.id);
        }
        Ok(model)
    }

    /// One epoch, or what is left of it after `begun`.
    fn epoch(
        &self,
        epoch: u32,
        begun: Option<Begun>,
        model: &Model,
        optimizer: &mut Optimizer,
        progress: &Progress,
    ) -> Result<Course, Error> {
        let train = &self.method.train;
        let mut batches = batch::order(&self.split.train, train.batch_size as usize, self.seed, epoch);
        let (count, loss_weights) = (batches.len(), schedule::weights(train, epoch));
        let class_weights = self.class_weights();
        let draw = |slice: usize| Draw::new(train, self.seed, epoch, slice);
        let first = begun.as_ref().map_or(0, |begun| begun.batches.min(count));
        let mut sums = begun.map_or_else(|| Sums::new(model.device), |b| Sums::restored(&b.sums, model.device));
        batches.drain(..first);
        let mut lr = train.lr;
        let stopped = std::thread::scope(|scope| {
            let receiver = batch::prefetch(scope, self.slices, batches, Pixels::new(train), draw);
            for (index, batch) in (first..).zip(receiver.iter()) {
                if interrupt::requested() {
                    return Ok(Some(index));
                }
                lr = schedule::learning_rate(train, epoch, index, count);
                let step = Step { model, batch: &batch, loss_weights, class_weights: class_weights.as_ref(), lr };
                let loss = self.step(step, optimizer, &mut sums)?;
                // On a GPU asking for the loss waits for the step; now and then is enough there.
                if model.device == Device::Cpu || index % LOOK_EVERY == 0 || index + 1 == count {
                    let value = loss.double_value(&[]);
                    if !value.is_finite() {
                        let method = self.method.name.clone();
                        return Err(Error::NonFinite { value, epoch: epoch + 1, batch: index + 1, method });
                    }
                    progress.message(format!("epoch {}/{} loss {value:.4}", epoch + 1, train.epochs));
                }
                progress.advance(batch.positions.len() as u64);
            }
            Ok(None)
        })?;
        Ok(match stopped {
            Some(batches) => Course::Stopped(Begun { batches, sums: sums.partial()?, seconds: 0.0 }),
            None => Course::Whole(sums.row(epoch + 1, schedule::alpha(train, epoch), loss_weights, lr)?),
        })
    }

    /// One update. Returns the loss before it.
    fn step(&self, step: Step, optimizer: &mut Optimizer, sums: &mut Sums) -> Result<Tensor, Error> {
        let Step { model, batch, loss_weights, class_weights, lr } = step;
        let tensors = batch.tensors(model.device);
        let target = loss::mask_to_map(&tensors.lung, map_side(self.slices.side as i64));
        let output = model.network.forward(&tensors.image, true);
        let kind = self.method.train.map_loss;
        let terms = loss::terms(&output, &tensors.labels, &target, loss_weights, kind, class_weights);
        optimizer.descend(&terms.total, lr)?;
        tch::no_grad(|| {
            let map = output.attention.as_ref().map(|attention| &attention.map);
            let measures = map.map(|map| attention::measure(map, &tensors.lung, tensors.lesion.as_ref()));
            sums.add(&terms, &output, &tensors.labels, measures.as_ref());
        });
        Ok(terms.total.detach())
    }

    /// Weights (K) of the classes: inverse frequency among the training slices, mean 1 over them.
    fn class_weights(&self) -> Option<Tensor> {
        if self.method.train.class_weights == ClassWeights::None {
            return None;
        }
        let labels = self.split.train.iter().map(|index| self.slices.rows[*index].label);
        let weights = balanced(labels, self.classes);
        Some(Tensor::from_slice(&weights).to_kind(Kind::Float).to_device(self.device))
    }
}

/// Where a run goes on, in words; none at its start.
fn place(position: &Position) -> Option<String> {
    match (&position.begun, position.epochs) {
        (Some(begun), epochs) => Some(format!("batch {} of epoch {}", begun.batches, epochs + 1)),
        (None, 0) => None,
        (None, epochs) => Some(format!("epoch {epochs}")),
    }
}

/// `N / (K * n_k)` for each class, as scikit-learn's "balanced": mean 1 over the slices. An absent class gets 0.
pub fn balanced(labels: impl Iterator<Item = i32>, classes: usize) -> Vec<f32> {
    let mut counts = vec![0_u32; classes];
    for label in labels {
        if let Some(count) = usize::try_from(label).ok().and_then(|label| counts.get_mut(label)) {
            *count += 1;
        }
    }
    let total: u32 = counts.iter().sum();
    let weight = |count: &u32| if *count == 0 { 0.0 } else { total as f32 / (classes as f32 * *count as f32) };
    counts.iter().map(weight).collect()
}
