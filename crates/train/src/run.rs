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
use crate::checkpoint::{self, Position};
use crate::data::{Slices, Split};
use crate::log::{Row, Sums, Timing};
use crate::optimizer::Optimizer;
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
        let total = u64::from(train.epochs - position.epochs) * self.split.train.len() as u64;
        let progress = Progress::new(self.id, "images", total);
        if position.epochs > 0 {
            progress.note(&format!("{}: goes on after epoch {}", self.id, position.epochs));
        }
        while position.epochs < train.epochs {
            let started = Instant::now();
            let row = self.epoch(position.epochs, &model, &mut optimizer, &progress)?;
            let seconds = started.elapsed().as_secs_f64();
            let images_per_second = self.split.train.len() as f64 / seconds;
            position.timing.push(Timing { epoch: row.epoch, seconds, images_per_second });
            position.log.push(row);
            position.epochs += 1;
            if position.epochs.is_multiple_of(train.checkpoint_epochs) || position.epochs == train.epochs {
                checkpoint::save(self.checkpoint, &position, &model.tensors, &optimizer)?;
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
        if let Some(told) = init::start(&model.tensors, self.seed, train.init.as_deref())? {
            eprintln!("{}: {told}", self.id);
        }
        Ok(model)
    }

    fn epoch(&self, epoch: u32, model: &Model, optimizer: &mut Optimizer, progress: &Progress) -> Result<Row, Error> {
        let train = &self.method.train;
        let batches = batch::order(&self.split.train, train.batch_size as usize, self.seed, epoch);
        let (count, loss_weights) = (batches.len(), schedule::weights(train, epoch));
        let class_weights = self.class_weights();
        let draw = |slice: usize| Draw::new(train, self.seed, epoch, slice);
        let mut sums = Sums::new(model.device);
        let mut lr = train.lr;
        std::thread::scope(|scope| {
            let receiver = batch::prefetch(scope, self.slices, batches, Pixels::new(train), draw);
            for (index, batch) in receiver.iter().enumerate() {
                if interrupt::requested() {
                    return Err(Error::Interrupted);
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
            Ok(())
        })?;
        Ok(sums.row(epoch + 1, schedule::alpha(train, epoch), loss_weights, lr)?)
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
