//! One series: its slices in order, where they are, and what is remarkable of that (PS3.3 C.7.6.2).

use super::header::{Header, UNSTATED};
use super::places::{SAME_PLACE, median, usual_step};
use super::rescale::Usual;
use super::{GANTRY_TILT, MISSING_SLICES, Skipped, UNEVEN_SLICES};
use crate::geometry::{Affine, Axial, dot};

/// The step between slices may lean from their normal by this much, degrees.
const TILT_DEGREES: f64 = 1.0;

/// A step of so many usual ones is a gap.
const GAP: f64 = 1.5;

/// Steps are even if they differ from the usual one by no more than this part.
const EVEN: f64 = 0.1;

/// CT slices of one series, in order along the slice normal.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// PatientID.
    pub patient: String,
    /// SeriesInstanceUID.
    pub uid: String,
    /// StudyInstanceUID; empty if there is none.
    pub study: String,
    /// SeriesNumber.
    pub number: Option<i32>,
    /// SeriesDescription, to tell series apart in a list; empty if there is none.
    pub description: String,
    /// SliceThickness, mm.
    pub thickness_mm: Option<f64>,
    /// The slices.
    pub slices: Vec<Header>,
    /// What is remarkable of the slices' places, such as [`GANTRY_TILT`].
    pub remarks: Vec<&'static str>,
    /// The rescale that its slices share, for those that lack theirs.
    pub rescale: Usual,
}

impl Series {
    /// A series of ordered slices, and of slices at one place the one that is kept and each that is not. Its ids are still empty.
    pub(super) fn of(slices: Vec<Header>) -> (Self, Vec<(Header, Header)>) {
        let mut series = Self { slices, ..Self::default() };
        let pairs = series.take_doubles();
        if let Some(first) = series.slices.first() {
            series.study.clone_from(&first.study);
            series.description.clone_from(&first.description);
            (series.number, series.thickness_mm) = (first.series_number, first.thickness_mm);
        }
        series.remarks = series.find_remarks();
        (series, pairs)
    }

    /// Takes out all but the first, by InstanceNumber, of slices at one place: pairs of what is kept and what is not.
    fn take_doubles(&mut self) -> Vec<(Header, Header)> {
        let depths: Option<Vec<f64>> = self.depths().into_iter().collect();
        let Some(depths) = depths else { return Vec::new() };
        let usual = usual_step(&depths);
        let near = usual.map_or(SAME_PLACE.0, |usual| SAME_PLACE.0.max(SAME_PLACE.1 * usual));
        let mut doubles: Vec<(usize, Header)> = Vec::new();
        let mut kept: Vec<(f64, Header)> = Vec::new();
        for (depth, slice) in depths.into_iter().zip(std::mem::take(&mut self.slices)) {
            let last = kept.len().wrapping_sub(1);
            match kept.last_mut() {
                Some((place, first)) if depth - *place <= near => {
                    let earlier = slice.number < first.number;
                    doubles.push((last, if earlier { std::mem::replace(first, slice) } else { slice }));
                }
                _ => kept.push((depth, slice)),
            }
        }
        let pairs = doubles.into_iter().map(|(at, double)| (kept[at].1.clone(), double)).collect();
        self.slices = kept.into_iter().map(|(_, slice)| slice).collect();
        pairs
    }

    fn find_remarks(&self) -> Vec<&'static str> {
        let depths: Option<Vec<f64>> = self.depths().into_iter().collect();
        let Some(depths) = depths.filter(|depths| depths.len() > 1) else { return Vec::new() };
        let mut remarks = Vec::new();
        let (step, normal) = (self.step(), self.slices[0].plane.normal());
        let lengths = (dot(step, step) * dot(normal, normal)).sqrt();
        if dot(step, normal).abs() < lengths * TILT_DEGREES.to_radians().cos() {
            remarks.push(GANTRY_TILT);
        }
        let steps: Vec<f64> = depths.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let Some(usual) = median(steps.clone()) else { return remarks };
        if steps.iter().any(|step| *step > GAP * usual) {
            remarks.push(MISSING_SLICES);
        }
        if steps.iter().any(|step| *step <= GAP * usual && (step - usual).abs() > EVEN * usual) {
            remarks.push(UNEVEN_SLICES);
        }
        remarks
    }

    /// True if every slice is a reformat, a projection or another derived image.
    pub(super) fn is_derived(&self) -> bool {
        self.slices.iter().all(Header::is_derived)
    }

    /// Finds the rescale that the slices share.
    pub(super) fn share_rescale(&mut self) {
        let (usual, remark) = Usual::of(self.slices.iter().map(|slice| &slice.rescale));
        self.rescale = usual;
        self.remarks.extend(remark);
    }

    /// The slices of a series that is left out.
    pub fn into_skipped(self, reason: &'static str) -> impl Iterator<Item = Skipped> {
        self.slices.into_iter().map(move |slice| slice.into_skipped(reason))
    }

    /// Position of each slice along the normal of the first, mm; `None` without ImagePositionPatient.
    pub fn depths(&self) -> Vec<Option<f64>> {
        let normal = self.slices.first().map_or([0.0; 3], |slice| slice.plane.normal());
        let known = self.slices.iter().all(|slice| slice.has_position);
        self.slices.iter().map(|slice| known.then(|| dot(slice.plane.position, normal))).collect()
    }

    /// Vector from one slice to the next, LPS mm: the mean over the series; for one slice the normal times its thickness.
    fn step(&self) -> [f64; 3] {
        let (Some(first), Some(last)) = (self.slices.first(), self.slices.last()) else { return [0.0, 0.0, 1.0] };
        let gaps = (self.slices.len() - 1) as f64;
        let mean = [0, 1, 2].map(|axis| (last.plane.position[axis] - first.plane.position[axis]) / gaps);
        if gaps > 0.0 && first.has_position && dot(mean, mean) > 1e-12 {
            return mean;
        }
        let thickness = first.between_mm.or(first.thickness_mm).filter(|length| *length > 0.0).unwrap_or(1.0);
        first.plane.normal().map(|part| part * thickness)
    }

    /// From voxel indices (column, row, slice) to the patient.
    pub fn affine(&self) -> Affine {
        Affine::of_slices(self.slices.first().map_or(&UNSTATED, |slice| &slice.plane), self.step())
    }

    /// How the slices turn to the usual view.
    pub fn axial(&self) -> Axial {
        self.affine().axial()
    }

    /// Volume of a voxel, mm3; `None` if spacing or position is not stated.
    pub fn voxel_mm3(&self) -> Option<f64> {
        let stated = self.slices.iter().all(|slice| slice.has_spacing && slice.has_position);
        stated.then(|| self.affine().voxel_mm3())
    }
}
