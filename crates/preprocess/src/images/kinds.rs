//! What a file is that is neither DICOM, NIfTI, PNG nor JPEG, known by how it begins, so that an error can name it and say what
//! to do.

/// What to do with a picture in another format.
const TO_PNG: &str = "convert it to PNG, for example with ImageMagick or ImageJ";
/// The same, where pixels may have 16 bits.
const TO_WIDE_PNG: &str = "convert it to PNG, for example with ImageMagick or ImageJ; 16-bit grey stays 16-bit grey there, negative values do not";
const UNPACK: &str = "unpack it first, then give the folder or file that it holds";
const TO_NIFTI: &str = "convert it to NIfTI (.nii.gz), for example with ITK-SNAP or 3D Slicer";
const NAME_NIFTI: &str = "give it a name that ends in .nii or .nii.gz";
const NO_CT: &str = "it holds no CT; give a DICOM file or folder, a NIfTI, a PNG or a JPEG";
const AS_INPUT: &str = "DICOM is given as a folder, in a study as preprocess.input; for a manifest convert it to NIfTI";
const DOWNLOAD: &str = "an error page in place of a download, most likely; download the file again";
const NAME_PICTURE: &str = "rename it, or move it out of a folder of DICOM files";

/// Start of a file, where it stands, what the file is, and what to do with it.
const KINDS: [(&[u8], usize, &str, &str); 41] = [
    (b"DICM", 128, "a DICOM file", AS_INPUT),
    (b"\x89PNG\r\n\x1a\n", 0, "a PNG", NAME_PICTURE),
    (b"\xFF\xD8\xFF", 0, "a JPEG", NAME_PICTURE),
    (b"II*\0", 0, "a TIFF", TO_WIDE_PNG),
    (b"MM\0*", 0, "a TIFF", TO_WIDE_PNG),
    (b"II+\0", 0, "a BigTIFF", TO_WIDE_PNG),
    (b"MM\0+", 0, "a BigTIFF", TO_WIDE_PNG),
    (b"BM", 0, "a BMP", TO_PNG),
    (b"WEBP", 8, "a WebP", TO_PNG),
    (b"GIF8", 0, "a GIF", TO_PNG),
    (b"ftypavif", 4, "an AVIF", TO_PNG),
    (b"ftyphei", 4, "a HEIC", TO_PNG),
    (b"ftyphev", 4, "a HEIC", TO_PNG),
    (b"ftypmif1", 4, "a HEIF", TO_PNG),
    (b"ftypmsf1", 4, "a HEIF", TO_PNG),
    (b"\0\0\0\x0CjP  ", 0, "a JPEG 2000", TO_WIDE_PNG),
    (b"\xFF\x4F\xFF\x51", 0, "a JPEG 2000", TO_WIDE_PNG),
    (b"\0\0\0\x0CJXL ", 0, "a JPEG XL", TO_PNG),
    (b"PK\x03\x04", 0, "a zip archive", UNPACK),
    (b"PK\x05\x06", 0, "an empty zip archive", "copy or export it again"),
    (b"\x1F\x8B", 0, "a gzip archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", 0, "a 7z archive", UNPACK),
    (b"Rar!", 0, "a RAR archive", UNPACK),
    (b"\xFD7zXZ\0", 0, "an xz archive", UNPACK),
    (b"BZh", 0, "a bzip2 archive", UNPACK),
    (b"\x28\xB5\x2F\xFD", 0, "a zstd archive", UNPACK),
    (b"ustar", 257, "a tar archive", UNPACK),
    (b"n+1\0", 344, "a NIfTI", NAME_NIFTI),
    (b"n+2\0", 4, "a NIfTI 2", NAME_NIFTI),
    (b"NRRD0", 0, "an NRRD", TO_NIFTI),
    (b"ObjectType", 0, "a MetaImage", TO_NIFTI),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", TO_NIFTI),
    (b"MATLAB 5.0", 0, "a MATLAB file", TO_NIFTI),
    (b"\x93NUMPY", 0, "a NumPy array", TO_NIFTI),
    (b"%PDF", 0, "a PDF", NO_CT),
    (b"\0\x05\x16\x07", 0, "a file of a Mac about another file", "remove it"),
    (b"version https://git-lfs", 0, "a Git LFS pointer", "fetch the file itself with `git lfs pull`"),
    (b"/annex/objects", 0, "a git-annex pointer", "fetch the file itself with `git annex get`"),
    (b"SQLite format 3", 0, "an SQLite database", NO_CT),
    (b"MZ", 0, "a Windows program", NO_CT),
    (b"\x7FELF", 0, "a Linux program", NO_CT),
];

