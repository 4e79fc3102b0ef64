//! What the lung U-Net sees of a slice, and the way back: the protocol of `lungmask`.
//!
//! Source: Hofmanninger et al., European Radiology Experimental 2020 (arXiv:2001.11767), and the preprocessing of the
//! published package `lungmask` 0.2, of which every step is done here with the numbers of `scipy.ndimage`:
//!
//! 1. HU are clipped to -1024..600 ([`CLIP_HU`]).
//! 2. Body: nearest zoom to 128x128, threshold -500 HU, closing, holes filled, two erosions, the largest component
//!    (edges only), two dilations, nearest zoom back. Its bounding box is the crop; without a body, the whole slice.
//! 3. The crop is zoomed linearly to 256x256 and scaled, `(HU + 1024) / 1624`.
//!
//! Labels come back by a nearest zoom into the box. Differences: lungmask rounds the zoomed slice to whole HU, because
//! its volumes are integers; here the fractions stay. And for some box sizes (111 pixels, say) rounding puts the last row or
//! column of a nearest zoom a hair outside the image, where scipy takes 0; here it is the last pixel.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};

use crate::morphology::{self, Connectivity};

/// Side of the network's input and output, pixels.
pub const SIDE: usize = 256;

/// HU outside this range carry no information on lungs.
pub const CLIP_HU: (f32, f32) = (-1024.0, 600.0);

/// Side of the image that the body is searched in, pixels.
const BODY_SIDE: usize = 128;

/// What is denser belongs to the body, HU.
const BODY_HU: f32 = -500.0;

/// The part of a slice that the network sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crop {
    /// Rows of the slice.
    pub rows: Range<usize>,
    /// Columns of the slice.
    pub cols: Range<usize>,
}

/// A slice as the network wants it, and where it was cut out.
///
/// `hu`: (rows, columns) of at least one pixel, in any orientation whose first row is anterior and first column is the
/// patient's right. Result: (256, 256) in 0..1.
pub fn prepare(hu: &Array2<f32>) -> (Array2<f32>, Crop) {
    let clipped = hu.mapv(|value| value.clamp(CLIP_HU.0, CLIP_HU.1));
    let crop = bounding_box(&body(&clipped));
    let cut = clipped.slice(s![crop.rows.clone(), crop.cols.clone()]);
    let zoomed = zoom_linear(cut, (SIDE, SIDE));
    (zoomed.mapv(|value| (value - CLIP_HU.0) / (CLIP_HU.1 - CLIP_HU.0)), crop)
}

/// Labels of the network's image, (256, 256), brought back to a slice of `shape`; background outside the crop.
pub fn restore(labels: &Array2<u8>, crop: &Crop, shape: (usize, usize)) -> Array2<u8> {
    let mut whole = Array2::zeros(shape);
    let zoomed = zoom_nearest(labels.view(), (crop.rows.len(), crop.cols.len()));
    whole.slice_mut(s![crop.rows.clone(), crop.cols.clone()]).assign(&zoomed);
    whole
}

/// The body, without table and noise. `hu` is clipped already.
fn body(hu: &Array2<f32>) -> Array2<bool> {
    let small = zoom_nearest(hu.view(), (BODY_SIDE, BODY_SIDE)).mapv(|value| value > BODY_HU);
    let filled = morphology::fill_holes(&morphology::close(&small), Connectivity::Corner);
    let eroded = morphology::erode(&morphology::erode(&filled));
    let largest = morphology::largest_component(&eroded, Connectivity::Edge);
    let grown = morphology::dilate(&morphology::dilate(&largest));
    zoom_nearest(grown.view(), hu.dim())
}

