//! Training slices, each a function of (seed, split, index): a phantom patient never seen twice, made as varied as real CT.
//!
//! What varies beyond the patient: amount of disease up to nearly white lungs, noise, kernel, window and its mismatch as with
//! exported images, marks burnt in, streaks, tight and failed crops, slices of neck and abdomen whose target is empty.

use std::ops::Range;

use contract::random::{ChaCha8Rng, stream};
use ndarray::Array2;
use phantom::{Disease, PatientSpec};
use rand::RngExt;

use crate::protocol::{self, CLIP_HU, SIDE};

/// Slices cut from one patient, one after the other: growing the vessels costs as much as a slice.
const SLICES_PER_PATIENT: u64 = 2;

/// Which slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// Held out: other patients.
    Validation,
}

/// A network input with its target, both [`SIDE`] x [`SIDE`], row-major.
pub struct Sample {
    /// 0..1.
    pub input: Vec<f32>,
    /// 0 background, 1 right lung, 2 left lung.
    pub target: Vec<u8>,
}

/// The sample of that number.
pub fn sample(seed: u64, split: Split, index: u64) -> Sample {
    let domain = match split {
        Split::Train => "unet/train",
        Split::Validation => "unet/validation",
    };
    let person = index / SLICES_PER_PATIENT;
    let patient = phantom::generate(&specification(&mut stream(seed, domain, &[person, 0])));
    let mut rng = stream(seed, domain, &[person, 1 + index % SLICES_PER_PATIENT]);
    let level = level(&mut rng);
    let slice = phantom::slice(&patient, level);
    let mut hu = slice.hu;
    haze(&mut hu, &slice.lungs, &mut rng);
    scanner(&mut hu, &mut rng);
    let (hu, lungs) = cut(hu, slice.lungs, &mut rng);
    let mut hu = export(hu, &mut rng);
    marks(&mut hu, &mut rng);
    let (rows, columns) = frame(&hu, &mut rng);
    Sample { input: input(&hu, &rows, &columns), target: target(&lungs, &rows, &columns) }
}

fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

fn chance(rng: &mut ChaCha8Rng, share: f32) -> bool {
    rng.random::<f32>() < share
}

fn specification(rng: &mut ChaCha8Rng) -> PatientSpec {
    let disease = match rng.random_range(0..10) {
        0..2 => Disease::Healthy,
        2..6 => Disease::CommonPneumonia,
        _ => Disease::Covid19,
    };
    PatientSpec {
        seed: rng.random(),
        index: 0,
        disease,
        difficulty: between(rng, 0.0, 1.0),
        // From one small patch to lungs with hardly any air.
        load: between(rng, -0.7, 1.6).exp(),
        confounder: chance(rng, 0.35),
        noise_hu: between(rng, 1.6, 4.2).exp(),
        size: [224, 256, 320][rng.random_range(0..3)],
        variety: between(rng, 1.0, 1.9),
    }
}

/// Mostly through the lungs, some above and below.
fn level(rng: &mut ChaCha8Rng) -> f32 {
    match rng.random_range(0..100) {
        0..5 => between(rng, -0.30, 0.02),
        5..26 => between(rng, 0.98, 1.65),
        26..44 => between(rng, 0.70, 1.0),
        _ => between(rng, 0.02, 0.98),
    }
}

/// Sometimes lungs that are dense all over, evenly or mottled, more so towards one side: oedema, expiration, diffuse pneumonia.
fn haze(hu: &mut Array2<f32>, lungs: &Array2<u8>, rng: &mut ChaCha8Rng) {
    if !chance(rng, 0.2) {
        return;
    }
    let (density, amount) = (between(rng, -650.0, -200.0), between(rng, 0.2, 0.9));
    let (angle, side) = (between(rng, 0.0, std::f32::consts::TAU), hu.nrows() as f32);
    let mottled = between(rng, 0.0, 1.0);
    let nodes = rng.random_range(8..48_usize);
    let grid: Vec<f32> = (0..nodes * nodes).map(|_| between(rng, -0.9, 0.9)).collect();
    let mottle = |x: f32, y: f32| {
        let (x, y) = (x * (nodes - 1) as f32, y * (nodes - 1) as f32);
        let (column, row) = ((x as usize).min(nodes - 2), (y as usize).min(nodes - 2));
        let (across, down) = (x - column as f32, y - row as f32);
        let line = |row: usize| grid[row * nodes + column] * (1.0 - across) + grid[row * nodes + column + 1] * across;
        line(row) * (1.0 - down) + line(row + 1) * down
    };
    for ((row, column), value) in hu.indexed_iter_mut().filter(|(at, _)| lungs[*at] > 0) {
        let (x, y) = (column as f32 / side, row as f32 / side);
        let slope = 1.1 * ((x - 0.5) * angle.cos() + (y - 0.5) * angle.sin());
        let share = (amount * (0.65 + slope) + mottled * mottle(x, y)).clamp(0.0, amount);
        *value += share * (density - *value).max(0.0);
    }
}

