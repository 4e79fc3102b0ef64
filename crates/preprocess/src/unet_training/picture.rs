//! From a scene to what the network sees: reconstruction, crop, display window and file format, marks, turn and frame.

use std::f32::consts::TAU;
use std::ops::Range;

use contract::random::ChaCha8Rng;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma};
use ndarray::Array2;
use rand::RngExt;

use super::marks::mark;
use super::samples::{Sample, between, chance};
use super::scene::Scene;
use crate::protocol::{self, CLIP_HU, SIDE};

/// HU that an image file's black and white are read as, as in `pipelines/defaults.yaml`.
const IMAGE_HU: (f32, f32) = (-1350.0, 150.0);

/// A crop with less than this share of the slice is no body.
const LEAST_BODY: f32 = 0.2;

/// Makes the sample; what hides the lungs is the more frequent the higher `hardness` (0..1).
pub(super) fn draw(scene: Scene, hardness: f32, rng: &mut ChaCha8Rng) -> Sample {
    let Scene { mut hu, lungs, .. } = scene;
    scanner(&mut hu, rng);
    let (hu, lungs) = cut(hu, lungs, hardness, rng);
    let mut hu = export(hu, hardness, rng);
    mark(&mut hu, rng);
    let (rows, columns) = frame(&hu, rng);
    let bend = Bend::draw(&rows, &columns, hardness, rng);
    let at: Vec<(f32, f32)> = positions(&rows).flat_map(|y| positions(&columns).map(move |x| (x, y))).collect();
    let at = at.into_iter().map(|(x, y)| bend.source(x, y));
    let (input, target) = at.map(|(x, y)| (value(&hu, x, y), label(&lungs, x, y))).unzip();
    Sample { input, target }
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
fn cut(hu: Array2<f32>, lungs: Array2<u8>, hardness: f32, rng: &mut ChaCha8Rng) -> (Array2<f32>, Array2<u8>) {
    if !chance(rng, 0.25) {
        return (hu, lungs);
    }
    let (rows, columns) = hu.dim();
    let inside = |index: &usize, by_row: bool| {
        let line = if by_row { lungs.row(*index) } else { lungs.column(*index) };
        line.iter().any(|lung| *lung > 0)
    };
    // Some images cut into the lungs.
    let deepest = if chance(rng, 0.35 * hardness) { -0.15 } else { 0.0 };
    let mut range = |count: usize, by_row: bool| {
        let first = (0..count).find(|index| inside(index, by_row)).unwrap_or(count / 4);
        let last = (0..count).rfind(|index| inside(index, by_row)).unwrap_or(3 * count / 4);
        let span = (last - first) as f32;
        let mut margin = |room: usize| match between(rng, -0.35, 0.7) {
            into if into < 0.0 => deepest * span * -into / 0.35,
            out => out * room as f32,
        };
        let (before, after) = (margin(first), margin(count - 1 - last));
        (first as f32 - before) as usize..(last as f32 + after) as usize + 1
    };
    let (rows, columns) = (range(rows, true), range(columns, false));
    let part = ndarray::s![rows, columns];
    (hu.slice(part).to_owned(), lungs.slice(part).to_owned())
}

/// Sometimes exported as an image through one display window and read back through another, which shifts and scales all
/// densities; the image may have been made small or compressed.
fn export(hu: Array2<f32>, hardness: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if !chance(rng, 0.35 + 0.2 * hardness) {
        return hu;
    }
    let (low, high) = match between(rng, 0.0, 1.0) {
        // Soft tissue: of the lungs only the outline is left.
        kind if kind < 0.22 * hardness => (between(rng, -260.0, -60.0), between(rng, 100.0, 400.0)),
        // Bone, or everything: a dark body.
        kind if kind < 0.38 * hardness => (between(rng, -800.0, -150.0), between(rng, 400.0, 2000.0)),
        // Lung: the body may be white.
        _ => (between(rng, -1700.0, -850.0), between(rng, -400.0, 900.0)),
    };
    let (read_low, read_high) = if chance(rng, 0.65) { IMAGE_HU } else { (low.min(-900.0), high) };
    let gamma = if chance(rng, 0.3 * hardness) { between(rng, -0.6, 0.6).exp() } else { 1.0 };
    let grey = hu.mapv(|value| ((value - low) / (high - low)).clamp(0.0, 1.0).powf(gamma));
    let grey = if chance(rng, 0.4 * hardness) { degrade(&grey, rng) } else { grey };
    // Reprints seldom reach black and white.
    let (black, white) =
        if chance(rng, 0.2 * hardness) { (between(rng, 0.0, 0.15), between(rng, 0.8, 1.0)) } else { (0.0, 1.0) };
    grey.mapv(|value| read_low + (black + (white - black) * value) * (read_high - read_low))
}

/// The picture after it was made smaller, compressed and made larger again; values in 0..1.
fn degrade(grey: &Array2<f32>, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let (rows, columns) = (grey.nrows() as u32, grey.ncols() as u32);
    let shrink = between(rng, 1.0, 3.2);
    let side = |count: u32| ((count as f32 / shrink) as u32).max(24);
    let whole =
        GrayImage::from_fn(columns, rows, |x, y| Luma([(grey[(y as usize, x as usize)] * 255.0).round() as u8]));
    let mut small = resize(&whole, side(columns), side(rows), FilterType::Triangle);
    let quality = rng.random_range(15..90);
    if chance(rng, 0.7) {
        small = compress(&small, quality).unwrap_or(small);
    }
    let large = resize(&small, columns, rows, FilterType::Triangle);
    Array2::from_shape_fn(grey.dim(), |(row, column)| f32::from(large.get_pixel(column as u32, row as u32)[0]) / 255.0)
}

/// JPEG there and back.
fn compress(image: &GrayImage, quality: u8) -> Option<GrayImage> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).ok()?;
    let read = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg).ok()?;
    Some(read.to_luma8())
}

