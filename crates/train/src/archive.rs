//! One text inside a ZIP archive replaced, for [`crate::export`]. A TorchScript file is such an archive with its code as text.
//!
//! Format: PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end). The new text is put where
//! the central directory was, and the directory behind it. The old text stays as dead bytes, so that nothing else moves: libtorch aligns
//! tensors to 64 bytes.

use std::io::Read;
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Bytes of the fixed parts of the three.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
/// A number that the 64-bit extension holds instead. Networks here are far smaller.
const ELSEWHERE: u32 = u32::MAX;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Bit 3 of an entry's flags: sizes follow the data. The new entry has them in its header.
const SIZES_FOLLOW: u16 = 1 << 3;

/// Numbers at fixed places of an archive, little-endian; errors instead of panics.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes(&self, range: Range<usize>) -> Result<&[u8], String> {
        self.0.get(range.clone()).ok_or_else(|| format!("the archive ends before byte {}", range.end))
    }

    fn u16(&self, at: usize) -> Result<u16, String> {
        self.bytes(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, at: usize) -> Result<u32, String> {
        Ok(u32::from(self.u16(at)?) | u32::from(self.u16(at + 2)?) << 16)
    }

    fn signature(&self, at: usize, expected: u32) -> Result<(), String> {
        let found = self.u32(at)?;
        if found == expected { Ok(()) } else { Err(format!("byte {at}: expected {expected:#x}, got {found:#x}")) }
    }
}

/// `archive` with the text of the only entry whose name ends in `name` changed by `change`.
///
/// # Errors
/// Not an archive, no such entry, not text, or what `change` says.
pub fn rewrite(archive: &[u8], name: &str, change: impl Fn(&str) -> Result<String, String>) -> Result<Vec<u8>, String> {
    let fields = Fields(archive);
    let end = archive.len().checked_sub(END_LEN).ok_or("too short for an archive")?;
    fields.signature(end, END)?;
    let (size, start) = (fields.u32(end + 12)? as usize, fields.u32(end + 16)?);
    if start == ELSEWHERE {
        return Err("larger than 4 GiB".to_owned());
    }
    let directory = start as usize..start as usize + size;
    let entry = find(&fields, directory.clone(), name)?;
    let text = change(&read(&fields, entry)?)?;
    let mut out = fields.bytes(0..directory.start)?.to_vec();
    let mut changed = fields.bytes(directory.clone())?.to_vec();
    let local = append(&mut out, &fields, entry, &text)?;
    repoint(&mut changed, entry - directory.start, &text, local);
    let start = out.len() as u32;
    out.extend(changed);
    let mut tail = archive[end..].to_vec();
    tail[16..20].copy_from_slice(&start.to_le_bytes());
    out.extend(tail);
    Ok(out)
}

/// Where the entry's record in the central directory starts.
fn find(fields: &Fields, directory: Range<usize>, name: &str) -> Result<usize, String> {
    let (mut at, mut found) = (directory.start, Vec::new());
    while at < directory.end {
        fields.signature(at, CENTRAL)?;
        let [name_len, extra, comment] = [28, 30, 32].map(|offset| fields.u16(at + offset).map(usize::from));
        let name_len = name_len?;
        let full = fields.bytes(at + CENTRAL_LEN..at + CENTRAL_LEN + name_len)?;
        if full.ends_with(name.as_bytes()) {
            found.push(at);
        }
        at += CENTRAL_LEN + name_len + extra? + comment?;
    }
    match found.as_slice() {
        [one] => Ok(*one),
        all => Err(format!("expected one {name} in the archive, found {}", all.len())),
    }
}

