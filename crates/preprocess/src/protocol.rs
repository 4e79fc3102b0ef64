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
//! Labels come back by a nearest zoom into the box. A slice of whole HU is rounded to whole HU after the zoom, as an array of
//! integers is; lungmask goes by the type of the volume, so that a volume of floating-point numbers which are all whole is
//! the one case that differs, by less than half a HU.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};

use crate::morphology::{Connectivity, Mask};

/// Side of the network's input and output, pixels.
pub const SIDE: usize = 256;

/// HU outside this range carry no information on lungs.
pub const CLIP_HU: (f32, f32) = (-1024.0, 600.0);

/// Side of the image that the body is searched in, pixels.
pub const BODY_SIDE: usize = 128;

/// What is denser belongs to the body, HU.
pub const BODY_HU: f32 = -500.0;

/// A box must hold at least one of so many parts of a picture. Measured on COVID-CT: boxes of 38 of the 746 images hold less, and miss the
/// lungs; those of the others hold at least a quarter.
const LEAST_BOX: usize = 5;

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
    let crop = body_box(hu.as_standard_layout().view());
    cut_out(hu, crop)
}

/// As [`prepare`], for a picture and a model that is not bound to lungmask's crop: a box that is too small to hold two lungs is
/// given up for the whole picture. In a bone or soft-tissue window only bone and blood are denser than -500 HU, and the box shrinks to the
/// spine.
pub fn prepare_picture(hu: &Array2<f32>) -> (Array2<f32>, Crop) {
    let crop = body_box(hu.as_standard_layout().view());
    let (rows, columns) = hu.dim();
    let holds_lungs = crop.rows.len() * crop.cols.len() * LEAST_BOX >= rows * columns;
    cut_out(hu, if holds_lungs { crop } else { Crop { rows: 0..rows, cols: 0..columns } })
}

fn cut_out(hu: &Array2<f32>, crop: Crop) -> (Array2<f32>, Crop) {
    let hu = hu.as_standard_layout();
    let cut = hu.slice(s![crop.rows.clone(), crop.cols.clone()]);
    (zoom_linear(cut), crop)
}

/// Labels of the network's image, (256, 256), brought back to a slice of `shape`; background outside the crop.
pub fn restore(labels: &Array2<u8>, crop: &Crop, shape: (usize, usize)) -> Array2<u8> {
    let mut whole = Array2::zeros(shape);
    let (rows, columns) = (nearest(labels.nrows(), crop.rows.len()), nearest(labels.ncols(), crop.cols.len()));
    for (row, from) in crop.rows.clone().zip(rows) {
        let Some(from) = from else { continue };
        let from = labels.row(from);
        let mut line = whole.slice_mut(s![row, crop.cols.clone()]);
        for (to, column) in line.iter_mut().zip(&columns) {
            *to = column.map_or(0, |column| from[column]);
        }
    }
    whole
}

/// The box around the body, without table and noise; without a body, the whole slice.
fn body_box(hu: ArrayView2<f32>) -> Crop {
    let (rows, columns) = (nearest(hu.nrows(), BODY_SIDE), nearest(hu.ncols(), BODY_SIDE));
    // Outside is 0 HU, which is dense.
    let dense = |row: Option<usize>, column: Option<usize>| {
        row.zip(column).map_or(0.0, |(row, column)| hu[(row, column)]) > BODY_HU
    };
    let small = Mask::from_fn((BODY_SIDE, BODY_SIDE), |row, column| dense(rows[row], columns[column]));
    box_of_zoomed(&body(&small), hu.dim())
}

/// The body with everything inside it, without table and noise, from what is dense in a slice of 128 x 128. Empty if there is none.
pub fn body(dense: &Mask) -> Mask {
    let eroded = dense.close().fill_holes(Connectivity::Corner).erode().erode();
    eroded.largest_component(Connectivity::Edge).dilate().dilate()
}

/// The box around the first component, corners touching, of a mask zoomed to `shape`.
///
/// Where the zoom is not too small, the mask stays in one piece. A pixel that is there twice changes no component, so the
/// zoomed mask itself is not needed.
fn box_of_zoomed(mask: &Mask, shape: (usize, usize)) -> Crop {
    let (rows, columns) = (nearest(BODY_SIDE, shape.0), nearest(BODY_SIDE, shape.1));
    let distinct = |from: &[Option<usize>]| -> Vec<usize> {
        let mut distinct: Vec<usize> = from.iter().flatten().copied().collect();
        distinct.dedup();
        distinct
    };
    let (row_of, column_of) = (distinct(&rows), distinct(&columns));
    let seen = Mask::from_fn((row_of.len(), column_of.len()), |row, column| mask.get(row_of[row], column_of[column]));
    let body = seen.first_component(Connectivity::Corner);
    let [top, bottom, left, right] = match body.bounds() {
        Some(([top, bottom], [left, right])) => [row_of[top], row_of[bottom], column_of[left], column_of[right]],
        None => return Crop { rows: 0..shape.0, cols: 0..shape.1 },
    };
    let span = |from: &[Option<usize>], first: usize, last: usize| {
        let inside = |at: &Option<usize>| at.is_some_and(|at| (first..=last).contains(&at));
        from.iter().position(inside).unwrap_or(0)..from.iter().rposition(inside).map_or(0, |last| last + 1)
    };
    Crop { rows: span(&rows, top, bottom), cols: span(&columns, left, right) }
}

