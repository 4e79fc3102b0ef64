//! Slices as DICOM: CT Image Storage, Explicit VR Little Endian, the same bytes on every run.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use contract::{atomic, hash};

use crate::body::Padding;
use crate::error::Error;
use crate::patient::Patient;
use crate::slice::Slice;

/// Stored value = HU + 1024 (DICOM PS3.3 C.11.1: output = slope * stored + intercept).
const INTERCEPT_HU: f32 = -1024.0;
/// Stored value of marked padding.
const PADDING: i16 = -2000;
/// The implementation that wrote the files: a fixed UID under the UUID root (PS3.5 B.2).
const IMPLEMENTATION: &str = "2.25.190373019847264103312790218804177043210";

/// Where a slice stands in its series.
#[derive(Debug, Clone)]
pub struct Place {
    /// `PH-0001`.
    pub patient_id: String,
    /// Prefix of all UIDs of the patient: anything that tells this study and patient from every other.
    pub uid_root: String,
    /// Position from the apex, from 0.
    pub index: usize,
    /// Slices of the series.
    pub count: usize,
    /// Distance of two slices, mm.
    pub step_mm: f32,
    /// Height, mm, rising to the head.
    pub z_mm: f32,
}

/// A UID under the UUID root (PS3.5 B.2), a function of `name`.
pub fn uid(name: &str) -> String {
    let digits = hash::bytes(name.as_bytes());
    let number = u128::from_str_radix(&digits[..32], 16).expect("BLAKE3 in hex has 64 hexadecimal digits");
    format!("2.25.{number}")
}

/// Writes one slice, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, patient: &Patient, slice: &Slice, place: &Place) -> Result<(), Error> {
    let failed = |message: String| Error::Dicom { path: path.to_owned(), message };
    let instance = uid(&format!("{}/instance/{}", place.uid_root, place.index));
    let mut object = InMemDicomObject::new_empty();
    identity(&mut object, place, &instance);
    geometry(&mut object, patient, place);
    pixels(&mut object, patient, slice);
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(IMPLEMENTATION)
        .implementation_version_name("CHUMOKU");
    let file = object.with_meta(meta).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|error| failed(error.to_string()))?;
    atomic::write(path, &bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn short(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// A decimal string (VR DS) holds 16 bytes at most (PS3.5 table 6.2-1).
fn decimal(value: f32) -> String {
    format!("{value:.4}")
}

fn identity(object: &mut InMemDicomObject, place: &Place, instance: &str) {
    let root = &place.uid_root;
    let number = place.patient_id.trim_start_matches("PH-");
    text(object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    text(object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL");
    text(object, tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
    text(object, tags::SOP_INSTANCE_UID, VR::UI, instance);
    text(object, tags::STUDY_DATE, VR::DA, "20200101");
    text(object, tags::STUDY_TIME, VR::TM, "000000");
    text(object, tags::ACCESSION_NUMBER, VR::SH, "");
    text(object, tags::MODALITY, VR::CS, "CT");
    text(object, tags::MANUFACTURER, VR::LO, "Chumoku phantom");
    text(object, tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
    text(object, tags::SERIES_DESCRIPTION, VR::LO, "Synthetic chest");
    text(object, tags::PATIENT_NAME, VR::PN, &format!("Phantom^{number}"));
    text(object, tags::PATIENT_ID, VR::LO, &place.patient_id);
    text(object, tags::PATIENT_BIRTH_DATE, VR::DA, "");
    text(object, tags::PATIENT_SEX, VR::CS, "O");
    text(object, tags::STUDY_INSTANCE_UID, VR::UI, &uid(&format!("{root}/study")));
    text(object, tags::SERIES_INSTANCE_UID, VR::UI, &uid(&format!("{root}/series")));
    text(object, tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid(&format!("{root}/frame")));
    text(object, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    text(object, tags::STUDY_ID, VR::SH, "1");
    text(object, tags::SERIES_NUMBER, VR::IS, "1");
}

fn geometry(object: &mut InMemDicomObject, patient: &Patient, place: &Place) {
    let pixel = patient.pixel_mm();
    // The first pixel's centre, in DICOM's patient system: x to the left, y to the back, z to the head (PS3.3 C.7.6.2.1.1).
    let corner = -0.5 * patient.pose.field_mm + 0.5 * pixel;
    let position = format!("{}\\{}\\{}", decimal(corner), decimal(corner), decimal(place.z_mm));
    // Half of the scanners number from the feet: readers must sort by position.
    let from_feet = patient.spec.index % 2 == 1;
    let number = if from_feet { place.count - place.index } else { place.index + 1 };
    text(object, tags::KVP, VR::DS, "120");
    text(object, tags::PATIENT_POSITION, VR::CS, "HFS");
    text(object, tags::SLICE_THICKNESS, VR::DS, &decimal(patient.thickness_mm));
    text(object, tags::SPACING_BETWEEN_SLICES, VR::DS, &decimal(place.step_mm));
    text(object, tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
    text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
    text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    text(object, tags::SLICE_LOCATION, VR::DS, &decimal(place.z_mm));
    text(object, tags::PIXEL_SPACING, VR::DS, &format!("{}\\{}", decimal(pixel), decimal(pixel)));
}

fn pixels(object: &mut InMemDicomObject, patient: &Patient, slice: &Slice) {
    let (rows, columns) = slice.hu.dim();
    let side = |length: usize| u16::try_from(length).expect("the configuration keeps a slice's side below 2049");
    short(object, tags::SAMPLES_PER_PIXEL, 1);
    text(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    short(object, tags::ROWS, side(rows));
    short(object, tags::COLUMNS, side(columns));
    short(object, tags::BITS_ALLOCATED, 16);
    short(object, tags::BITS_STORED, 16);
    short(object, tags::HIGH_BIT, 15);
    short(object, tags::PIXEL_REPRESENTATION, 1);
    if patient.pose.padding == Padding::Marked {
        object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(PADDING)));
    }
    text(object, tags::WINDOW_CENTER, VR::DS, "-600");
    text(object, tags::WINDOW_WIDTH, VR::DS, "1500");
    text(object, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    text(object, tags::RESCALE_SLOPE, VR::DS, "1");
    text(object, tags::RESCALE_TYPE, VR::LO, "HU");
    let stored = slice.hu.iter().map(|hu| (hu - INTERCEPT_HU) as i16 as u16);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.collect())));
}
