//! The stored values of one frame, in every transfer syntax that is supported (PS3.5 section 8 and annex A).
//!
//! dicom-rs decodes, but for JPEG-LS, which it has only through a C++ library. Before it takes memory, the size that a stream
//! states is held against that of the file.

use std::path::Path;

use contract::cli::chain;
use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, FileDicomObject};
use dicom_pixeldata::PixelDecoder;
use jpeg_decoder::{Decoder, PixelFormat};

use super::bits::Bits;
use super::file::File;
use super::guard::unsupported;
use super::jpeg_ls;
use super::start::EXPLICIT_VR_BIG_ENDIAN;
use super::values::Values;
use crate::contain;
use crate::error::Error;

/// Images of up to 2048 x 2048 pixels are decoded whatever their compressed size, larger ones if there is a byte for this many.
const PIXELS: (usize, usize) = (1 << 22, 256);

/// Tiles of a JPEG 2000 image, for each of which the decoder keeps tables.
const MOST_TILES: u64 = 1024;

/// The decoded pixels of a frame.
pub struct Pixels {
    /// Rows of the image.
    pub rows: usize,
    /// Columns of the image.
    pub columns: usize,
    /// Stored values, row by row.
    pub values: Vec<i32>,
    /// What is remarkable of the values, such as [`super::bits::ABOVE_BITS_STORED`].
    pub remark: Option<&'static str>,
    /// Pixels are signed.
    signed: bool,
}

impl Pixels {
    /// Decodes frame `index` of a file, from 0.
    ///
    /// # Errors
    /// The pixels are truncated or corrupt, not those of CT, or coded in a way that is not supported.
    pub fn read(path: &Path, file: &File, index: u32) -> Result<Self, Error> {
        Self::decode(file, index).map_err(|message| Error::File {
            path: path.to_owned(),
            message: format!("pixels cannot be decoded: {message}"),
        })
    }

    fn decode(file: &File, index: u32) -> Result<Self, String> {
        let mut layout = Layout::of(file)?;
        let Layout { rows, columns, signed, .. } = layout;
        let (coded, in_fragments) = file.coded(index, layout.pixels() * layout.bytes)?;
        let most = PIXELS.0.max(coded.len().saturating_mul(PIXELS.1));
        if layout.pixels() > most {
            let found = coded.len();
            return Err(format!("{rows} x {columns} pixels in {found} bytes; the file is truncated or corrupt"));
        }
        let words = contain::panics(|| words(file, coded, in_fragments, &mut layout))?;
        if words.len() != layout.pixels() {
            return Err(format!("expected {rows} x {columns} pixels, found {}", words.len()));
        }
        let bits = Bits::of(&file.data, 8 * layout.bytes as u16, layout.bits);
        let (values, remark) = bits.values(&words)?;
        Ok(Self { rows, columns, values, remark, signed })
    }

    /// A stored value that is an attribute's, not a pixel's: all its 16 bits count.
    pub fn attribute(&self, word: u16) -> i32 {
        if self.signed { i32::from(word.cast_signed()) } else { i32::from(word) }
    }
}

/// The pixel attributes of an image (PS3.3 C.7.6.3).
#[derive(Debug, Clone, Copy)]
struct Layout {
    rows: usize,
    columns: usize,
    /// Bytes of a stored value, 1 or 2.
    bytes: usize,
    /// Bits of it that count, from the lowest.
    bits: u16,
    signed: bool,
}

