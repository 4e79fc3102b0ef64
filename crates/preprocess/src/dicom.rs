//! DICOM folders: which files are CT, how they group to series, how a series is ordered (PS3.3 C.7.6.2, plane module; C.7.6.16,
//! functional groups of enhanced CT).
//!
//! Only headers are read here, up to the pixels; [`crate::hounsfield`] decodes one slice when its turn comes.

mod bits;
mod doubles;
mod file;
mod frames;
mod grouping;
mod groups;
mod guard;
mod header;
mod jpeg_ls;
mod kind;
mod order;
mod pixels;
mod places;
mod plane;
mod rescale;
mod series;
mod stacks;
mod start;
mod unknown;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::Error;
use crate::images::kinds;

pub use file::is_dicom;
pub use header::{Header, Secret, headers};
pub use rescale::{MISSING_RESCALE, MISSING_SLOPE, Usual};
pub use series::Series;

pub(crate) use file::File;
pub(crate) use groups::Groups;
pub(crate) use pixels::Pixels;
pub(crate) use rescale::Rescale;
pub(crate) use values::Values;

/// Remark: the step between slices leans from their normal by more than 1 degree.
pub const GANTRY_TILT: &str = "gantry_tilt";
/// Remark: a step between slices is over 1.5 times the median one.
pub const MISSING_SLICES: &str = "missing_slices";
/// Remark: a step that is no such gap differs from the median one by more than 10 %.
pub const UNEVEN_SLICES: &str = "uneven_slices";

/// Remark: positions are constant, missing or out of step, and SliceLocation gave the order and the step.
pub const BY_SLICE_LOCATION: &str = "ordered_by_slice_location";
/// Remark: positions cannot be used, and InstanceNumber gave the order: feet to head was assumed, and SliceThickness as the step.
pub const BY_INSTANCE_NUMBER: &str = "ordered_by_instance_number";
/// Remark: InstanceNumbers have another order than the positions, which gave the order.
pub const NUMBERS_OUT_OF_STEP: &str = "instance_numbers_out_of_step";
/// Remark: several acquisitions, phases or kernels lie in each other under one SeriesInstanceUID; one was taken.
pub const SEVERAL_ACQUISITIONS: &str = "several_acquisitions";
/// Remark: different slices share a SOPInstanceUID.
pub const SHARED_INSTANCE_UID: &str = "shared_instance_uid";
/// Remark: different slices lie at one place; that with the lower InstanceNumber was taken.
pub const REPEATED_POSITIONS: &str = "repeated_positions";
/// Remark: every file had a SeriesInstanceUID of its own, and they were joined.
pub const JOINED_SERIES: &str = "joined_series";

/// A DICOM file, or a frame of one, that is left out.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// PatientID.
    pub patient: String,
    /// The file, relative to the folder that was scanned.
    pub file: PathBuf,
    /// The frame of an enhanced file, from 0.
    pub frame: Option<u32>,
    /// Such as `localizer`.
    pub reason: &'static str,
    /// What was found in it, such as `Modality OT`; empty if the reason says it all.
    pub found: String,
    /// True for an image whose Modality is the only thing against it.
    pub may_be_ct: bool,
    /// As in [`Header::names`].
    pub names: Vec<Secret>,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// CT series, sorted by patient and series UID.
    pub series: Vec<Series>,
    /// DICOM files that were left out.
    pub skipped: Vec<Skipped>,
    /// Files that are not DICOM.
    pub other_files: usize,
    /// How many of them are of each kind that is known, such as `a text`.
    pub other_kinds: BTreeMap<&'static str, usize>,
}

/// Reads the headers below `folder` and groups the CT slices.
///
/// # Errors
/// A file is truncated or corrupt, or holds frames without positions, or there is no CT at all.
pub fn scan(folder: &Path) -> Result<Scan, Error> {
    scan_as(folder, |_| None)
}

/// As [`scan`]; `patient_of` names the patient of a file, relative to the folder, where PatientID does not count.
///
/// # Errors
/// As [`scan`].
pub fn scan_as<'a>(folder: &Path, patient_of: impl Fn(&Path) -> Option<&'a str> + Sync) -> Result<Scan, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let files = contract::hash::walk(folder).map_err(read)?;
    scan_files(folder, &files, folder, patient_of)
}

