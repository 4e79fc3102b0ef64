//! The stored values of one frame, in every transfer syntax that is supported (PS3.5 section 8 and annexes A and G).

use std::io::Cursor;
use std::path::Path;

use dicom_dictionary_std::{tags, uids};
use jpeg_decoder::{Decoder, PixelFormat};

use super::file::{EXPLICIT_VR_BIG_ENDIAN, File};
use super::jpeg_ls;
use crate::contain;
use crate::error::Error;

/// Tiles of a JPEG 2000 image, for each of which the decoder keeps tables.
const MOST_TILES: u64 = 1024;

/// The pixel attributes of an image (PS3.3 C.7.6.3).
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Rows of the image.
    pub rows: usize,
    /// Columns of the image.
    pub columns: usize,
    /// Bytes of a stored value, 1 or 2.
    bytes: usize,
    /// Bits of it that count, from the lowest.
    bits: u32,
    signed: bool,
}

impl Layout {
    /// The layout that a file states.
    ///
    /// # Errors
    /// It is missing, or none of CT.
    pub fn of(file: &File) -> Result<Self, String> {
        let number = |tag, name: &str| file.data.short(tag).ok_or_else(|| format!("{name} is missing"));
        let rows = usize::from(number(tags::ROWS, "Rows")?);
        let columns = usize::from(number(tags::COLUMNS, "Columns")?);
        let allocated = number(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let bits = file.data.short(tags::BITS_STORED).unwrap_or(allocated);
        let samples = file.data.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if rows * columns == 0 || ![8, 16].contains(&allocated) || !(1..=allocated).contains(&bits) || samples != 1 {
            return Err(format!(
                "expected grey pixels of 8 or 16 bits, found {rows} x {columns} x {samples} of {bits} in {allocated} bits"
            ));
        }
        let signed = file.data.short(tags::PIXEL_REPRESENTATION) == Some(1);
        Ok(Self { rows, columns, bytes: usize::from(allocated / 8), bits: u32::from(bits), signed })
    }

    fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// A stored word as the number it stands for.
    pub fn value(&self, word: u16) -> i32 {
        let unused = u32::BITS - self.bits;
        let raised = u32::from(word) << unused;
        if self.signed { raised.cast_signed() >> unused } else { (raised >> unused).cast_signed() }
    }

    /// A word that is an attribute's value, not a pixel's: all its 16 bits count.
    pub fn attribute(&self, word: u16) -> i32 {
        if self.signed { i32::from(word.cast_signed()) } else { i32::from(word) }
    }
}

/// Reads and decodes frame `index` of a file, from 0. The bytes of other frames are not read.
///
/// # Errors
/// The pixels are truncated or corrupt, not those of CT, or coded in a way that is not supported.
pub fn read(path: &Path, file: &mut File, index: u32) -> Result<(Layout, Vec<u16>), Error> {
    let failed = |message: String| Error::File {
        path: path.to_owned(),
        message: format!("pixels cannot be decoded: {message}"),
    };
    let mut layout = Layout::of(file).map_err(failed)?;
    let syntax = file.syntax.clone();
    let coded = file.frame(index, (layout.pixels() * layout.bytes) as u64).map_err(failed)?;
    contain::pixels(layout.rows, layout.columns, coded.len()).map_err(failed)?;
    let words = contain::panics(|| decode(&syntax, &coded, &mut layout)).map_err(failed)?;
    if words.len() != layout.pixels() {
        let (rows, columns, found) = (layout.rows, layout.columns, words.len());
        return Err(failed(format!("expected {rows} x {columns} pixels, found {found}")));
    }
    Ok((layout, words))
}

fn decode(syntax: &str, coded: &[u8], layout: &mut Layout) -> Result<Vec<u16>, String> {
    match syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN => Ok(words(coded, layout, u16::from_le_bytes)),
        EXPLICIT_VR_BIG_ENDIAN => Ok(words(coded, layout, u16::from_be_bytes)),
        uids::RLE_LOSSLESS => rle(coded, layout),
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
            jpeg(coded, layout)
        }
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => jpeg_ls::decode(coded, layout.rows, layout.columns),
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => jpeg_2000(coded, layout),
        other => Err(format!("transfer syntax {other} is not supported; convert the file to an uncompressed one")),
    }
}

fn words(coded: &[u8], layout: &Layout, word: fn([u8; 2]) -> u16) -> Vec<u16> {
    match layout.bytes {
        1 => coded.iter().take(layout.pixels()).map(|byte| u16::from(*byte)).collect(),
        _ => coded.chunks_exact(2).take(layout.pixels()).map(|pair| word([pair[0], pair[1]])).collect(),
    }
}

