//! DICOM folders: which files are CT, how they group to series, how a series is ordered (PS3.3 C.7.6.2, plane module; C.7.6.16,
//! functional groups of enhanced CT).
//!
//! Only headers are read here, up to the pixels; [`crate::hounsfield`] decodes one slice when its turn comes.

mod bits;
mod file;
mod groups;
mod guard;
mod header;
mod jpeg_ls;
mod pixels;
mod rescale;
mod series;
mod start;
mod unknown;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::Error;

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
}

/// Reads the headers below `folder` and groups the CT slices.
///
/// # Errors
/// A file is truncated or corrupt, or holds frames without positions, or there is no CT at all.
pub fn scan(folder: &Path) -> Result<Scan, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let files = contract::hash::walk(folder).map_err(read)?;
    scan_files(folder, &files, folder)
}

/// As [`scan`], of one file: a slice, or an enhanced multi-frame image.
///
/// # Errors
/// As [`scan`].
pub fn scan_file(path: &Path) -> Result<Scan, Error> {
    let (folder, file) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    scan_files(folder, &[PathBuf::from(file)], path)
}

fn scan_files(folder: &Path, files: &[PathBuf], asked: &Path) -> Result<Scan, Error> {
    let headers: Result<Vec<Vec<Header>>, Error> =
        files.par_iter().map(|file| headers_if_dicom(folder, file)).collect();
    let headers = headers?;
    let other_files = headers.iter().filter(|slices| slices.is_empty()).count();
    let mut scan = Scan { other_files, ..series::group(folder, headers.into_iter().flatten().collect())? };
    series::drop_derived(&mut scan);
    scan.series.iter_mut().for_each(Series::share_rescale);
    if scan.series.is_empty() {
        return Err(Error::NoCt { folder: asked.to_owned(), found: scan.describe() });
    }
    Ok(scan)
}

impl Scan {
    /// What there is besides CT, for messages.
    pub fn describe(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.skipped.iter().for_each(|skipped| *counts.entry(skipped.reason).or_default() += 1);
        let mut parts: Vec<String> =
            counts.iter().map(|(reason, files)| format!("{files} DICOM files skipped as {reason}")).collect();
        parts.push(format!("{} files that are not DICOM", self.other_files));
        parts.join(", ")
    }
}

/// None for a file that is not DICOM.
fn headers_if_dicom(folder: &Path, file: &Path) -> Result<Vec<Header>, Error> {
    let path = folder.join(file);
    match is_dicom(&path) {
        Ok(true) => headers(folder, file),
        // A file of that name with another content is a damaged one, not one to pass over.
        Ok(false) if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("dcm")) => {
            let message = "expected a DICOM file, found no DICM mark; copy it again or remove it".to_owned();
            Err(Error::File { path, message })
        }
        Ok(false) => Ok(Vec::new()),
        Err(source) => Err(Error::Read { path, source }),
    }
}
