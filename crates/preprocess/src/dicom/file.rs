//! One DICOM file, read by dicom-rs after [`guard`] has held its lengths against its size.

use std::cell::Cell;
use std::fs::File as Disk;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use contract::cli::chain;
use dicom_core::Tag;
use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_dictionary_std::tags;
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
        self.stated_frames().unwrap_or(1)
    }

    /// As [`Self::frames`].
    ///
    /// # Errors
    /// NumberOfFrames is no number.
    pub fn stated_frames(&self) -> Result<u32, String> {
        let Some(text) = self.data.text(tags::NUMBER_OF_FRAMES) else { return Ok(1) };
        let stated = self.data.integer(tags::NUMBER_OF_FRAMES).and_then(|frames| u32::try_from(frames).ok());
        let shown: String = text.chars().take(20).flat_map(char::escape_debug).collect();
        let failed = || format!("NumberOfFrames is \"{shown}\", expected a number; correct the element");
        stated.map(|frames| frames.max(1)).ok_or_else(failed)
    }

    /// The SOP class, by the data set or else by the file meta information; empty if neither says it.
    pub fn class(&self) -> String {
        let of_meta = || self.data.meta().media_storage_sop_class_uid().to_owned();
        self.data.text(tags::SOP_CLASS_UID).unwrap_or_else(of_meta)
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
        let pixels = self.data.get(tags::PIXEL_DATA).ok_or_else(|| self.without_pixels())?;
        match pixels.value() {
            Value::PixelSequence(all) => Ok((of_fragments(all, index as usize, frames as usize)?, true)),
            Value::Primitive(all) => {
                let all = all.to_bytes();
                let start = (index as usize).saturating_mul(length);
                let end = start.saturating_add(length);
                let coded = all.get(start..end).ok_or_else(|| {
                    format!("expected {end} bytes of pixels, found {}; the file is truncated or corrupt", all.len())
                })?;
                let held = all.len() / length.max(1);
                if held > frames as usize {
                    return Err(format!("pixels of {held} frames, NumberOfFrames is {frames}; correct the element"));
                }
                Ok((coded.to_vec(), false))
            }
            Value::Sequence(_) => Err("the pixel data is a sequence of items; the file is corrupt".to_owned()),
        }
    }

    fn without_pixels(&self) -> String {
        match FLOAT_PIXELS.iter().any(|tag| self.data.get(*tag).is_some()) {
            true => {
                "its pixels are floating-point numbers, which are not read; convert it to NIfTI (.nii.gz)".to_owned()
            }
            false => "no pixel data; the file is truncated or corrupt".to_owned(),
        }
    }
}

/// FloatPixelData and DoubleFloatPixelData.
const FLOAT_PIXELS: [Tag; 2] = [Tag(0x7FE0, 0x0008), Tag(0x7FE0, 0x0009)];

/// The fragments of frame `index` of `frames`, put together (PS3.5 section A.4): all of them for a file of one frame, else one a
/// frame, else by the offsets of the frames, which count from the first fragment and with the heads of the fragments.
fn of_fragments(all: &PixelFragmentSequence<Vec<u8>>, index: usize, frames: usize) -> Result<Vec<u8>, String> {
    let (fragments, offsets) = (all.fragments(), all.offset_table());
    if frames == 1 && offsets.len() < 2 {
        return Ok(fragments.concat());
    }
    if frames > 1 && fragments.len() == frames {
        return Ok(fragments[index].clone());
    }
    if offsets.len() != frames {
        return Err(format!(
            "{} fragments and {} offsets for {frames} frames; convert the file to an uncompressed one, for example with \
             `gdcmconv --raw IN OUT`",
            fragments.len(),
            offsets.len()
        ));
    }
    let start = u64::from(offsets[index]);
    let end = offsets.get(index + 1).map_or(u64::MAX, |offset| u64::from(*offset));
    let (mut at, mut coded) = (0_u64, Vec::new());
    for fragment in fragments {
        if (start..end).contains(&at) {
            coded.extend_from_slice(fragment);
        }
        at += fragment.len() as u64 + ITEM_HEAD;
    }
    if coded.is_empty() {
        Err("no fragments at the offset of the frame; the file is corrupt".to_owned())
    } else {
        Ok(coded)
    }
}

/// Bytes of the head of an item.
const ITEM_HEAD: u64 = 8;

fn read(disk: Disk, size: u64, until: Option<Tag>) -> Result<DefaultDicomObject, String> {
    let mut source = BufReader::new(disk);
    let Checked { meta, lengths, length } = guard::check(&mut source, size, until)?;
    let seen = Cell::default();
    let source = Patched { source: source.take(length), lengths: &lengths, seen: &seen };
    let options = OpenFileOptions::new().read_preamble(ReadPreamble::Never);
    let options = until.into_iter().fold(options, OpenFileOptions::read_until);
    options.from_reader(Cursor::new(meta).chain(source)).map_err(|error| chain(&error))
}