/// The box around a mask, or around the whole image if the mask is empty.
fn bounding_box(mask: &Array2<bool>) -> Crop {
    let (rows, columns) = mask.dim();
    let row = |row: &usize| mask.row(*row).iter().any(|set| *set);
    let column = |column: &usize| mask.column(*column).iter().any(|set| *set);
    let (Some(top), Some(bottom)) = ((0..rows).find(row), (0..rows).rfind(row)) else {
        return Crop { rows: 0..rows, cols: 0..columns };
    };
    let left = (0..columns).find(column).unwrap_or(0);
    let right = (0..columns).rfind(column).unwrap_or(columns - 1);
    Crop { rows: top..bottom + 1, cols: left..right + 1 }
}

/// Where each of `to` samples lies among `from` pixels when the first and last pixel centres are matched
/// (`scipy.ndimage.zoom` with `grid_mode=False`).
fn positions(from: usize, to: usize) -> Vec<f64> {
    let last = (from - 1) as f64;
    let step = if to > 1 { last / (to - 1) as f64 } else { 1.0 };
    (0..to).map(|index| (index as f64 * step).min(last)).collect()
}

/// `scipy.ndimage.zoom(order=0)` to a given shape.
fn zoom_nearest<T: Copy>(image: ArrayView2<T>, shape: (usize, usize)) -> Array2<T> {
    let nearest = |from, to| positions(from, to).into_iter().map(|at| (at + 0.5).floor() as usize).collect::<Vec<_>>();
    let (rows, columns) = (nearest(image.nrows(), shape.0), nearest(image.ncols(), shape.1));
    Array2::from_shape_fn(shape, |(row, column)| image[(rows[row], columns[column])])
}

