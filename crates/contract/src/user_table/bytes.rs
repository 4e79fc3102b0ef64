//! What a file is by its first bytes, and its text: compressed or not, in the encodings that spreadsheets and programs write.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Bytes that a compressed table may become, so that a small file cannot take all memory.
const MOST_BYTES: u64 = 4 << 30;

/// Starts of files that hold tables which are not read, what they are, and what to do.
const OTHERS: [(&[u8], &str); 15] = [
    (b"PARE", "an encrypted Parquet file; write it without encryption"),
    (b"ARROW1", "an Arrow or Feather file; write it as Parquet or CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls); open it and save the sheet as CSV UTF-8"),
    (b"RDX2", "a file of R (.RData); write the table with write.csv in R"),
    (b"RDX3", "a file of R (.RData); write the table with write.csv in R"),
    (b"X\n\0\0", "a file of R (.rds); write the table with write.csv in R"),
    (b"A\n3\n", "a file of R (.rds); write the table with write.csv in R"),
    (b"BZh", "compressed with bzip2; unpack it, or use gzip"),
    (b"\xfd7zXZ", "compressed with xz; unpack it, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it, or use gzip"),
    (b"\x89HDF", "an HDF5 file; write the table as CSV or Parquet"),
    (b"SQLite format 3", "a SQLite database; write the table as CSV"),
    (b"$FL2", "a file of SPSS; write the table as CSV"),
    (b"<stata_dta>", "a file of Stata; write the table as CSV"),
    (b"\x80\x04\x95", "a pickle of Python; write the table with to_csv or to_parquet"),
];

/// Whether it starts like a Parquet file.
pub fn is_parquet(start: &[u8]) -> bool {
    start.starts_with(b"PAR1")
}

/// The text of a file of text, without a mark at its start.
///
/// # Errors
/// It is no text in a known encoding; says what it is and what to do.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    let bytes = if bytes.starts_with(b"\x1f\x8b") { unpacked(&bytes)? } else { bytes };
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(format!("is {what}"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(format!("is {}", archive(&bytes)));
    }
    if is_parquet(&bytes) {
        return Err("is a compressed Parquet file; unpack it".to_owned());
    }
    let text = decoded(bytes)?;
    if let Some((before, _)) = text.split_once('\0') {
        let line = lines(before);
        return Err(format!("has a zero byte in line {line}, so it is no table of text; save it as CSV UTF-8"));
    }
    match text.trim_start().chars().next() {
        Some('<') => {
            Err("is HTML or XML, as some programs write under the name of a table; save it as CSV UTF-8".to_owned())
        }
        Some('{' | '[') => Err("is JSON; write the table as CSV or Parquet".to_owned()),
        _ => Ok(text),
    }
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MOST_BYTES + 1).read_to_end(&mut out);
    read.map_err(|error| format!("is a damaged gzip file ({error}); compress the table again"))?;
    if out.len() as u64 > MOST_BYTES {
        return Err("becomes more than 4 GiB when unpacked; write it as Parquet".to_owned());
    }
    Ok(out)
}

/// What a ZIP archive is, by the names at its start.
fn archive(bytes: &[u8]) -> &'static str {
    let start = &bytes[..bytes.len().min(4096)];
    let has = |word: &[u8]| start.windows(word.len()).any(|window| window == word);
    if has(b"opendocument.spreadsheet") {
        "an OpenDocument spreadsheet (.ods); open it and save the sheet as CSV UTF-8"
    } else if has(b"xl/") || has(b"[Content_Types].xml") {
        "an Excel workbook (.xlsx); open it and save the sheet as CSV UTF-8"
    } else {
        "a ZIP archive; unpack it, or use gzip"
    }
}

fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return utf8(rest.to_vec());
    }
    // The mark of UTF-32 begins with that of UTF-16.
    match &bytes[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err("is UTF-32; save it as CSV UTF-8".to_owned()),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err("is damaged UTF-16; save it as CSV UTF-8".to_owned()),
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    // Latin letters in UTF-16 have a zero byte each.
    let zeros = |parity: usize| bytes.iter().skip(parity).step_by(2).take(64).filter(|byte| **byte == 0).count();
    if bytes.len() >= 8 && zeros(0).max(zeros(1)) * 4 > bytes.len().min(128) {
        return Err("is UTF-16 without a mark; save it as CSV UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = lines(&String::from_utf8_lossy(&error.as_bytes()[..valid]));
        format!(
            "is not UTF-8 (line {line} has a letter of another encoding, such as Windows-1252); save it as CSV UTF-8, which \
             Excel offers by that name"
        )
    })
}

/// The line in which a text ends, from 1.
fn lines(before: &str) -> usize {
    let feeds = before.matches('\n').count();
    1 + if feeds > 0 { feeds } else { before.matches('\r').count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16_of(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn texts_are_read_in_every_encoding_with_a_mark() {
        let table = "a,ü\n1,2\n";
        let marked = [b"\xef\xbb\xbf".to_vec(), table.as_bytes().to_vec()].concat();
        let known = [
            table.as_bytes().to_vec(),
            marked,
            utf16_of(table, true, u16::to_le_bytes),
            utf16_of(table, true, u16::to_be_bytes),
        ];
        for bytes in known {
            assert_eq!(text(bytes).as_deref(), Ok(table));
        }
    }

    #[test]
    fn gzip_is_known_by_content() {
        let mut packed = flate2::read::GzEncoder::new(&b"a,b\n1,2\n"[..], flate2::Compression::fast());
        let mut bytes = Vec::new();
        packed.read_to_end(&mut bytes).unwrap();
        assert_eq!(text(bytes.clone()).as_deref(), Ok("a,b\n1,2\n"));
        bytes.truncate(bytes.len() - 9);
        assert!(text(bytes).is_err_and(|message| message.contains("damaged gzip")));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let cases: [(Vec<u8>, &str); 11] = [
            (b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml".to_vec(), "(.xlsx)"),
            (b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet".to_vec(), "(.ods)"),
            (b"PK\x03\x04table.csv".to_vec(), "ZIP"),
            (b"\xd0\xcf\x11\xe0\xa1".to_vec(), "(.xls)"),
            (b"X\n\0\0\0\x03".to_vec(), "(.rds)"),
            (b"ARROW1\0\0".to_vec(), "Feather"),
            (b"PARE".to_vec(), "encrypted"),
            (b"a,b\nM\xfcller,1\n".to_vec(), "line 2 has a letter"),
            (b"a,b\n\0,1\n".to_vec(), "zero byte in line 2"),
            (utf16_of("patient_id,label\n7,0\n", false, u16::to_le_bytes), "UTF-16 without a mark"),
            (b"<html><table>".to_vec(), "HTML"),
        ];
        for (bytes, word) in cases {
            let message = text(bytes).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