/// The part that the network sees: the protocol's crop, sometimes off by a little, sometimes the whole slice.
fn frame(hu: &Array2<f32>, rng: &mut ChaCha8Rng) -> (Range<f32>, Range<f32>) {
    let (rows, columns) = hu.dim();
    let crop = protocol::prepare(hu).1;
    // Through a soft-tissue window only bones are dense enough to be taken for the body.
    let found = (crop.rows.len() * crop.cols.len()) as f32 > LEAST_BODY * (rows * columns) as f32;
    let whole = chance(rng, if found { 0.12 } else { 0.9 });
    let (mut rows, mut columns) = if whole { (0..rows, 0..columns) } else { (crop.rows, crop.cols) };
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

/// Positions of the network's pixels: the first and last centre of the range are matched, as the protocol does.
fn positions(range: &Range<f32>) -> impl Iterator<Item = f32> + use<> {
    let (start, step) = (range.start, (range.end - range.start) / (SIDE - 1) as f32);
    (0..SIDE).map(move |index| start + step * index as f32)
}

/// Where a pixel is taken from: turned about the frame's middle, and drawn along two waves.
struct Bend {
    middle: (f32, f32),
    sin: f32,
    cos: f32,
    /// Depth of the wave, and its rates along x and y and its phase, for the shift across and down.
    waves: [(f32, f32, f32, f32); 2],
}

impl Bend {
    fn draw(rows: &Range<f32>, columns: &Range<f32>, hardness: f32, rng: &mut ChaCha8Rng) -> Self {
        let span = (columns.end - columns.start).max(rows.end - rows.start).max(1.0);
        let turn = if chance(rng, 0.3 * hardness) { between(rng, -0.3, 0.3) } else { 0.0 };
        let depth = if chance(rng, 0.5 * hardness) { 0.025 * span } else { 0.0 };
        let mut wave = || {
            let rate = TAU / span;
            let one = (between(rng, -depth, depth), between(rng, -2.2, 2.2), between(rng, -2.2, 2.2));
            (one.0, one.1 * rate, one.2 * rate, between(rng, 0.0, TAU))
        };
        let waves = [wave(), wave()];
        let middle = (0.5 * (columns.start + columns.end), 0.5 * (rows.start + rows.end));
        Self { middle, sin: f32::sin(turn), cos: f32::cos(turn), waves }
    }

    fn source(&self, x: f32, y: f32) -> (f32, f32) {
        let [across, down] =
            self.waves.map(|(depth, along, rising, phase)| depth * (along * x + rising * y + phase).sin());
        let (dx, dy) = (x - self.middle.0 + across, y - self.middle.1 + down);
        (self.middle.0 + self.cos * dx - self.sin * dy, self.middle.1 + self.sin * dx + self.cos * dy)
    }
}

/// Beyond the image by more than this is air, pixels.
const MARGIN: f32 = 4.0;

fn is_beyond(shape: (usize, usize), x: f32, y: f32) -> bool {
    let out = |value: f32, count: usize| value < -MARGIN || value > count as f32 - 1.0 + MARGIN;
    out(x, shape.1) || out(y, shape.0)
}

/// The network's input at a place of the slice, 0..1.
fn value(hu: &Array2<f32>, x: f32, y: f32) -> f32 {
    if is_beyond(hu.dim(), x, y) {
        return 0.0;
    }
    let (last_row, last_column) = (hu.nrows() - 1, hu.ncols() - 1);
    let (x, y) = (x.clamp(0.0, last_column as f32), y.clamp(0.0, last_row as f32));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(last_column), (top + 1).min(last_row));
    let at = |row: usize, column: usize| hu[(row, column)].clamp(CLIP_HU.0, CLIP_HU.1);
    let above = at(top, left) * (1.0 - x.fract()) + at(top, right) * x.fract();
    let below = at(bottom, left) * (1.0 - x.fract()) + at(bottom, right) * x.fract();
    (above * (1.0 - y.fract()) + below * y.fract() - CLIP_HU.0) / (CLIP_HU.1 - CLIP_HU.0)
}

