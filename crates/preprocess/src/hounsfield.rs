//! The pixels of a DICOM file in Hounsfield units.
//!
//! Sources: PS3.3 C.11.1 (rescale of stored values, `HU = slope * stored + intercept`), C.7.5.1.1.2 (pixel padding).

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use ndarray::Array2;

use crate::ct_slice::{self, CtSlice};
use crate::dicom::{File, Groups, Pixels, Rescale, Usual, Values};
use crate::error::Error;

/// HU of air and of everything the scanner did not measure.
pub const AIR_HU: f32 = -1024.0;

/// HU that tissue, bone and contrast agent have. A PixelPaddingValue among them is also the value of real pixels.
const REAL_HU: RangeInclusive<f64> = -900.0..=3071.0;

/// What a series adds to what its slices say of themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// The rescale of slices that lack their own.
    pub rescale: Usual,
    /// Added to all values to give HU.
    pub offset_hu: f64,
}

/// A slice as its file states it.
#[derive(Debug)]
pub struct Stated {
    /// Values in HU, (rows, columns); NaN is padding.
    pub hu: Array2<f32>,
    /// What is remarkable of them.
    pub remark: Option<&'static str>,
}

impl Stated {
    /// The slice turned by `turn` and made ready.
    pub fn turned(self, turn: impl Fn(Array2<f32>) -> Array2<f32>) -> CtSlice {
        let mut slice = CtSlice::of(turn(self.hu));
        slice.remarks.extend(self.remark);
        slice
    }
}

/// Reads a slice, (rows, columns) as stored, in HU: the file's only one, or a frame (from 0) of a multi-frame image. Each call
/// reads the whole file; for several frames of one, see [`Opened`]. Declared padding, and whatever is below -1024 HU, becomes -1024 HU.
///
/// # Errors
/// As [`Opened::open`] and [`Opened::frame`], or the file has several frames and none is named.
pub fn read(path: &Path, frame: Option<u32>) -> Result<Array2<f32>, Error> {
    Ok(ct_slice::measured(stated(path, frame, Reading::default())?.hu))
}

fn stated(path: &Path, frame: Option<u32>, reading: Reading) -> Result<Stated, Error> {
    let opened = Opened::open(path)?;
    if frame.is_none() && opened.frames() > 1 {
        let message = format!("holds {} frames, expected one slice", opened.frames());
        return Err(Error::File { path: path.to_owned(), message });
    }
    opened.frame(frame.unwrap_or(0), reading)
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

    /// Decodes frame `index`, from 0, to (rows, columns) as stored. Without any rescale stored values count as HU. A padding value that
    /// real pixels have, too, is a value like any other here.
    ///
    /// # Errors
    /// There is no such frame, or its pixels are truncated or corrupt, coded in a way that is not supported, or do not fill
    /// the image; or its rescale is missing or unusable, and its series has none for it.
    pub fn frame(&self, index: u32, reading: Reading) -> Result<Stated, Error> {
        let failed = |message: String| Error::File { path: self.path.clone(), message };
        let data = &self.file.data;
        let rescale = Rescale::of(Groups::new(data, Some(index)));
        if rescale.whole().is_none() && !data.items(tags::MODALITY_LUT_SEQUENCE).is_empty() {
            let message = "its values become HU by a Modality LUT Sequence, which is not read; convert it to CT with RescaleSlope and \
                           RescaleIntercept";
            return Err(failed(message.to_owned()));
        }
        let [slope, intercept] = rescale.completed(reading.rescale).map_err(failed)?;
        let pixels = Pixels::read(&self.path, &self.file, index)?;
        let padding = self.padding(&pixels, [slope, intercept]);
        let hu = |stored: &i32| match padding.as_ref().is_some_and(|padding| padding.contains(stored)) {
            true => f32::NAN,
            false => (slope * f64::from(*stored) + intercept + reading.offset_hu) as f32,
        };
        let values: Vec<f32> = pixels.values.iter().map(hu).collect();
        let hu = Array2::from_shape_vec((pixels.rows, pixels.columns), values);
        Ok(Stated { hu: hu.map_err(|error| failed(error.to_string()))?, remark: pixels.remark })
    }

    /// The stored values that the file declares as padding, unless tissue has them, too.
    fn padding(&self, pixels: &Pixels, [slope, intercept]: [f64; 2]) -> Option<RangeInclusive<i32>> {
        let attribute = |tag| self.file.data.short(tag).map(|word| pixels.attribute(word));
        let first = attribute(tags::PIXEL_PADDING_VALUE)?;
        let last = attribute(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
        let (low, high) = (first.min(last), first.max(last));
        let ends = [low, high].map(|stored| slope * f64::from(stored) + intercept);
        let (least, most) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let is_real = least <= *REAL_HU.end() && most >= *REAL_HU.start();
        (!is_real).then_some(low..=high)
    }
}

/// The slices of a series: each from a file of its own, or all from one, which is then read once.
pub struct Slices {
    shared: Option<Box<Opened>>,
    reading: Reading,
}

impl Slices {
    /// Opens the series whose slices lie in these files.
    ///
    /// # Errors
    /// As [`Opened::open`], of a file that all slices share.
    pub fn open<'a>(files: impl IntoIterator<Item = &'a Path>, reading: Reading) -> Result<Self, Error> {
        let mut files = files.into_iter();
        let first = files.next();
        let mut rest = files.peekable();
        let several = rest.peek().is_some();
        let shared = first.filter(|first| several && rest.all(|file| file == *first)).map(Opened::open).transpose()?;
        Ok(Self { shared: shared.map(Box::new), reading })
    }

    /// A slice as its file states it.
    ///
    /// # Errors
    /// As [`Opened::open`] and [`Opened::frame`], or the file has several frames and none is named.
    pub fn read(&self, path: &Path, frame: Option<u32>) -> Result<Stated, Error> {
        match (&self.shared, frame) {
            (Some(opened), Some(frame)) => opened.frame(frame, self.reading),
            _ => stated(path, frame, self.reading),
        }
    }
}
