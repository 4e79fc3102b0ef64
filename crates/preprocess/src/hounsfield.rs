//! The pixels of a DICOM file in Hounsfield units.
//!
//! Sources: PS3.3 C.11.1 (rescale of stored values, `HU = slope * stored + intercept`), C.7.5.1.1.2 (pixel padding).

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use ndarray::Array2;

use crate::dicom::{File, Groups, Pixels, Values};
use crate::error::Error;

/// HU of air and of everything the scanner did not measure.
pub const AIR_HU: f32 = -1024.0;

/// Reads a slice, (rows, columns) as stored, in HU: the file's only one, or a frame (from 0) of a multi-frame image. Each call
/// reads the whole file; for several frames of one, see [`Opened`].
///
/// # Errors
/// As [`Opened::open`] and [`Opened::frame`], or the file has several frames and none is named.
pub fn read(path: &Path, frame: Option<u32>) -> Result<Array2<f32>, Error> {
    let opened = Opened::open(path)?;
    if frame.is_none() && opened.frames() > 1 {
        let message = format!("holds {} frames, expected one slice", opened.frames());
        return Err(Error::File { path: path.to_owned(), message });
    }
    opened.frame(frame.unwrap_or(0))
}

/// A DICOM file that is in memory, coded, for its frames to be decoded one by one, by several threads if need be.
pub struct Opened {
    path: PathBuf,
    file: File,
}

impl Opened {
    /// Reads the file.
    ///
    /// # Errors
    /// The file is truncated or corrupt, or its transfer syntax is unknown.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), file: File::whole(path)? })
    }

    /// Frames of the image; 1 if the file does not say.
    pub fn frames(&self) -> u32 {
        self.file.frames()
    }

    /// Decodes frame `index`, from 0, to (rows, columns) as stored, in HU. Padding, and whatever is below -1024 HU, becomes
    /// -1024 HU. Without a rescale stored values count as HU.
    ///
    /// # Errors
    /// There is no such frame, or its pixels are truncated or corrupt, coded in a way that is not supported, or do not fill
    /// the image.
    pub fn frame(&self, index: u32) -> Result<Array2<f32>, Error> {
        let failed = |message: String| Error::File { path: self.path.clone(), message };
        let data = &self.file.data;
        let [slope, intercept] = Groups::new(data, Some(index)).rescale().unwrap_or([1.0, 0.0]);
        if slope == 0.0 {
            return Err(failed("RescaleSlope is 0; the file is corrupt".to_owned()));
        }
        let pixels = Pixels::read(&self.path, &self.file, index)?;
        let attribute = |tag| data.short(tag).map(|word| pixels.attribute(word));
        let padding = attribute(tags::PIXEL_PADDING_VALUE)
            .map(|first| (first, attribute(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first)));
        let hu = |stored: &i32| {
            let padded = padding.is_some_and(|(first, last)| (first.min(last)..=first.max(last)).contains(stored));
            let value = (slope * f64::from(*stored) + intercept) as f32;
            if padded || value < AIR_HU { AIR_HU } else { value }
        };
        let values: Vec<f32> = pixels.values.iter().map(hu).collect();
        Array2::from_shape_vec((pixels.rows, pixels.columns), values).map_err(|error| failed(error.to_string()))
    }
}

/// The slices of a series: each from a file of its own, or all from one, which is then read once.
pub struct Slices {
    shared: Option<Box<Opened>>,
}

impl Slices {
    /// Opens the series whose slices lie in these files.
    ///
    /// # Errors
    /// As [`Opened::open`], of a file that all slices share.
    pub fn open<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let mut files = files.into_iter();
        let first = files.next();
        let mut rest = files.peekable();
        let several = rest.peek().is_some();
        let shared = first.filter(|first| several && rest.all(|file| file == *first)).map(Opened::open).transpose()?;
        Ok(Self { shared: shared.map(Box::new) })
    }

    /// A slice in HU, as [`read`].
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self, path: &Path, frame: Option<u32>) -> Result<Array2<f32>, Error> {
        match (&self.shared, frame) {
            (Some(opened), Some(frame)) => opened.frame(frame),
            _ => read(path, frame),
        }
    }
}
