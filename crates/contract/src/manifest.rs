//! The files that a manifest names: what a study over images or volumes reads.

use std::io;
use std::path::{Path, PathBuf};

use crate::hash;
use crate::schema::column;

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Line of the table, from 1; the header is line 1.
    pub row: u64,
    /// The path as the manifest has it.
    pub name: String,
    /// The file: the path taken from the manifest's folder.
    pub path: PathBuf,
}

/// The files that the column `path` names, row by row. An empty value names none.
///
/// # Errors
/// The manifest cannot be read, or is no table with that column.
pub fn files(manifest: &Path) -> io::Result<Vec<Listed>> {
    let bytes = std::fs::read(manifest)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let place = reader.headers()?.iter().position(|name| name == column::PATH);
    let place = place.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no column of paths"))?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record?;
        let name = record.get(place).unwrap_or_default().to_owned();
        if !name.is_empty() {
            let row = record.position().map_or(0, csv::Position::line);
            found.push(Listed { row, path: folder.join(&name), name });
        }
    }
    Ok(found)
}

/// One hash for all files that a manifest names: of the sorted list of their names and content hashes.
///
/// A manifest that is no table names no file here, and a file that is not there counts as one of its own kind: what is wrong, and in which
/// row, is for the program to say that reads them.
///
/// # Errors
/// The manifest cannot be read, or a file that is there cannot; the message has its row and not its name.
pub fn hash(manifest: &Path, cache: &mut hash::Cache) -> io::Result<String> {
    let files = listed(manifest)?;
    cache.prepare(files.iter().map(|file| file.path.clone()));
    let mut hashes = Vec::new();
    for file in &files {
        let hash = match file.path.is_file() {
            true => cache.file(&file.path).map_err(|error| in_row(file, &error))?,
            false => hash::MISSING.to_owned(),
        };
        hashes.push(hash);
    }
    Ok(hash::tree_of(files.iter().map(|file| Path::new(&file.name)).zip(hashes.iter().map(String::as_str))))
}

fn in_row(file: &Listed, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the file of row {} cannot be read: {error}; make it readable", file.row))
}

/// [`files`], none of a manifest that is no table.
fn listed(manifest: &Path) -> io::Result<Vec<Listed>> {
    match files(manifest) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData || error.get_ref().is_some() => Ok(Vec::new()),
        other => other,
    }
}

/// The first file of a manifest that is not there, in words with its row and without its name; none if all are, or if the manifest cannot be
/// read.
pub fn missing(manifest: &Path) -> Option<io::Error> {
    let files = listed(manifest).unwrap_or_default();
    let lost: Vec<&Listed> = files.iter().filter(|file| !file.path.is_file()).collect();
    let first = lost.first()?;
    let more = if lost.len() > 1 { format!(", and so do {} rows below it", lost.len() - 1) } else { String::new() };
    let message = format!(
        "row {} names a file that is not there{more}; paths are relative to the manifest: put the file there, or take the row out",
        first.row
    );
    Some(io::Error::new(io::ErrorKind::NotFound, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("ct/m.csv");
        std::fs::create_dir(folder.path().join("ct")).unwrap();
        std::fs::write(folder.path().join("ct/a.png"), "a").unwrap();
        std::fs::write(folder.path().join("b.png"), "b").unwrap();
        std::fs::write(&manifest, "\u{feff}patient_id, path,label\n1,a.png,0\n2, ../b.png ,1\n").unwrap();
        (folder, manifest)
    }

    fn hash_of(manifest: &Path) -> String {
        hash(manifest, &mut hash::Cache::default()).unwrap()
    }

    #[test]
    fn rows_name_files_from_the_folder_of_the_manifest() {
        let (folder, manifest) = study();
        let found = files(&manifest).unwrap();
        let rows: Vec<(u64, &str)> = found.iter().map(|file| (file.row, file.name.as_str())).collect();
        assert_eq!(rows, [(2, "a.png"), (3, "../b.png")]);
        assert_eq!(found[1].path, folder.path().join("ct/../b.png"));
        let absolute = folder.path().join("b.png");
        std::fs::write(&manifest, format!("path\n{}\n", absolute.display())).unwrap();
        assert_eq!(files(&manifest).unwrap()[0].path, absolute);
    }

    #[test]
    fn only_the_files_that_are_named_count() {
        let (folder, manifest) = study();
        // The list by hand, in the order of the names.
        let (a, b) = (hash::bytes(b"a"), hash::bytes(b"b"));
        let before = hash_of(&manifest);
        assert_eq!(before, hash::bytes(format!("../b.png\0{b}a.png\0{a}").as_bytes()));
        std::fs::write(folder.path().join("ct/run.log"), "written meanwhile").unwrap();
        assert_eq!(hash_of(&manifest), before);
        std::fs::write(folder.path().join("b.png"), "changed").unwrap();
        assert_ne!(hash_of(&manifest), before);
    }

    #[test]
    fn a_file_that_is_not_there_has_its_row_and_no_name() {
        let (folder, manifest) = study();
        let before = hash_of(&manifest);
        assert!(missing(&manifest).is_none());
        std::fs::remove_file(folder.path().join("b.png")).unwrap();
        let words = missing(&manifest).unwrap().to_string();
        assert!(words.starts_with("row 3 names a file that is not there; ") && !words.contains("b.png"), "{words}");
        assert_ne!(hash_of(&manifest), before);
        std::fs::create_dir(folder.path().join("b.png")).unwrap();
        assert!(missing(&manifest).is_some(), "a folder is no file");
    }

    #[test]
    fn what_is_no_table_names_no_file_and_what_is_not_there_is_an_error() {
        let (folder, manifest) = study();
        for text in ["", "file,label\na.png,0\n", "path,label\na.png\n"] {
            std::fs::write(&manifest, text).unwrap();
            assert!(files(&manifest).is_err(), "{text:?}");
            assert_eq!(hash_of(&manifest), hash::tree_of([]), "{text:?}");
            assert!(missing(&manifest).is_none());
        }
        let error = hash(&folder.path().join("none.csv"), &mut hash::Cache::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
