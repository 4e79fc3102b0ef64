//! The elements of a data set (PS3.5 section 7), as far as images need them.
//!
//! Hospital files are read by this reader rather than by a general one because it keeps a fixed list of elements, steps over
//! the others without reading them, and holds every length against what is left of the file: memory follows the file's size,
//! whatever the file says about itself.

use std::io::{Read, Seek, SeekFrom};

use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Sequences within sequences; enhanced CT needs two.
const MOST_LEVELS: u32 = 24;

/// Values longer than this are no values that are needed here, but for the offset table.
const LONGEST_VALUE: u64 = 1 << 16;

/// OtherPatientIDs, which is retired but still found.
pub const OTHER_PATIENT_IDS: Tag = Tag(0x0010, 0x1000);

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Elements that are kept as text.
const TEXTS: [Tag; 28] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::MODALITY,
    tags::SERIES_DESCRIPTION,
    tags::FRAME_TYPE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    OTHER_PATIENT_IDS,
    tags::OTHER_PATIENT_NAMES,
    tags::SLICE_THICKNESS,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::STACK_ID,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::PIXEL_SPACING,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::MEDIA_STORAGE_SOP_CLASS_UID,
    tags::TRANSFER_SYNTAX_UID,
    tags::EXTENDED_OFFSET_TABLE,
];

/// Elements that are kept as numbers of 16 bits.
const SHORTS: [Tag; 9] = [
    tags::SAMPLES_PER_PIXEL,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
];

/// Sequences whose items are kept: functional groups (PS3.3 C.7.6.16), and other ids of the patient.
const SEQUENCES: [Tag; 9] = [
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::FRAME_CONTENT_SEQUENCE,
    tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
];

/// VRs whose length has 32 bits in explicit VR (PS3.5 table 7.1-1).
const LONG_VRS: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];

#[derive(Debug, Clone)]
enum Value {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

/// The kept elements of a data set or of an item.
#[derive(Debug, Clone, Default)]
pub struct DataSet(Vec<(Tag, Value)>);

impl DataSet {
    fn value(&self, tag: Tag) -> Option<&Value> {
        self.0.iter().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// The bytes of an element, numbers in little endian.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match self.value(tag)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) => None,
        }
    }

    /// The items of a sequence; none if it is absent.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.value(tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// A code, UID or number as trimmed text; `None` if it is absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?);
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// An integer string (VR IS).
    pub fn integer(&self, tag: Tag) -> Option<i32> {
        self.text(tag)?.parse().ok()
    }

    /// The finite numbers of a decimal string (VR DS), if there are as many as expected.
    pub fn decimals<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let text = self.text(tag)?;
        let values: Option<Vec<f64>> = text.split('\\').map(|part| part.trim().parse().ok()).collect();
        let values = values?;
        values.iter().all(|value: &f64| value.is_finite()).then_some(values)?.try_into().ok()
    }

    /// A number of 16 bits (VR US or SS, as stored).
    pub fn short(&self, tag: Tag) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(tag)?.get(..2)?.try_into().ok()?))
    }
}

/// How the elements of a file are written (PS3.5 section 7.1 and annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Each element states its VR.
    pub explicit: bool,
    /// Numbers have the high byte first.
    pub big_endian: bool,
}

/// The head of an element.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Which element.
    pub tag: Tag,
    vr: [u8; 2],
    /// Bytes of the value; `None` if it ends with a delimiter.
    pub length: Option<u64>,
}

/// Reads elements from `at` to the end of a file.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    at: u64,
    end: u64,
    encoding: Encoding,
}

impl<R: Read + Seek> Reader<R> {
    /// A reader of a source of `end` bytes, from its byte `at`.
    ///
    /// # Errors
    /// The source cannot be positioned.
    pub fn new(mut source: R, at: u64, end: u64, encoding: Encoding) -> Result<Self, String> {
        source.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        Ok(Self { source, at, end, encoding })
    }

    /// Where the next byte is, from the start of the source.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Goes back to the source.
    pub fn into_source(self) -> R {
        self.source
    }

