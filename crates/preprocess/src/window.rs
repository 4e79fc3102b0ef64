//! From HU to the picture the classifier sees: window, pad to a square, resize; the mask along with it.
//!
//! A window of low..high HU maps linearly to 0..255 and saturates (DICOM PS3.3 C.11.2.1.2 has the general form); values are
//! rounded once, at the end, half away from zero. Resizing averages over areas when it shrinks and interpolates linearly
//! between pixel centres when it enlarges, so that nothing is skipped and nothing is shifted.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use contract::attention;
use contract::schema::mask_value;

/// Share of lung in an output pixel from which it counts as lung.
const LUNG_FROM: f32 = 0.5;

/// The grey value of `hu` in a window of (low, high) HU: 0..255, not rounded.
pub fn level(hu: f32, (low, high): (f64, f64)) -> f32 {
    let share = (f64::from(hu) - low) / (high - low);
    // A NaN, which some volumes have outside the scan, becomes black.
    if share.is_nan() { 0.0 } else { (share.clamp(0.0, 1.0) * 255.0) as f32 }
}

/// The slice in the window as u8, same shape.
pub fn window(hu: &Array2<f32>, window_hu: (f64, f64)) -> Array2<u8> {
    hu.mapv(|value| level(value, window_hu).round() as u8)
}

/// The slice in the window, padded to a square with the window's lowest value, resized to (`side`, `side`).
pub fn picture(hu: &Array2<f32>, window_hu: (f64, f64), side: usize) -> Array2<u8> {
    let square = pad_square(&hu.mapv(|value| level(value, window_hu)));
    resize(square.view(), side).mapv(|value| value.round() as u8)
}

/// The mask, values 0, 1, 2, with the geometry of [`picture`]. An output pixel is lung if at least half of it is, and
/// belongs to the lung that covers more of it (the right one if equal). A mask of 0 and 1 stays one.
pub fn picture_mask(mask: &Array2<u8>, side: usize) -> Array2<u8> {
    let square = pad_square(mask);
    if square.nrows() == side {
        return square;
    }
    let cover = |value| resize(square.mapv(|label| f32::from(u8::from(label == value))).view(), side);
    let (right, left) = (cover(mask_value::RIGHT), cover(mask_value::LEFT));
    ndarray::Zip::from(&right).and(&left).map_collect(|right, left| match right + left >= LUNG_FROM {
        false => mask_value::BACKGROUND,
        true if left > right => mask_value::LEFT,
        true => mask_value::RIGHT,
    })
}

/// The square around a slice of (rows, columns): its side, and the place of the slice's first pixel. The odd row or column of
/// padding is at the end.
fn square((rows, columns): (usize, usize)) -> (usize, (usize, usize)) {
    let side = rows.max(columns);
    (side, ((side - rows) / 2, (side - columns) / 2))
}

/// The way back from [`picture_mask`]: the mask (square) at the pixels of a slice of `shape`, nearest.
pub fn mask_at(mask: &Array2<u8>, shape: (usize, usize)) -> Array2<u8> {
    let (side, (top, left)) = square(shape);
    let from = |at: usize| (2 * at + 1) * mask.nrows() / (2 * side);
    Array2::from_shape_fn(shape, |(row, column)| mask[(from(top + row), from(left + column))])
}

/// A map of `cells` x `cells` values, row-major, that covers the square around a slice of `shape`, at the slice's pixels: bilinear.
pub fn map_at(map: &[f32], cells: usize, shape: (usize, usize)) -> Array2<f32> {
    let (side, (top, left)) = square(shape);
    let value = |(row, column)| attention::bilinear(map, cells, (top + row, left + column), (side, side));
    Array2::from_shape_fn(shape, value)
}

/// Pads evenly with zeros.
fn pad_square<T: Copy + Default>(image: &Array2<T>) -> Array2<T> {
    let (rows, columns) = image.dim();
    let (side, (top, left)) = square((rows, columns));
    let mut square = Array2::from_elem((side, side), T::default());
    square.slice_mut(ndarray::s![top..top + rows, left..left + columns]).assign(image);
    square
}

/// Which input samples make an output sample, and with what weights (sum 1).
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    (0..to).map(|index| if scale > 1.0 { area(index, from, scale) } else { linear(index, from, scale) }).collect()
}