/// RLE (PS3.5 annex G): a segment for each byte of a value, the high one first.
fn rle(coded: &[u8], layout: &Layout) -> Result<Vec<u16>, String> {
    let number = |index: usize| {
        let bytes = coded.get(4 * index..4 * index + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    if number(0) != Some(layout.bytes) {
        return Err(format!("expected {} RLE segments, found {:?}", layout.bytes, number(0).unwrap_or(0)));
    }
    let mut words = vec![0_u16; layout.pixels()];
    for segment in 0..layout.bytes {
        let start = number(1 + segment).filter(|start| *start >= 64);
        let end = if segment + 1 < layout.bytes { number(2 + segment) } else { Some(coded.len()) };
        let bytes = start.zip(end).and_then(|(start, end)| coded.get(start..end)).ok_or("RLE segments out of order")?;
        unpack(bytes, &mut words)?;
    }
    Ok(words)
}

/// Shifts the bytes of a PackBits segment (PS3.5 G.3.1) into the words from below.
fn unpack(mut coded: &[u8], words: &mut [u16]) -> Result<(), String> {
    let mut at = 0;
    while at < words.len() {
        let [control, rest @ ..] = coded else { return Err("an RLE segment ends early".to_owned()) };
        let length = match control {
            0..=127 => usize::from(*control) + 1,
            128 => {
                coded = rest;
                continue;
            }
            129..=255 => 257 - usize::from(*control),
        };
        let used = if *control < 128 { length } else { 1 };
        let bytes = rest.get(..used).ok_or("an RLE segment ends early")?;
        let end = (at + length).min(words.len());
        for (word, byte) in words[at..end].iter_mut().zip(bytes.iter().cycle()) {
            *word = *word << 8 | u16::from(*byte);
        }
        (at, coded) = (end, &rest[used..]);
    }
    Ok(())
}

/// JPEG baseline, and lossless of processes 14 (PS3.5 A.4.1).
fn jpeg(coded: &[u8], layout: &Layout) -> Result<Vec<u16>, String> {
    let mut decoder = Decoder::new(Cursor::new(coded));
    decoder.read_info().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("no frame header")?;
    let size = (usize::from(info.height), usize::from(info.width));
    if size != (layout.rows, layout.columns) {
        return Err(format!(
            "the JPEG has {} x {} pixels, the file says {} x {}",
            size.0, size.1, layout.rows, layout.columns
        ));
    }
    let grey = match info.pixel_format {
        PixelFormat::L8 => false,
        PixelFormat::L16 => true,
        other => return Err(format!("expected grey pixels, found {other:?}")),
    };
    let bytes = decoder.decode().map_err(|error| error.to_string())?;
    Ok(match grey {
        true => bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect(),
        false => bytes.into_iter().map(u16::from).collect(),
    })
}

/// JPEG 2000 (PS3.5 A.4.4).
fn jpeg_2000(coded: &[u8], layout: &mut Layout) -> Result<Vec<u16>, String> {
    check_size(coded, layout)?;
    let image = jpeg2k::Image::from_bytes(coded).map_err(|error| error.to_string())?;
    let [component] = image.components() else {
        return Err(format!("expected one component, found {}", image.components().len()));
    };
    if (component.height() as usize, component.width() as usize) != (layout.rows, layout.columns) {
        return Err(format!("a component of {} x {} pixels", component.height(), component.width()));
    }
    // Some writers say 16 bits where the stream has fewer; the sign is at the stream's.
    layout.bits = layout.bits.min(component.precision().max(1));
    Ok(component.data().iter().map(|value| *value as u16).collect())
}

/// Holds the size that the stream states against the file's, before memory is taken for it (ISO/IEC 15444-1 A.5.1).
fn check_size(coded: &[u8], layout: &Layout) -> Result<(), String> {
    let start = coded.windows(4).position(|bytes| bytes == [0xFF, 0x4F, 0xFF, 0x51]).ok_or("no JPEG 2000 stream")?;
    // After SOC, the marker, its length and capabilities: eight numbers of 32 bits, then the components of 16.
    let number = |index: usize| {
        let bytes = coded.get(start + 8 + 4 * index..start + 12 + 4 * index)?;
        Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    let sizes: Option<Vec<u64>> = (0..8).map(number).collect();
    let sizes = sizes.ok_or("the stream ends in its header")?;
    let components = coded.get(start + 40..start + 42).ok_or("the stream ends in its header")?;
    let [width, height, left, top, tile_width, tile_height, ..] = sizes[..] else { return Err("no size".to_owned()) };
    let (width, height) = (width.saturating_sub(left), height.saturating_sub(top));
    if (height, width) != (layout.rows as u64, layout.columns as u64) || components != [0, 1] {
        return Err(format!(
            "expected one component of {} x {}, found {height} x {width}",
            layout.rows, layout.columns
        ));
    }
    let tiles = width.div_ceil(tile_width.max(1)).saturating_mul(height.div_ceil(tile_height.max(1)));
    if tiles > MOST_TILES {
        return Err(format!("{tiles} tiles, expected {MOST_TILES} at most"));
    }
    Ok(())
}
