//! The pixels of one DICOM slice in Hounsfield units.
//!
//! Sources: PS3.3 C.11.1 (rescale of stored values, `HU = slope * stored + intercept`), C.7.5.1.1.2 (pixel padding).

use std::path::Path;

use dicom_dictionary_std::tags;
use ndarray::Array2;

use crate::dicom::{self, File, Groups};
use crate::error::Error;

/// HU of air and of everything the scanner did not measure.
pub const AIR_HU: f32 = -1024.0;

/// Reads a slice, (rows, columns) as stored, in HU: the file's only one, or a frame (from 0) of a multi-frame image. Padding,
/// and whatever is below -1024 HU, becomes -1024 HU. Without a rescale stored values count as HU.
///
/// A call reads the file's header and the bytes of that frame, not those of others, unless the file is deflated. So the frames
/// of a file of n frames cost n headers (of about a kilobyte for each frame) and the pixels once; memory holds one frame.
///
/// # Errors
/// The file is truncated or corrupt, its pixels are coded in a way that is not supported, or do not fill the image, or it has
/// several frames and none is named.
pub fn read(path: &Path, frame: Option<u32>) -> Result<Array2<f32>, Error> {
    let failed = |message: String| Error::File { path: path.to_owned(), message };
    let mut file = File::open(path)?;
    if frame.is_none() && file.frames() > 1 {
        return Err(failed(format!("holds {} frames, expected one slice", file.frames())));
    }
    let [slope, intercept] = Groups::new(&file.data, frame).rescale().unwrap_or([1.0, 0.0]);
    if slope == 0.0 {
        return Err(failed("RescaleSlope is 0; the file is corrupt".to_owned()));
    }
    let (layout, words) = dicom::read_pixels(path, &mut file, frame.unwrap_or(0))?;
    let attribute = |tag| file.data.short(tag).map(|word| layout.attribute(word));
    let padding = attribute(tags::PIXEL_PADDING_VALUE)
        .map(|first| (first, attribute(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first)));
    let hu = |word: &u16| {
        let stored = layout.value(*word);
        let padded = padding.is_some_and(|(first, last)| (first.min(last)..=first.max(last)).contains(&stored));
        let value = (slope * f64::from(stored) + intercept) as f32;
        if padded || value < AIR_HU { AIR_HU } else { value }
    };
    let values: Vec<f32> = words.iter().map(hu).collect();
    Array2::from_shape_vec((layout.rows, layout.columns), values).map_err(|error| failed(error.to_string()))
}