fn area(index: usize, from: usize, scale: f64) -> Taps {
    let (start, end) = (index as f64 * scale, ((index + 1) as f64 * scale).min(from as f64));
    let first = start.floor() as usize;
    let last = (end.ceil() as usize).min(from);
    let overlap = |pixel: usize| (end.min(pixel as f64 + 1.0) - start.max(pixel as f64)).max(0.0);
    Taps { first, weights: (first..last).map(|pixel| (overlap(pixel) / (end - start)) as f32).collect() }
}

fn linear(index: usize, from: usize, scale: f64) -> Taps {
    let at = ((index as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
    let (first, share) = (at as usize, at.fract() as f32);
    Taps { first, weights: if share > 0.0 { vec![1.0 - share, share] } else { vec![1.0] } }
}

/// Resizes a square image.
fn resize(image: ArrayView2<f32>, side: usize) -> Array2<f32> {
    if image.nrows() == side {
        return image.to_owned();
    }
    let taps = taps(image.nrows(), side);
    let down = along_rows(image, &taps);
    along_rows(down.t(), &taps).reversed_axes().as_standard_layout().into_owned()
}

fn along_rows(image: ArrayView2<f32>, taps: &[Taps]) -> Array2<f32> {
    let mut out = Array2::zeros((taps.len(), image.ncols()));
    for (mut row, tap) in out.axis_iter_mut(Axis(0)).zip(taps) {
        let mut sum = Array1::zeros(image.ncols());
        for (offset, weight) in tap.weights.iter().enumerate() {
            sum.scaled_add(*weight, &image.row(tap.first + offset));
        }
        row.assign(&sum);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    const LUNG: (f64, f64) = (-1350.0, 150.0);

    #[test]
    fn the_window_maps_its_ends_to_black_and_white() {
        // By hand: -600 HU is the middle, 127.5, and rounds away from zero; one step of 255 is 1500/255 HU.
        let hu =
            arr2(&[[-3024.0, -1350.0, -600.0], [150.0, 3000.0, -1350.0 + 1500.0 / 255.0], [f32::NAN, 0.0, -1024.0]]);
        assert_eq!(window(&hu, LUNG), arr2(&[[0, 0, 128], [255, 255, 1], [0, 230, 55]]));
    }

    #[test]
    fn shrinking_averages_areas() {
        // By hand: 3 -> 2 covers 1.5 pixels each: (a + b/2) / 1.5.
        let image = arr2(&[[0.0, 3.0, 6.0], [0.0, 3.0, 6.0], [0.0, 3.0, 6.0_f32]]);
        let small = resize(image.view(), 2);
        assert!((small - arr2(&[[1.0, 5.0], [1.0, 5.0]])).iter().all(|difference: &f32| difference.abs() < 1e-6));
    }

    #[test]
    fn enlarging_is_linear_between_pixel_centres() {
        // torch 2.11: interpolate([[0, 4], [0, 4]], size=4, mode="bilinear", align_corners=False).
        let image = arr2(&[[0.0, 4.0], [0.0, 4.0_f32]]);
        let row = [0.0, 1.0, 3.0, 4.0];
        assert_eq!(resize(image.view(), 4), arr2(&[row, row, row, row]));
    }

    #[test]
    fn aspect_ratio_is_kept_by_padding_with_black() {
        let hu = Array2::from_elem((2, 4), 150.0);
        assert_eq!(picture(&hu, LUNG, 4), arr2(&[[0; 4], [255; 4], [255; 4], [0; 4]]));
        let mask = Array2::from_elem((2, 4), 2);
        assert_eq!(picture_mask(&mask, 4), arr2(&[[0; 4], [2; 4], [2; 4], [0; 4]]));
    }

    #[test]
    fn a_mask_pixel_goes_to_the_lung_that_covers_more() {
        let mask = arr2(&[[1, 2, 0, 0], [2, 2, 0, 1], [1, 2, 0, 0], [1, 1, 2, 2]]);
        assert_eq!(picture_mask(&mask, 2), arr2(&[[2, 0], [1, 2]]));
    }

    #[test]
    fn the_mask_keeps_its_share_of_the_picture() {
        let disc = Array2::from_shape_fn((300, 300), |(row, column)| {
            u8::from(row.abs_diff(150).pow(2) + column.abs_diff(150).pow(2) < 90 * 90)
        });
        let share = |mask: &Array2<u8>| mask.iter().filter(|value| **value > 0).count() as f64 / mask.len() as f64;
        for side in [64, 224, 512] {
            assert!((share(&picture_mask(&disc, side)) - share(&disc)).abs() < 0.002, "{side}");
        }
    }
}
