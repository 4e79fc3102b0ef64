//! A ZIP archive of stored entries, and what is in one that is there: what a crate holds is compressed already, or small.
//!
//! After PKWARE's APPNOTE.TXT 6.3, without ZIP64, so neither a file nor the archive may reach 4 GiB. The time of every entry is the
//! format's first, 1980-01-01, so that the same files are the same bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Version 2.0: folders and plain entries.
const NEEDED: u16 = 20;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// 1980-01-01 in the form of MS-DOS: month 1, day 1.
const DATE: u16 = 0x21;

/// Writes entries one after the other.
pub struct Zip<W: Write> {
    to: W,
    written: u64,
    directory: Vec<u8>,
    entries: u16,
}

impl<W: Write> Zip<W> {
    /// An archive without entries.
    pub fn new(to: W) -> Self {
        Self { to, written: 0, directory: Vec::new(), entries: 0 }
    }

    /// Appends a file.
    ///
    /// # Errors
    /// It cannot be written, or the archive becomes too large.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (size, at) = (small(bytes.len() as u64)?, small(self.written)?);
        let length = u16::try_from(name.len()).map_err(|_| too_large())?;
        // Common to both heads: version, flags, method (stored), time, date, checksum, both sizes, length of the name, no extra field.
        let mut common = Vec::new();
        for number in [NEEDED, UTF8, 0, 0, DATE] {
            common.extend(number.to_le_bytes());
        }
        for number in [crc32(bytes), size, size] {
            common.extend(number.to_le_bytes());
        }
        common.extend(length.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        self.put(&[&LOCAL.to_le_bytes(), common.as_slice(), name.as_bytes(), bytes].concat())?;
        // Made by version 2.0; comment, disk and attributes are zero.
        self.directory.extend(CENTRAL.to_le_bytes());
        self.directory.extend(NEEDED.to_le_bytes());
        self.directory.extend(&common);
        self.directory.extend([0; 10]);
        self.directory.extend(at.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries = self.entries.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }

    /// Writes the directory and gives back what was written to.
    ///
    /// # Errors
    /// It cannot be written, or the archive is too large.
    pub fn finish(mut self) -> io::Result<W> {
        let (at, size) = (small(self.written)?, small(self.directory.len() as u64)?);
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let mut end = END.to_le_bytes().to_vec();
        for number in [0, 0, self.entries, self.entries] {
            end.extend(number.to_le_bytes());
        }
        end.extend([size, at].map(u32::to_le_bytes).concat());
        end.extend(0_u16.to_le_bytes());
        self.put(&end)?;
        Ok(self.to)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.to.write_all(bytes)
    }
}

/// An entry in the directory of an archive.
struct Listed {
    name: String,
    is_stored: bool,
    size: u32,
    at: u32,
}

/// The names of all entries of the archive `path`.
///
/// # Errors
/// It cannot be read, or is no ZIP archive (or a ZIP64 one, which none of ours is).
pub fn names(path: &Path) -> io::Result<Vec<String>> {
    Ok(directory(&mut File::open(path)?)?.into_iter().map(|entry| entry.name).collect())
}

/// The bytes of the entry `name`.
///
/// # Errors
/// As [`names`], and if there is no such entry, or it is compressed.
pub fn read(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let entry = directory(&mut file)?.into_iter().find(|entry| entry.name == name && entry.is_stored);
    let entry = entry.ok_or_else(no_archive)?;
    // Lengths of name and extra field stand at the end of the head's 30 bytes.
    let head = part(&mut file, u64::from(entry.at), 30)?;
    let behind = u64::from(u16_at(&head, 26)?) + u64::from(u16_at(&head, 28)?);
    part(&mut file, u64::from(entry.at) + 30 + behind, u64::from(entry.size))
}

fn directory(file: &mut File) -> io::Result<Vec<Listed>> {
    let whole = file.metadata()?.len();
    // The end is 22 bytes and a comment of less than 65,536.
    let tail = whole.min(22 + 0xFFFF);
    let tail = part(file, whole - tail, tail)?;
    let end = tail.windows(4).rposition(|four| four == END.to_le_bytes()).ok_or_else(no_archive)?;
    let (size, at) = (u32_at(&tail, end + 12)?, u32_at(&tail, end + 16)?);
    let bytes = part(file, u64::from(at), u64::from(size))?;
    let (mut all, mut next) = (Vec::new(), 0);
    while next < bytes.len() {
        if u32_at(&bytes, next)? != CENTRAL {
            return Err(no_archive());
        }
        let length = |field| u16_at(&bytes, next + field).map(usize::from);
        let (name, more) = (length(28)?, length(30)? + length(32)?);
        let text = bytes.get(next + 46..next + 46 + name).ok_or_else(no_archive)?;
        let name_text = String::from_utf8_lossy(text).into_owned();
        let (is_stored, size) = (u16_at(&bytes, next + 10)? == 0, u32_at(&bytes, next + 20)?);
        all.push(Listed { name: name_text, is_stored, size, at: u32_at(&bytes, next + 42)? });
        next += 46 + name + more;
    }
    Ok(all)
}

fn no_archive() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no ZIP archive of stored entries")
}

/// `length` bytes of a file, if it has them.
fn part(file: &mut File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let whole = file.metadata()?.len();
    from.checked_add(length).filter(|end| *end <= whole).ok_or_else(no_archive)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| no_archive())?];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
    two.map(u16::from_le_bytes).ok_or_else(no_archive)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or_else(no_archive)
}

fn too_large() -> io::Error {
    io::Error::other("too large for a ZIP file (4 GiB, 65,535 files); name a folder, or leave out --with-weights")
}

fn small(size: u64) -> io::Result<u32> {
    // The largest value means "see ZIP64".
    u32::try_from(size).ok().filter(|size| *size < u32::MAX).ok_or_else(too_large)
}

/// The checksum of ZIP (ISO 3309, reflected polynomial EDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms: check value of "123456789".
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
