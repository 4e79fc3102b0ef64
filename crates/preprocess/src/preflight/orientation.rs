//! The spine lies in the back of the body; the heart fills the space between the lungs to the left of the spine, and the right
//! lung is the larger one. On 11 single slices of COVID-19-NY-SBU that show two aerated lungs, the spine's sign is -0.03 to +0.42 with a
//! mean of +0.17, so a mean over a series leaves little doubt. The heart's sign (mean +0.21) and the lungs' (+0.15) vary more from slice
//! to slice, and disease moves them; so left and right are called wrong only where both say so: clearly in one series, or on the whole in
//! a study.

use std::ops::Range;

use contract::schema::mask_value;
use ndarray::Array2;

use super::Finding;
use crate::survey::{SIDE, Survey};

/// Air, HU: less than this.
const AIR_BELOW: i16 = -500;
/// Bone, HU.
const BONE_HU: i16 = 180;
/// Least number of samples of each lung for a slice to say anything: 1 % of the slice.
const LEAST_LUNG: usize = SIDE * SIDE / 100;
/// Least number of slices for a verdict on the orientation.
const LEAST_SLICES: usize = 8;
/// Spine in the front of the body: mean sign below this.
const FRONT_BELOW: f64 = -0.06;
/// A mirror image: the heart's sign below the first and the lungs' asymmetry below the second. One patient's disease moves both:
/// the worst of 346 phantoms has -0.30 and -0.21. A mirror image of a healthy chest, as drawn for the test, has -0.41 and -0.22.
const MIRRORED_SERIES: (f64, f64) = (-0.35, -0.05);
/// The same for a study, where the disease of one patient weighs little.
const MIRRORED_STUDY: (f64, f64) = (-0.08, -0.02);

/// What one slice says about the orientation of its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clue {
    /// Where bone of the middle lies: -1 front to +1 back.
    spine: f64,
    /// Samples between the lungs to the right and to the left of the spine.
    between: [f64; 2],
    /// Samples of right and left lung.
    lungs: [usize; 2],
}

/// Looks at a slice; `None` where it does not show two aerated lungs and bone.
///
/// Lungs are air inside the body here, named by the side of the picture they lie on: the network knows how lungs lie and may
/// find none in a flipped slice.
pub fn clue(slice: &Survey) -> Option<Clue> {
    let body = &slice.body;
    let air = |row: usize, column: usize| body.get(row, column) && slice.hu[(row, column)] < AIR_BELOW;
    let labels = &sided(&Array2::from_shape_fn((SIDE, SIDE), |(row, column)| u8::from(air(row, column))));
    let count = |label| labels.iter().filter(|found| **found == label).count();
    let lungs = [count(mask_value::RIGHT), count(mask_value::LEFT)];
    if lungs.iter().any(|lung| *lung < LEAST_LUNG) {
        return None;
    }
    let chest = Chest::new(labels);
    let bone: Vec<(usize, usize)> = chest.middle().filter(|at| slice.hu[*at] >= BONE_HU).collect();
    // Measured in the body's frame: disease takes air from the back of the lungs, not from the body.
    let ([front, back], _) = body.bounds()?;
    let (centre, half) = ((front + back + 1) as f64 / 2.0, (back + 1 - front) as f64 / 2.0);
    let spine = mean(bone.iter().map(|at| ((at.0 as f64 + 0.5 - centre) / half).clamp(-1.0, 1.0)))?;
    let behind = bone.iter().filter(|at| chest.depth(at.0) > 0.0);
    let spine_column = mean(behind.map(|at| at.1 as f64 + 0.5)).unwrap_or(chest.centre);
    Some(Clue { spine, between: chest.between(labels, spine_column), lungs })
}

