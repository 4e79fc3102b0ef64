//! One DICOM file, read by dicom-rs after [`guard`] has held its lengths against its size.

use std::cell::Cell;
use std::fs::File as Disk;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use contract::cli::chain;
use dicom_core::Tag;
use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_encoding::adapters::PixelDataObject;
use dicom_object::file::ReadPreamble;
use dicom_object::{DefaultDicomObject, OpenFileOptions};

use super::guard::{self, Checked};
use super::start;
use super::unknown::Patched;
use super::values::Values;
use crate::contain;
use crate::error::Error;

/// A DICOM file. It can be used from several threads.
pub struct File {
    /// The data set and the file meta information.
    pub data: DefaultDicomObject,
}

/// The first bytes of a file that is not DICOM; `None` for a DICOM file, with the mark `DICM` or without.
///
/// # Errors
/// The file cannot be read.
pub fn start_if_foreign(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let disk = Disk::open(path)?;
    let size = disk.metadata()?.len();
    let mut bytes = Vec::new();
    disk.take(start::LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(start::find(&bytes, size).is_none().then_some(bytes))
}

/// True for a DICOM file: after 128 bytes it has the mark `DICM` (PS3.10 section 7.1), or it begins with the elements of a data set.
///
/// # Errors
/// The file cannot be read.
pub fn is_dicom(path: &Path) -> std::io::Result<bool> {
    Ok(start_if_foreign(path)?.is_none())
}

impl File {
    /// Reads the elements of a file up to its pixels.
    ///
    /// # Errors
    /// The file is truncated or corrupt, or its transfer syntax is unknown.
    pub fn header(path: &Path) -> Result<Self, Error> {
        Self::open(path, Some(tags::PIXEL_DATA))
    }

    /// Reads a file to its end.
    ///
    /// # Errors
    /// As [`Self::header`].
    pub fn whole(path: &Path) -> Result<Self, Error> {
        Self::open(path, None)
    }

    fn open(path: &Path, until: Option<Tag>) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let disk = Disk::open(path).map_err(unreadable)?;
        let size = disk.metadata().map_err(unreadable)?.len();
        let data = contain::panics(|| read(disk, size, until)).map_err(|message| Error::File {
            path: path.to_owned(),
            message: format!("truncated or corrupt DICOM file: {message}"),
        })?;
        Ok(Self { data })
    }

    /// Frames of the image; 1 if the file does not say.
    pub fn frames(&self) -> u32 {
        let stated = self.data.integer(tags::NUMBER_OF_FRAMES).and_then(|frames| u32::try_from(frames).ok());
        stated.filter(|frames| *frames > 0).unwrap_or(1)
    }

    /// The coded bytes of frame `index` (from 0), of `length` bytes if they are not compressed, and whether the file has them
    /// in fragments.
    ///
    /// # Errors
    /// The file has no pixels, or too few, or does not say which fragments the frame has.
    pub fn coded(&self, index: u32, length: usize) -> Result<(Vec<u8>, bool), String> {
        let frames = self.frames();
        if index >= frames {
            return Err(format!("frame {index} was asked for (from 0), the file has {frames}"));
        }
        let pixels = self.data.get(tags::PIXEL_DATA).ok_or("no pixel data; the file is truncated or corrupt")?;
        match pixels.value() {
            Value::PixelSequence(all) => {
                let (found, offsets) = (all.fragments().len(), all.offset_table().len());
                if frames > 1 && ![found, offsets].contains(&(frames as usize)) {
                    return Err(format!(
                        "{found} fragments for {frames} frames and no offset table that tells them apart"
                    ));
                }
                let coded = self.data.frame_pixel_data(index).ok_or("no fragments of the frame")?;
                Ok((coded.into_owned(), true))
            }
            Value::Primitive(all) => {
                let all = all.to_bytes();
                let start = (index as usize).saturating_mul(length);
                let end = start.saturating_add(length);
                let coded = all.get(start..end).ok_or_else(|| {
                    format!("expected {end} bytes of pixels, found {}; the file is truncated or corrupt", all.len())
                })?;
                Ok((coded.to_vec(), false))
            }
            Value::Sequence(_) => Err("the pixel data is a sequence of items; the file is corrupt".to_owned()),
        }
    }
}

fn read(disk: Disk, size: u64, until: Option<Tag>) -> Result<DefaultDicomObject, String> {
    let mut source = BufReader::new(disk);
    let Checked { meta, lengths } = guard::check(&mut source, size, until)?;
    let seen = Cell::default();
    let source = Patched { source, lengths: &lengths, seen: &seen };
    let options = OpenFileOptions::new().read_preamble(ReadPreamble::Never);
    let options = until.into_iter().fold(options, OpenFileOptions::read_until);
    options.from_reader(Cursor::new(meta).chain(source)).map_err(|error| chain(&error))
}
