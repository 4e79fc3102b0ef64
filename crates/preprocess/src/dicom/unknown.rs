//! Sequences of unknown VR (UN) without a stated length, which PACS make of private sequences when they turn implicit VR into
//! explicit. Their items are in implicit VR, little endian (PS3.5 section 6.2.2, note 4), which dicom-rs 0.10 does not know
//! (its issue 169). So their lengths are found and put in, and dicom-rs takes them for bytes that nobody asks for.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// For each place in the data set where such a length stands, the four bytes to be read there; `None` to leave it.
pub type Lengths = BTreeMap<u64, Option<[u8; 4]>>;

/// How far a data set was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Bytes from its start.
    pub at: u64,
    /// The last eight of them.
    last: [u8; 8],
}

impl Seen {
    /// True right after the head of an element of VR UN without a length.
    pub fn unknown_sequence(&self) -> bool {
        self.last == *b"UN\0\0\xFF\xFF\xFF\xFF"
    }
}

/// A data set with the lengths put in.
pub struct Patched<'a, S> {
    /// The data set as it stands in the file.
    pub source: S,
    /// What to put in.
    pub lengths: &'a Lengths,
    /// Shared with whoever wants to know.
    pub seen: &'a Cell<Seen>,
}

impl<S: Read> Read for Patched<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        let Seen { at: start, last } = self.seen.get();
        let end = start + read as u64;
        for (place, bytes) in self.lengths.range(start.saturating_sub(3)..end) {
            for (at, byte) in (*place..).zip(bytes.iter().flatten()).filter(|(at, _)| (start..end).contains(at)) {
                into[(at - start) as usize] = *byte;
            }
        }
        let mut after = [0; 8];
        let all = last.iter().chain(&into[..read]).rev();
        after.iter_mut().rev().zip(all).for_each(|(to, from)| *to = *from);
        self.seen.set(Seen { at: end, last: after });
        Ok(read)
    }
}