    /// Bytes that are left.
    fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|_| format!("the file ends in an element at byte {}", self.at))?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// The file has fewer.
    pub fn bytes(&mut self, length: u64) -> Result<Vec<u8>, String> {
        self.fits(length)?;
        let mut bytes = Vec::new();
        self.source.by_ref().take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 != length {
            return Err(format!("the file ends in a value at byte {}", self.at));
        }
        self.at += length;
        Ok(bytes)
    }

    /// Passes over `length` bytes.
    ///
    /// # Errors
    /// The file has fewer.
    pub fn skip(&mut self, length: u64) -> Result<(), String> {
        self.fits(length)?;
        let step = i64::try_from(length).map_err(|_| "a length beyond any file".to_owned())?;
        self.source.seek_relative(step).map_err(|error| error.to_string())?;
        self.at += length;
        Ok(())
    }

    /// Goes to byte `at` of the source.
    ///
    /// # Errors
    /// It cannot be positioned.
    pub fn seek(&mut self, at: u64) -> Result<(), String> {
        self.source.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        self.at = at;
        Ok(())
    }

    /// Checks that `length` bytes are left.
    ///
    /// # Errors
    /// The file has fewer.
    pub fn fits(&self, length: u64) -> Result<(), String> {
        if length > self.left() {
            return Err(format!("a value of {length} bytes at byte {}, where {} are left", self.at, self.left()));
        }
        Ok(())
    }

    fn short(&mut self) -> Result<u16, String> {
        let bytes = self.array()?;
        Ok(if self.encoding.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&mut self) -> Result<u64, String> {
        let bytes = self.array()?;
        Ok(u64::from(if self.encoding.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }))
    }

    /// The head of the next element, item or delimiter; `None` at the end of the file.
    ///
    /// # Errors
    /// The file ends within it.
    pub fn head(&mut self) -> Result<Option<Head>, String> {
        if self.left() == 0 {
            return Ok(None);
        }
        let tag = Tag(self.short()?, self.short()?);
        let known = |length: u64| (length != u64::from(u32::MAX)).then_some(length);
        if tag.group() == 0xFFFE || !self.encoding.explicit {
            let length = known(self.long()?);
            return Ok(Some(Head { tag, vr: *b"  ", length }));
        }
        let [first, second, third, fourth] = self.array()?;
        let vr = [first, second];
        let length = if LONG_VRS.contains(&&vr) {
            known(self.long()?)
        } else if vr.iter().all(u8::is_ascii_uppercase) {
            let length = [third, fourth];
            let big = self.encoding.big_endian;
            Some(u64::from(if big { u16::from_be_bytes(length) } else { u16::from_le_bytes(length) }))
        } else {
            // Some writers change to implicit VR in the middle: these four bytes are the length.
            known(u64::from(u32::from_le_bytes([first, second, third, fourth])))
        };
        Ok(Some(Head { tag, vr, length }))
    }

    /// Reads elements up to `until` or the end of the file, and returns the head of `until`, whose value comes next.
    ///
    /// # Errors
    /// An element ends beyond the file, or sequences are nested too deep.
    pub fn data_set(&mut self, until: Tag) -> Result<(DataSet, Option<Head>), String> {
        let mut found = DataSet::default();
        while let Some(head) = self.head()? {
            if head.tag == until {
                return Ok((found, Some(head)));
            }
            self.element(head, &mut found, true, MOST_LEVELS)?;
        }
        Ok((found, None))
    }

    /// Reads the elements of one group, which the next element starts.
    ///
    /// # Errors
    /// As [`Self::data_set`].
    pub fn group(&mut self, group: u16) -> Result<DataSet, String> {
        let mut found = DataSet::default();
        loop {
            let start = self.at;
            match self.head() {
                Ok(Some(head)) if head.tag.group() == group => self.element(head, &mut found, true, MOST_LEVELS)?,
                // The next group may be written in another way; it is read again.
                _ => {
                    self.seek(start)?;
                    return Ok(found);
                }
            }
        }
    }

    /// Reads or passes over the value of one element.
    fn element(&mut self, head: Head, into: &mut DataSet, keep: bool, levels: u32) -> Result<(), String> {
        let Head { tag, vr, length } = head;
        let sequence = keep && SEQUENCES.contains(&tag);
        if sequence || length.is_none() {
            if length.is_none() && (vr == *b"OB" || vr == *b"OW" || tag == tags::PIXEL_DATA) {
                return self.skip_fragments();
            }
            // PS3.5 section 6.2.2: an unknown sequence is in implicit VR, little endian.
            let outer = self.encoding;
            if vr == *b"UN" {
                self.encoding = Encoding { explicit: false, big_endian: false };
            }
            let items = self.items(length, sequence, levels)?;
            self.encoding = outer;
            if sequence {
                into.0.push((tag, Value::Items(items)));
            }
            return Ok(());
        }
        let length = length.unwrap_or_default();
        let short = SHORTS.contains(&tag);
        let longest = if tag == tags::EXTENDED_OFFSET_TABLE { u64::MAX } else { LONGEST_VALUE };
        if !keep || length > longest || !(short || TEXTS.contains(&tag)) {
            return self.skip(length);
        }
        let mut bytes = self.bytes(length)?;
        if short && self.encoding.big_endian {
            bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
        }
        into.0.push((tag, Value::Bytes(bytes)));
        Ok(())
    }

    /// The items of a sequence of `length` bytes, or up to its delimiter.
    fn items(&mut self, length: Option<u64>, keep: bool, levels: u32) -> Result<Vec<DataSet>, String> {
        let levels = levels.checked_sub(1).ok_or("sequences are nested too deep")?;
        length.map_or(Ok(()), |length| self.fits(length))?;
        let end = length.map(|length| self.at + length);
        let mut items = Vec::new();
        while end.is_none_or(|end| self.at < end) {
            match self.head()? {
                Some(Head { tag: ITEM, length, .. }) => {
                    let item = self.item(length, keep, levels)?;
                    if keep {
                        items.push(item);
                    }
                }
                Some(Head { tag: SEQUENCE_END, .. }) if end.is_none() => return Ok(items),
                Some(Head { tag, .. }) => return Err(format!("element {tag} where an item was expected")),
                None => return Err("the file ends in a sequence".to_owned()),
            }
        }
        Ok(items)
    }

    fn item(&mut self, length: Option<u64>, keep: bool, levels: u32) -> Result<DataSet, String> {
        let mut item = DataSet::default();
        if let (Some(length), false) = (length, keep) {
            return self.skip(length).map(|()| item);
        }
        length.map_or(Ok(()), |length| self.fits(length))?;
        let end = length.map(|length| self.at + length);
        while end.is_none_or(|end| self.at < end) {
            match self.head()? {
                Some(Head { tag: ITEM_END, .. }) if end.is_none() => return Ok(item),
                Some(Head { tag, .. }) if tag.group() == 0xFFFE => {
                    return Err(format!("delimiter {tag} where an element was expected"));
                }
                Some(head) => self.element(head, &mut item, keep, levels)?,
                None => return Err("the file ends in an item".to_owned()),
            }
        }
        Ok(item)
    }

    /// Passes over the fragments of encapsulated data (PS3.5 annex A.4).
    fn skip_fragments(&mut self) -> Result<(), String> {
        while let Some((_, length)) = self.fragment()? {
            self.skip(length)?;
        }
        Ok(())
    }

    /// Start and bytes of the next fragment, which the caller passes over; `None` at the end of the sequence.
    ///
    /// # Errors
    /// Something else is found, or the file ends.
    pub fn fragment(&mut self) -> Result<Option<(u64, u64)>, String> {
        match self.head()? {
            Some(Head { tag: ITEM, length: Some(length), .. }) => self.fits(length).map(|()| Some((self.at, length))),
            Some(Head { tag: SEQUENCE_END, .. }) | None => Ok(None),
            Some(Head { tag, .. }) => Err(format!("element {tag} where a fragment of pixel data was expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const IMPLICIT: Encoding = Encoding { explicit: false, big_endian: false };
    const EXPLICIT: Encoding = Encoding { explicit: true, big_endian: false };

    /// An element without a VR, or an item; `None` for one that ends with a delimiter.
    fn implicit(tag: Tag, length: Option<u32>, value: &[u8]) -> Vec<u8> {
        let head = [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat();
        [&head, &length.unwrap_or(u32::MAX).to_le_bytes()[..], value].concat()
    }

    fn explicit(tag: Tag, vr: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
        let head = [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat();
        let length = match LONG_VRS.contains(&vr) {
            true => [&[0, 0], &length.to_le_bytes()[..]].concat(),
            false => (length as u16).to_le_bytes().to_vec(),
        };
        [&head, &vr[..], &length, value].concat()
    }

    fn read(bytes: &[u8], encoding: Encoding) -> Result<DataSet, String> {
        let mut reader = Reader::new(Cursor::new(bytes), 0, bytes.len() as u64, encoding)?;
        reader.data_set(tags::PIXEL_DATA).map(|(data, _)| data)
    }

    #[test]
    fn a_length_beyond_the_file_is_an_error() {
        let bytes = implicit(tags::PATIENT_ID, Some(0x7FFF_FFFF), b"P");
        let error = read(&bytes, IMPLICIT).expect_err("one byte is there");
        assert_eq!(error, "a value of 2147483647 bytes at byte 8, where 1 are left");
        assert!(read(&bytes[..6], IMPLICIT).is_err_and(|error| error.contains("the file ends")));
    }

    #[test]
    fn sequences_are_nested_no_deeper_than_any_image_needs() {
        let nested = |levels: usize| {
            let open = [implicit(Tag(9, 0x1001), None, &[]), implicit(ITEM, None, &[])].concat();
            let close = [implicit(ITEM_END, Some(0), &[]), implicit(SEQUENCE_END, Some(0), &[])].concat();
            [open.repeat(levels), close.repeat(levels), implicit(tags::PATIENT_ID, Some(2), b"P ")].concat()
        };
        let data = read(&nested(20), IMPLICIT).expect("a data set");
        assert_eq!(data.text(tags::PATIENT_ID).as_deref(), Some("P"));
        assert_eq!(read(&nested(25), IMPLICIT).expect_err("too deep"), "sequences are nested too deep");
        assert!(read(&nested(100_000), IMPLICIT).is_err());
    }

    #[test]
    fn an_unknown_sequence_is_in_implicit_vr_and_what_follows_it_is_not() {
        // PS3.5 section 6.2.2, by hand: UN of undefined length with one item.
        let id = implicit(tags::PATIENT_ID, Some(4), b"B-17");
        let item = [implicit(ITEM, Some(id.len() as u32), &id), implicit(SEQUENCE_END, Some(0), &[])].concat();
        let bytes = [
            explicit(tags::OTHER_PATIENT_I_DS_SEQUENCE, b"UN", u32::MAX, &item),
            explicit(tags::ROWS, b"US", 2, &[0, 2]),
        ];
        let data = read(&bytes.concat(), EXPLICIT).expect("a data set");
        let ids: Vec<_> =
            data.items(tags::OTHER_PATIENT_I_DS_SEQUENCE).iter().map(|id| id.text(tags::PATIENT_ID)).collect();
        assert_eq!((ids, data.short(tags::ROWS)), (vec![Some("B-17".to_owned())], Some(512)));
    }

    #[test]
    fn numbers_are_numbers_or_nothing() {
        let bytes = [
            implicit(tags::PIXEL_SPACING, Some(8), b"0.5\\0.75"),
            implicit(tags::RESCALE_SLOPE, Some(4), b"nan "),
            implicit(tags::SERIES_NUMBER, Some(2), b"7 "),
        ];
        let data = read(&bytes.concat(), IMPLICIT).expect("a data set");
        assert_eq!(data.decimals(tags::PIXEL_SPACING), Some([0.5, 0.75]));
        assert_eq!((data.decimals::<3>(tags::PIXEL_SPACING), data.decimals::<1>(tags::RESCALE_SLOPE)), (None, None));
        assert_eq!(data.integer(tags::SERIES_NUMBER), Some(7));
    }
}