/// As [`scan`], of one file: a slice, or an enhanced multi-frame image.
///
/// # Errors
/// As [`scan`].
pub fn scan_file(path: &Path) -> Result<Scan, Error> {
    let (folder, file) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    scan_files(folder, &[PathBuf::from(file)], path, |_| None)
}

fn scan_files<'a>(
    folder: &Path,
    files: &[PathBuf],
    asked: &Path,
    patient_of: impl Fn(&Path) -> Option<&'a str> + Sync,
) -> Result<Scan, Error> {
    let read: Result<Vec<Read>, Error> = files.par_iter().map(|file| read_header(folder, file)).collect();
    let (mut headers, mut other_files, mut other_kinds) = (Vec::new(), 0, BTreeMap::new());
    for file in read? {
        match file {
            Read::Slices(slices) => headers.extend(slices.into_iter().map(|slice| slice.of_patient(&patient_of))),
            Read::Other(kind) => {
                other_files += 1;
                kind.into_iter().for_each(|kind| *other_kinds.entry(kind).or_default() += 1);
            }
        }
    }
    let mut scan = Scan { other_files, other_kinds, ..grouping::group(folder, headers)? };
    grouping::drop_derived(&mut scan);
    scan.series.iter_mut().for_each(Series::share_rescale);
    scan.series.iter_mut().for_each(take_remarks);
    if scan.series.is_empty() {
        return Err(Error::NoCt { folder: asked.to_owned(), found: scan.describe() + scan.remedy() });
    }
    Ok(scan)
}

/// Adds what is remarkable of a series' files.
fn take_remarks(series: &mut Series) {
    for remark in series.slices.iter().flat_map(|slice| &slice.remarks) {
        if !series.remarks.contains(remark) {
            series.remarks.push(remark);
        }
    }
}

impl Scan {
    /// What there is besides CT, for messages.
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if !self.skipped.is_empty() {
            parts.push(describe_skipped(&self.skipped));
        }
        let kinds: Vec<String> = self.other_kinds.iter().map(|(kind, files)| format!("{files}: {kind}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join("; ")) };
        parts.push(format!("{} files that are not DICOM{kinds}", self.other_files));
        parts.join(", ")
    }

    /// What to do where there is no CT and files were left out that may be CT.
    fn remedy(&self) -> &'static str {
        match self.skipped.iter().any(|skipped| skipped.may_be_ct) {
            true => {
                "; where these are CT in HU that a converter saved as another modality, say so in a copy of the files: \
                 `dcmodify -nb -i \"(0008,0060)=CT\" FILES` (DCMTK)"
            }
            false => "",
        }
    }
}

/// Files that were left out, by reason, with what was found in them.
pub fn describe_skipped(files: &[Skipped]) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for skipped in files {
        *counts.entry(skipped.reason).or_default().entry(&skipped.found).or_default() += 1;
    }
    counts.iter().map(|(reason, found)| skipped_as(reason, found)).collect::<Vec<String>>().join(", ")
}

fn skipped_as(reason: &str, found: &BTreeMap<&str, usize>) -> String {
    let files: usize = found.values().sum();
    let found = found.iter().filter(|(found, _)| !found.is_empty());
    let found: Vec<String> = found.map(|(found, files)| format!("{files}: {found}")).collect();
    let found = if found.is_empty() { String::new() } else { format!(" ({})", found.join("; ")) };
    format!("{files} DICOM files skipped as {reason}{found}")
}

/// What a file of the folder is.
enum Read {
    /// The slices of a DICOM file, or one that says why it is none.
    Slices(Vec<Header>),
    /// Another file, and its kind if it is known.
    Other(Option<&'static str>),
}

fn read_header(folder: &Path, file: &Path) -> Result<Read, Error> {
    let path = folder.join(file);
    let start = match file::start_if_foreign(&path) {
        Ok(None) => return headers(folder, file).map(Read::Slices),
        Ok(Some(start)) => start,
        Err(source) => return Err(Error::Read { path, source }),
    };
    let kind = kinds::of(&start);
    // A file of that name with another content is a damaged one, not one to pass over.
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("dcm")) {
        return Ok(Read::Other(kind.map(|kind| kind.name)));
    }
    let message = match kind {
        Some(kind) => format!("expected a DICOM file, found {}; {}", kind.name, kind.remedy_in_folder()),
        None => {
            "expected a DICOM file, found no DICM mark and no DICOM elements at its start; copy it again or remove it"
                .to_owned()
        }
    };
    Err(Error::File { path, message })
}
