//! What is held against a file's size before dicom-rs reads it.
//!
//! dicom-rs takes memory for whatever length an element states, and a call deeper for each sequence within a sequence. So the
//! heads are walked first, by dicom-rs' own decoders, hence as it will read them, and values are passed over.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom, Write};

use contract::cli::chain;
use dicom_core::header::{DataElementHeader, HasLength, Length};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::Endianness;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::{Decode, implicit_le::ImplicitVRLittleEndianDecoder};
use dicom_encoding::text::SpecificCharacterSet;
use dicom_encoding::transfer_syntax::{Codec, TransferSyntax, TransferSyntaxIndex};
use dicom_object::FileMetaTable;
use dicom_parser::dataset::{LazyDataToken, lazy_read::LazyDataSetReader};
use dicom_parser::{StatefulDecode, StatefulDecoder};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::bufread::DeflateDecoder;

use super::start;
use super::unknown::{Lengths, Patched, Seen};

/// Sequences within sequences; enhanced CT needs two.
const MOST_LEVELS: usize = 24;

/// Elements and items that a file may have: this many, and one for so many of its bytes. dicom-rs takes up to 1.3 kB for each.
const ELEMENTS: (u64, u64) = (1 << 15, 64);

/// Values of text that a file may have, likewise. dicom-rs takes up to 73 bytes for each, however short.
const VALUES: (u64, u64) = (1 << 19, 4);

/// What a deflated file may inflate to: this many bytes, and so many for each of its own.
const INFLATED: (u64, u64) = (16 << 20, 64);

const ITEM: Tag = Tag(0xFFFE, 0xE000);

/// Elements of the file meta information that are of use.
const META: [Tag; 3] =
    [tags::MEDIA_STORAGE_SOP_CLASS_UID, tags::MEDIA_STORAGE_SOP_INSTANCE_UID, tags::TRANSFER_SYNTAX_UID];

/// Longest UID in bytes that is read; the standard has 64.
const LONGEST_UID: u64 = 1024;

/// Unknown sequences without a length that a file may have.
const MOST_UNKNOWN: usize = 64;

/// What dicom-rs is given in place of the file.
pub struct Checked {
    /// The file meta information, from the DICM mark on, with the length that it has rather than the one that it states.
    pub meta: Vec<u8>,
    /// The lengths of unknown sequences.
    pub lengths: Lengths,
    /// Bytes of the data set that are to be read.
    pub length: u64,
}

/// Walks a file of `size` bytes, up to `until` or to the end. The source then stands at the data set.
///
/// # Errors
/// The file is no DICOM file, is cut off, states lengths that it does not have, or is nested too deep.
pub fn check<S: BufRead + Seek>(source: &mut S, size: u64, until: Option<Tag>) -> Result<Checked, String> {
    let meta = meta(source, size)?;
    let start = source.stream_position().map_err(|error| error.to_string())?;
    let table = FileMetaTable::from_reader(Cursor::new(&meta)).map_err(|error| chain(&error))?;
    let uid = table.transfer_syntax();
    let syntax = TransferSyntaxRegistry.get(uid).ok_or_else(|| unsupported(uid))?;
    let (left, mut lengths) = (size - start, Lengths::new());
    let mut length = u64::MAX;
    let goal = Goal::Tag(until);
    if let Codec::Dataset(_) = syntax.codec() {
        let inflated = inflated_length(&mut *source, left)?;
        rewind(source, start)?;
        // dicom-rs inflates for itself, so no length can be put in.
        walk(DeflateDecoder::new(&mut *source), inflated, syntax, goal, None)?;
    } else {
        while let Some(at) =
            walk(&mut *source, left, syntax, goal, Some(&lengths)).or_else(|stop| stop.after_pixels(&mut length))?
        {
            if lengths.len() == MOST_UNKNOWN {
                return Err(format!("more than {MOST_UNKNOWN} unknown sequences without a length"));
            }
            rewind(source, start + at)?;
            lengths.insert(at - 4, unknown_length(&mut *source, left - at, syntax.endianness()));
            rewind(source, start)?;
        }
    }
    rewind(source, start)?;
    Ok(Checked { meta, lengths, length })
}

