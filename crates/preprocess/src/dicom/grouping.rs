//! Headers to series: by patient and SeriesInstanceUID, one stack each, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::header::Header;
use super::places::{distinct, usual_step};
use super::series::Series;
use super::stacks::DERIVED;
use super::{JOINED_SERIES, Scan, Skipped, doubles, order, stacks};
use crate::error::Error;
use crate::geometry::dot;

/// Reason for a series whose order nothing tells, where the study has another.
const NO_ORDER: &str = "no_order";

/// The same for a series whose geometry cannot be right.
const NO_GEOMETRY: &str = "no_geometry";

/// Series of one slice each that are joined are at least so many.
const LEAST_JOINED: usize = 3;

/// A series that cannot be used.
struct Failed {
    slices: Vec<Header>,
    /// Why its files are left out where the study has another series.
    reason: &'static str,
    /// What an error says where it has none.
    message: String,
}

/// The slices of each series, by PatientID and SeriesInstanceUID, with the remarks so far.
type BySeries = BTreeMap<(String, String), (Vec<Header>, Vec<&'static str>)>;

/// Sorts headers into series and what is left out.
///
/// # Errors
/// Nothing tells the order of the only series of a patient's study.
pub(super) fn group(folder: &Path, headers: Vec<Header>) -> Result<Scan, Error> {
    let mut scan = Scan::default();
    let mut by_series = BySeries::new();
    let studies = studies(&headers);
    for header in headers {
        if let Some(reason) = header.refusal() {
            scan.skipped.push(header.into_skipped(reason));
            continue;
        }
        let uid = match studies.get(&(header.patient.clone(), header.series.clone())) {
            Some(studies) if studies.len() > 1 => format!("{} of study {}", header.series, header.study),
            _ => header.series.clone(),
        };
        by_series.entry((header.patient.clone(), uid)).or_default().0.push(header);
    }
    let mut unordered = Vec::new();
    for ((patient, uid), (slices, remarks)) in joined(by_series) {
        match series(folder, slices, &mut scan.skipped) {
            Ok(series) => {
                let remarks = remarks.into_iter().chain(series.remarks).collect();
                scan.series.push(Series { patient, uid, remarks, ..series });
            }
            Err(failed) => unordered.push((patient, failed)),
        }
    }
    for (patient, failed) in unordered {
        leave_out_or_refuse(folder, &mut scan, &patient, failed)?;
    }
    Ok(scan)
}

/// The StudyInstanceUIDs under which each SeriesInstanceUID of a patient is found: two visits can share one by mistake.
fn studies(headers: &[Header]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for header in headers {
        let series = (header.patient.clone(), header.series.clone());
        found.entry(series).or_default().insert(header.study.clone());
    }
    found
}

/// One series of the slices that share a SeriesInstanceUID; its ids are still empty.
fn series(folder: &Path, slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Result<Series, Failed> {
    let (slices, shared) = doubles::take_copies(folder, slices, skipped);
    let (slices, mut remarks) = stacks::largest(slices, skipped);
    let order::Ordered { slices, remark } = order::order(slices, skipped).map_err(without_order)?;
    remarks.extend(shared.into_iter().chain(remark));
    let (series, pairs) = Series::of(slices);
    if let Some(found) = series.affine().implausible() {
        let message = format!(
            "the geometry of its series cannot be right: {found}; correct PixelSpacing, ImagePositionPatient and SliceThickness"
        );
        return Err(Failed { slices: series.slices, reason: NO_GEOMETRY, message });
    }
    remarks.extend(doubles::remark_repeated(folder, &pairs));
    skipped.extend(pairs.into_iter().map(|(_, double)| double.into_skipped(doubles::DUPLICATE_POSITION)));
    remarks.extend(series.remarks.iter().copied());
    Ok(Series { remarks, ..series })
}

fn without_order((slices, found): (Vec<Header>, String)) -> Failed {
    let message = format!(
        "the order of the {} slices of its series cannot be determined: {found}; give each file an InstanceNumber in the order of the slices \
         and take out a SliceLocation that is the same in all, or take the series out of the input",
        slices.len()
    );
    Failed { slices, reason: NO_ORDER, message }
}

fn leave_out_or_refuse(folder: &Path, scan: &mut Scan, patient: &str, failed: Failed) -> Result<(), Error> {
    let Failed { slices, reason, message } = failed;
    let study = slices.first().map(|slice| slice.study.clone()).unwrap_or_default();
    if scan.series.iter().any(|series| series.patient == patient && series.study == study) {
        scan.skipped.extend(slices.into_iter().map(|slice| slice.into_skipped(reason)));
        return Ok(());
    }
    let path = slices.into_iter().next().map(|slice| folder.join(slice.file)).unwrap_or_default();
    Err(Error::File { path, message })
}

/// Joins series of one slice each that are one series in which every file has a UID of its own: of one patient, with the same number,
/// description, date, size, orientation and spacing, at different places.
fn joined(by_series: BySeries) -> BySeries {
    let (single, mut joined): (BySeries, BySeries) =
        by_series.into_iter().partition(|(_, (slices, _))| slices.len() == 1);
    let mut alike: BTreeMap<String, BySeries> = BTreeMap::new();
    for (key, value) in single {
        let label = value.0.first().map(|slice| format!("{}\n{}", key.0, likeness(slice))).unwrap_or_default();
        alike.entry(label).or_default().insert(key, value);
    }
    for group in alike.into_values() {
        if group.len() < LEAST_JOINED || !is_one(&group) {
            joined.extend(group);
            continue;
        }
        let Some((key, _)) = group.first_key_value() else { continue };
        let (key, study) =
            (key.clone(), group.values().flat_map(|(slices, _)| slices).map(|slice| slice.study.clone()).min());
        let slices = group.into_values().flat_map(|(slices, _)| slices);
        let slices = slices.map(|slice| Header { study: study.clone().unwrap_or_default(), ..slice }).collect();
        joined.insert(key, (slices, vec![JOINED_SERIES]));
    }
    joined
}

/// What the slices of a series have in common.
fn likeness(slice: &Header) -> String {
    let rounded = |values: &[f64]| values.iter().map(|value| (value * 10.0).round() as i64).collect::<Vec<_>>();
    let plane = &slice.plane;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        slice.series_number,
        slice.description,
        slice.date,
        slice.shape,
        rounded(&plane.along_row),
        rounded(&plane.along_column),
        rounded(&plane.spacing_mm),
        slice.is_derived(),
    )
}

/// True if the slices lie at as many places as there are series, in one study, or in as many studies.
fn is_one(group: &BySeries) -> bool {
    let slices: Vec<&Header> = group.values().flat_map(|(slices, _)| slices).collect();
    let studies: BTreeSet<&str> = slices.iter().map(|slice| slice.study.as_str()).collect();
    let along = |slice: &&Header| match (slice.has_position, slice.location) {
        (true, _) => Some(dot(slice.plane.position, slice.plane.normal())),
        (false, Some(location)) => Some(location),
        (false, None) => slice.number.map(f64::from),
    };
    let places: Option<Vec<f64>> = slices.iter().map(along).collect();
    let Some(places) = places.filter(|places| distinct(places) == slices.len()) else { return false };
    // Single slices of several studies of a patient are no volume, but for steps as even as those of a volume.
    studies.len() == 1 || (studies.len() == slices.len() && is_even(&places))
}

/// True if the steps between places differ by no more than a tenth.
fn is_even(places: &[f64]) -> bool {
    let mut sorted = places.to_vec();
    sorted.sort_by(f64::total_cmp);
    let steps: Vec<f64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let usual = usual_step(places).unwrap_or_default();
    steps.iter().all(|step| (step - usual).abs() <= 0.1 * usual)
}

/// Leaves out derived series (reformats, projections) where the same study of the patient has an original axial series of at least half as
/// many slices: a bolus-tracking series is original, too.
pub(super) fn drop_derived(scan: &mut Scan) {
    let originals: Vec<(String, String, usize)> = scan
        .series
        .iter()
        .filter(|series| !series.is_derived() && series.axial().slices_are_axial())
        .map(|series| (series.patient.clone(), series.study.clone(), series.slices.len()))
        .collect();
    let has_original = |derived: &Series| {
        originals.iter().any(|(patient, study, slices)| {
            *patient == derived.patient && *study == derived.study && 2 * slices >= derived.slices.len()
        })
    };
    let (drop, keep): (Vec<Series>, Vec<Series>) =
        std::mem::take(&mut scan.series).into_iter().partition(|series| series.is_derived() && has_original(series));
    scan.series = keep;
    scan.skipped.extend(drop.into_iter().flat_map(|series| series.into_skipped(DERIVED)));
}