impl Layout {
    fn of(file: &File) -> Result<Self, String> {
        let number = |tag, name: &str| file.data.short(tag).ok_or_else(|| format!("{name} is missing"));
        let rows = usize::from(number(tags::ROWS, "Rows")?);
        let columns = usize::from(number(tags::COLUMNS, "Columns")?);
        let allocated = number(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let bits = file.data.short(tags::BITS_STORED).unwrap_or(allocated);
        let samples = file.data.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if rows * columns == 0 || ![8, 16].contains(&allocated) || !(1..=allocated).contains(&bits) || samples != 1 {
            return Err(format!(
                "expected grey pixels of 8 or 16 bits, found {rows} x {columns} x {samples} of {bits} in {allocated} bits; \
                 convert it to CT of 16 bits, or to NIfTI (.nii.gz)"
            ));
        }
        let signed = file.data.short(tags::PIXEL_REPRESENTATION) == Some(1);
        Ok(Self { rows, columns, bytes: usize::from(allocated / 8), bits, signed })
    }

    fn pixels(&self) -> usize {
        self.rows * self.columns
    }
}

fn words(file: &File, coded: Vec<u8>, in_fragments: bool, layout: &mut Layout) -> Result<Vec<u16>, String> {
    match file.data.meta().transfer_syntax() {
        uids::IMPLICIT_VR_LITTLE_ENDIAN | uids::EXPLICIT_VR_LITTLE_ENDIAN | EXPLICIT_VR_BIG_ENDIAN if in_fragments => {
            let message = "its pixels are compressed, but its transfer syntax is that of uncompressed ones or missing; export it again \
                           with the file meta information, or convert it to an uncompressed one";
            return Err(message.to_owned());
        }
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN
        | EXPLICIT_VR_BIG_ENDIAN => {}
        uids::RLE_LOSSLESS => check_rle(&coded, layout)?,
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
            let bytes = jpeg_bytes(&coded, layout)?;
            let alone = alone(file, coded, in_fragments, layout);
            let decoded = alone.decode_pixel_data_frame(0).map_err(|error| chain(&error))?;
            // dicom-rs puts samples of 8 bits, bare, at the start of a frame of 16.
            let data = decoded.data().get(..layout.pixels() * bytes).unwrap_or_default();
            return Ok(to_words(data, bytes));
        }
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => {
            return jpeg_ls::decode(&coded, layout.rows, layout.columns);
        }
        // Some writers say 16 bits where the stream has fewer; the sign is at the stream's.
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => layout.bits = layout.bits.min(check_jpeg_2000(&coded, layout)?),
        other => return Err(unsupported(other)),
    }
    let alone = alone(file, coded, in_fragments, layout);
    let decoded = alone.decode_pixel_data_frame(0).map_err(|error| chain(&error))?;
    Ok(to_words(decoded.data(), layout.bytes))
}

fn to_words(data: &[u8], bytes: usize) -> Vec<u16> {
    match bytes {
        1 => data.iter().map(|byte| u16::from(*byte)).collect(),
        _ => data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
    }
}

/// The frame as a file of its own. dicom-rs copies all fragments of a file for each frame; it also wants attributes that some
/// writers leave out (HighBit) or that do not matter here (windows), and refuses files over them.
fn alone(file: &File, coded: Vec<u8>, in_fragments: bool, layout: &Layout) -> DefaultDicomObject {
    let mut object = FileDicomObject::new_empty_with_meta(file.data.meta().clone());
    for (tag, number) in [
        (tags::ROWS, layout.rows as u16),
        (tags::COLUMNS, layout.columns as u16),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 8 * layout.bytes as u16),
        (tags::BITS_STORED, layout.bits),
        (tags::HIGH_BIT, layout.bits - 1),
        (tags::PIXEL_REPRESENTATION, u16::from(layout.signed)),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(number)));
    }
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("MONOCHROME2")));
    object.put(match in_fragments {
        true => DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new_fragments(vec![coded])),
        false => DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(coded)),
    });
    object
}

