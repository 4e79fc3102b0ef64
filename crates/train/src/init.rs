//! Initial weights: drawn from the seed by name, or read from a file.
//!
//! Convolutions: He et al. (arXiv:1502.01852), normal with variance 2 / fan_out, as torchvision's ResNet. Batch norm: 1 and 0.
//! The last layer: uniform within 1 / sqrt(fan_in), PyTorch's default. Drawn on the CPU by a counter, so the device and the
//! number of threads do not change them.

use contract::random;
use rand::RngExt;
use tch::{Tensor, no_grad};

/// Pairs of uniform numbers become pairs of normal ones (Box and Muller, 1958).
fn normals(rng: &mut random::ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (u, v): (f64, f64) = (1.0 - rng.random_range(0.0..1.0), rng.random_range(0.0..1.0));
        let radius = (-2.0 * u.ln()).sqrt() * deviation;
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        values.push((radius * cos) as f32);
        values.push((radius * sin) as f32);
    }
    values.truncate(count);
    values
}

/// Fills named tensors with the project's initial values for `seed`.
pub fn draw(tensors: &[(String, Tensor)], seed: u64) {
    no_grad(|| {
        for (name, tensor) in tensors {
            let mut rng = random::stream(seed, &format!("init/{name}"), &[]);
            let shape = tensor.size();
            let count = tensor.numel();
            let mut target = tensor.shallow_clone();
            match (shape.as_slice(), name.rsplit('.').next()) {
                ([out, _, height, width], _) => {
                    let deviation = (2.0 / (out * height * width) as f64).sqrt();
                    target.copy_(&Tensor::from_slice(&normals(&mut rng, count, deviation)).view(shape.as_slice()));
                }
                ([_, fan_in], _) => fill_uniform(&mut target, &mut rng, *fan_in),
                (_, Some("weight" | "running_var")) => {
                    let _ = target.fill_(1.0);
                }
                _ => {
                    let _ = target.fill_(0.0);
                }
            }
        }
    });
}

fn fill_uniform(target: &mut Tensor, rng: &mut random::ChaCha8Rng, fan_in: i64) {
    let bound = 1.0 / (fan_in as f32).sqrt();
    let values: Vec<f32> = (0..target.numel()).map(|_| rng.random_range(-bound..bound)).collect();
    target.copy_(&Tensor::from_slice(&values).view(target.size().as_slice()));
}
