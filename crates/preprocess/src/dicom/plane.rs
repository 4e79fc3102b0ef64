//! Where a slice says it lies (PS3.3 C.7.6.2), read so that a value that is there and cannot be used is never taken for none.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::groups::Groups;
use super::values::Values;
use crate::geometry::dot;

/// Remark: the size of pixels is not stated; volumes are in pixels.
pub const NO_PIXEL_SIZE: &str = "pixel_size_unknown";
/// Remark: PixelSpacing is missing, and the size of pixels at the detector or the scanned film was taken.
pub const DETECTOR_PIXEL_SIZE: &str = "pixel_size_of_detector";

/// NominalScannedPixelSpacing, of images that were digitized.
const NOMINAL_SCANNED_PIXEL_SPACING: Tag = Tag(0x0018, 0x2010);

/// Lengths of directions, and their cosine, may be off by this much.
const DIRECTION_ERROR: f64 = 0.05;

/// What a slice states of its plane.
#[derive(Debug, Clone, Default)]
pub struct Stated {
    /// ImagePositionPatient, mm.
    pub position: Option<[f64; 3]>,
    /// ImageOrientationPatient: along a row, along a column.
    pub orientation: Option<[f64; 6]>,
    /// PixelSpacing, mm: between rows, between columns.
    pub spacing_mm: Option<[f64; 2]>,
    /// SliceThickness, mm; `None` for 0 and less, too.
    pub thickness_mm: Option<f64>,
    /// What is remarkable of the size of pixels.
    pub remark: Option<&'static str>,
}

impl Stated {
    /// Reads it from the groups of a slice.
    ///
    /// # Errors
    /// An element has a value that is no number, or none that its meaning allows.
    pub fn of(data: &InMemDicomObject, groups: Groups) -> Result<Self, String> {
        let measures = groups.item(tags::PIXEL_MEASURES_SEQUENCE);
        let (spacing_mm, remark) = pixel_size(measures, data)?;
        let orientation = groups.item(tags::PLANE_ORIENTATION_SEQUENCE).numbers(tags::IMAGE_ORIENTATION_PATIENT)?;
        if let Some(orientation) = &orientation {
            check_directions(orientation)?;
        }
        Ok(Self {
            position: groups.item(tags::PLANE_POSITION_SEQUENCE).numbers(tags::IMAGE_POSITION_PATIENT)?,
            orientation,
            spacing_mm,
            thickness_mm: length(measures, tags::SLICE_THICKNESS)?,
            remark,
        })
    }
}

/// A length above 0, mm; `None` where the file has none, or 0 or less, which stand for none.
pub fn length(item: &InMemDicomObject, tag: Tag) -> Result<Option<f64>, String> {
    Ok(item.numbers(tag)?.map(|[length]| length).filter(|length| *length > 0.0))
}

fn pixel_size(
    measures: &InMemDicomObject,
    data: &InMemDicomObject,
) -> Result<(Option<[f64; 2]>, Option<&'static str>), String> {
    if let Some(size) = size(measures, tags::PIXEL_SPACING)? {
        return Ok((Some(size), None));
    }
    for tag in [tags::IMAGER_PIXEL_SPACING, NOMINAL_SCANNED_PIXEL_SPACING] {
        if let Some(size) = size(data, tag)? {
            return Ok((Some(size), Some(DETECTOR_PIXEL_SIZE)));
        }
    }
    Ok((None, Some(NO_PIXEL_SIZE)))
}

fn size(item: &InMemDicomObject, tag: Tag) -> Result<Option<[f64; 2]>, String> {
    let size = item.numbers(tag)?;
    match size {
        Some([rows, columns]) if rows <= 0.0 || columns <= 0.0 => {
            Err(format!("{} is {rows} x {columns}, expected two lengths above 0 mm", super::values::name(tag)))
        }
        size => Ok(size),
    }
}

/// Two directions of length 1 at right angles (PS3.3 C.7.6.2.1.1).
fn check_directions(orientation: &[f64; 6]) -> Result<(), String> {
    let [x, y, z, u, v, w] = *orientation;
    let (row, column) = ([x, y, z], [u, v, w]);
    let is_unit = |direction: [f64; 3]| (dot(direction, direction).sqrt() - 1.0).abs() <= DIRECTION_ERROR;
    if is_unit(row) && is_unit(column) && dot(row, column).abs() <= DIRECTION_ERROR {
        return Ok(());
    }
    Err(format!(
        "ImageOrientationPatient is {x}, {y}, {z}, {u}, {v}, {w}, expected two directions of length 1 at right angles"
    ))
}