/// The lungs named by the side of the picture they lie on.
fn sided(labels: &Array2<u8>) -> Array2<u8> {
    let lung = |column: &usize| labels.column(*column).iter().any(|label| *label != mask_value::BACKGROUND);
    let (first, last) = ((0..SIDE).find(lung).unwrap_or(0), (0..SIDE).rfind(lung).unwrap_or(0));
    Array2::from_shape_fn(labels.dim(), |(row, column)| match labels[(row, column)] {
        mask_value::BACKGROUND => mask_value::BACKGROUND,
        _ if 2 * column <= first + last => mask_value::RIGHT,
        _ => mask_value::LEFT,
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The frame that the two lungs span.
struct Chest {
    /// Column halfway between the lungs' centres.
    centre: f64,
    rows: Range<usize>,
    width: f64,
}

impl Chest {
    fn new(labels: &Array2<u8>) -> Self {
        let of = |label: u8| labels.indexed_iter().filter(move |(_, found)| **found == label).map(|(at, _)| at);
        let centre = |label| mean(of(label).map(|at| at.1 as f64 + 0.5)).unwrap_or(SIDE as f64 / 2.0);
        let lungs = || of(mask_value::RIGHT).chain(of(mask_value::LEFT));
        let span = |values: &mut dyn Iterator<Item = usize>| {
            let (low, high) = values.fold((SIDE, 0), |(low, high), value| (low.min(value), high.max(value)));
            low..high + 1
        };
        Self {
            centre: (centre(mask_value::RIGHT) + centre(mask_value::LEFT)) / 2.0,
            rows: span(&mut lungs().map(|at| at.0)),
            width: span(&mut lungs().map(|at| at.1)).len() as f64,
        }
    }

    /// -1 at the front of the lungs, +1 at their back.
    fn depth(&self, row: usize) -> f64 {
        let centre = (self.rows.start + self.rows.end) as f64 / 2.0;
        (row as f64 + 0.5 - centre) / (self.rows.len() as f64 / 2.0)
    }

    /// Samples near the middle, from somewhat in front of the lungs to somewhat behind them.
    fn middle(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let columns = (0..SIDE).filter(|column| (*column as f64 + 0.5 - self.centre).abs() < 0.16 * self.width);
        columns.flat_map(|column| (0..SIDE).filter(|row| self.depth(*row).abs() < 1.6).map(move |row| (row, column)))
    }

    /// Samples between the lungs right and left of a column, in the front two thirds, where the heart is.
    fn between(&self, labels: &Array2<u8>, column: f64) -> [f64; 2] {
        let mut sum = [0.0; 2];
        for row in self.rows.clone().filter(|row| self.depth(*row) < 0.35) {
            let line = labels.row(row);
            let right = line.iter().rposition(|label| *label == mask_value::RIGHT).map(|last| last as f64 + 1.0);
            let left = line.iter().position(|label| *label == mask_value::LEFT).map(|first| first as f64);
            if let Some((right, left)) = right.zip(left).filter(|(right, left)| right < left) {
                sum[0] += (column - right).max(0.0);
                sum[1] += (left - column).max(0.0);
            }
        }
        sum
    }
}

/// How much of a study is judged at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One series.
    Series,
    /// All series of a study.
    Study,
}

/// Judges the orientation from the clues of slices; `None` also when there are too few.
pub fn orientation(clues: &[Clue], scope: Scope) -> Option<Finding> {
    let slices = clues.len();
    if slices < LEAST_SLICES {
        return None;
    }
    let spine = mean(clues.iter().map(|clue| clue.spine))?;
    let heart = balance([0, 1].map(|side| clues.iter().map(|clue| clue.between[side]).sum()));
    let [right, left] = [0, 1].map(|side| clues.iter().map(|clue| clue.lungs[side]).sum::<usize>() as f64);
    let lungs = balance([left, right]);
    let (heart_below, lungs_below) = if scope == Scope::Series { MIRRORED_SERIES } else { MIRRORED_STUDY };
    if spine < FRONT_BELOW {
        Some(Finding::FrontBack { spine, slices })
    } else if heart < heart_below && lungs < lungs_below {
        Some(Finding::LeftRight { heart, lungs, slices })
    } else {
        None
    }
}

/// `(b - a) / (a + b)`; 0 if both are 0.
fn balance([a, b]: [f64; 2]) -> f64 {
    if a + b > 0.0 { (b - a) / (a + b) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Axis;
    use phantom::{Disease, PatientSpec};

    fn series(index: u64) -> Vec<Array2<f32>> {
        let spec = PatientSpec {
            seed: 11,
            index,
            disease: Disease::CommonPneumonia,
            difficulty: 0.5,
            load: 1.0,
            confounder: false,
            noise_hu: 25.0,
            size: 128,
            variety: 1.0,
        };
        let patient = phantom::generate(&spec);
        let cut = |step: usize| phantom::slice(&patient, 0.1 + 0.05 * step as f32);
        (0..16).map(cut).map(|slice| slice.hu).collect()
    }

    fn found(series: &[Array2<f32>]) -> Vec<Clue> {
        series.iter().filter_map(|hu| clue(&Survey::new(hu))).collect()
    }

    /// The series as a wrong header shows it.
    fn mirrored(series: &[Array2<f32>], axis: Axis) -> Vec<Array2<f32>> {
        let mut series = series.to_vec();
        series.iter_mut().for_each(|hu| hu.invert_axis(axis));
        series
    }

    #[test]
    fn phantoms_pass_and_those_turned_upside_down_do_not() {
        for index in 0..6 {
            let straight = series(index);
            assert_eq!(orientation(&found(&straight), Scope::Series), None, "{index}");
            let turned = orientation(&found(&mirrored(&straight, Axis(0))), Scope::Series);
            assert!(matches!(turned, Some(Finding::FrontBack { .. })), "{index}: {turned:?}");
        }
    }

    /// A chest drawn by hand: spine in the middle at the back, the heart a third of the chest wide and half as far to the left.
    fn drawn() -> Array2<f32> {
        let disc = |(row, column): (usize, usize), centre: (f64, f64), radii: (f64, f64)| {
            ((row as f64 - centre.0) / radii.0).powi(2) + ((column as f64 - centre.1) / radii.1).powi(2) < 1.0
        };
        let label = |at| {
            let heart = disc(at, (55.0, 72.0), (24.0, 20.0)) || disc(at, (90.0, 64.0), (14.0, 12.0));
            let lung = |column, width| disc(at, (66.0, column), (36.0, width)) && !heart;
            if lung(40.0, 22.0) { 1 } else { 2 * u8::from(lung(88.0, 20.0)) }
        };
        let mask = Array2::from_shape_fn((SIDE, SIDE), label);
        Array2::from_shape_fn((SIDE, SIDE), |at| match mask[at] {
            0 if disc(at, (92.0, 64.0), (8.0, 7.0)) => 400.0,
            0 if disc(at, (64.0, 64.0), (48.0, 60.0)) => 40.0,
            0 => -1000.0,
            _ => -850.0,
        })
    }

    #[test]
    fn a_mirrored_chest_is_found_in_one_series() {
        let straight = vec![drawn(); LEAST_SLICES];
        assert_eq!(orientation(&found(&straight), Scope::Series), None);
        let turned = orientation(&found(&mirrored(&straight, Axis(1))), Scope::Series);
        assert!(matches!(turned, Some(Finding::LeftRight { .. })), "{turned:?}");
        assert_eq!(orientation(&found(&mirrored(&straight[1..], Axis(1))), Scope::Series), None, "too few slices");
    }
}