/// The text of an entry.
fn read(fields: &Fields, entry: usize) -> Result<String, String> {
    let [size, local] = [20, 42].map(|offset| fields.u32(entry + offset));
    let (size, local) = (size?, local?);
    if size == ELSEWHERE || local == ELSEWHERE {
        return Err("an entry larger than 4 GiB".to_owned());
    }
    let local = local as usize;
    fields.signature(local, LOCAL)?;
    let data = local + LOCAL_LEN + usize::from(fields.u16(local + 26)?) + usize::from(fields.u16(local + 28)?);
    let packed = fields.bytes(data..data + size as usize)?;
    let mut text = String::new();
    match fields.u16(entry + 10)? {
        STORED => text.push_str(str::from_utf8(packed).map_err(|error| error.to_string())?),
        DEFLATED => {
            let read = DeflateDecoder::new(packed).read_to_string(&mut text);
            read.map_err(|error| error.to_string())?;
        }
        method => return Err(format!("compression method {method}, expected 0 or 8")),
    }
    Ok(text)
}

fn crc(text: &str) -> u32 {
    let mut crc = Crc::new();
    crc.update(text.as_bytes());
    crc.sum()
}

/// Adds the text as a stored entry of the same name. Returns where.
fn append(out: &mut Vec<u8>, fields: &Fields, entry: usize, text: &str) -> Result<u32, String> {
    let local = u32::try_from(out.len()).map_err(|error| error.to_string())?;
    let name_len = fields.u16(entry + 28)?;
    let name = fields.bytes(entry + CENTRAL_LEN..entry + CENTRAL_LEN + usize::from(name_len))?;
    let (size, none) = ((text.len() as u32).to_le_bytes(), 0_u16.to_le_bytes());
    out.extend(LOCAL.to_le_bytes());
    out.extend(fields.bytes(entry + 6..entry + 8)?); // version needed
    out.extend((fields.u16(entry + 8)? & !SIZES_FOLLOW).to_le_bytes());
    out.extend(STORED.to_le_bytes());
    out.extend(fields.bytes(entry + 12..entry + 16)?); // time and date
    out.extend(crc(text).to_le_bytes());
    out.extend(size);
    out.extend(size);
    out.extend(name_len.to_le_bytes());
    out.extend(none);
    out.extend(name);
    out.extend(text.as_bytes());
    Ok(local)
}

/// Lets a record of the central directory name the new entry. Its length was checked when it was found.
fn repoint(directory: &mut [u8], at: usize, text: &str, local: u32) {
    let flags = u16::from_le_bytes([directory[at + 8], directory[at + 9]]) & !SIZES_FOLLOW;
    let size = (text.len() as u32).to_le_bytes();
    let mut set =
        |offset: usize, bytes: &[u8]| directory[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
    set(8, &flags.to_le_bytes());
    set(10, &STORED.to_le_bytes());
    set(16, &crc(text).to_le_bytes());
    set(20, &size);
    set(24, &size);
    set(42, &local.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's zipfile: `a/x.py` deflated (b"hello hello hello hello"), `a/y` stored (b"data").
    const ARCHIVE: &[u8] = include_bytes!("../tests/fixtures/two_entries.zip");

    #[test]
    fn a_text_is_replaced_and_the_rest_stays() {
        let out = rewrite(ARCHIVE, "x.py", |text| Ok(format!("{text}!"))).unwrap();
        let again = rewrite(&out, "x.py", |text| {
            assert_eq!(text, "hello hello hello hello!");
            Ok(String::new())
        });
        assert!(again.is_ok());
        let old = Fields(ARCHIVE).u32(ARCHIVE.len() - END_LEN + 16).unwrap() as usize;
        assert_eq!(out[..old], ARCHIVE[..old]);
        let data = rewrite(&out, "a/y", |text| {
            assert_eq!(text, "data");
            Err("seen".to_owned())
        });
        assert_eq!(data.unwrap_err(), "seen");
        assert_eq!(crc("123456789"), 0xcbf4_3926); // the check value of CRC-32
    }

    #[test]
    fn damaged_archives_are_errors() {
        let same = |text: &str| Ok(text.to_owned());
        assert!(rewrite(b"", "x.py", same).is_err());
        assert!(rewrite(ARCHIVE, "z.py", same).unwrap_err().contains("expected one z.py in the archive, found 0"));
        for at in 0..ARCHIVE.len() {
            let mut damaged = ARCHIVE.to_vec();
            damaged[at] ^= 0xff;
            let _ = rewrite(&damaged, "x.py", same); // an error or not, but no panic
        }
    }
}
