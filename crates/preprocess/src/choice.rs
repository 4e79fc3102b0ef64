//! Which of several series in one study of a patient is taken.
//!
//! A CT study often holds the same chest several times: other kernels, other thicknesses, the scout, reformats. The rule: of the axial
//! series of a study (StudyInstanceUID) the one with the most slices; of equal ones the thinner slices, then the lower SeriesNumber, then the
//! lower SeriesInstanceUID. Originals go before derived ones already in [`crate::dicom::scan`]. Nothing is dropped silently: the others are
//! listed with the reason [`OTHER_SERIES`].

use std::collections::{BTreeMap, BTreeSet};

use crate::dicom::{BY_INSTANCE_NUMBER, Series};

/// Reason for the files of a series that was not taken.
pub const OTHER_SERIES: &str = "other_series";

/// The rule in a line, for the log.
pub const RULE: &str = "most slices, then thinner slices, then the lower series number";

/// Series that are taken and those that are not, both in their old order.
#[derive(Debug, Default)]
pub struct Choice {
    /// One of each study of each patient.
    pub taken: Vec<Series>,
    /// The others.
    pub others: Vec<Series>,
}

/// Takes one series of each study of each patient.
pub fn largest(series: Vec<Series>) -> Choice {
    let mut best: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (index, one) in series.iter().enumerate() {
        let study = (one.patient.clone(), one.study.clone());
        let known = best.entry(study).or_insert(index);
        if rank(one) < rank(&series[*known]) {
            *known = index;
        }
    }
    let best: BTreeSet<usize> = best.into_values().collect();
    let mut choice = Choice::default();
    for (index, one) in series.into_iter().enumerate() {
        if best.contains(&index) { choice.taken.push(one) } else { choice.others.push(one) }
    }
    choice
}

/// Sorts series by preference, the best first.
pub fn sort(series: &mut [Series]) {
    series.sort_by(|a, b| rank(a).cmp(&rank(b)));
}

/// Lower is better. A series whose order is a guess comes last: measurements at one place, as of a bolus, can look like one.
fn rank(series: &Series) -> (bool, std::cmp::Reverse<usize>, i64, i32, &str) {
    let is_guess = series.remarks.contains(&BY_INSTANCE_NUMBER);
    // Whole micrometres, so that thicknesses have an order; unknown comes last.
    let thickness = series.thickness_mm.map_or(i64::MAX, |mm| (mm * 1000.0).round() as i64);
    (
        is_guess,
        std::cmp::Reverse(series.slices.len()),
        thickness,
        series.number.unwrap_or(i32::MAX),
        series.uid.as_str(),
    )
}