/// The label at a place of the slice.
fn label(lungs: &Array2<u8>, x: f32, y: f32) -> u8 {
    if is_beyond(lungs.dim(), x, y) {
        return 0;
    }
    let nearest = |value: f32, count: usize| ((value + 0.5).max(0.0) as usize).min(count - 1);
    lungs[(nearest(y, lungs.nrows()), nearest(x, lungs.ncols()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::random::stream;

    #[test]
    fn an_unbent_frame_takes_every_pixel_from_its_place() {
        let still = Bend { middle: (3.0, 4.0), sin: 0.0, cos: 1.0, waves: [(0.0, 1.0, 1.0, 0.5); 2] };
        assert_eq!(still.source(7.0, 1.0), (7.0, 1.0));
        // A quarter of a turn about (3, 4): (5, 4) comes from (3, 6).
        let quarter = Bend { sin: 1.0, cos: 0.0, ..still };
        let (x, y) = quarter.source(5.0, 4.0);
        assert!((x - 3.0).abs() < 1e-5 && (y - 6.0).abs() < 1e-5);
    }

    #[test]
    fn values_and_labels_are_taken_by_place() {
        // By hand: halfway between -1024 and 600 HU is 0.5; beyond the image is air and no lung.
        let hu = ndarray::arr2(&[[-1024.0, 600.0], [-1024.0, 600.0]]);
        let lungs = ndarray::arr2(&[[0, 2], [0, 1]]);
        assert_eq!([0.0, 0.5, 1.0].map(|x| value(&hu, x, 0.5)), [0.0, 0.5, 1.0]);
        assert_eq!([(0.4, 0.0), (0.6, 0.4), (0.6, 0.6)].map(|(x, y)| label(&lungs, x, y)), [0, 2, 1]);
        assert_eq!((value(&hu, 6.0, 0.0), label(&lungs, 6.0, 0.0)), (0.0, 0));
    }

    #[test]
    fn degrading_keeps_size_and_mean() {
        let grey =
            Array2::from_shape_fn((60, 90), |(row, column)| if (row / 20 + column / 30) % 2 == 0 { 0.2 } else { 0.8 });
        for index in 0..8 {
            let found = degrade(&grey, &mut stream(1, "test", &[index]));
            assert_eq!(found.dim(), grey.dim());
            let mean = |image: &Array2<f32>| image.iter().sum::<f32>() / image.len() as f32;
            assert!((mean(&found) - mean(&grey)).abs() < 0.03);
            assert!(found.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn a_cut_keeps_slice_and_lungs_together() {
        let lungs = Array2::from_shape_fn((50, 60), |(row, column)| {
            u8::from(row > 15 && row < 35 && column > 20 && column < 45)
        });
        let hu = lungs.mapv(|lung| if lung > 0 { -850.0 } else { 40.0 });
        let mut sizes = std::collections::BTreeSet::new();
        for index in 0..60 {
            let (hu, lungs) = cut(hu.clone(), lungs.clone(), 1.0, &mut stream(3, "test", &[index]));
            assert!(hu.indexed_iter().all(|(at, value)| (*value < 0.0) == (lungs[at] > 0)));
            assert!(lungs.iter().filter(|lung| **lung > 0).count() > 19 * 24 / 3);
            sizes.insert(hu.dim());
        }
        assert!(sizes.len() > 5, "{sizes:?}");
    }
}
