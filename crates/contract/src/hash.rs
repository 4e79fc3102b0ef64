//! Content hashes (BLAKE3): a file, a folder, a value. Never times or sizes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::layout::RECEIPT;
use crate::walk;

pub use crate::walk::walk;

/// Files up to this many bytes are hashed side by side, one a thread; for larger ones all threads share a file.
const SMALL: u64 = 8 << 20;

/// Stands for the hash of a file that is not there, where there need be none.
pub const MISSING: &str = "missing";

/// BLAKE3 of a file's bytes, in lower-case hex.
pub fn file(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// BLAKE3 of bytes, in lower-case hex.
pub fn bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// BLAKE3 of a value's JSON. Maps keep their order, so build them in a fixed one.
pub fn value(value: &serde_json::Value) -> String {
    bytes(value.to_string().as_bytes())
}

/// [`file()`] of many files, in their order.
///
/// # Errors
/// That of the first that cannot be read.
pub fn files(paths: &[PathBuf]) -> io::Result<Vec<String>> {
    let is_small = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.len() <= SMALL);
    let small: Vec<usize> = (0..paths.len()).filter(|at| is_small(&paths[*at])).collect();
    let mut found: Vec<Option<io::Result<String>>> = paths.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        // Read, not mapped: mapping many files from several threads makes them wait for each other.
        let (mut mine, mut bytes) = (Vec::new(), Vec::new());
        while let Some(at) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes.clear();
            let read = File::open(&paths[*at]).and_then(|mut file| file.read_to_end(&mut bytes));
            mine.push((*at, read.map(|_| self::bytes(&bytes))));
        }
        mine
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(small.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for (at, hashed) in workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()) {
            found[at] = Some(hashed);
        }
    });
    paths.iter().zip(found).map(|(path, found)| found.unwrap_or_else(|| file(path))).collect()
}

/// One hash for all files below `folder`: of the sorted list of relative paths and content hashes. Receipts are left out,
/// because they say how a folder was made and not what is in it.
pub fn tree(folder: &Path) -> io::Result<String> {
    Cache::default().tree(folder)
}

/// The hash of a folder of which the files, by relative path, and their hashes are known.
pub fn tree_of<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> String {
    let mut files: Vec<(&Path, &str)> = files.into_iter().filter(|(path, _)| !is_receipt(path)).collect();
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for (relative, hash) in files {
        hasher.update(relative.as_os_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(hash.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn is_receipt(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == RECEIPT)
}

/// The hash of a file or of a folder's content.
pub fn path(path: &Path) -> io::Result<String> {
    if path.is_dir() { tree(path) } else { file(path) }
}

/// Remembers what was hashed, since many tasks share an input and one's output is another's input.
#[derive(Debug, Default)]
pub struct Cache {
    files: BTreeMap<PathBuf, String>,
    trees: BTreeMap<PathBuf, String>,
    /// Folders, and where they are for now.
    elsewhere: Vec<(PathBuf, PathBuf)>,
}

impl Cache {
    /// What is asked for in `folder` is looked for in `place`, where a killed process left it.
    pub fn look_elsewhere(&mut self, folder: PathBuf, place: PathBuf) {
        self.elsewhere.push((folder, place));
    }

    /// Where `path` is for now.
    pub fn real(&self, path: &Path) -> PathBuf {
        let moved = |(from, to): &(PathBuf, PathBuf)| path.strip_prefix(from).ok().map(|rest| to.join(rest));
        // Collected from its parts, since joining nothing leaves a slash.
        self.elsewhere.iter().find_map(moved).map_or_else(|| path.to_owned(), |place| place.components().collect())
    }

    /// [`path()`] of `path`, computed the first time it is asked for.
    pub fn path(&mut self, path: &Path) -> io::Result<String> {
        let path = &*self.real(path);
        if path.is_dir() { self.tree(path) } else { self.file(path) }
    }

    /// [`file()`] of `path`, computed the first time it is asked for.
    pub fn file(&mut self, path: &Path) -> io::Result<String> {
        if let Some(hash) = self.files.get(path) {
            return Ok(hash.clone());
        }
        let hash = file(path)?;
        self.files.insert(path.to_owned(), hash.clone());
        Ok(hash)
    }

    /// Hashes those of `paths` that are files and not known yet, side by side, so that asking for each is quick.
    pub fn prepare(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let new: Vec<PathBuf> = paths
            .into_iter()
            .map(|path| self.real(&path))
            .filter(|path| !self.files.contains_key(path) && path.is_file())
            .collect();
        // What cannot be read says so when it is asked for.
        if let Ok(hashes) = files(&new) {
            self.files.extend(new.into_iter().zip(hashes));
        }
    }

    /// [`tree`] of `folder`, computed the first time it is asked for.
    fn tree(&mut self, folder: &Path) -> io::Result<String> {
        if let Some(hash) = self.trees.get(folder) {
            return Ok(hash.clone());
        }
        let names: Vec<PathBuf> = walk(folder)?.into_iter().filter(|name| !is_receipt(name)).collect();
        self.prepare(names.iter().map(|name| folder.join(name)));
        let mut hashes = Vec::new();
        for name in &names {
            hashes.push(self.file(&folder.join(name)).map_err(|error| walk::unread(folder, name, error))?);
        }
        let hash = tree_of(names.iter().map(PathBuf::as_path).zip(hashes.iter().map(String::as_str)));
        self.trees.insert(folder.to_owned(), hash.clone());
        Ok(hash)
    }

    /// Forgets everything below `path`, after something wrote there.
    pub fn forget(&mut self, path: &Path) {
        let apart = |known: &Path| !known.starts_with(path) && !path.starts_with(known);
        self.files.retain(|known, _| apart(known));
        self.trees.retain(|known, _| apart(known));
    }
}
