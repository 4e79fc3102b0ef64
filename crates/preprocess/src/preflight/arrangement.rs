//! How the two lungs lie in an axial slice: side by side. Where they lie one above the other the volume was turned by a quarter, as when pixel
//! arrays are saved without the affine of their DICOM; and a picture four times as long as wide is no axial slice of a person.

use super::Finding;
use crate::morphology::{Connectivity, Mask};
use crate::survey::{SIDE, Survey};

/// Air, HU: less than this.
const AIR_BELOW: i16 = -500;
/// Least number of samples of the smaller lung: 1 % of the slice.
const LEAST_LUNG: usize = SIDE * SIDE / 100;
/// The smaller lung has at least this part of the larger one: else it is the trachea or the bowel.
const LEAST_PART: f64 = 0.25;
/// Slices that show two lungs apart, fewer of which say nothing of a series.
const LEAST_SLICES: usize = 4;
/// Share of those slices in which the lungs lie one above the other, from which on a series is turned. On real and drawn chests it is 0.
const TURNED_FROM: f64 = 0.75;
/// Longer than so many times its width is no axial slice.
const LONGEST: usize = 4;

/// Whether the two lungs of a slice lie one above the other; `None` where it does not show two lungs apart.
fn lie_stacked(slice: &Survey) -> Option<bool> {
    let air =
        Mask::from_fn((SIDE, SIDE), |row, column| slice.body.get(row, column) && slice.hu[(row, column)] < AIR_BELOW);
    let larger = air.largest_component(Connectivity::Edge);
    let rest = Mask::from_fn((SIDE, SIDE), |row, column| air.get(row, column) && !larger.get(row, column));
    let smaller = rest.largest_component(Connectivity::Edge);
    let ((first, at), (second, other)) = (centre(&larger), centre(&smaller));
    if second < LEAST_LUNG || (second as f64) < LEAST_PART * first as f64 {
        return None;
    }
    Some((at[0] - other[0]).abs() > (at[1] - other[1]).abs())
}

/// Samples of a mask, and their mean row and column.
fn centre(mask: &Mask) -> (usize, [f64; 2]) {
    let (mut count, mut sum) = (0_usize, [0.0; 2]);
    for row in 0..SIDE {
        for column in (0..SIDE).filter(|column| mask.get(row, *column)) {
            count += 1;
            sum[0] += row as f64;
            sum[1] += column as f64;
        }
    }
    (count, sum.map(|sum| sum / count.max(1) as f64))
}

/// Judges from the slices of a series, whose pictures have `shape` (rows, columns), whether they are axial slices seen as usual.
pub fn arrangement<'a>(slices: impl IntoIterator<Item = &'a Survey>, shape: (usize, usize)) -> Option<Finding> {
    let (rows, columns) = shape;
    if rows > LONGEST * columns || columns > LONGEST * rows {
        return Some(Finding::NotAxial { rows, columns });
    }
    let stacked: Vec<bool> = slices.into_iter().filter_map(lie_stacked).collect();
    let (turned, of) = (stacked.iter().filter(|stacked| **stacked).count(), stacked.len());
    (of >= LEAST_SLICES && turned as f64 >= TURNED_FROM * of as f64).then_some(Finding::Turned { slices: turned, of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// A round body with two lungs, side by side.
    fn chest() -> Array2<f32> {
        let disc = |(row, column): (usize, usize), centre: f64, radii: (f64, f64)| {
            ((row as f64 - 64.0) / radii.0).powi(2) + ((column as f64 - centre) / radii.1).powi(2) < 1.0
        };
        Array2::from_shape_fn((SIDE, SIDE), |at| match at {
            _ if disc(at, 40.0, (30.0, 18.0)) || disc(at, 88.0, (28.0, 16.0)) => -850.0,
            _ if disc(at, 64.0, (45.0, 58.0)) => 40.0,
            _ => -1000.0,
        })
    }

    #[test]
    fn quarter_turn_is_found_and_half_turn_is_not() {
        let straight = chest();
        let turned = straight.t().to_owned();
        let judge = |hu: &Array2<f32>, count: usize| {
            let slices: Vec<Survey> = vec![Survey::new(hu); count];
            arrangement(&slices, (512, 512))
        };
        assert_eq!(judge(&straight, 8), None);
        assert_eq!(judge(&turned, 8), Some(Finding::Turned { slices: 8, of: 8 }));
        assert_eq!(judge(&turned, 3), None, "too few slices");
    }

    #[test]
    fn long_strip_is_no_axial_slice() {
        let slices = [Survey::new(&chest())];
        assert_eq!(arrangement(&slices, (16, 256)), Some(Finding::NotAxial { rows: 16, columns: 256 }));
        assert_eq!(arrangement(&slices, (128, 512)), None);
    }
}
