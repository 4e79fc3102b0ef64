//! SGD with momentum and AdamW, with PyTorch's update rules and a state that can be written down.
//!
//! libtorch's own optimisers hide their buffers from tch, and a run that resumes without them is another run. The rules are
//! those of `torch.optim.SGD` (dampening 0) and `torch.optim.AdamW` (Loshchilov and Hutter, arXiv:1711.05101): [`crate::fused`] on the
//! CPU, tensor operations elsewhere.

use contract::config::{self, Train};
use tch::{Tensor, no_grad};

use crate::fused::{self, Adamw, Sgd};

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

    /// One update with learning rate `lr` down the gradients of `loss`. Every parameter must take part in it.
    ///
    /// Gradients are handed over rather than accumulated in the parameters, which spares a pass over memory to clear them and one to add.
    ///
    /// # Errors
    /// libtorch cannot differentiate.
    pub fn descend(&mut self, loss: &Tensor, lr: f64) -> Result<(), tch::TchError> {
        let values: Vec<&Tensor> = self.parameters.iter().map(|slot| &slot.value).collect();
        let gradients = Tensor::f_run_backward(&[loss], &values, false, false)?;
        self.steps += 1;
        no_grad(|| {
            // A gradient's memory goes back before the next update asks for more.
            for (slot, gradient) in self.parameters.iter_mut().zip(gradients) {
                slot.update(&gradient, self.rule, lr, self.weight_decay, self.steps);
            }
        });
        Ok(())
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
            let taken = names.iter().filter_map(|name| take(&format!("{}.{name}", slot.name)));
            slot.buffers = taken.map(|buffer| fused::ordered_as(&buffer, &slot.value)).collect();
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
    fn update(&mut self, gradient: &Tensor, rule: Rule, lr: f64, decay: f64, step: i64) {
        let in_memory = fused::is_possible(&self.value);
        match rule {
            Rule::Sgd { momentum, nesterov } => {
                let rule = Sgd { lr, momentum, nesterov, decay };
                let first = self.start(1);
                let update = if in_memory { fused::sgd } else { sgd };
                update(&self.value, gradient, &self.buffers[0], first, rule);
            }
            Rule::Adamw { beta1, beta2, eps } => {
                let rule = Adamw { lr, beta1, beta2, eps, decay, step };
                self.start(2);
                let update = if in_memory { fused::adamw } else { adamw };
                update(&self.value, gradient, [&self.buffers[0], &self.buffers[1]], rule);
            }
        }
    }

    /// Makes `count` buffers of zeros where there are none. Returns whether there were none.
    fn start(&mut self, count: usize) -> bool {
        let first = self.buffers.is_empty();
        if first {
            self.buffers = (0..count).map(|_| self.value.detach().zeros_like()).collect();
        }
        first
    }
}

/// [`fused::sgd`] as tensor operations, for any device.
fn sgd(value: &Tensor, gradient: &Tensor, buffer: &Tensor, first: bool, rule: Sgd) {
    let (mut value, mut buffer) = (value.shallow_clone(), buffer.shallow_clone());
    let decayed = gradient + &value * rule.decay;
    if first {
        buffer.copy_(&decayed);
    } else {
        let _ = buffer.g_mul_scalar_(rule.momentum).g_add_(&decayed);
    }
    let way = if rule.nesterov { &decayed + &buffer * rule.momentum } else { buffer };
    let _ = value.g_sub_(&(way * rule.lr));
}

/// [`fused::adamw`] as tensor operations, for any device.
fn adamw(value: &Tensor, gradient: &Tensor, moments: [&Tensor; 2], rule: Adamw) {
    let [mut first, mut second] = moments.map(Tensor::shallow_clone);
    let mut value = value.shallow_clone();
    let (correction1, correction2) = rule.corrections();
    let _ = value.g_mul_scalar_(1.0 - rule.lr * rule.decay);
    let _ = first.lerp_(gradient, 1.0 - rule.beta1);
    let _ = second.g_mul_scalar_(rule.beta2).g_add_(&(gradient * gradient * (1.0 - rule.beta2)));
    let denominator = second.sqrt() / correction2.sqrt() + rule.eps;
    let _ = value.g_sub_(&(first / denominator * (rule.lr / correction1)));
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
            optimizer.descend(&(&value * &value / 2.0).sum(tch::Kind::Double), lr).unwrap();
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

    /// The rules over memory and as tensor operations give the same weights, in either memory layout, f32 within rounding.
    #[test]
    fn both_ways_of_updating_agree() {
        let random = |seed: i64| {
            tch::manual_seed(seed);
            Tensor::randn([8, 4, 3, 3], (tch::Kind::Float, tch::Device::Cpu))
        };
        let turned = |x: &Tensor| x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let sgd_rule = Sgd { lr: 0.1, momentum: 0.9, nesterov: true, decay: 0.01 };
        let adamw_rule = Adamw { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, decay: 0.01, step: 3 };
        for layout in [Tensor::shallow_clone, turned] {
            let [a, b] = [0, 0].map(|seed| layout(&random(seed)));
            let [ma, mb] = [1, 1].map(|seed| layout(&random(seed)));
            fused::sgd(&a, &random(2), &ma, false, sgd_rule);
            sgd(&b, &random(2), &mb, false, sgd_rule);
            assert!(a.allclose(&b, 1e-5, 1e-6, false) && ma.allclose(&mb, 1e-5, 1e-6, false));
            let [va, vb] = [3, 3].map(|seed| layout(&random(seed).square()));
            fused::adamw(&a, &random(4), [&ma, &va], adamw_rule);
            adamw(&b, &random(4), [&mb, &vb], adamw_rule);
            assert!(a.allclose(&b, 1e-5, 1e-5, false) && va.allclose(&vb, 1e-5, 1e-6, false));
        }
    }
}