fn rewind(source: &mut impl Seek, to: u64) -> Result<(), String> {
    source.seek(SeekFrom::Start(to)).map(|_| ()).map_err(|error| error.to_string())
}

/// The bytes of an unknown sequence, as they are written; `None` if it is not in implicit VR.
fn unknown_length(source: impl Read, left: u64, order: Endianness) -> Option<[u8; 4]> {
    let implicit = TransferSyntaxRegistry.get(uids::IMPLICIT_VR_LITTLE_ENDIAN)?;
    let head = b"\x08\0\x40\x11\xFF\xFF\xFF\xFF";
    let whole = walk(head.chain(source), left + 8, implicit, Goal::Sequence, None).ok()??;
    let length = u32::try_from(whole - 8).ok()?;
    Some(if order == Endianness::Big { length.to_be_bytes() } else { length.to_le_bytes() })
}

/// The error for a transfer syntax that cannot be read.
pub fn unsupported(uid: &str) -> String {
    format!(
        "transfer syntax {uid} is not supported; convert the file to an uncompressed one, for example with `gdcmconv --raw IN OUT`"
    )
}

/// The file meta information (PS3.10 section 7.1), to the first element of another group, with the transfer syntax that the data
/// set is in. The source then stands at the data set.
fn meta<S: BufRead + Seek>(source: &mut S, size: u64) -> Result<Vec<u8>, String> {
    let start = first_bytes(source)?;
    let mut at = start::find(&start, size).ok_or("no DICM mark after 128 bytes, and no DICOM elements at the start")?;
    rewind(source, at)?;
    let implicit = start::is_implicit_meta(&start[usize::try_from(at).unwrap_or(0).min(start.len())..]);
    let mut kept = BTreeMap::new();
    while let Some((head, bytes)) = meta_head(source, implicit) {
        let (value, length) = (at + bytes, u64::from(head.length().0));
        fits(head.tag, length, value, size)?;
        rewind(source, value)?;
        if META.contains(&head.tag) && length <= LONGEST_UID {
            let mut uid = Vec::new();
            source.take(length).read_to_end(&mut uid).map_err(|error| error.to_string())?;
            kept.insert(head.tag, String::from_utf8_lossy(&uid).trim_matches(is_padding).to_owned());
        }
        at = value + length;
        rewind(source, at)?;
    }
    rewind(source, at)?;
    let stated = kept.remove(&tags::TRANSFER_SYNTAX_UID).filter(|uid| !uid.is_empty());
    let data = first_bytes(source)?;
    rewind(source, at)?;
    let syntax = start::syntax(stated.as_deref(), &data, size - at);
    kept.insert(
        tags::TRANSFER_SYNTAX_UID,
        syntax.ok_or("no transfer syntax, and no elements that it could be known by")?,
    );
    Ok(written(&kept))
}