/// Where each of `to` samples lies among `from` pixels when the first and last pixel centres are matched
/// (`scipy.ndimage.zoom` with `grid_mode=False`, `mode="constant"`).
///
/// `None`: outside, where scipy takes 0. It happens to the last sample of some sizes (111 of 128, say), which rounding
/// puts a hair behind the last pixel; scipy's own rounding is followed, because masks are to be equal.
fn positions(from: usize, to: usize) -> impl Iterator<Item = Option<f64>> {
    let last = (from - 1) as f64;
    let step = if to > 1 { last / (to - 1) as f64 } else { 1.0 };
    (0..to).map(move |index| Some(index as f64 * step).filter(|at| *at <= last))
}

/// The pixel that each sample of `scipy.ndimage.zoom(order=0)` takes.
fn nearest(from: usize, to: usize) -> Vec<Option<usize>> {
    positions(from, to).map(|at| at.map(|at| (at + 0.5).floor() as usize)).collect()
}

/// The two pixels of each sample of `scipy.ndimage.zoom(order=1)`, with their weights.
fn between(from: usize, to: usize) -> Vec<Option<([usize; 2], [f64; 2])>> {
    let pair = |at: f64| {
        let (first, part) = (at as usize, at.fract());
        ([first, (first + 1).min(from - 1)], [1.0 - part, part])
    };
    positions(from, to).map(|at| at.map(pair)).collect()
}

/// `scipy.ndimage.zoom(order=1)` of clipped HU to the network's size, scaled to 0..1.
///
/// An array of integers stays one there: a slice of whole HU is rounded, half away from zero, and one with fractions is not.
fn zoom_linear(hu: ArrayView2<f32>) -> Array2<f32> {
    let (rows, columns) = (between(hu.nrows(), SIDE), between(hu.ncols(), SIDE));
    let whole = hu.rows().into_iter().all(|row| row.iter().fold(true, |whole, hu| whole & is_whole(clip(*hu))));
    let round = |hu: f64| if whole { (hu + 0.5_f64.copysign(hu)).trunc() } else { hu };
    let mut out = Array2::from_elem((SIDE, SIDE), scale(0.0));
    for (mut line, row) in out.outer_iter_mut().zip(rows) {
        let Some(([above, below], [up, down])) = row else { continue };
        let (above, below) = (hu.row(above), hu.row(below));
        for (value, column) in line.iter_mut().zip(&columns) {
            let Some(([left, right], [near, far])) = *column else { continue };
            let corner = |hu: f32, row: f64, column: f64| f64::from(clip(hu)) * row * column;
            // In scipy's order, so that the halves that decide on rounding are the same.
            let sum = 0.0 + corner(above[left], up, near) + corner(above[right], up, far);
            *value = scale(round(sum + corner(below[left], down, near) + corner(below[right], down, far)) as f32);
        }
    }
    out
}

fn clip(hu: f32) -> f32 {
    hu.clamp(CLIP_HU.0, CLIP_HU.1)
}

/// True for a clipped value without fraction.
fn is_whole(hu: f32) -> bool {
    f32::from(hu as i16) == hu
}

fn scale(hu: f32) -> f32 {
    (hu - CLIP_HU.0) / (CLIP_HU.1 - CLIP_HU.0)
}

#[cfg(test)]
mod tests {
    // Crops, inputs and the way back are held against lungmask in `tests/lungmask.rs`.
    use super::*;

    #[test]
    fn nearest_zoom_equals_scipy() {
        // scipy 1.17: zoom(arange(from), to / from, order=0).
        let some = |at: &[usize]| at.iter().map(|at| Some(*at)).collect::<Vec<_>>();
        assert_eq!(nearest(3, 4), some(&[0, 1, 1, 2]));
        assert_eq!(nearest(5, 7), some(&[0, 1, 1, 2, 3, 3, 4]));
        assert_eq!(nearest(5, 3), some(&[0, 2, 4]));
        assert_eq!(nearest(3, 1), some(&[0]));
        assert_eq!(nearest(1, 3), some(&[0, 0, 0]));
    }

    #[test]
    fn one_pixel_can_be_prepared() {
        let (input, crop) = prepare(&Array2::from_elem((1, 1), 500.0));
        assert_eq!(crop, Crop { rows: 0..1, cols: 0..1 });
        assert_eq!(input, Array2::from_elem((SIDE, SIDE), 1524.0 / 1624.0));
    }

    #[test]
    fn a_box_too_small_for_lungs_is_given_up_in_a_picture() {
        // A soft-tissue window: the spine alone is bright, a ninth of a side each way.
        let mut hu = Array2::from_elem((180, 180), -1350.0);
        hu.slice_mut(s![80..100, 80..100]).fill(150.0);
        assert!(prepare(&hu).1.rows.len() < 40);
        assert_eq!(prepare_picture(&hu).1, Crop { rows: 0..180, cols: 0..180 });
        // A body that fills half of each side keeps its box.
        hu.slice_mut(s![45..135, 45..135]).fill(40.0);
        assert_eq!(prepare_picture(&hu), prepare(&hu));
    }

    #[test]
    fn without_a_body_the_whole_slice_is_taken() {
        let (input, crop) = prepare(&Array2::from_elem((40, 50), -2000.0));
        assert_eq!(crop, Crop { rows: 0..40, cols: 0..50 });
        assert!(input.iter().all(|value| *value == 0.0));
    }
}
