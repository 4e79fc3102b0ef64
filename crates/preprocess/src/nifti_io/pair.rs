//! A volume in two files: NAME.hdr with the header, NAME.img with the voxels (nifti1.h, magic `ni1`), either of them gzipped or not.

use std::path::{Path, PathBuf};

use super::ends_with;
use crate::error::Error;

/// How the names of the two files end.
const HEADER: [&str; 2] = [".hdr", ".hdr.gz"];
const VOXELS: [&str; 2] = [".img", ".img.gz"];

/// True for names that end as those of the two files do.
pub(super) fn is_part(path: &Path) -> bool {
    ends_with(path, &HEADER) || ends_with(path, &VOXELS)
}

/// The header's file and that of the voxels, if `path` is one of them.
///
/// # Errors
/// The other one is not there.
pub(super) fn of(path: &Path) -> Result<Option<(PathBuf, PathBuf)>, Error> {
    if ends_with(path, &HEADER) {
        Ok(Some((path.to_owned(), other(path, &VOXELS)?)))
    } else if ends_with(path, &VOXELS) {
        Ok(Some((other(path, &HEADER)?, path.to_owned())))
    } else {
        Ok(None)
    }
}

/// The file beside `path` of the same name with one of the other ends, in the same letters (.HDR and .IMG) or small ones.
fn other(path: &Path, ends: &[&str; 2]) -> Result<PathBuf, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let gzipped = if name.to_lowercase().ends_with(".gz") { ".gz".len() } else { 0 };
    let stem = &name[..name.len() - gzipped - ".hdr".len()];
    let names = ends.iter().flat_map(|end| [format!("{stem}{end}"), format!("{stem}{}", end.to_uppercase())]);
    let found = names.map(|name| path.with_file_name(name)).find(|other| other.is_file());
    found.ok_or_else(|| Error::File {
        path: path.to_owned(),
        message: format!(
            "it is one of the two files of a volume, and {stem}{} is not beside it; put both in one folder, or convert the volume to one \
             .nii.gz file",
            ends[0]
        ),
    })
}

/// Compares what a header calls itself with the file it came from.
///
/// # Errors
/// It belongs to another kind of file, or is Analyze's, which does not say which side is left.
pub(super) fn check_magic(magic: &[u8], in_pair: bool) -> Result<(), String> {
    let message = match (magic, in_pair) {
        (b"ni1\0", true) | (b"n+1\0", false) => return Ok(()),
        (b"ni1\0", false) => {
            "it is the header of a .hdr and .img pair; name it .hdr, with the voxels beside it as .img"
        }
        (b"n+1\0", true) => "header and voxels are in one file; name it .nii",
        _ => {
            "it is no NIfTI-1, as Analyze 7.5, which does not say which side is left; convert it to NIfTI (.nii.gz) with a program that \
             knows how it was written"
        }
    };
    Err(message.to_owned())
}
