//! One DICOM file: its elements up to the pixels, and the bytes of one frame.
//!
//! Sources: PS3.10 section 7.1 (preamble and file meta information), PS3.5 annex A (transfer syntaxes) and A.4 (fragments).

use std::fs::File as Disk;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::elements::{DataSet, Encoding, Head, Reader};
use crate::error::Error;

/// A transfer syntax that is retired but still found.
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// What a deflated file may inflate to: this many bytes, and so many for each of its own.
const INFLATED: (u64, u64) = (16 << 20, 64);

/// A source of bytes that can be positioned: a file, or what was inflated from one.
trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// Where the pixels are.
struct Pixels {
    reader: Reader<Box<dyn Bytes>>,
    /// Bytes of the pixels; `None` if they are in fragments.
    length: Option<u64>,
}

/// A DICOM file that was read up to its pixels.
pub struct File {
    /// Transfer syntax UID.
    pub syntax: String,
    /// SOP class of the file meta information.
    pub sop_class: String,
    /// The data set.
    pub data: DataSet,
    charset: SpecificCharacterSet,
    pixels: Option<Pixels>,
}

/// True if the file starts as DICOM files do: 128 bytes, then `DICM` (PS3.10 section 7.1).
///
/// # Errors
/// The file cannot be read.
pub fn is_dicom(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::with_capacity(132);
    Disk::open(path)?.take(132).read_to_end(&mut start)?;
    Ok(start.get(128..132) == Some(b"DICM"))
}

impl File {
    /// Reads the elements of a file up to its pixels.
    ///
    /// # Errors
    /// The file is truncated or corrupt, or its transfer syntax is unknown.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let disk = Disk::open(path).map_err(unreadable)?;
        let size = disk.metadata().map_err(unreadable)?.len();
        Self::read(disk, size).map_err(|message| Error::File {
            path: path.to_owned(),
            message: format!("truncated or corrupt DICOM file: {message}"),
        })
    }

    fn read(disk: Disk, size: u64) -> Result<Self, String> {
        let plain = Encoding { explicit: true, big_endian: false };
        let mut start = Reader::new(BufReader::new(disk), 128, size, plain)?;
        if start.bytes(4)? != b"DICM" {
            return Err("no DICM mark after 128 bytes".to_owned());
        }
        let meta = start.group(0x0002)?;
        let syntax = meta.text(tags::TRANSFER_SYNTAX_UID).ok_or("no transfer syntax in its meta information")?;
        let at = start.position();
        let mut source = start.into_source();
        let encoding = match syntax.as_str() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding { explicit: false, big_endian: false },
            EXPLICIT_VR_BIG_ENDIAN => Encoding { explicit: true, big_endian: true },
            _ => plain,
        };
        let mut reader = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
            let inflated = inflate(&mut source, size)?;
            let length = inflated.len() as u64;
            Reader::new(Box::new(Cursor::new(inflated)) as Box<dyn Bytes>, 0, length, encoding)?
        } else {
            Reader::new(Box::new(source) as Box<dyn Bytes>, at, size, encoding)?
        };
        let (data, head) = reader.data_set(tags::PIXEL_DATA)?;
        let charset = data.text(tags::SPECIFIC_CHARACTER_SET).and_then(|names| {
            let first = names.split('\\').map(str::trim).find(|name| !name.is_empty())?.to_owned();
            SpecificCharacterSet::from_code(&first)
        });
        let pixels = head.map(|Head { length, .. }| Pixels { reader, length });
        let sop_class = meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID).or_else(|| data.text(tags::SOP_CLASS_UID));
        let (charset, sop_class) = (charset.unwrap_or_default(), sop_class.unwrap_or_default());
        Ok(Self { syntax, sop_class, data, charset, pixels })
    }

    /// Text of the file's character set, trimmed; `None` if it is absent or empty.
    pub fn text(&self, data: &DataSet, tag: Tag) -> Option<String> {
        let bytes = data.bytes(tag)?;
        let text = self.charset.decode(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned());
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Frames of the image; 1 if the file does not say.
    pub fn frames(&self) -> u32 {
        let stated = self.data.integer(tags::NUMBER_OF_FRAMES).and_then(|frames| u32::try_from(frames).ok());
        stated.filter(|frames| *frames > 0).unwrap_or(1)
    }

    /// The coded bytes of frame `index` (from 0), of `length` bytes if they are not compressed. Only these are read.
    ///
    /// # Errors
    /// The file has no pixels, or too few, or does not say which fragments the frame has.
    pub fn frame(&mut self, index: u32, length: u64) -> Result<Vec<u8>, String> {
        let frames = self.frames();
        if index >= frames {
            return Err(format!("frame {index} was asked for (from 0), the file has {frames}"));
        }
        let table = self.data.bytes(tags::EXTENDED_OFFSET_TABLE).map(<[u8]>::to_vec);
        let pixels = self.pixels.as_mut().ok_or("no pixel data; the file is truncated or corrupt")?;
        let Some(all) = pixels.length else {
            return fragments_of_frame(&mut pixels.reader, index, frames, table.as_deref());
        };
        let start = u64::from(index).checked_mul(length).ok_or("more pixels than a file can hold")?;
        if all < start.saturating_add(length) {
            let needed = start.saturating_add(length);
            return Err(format!("expected {needed} bytes of pixels, found {all}; the file is truncated or corrupt"));
        }
        pixels.reader.fits(all)?;
        pixels.reader.skip(start)?;
        pixels.reader.bytes(length)
    }
}