/// `scipy.ndimage.zoom(order=1)` to a given shape.
fn zoom_linear(image: ArrayView2<f32>, shape: (usize, usize)) -> Array2<f32> {
    let split = |from: usize, to| -> Vec<(usize, usize, f64)> {
        let pair = |at: f64| (at as usize, (at as usize + 1).min(from - 1), at.fract());
        positions(from, to).into_iter().map(pair).collect()
    };
    let (rows, columns) = (split(image.nrows(), shape.0), split(image.ncols(), shape.1));
    Array2::from_shape_fn(shape, |(row, column)| {
        let ((above, below, down), (left, right, across)) = (rows[row], columns[column]);
        let along = |row| {
            let (first, second) = (f64::from(image[(row, left)]), f64::from(image[(row, right)]));
            first * (1.0 - across) + second * across
        };
        (along(above) * (1.0 - down) + along(below) * down) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integers that look random and are the same in numpy: `(i * i * 7 + i * 13) % 101`.
    fn pattern(rows: usize, columns: usize) -> Array2<f32> {
        let cell = |index: usize| ((index * index * 7 + index * 13) % 101) as f32;
        Array2::from_shape_fn((rows, columns), |(row, column)| cell(row * columns + column))
    }

    #[test]
    fn nearest_zoom_equals_scipy() {
        // scipy 1.17: zoom(pattern, order=0) from (3, 5) to (4, 7) and to (5, 3).
        let image = pattern(3, 5);
        let larger = [
            [0., 20., 20., 54., 1., 1., 63.],
            [38., 27., 27., 30., 47., 47., 78.],
            [38., 27., 27., 30., 47., 47., 78.],
            [22., 81., 81., 53., 39., 39., 39.],
        ];
        assert_eq!(zoom_nearest(image.view(), (4, 7)), ndarray::arr2(&larger));
        let other = [[0., 54., 63.], [38., 30., 78.], [38., 30., 78.], [22., 53., 39.], [22., 53., 39.]];
        assert_eq!(zoom_nearest(image.view(), (5, 3)), ndarray::arr2(&other));
    }

    #[test]
    fn linear_zoom_equals_scipy() {
        // scipy 1.17: zoom(pattern, order=1) from (3, 5) to (4, 7).
        let expected = ndarray::arr2(&[
            [0.0, 13.333333, 31.333334, 54.0, 18.666666, 21.666666, 63.0],
            [25.333334, 24.88889, 29.111_11, 38.0, 33.77778, 45.444443, 73.0],
            [32.666668, 40.88889, 42.555556, 37.666668, 42.11111, 51.222_22, 65.0],
            [22.0, 61.333332, 71.666664, 53.0, 43.666668, 39.0, 39.0_f32],
        ]);
        let zoomed = zoom_linear(pattern(3, 5).view(), (4, 7));
        assert!((zoomed - expected).iter().all(|difference| difference.abs() < 1e-5));
    }

    #[test]
    fn one_pixel_can_be_zoomed() {
        let one = Array2::from_elem((1, 1), 5.0_f32);
        assert_eq!(zoom_linear(one.view(), (2, 3)), Array2::from_elem((2, 3), 5.0));
        assert_eq!(zoom_nearest(pattern(3, 5).view(), (1, 1))[(0, 0)], 0.0);
        let (input, crop) = prepare(&one);
        assert_eq!((input.dim(), crop), ((SIDE, SIDE), Crop { rows: 0..1, cols: 0..1 }));
    }

    /// A round body with two lungs and a table, drawn the same way in numpy.
    fn chest(rows: usize, columns: usize) -> Array2<f32> {
        let (height, width) = (rows as f64, columns as f64);
        let in_ellipse = |x: f64, y: f64, centre: f64, half_width: f64, half_height: f64| {
            let (across, down) =
                ((x - width * centre) / (width * half_width), (y - height * 0.5) / (height * half_height));
            across.powi(2) + down.powi(2) < 1.0
        };
        let table = (height * 0.9) as usize..(height * 0.92) as usize;
        let along = (width * 0.1) as usize..(width * 0.8) as usize;
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            let (x, y) = (column as f64, row as f64);
            if table.contains(&row) && along.contains(&column) {
                200.0
            } else if in_ellipse(x, y, 0.3, 0.12, 0.2) || in_ellipse(x, y, 0.6, 0.12, 0.2) {
                -850.0
            } else if in_ellipse(x, y, 0.45, 0.35, 0.3) {
                40.0
            } else {
                -1000.0
            }
        })
    }

    #[test]
    fn crop_and_way_back_equal_lungmask() {
        // lungmask 0.2.22 with scipy 1.17 and scikit-image 0.26: crop_and_resize(clipped, 256, 256), scaled; its sum;
        // lung pixels (0.05 < x < 0.3) there, and after reshape_mask.
        let cases = [
            ((200, 170), [40, 18, 160, 136], 21282.410040, 24244, 5218),
            ((300, 411), [61, 41, 239, 328], 21263.784057, 24090, 18756),
            ((512, 512), [103, 51, 409, 409], 21084.135981, 23738, 39732),
            ((97, 130), [20, 14, 78, 104], 21556.267480, 24888, 1940),
        ];
        for (shape, [top, left, bottom, right], sum, inside, back) in cases {
            let (input, crop) = prepare(&chest(shape.0, shape.1));
            assert_eq!(crop, Crop { rows: top..bottom, cols: left..right }, "{shape:?}");
            let total: f64 = input.iter().map(|value| f64::from(*value)).sum();
            assert!((total - sum).abs() < 0.01, "{shape:?}: {total} is not {sum}");
            let lungs = input.mapv(|value| u8::from(value > 0.05 && value < 0.3));
            assert_eq!(lungs.iter().filter(|label| **label == 1).count(), inside, "{shape:?}");
            let restored = restore(&lungs, &crop, shape);
            assert_eq!(restored.iter().filter(|label| **label == 1).count(), back, "{shape:?}");
        }
    }

    #[test]
    fn without_a_body_the_whole_slice_is_taken() {
        let (input, crop) = prepare(&Array2::from_elem((40, 50), -2000.0));
        assert_eq!(crop, Crop { rows: 0..40, cols: 0..50 });
        assert!(input.iter().all(|value| *value == 0.0));
    }
}