/// Kernels from soft to sharp, and streaks as from arms beside the body.
fn scanner(hu: &mut Array2<f32>, rng: &mut ChaCha8Rng) {
    match rng.random_range(0..6) {
        0 => *hu = smooth(hu),
        1 => {
            let amount = between(rng, 0.5, 1.8);
            let soft = smooth(hu);
            hu.zip_mut_with(&soft, |value, soft| *value += amount * (*value - soft));
        }
        _ => {}
    }
    if chance(rng, 0.15) {
        let strength = between(rng, 15.0, 70.0);
        let lean = between(rng, -0.15, 0.15);
        let phases: Vec<(f32, f32)> = (0..5).map(|_| (between(rng, 0.15, 0.9), between(rng, 0.0, 6.3))).collect();
        for ((row, column), value) in hu.indexed_iter_mut() {
            let along = row as f32 + lean * column as f32;
            *value += strength * phases.iter().map(|(rate, phase)| (along * rate + phase).sin()).sum::<f32>() / 2.2;
        }
    }
}

/// Mean of the 3x3 neighbours.
fn smooth(hu: &Array2<f32>) -> Array2<f32> {
    let (rows, columns) = hu.dim();
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let mut sum = 0.0;
        for r in [row.saturating_sub(1), row, (row + 1).min(rows - 1)] {
            for c in [column.saturating_sub(1), column, (column + 1).min(columns - 1)] {
                sum += hu[(r, c)];
            }
        }
        sum / 9.0
    })
}

/// Sometimes only a part of the slice, down to a tight frame around the lungs, as in printed figures.
fn cut(hu: Array2<f32>, lungs: Array2<u8>, rng: &mut ChaCha8Rng) -> (Array2<f32>, Array2<u8>) {
    if !chance(rng, 0.22) {
        return (hu, lungs);
    }
    let (rows, columns) = hu.dim();
    let inside = |index: &usize, by_row: bool| {
        let line = if by_row { lungs.row(*index) } else { lungs.column(*index) };
        line.iter().any(|lung| *lung > 0)
    };
    let mut range = |count: usize, by_row: bool| {
        let first = (0..count).find(|index| inside(index, by_row)).unwrap_or(count / 4);
        let last = (0..count).rfind(|index| inside(index, by_row)).unwrap_or(3 * count / 4);
        let before = (first as f32 * between(rng, -0.02, 0.7)).max(0.0);
        let after = ((count - 1 - last) as f32 * between(rng, -0.02, 0.7)).max(0.0);
        first - before as usize..last + after as usize + 1
    };
    let (rows, columns) = (range(rows, true), range(columns, false));
    let part = ndarray::s![rows, columns];
    (hu.slice(part).to_owned(), lungs.slice(part).to_owned())
}

/// Sometimes exported through one display window and read back through another, which shifts and scales all densities.
fn export(hu: Array2<f32>, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if !chance(rng, 0.45) {
        return hu;
    }
    let (low, high) = (between(rng, -1450.0, -950.0), between(rng, -150.0, 900.0));
    let (read_low, read_high) = if chance(rng, 0.6) { (-1350.0, 150.0) } else { (low, high) };
    let gamma = if chance(rng, 0.3) { between(rng, -0.4, 0.4).exp() } else { 1.0 };
    hu.mapv(|value| {
        let grey = ((value - low) / (high - low)).clamp(0.0, 1.0).powf(gamma);
        read_low + grey * (read_high - read_low)
    })
}

/// Letters, scales and arrows: small bright or dark bars anywhere.
fn marks(hu: &mut Array2<f32>, rng: &mut ChaCha8Rng) {
    if !chance(rng, 0.2) {
        return;
    }
    let (rows, columns) = hu.dim();
    for _ in 0..rng.random_range(1..9) {
        let (height, width) = (rng.random_range(1..rows / 10 + 2), rng.random_range(1..columns / 10 + 2));
        let (top, left) = (rng.random_range(0..rows), rng.random_range(0..columns));
        let value = if chance(rng, 0.8) { 600.0 } else { -1024.0 };
        // Hollow, as letters are.
        for row in top..(top + height).min(rows) {
            for column in left..(left + width).min(columns) {
                if row < top + 2 || column < left + 2 {
                    hu[(row, column)] = value;
                }
            }
        }
    }
}

