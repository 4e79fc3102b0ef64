//! SGD with momentum and AdamW, with PyTorch's update rules and a state that can be written down.
//!
//! libtorch's own optimisers hide their buffers from tch, and a run that resumes without them is another run. The rules are
//! those of `torch.optim.SGD` (dampening 0) and `torch.optim.AdamW` (Loshchilov and Hutter, arXiv:1711.05101).

use contract::config::{self, Train};
use tch::{Tensor, no_grad};

/// A parameter's place in the state: `momentum` for SGD; `first` and `second` moment for AdamW.
const MOMENTUM: &str = "momentum";
const FIRST: &str = "first";
const SECOND: &str = "second";

/// Hyperparameters that do not change within a run.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Sgd { momentum: f64, nesterov: bool },
    Adamw { beta1: f64, beta2: f64, eps: f64 },
}

/// The optimiser of a set of named parameters.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    weight_decay: f64,
    parameters: Vec<Slot>,
    steps: i64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    value: Tensor,
    /// One buffer for SGD, two for AdamW; empty before the first step.
    buffers: Vec<Tensor>,
}

impl Optimizer {
    /// Starts without history. `parameters` keep their order, which fixes the order of the updates.
    pub fn new(train: &Train, parameters: Vec<(String, Tensor)>) -> Self {
        let rule = match train.optimizer {
            config::Optimizer::Sgd => Rule::Sgd { momentum: train.momentum, nesterov: train.nesterov },
            config::Optimizer::Adamw => Rule::Adamw { beta1: train.beta1, beta2: train.beta2, eps: train.eps },
        };
        let slot = |(name, value)| Slot { name, value, buffers: Vec::new() };
        Self { rule, weight_decay: train.weight_decay, parameters: parameters.into_iter().map(slot).collect(), steps: 0 }
    }

    /// Sets all gradients to zero.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.parameters {
            slot.value.zero_grad();
        }
    }

    /// One update with learning rate `lr`. Parameters that took no part in the loss have no gradient and stay.
    pub fn step(&mut self, lr: f64) {
        self.steps += 1;
        let (rule, decay, steps) = (self.rule, self.weight_decay, self.steps);
        no_grad(|| {
            for slot in self.parameters.iter_mut().filter(|slot| slot.value.grad().defined()) {
                match rule {
                    Rule::Sgd { momentum, nesterov } => slot.sgd(lr, momentum, nesterov, decay),
                    Rule::Adamw { beta1, beta2, eps } => slot.adamw(lr, (beta1, beta2), eps, decay, steps),
                }
            }
        });
    }

    /// The state by name (`<parameter>.<buffer>`), and the number of steps taken.
    pub fn state(&self) -> (Vec<(String, Tensor)>, i64) {
        let names = self.buffer_names();
        let of = |slot: &Slot| {
            let buffers = slot.buffers.iter().zip(names);
            buffers.map(|(buffer, name)| (format!("{}.{name}", slot.name), buffer.shallow_clone())).collect::<Vec<_>>()
        };
        (self.parameters.iter().flat_map(of).collect(), self.steps)
    }

    /// Takes the state that [`Self::state`] gave. A buffer that is not in it starts without history.
    pub fn restore(&mut self, mut take: impl FnMut(&str) -> Option<Tensor>, steps: i64) {
        let names = self.buffer_names();
        self.steps = steps;
        for slot in &mut self.parameters {
            slot.buffers = names.iter().filter_map(|name| take(&format!("{}.{name}", slot.name))).collect();
        }
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        match self.rule {
            Rule::Sgd { .. } => &[MOMENTUM],
            Rule::Adamw { .. } => &[FIRST, SECOND],
        }
    }
}

impl Slot {
    fn sgd(&mut self, lr: f64, momentum: f64, nesterov: bool, decay: f64) {
        let mut grad = self.value.grad();
        if decay != 0.0 {
            grad = grad + &self.value * decay;
        }
        if momentum != 0.0 {
            match self.buffers.first_mut() {
                // PyTorch starts the buffer with the first gradient itself.
                None => self.buffers.push(grad.copy()),
                Some(buffer) => {
                    let _ = buffer.g_mul_scalar_(momentum).g_add_(&grad);
                }
            }
            let buffer = &self.buffers[0];
            grad = if nesterov { grad + buffer * momentum } else { buffer.shallow_clone() };
        }
        let _ = self.value.g_sub_(&(grad * lr));
    }

    fn adamw(&mut self, lr: f64, (beta1, beta2): (f64, f64), eps: f64, decay: f64, steps: i64) {
        let grad = self.value.grad();
        if self.buffers.is_empty() {
            self.buffers = vec![grad.zeros_like(), grad.zeros_like()];
        }
        let _ = self.value.g_mul_scalar_(1.0 - lr * decay);
        let _ = self.buffers[0].lerp_(&grad, 1.0 - beta1);
        let _ = self.buffers[1].g_mul_scalar_(beta2).g_add_(&(&grad * &grad * (1.0 - beta2)));
        let correction1 = 1.0 - beta1.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        let correction2 = 1.0 - beta2.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        let denominator = self.buffers[1].sqrt() / correction2.sqrt() + eps;
        let _ = self.value.g_sub_(&(&self.buffers[0] / denominator * (lr / correction1)));
    }
}
