//! Where a crate is written: beside its place first, and never over anything but an earlier crate.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use contract::cli;
use serde_json::Value;
use tempfile::TempDir;

use super::{METADATA, metadata, pack, zip};
use crate::error::Error;

/// The crate, in the temporary folder.
const NEW: &str = "crate";
/// The crate that it replaces, there as well until it is replaced.
const OLD: &str = "replaced";

/// Where a crate goes.
#[derive(Debug)]
pub struct Target {
    /// Its name, without a slash at the end.
    pub out: PathBuf,
    is_zip: bool,
}

impl Target {
    /// A folder, or a ZIP file if it is called so.
    ///
    /// # Errors
    /// Something else than an earlier crate is there.
    pub fn new(out: &Path) -> Result<Self, Error> {
        let out: PathBuf = out.components().collect();
        let is_zip = out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
        let target = Self { out, is_zip };
        target.refuse_others()?;
        Ok(target)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.out.clone(), source }
    }

    fn above(&self) -> &Path {
        self.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Makes a folder of a name that nobody has, and returns it with the folder in it to fill.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(&self) -> Result<(TempDir, PathBuf), Error> {
        let make = || {
            fs::create_dir_all(self.above())?;
            let temporary = tempfile::Builder::new().prefix(".chumoku-crate-").tempdir_in(self.above())?;
            let new = temporary.path().join(NEW);
            fs::create_dir(&new)?;
            Ok((temporary, new))
        };
        make().map_err(|source| self.failed(source))
    }

    /// Puts what was filled in its place.
    ///
    /// # Errors
    /// It cannot be written; what was there stays.
    pub fn place(&self, temporary: TempDir) -> Result<(), Error> {
        // Once more: filling took its time.
        self.refuse_others()?;
        if self.is_zip {
            return pack(&temporary.path().join(NEW), &self.out);
        }
        self.swap(temporary).map_err(|source| self.failed(source))
    }

    fn swap(&self, temporary: TempDir) -> io::Result<()> {
        let (new, old) = (temporary.path().join(NEW), temporary.path().join(OLD));
        let replaces = self.out.exists();
        if replaces {
            fs::rename(&self.out, &old)?;
        }
        if let Err(error) = fs::rename(&new, &self.out) {
            if replaces && fs::rename(&old, &self.out).is_err() {
                // It has no other place any more.
                let _ = temporary.keep();
            }
            return Err(error);
        }
        fs::File::open(self.above())?.sync_all()
    }

    fn refuse_others(&self) -> Result<(), Error> {
        let refuse = |why: &str| {
            let text = format!("--out {} {why}; name a new folder or a new .zip file", self.out.display());
            Err(Error::Usage(text))
        };
        if self.out.file_name().is_none() {
            return refuse("has no name of its own");
        }
        match self.out.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed(error)),
            Ok(_) => {}
        }
        let Some((held, listed)) = self.held().zip(self.listed()) else {
            return if self.is_empty() { Ok(()) } else { refuse("is there and is no crate of a study") };
        };
        let strange = |name: &String| name != METADATA && !listed.contains(&metadata::encoded(name));
        let strangers: Vec<String> = held.into_iter().filter(strange).collect();
        match strangers.is_empty() {
            true => Ok(()),
            false => refuse(&format!("holds what the crate there does not list: {}", cli::summary(&strangers))),
        }
    }

    fn is_empty(&self) -> bool {
        let is_folder = !self.is_zip && !self.out.is_symlink();
        is_folder && fs::read_dir(&self.out).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// The names of all files that are there, if it is a folder or ZIP file.
    fn held(&self) -> Option<Vec<String>> {
        if self.out.is_symlink() {
            return None;
        }
        if self.is_zip { zip::names(&self.out).ok() } else { files(&self.out).ok() }
    }

    /// The names, as URIs, of the files that a crate of a study says it has.
    fn listed(&self) -> Option<HashSet<String>> {
        let text = if self.is_zip { zip::read(&self.out, METADATA) } else { fs::read(self.out.join(METADATA)) };
        let document: Value = serde_json::from_slice(&text.ok()?).ok()?;
        let root = document["@graph"].as_array()?.iter().find(|entity| entity["@id"] == metadata::ROOT)?;
        root["name"].as_str().filter(|name| name.starts_with(metadata::TITLE))?;
        let parts = root["hasPart"].as_array()?;
        Some(parts.iter().filter_map(|part| part["@id"].as_str().map(str::to_owned)).collect())
    }
}

/// All that is no folder below `folder`, hidden files and links included, relative to it.
fn files(folder: &Path) -> io::Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
