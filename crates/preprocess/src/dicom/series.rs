//! Slices to series: grouping, order, doubles, and what is remarkable of their places (PS3.3 C.7.6.2).

use std::collections::{BTreeMap, BTreeSet};

use super::header::{Header, UNSTATED};
use super::rescale::Usual;
use super::{GANTRY_TILT, MISSING_SLICES, Scan, Skipped, UNEVEN_SLICES};
use crate::geometry::{Affine, Axial, dot};

/// Slices closer than this, or than this part of the usual step, are at one place, mm.
const SAME_PLACE: (f64, f64) = (0.01, 0.01);

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

/// Sorts headers into series and what is left out. A series UID that holds several stacks (other orientation, size or stack
/// of an enhanced file) keeps its largest.
pub(super) fn group(headers: Vec<Header>) -> Scan {
    type Stack = ((usize, usize), [i64; 6], String);
    let mut series: BTreeMap<(String, String), BTreeMap<Stack, Vec<Header>>> = BTreeMap::new();
    let mut scan = Scan::default();
    let mut seen = BTreeSet::new();
    for header in headers {
        if let Some(reason) = header.refusal() {
            scan.skipped.push(header.into_skipped(reason));
            continue;
        }
        let unique = header.instance_uid.is_empty() || seen.insert((header.instance_uid.clone(), header.frame));
        if unique {
            let stack = (header.shape, direction_key(&header), header.stack.clone());
            let series = series.entry((header.patient.clone(), header.series.clone())).or_default();
            series.entry(stack).or_default().push(header);
        } else {
            scan.skipped.push(header.into_skipped("duplicate"));
        }
    }
    for ((patient, uid), stacks) in series {
        let mut stacks: Vec<Vec<Header>> = stacks.into_values().collect();
        stacks.sort_by_key(|stack| std::cmp::Reverse(stack.len()));
        let mut stacks = stacks.into_iter();
        let slices = stacks.next().unwrap_or_default();
        scan.skipped.extend(stacks.flatten().map(|header| header.into_skipped("other_stack_of_series")));
        scan.series.push(Series::of(patient, uid, slices, &mut scan.skipped));
    }
    scan
}

/// Directions rounded to a tenth, so that slices of one stack agree whatever the digits written.
fn direction_key(header: &Header) -> [i64; 6] {
    let mut key = [0; 6];
    let parts = header.plane.along_row.iter().chain(&header.plane.along_column);
    key.iter_mut().zip(parts).for_each(|(key, part)| *key = (part * 10.0).round() as i64);
    key
}

/// Slices in the order of their position along the normal; without positions, of InstanceNumber; then of the file's name.
fn sorted(mut slices: Vec<Header>) -> Vec<Header> {
    let by_position = slices.iter().all(|slice| slice.has_position);
    let normal = slices.first().map_or([0.0, 0.0, 1.0], |slice| slice.plane.normal());
    let depth = |slice: &Header| if by_position { dot(slice.plane.position, normal) } else { 0.0 };
    slices.sort_by(|a, b| {
        let places = depth(a).total_cmp(&depth(b)).then(a.number.cmp(&b.number));
        places.then_with(|| a.file.cmp(&b.file)).then(a.frame.cmp(&b.frame))
    });
    slices
}

/// The middle one, the lower of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Leaves out derived series (reformats, projections) of patients who have an original one.
pub(super) fn drop_derived(scan: &mut Scan) {
    let originals: Vec<String> =
        scan.series.iter().filter(|series| !series.is_derived()).map(|series| series.patient.clone()).collect();
    let has_original = |patient: &String| originals.binary_search(patient).is_ok();
    let (keep, drop): (Vec<Series>, Vec<Series>) = std::mem::take(&mut scan.series)
        .into_iter()
        .partition(|series| !(series.is_derived() && has_original(&series.patient)));
    scan.series = keep;
    scan.skipped.extend(drop.into_iter().flat_map(|series| series.into_skipped("derived")));
}

impl Series {
    fn of(patient: String, uid: String, slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Self {
        let mut series = Self { patient, uid, slices: sorted(slices), ..Self::default() };
        skipped.extend(series.take_doubles().into_iter().map(|header| header.into_skipped("duplicate_position")));
        if let Some(first) = series.slices.first() {
            series.study.clone_from(&first.study);
            series.description.clone_from(&first.description);
            (series.number, series.thickness_mm) = (first.series_number, first.thickness_mm);
        }
        series.remarks = series.find_remarks();
        series
    }

    /// Takes out all but the first, by InstanceNumber, of slices at one place.
    fn take_doubles(&mut self) -> Vec<Header> {
        let depths: Option<Vec<f64>> = self.depths().into_iter().collect();
        let Some(depths) = depths else { return Vec::new() };
        let steps = depths.windows(2).map(|pair| pair[1] - pair[0]);
        let usual = median(steps.filter(|step| *step > SAME_PLACE.0).collect());
        let near = usual.map_or(SAME_PLACE.0, |usual| SAME_PLACE.0.max(SAME_PLACE.1 * usual));
        let mut doubles = Vec::new();
        let mut kept: Vec<(f64, Header)> = Vec::new();
        for (depth, slice) in depths.into_iter().zip(std::mem::take(&mut self.slices)) {
            match kept.last_mut() {
                Some((place, first)) if depth - *place <= near => {
                    let earlier = slice.number < first.number;
                    doubles.push(if earlier { std::mem::replace(first, slice) } else { slice });
                }
                _ => kept.push((depth, slice)),
            }
        }
        self.slices = kept.into_iter().map(|(_, slice)| slice).collect();
        doubles
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

    fn is_derived(&self) -> bool {
        let derived =
            |slice: &Header| slice.kind.as_ref().is_ok_and(|parts| parts.first().is_some_and(|part| part == "DERIVED"));
        self.slices.iter().all(derived)
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
        let thickness = first.thickness_mm.filter(|thickness| *thickness > 0.0).unwrap_or(1.0);
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
