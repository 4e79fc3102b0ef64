//! The pixels of one DICOM slice in Hounsfield units.
//!
//! Sources: PS3.3 C.11.1 (rescale of stored values, `HU = slope * stored + intercept`), C.7.5.1.1.2 (pixel padding).

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use dicom_pixeldata::{ConvertOptions, ModalityLutOption, PixelDecoder, VoiLutOption};
use ndarray::Array2;

use crate::error::Error;

/// HU of air and of everything the scanner did not measure.
pub const AIR_HU: f32 = -1024.0;

/// Reads a slice, (rows, columns) as stored, in HU. Padding, and whatever is below -1024 HU, becomes -1024 HU.
///
/// # Errors
/// The file is truncated or corrupt, its pixels are coded in a way that is not supported, or do not fill the image.
pub fn read(path: &Path, _frame: Option<u32>) -> Result<Array2<f32>, Error> {
    let mut object = open_file(path).map_err(|error| Error::file(path, "truncated or corrupt DICOM file", &error))?;
    add_high_bit(&mut object);
    let pixels = object
        .decode_pixel_data()
        .map_err(|error| Error::file(path, "pixels cannot be decoded (truncated, or an unsupported coding)", &error))?;
    let options =
        ConvertOptions::new().with_modality_lut(ModalityLutOption::Default).with_voi_lut(VoiLutOption::Identity);
    let mut values: Vec<f32> = pixels
        .to_vec_with_options(&options)
        .map_err(|error| Error::file(path, "pixels cannot be converted to HU", &error))?;
    let rescale = pixels.rescale().ok().and_then(|all| all.first().copied());
    let (slope, intercept) = rescale.map_or((1.0, 0.0), |rescale| (rescale.slope, rescale.intercept));
    let padding = padding(&object).map(|range| range.map(|stored| (slope * stored + intercept) as f32));
    for value in &mut values {
        let padded = padding.is_some_and(|[low, high]| (low.min(high)..=low.max(high)).contains(value));
        if padded || value.is_nan() || *value < AIR_HU {
            *value = AIR_HU;
        }
    }
    let (rows, columns) = (pixels.rows() as usize, pixels.columns() as usize);
    let found = values.len();
    Array2::from_shape_vec((rows, columns), values).map_err(|_| Error::File {
        path: path.to_owned(),
        message: format!("expected {rows} x {columns} pixels, found {found}; the file is truncated or corrupt"),
    })
}

/// Some exporters leave out HighBit, which follows from BitsStored in every CT.
fn add_high_bit(object: &mut DefaultDicomObject) {
    let missing = integer(object, tags::HIGH_BIT).is_none();
    if let (true, Some(stored)) = (missing, integer(object, tags::BITS_STORED)) {
        let high = u16::try_from(stored - 1).unwrap_or(15);
        object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(high)));
    }
}

/// The stored values that mean padding, from and to.
fn padding(object: &DefaultDicomObject) -> Option<[f64; 2]> {
    let signed = integer(object, tags::PIXEL_REPRESENTATION) == Some(1);
    // In implicit VR the value may have been read as unsigned although pixels are signed.
    let stored = |tag| {
        integer(object, tag).map(|value| if signed && value > i64::from(i16::MAX) { value - (1 << 16) } else { value })
    };
    let first = stored(tags::PIXEL_PADDING_VALUE)?;
    let last = stored(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
    Some([first as f64, last as f64])
}

fn integer(object: &DefaultDicomObject, tag: Tag) -> Option<i64> {
    object.element_opt(tag).ok()??.to_int().ok()
}