/// What the source begins with from here, up to [`start::LOOKED_AT`] bytes.
fn first_bytes(source: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(start::LOOKED_AT).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The head of an element of the file meta information and its bytes; `None` after the last.
fn meta_head(source: &mut impl Read, implicit: bool) -> Option<(DataElementHeader, u64)> {
    let head = match implicit {
        true => ImplicitVRLittleEndianDecoder::default().decode_header(source),
        false => ExplicitVRLittleEndianDecoder::default().decode_header(source),
    };
    head.ok().filter(|(head, _)| head.tag.group() == 2).map(|(head, bytes)| (head, bytes as u64))
}

/// What a UID may be filled up with.
fn is_padding(letter: char) -> bool {
    letter.is_whitespace() || letter == '\0'
}

/// File meta information of these UIDs, from the DICM mark on.
fn written(uids: &BTreeMap<Tag, String>) -> Vec<u8> {
    let mut elements = Vec::new();
    for (tag, uid) in uids {
        let padded = format!("{uid}{}", if uid.len() % 2 == 1 { "\0" } else { "" });
        elements.extend([tag.group().to_le_bytes(), tag.element().to_le_bytes(), *b"UI"].concat());
        elements.extend((padded.len() as u16).to_le_bytes());
        elements.extend(padded.as_bytes());
    }
    [b"DICM\x02\0\0\0UL\x04\0".as_slice(), &(elements.len() as u32).to_le_bytes(), &elements].concat()
}

/// Bytes that the rest of a deflated file inflates to.
fn inflated_length(source: impl BufRead, size: u64) -> Result<u64, String> {
    let most = INFLATED.0.saturating_add(size.saturating_mul(INFLATED.1));
    let mut inflated = DeflateDecoder::new(source).take(most + 1);
    let length = io::copy(&mut inflated, &mut io::sink());
    let length = length.map_err(|error| format!("the deflated part cannot be read: {error}"))?;
    if length > most {
        return Err(format!("it inflates to more than {most} bytes, {} for each of its own", INFLATED.1));
    }
    Ok(length)
}

fn fits(tag: Tag, length: u64, at: u64, end: u64) -> Result<(), String> {
    let left = end.saturating_sub(at);
    if length > left {
        return Err(format!("element {tag} of {length} bytes at byte {at}, where {left} are left"));
    }
    Ok(())
}

/// Where a walk ends.
#[derive(Clone, Copy)]
enum Goal {
    /// At an element, or with the data set.
    Tag(Option<Tag>),
    /// With the sequence that the data set begins with.
    Sequence,
}

/// Why a walk ended before the data set did.
struct Stop {
    message: String,
    /// Where the pixels ended that came before, if any did.
    pixels_end: Option<u64>,
}

impl Stop {
    /// What follows the pixels and cannot be read is left out, such as the bytes that fill up a block of a tape or a disk.
    fn after_pixels(self, length: &mut u64) -> Result<Option<u64>, String> {
        *length = self.pixels_end.ok_or(self.message)?;
        Ok(None)
    }
}

impl From<Stop> for String {
    fn from(stop: Stop) -> Self {
        stop.message
    }
}

/// Walks a data set of `length` bytes. Returns where it stopped if that is after the head of an unknown sequence that `lengths`
/// does not have, or after the sequence that was the goal.
fn walk(
    source: impl Read,
    length: u64,
    syntax: &TransferSyntax,
    goal: Goal,
    lengths: Option<&Lengths>,
) -> Result<Option<u64>, Stop> {
    let mut pixels_end = None;
    walk_elements(source, length, (syntax, goal, lengths), &mut pixels_end)
        .map_err(|message| Stop { message, pixels_end })
}

fn walk_elements(
    source: impl Read,
    length: u64,
    (syntax, goal, lengths): (&TransferSyntax, Goal, Option<&Lengths>),
    pixels_end: &mut Option<u64>,
) -> Result<Option<u64>, String> {
    let (seen, none) = (Cell::new(Seen::default()), Lengths::new());
    let source = Patched { source, lengths: lengths.unwrap_or(&none), seen: &seen };
    let decoder = StatefulDecoder::new_with(source, syntax, SpecificCharacterSet::default(), 0);
    let mut reader = LazyDataSetReader::new(decoder.map_err(|error| chain(&error))?);
    let mut elements = ELEMENTS.0 + length / ELEMENTS.1;
    let mut values = Values(VALUES.0 + length / VALUES.1);
    // Where the sequences and items end that the next element is in, and the sequence of fragments, if it is in one.
    let (mut ends, mut fragments) = (vec![], None);
    loop {
        if seen.get().at == length && fragments.is_some() {
            return Ok(None); // As dicom-rs does without the delimiter.
        }
        let Some(token) = reader.advance() else { break };
        let token = token.map_err(|error| chain(&error))?;
        let end = ends.last().copied().unwrap_or(length);
        if matches!(token, LazyDataToken::LazyValue { .. } | LazyDataToken::LazyItemValue { .. }) {
            let is_pixels = ends.is_empty() && is_pixels(&token);
            pass(token, ends.is_empty(), &mut values)?;
            *pixels_end = pixels_end.or(is_pixels.then(|| seen.get().at));
            continue;
        }
        let Some((tag, stated)) = head(&token) else {
            ends.pop();
            if fragments == Some(ends.len()) && ends.is_empty() {
                *pixels_end = pixels_end.or(Some(seen.get().at));
            }
            fragments = fragments.filter(|level| ends.len() > *level);
            if let (Goal::Sequence, true) = (goal, ends.is_empty()) {
                return Ok(Some(seen.get().at));
            }
            continue;
        };
        let at = seen.get().at;
        match goal {
            Goal::Tag(Some(until)) if ends.is_empty() && until <= tag => return Ok(None),
            _ if seen.get().unknown_sequence() && lengths.is_some_and(|known| !known.contains_key(&(at - 4))) => {
                return Ok(Some(at));
            }
            _ => {}
        }
        elements = elements.checked_sub(1).ok_or("more elements than a file of its size should have")?;
        fits(tag, u64::from(stated.get().unwrap_or(0)), at, end)?;
        if let LazyDataToken::PixelSequenceStart = token {
            fragments = fragments.or(Some(ends.len()));
        }
        if !matches!(token, LazyDataToken::ElementHeader(_)) {
            ends.push(stated.get().map_or(end, |stated| at + u64::from(stated)));
        }
        if ends.len() > 2 * MOST_LEVELS {
            return Err(format!("sequences are nested deeper than {MOST_LEVELS}"));
        }
    }
    if ends.is_empty() { Ok(None) } else { Err("the file ends in a sequence".to_owned()) }
}

/// Tag and length of what begins with a token; `None` at the end of a sequence or an item.
fn head<D>(token: &LazyDataToken<D>) -> Option<(Tag, Length)> {
    match token {
        LazyDataToken::ElementHeader(head) => Some((head.tag, head.len)),
        LazyDataToken::SequenceStart { tag, len } => Some((*tag, *len)),
        LazyDataToken::ItemStart { len } => Some((ITEM, *len)),
        LazyDataToken::PixelSequenceStart => Some((tags::PIXEL_DATA, Length::UNDEFINED)),
        _ => None,
    }
}

/// True for the value of pixels that are in no fragments.
fn is_pixels<D>(token: &LazyDataToken<D>) -> bool {
    matches!(token, LazyDataToken::LazyValue { header, .. } if header.tag == tags::PIXEL_DATA)
}

/// Passes over a value as dicom-rs reads it: numbers whole, of which bytes may be left over.
fn pass<D: StatefulDecode>(token: LazyDataToken<&mut D>, outermost: bool, values: &mut Values) -> Result<(), String> {
    let passed = match token {
        // PixelRepresentation, which decides on the VR of others.
        LazyDataToken::LazyValue { header, decoder }
            if (header.tag, header.vr) == (tags::PIXEL_REPRESENTATION, VR::US) =>
        {
            decoder.read_value_preserved(&header).map(|_| ())
        }
        LazyDataToken::LazyValue { header, decoder } if LISTS.contains(&header.vr) => {
            decoder.read_to(header.len.0, values)
        }
        LazyDataToken::LazyValue { header, decoder } => {
            let over = header.len.0 % width(header.vr);
            if over != 0 && !outermost {
                return Err(format!("element {} of {} bytes has no whole numbers", header.tag, header.len.0));
            }
            decoder.skip_bytes(header.len.0 - over)
        }
        other => other.skip(),
    };
    passed.map_err(|error| chain(&error))
}

/// VRs of text whose values dicom-rs keeps apart (PS3.5 section 6.4).
const LISTS: [VR; 13] =
    [VR::AE, VR::AS, VR::CS, VR::DA, VR::DS, VR::DT, VR::IS, VR::LO, VR::PN, VR::SH, VR::TM, VR::UC, VR::UI];

/// Values of text that may still come.
struct Values(u64);

impl Write for Values {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let found = bytes.iter().filter(|byte| **byte == b'\\').count() as u64;
        self.0 = self
            .0
            .checked_sub(found)
            .ok_or_else(|| io::Error::other("more values than a file of its size should have"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of a number of a VR (PS3.5 table 6.2-1).
fn width(vr: VR) -> u32 {
    match vr {
        VR::US | VR::SS | VR::OW => 2,
        VR::AT | VR::FL | VR::OF | VR::OL | VR::SL | VR::UL => 4,
        VR::FD | VR::OD | VR::OV | VR::SV | VR::UV => 8,
        _ => 1,
    }
}
