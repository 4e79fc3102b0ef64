//! A slice at a glance: 128 x 128 values in HU, from which units, orientation and the quality of a mask are judged.
//!
//! The full slice is gone by the time its mask is there; this much of it stays (32 kB).

use ndarray::Array2;

use crate::morphology::Mask;
use crate::protocol::{self, BODY_HU};

/// Pixels a side.
pub const SIDE: usize = protocol::BODY_SIDE;

/// A slice in HU, sampled to (128, 128); NaN counts as air.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The samples, rows from front to back.
    pub hu: Array2<i16>,
    /// Least and largest value of the whole slice.
    pub range: (f32, f32),
    /// The body with everything inside it, without table and clothes. Empty if there is none.
    pub body: Mask,
}

/// Which of `count` pixels each of `samples` takes: the one at its centre.
pub fn centres(count: usize, samples: usize) -> Vec<usize> {
    (0..samples).map(|index| (2 * index + 1) * count / (2 * samples)).collect()
}

/// Samples an image of at least one pixel.
fn sample<T: Copy, U>(image: &Array2<T>, convert: impl Fn(T) -> U) -> Array2<U> {
    let (rows, columns) = (centres(image.nrows(), SIDE), centres(image.ncols(), SIDE));
    Array2::from_shape_fn((SIDE, SIDE), |(row, column)| convert(image[(rows[row], columns[column])]))
}

impl Survey {
    /// Looks at a slice of at least one pixel.
    pub fn new(hu: &Array2<f32>) -> Self {
        let finite = hu.iter().copied().filter(|value| value.is_finite());
        let range =
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let small = sample(hu, |value| {
            let value = if value.is_nan() { crate::hounsfield::AIR_HU } else { value };
            value.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
        });
        let dense = |row, column| f32::from(small[(row, column)]) > BODY_HU;
        let body = protocol::body(&Mask::from_fn((SIDE, SIDE), dense));
        Self { hu: small, range, body }
    }
}

/// A mask, sampled as the slices are.
pub fn mask(mask: &Array2<u8>) -> Array2<u8> {
    sample(mask, |label| label)
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
        let mut hu = Array2::from_elem((4, 4), 40.0);
        hu[(0, 0)] = f32::NAN;
        hu[(3, 3)] = 70_000.0;
        let survey = Survey::new(&hu);
        assert_eq!(survey.range, (40.0, 70_000.0));
        assert_eq!((survey.hu[(0, 0)], survey.hu[(127, 127)]), (-1024, i16::MAX));
    }
}
