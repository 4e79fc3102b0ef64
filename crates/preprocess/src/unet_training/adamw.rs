//! AdamW with its state in reach, so that an interrupted training goes on where it was.
//!
//! Source: Loshchilov and Hutter, ICLR 2019 (arXiv:1711.05101), algorithm 2.

use tch::{Kind, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// First and second moments of every trainable variable.
pub(super) struct AdamW {
    variables: Vec<(String, Tensor)>,
    moments: Vec<(Tensor, Tensor)>,
    weight_decay: f64,
}

impl AdamW {
    /// For `variables` by name; the names order the state.
    pub fn new(variables: Vec<(String, Tensor)>, weight_decay: f64) -> Self {
        let moments = variables.iter().map(|(_, variable)| (variable.zeros_like(), variable.zeros_like())).collect();
        Self { variables, moments, weight_decay }
    }

    /// Moves every variable against its gradient; `step` counts from 1.
    pub fn step(&mut self, step: i64, lr: f64) {
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let (correct1, correct2) = (1.0 - BETA1.powi(power), 1.0 - BETA2.powi(power));
        tch::no_grad(|| {
            for ((_, variable), (first, second)) in self.variables.iter_mut().zip(&mut self.moments) {
                let gradient = variable.grad();
                if !gradient.defined() {
                    continue;
                }
                let _ = first.g_mul_scalar_(BETA1).g_add_(&(&gradient * (1.0 - BETA1)));
                let _ = second.g_mul_scalar_(BETA2).g_add_(&(&gradient * &gradient * (1.0 - BETA2)));
                let size = (&*second / correct2).sqrt() + EPSILON;
                let _ = variable.g_mul_scalar_(1.0 - lr * self.weight_decay);
                let _ = variable.g_sub_(&(&*first * (lr / correct1) / size));
                let _ = variable.grad().zero_();
            }
        });
    }

    /// The moments as named tensors.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let both = self.variables.iter().zip(&self.moments);
        both.flat_map(|((name, _), (first, second))| {
            [
                (format!("adam.first.{name}"), first.shallow_clone()),
                (format!("adam.second.{name}"), second.shallow_clone()),
            ]
        })
        .collect()
    }

    /// Takes the moments back; false if one is missing or has another shape.
    pub fn restore(&mut self, find: impl Fn(&str) -> Option<Tensor>) -> bool {
        for ((name, _), (first, second)) in self.variables.iter().zip(&mut self.moments) {
            for (kind, moment) in [("first", first), ("second", second)] {
                let found = find(&format!("adam.{kind}.{name}")).filter(|found| found.size() == moment.size());
                let Some(found) = found else { return false };
                *moment = found.to_kind(Kind::Float);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn two_steps_equal_the_algorithm_by_hand() {
        // Loss p^2, so the gradient is 2 p. From p = 1, learning rate 0.1, decay 0.01:
        // step 1: m = 0.2, v = 0.004, corrected 2 and 4; p = 0.999 - 0.1 * 2 / 2 = 0.899
        // step 2: g = 1.798, m = 0.3598, v = 0.007228804, corrected 1.893684 and 3.616210;
        //         p = 0.899 * 0.999 - 0.1 * 1.893684 / 1.901634 = 0.798519; from p = -2 likewise -1.898 and -1.796273
        let variable = Tensor::from_slice(&[1.0_f32, -2.0]).set_requires_grad(true);
        let mut adam = AdamW::new(vec![("p".to_owned(), variable.shallow_clone())], 0.01);
        for (step, expected) in [(1, [0.899_f32, -1.898]), (2, [0.798_519, -1.796_273])] {
            (&variable * &variable).sum(Kind::Float).backward();
            adam.step(step, 0.1);
            let difference = variable.detach() - Tensor::from_slice(&expected);
            assert!(difference.abs().max().double_value(&[]) < 2e-6);
            assert_eq!(variable.grad().abs().sum(Kind::Float).double_value(&[]), 0.0);
        }
    }

    #[test]
    fn state_goes_out_and_back() {
        let variable = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let make = || AdamW::new(vec![("p".to_owned(), variable.shallow_clone())], 0.0);
        let mut adam = make();
        (&variable * 2.0).sum(Kind::Float).backward();
        adam.step(1, 0.01);
        let state = adam.state();
        let find = |name: &str| state.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor.copy());
        let mut other = make();
        assert!(other.restore(find));
        assert!(state.iter().zip(other.state()).all(|((_, a), (_, b))| *a == b));
        assert!(!make().restore(|_| None));
    }
}
