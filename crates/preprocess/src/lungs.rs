//! From network labels to the lung masks of a series, and what can be said about a mask.

use contract::schema::{flag, mask_value};
use ndarray::{Array2, s};
use rayon::prelude::*;

use crate::cleanup;
use crate::protocol::{self, Crop};
use crate::survey::{self, Survey};

/// Neighbouring slices further apart than this do not count as neighbours when lungs are joined to one piece, mm. A lung's
/// section changes too much over such a gap (a lung is some 250 mm high).
const FAR_MM: f32 = 40.0;

/// Where a slice was cut out, and how large it is.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The part that the network saw.
    pub crop: Crop,
    /// Rows and columns of the slice.
    pub shape: (usize, usize),
    /// Position along the patient, mm; `None` if unknown or of no interest.
    pub z_mm: Option<f32>,
}

/// The masks of one series' slices, each of its slice's shape, from the network's labels, (256, 256) each.
///
/// A series with a gap is cleaned up part by part. Frames without `z_mm` have no gap: so a volume is cleaned up as a whole,
/// as lungmask does.
pub fn masks(labels: &[Array2<u8>], frames: &[Frame]) -> Vec<Array2<u8>> {
    let cleaned: Vec<Array2<u8>> = runs(frames).into_iter().flat_map(|run| cleanup::clean(&labels[run])).collect();
    let back = |(slice, frame): (&Array2<u8>, &Frame)| protocol::restore(slice, &frame.crop, frame.shape);
    cleaned.par_iter().zip(frames).map(back).collect()
}

/// Stretches of slices without a far gap.
fn runs(frames: &[Frame]) -> Vec<std::ops::Range<usize>> {
    let far = |index: &usize| {
        let (before, after) = (frames[index - 1].z_mm, frames[*index].z_mm);
        before.zip(after).is_some_and(|(before, after)| (after - before).abs() > FAR_MM)
    };
    let mut starts: Vec<usize> = (0..frames.len().min(1)).collect();
    starts.extend((1..frames.len()).filter(far));
    let ends = starts.iter().skip(1).copied().chain([frames.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// Takes out what lies outside the body: air between arm, couch and cloth, which the small network shipped here sometimes takes for lung.
/// Not one lung pixel of the 14 real slices with lungs that this was tried on lies there.
pub fn trim(mask: &mut Array2<u8>, slice: &Survey) {
    if mask.iter().all(|label| *label == mask_value::BACKGROUND) {
        return;
    }
    let (rows, columns) = mask.dim();
    for ((row, column), label) in mask.indexed_iter_mut().filter(|(_, label)| **label != mask_value::BACKGROUND) {
        if !slice.body.get(row * survey::SIDE / rows, column * survey::SIDE / columns) {
            *label = mask_value::BACKGROUND;
        }
    }
}

/// Number of right and of left lung pixels.
pub fn counts(mask: &Array2<u8>) -> [usize; 2] {
    let count = |value| mask.iter().filter(|label| **label == value).count();
    [count(mask_value::RIGHT), count(mask_value::LEFT)]
}

/// Share of the slice's pixels that are lung.
pub fn fraction(mask: &Array2<u8>) -> f32 {
    let [right, left] = counts(mask);
    (right + left) as f32 / mask.len() as f32
}

/// Remarks on a mask, in the order of [`contract::schema::flag`].
pub fn flags(mask: &Array2<u8>) -> Vec<&'static str> {
    let [right, left] = counts(mask);
    let border = [s![0, ..], s![-1, ..], s![.., 0], s![.., -1]];
    let touches = border.iter().any(|edge| mask.slice(*edge).iter().any(|label| *label != mask_value::BACKGROUND));
    let mut flags = Vec::new();
    if right + left == 0 {
        flags.push(flag::EMPTY_MASK);
    } else if right == 0 || left == 0 {
        flags.push(flag::ONE_LUNG);
    }
    if touches {
        flags.push(flag::TOUCHES_BORDER);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    fn frame(z_mm: Option<f32>) -> Frame {
        Frame { crop: Crop { rows: 0..2, cols: 0..2 }, shape: (2, 2), z_mm }
    }

    #[test]
    fn a_far_gap_splits_a_series() {
        let frames = [0.0, 5.0, 100.0, 110.0].map(|z| frame(Some(z)));
        assert_eq!(runs(&frames), [0..2, 2..4]);
        assert_eq!(runs(&[frame(None), frame(None)]), std::iter::once(0..2).collect::<Vec<_>>());
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn lungs_far_apart_are_both_kept() {
        let mut upper = Array2::zeros((256, 256));
        upper.slice_mut(s![10..50, 10..50]).fill(1);
        let mut lower = Array2::zeros((256, 256));
        lower.slice_mut(s![150..200, 150..200]).fill(1);
        let whole = |z| Frame { crop: Crop { rows: 0..256, cols: 0..256 }, shape: (256, 256), z_mm: Some(z) };
        let labels = [upper.clone(), lower.clone()];
        assert_eq!(masks(&labels, &[whole(0.0), whole(90.0)]), labels);
        assert_eq!(masks(&labels, &[whole(0.0), whole(5.0)])[0], Array2::<u8>::zeros((256, 256)));
    }

    #[test]
    fn what_lies_outside_the_body_is_no_lung() {
        let mut hu = Array2::from_elem((256, 256), -1000.0);
        hu.slice_mut(s![40..200, 40..200]).fill(40.0);
        hu.slice_mut(s![60..120, 60..120]).fill(-850.0);
        let mut mask = Array2::zeros((256, 256));
        mask.slice_mut(s![60..120, 60..120]).fill(1);
        let inside = mask.clone();
        mask.slice_mut(s![210..250, 60..120]).fill(2);
        trim(&mut mask, &Survey::new(&hu));
        assert_eq!(mask, inside);
    }

    #[test]
    fn remarks_on_masks() {
        let mut mask = Array2::zeros((4, 4));
        assert_eq!(flags(&mask), ["empty_mask"]);
        mask[(1, 1)] = 1;
        assert_eq!(flags(&mask), ["one_lung"]);
        mask[(2, 3)] = 2;
        assert_eq!(flags(&mask), ["touches_border"]);
        assert_eq!(fraction(&arr2(&[[1, 2], [0, 0]])), 0.5);
    }
}
