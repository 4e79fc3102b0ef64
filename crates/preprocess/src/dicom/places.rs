//! Where the slices of a stack say they are, in numbers.

use super::header::Header;
use crate::geometry::dot;

/// Slices closer than this, or than this part of the usual step, are at one place, mm.
pub(super) const SAME_PLACE: (f64, f64) = (0.01, 0.01);

/// Each is `None` unless every slice states it.
pub(super) struct Places {
    /// ImagePositionPatient along the normal of the first slice, mm.
    pub depths: Option<Vec<f64>>,
    /// SliceLocation, mm.
    pub locations: Option<Vec<f64>>,
    /// InstanceNumber.
    pub numbers: Option<Vec<f64>>,
}

impl Places {
    pub fn of(slices: &[Header]) -> Self {
        let normal = slices.first().map_or([0.0, 0.0, 1.0], |slice| slice.plane.normal());
        let depth = |slice: &Header| slice.has_position.then(|| dot(slice.plane.position, normal));
        Self {
            depths: slices.iter().map(depth).collect(),
            locations: slices.iter().map(|slice| slice.location).collect(),
            numbers: slices.iter().map(|slice| slice.number.map(f64::from)).collect(),
        }
    }

    /// Where the slices are along the normal: by position, else by SliceLocation.
    pub fn along(&self) -> Option<&[f64]> {
        self.depths.as_deref().filter(|depths| distinct(depths) > 1).or(self.locations.as_deref())
    }
}

/// How many places there are.
pub(super) fn distinct(values: &[f64]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    1 + sorted.windows(2).filter(|pair| pair[1] - pair[0] > SAME_PLACE.0).count()
}

/// The usual step between places: the median of the steps that are no repetition.
pub(super) fn usual_step(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median(sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > SAME_PLACE.0).collect())
}

/// The middle one, the lower of two.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}
