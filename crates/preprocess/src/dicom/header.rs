//! What is known of a slice before its pixels are read.

use std::fmt;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Skipped;
use super::file::File;
use super::groups::Groups;
use super::kind::{self, Refused};
use super::rescale::Rescale;
use super::values::{OTHER_PATIENT_IDS, Values};
use super::{frames, plane};
use crate::error::Error;
use crate::geometry::Plane;

/// The plane assumed of a slice that does not state its own.
pub(super) const UNSTATED: Plane =
    Plane { position: [0.0; 3], along_row: [1.0, 0.0, 0.0], along_column: [0.0, 1.0, 0.0], spacing_mm: [1.0, 1.0] };

/// What to do with an element whose value cannot be read.
const CORRECT: &str = "correct the element in a copy of the whole folder, for example with `dcmodify -nb -m \"(GGGG,EEEE)=VALUE\" FILE` (DCMTK; in an \
     enhanced multi-frame file the element stands in a functional group, as (5200,9229)[0].(0028,9110)[0].(0028,0030))";

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
    /// SpacingBetweenSlices, mm.
    pub(super) between_mm: Option<f64>,
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
    pub(super) kind: Result<Vec<String>, Refused>,
    /// What is remarkable of how the file was read, such as [`super::frames::PLACED_BY_SPACING`].
    pub(super) remarks: Vec<&'static str>,
}

/// Reads the header of `folder`/`file`: one slice, or each frame of a multi-frame image.
///
/// # Errors
/// The file is truncated or corrupt, a number that the geometry depends on cannot be read, or frames have no places.
pub fn headers(folder: &Path, file: &Path) -> Result<Vec<Header>, Error> {
    let path = folder.join(file);
    let object = File::header(&path)?;
    of_object(&object, file).map_err(|message| Error::File { path, message })
}

fn of_object(object: &File, file: &Path) -> Result<Vec<Header>, String> {
    let data: &InMemDicomObject = &object.data;
    let class = object.class();
    let side = |tag| usize::from(data.short(tag).unwrap_or(0));
    if side(tags::ROWS) * side(tags::COLUMNS) == 0 && kind::CT_CLASSES.contains(&class.as_str()) {
        // A file cut between two elements reads without an error.
        return Err("a CT image without rows or columns; the file is truncated or corrupt".to_owned());
    }
    let whole = header(data, file, None, &class);
    if whole.as_ref().is_ok_and(|whole| whole.kind.is_err()) {
        return Ok(vec![whole?]);
    }
    let groups = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len();
    let frames = object.stated_frames()?;
    if groups == 0 && frames < 2 {
        return Ok(vec![whole?]);
    }
    if groups != 0 && groups != frames as usize {
        return Err(format!("{frames} frames, but {groups} functional groups; the file is truncated or corrupt"));
    }
    if groups == 0 && frames > frames::MOST_FRAMES {
        let most = frames::MOST_FRAMES;
        return Err(format!("NumberOfFrames is {frames}, expected {most} at most; the file is truncated or corrupt"));
    }
    let headers = (0..frames).map(|frame| header(data, file, Some(frame), &class));
    let mut headers = headers.collect::<Result<Vec<Header>, String>>()?;
    frames::place(&mut headers, data)?;
    Ok(headers)
}

/// The header of a frame, or of the only slice of a file. Of a file that is no CT slice, numbers that cannot be read do not matter.
fn header(data: &InMemDicomObject, file: &Path, frame: Option<u32>, class: &str) -> Result<Header, String> {
    let groups = Groups::new(data, frame);
    let side = |tag| usize::from(data.short(tag).unwrap_or(0));
    let shape = (side(tags::ROWS), side(tags::COLUMNS));
    let kind = kind::of(data, groups, class, shape);
    let stated = match plane::Stated::of(data, groups) {
        Err(message) if kind.is_ok() => return Err(format!("{message}; {CORRECT}")),
        stated => stated.unwrap_or_default(),
    };
    let remarks = kind.iter().filter_map(|kind| kind.remark).chain(stated.remark).collect();
    let rescale = Rescale::of(groups);
    let three = |values: &[f64]| [values[0], values[1], values[2]];
    let folder_as_series = || file.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
    Ok(Header {
        file: file.to_owned(),
        frame,
        patient: data.text(tags::PATIENT_ID).unwrap_or_default(),
        series: data.text(tags::SERIES_INSTANCE_UID).unwrap_or_else(folder_as_series),
        study: data.text(tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        series_number: data.integer(tags::SERIES_NUMBER),
        description: data.text(tags::SERIES_DESCRIPTION).unwrap_or_default(),
        names: names(data),
        shape,
        thickness_mm: stated.thickness_mm,
        between_mm: groups
            .item(tags::PIXEL_MEASURES_SEQUENCE)
            .decimals(tags::SPACING_BETWEEN_SLICES)
            .map(|[mm]: [f64; 1]| mm.abs()),
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
            position: stated.position.unwrap_or(UNSTATED.position),
            along_row: stated.orientation.map_or(UNSTATED.along_row, |values| three(&values[..3])),
            along_column: stated.orientation.map_or(UNSTATED.along_column, |values| three(&values[3..])),
            spacing_mm: stated.spacing_mm.unwrap_or(UNSTATED.spacing_mm),
        },
        has_position: stated.position.is_some(),
        has_spacing: stated.spacing_mm.is_some(),
        stack: groups.item(tags::FRAME_CONTENT_SEQUENCE).text(tags::STACK_ID).unwrap_or_default(),
        kind: kind.map(|kind| kind.image_type),
        remarks,
    })
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
        self.kind.as_ref().err().map(|refused| refused.reason)
    }

    /// The slice under another patient's name, if `patient_of` has one for its file. The PatientID is a secret then.
    pub(super) fn of_patient<'a>(mut self, patient_of: impl Fn(&Path) -> Option<&'a str>) -> Self {
        if let Some(patient) = patient_of(&self.file) {
            self.names.push(Secret(std::mem::replace(&mut self.patient, patient.to_owned())));
        }
        self
    }

    /// True for a reformat, a projection or another image made of images (PS3.3 C.7.6.1.1.2).
    pub(super) fn is_derived(&self) -> bool {
        self.kind.as_ref().is_ok_and(|parts| parts.first().is_some_and(|part| part == "DERIVED"))
    }

    pub(super) fn into_skipped(self, reason: &'static str) -> Skipped {
        // A CT slice that is left out for another reason has been read right.
        let (found, may_be_ct) = self.kind.err().map_or_else(Default::default, |kind| (kind.found, kind.may_be_ct));
        let Self { patient, file, frame, names, .. } = self;
        Skipped { patient, file, frame, reason, found, may_be_ct, names }
    }
}
