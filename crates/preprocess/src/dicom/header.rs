//! What is known of a slice before its pixels are read.

use std::fmt;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::Skipped;
use super::file::File;
use super::groups::Groups;
use super::rescale::{self, Rescale};
use super::values::{OTHER_PATIENT_IDS, Values};
use crate::error::Error;
use crate::geometry::Plane;

/// The plane assumed of a slice that does not state its own.
pub(super) const UNSTATED: Plane =
    Plane { position: [0.0; 3], along_row: [1.0, 0.0, 0.0], along_column: [0.0, 1.0, 0.0], spacing_mm: [1.0, 1.0] };

/// Text that identifies a person. It is there to be found in outputs and taken out; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("..")
    }
}

/// The header of one slice: a file, or a frame of an enhanced one.
#[derive(Debug, Clone)]
pub struct Header {
    /// The file, relative to the folder that was scanned.
    pub file: PathBuf,
    /// The frame of an enhanced file, from 0; `None` for a file of one slice.
    pub frame: Option<u32>,
    /// PatientID, trimmed; empty if the file has none.
    pub patient: String,
    /// SeriesInstanceUID; the file's folder if there is none.
    pub series: String,
    /// StudyInstanceUID; empty if there is none.
    pub study: String,
    /// SeriesNumber.
    pub series_number: Option<i32>,
    /// SeriesDescription; empty if there is none.
    pub description: String,
    /// PatientName, OtherPatientNames, PatientBirthDate and other patient ids, as far as they are there.
    pub names: Vec<Secret>,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// SliceThickness, mm.
    pub thickness_mm: Option<f64>,
    /// True if the file says how stored values become HU (RescaleSlope and RescaleIntercept).
    pub has_rescale: bool,
    /// The same, as far as the file says it.
    pub(super) rescale: Rescale,
    pub(super) instance_uid: String,
    /// SliceLocation, mm.
    pub(super) location: Option<f64>,
    /// AcquisitionNumber.
    pub(super) acquisition: Option<i32>,
    /// TemporalPositionIdentifier.
    pub(super) temporal: Option<i32>,
    /// ConvolutionKernel; empty if there is none.
    pub(super) kernel: String,
    /// StudyDate; empty if there is none.
    pub(super) date: String,
    pub(super) number: Option<i32>,
    pub(super) plane: Plane,
    pub(super) has_position: bool,
    pub(super) has_spacing: bool,
    pub(super) stack: String,
    pub(super) kind: Result<Vec<String>, &'static str>,
    /// Frames of the file without a plane of their own.
    pub(super) unplaced_frames: u32,
}

/// Reads the header of `folder`/`file`: one slice, or each frame of an enhanced multi-frame image.
///
/// # Errors
/// The file is truncated or corrupt.
pub fn headers(folder: &Path, file: &Path) -> Result<Vec<Header>, Error> {
    let path = folder.join(file);
    let object = File::header(&path)?;
    let data: &InMemDicomObject = &object.data;
    let side = |tag| usize::from(data.short(tag).unwrap_or(0));
    let (rows, columns) = (side(tags::ROWS), side(tags::COLUMNS));
    let ct =
        [uids::CT_IMAGE_STORAGE, uids::ENHANCED_CT_IMAGE_STORAGE, uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE];
    if rows * columns == 0 && ct.contains(&object.data.meta().media_storage_sop_class_uid()) {
        // A file cut between two elements reads without an error.
        let message = "a CT image without rows or columns; the file is truncated or corrupt".to_owned();
        return Err(Error::File { path, message });
    }
    let groups = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len();
    let frames = object.frames();
    if groups == 0 {
        let unplaced_frames = if frames > 1 { frames } else { 0 };
        return Ok(vec![Header { unplaced_frames, ..header(data, file, None) }]);
    }
    let whole = header(data, file, None);
    if whole.kind.is_err() {
        return Ok(vec![whole]);
    }
    if groups != frames as usize {
        let message = format!("{frames} frames, but {groups} functional groups; the file is truncated or corrupt");
        return Err(Error::File { path, message });
    }
    Ok((0..frames).map(|frame| header(data, file, Some(frame))).collect())
}

