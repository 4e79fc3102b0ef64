//! What is printed over an image: letters, scales, arrows, boxes and the frame of a figure.

use contract::random::ChaCha8Rng;
use ndarray::Array2;
use rand::RngExt;

use super::samples::{between, chance};

const WHITE_HU: f32 = 600.0;
const BLACK_HU: f32 = -1024.0;

/// Sometimes prints some marks.
pub(super) fn mark(hu: &mut Array2<f32>, rng: &mut ChaCha8Rng) {
    if chance(rng, 0.06) {
        border(hu, rng);
    }
    if !chance(rng, 0.25) {
        return;
    }
    for _ in 0..rng.random_range(1..7) {
        let value = if chance(rng, 0.8) { WHITE_HU } else { BLACK_HU };
        match rng.random_range(0..4) {
            0 => corner(hu, value, rng),
            1 => letters(hu, value, rng),
            2 => arrow(hu, value, rng),
            _ => ring(hu, value, rng),
        }
    }
}

fn put(hu: &mut Array2<f32>, column: f32, row: f32, value: f32) {
    if column >= 0.0
        && row >= 0.0
        && let Some(pixel) = hu.get_mut((row as usize, column as usize))
    {
        *pixel = value;
    }
}

fn place(hu: &Array2<f32>, rng: &mut ChaCha8Rng) -> (f32, f32) {
    (hu.ncols() as f32 * rng.random::<f32>(), hu.nrows() as f32 * rng.random::<f32>())
}

/// Two sides of a box, as scales have.
fn corner(hu: &mut Array2<f32>, value: f32, rng: &mut ChaCha8Rng) {
    let (rows, columns) = hu.dim();
    let (height, width) = (rng.random_range(1..rows / 10 + 2), rng.random_range(1..columns / 10 + 2));
    let (left, top) = place(hu, rng);
    for row in 0..height {
        for column in 0..width {
            if row < 2 || column < 2 {
                put(hu, left + column as f32, top + row as f32, value);
            }
        }
    }
}

/// A line of letters: random strokes in cells of 5 x 7.
fn letters(hu: &mut Array2<f32>, value: f32, rng: &mut ChaCha8Rng) {
    let scale = rng.random_range(1..4_usize);
    let (left, top) = place(hu, rng);
    for letter in 0..rng.random_range(1..9) {
        let offset = left + (letter * 6 * scale) as f32;
        let upright = rng.random_range(0..5);
        let across = rng.random_range(0..7);
        for (row, column) in (0..7).flat_map(|row| (0..5).map(move |column| (row, column))) {
            if column == upright || row == across || chance(rng, 0.25) {
                for pixel in 0..scale * scale {
                    let (x, y) = (column * scale + pixel % scale, row * scale + pixel / scale);
                    put(hu, offset + x as f32, top + y as f32, value);
                }
            }
        }
    }
}

/// A shaft with a solid head.
fn arrow(hu: &mut Array2<f32>, value: f32, rng: &mut ChaCha8Rng) {
    let size = hu.ncols() as f32;
    let ((x, y), angle) = (place(hu, rng), between(rng, 0.0, std::f32::consts::TAU));
    let (length, head, thick) =
        (size * between(rng, 0.03, 0.12), size * between(rng, 0.015, 0.035), between(rng, 0.5, 1.8));
    let (sin, cos) = angle.sin_cos();
    for along in 0..(2.0 * length) as usize {
        let along = 0.5 * along as f32;
        let half = if along < head { 0.6 * along } else { thick };
        for across in 0..=(4.0 * half) as usize {
            let across = 0.5 * across as f32 - half;
            put(hu, x + along * cos - across * sin, y + along * sin + across * cos, value);
        }
    }
}

/// The outline of an ellipse or a box around something.
fn ring(hu: &mut Array2<f32>, value: f32, rng: &mut ChaCha8Rng) {
    let ((x, y), size) = (place(hu, rng), hu.ncols() as f32);
    let (across, down) = (size * between(rng, 0.03, 0.15), size * between(rng, 0.03, 0.15));
    let square = chance(rng, 0.5);
    for step in 0..(8.0 * (across + down)) as usize {
        let angle = std::f32::consts::TAU * step as f32 / (8.0 * (across + down));
        let (sin, cos) = angle.sin_cos();
        let reach = if square { 1.0 / sin.abs().max(cos.abs()) } else { 1.0 };
        put(hu, x + across * reach * cos, y + down * reach * sin, value);
    }
}

/// White or black margins at some of the sides.
fn border(hu: &mut Array2<f32>, rng: &mut ChaCha8Rng) {
    let (rows, columns) = hu.dim();
    let value = if chance(rng, 0.7) { WHITE_HU } else { BLACK_HU };
    let mut width = |count: usize| if chance(rng, 0.5) { (count as f32 * between(rng, 0.0, 0.05)) as usize } else { 0 };
    let (top, bottom, left, right) = (width(rows), width(rows), width(columns), width(columns));
    for ((row, column), pixel) in hu.indexed_iter_mut() {
        if row < top || row >= rows - bottom || column < left || column >= columns - right {
            *pixel = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::random::stream;

    #[test]
    fn marks_are_white_or_black_and_small() {
        let mut marked = 0;
        for index in 0..60 {
            let mut hu = Array2::from_elem((80, 100), 40.0);
            mark(&mut hu, &mut stream(1, "test", &[index]));
            let changed = hu.iter().filter(|value| **value != 40.0).count();
            assert!(hu.iter().all(|value| [40.0, WHITE_HU, BLACK_HU].contains(value)));
            assert!(changed < hu.len() / 2, "{changed}");
            marked += usize::from(changed > 0);
        }
        assert!((5..40).contains(&marked), "{marked}");
    }
}
