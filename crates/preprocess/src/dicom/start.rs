//! How a DICOM file begins: with a preamble and the mark `DICM` (PS3.10 section 7.1), or, as treatment planning systems and old
//! archives write it, with the first element.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::uids;

/// First bytes of a file, or of a data set, that are looked at.
pub const LOOKED_AT: u64 = 4096;

/// A transfer syntax that is retired but still found.
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Elements in order that make a data set; fewer, down to [`FEWEST`], where the bytes end.
const ENOUGH: usize = 4;
const FEWEST: usize = 2;

/// Longest value of the file meta information in implicit VR, where there is no VR to know it by.
const LONGEST_META: u64 = 64;

/// How elements are written (PS3.5 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Explicit,
    ExplicitBig,
    Implicit,
}

/// The head of an element.
struct Head {
    tag: Tag,
    /// Bytes of the head itself.
    bytes: u64,
    /// Bytes of the value; `None` if it is not stated.
    length: Option<u64>,
}

/// The byte at which the file meta information begins, or the data set of a file without one; `None` if the file is not DICOM.
/// `bytes` are the first of a file of `size` bytes.
pub fn find(bytes: &[u8], size: u64) -> Option<u64> {
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(132);
    }
    if bytes.starts_with(b"DICM") {
        return Some(4);
    }
    let blank = bytes.get(..128).is_some_and(|preamble| preamble.iter().all(|byte| *byte == 0));
    let origin = if blank { 128 } else { 0 };
    let (rest, left) = (bytes.get(origin..)?, size.saturating_sub(origin as u64));
    (is_meta(rest, left) || Encoding::of(rest, left).is_some()).then_some(origin as u64)
}

/// True if the bytes begin with file meta information, group 0002.
fn is_meta(bytes: &[u8], left: u64) -> bool {
    let is_first = |encoding: Encoding, longest: u64| {
        let head = encoding.head(bytes).flatten();
        head.is_some_and(|Head { tag, bytes, length }| {
            tag.group() == 2
                && tag.element() <= 0x0102
                && length.is_some_and(|length| length <= longest.min(left - bytes.min(left)))
        })
    };
    is_first(Encoding::Explicit, left) || is_first(Encoding::Implicit, LONGEST_META)
}

/// True if file meta information that begins with these bytes is in implicit VR, which some writers use against the standard.
pub fn is_implicit_meta(bytes: &[u8]) -> bool {
    Encoding::Explicit.head(bytes).is_none() && Encoding::Implicit.head(bytes).flatten().is_some()
}

/// The transfer syntax of a data set that begins with these bytes: the stated one, unless it is an uncompressed one whose elements
/// are not written as they are here.
pub fn syntax(stated: Option<&str>, bytes: &[u8], left: u64) -> Option<String> {
    let found = || Encoding::of(bytes, left).map(|encoding| encoding.uid().to_owned());
    let Some(stated) = stated else { return found() };
    match Encoding::of_uid(stated) {
        Some(encoding) if !encoding.reads(bytes, left) => found().or_else(|| Some(stated.to_owned())),
        _ => Some(stated.to_owned()),
    }
}

impl Encoding {
    /// The encoding of a data set that begins with these bytes, with group 0008; `left` bytes of the file are left there.
    fn of(bytes: &[u8], left: u64) -> Option<Self> {
        [Self::Explicit, Self::ExplicitBig, Self::Implicit].into_iter().find(|encoding| encoding.reads(bytes, left))
    }

    fn of_uid(uid: &str) -> Option<Self> {
        [Self::Explicit, Self::ExplicitBig, Self::Implicit].into_iter().find(|encoding| encoding.uid() == uid)
    }

