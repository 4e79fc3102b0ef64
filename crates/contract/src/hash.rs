//! Content hashes (BLAKE3): a file, a folder, a value. Never times or sizes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::layout::RECEIPT;

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

/// One hash for all files below `folder`: of the sorted list of relative paths and content hashes. Receipts are left out,
/// because they say how a folder was made and not what is in it.
pub fn tree(folder: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for relative in walk(folder)? {
        if relative.file_name().is_some_and(|name| name == RECEIPT) {
            continue;
        }
        hasher.update(relative.to_string_lossy().as_bytes());
        hasher.update(&[0]);
        hasher.update(file(&folder.join(&relative))?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The hash of a file or of a folder's content.
pub fn path(path: &Path) -> io::Result<String> {
    if path.is_dir() { tree(path) } else { file(path) }
}

/// All regular files below `folder`, relative to it, sorted. Names that start with a dot are passed over.
pub fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&relative))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = relative.join(entry.file_name());
            // `metadata` follows links: a study's data often is one.
            let kind = std::fs::metadata(entry.path())?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Remembers what was hashed, since many tasks share an input.
#[derive(Debug, Default)]
pub struct Cache(BTreeMap<PathBuf, String>);

impl Cache {
    /// The hash of `path`, computed the first time it is asked for.
    pub fn path(&mut self, path: &Path) -> io::Result<String> {
        if let Some(hash) = self.0.get(path) {
            return Ok(hash.clone());
        }
        let hash = self::path(path)?;
        self.0.insert(path.to_owned(), hash.clone());
        Ok(hash)
    }

    /// Forgets everything below `path`, after something wrote there.
    pub fn forget(&mut self, path: &Path) {
        self.0.retain(|known, _| !known.starts_with(path) && !path.starts_with(known));
    }
}