fn header(data: &InMemDicomObject, file: &Path, frame: Option<u32>) -> Header {
    let groups = Groups::new(data, frame);
    let rescale = Rescale::of(groups);
    let three = |values: &[f64]| [values[0], values[1], values[2]];
    let position = groups.item(tags::PLANE_POSITION_SEQUENCE).decimals(tags::IMAGE_POSITION_PATIENT);
    let orientation: Option<[f64; 6]> =
        groups.item(tags::PLANE_ORIENTATION_SEQUENCE).decimals(tags::IMAGE_ORIENTATION_PATIENT);
    let measures = groups.item(tags::PIXEL_MEASURES_SEQUENCE);
    let spacing = measures.decimals(tags::PIXEL_SPACING);
    let side = |tag| usize::from(data.short(tag).unwrap_or(0));
    let shape = (side(tags::ROWS), side(tags::COLUMNS));
    let folder_as_series = || file.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
    Header {
        file: file.to_owned(),
        frame,
        patient: data.text(tags::PATIENT_ID).unwrap_or_default(),
        series: data.text(tags::SERIES_INSTANCE_UID).unwrap_or_else(folder_as_series),
        study: data.text(tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        series_number: data.integer(tags::SERIES_NUMBER),
        description: data.text(tags::SERIES_DESCRIPTION).unwrap_or_default(),
        names: names(data),
        shape,
        thickness_mm: measures.decimals(tags::SLICE_THICKNESS).map(|[value]| value),
        has_rescale: rescale.whole().is_some(),
        rescale,
        instance_uid: data.text(tags::SOP_INSTANCE_UID).unwrap_or_default(),
        location: data.decimals(tags::SLICE_LOCATION).map(|[value]| value),
        acquisition: data.integer(tags::ACQUISITION_NUMBER),
        temporal: data.integer(tags::TEMPORAL_POSITION_IDENTIFIER),
        kernel: data.text(tags::CONVOLUTION_KERNEL).unwrap_or_default(),
        date: data.text(tags::STUDY_DATE).unwrap_or_default(),
        number: frame.map_or_else(|| data.integer(tags::INSTANCE_NUMBER), |frame| i32::try_from(frame).ok()),
        plane: Plane {
            position: position.unwrap_or(UNSTATED.position),
            along_row: orientation.map_or(UNSTATED.along_row, |values| three(&values[..3])),
            along_column: orientation.map_or(UNSTATED.along_column, |values| three(&values[3..])),
            spacing_mm: spacing.unwrap_or(UNSTATED.spacing_mm),
        },
        has_position: position.is_some(),
        has_spacing: spacing.is_some(),
        stack: groups.item(tags::FRAME_CONTENT_SEQUENCE).text(tags::STACK_ID).unwrap_or_default(),
        kind: kind(data, groups, shape),
        unplaced_frames: 0,
    }
}

/// The image type of a CT slice, or why the file is not one.
fn kind(data: &InMemDicomObject, groups: Groups, (rows, columns): (usize, usize)) -> Result<Vec<String>, &'static str> {
    let frame_type = groups.item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE).text(tags::FRAME_TYPE);
    let image_type = frame_type.or_else(|| data.text(tags::IMAGE_TYPE)).unwrap_or_default();
    let image_type: Vec<String> = image_type.split('\\').map(|part| part.trim().to_owned()).collect();
    if data.text(tags::MODALITY).is_some_and(|modality| modality != "CT") {
        Err("not_ct")
    } else if rows * columns == 0 {
        Err("no_image")
    } else if data.short(tags::SAMPLES_PER_PIXEL).is_some_and(|samples| samples != 1) {
        Err("not_grey")
    } else if image_type.iter().any(|part| part == "LOCALIZER") {
        Err("localizer")
    } else if !rescale::may_be_hu(groups) {
        Err(rescale::NOT_HU)
    } else {
        Ok(image_type)
    }
}

/// What names the patient besides PatientID.
fn names(data: &InMemDicomObject) -> Vec<Secret> {
    let own = [tags::PATIENT_NAME, tags::OTHER_PATIENT_NAMES, tags::PATIENT_BIRTH_DATE, OTHER_PATIENT_IDS];
    let own = own.into_iter().filter_map(|tag| data.text(tag));
    let ids = data.items(tags::OTHER_PATIENT_I_DS_SEQUENCE).iter();
    own.chain(ids.filter_map(|item| item.text(tags::PATIENT_ID))).map(Secret).collect()
}

impl Header {
    /// Why the file is no CT slice, if it is none.
    pub fn refusal(&self) -> Option<&'static str> {
        self.kind.as_ref().err().copied()
    }

    /// True for a reformat, a projection or another image made of images (PS3.3 C.7.6.1.1.2).
    pub(super) fn is_derived(&self) -> bool {
        self.kind.as_ref().is_ok_and(|parts| parts.first().is_some_and(|part| part == "DERIVED"))
    }

    pub(super) fn into_skipped(self, reason: &'static str) -> Skipped {
        Skipped { patient: self.patient, file: self.file, frame: self.frame, reason, names: self.names }
    }
}