    fn uid(self) -> &'static str {
        match self {
            Self::Explicit => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self::ExplicitBig => EXPLICIT_VR_BIG_ENDIAN,
            Self::Implicit => uids::IMPLICIT_VR_LITTLE_ENDIAN,
        }
    }

    /// True if the bytes are elements in ascending order from group 0008 on, with lengths that fit into the file.
    fn reads(self, bytes: &[u8], left: u64) -> bool {
        let (mut at, mut last) = (0_u64, None);
        for found in 0..ENOUGH {
            let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
            let head = match self.head(rest) {
                Some(Some(head)) => head,
                Some(None) => return found >= FEWEST,
                None => return false,
            };
            let is_next = last.is_none_or(|last| last < head.tag) && (found > 0 || head.tag.group() == 8);
            let end = at + head.bytes + head.length.unwrap_or(0);
            if !is_next || end > left {
                return false;
            }
            if head.length.is_none() {
                return found + 1 >= FEWEST;
            }
            (at, last) = (end, Some(head.tag));
        }
        true
    }

    /// The head that the bytes begin with; `None` if they are none, `Some(None)` if they end before.
    fn head(self, bytes: &[u8]) -> Option<Option<Head>> {
        let Some(start) = bytes.first_chunk::<8>() else { return Some(None) };
        let short = |at: usize| {
            let pair = [start[at], start[at + 1]];
            if self == Self::ExplicitBig { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let tag = Tag(short(0), short(2));
        if self == Self::Implicit {
            return Some(Some(Head {
                tag,
                bytes: 8,
                length: stated(u32::from_le_bytes([start[4], start[5], start[6], start[7]])),
            }));
        }
        let vr = VR::from_binary([start[4], start[5]])?;
        if has_short_length(vr) {
            return Some(Some(Head { tag, bytes: 8, length: Some(u64::from(short(6))) }));
        }
        let Some(long) = bytes.get(8..12) else { return Some(None) };
        let long = [long[0], long[1], long[2], long[3]];
        let length = if self == Self::ExplicitBig { u32::from_be_bytes(long) } else { u32::from_le_bytes(long) };
        Some(Some(Head { tag, bytes: 12, length: stated(length) }))
    }
}

fn stated(length: u32) -> Option<u64> {
    (length != u32::MAX).then_some(u64::from(length))
}

/// True for VRs whose length has 16 bits (PS3.5 section 7.1.2).
fn has_short_length(vr: VR) -> bool {
    const LONG: [VR; 13] =
        [VR::OB, VR::OD, VR::OF, VR::OL, VR::OV, VR::OW, VR::SQ, VR::SV, VR::UC, VR::UN, VR::UR, VR::UT, VR::UV];
    !LONG.contains(&vr)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPLICIT: &[u8] = b"\x08\0\x05\0CS\x02\0AB\x08\0\x08\0CS\x02\0AB\x08\0\x16\0UI\x02\x001\0";
    const BIG: &[u8] = b"\0\x08\0\x05CS\0\x02AB\0\x08\0\x08CS\0\x02AB\0\x08\0\x16UI\0\x021\0";
    const IMPLICIT: &[u8] = b"\x08\0\x05\0\x02\0\0\0AB\x08\0\x08\0\x02\0\0\0AB\x08\0\x16\0\x02\0\0\x001\0";

    #[test]
    fn data_sets_are_known_by_their_first_elements() {
        for (bytes, uid) in
            [(EXPLICIT, "1.2.840.10008.1.2.1"), (BIG, "1.2.840.10008.1.2.2"), (IMPLICIT, "1.2.840.10008.1.2")]
        {
            let size = bytes.len() as u64;
            assert_eq!(find(bytes, size), Some(0));
            assert_eq!(syntax(None, bytes, size).as_deref(), Some(uid));
            // Another uncompressed syntax is corrected, a compressed one is not.
            assert_eq!(syntax(Some("1.2.840.10008.1.2"), bytes, size).as_deref(), Some(uid));
            assert_eq!(syntax(Some("1.2.840.10008.1.2.5"), bytes, size).as_deref(), Some("1.2.840.10008.1.2.5"));
            let preamble = [&[0; 128][..], bytes].concat();
            assert_eq!(find(&preamble, preamble.len() as u64), Some(128));
        }
        assert_eq!(find(&[&[7; 128][..], b"DICM"].concat(), 132), Some(132));
        assert_eq!((find(b"DICM", 4), find(b"\x02\0\x10\0UI\x02\x001\0", 10)), (Some(4), Some(0)));
    }

    #[test]
    fn other_files_are_no_data_sets() {
        let descending = [&EXPLICIT[10..20], &EXPLICIT[..10], &EXPLICIT[20..]].concat();
        for bytes in
            [b"".as_slice(), b"\x08\0", b"path,label\na,b\n", b"\x08\0\x05\0CS\xff\0AB", &[0; 4096], &descending]
        {
            assert_eq!(find(bytes, bytes.len() as u64), None, "{bytes:?}");
        }
    }
}
