//! DICOM folders: which files are CT, how they group to series, how a series is ordered (PS3.3 C.7.6.2, plane module).
//!
//! Only headers are read here, up to the pixels; [`crate::hounsfield`] decodes one slice when its turn comes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, OpenFileOptions};
use rayon::prelude::*;

use crate::error::Error;
use crate::geometry::{Affine, Axial, Plane, dot};

/// The plane assumed of a slice that does not state its own.
const UNSTATED: Plane =
    Plane { position: [0.0; 3], along_row: [1.0, 0.0, 0.0], along_column: [0.0, 1.0, 0.0], spacing_mm: [1.0, 1.0] };

/// The header of one slice.
#[derive(Debug, Clone)]
pub struct Header {
    /// The file, relative to the folder that was scanned.
    pub file: PathBuf,
    /// PatientID, trimmed; empty if the file has none.
    pub patient: String,
    /// SeriesInstanceUID; the file's folder if there is none.
    pub series: String,
    /// Frame of a multi-frame file, from 0.
    pub frame: Option<u32>,
    study: String,
    series_number: Option<i32>,
    names: Vec<String>,
    instance_uid: String,
    number: Option<i32>,
    plane: Plane,
    has_position: bool,
    has_spacing: bool,
    thickness_mm: Option<f64>,
    /// Rows and columns.
    pub shape: (usize, usize),
    kind: Result<Vec<String>, &'static str>,
    frames: u32,
}

/// CT slices of one series, in order along the slice normal.
#[derive(Debug, Clone)]
pub struct Series {
    /// PatientID.
    pub patient: String,
    /// SeriesInstanceUID.
    pub uid: String,
    /// StudyInstanceUID; empty if there is none.
    pub study: String,
    /// SeriesNumber.
    pub number: Option<i32>,
    /// SliceThickness.
    pub thickness_mm: Option<f64>,
    /// The slices.
    pub slices: Vec<Header>,
    /// What was noticed about the geometry.
    pub remarks: Vec<&'static str>,
}

/// A DICOM file that is left out.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// PatientID.
    pub patient: String,
    /// The file, relative to the folder that was scanned.
    pub file: PathBuf,
    /// Such as `localizer`.
    pub reason: &'static str,
    names: Vec<String>,
}