/// The part that the network sees: the protocol's crop, sometimes off by a little, sometimes the whole slice.
fn frame(hu: &Array2<f32>, rng: &mut ChaCha8Rng) -> (Range<f32>, Range<f32>) {
    let (rows, columns) = hu.dim();
    let (mut rows, mut columns) = if chance(rng, 0.12) { (0..rows, 0..columns) } else { crop(hu) };
    if rows.len() < 8 || columns.len() < 8 {
        (rows, columns) = (0..hu.nrows(), 0..hu.ncols());
    }
    let loose = if chance(rng, 0.5) { 0.06 } else { 0.0 };
    let mut widen = |range: Range<usize>, count: usize| {
        let slack = loose * range.len() as f32;
        let from = (range.start as f32 + between(rng, -slack, slack)).max(0.0);
        from..(range.end as f32 - 1.0 + between(rng, -slack, slack)).min(count as f32 - 1.0)
    };
    (widen(rows, hu.nrows()), widen(columns, hu.ncols()))
}

fn crop(hu: &Array2<f32>) -> (Range<usize>, Range<usize>) {
    let crop = protocol::prepare(hu).1;
    (crop.rows, crop.cols)
}

/// Positions of the network's pixels: the first and last centre of the range are matched, as the protocol does.
fn positions(range: &Range<f32>) -> impl Iterator<Item = f32> + use<> {
    let (start, step) = (range.start, (range.end - range.start) / (SIDE - 1) as f32);
    (0..SIDE).map(move |index| start + step * index as f32)
}

fn input(hu: &Array2<f32>, rows: &Range<f32>, columns: &Range<f32>) -> Vec<f32> {
    let at = |row: usize, column: usize| hu[(row, column)].clamp(CLIP_HU.0, CLIP_HU.1);
    let (last_row, last_column) = (hu.nrows() - 1, hu.ncols() - 1);
    let mut input = Vec::with_capacity(SIDE * SIDE);
    for y in positions(rows) {
        let (top, down) = (y as usize, y.fract());
        let bottom = (top + 1).min(last_row);
        for x in positions(columns) {
            let (left, across) = (x as usize, x.fract());
            let right = (left + 1).min(last_column);
            let above = at(top, left) * (1.0 - across) + at(top, right) * across;
            let below = at(bottom, left) * (1.0 - across) + at(bottom, right) * across;
            input.push((above * (1.0 - down) + below * down - CLIP_HU.0) / (CLIP_HU.1 - CLIP_HU.0));
        }
    }
    input
}

fn target(lungs: &Array2<u8>, rows: &Range<f32>, columns: &Range<f32>) -> Vec<u8> {
    let nearest = |value: f32, count: usize| ((value + 0.5) as usize).min(count - 1);
    let columns: Vec<usize> = positions(columns).map(|x| nearest(x, lungs.ncols())).collect();
    let line = |y: f32| lungs.row(nearest(y, lungs.nrows()));
    positions(rows).flat_map(|y| columns.iter().map(|x| line(y)[*x]).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_repeat_and_are_in_range() {
        for index in 0..6 {
            let one = sample(3, Split::Train, index);
            assert_eq!((one.input.len(), one.target.len()), (SIDE * SIDE, SIDE * SIDE));
            assert!(one.input.iter().all(|value| (0.0..=1.0).contains(value)));
            assert!(one.target.iter().all(|label| *label <= 2));
            let again = sample(3, Split::Train, index);
            assert!(one.input == again.input && one.target == again.target);
        }
        assert!(sample(3, Split::Train, 0).input != sample(3, Split::Validation, 0).input);
    }

    #[test]
    fn the_right_lung_is_on_the_left_of_the_image_unless_the_patient_is_prone() {
        let mut sides = [0, 0];
        for index in 0..24 {
            let target = sample(8, Split::Train, index).target;
            let mean = |label: u8| {
                let columns = (0..SIDE * SIDE).filter(|at| target[*at] == label).map(|at| at % SIDE);
                let (sum, count) = columns.fold((0, 0_usize), |(sum, count), column| (sum + column, count + 1));
                (count > 300).then(|| sum / count)
            };
            if let (Some(right), Some(left)) = (mean(1), mean(2)) {
                sides[usize::from(right < left)] += 1;
            }
        }
        assert!(sides[1] > 8 && sides[0] <= sides[1] / 4, "{sides:?}");
    }
}
