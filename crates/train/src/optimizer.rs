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
        Self {
            rule,
            weight_decay: train.weight_decay,
            parameters: parameters.into_iter().map(slot).collect(),
            steps: 0,
        }
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
    /// Works in place, because the update is bound by memory: a temporary of all parameters costs as much as the sum itself.
    fn sgd(&mut self, lr: f64, momentum: f64, nesterov: bool, decay: f64) {
        let grad = self.value.grad();
        let scalar = |value: f64| Tensor::from(value).to_kind(grad.kind()).to_device(grad.device());
        if momentum == 0.0 {
            let _ = self.value.g_mul_scalar_(1.0 - lr * decay).addcmul_(&grad, &scalar(-lr));
            return;
        }
        match self.buffers.first_mut() {
            // PyTorch starts the buffer with the first gradient itself.
            None => self.buffers.push(grad.copy()),
            Some(buffer) => {
                let _ = buffer.g_mul_scalar_(momentum).g_add_(&grad);
            }
        }
        let buffer = &mut self.buffers[0];
        if decay != 0.0 {
            let _ = buffer.addcmul_(&self.value, &scalar(decay));
        }
        if nesterov {
            let decayed = &self.value * decay + &grad;
            let _ = self.value.addcmul_(&(decayed + &*buffer * momentum), &scalar(-lr));
        } else {
            let _ = self.value.addcmul_(buffer, &scalar(-lr));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// f(w) = w^2 / 2 of one weight starting at 1, whose gradient is w itself.
    fn descend(rule: Rule, weight_decay: f64, lr: f64, steps: usize) -> f64 {
        let value = Tensor::from_slice(&[1.0_f64]).set_requires_grad(true);
        let slot = Slot { name: "w".to_owned(), value: value.shallow_clone(), buffers: Vec::new() };
        let mut optimizer = Optimizer { rule, weight_decay, parameters: vec![slot], steps: 0 };
        for _ in 0..steps {
            optimizer.zero_grad();
            (&value * &value / 2.0).sum(tch::Kind::Double).backward();
            optimizer.step(lr);
        }
        value.double_value(&[0])
    }

    fn assert_close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "got {got}, expected {expected}");
    }

    #[test]
    fn sgd_follows_the_worked_recurrence() {
        // By hand: w1 = 1 - 0.1 = 0.9; buffer 0.9 + 0.9 = 1.8, w2 = 0.72; buffer 1.62 + 0.72 = 2.34, w3 = 0.486.
        assert_close(descend(Rule::Sgd { momentum: 0.9, nesterov: false }, 0.0, 0.1, 3), 0.486);
        // Nesterov: step 1 uses 1 + 0.9 * 1 = 1.9, w1 = 0.81; buffer 0.9 + 0.81 = 1.71, step 0.81 + 1.539 = 2.349, w2 = 0.5751.
        assert_close(descend(Rule::Sgd { momentum: 0.9, nesterov: true }, 0.0, 0.1, 2), 0.5751);
        // Weight decay 0.5 on w = 1: gradient 1.5, w1 = 0.85; buffer 1.35 + 1.275 = 2.625, w2 = 0.5875.
        assert_close(descend(Rule::Sgd { momentum: 0.9, nesterov: false }, 0.5, 0.1, 2), 0.5875);
        assert_close(descend(Rule::Sgd { momentum: 0.0, nesterov: false }, 0.5, 0.1, 1), 0.85);
    }

    #[test]
    fn adamw_first_step_is_lr_after_decay() {
        // Bias correction makes the first step lr * g / (|g| + eps), after w * (1 - lr * decay) = 0.999.
        let rule = Rule::Adamw { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
        assert_close(descend(rule, 0.01, 0.1, 1), 0.999 - 0.1 / (1.0 + 1e-8));
    }

    #[test]
    fn adamw_second_step_by_the_paper() {
        // Algorithm 2 of arXiv:1711.05101, evaluated in the order of the text with g1 = 1 and g2 = w1.
        let w1 = 0.9 + 1e-9 / (1.0 + 1e-8);
        let (m, v) = (0.9 * 0.1 + 0.1 * w1, 0.999 * 0.001 + 0.001 * w1 * w1);
        let expected = w1 - 0.1 * (m / (1.0 - 0.81)) / ((v / (1.0 - 0.998_001_f64)).sqrt() + 1e-8);
        assert_close(descend(Rule::Adamw { beta1: 0.9, beta2: 0.999, eps: 1e-8 }, 0.0, 0.1, 2), expected);
    }
}
