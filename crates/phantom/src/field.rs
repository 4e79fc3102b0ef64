//! Smooth random fields: value noise on a lattice of hashed values, and image noise with a reconstruction kernel.

use rand_distr::{Distribution, StandardNormal};

use contract::random::stream;

/// Value noise in three dimensions, -1..1, one lattice step per unit of the arguments.
#[derive(Debug, Clone, Copy)]
pub struct Field(u32);

impl Field {
    /// A field of its own for every seed.
    pub fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) ^ 0x85EB_CA6B)
    }

    /// The field's value, -1..1.
    pub fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let (x0, y0, z0) = (x.floor(), y.floor(), z.floor());
        let (fx, fy, fz) = (ease(x - x0), ease(y - y0), ease(z - z0));
        let (ix, iy, iz) = (x0 as i32, y0 as i32, z0 as i32);
        let row = |dy: i32, dz: i32| {
            let a = self.lattice(ix, iy + dy, iz + dz);
            a + (self.lattice(ix + 1, iy + dy, iz + dz) - a) * fx
        };
        let (near, far) = (row(0, 0) + (row(1, 0) - row(0, 0)) * fy, row(0, 1) + (row(1, 1) - row(0, 1)) * fy);
        near + (far - near) * fz
    }

    fn lattice(&self, x: i32, y: i32, z: i32) -> f32 {
        let mut hash = self.0
            ^ (x as u32).wrapping_mul(0x8DA6_B343)
            ^ (y as u32).wrapping_mul(0xD816_3841)
            ^ (z as u32).wrapping_mul(0xCB1A_B31F);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
        hash ^= hash >> 15;
        (hash >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
    }
}

fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

/// Gaussian image noise of standard deviation 1, `side` x `side`, neighbours correlated by a kernel
/// `[softness, 1, softness]` in rows and columns.
pub fn image_noise(seed: u64, counters: &[u64], side: usize, softness: f32) -> Vec<f32> {
    let mut rng = stream(seed, "phantom/noise", counters);
    let mut noise: Vec<f32> = (0..side * side).map(|_| StandardNormal.sample(&mut rng)).collect();
    blur(&mut noise, side, softness);
    // A separable kernel with taps [s, 1, s] / (1 + 2 s) scales the deviation by this factor in each direction.
    let one_direction = (1.0 + 2.0 * softness * softness).sqrt() / (1.0 + 2.0 * softness);
    let scale = 1.0 / (one_direction * one_direction);
    noise.iter_mut().for_each(|value| *value *= scale);
    noise
}

/// Smooths a square image in place with `[softness, 1, softness]` in rows and columns; edges repeat.
pub fn blur(image: &mut [f32], side: usize, softness: f32) {
    if softness <= 0.0 || side < 2 {
        return;
    }
    let (centre, wing) = (1.0 / (1.0 + 2.0 * softness), softness / (1.0 + 2.0 * softness));
    for row in image.chunks_exact_mut(side) {
        let mut before = row[0];
        for column in 0..side {
            let here = row[column];
            let after = row[(column + 1).min(side - 1)];
            row[column] = centre * here + wing * (before + after);
            before = here;
        }
    }
    let mut before = image[..side].to_vec();
    for row in 0..side {
        let next = (row + 1).min(side - 1) * side;
        for column in 0..side {
            let here = image[row * side + column];
            image[row * side + column] = centre * here + wing * (before[column] + image[next + column]);
            before[column] = here;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_smooth_bounded_and_repeats() {
        let field = Field::new(3);
        for step in 0..2000 {
            let x = step as f32 * 0.037 - 30.0;
            let value = field.at(x, 0.4 * x, 1.7);
            assert!((-1.0..=1.0).contains(&value));
            assert!((value - field.at(x + 0.001, 0.4 * x, 1.7)).abs() < 0.01);
            assert_eq!(value, Field::new(3).at(x, 0.4 * x, 1.7));
        }
    }

    #[test]
    fn image_noise_has_unit_deviation_and_correlated_neighbours() {
        let side = 128;
        let noise = image_noise(1, &[2, 3], side, 0.5);
        let count = noise.len() as f32;
        let variance = noise.iter().map(|value| value * value).sum::<f32>() / count;
        assert!((variance.sqrt() - 1.0).abs() < 0.03, "{variance}");
        let pairs = noise.chunks(side).flat_map(|row| row.windows(2)).map(|pair| pair[0] * pair[1]).sum::<f32>();
        // Taps (1/4, 1/2, 1/4): lag-1 autocorrelation is (2 * 1/4 * 1/2) / (1/16 + 1/4 + 1/16) = 2/3.
        assert!((pairs / count / variance - 2.0 / 3.0).abs() < 0.04);
    }

    #[test]
    fn blurring_keeps_a_constant() {
        let mut image = vec![40.0; 16];
        blur(&mut image, 4, 0.7);
        assert!(image.iter().all(|value| (value - 40.0).abs() < 1e-4));
    }
}