/// Holds the segments of an RLE frame against those that it must have (PS3.5 annex G): one for each byte of a value, each of a
/// byte for each pixel. dicom-rs takes memory for as many segments, and as long ones, as the frame states.
fn check_rle(coded: &[u8], layout: &Layout) -> Result<(), String> {
    let number = |index: usize| {
        let bytes = coded.get(4 * index..4 * index + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let segments = number(0).unwrap_or(0);
    if segments != layout.bytes {
        return Err(format!("expected {} RLE segments, found {segments}", layout.bytes));
    }
    for segment in 1..=segments {
        let end = if segment < segments { number(segment + 1) } else { Some(coded.len()) };
        let bytes = number(segment).zip(end).and_then(|(start, end)| coded.get(start..end));
        let length = unpacked(bytes.ok_or("RLE segments out of order")?);
        if !(layout.pixels()..=2 * layout.pixels() + 256).contains(&length) {
            return Err(format!("expected an RLE segment of {} pixels, found {length}", layout.pixels()));
        }
    }
    Ok(())
}

/// Bytes that a PackBits segment stands for (PS3.5 G.3.1).
fn unpacked(segment: &[u8]) -> usize {
    let (mut at, mut length) = (0, 0);
    while let Some(control) = segment.get(at).map(|control| usize::from(*control)) {
        let (read, stands_for) = match control {
            0..=127 => (control + 2, control + 1),
            128 => (1, 0),
            _ => (2, 257 - control),
        };
        at += read;
        length += stands_for;
    }
    length
}

/// Holds the size that a JPEG states against the file's. Returns the bytes of a sample.
fn jpeg_bytes(coded: &[u8], layout: &Layout) -> Result<usize, String> {
    let mut decoder = Decoder::new(coded);
    decoder.read_info().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("no frame header")?;
    let size = (usize::from(info.height), usize::from(info.width));
    if size != (layout.rows, layout.columns) {
        return Err(format!(
            "the JPEG has {} x {} pixels, the file says {} x {}",
            size.0, size.1, layout.rows, layout.columns
        ));
    }
    match info.pixel_format {
        PixelFormat::L8 => Ok(1),
        PixelFormat::L16 if layout.bytes == 2 => Ok(2),
        other => Err(format!("expected grey pixels of {} bytes, found {other:?}", layout.bytes)),
    }
}

/// Holds the size that a JPEG 2000 stream states against the file's (ISO/IEC 15444-1 A.5.1). Returns the bits of a sample.
fn check_jpeg_2000(coded: &[u8], layout: &Layout) -> Result<u16, String> {
    let mut starts = (0..coded.len()).filter(|start| coded[*start..].starts_with(&[0xFF, 0x4F, 0xFF, 0x51]));
    let (Some(start), None) = (starts.next(), starts.next()) else {
        return Err("expected one JPEG 2000 stream".to_owned());
    };
    // After SOC, the marker, its length and capabilities: eight numbers of 32 bits, then the components of 16, then of each
    // component its precision and its steps.
    let number = |index: usize| {
        let bytes = coded.get(start + 8 + 4 * index..start + 12 + 4 * index)?;
        Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    let sizes: Option<Vec<u64>> = (0..8).map(number).collect();
    let (Some(sizes), Some(component)) = (sizes, coded.get(start + 40..start + 45)) else {
        return Err("the stream ends in its header".to_owned());
    };
    let [width, height, left, top, tile_width, tile_height, ..] = sizes[..] else { return Err("no size".to_owned()) };
    let (width, height) = (width.saturating_sub(left), height.saturating_sub(top));
    let [0, 1, precision, 1, 1] = component else {
        return Err(format!("expected one component of each pixel, found {component:?}"));
    };
    if (height, width) != (layout.rows as u64, layout.columns as u64) {
        return Err(format!("expected {} x {} pixels, found {height} x {width}", layout.rows, layout.columns));
    }
    let tiles = width.div_ceil(tile_width.max(1)).saturating_mul(height.div_ceil(tile_height.max(1)));
    if tiles > MOST_TILES {
        return Err(format!("{tiles} tiles, expected {MOST_TILES} at most"));
    }
    Ok(u16::from(precision & 0x7F) + 1)
}