/// The rest of a deflated file.
fn inflate(source: &mut impl Read, size: u64) -> Result<Vec<u8>, String> {
    let most = INFLATED.0.saturating_add(size.saturating_mul(INFLATED.1));
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(source)
        .take(most + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| format!("the deflated part cannot be read: {error}"))?;
    if inflated.len() as u64 > most {
        return Err(format!("it inflates to more than {most} bytes, {} for each of its own", INFLATED.1));
    }
    Ok(inflated)
}

/// The fragments of a frame, one after the other (PS3.5 annex A.4: a fragment has one frame's data only).
fn fragments_of_frame(
    reader: &mut Reader<Box<dyn Bytes>>,
    index: u32,
    frames: u32,
    extended: Option<&[u8]>,
) -> Result<Vec<u8>, String> {
    let (_, length) = reader.fragment()?.ok_or("no offset table before the pixel data")?;
    let basic = reader.bytes(length)?;
    let base = reader.position();
    let mut fragments = Vec::new();
    let mut all = Vec::new();
    // Offsets count from the first fragment's head, which has eight bytes.
    while let Some((start, length)) = reader.fragment()? {
        fragments.push((start - 8 - base, length));
        if frames == 1 {
            all.extend(reader.bytes(length)?);
        } else {
            reader.skip(length)?;
        }
    }
    if frames == 1 {
        return Ok(all);
    }
    let offsets: Vec<u64> = match extended {
        Some(table) => {
            table.chunks_exact(8).filter_map(|part| Some(u64::from_le_bytes(part.try_into().ok()?))).collect()
        }
        None => basic
            .chunks_exact(4)
            .filter_map(|part| Some(u64::from(u32::from_le_bytes(part.try_into().ok()?))))
            .collect(),
    };
    let frame = index as usize;
    let (first, end) = if fragments.len() == frames as usize {
        (frame, frame + 1)
    } else if offsets.len() == frames as usize {
        let fragment_at = |offset: u64| fragments.iter().position(|(start, _)| *start == offset);
        let first = fragment_at(offsets[frame]).ok_or("the offset table points between two fragments")?;
        (
            first,
            offsets.get(frame + 1).map_or(Some(fragments.len()), |offset| fragment_at(*offset)).unwrap_or(first + 1),
        )
    } else {
        let found = fragments.len();
        return Err(format!("{found} fragments for {frames} frames and no offset table that tells them apart"));
    };
    let mut bytes = Vec::new();
    for (start, length) in fragments.get(first..end).unwrap_or_default() {
        reader.seek(base + start + 8)?;
        bytes.extend(reader.bytes(*length)?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encapsulated pixel data of these fragments, with a basic offset table.
    fn frame(index: u32, frames: u32, table: &[u32], fragments: &[&[u8]]) -> Result<Vec<u8>, String> {
        let item = |value: &[u8]| [&[0xFE, 0xFF, 0, 0xE0], &(value.len() as u32).to_le_bytes()[..], value].concat();
        let table: Vec<u8> = table.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let mut bytes = item(&table);
        fragments.iter().for_each(|fragment| bytes.extend(item(fragment)));
        bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        let length = bytes.len() as u64;
        let encoding = Encoding { explicit: true, big_endian: false };
        let mut reader = Reader::new(Box::new(Cursor::new(bytes)) as Box<dyn Bytes>, 0, length, encoding)?;
        fragments_of_frame(&mut reader, index, frames, None)
    }

    #[test]
    fn a_frame_has_its_own_fragments() {
        let fragments: [&[u8]; 3] = [b"aa", b"bbbb", b"cc"];
        assert_eq!(frame(0, 1, &[], &fragments), Ok(b"aabbbbcc".to_vec()));
        assert_eq!(frame(1, 3, &[], &fragments), Ok(b"bbbb".to_vec()));
        // By hand (PS3.5 table A.4-2): the second frame starts 10 bytes after the first fragment's head.
        assert_eq!(frame(0, 2, &[0, 10], &fragments), Ok(b"aa".to_vec()));
        assert_eq!(frame(1, 2, &[0, 10], &fragments), Ok(b"bbbbcc".to_vec()));
        assert!(frame(1, 2, &[], &fragments).is_err_and(|error| error.contains("no offset table")));
        assert!(frame(1, 2, &[0, 11], &fragments).is_err_and(|error| error.contains("between two fragments")));
    }
}