/// What a file is that begins with these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Such as `a TIFF`.
    pub name: &'static str,
    /// What to do with it.
    pub remedy: &'static str,
}

impl Kind {
    /// What to do with it where it lies in a folder of DICOM files under a name of one.
    pub fn remedy_in_folder(&self) -> &'static str {
        if self.remedy == NO_CT {
            "it holds no CT; take it out of the folder, or name it without .dcm"
        } else {
            self.remedy
        }
    }
}

/// The kind of a file by its first bytes, whatever its name; `None` if it is not known. DICOM has none here.
pub fn of(bytes: &[u8]) -> Option<Kind> {
    let is = |start: &[u8], at: usize| bytes.get(at..).is_some_and(|rest| rest.starts_with(start));
    if bytes.is_empty() {
        return Some(Kind { name: "an empty file (0 bytes)", remedy: "copy or export it again" });
    }
    let known = KINDS.iter().find(|(start, at, ..)| is(start, *at));
    let known = known.map(|(_, _, name, remedy)| Kind { name, remedy });
    known.or_else(|| zeros(bytes)).or_else(|| text(bytes))
}

/// What a transfer that was cut off, or a damaged disk, leaves.
fn zeros(bytes: &[u8]) -> Option<Kind> {
    let all = bytes.iter().all(|byte| *byte == 0);
    all.then_some(Kind { name: "a file that begins with zeros alone", remedy: "copy or export it again" })
}

/// A text, by its first letters; the bytes may end within one.
fn text(bytes: &[u8]) -> Option<Kind> {
    let is_wide = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\r\n\x0C".contains(byte);
    if !is_wide && bytes.iter().any(is_control) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
    let is_page = start.starts_with("<!doctype html") || start.starts_with("<html");
    let (name, remedy) = match start.chars().next() {
        _ if is_page => ("a web page (HTML)", DOWNLOAD),
        Some('<') => ("an XML text", NO_CT),
        Some('{' | '[') => ("a JSON text", NO_CT),
        _ => ("a text", NO_CT),
    };
    Some(Kind { name, remedy })
}

/// What a file is that is neither PNG nor JPEG, and what to do; `None` if it is one, or not known.
pub(super) fn foreign(bytes: &[u8]) -> Option<String> {
    let kind = of(bytes).filter(|kind| kind.remedy != NAME_PICTURE)?;
    Some(format!("it is {}, which is not read as an image; {}", kind.name, kind.remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_by_their_first_bytes() {
        for (bytes, name, remedy) in [
            (&b"II*\0\x08\0\0\0"[..], "a TIFF", "to PNG"),
            (b"MM\0*", "a TIFF", "negative values"),
            (b"BM6", "a BMP", "to PNG"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP", "to PNG"),
            (b"\0\0\0\x18ftypheic", "a HEIC", "to PNG"),
            (b"PK\x03\x04\x14\0", "a zip archive", "unpack it first"),
            (b"\x1F\x8B\x08", "a gzip archive", "unpack it first"),
            (b"%PDF-1.4", "a PDF", "holds no CT"),
            (b"NRRD0004\n", "an NRRD", "to NIfTI"),
            (b"", "an empty file", "again"),
            (&[0; 200], "zeros alone", "again"),
            (b"\n<!DOCTYPE html><html>", "a web page", "download"),
            (b"<?xml version=\"1.0\"?>", "an XML text", "holds no CT"),
            (b"{\"a\": 1}", "a JSON text", "holds no CT"),
            (b"path,label\n", "a text", "holds no CT"),
        ] {
            assert!(foreign(bytes).is_some_and(|text| text.contains(name) && text.contains(remedy)), "{name}");
        }
        assert!(foreign(b"\x89PNG\r\n\x1a\n").is_none() && foreign(b"\xFF\xD8\xFF\xE0").is_none());
        assert!(of(b"\x01\x02\x03").is_none());
    }
}
