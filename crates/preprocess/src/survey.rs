//! A slice at a glance: 128 x 128 values in HU, from which units, orientation and the quality of a mask are judged.
//!
//! The full slice is gone by the time its mask is there; this much of it stays (48 kB).

use ndarray::Array2;

use crate::ct_slice::{CtSlice, Levels};
use crate::morphology::Mask;
use crate::protocol::{self, BODY_HU};

/// Pixels a side.
pub const SIDE: usize = protocol::BODY_SIDE;

/// A slice in HU, sampled to (128, 128); NaN counts as air.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The samples, rows from front to back.
    pub hu: Array2<i16>,
    /// The values as they were stated, before padding became air.
    pub levels: Levels,
    /// What is remarkable of them, as in [`CtSlice::remarks`].
    pub remarks: Vec<&'static str>,
    /// The body with everything inside it, without table and clothes. Empty if there is none.
    pub body: Mask,
}

/// Which of `count` pixels each of `samples` takes: the one at its centre.
pub fn centres(count: usize, samples: usize) -> Vec<usize> {
    (0..samples).map(|index| (2 * index + 1) * count / (2 * samples)).collect()
}

/// Samples an image of at least one pixel to (`side`, `side`).
pub(crate) fn sample<T: Copy, U>(image: &Array2<T>, side: usize, convert: impl Fn(T) -> U) -> Array2<U> {
    let (rows, columns) = (centres(image.nrows(), side), centres(image.ncols(), side));
    Array2::from_shape_fn((side, side), |(row, column)| convert(image[(rows[row], columns[column])]))
}

impl Survey {
    /// Looks at values of at least one pixel, as a file states them.
    pub fn new(stated: &Array2<f32>) -> Self {
        Self::of(CtSlice::of(stated.clone()))
    }

    /// Looks at a slice.
    pub fn of(slice: CtSlice) -> Self {
        let small = sample(&slice.hu, SIDE, |hu| hu.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16);
        let dense = |row, column| f32::from(small[(row, column)]) > BODY_HU;
        let body = protocol::body(&Mask::from_fn((SIDE, SIDE), dense));
        Self { hu: small, levels: slice.levels, remarks: slice.remarks, body }
    }
}

/// A mask, sampled as the slices are.
pub fn mask(mask: &Array2<u8>) -> Array2<u8> {
    sample(mask, SIDE, |label| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_at_the_centres() {
        // By hand: 256 pixels are taken at 1, 3, 5, ...; 64 pixels twice each; one pixel always.
        assert_eq!(centres(256, SIDE)[..3], [1, 3, 5]);
        assert_eq!(centres(64, SIDE)[..4], [0, 0, 1, 1]);
        assert!(centres(1, SIDE).iter().all(|pixel| *pixel == 0));
    }

    #[test]
    fn a_survey_keeps_the_range_and_survives_nan() {
        let mut hu = Array2::from_shape_fn((4, 4), |(row, column)| (40 + 4 * row + column) as f32);
        hu[(0, 0)] = f32::NAN;
        hu[(3, 3)] = 70_000.0;
        let survey = Survey::new(&hu);
        assert_eq!(survey.levels.range, (41.0, 70_000.0));
        assert_eq!((survey.hu[(0, 0)], survey.hu[(127, 127)]), (-1024, i16::MAX));
    }
}