impl Skipped {
    /// Names and dates that must not be seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
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

/// True if the file starts as DICOM files do: 128 bytes, then `DICM` (PS3.10 section 7.1).
///
/// # Errors
/// The file cannot be read.
pub fn is_dicom(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::with_capacity(132);
    File::open(path)?.take(132).read_to_end(&mut start)?;
    Ok(start.get(128..132) == Some(b"DICM"))
}

/// Reads the headers below `folder` and groups the CT slices.
///
/// # Errors
/// A file is truncated or corrupt, or holds several frames, or there is no CT at all.
pub fn scan(folder: &Path) -> Result<Scan, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let files = contract::hash::walk(folder).map_err(read)?;
    let headers: Result<Vec<Option<Header>>, Error> =
        files.par_iter().map(|file| header_if_dicom(folder, file)).collect();
    let headers: Vec<Header> = headers?.into_iter().flatten().collect();
    let other_files = files.len() - headers.len();
    let mut scan = Scan { other_files, ..group(headers)? };
    drop_derived(&mut scan);
    if scan.series.is_empty() {
        return Err(Error::NoCt { folder: folder.to_owned(), found: scan.describe() });
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

fn header_if_dicom(folder: &Path, file: &Path) -> Result<Option<Header>, Error> {
    let path = folder.join(file);
    match is_dicom(&path) {
        Ok(true) => header(folder, file).map(Some),
        // A file of that name with another content is a damaged one, not one to pass over.
        Ok(false) if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("dcm")) => {
            let message = "expected a DICOM file, found no DICM mark; copy it again or remove it".to_owned();
            Err(Error::File { path, message })
        }
        Ok(false) => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Reads one file as a series of its own.
///
/// # Errors
/// The file is damaged, or is no CT.
pub fn read_file(folder: &Path, file: &Path) -> Result<Series, Error> {
    let header = header(folder, file)?;
    match header.refusal() {
        Some(reason) => Err(Error::NoCt { folder: folder.join(file), found: format!("the file is {reason}") }),
        None => Ok(Series::new(header.patient.clone(), header.series.clone(), vec![header])),
    }
}

/// Reads the header of `folder`/`file`.
///
/// # Errors
/// The file is truncated or corrupt.
pub fn header(folder: &Path, file: &Path) -> Result<Header, Error> {
    let path = folder.join(file);
    let object = OpenFileOptions::new()
        .read_until(tags::PIXEL_DATA)
        .open_file(&path)
        .map_err(|error| Error::file(&path, "truncated or corrupt DICOM file", &error))?;
    let numbers = |tag, count| numbers(&object, tag).filter(|found: &Vec<f64>| found.len() == count);
    let three = |values: &[f64]| [values[0], values[1], values[2]];
    let position = numbers(tags::IMAGE_POSITION_PATIENT, 3);
    let orientation = numbers(tags::IMAGE_ORIENTATION_PATIENT, 6);
    let spacing = numbers(tags::PIXEL_SPACING, 2);
    let plane = Plane {
        position: position.as_ref().map_or(UNSTATED.position, |values| three(values)),
        along_row: orientation.as_ref().map_or(UNSTATED.along_row, |values| three(&values[..3])),
        along_column: orientation.as_ref().map_or(UNSTATED.along_column, |values| three(&values[3..])),
        spacing_mm: spacing.as_ref().map_or(UNSTATED.spacing_mm, |values| [values[0], values[1]]),
    };
    let count = |tag| text(&object, tag).and_then(|text| text.parse::<usize>().ok());
    let (rows, columns) = (count(tags::ROWS).unwrap_or(0), count(tags::COLUMNS).unwrap_or(0));
    if rows * columns == 0 && object.meta().media_storage_sop_class_uid() == uids::CT_IMAGE_STORAGE {
        // A file cut between two elements reads without an error.
        let message = "a CT image without rows or columns; the file is truncated or corrupt".to_owned();
        return Err(Error::File { path, message });
    }
    let folder_as_series = || file.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
    Ok(Header {
        file: file.to_owned(),
        patient: text(&object, tags::PATIENT_ID).unwrap_or_default(),
        series: text(&object, tags::SERIES_INSTANCE_UID).unwrap_or_else(folder_as_series),
        frame: None,
        study: text(&object, tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        series_number: text(&object, tags::SERIES_NUMBER).and_then(|text| text.parse().ok()),
        names: [tags::PATIENT_NAME, tags::PATIENT_BIRTH_DATE]
            .into_iter()
            .filter_map(|tag| text(&object, tag))
            .collect(),
        instance_uid: text(&object, tags::SOP_INSTANCE_UID).unwrap_or_default(),
        number: text(&object, tags::INSTANCE_NUMBER).and_then(|text| text.parse().ok()),
        plane,
        has_position: position.is_some(),
        has_spacing: spacing.is_some(),
        thickness_mm: numbers(tags::SLICE_THICKNESS, 1).map(|values| values[0]),
        shape: (rows, columns),
        kind: kind(&object, rows * columns > 0),
        frames: text(&object, tags::NUMBER_OF_FRAMES).and_then(|text| text.parse().ok()).unwrap_or(1),
    })
}

/// The image type of a CT slice, or why the file is not one.
fn kind(object: &DefaultDicomObject, has_pixels: bool) -> Result<Vec<String>, &'static str> {
    let modality = text(object, tags::MODALITY);
    let image_type: Vec<String> =
        text(object, tags::IMAGE_TYPE).unwrap_or_default().split('\\').map(|part| part.trim().to_owned()).collect();
    if modality.is_some_and(|modality| modality != "CT") {
        Err("not_ct")
    } else if !has_pixels {
        Err("no_image")
    } else if text(object, tags::SAMPLES_PER_PIXEL).is_some_and(|samples| samples != "1") {
        Err("not_grey")
    } else if image_type.iter().any(|part| part == "LOCALIZER") {
        Err("localizer")
    } else {
        Ok(image_type)
    }
}

/// A text or number element as trimmed text; `None` if it is absent or empty.
fn text(object: &DefaultDicomObject, tag: Tag) -> Option<String> {
    let element = object.element_opt(tag).ok()??;
    let text = element.to_str().ok()?.trim().trim_end_matches('\0').to_owned();
    (!text.is_empty()).then_some(text)
}

fn numbers(object: &DefaultDicomObject, tag: Tag) -> Option<Vec<f64>> {
    let values = object.element_opt(tag).ok()??.to_multi_float64().ok()?;
    values.iter().all(|value| value.is_finite()).then_some(values)
}

/// Sorts headers into series and what is left out. A series UID that holds several stacks (other orientation or size) keeps
/// its largest.
fn group(headers: Vec<Header>) -> Result<Scan, Error> {
    type Stack = ((usize, usize), [i64; 6]);
    let mut series: BTreeMap<(String, String), BTreeMap<Stack, Vec<Header>>> = BTreeMap::new();
    let mut scan = Scan::default();
    let mut seen = BTreeMap::new();
    for header in headers {
        if let Some(reason) = header.refusal() {
            scan.skipped.push(header.into_skipped(reason));
            continue;
        }
        if header.frames > 1 {
            let message = format!("holds {} frames, expected 1; convert it to single-frame CT", header.frames);
            return Err(Error::File { path: header.file, message });
        }
        let unique = header.instance_uid.is_empty() || seen.insert(header.instance_uid.clone(), ()).is_none();
        if unique {
            let stack = (header.shape, direction_key(&header.plane));
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
        let slices = sorted(stacks.next().unwrap_or_default());
        scan.skipped.extend(stacks.flatten().map(|header| header.into_skipped("other_stack_of_series")));
        scan.series.push(Series::new(patient, uid, slices));
    }
    Ok(scan)
}

/// Directions rounded to a tenth, so that slices of one stack agree whatever the digits written.
fn direction_key(plane: &Plane) -> [i64; 6] {
    let mut key = [0; 6];
    let parts = plane.along_row.iter().chain(&plane.along_column);
    key.iter_mut().zip(parts).for_each(|(key, part)| *key = (part * 10.0).round() as i64);
    key
}

/// Slices in the order of their position along the normal; without positions, of InstanceNumber; then of the file's name.
fn sorted(mut slices: Vec<Header>) -> Vec<Header> {
    let by_position = slices.iter().all(|slice| slice.has_position);
    let normal = slices.first().map_or([0.0, 0.0, 1.0], |slice| slice.plane.normal());
    let depth = |slice: &Header| if by_position { dot(slice.plane.position, normal) } else { 0.0 };
    slices
        .sort_by(|a, b| depth(a).total_cmp(&depth(b)).then(a.number.cmp(&b.number)).then_with(|| a.file.cmp(&b.file)));
    slices
}

/// Leaves out derived series (reformats, projections) of patients who have an original one.
fn drop_derived(scan: &mut Scan) {
    let originals: Vec<String> =
        scan.series.iter().filter(|series| !series.is_derived()).map(|series| series.patient.clone()).collect();
    let has_original = |patient: &String| originals.binary_search(patient).is_ok();
    let (keep, drop): (Vec<Series>, Vec<Series>) = std::mem::take(&mut scan.series)
        .into_iter()
        .partition(|series| !(series.is_derived() && has_original(&series.patient)));
    scan.series = keep;
    scan.skipped.extend(drop.into_iter().flat_map(|series| series.into_skipped("derived")));
}

impl Header {
    /// Why the file is no CT slice, if it is none.
    pub fn refusal(&self) -> Option<&'static str> {
        self.kind.as_ref().err().copied()
    }

    fn into_skipped(self, reason: &'static str) -> Skipped {
        Skipped { patient: self.patient, file: self.file, reason, names: self.names }
    }

    /// Names and dates that must not be seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl Series {
    /// A series of these slices, which are in order.
    pub fn new(patient: String, uid: String, slices: Vec<Header>) -> Self {
        let first = slices.first();
        Self {
            patient,
            uid,
            study: first.map_or_else(String::new, |slice| slice.study.clone()),
            number: first.and_then(|slice| slice.series_number),
            thickness_mm: first.and_then(|slice| slice.thickness_mm),
            slices,
            remarks: Vec::new(),
        }
    }

    fn is_derived(&self) -> bool {
        let derived =
            |slice: &Header| slice.kind.as_ref().is_ok_and(|parts| parts.first().is_some_and(|part| part == "DERIVED"));
        self.slices.iter().all(derived)
    }

    /// The files of a series that is left out.
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
