//! What the outputs, the log and the errors may say of a patient: a pseudonym, keyed by a secret of the study.
//!
//! Paths often spell an id, a name or a date of birth: those are replaced wherever they stand as words. Of a file in a folder where no
//! header could be read, nobody knows which words are names. An error gives such a file, and one whose path spells a name, a pseudonym as a
//! whole, which `whois` looks up.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use contract::config::{Config, Pseudonyms};
use contract::id::{self, Key};
use contract::layout::{LABELS, Layout, TRUTH};
use contract::receipt;

use crate::error::Error;

/// What stands in place of a name or a date.
const HIDDEN: &str = "hidden";

/// Parts of a name with fewer letters would hide half of every path.
const LEAST_LETTERS: usize = 2;

/// The same of parts with a digit: two digits of a date are in every path.
const LEAST_DIGITS: usize = 3;

/// Secrets with fewer characters are hidden in paths alone: as words of a sentence they mean something else.
const LEAST_IN_TEXT: usize = 4;

/// What the name of a file that nobody knows begins with.
pub const UNKNOWN_FILE: &str = "file-";

/// Characters of the longest ending of a name that still is an extension; a longer one may be part of a name or an id.
const LONGEST_EXTENSION: usize = 4;

/// The key cannot be had: a study that has none yet, or one that lost it.
fn lost(path: &Path, layout: &Layout, source: io::Error) -> Error {
    if source.kind() != io::ErrorKind::NotFound {
        return Error::Write { path: path.to_owned(), source };
    }
    let message = format!(
        "the key of the pseudonyms is gone, and {} was made with it; put the file back, or remove that folder to give every patient a new \
         pseudonym",
        layout.masks().display()
    );
    Error::File { path: path.to_owned(), message }
}

/// How raw ids become ids of the outputs, and what must not be seen.
pub struct Naming {
    key: Option<Key>,
    /// What must not be seen, and what stands for it.
    hidden: BTreeMap<String, String>,
    /// The folder below which paths may spell names; none for a manifest, whose patients are known before its files are read.
    root: Option<PathBuf>,
    /// Folders, relative to the root, of which a header was read, so that the names in their paths are known.
    known_folders: BTreeSet<PathBuf>,
}

impl Naming {
    /// The naming of a study; makes the key the first time.
    ///
    /// # Errors
    /// The key's file cannot be read or written, or is gone although the study's slices were named with it.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let layout = Layout::new(config);
        let path = layout.pseudonym_key();
        let named = receipt::read(&layout.masks())
            .is_some_and(|receipt| receipt.config["preprocess"]["pseudonyms"] == serde_json::json!("keyed"));
        let make = if named { Key::load } else { Key::load_or_create };
        Self::with(config, || make(&path).map_err(|source| lost(&path, &layout, source)))
    }

    fn with(config: &Config, key: impl FnOnce() -> Result<Key, Error>) -> Result<Self, Error> {
        let key = match config.preprocess.pseudonyms {
            Pseudonyms::Keep => None,
            Pseudonyms::Keyed => Some(key()?),
        };
        Ok(Self { key, hidden: BTreeMap::new(), root: None, known_folders: BTreeSet::new() })
    }

    /// The secret behind the pseudonyms, if patients have any.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The id of a patient in the outputs.
    ///
    /// # Errors
    /// The id is empty, or is to be kept and cannot be a name.
    pub fn patient(&self, raw: &str) -> Result<String, Error> {
        let failed =
            |patient: &str, message: &str| Error::Patient { patient: patient.to_owned(), message: message.to_owned() };
        match &self.key {
            _ if raw.is_empty() => Err(failed("without id", "slices of a patient must share one PatientID")),
            Some(key) => Ok(key.patient(raw)),
            None if raw.contains(['/', '\\']) || raw.chars().any(char::is_control) || raw.starts_with('.') => {
                Err(failed(
                    raw,
                    "an id with a path separator or control character cannot be kept; use preprocess.pseudonyms: keyed",
                ))
            }
            None => Ok(raw.to_owned()),
        }
    }

    /// The id of a series in the outputs.
    pub fn series(&self, raw: &str) -> String {
        match &self.key {
            Some(key) => key.pseudonym("series", raw),
            None => id::short(raw),
        }
    }

    /// Takes paths below `folder` for such as may spell names.
    pub fn set_root(&mut self, folder: &Path) {
        self.root = Some(folder.to_owned());
    }

    /// Registers that the header of a file, relative to the root, was read, and its patient with [`Self::register`].
    pub fn register_folder(&mut self, file: &Path) {
        let folder = file.parent().unwrap_or(Path::new(""));
        if !self.known_folders.contains(folder) {
            self.known_folders.insert(folder.to_owned());
        }
    }

    /// What an error calls a file, relative to the root, of whose path nobody knows which words are names: `file-` and hex digits, with the
    /// extension of the file.
    pub fn unknown_file(&self, relative: &Path) -> String {
        let raw = relative.to_string_lossy();
        let digits = self.key.as_ref().map_or_else(|| id::short(&raw), |key| key.pseudonym("file", &raw));
        let extension = relative.extension().filter(|extension| extension.len() <= LONGEST_EXTENSION);
        let extension = extension.map_or_else(String::new, |extension| format!(".{}", extension.to_string_lossy()));
        format!("{UNKNOWN_FILE}{digits}{extension}")
    }

    /// Remembers what must not be seen of a patient: the raw id, if ids have pseudonyms, and names and dates.
    pub fn register<'a>(&mut self, raw: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut add = |secret: &str, stands_for: &str| {
            if !secret.is_empty() {
                self.hidden.entry(secret.to_owned()).or_insert_with(|| stands_for.to_owned());
            }
        };
        if let Some(key) = &self.key {
            add(raw, &key.patient(raw));
        }
        for name in names {
            words(name).for_each(|word| add(word, HIDDEN));
        }
    }

    /// A path of the input for the outputs, with what must not be seen of its patient hidden.
    pub fn source<'a>(&self, path: &str, raw: &str, names: impl IntoIterator<Item = &'a str>) -> String {
        let mut text = path.to_owned();
        if let Some(key) = &self.key {
            text = replace_whole(&text, raw, &key.patient(raw));
        }
        for name in names {
            text = words(name).fold(text, |text, word| replace_whole(&text, word, HIDDEN));
        }
        text
    }

    /// An error that says nothing of patients.
    pub fn hide_in(&self, error: Error) -> Error {
        let path = |path: PathBuf| self.hide_path(&path);
        let text = |message: String| self.hide(&message, LEAST_IN_TEXT);
        match error {
            Error::Read { path: file, source } => match path(file) {
                file if is_unknown(&file) => {
                    let message = format!("cannot be read: {source}{}", where_it_is(&file));
                    Error::File { path: file, message }
                }
                file => Error::Read { path: file, source },
            },
            Error::File { path: file, message } => {
                let file = path(file);
                let advice = if is_unknown(&file) { where_it_is(&file) } else { String::new() };
                Error::File { path: file, message: text(message) + &advice }
            }
            Error::NoCt { folder, found } => Error::NoCt { folder: path(folder), found: text(found) },
            Error::Row { path: file, row, message } => Error::Row { path: path(file), row, message: text(message) },
            Error::Suspect { what, finding, advice } => Error::Suspect { what: text(what), finding, advice },
            other => other,
        }
    }

    fn hide_path(&self, path: &Path) -> PathBuf {
        let below = self.root.as_ref().and_then(|root| Some((root, path.strip_prefix(root).ok()?)));
        match below {
            Some((root, file)) if self.key.is_some() && !self.is_known(file) => root.join(self.unknown_file(file)),
            // A path with words replaced leads nowhere; `whois` knows the file by its pseudonym.
            Some((root, file)) if self.hide(&file.to_string_lossy(), 1) != file.to_string_lossy() => {
                root.join(self.unknown_file(file))
            }
            // Nothing of the folder that the user named is hidden, or the message would not say where to look.
            Some((root, file)) => root.join(file),
            None => PathBuf::from(self.hide(&path.to_string_lossy(), 1)),
        }
    }

    /// True for the root, for the files directly in it that a study has there, and where a header was read.
    fn is_known(&self, file: &Path) -> bool {
        let folder = file.parent().unwrap_or(Path::new(""));
        let is_own = [LABELS, TRUTH].iter().any(|own| file == Path::new(own));
        file.as_os_str().is_empty() || is_own || self.known_folders.contains(folder)
    }

    fn hide(&self, text: &str, least: usize) -> String {
        let mut hidden: Vec<_> = self.hidden.iter().filter(|(secret, _)| secret.len() >= least).collect();
        // Longer ones first, so that an id goes before a word of it.
        hidden.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        hidden.into_iter().fold(text.to_owned(), |text, (secret, stands_for)| replace_whole(&text, secret, stands_for))
    }
}

/// True for what [`Naming::unknown_file`] made.
fn is_unknown(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNKNOWN_FILE))
}

/// How the owner finds such a file.
fn where_it_is(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("; `chumoku-preprocess whois {name} --config STUDY.yaml` prints its path")
}

/// The parts of a DICOM person name (`Doe^Jane`, PS3.5 6.2.1.2) or a date that could be told again.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| {
        let least = if word.chars().all(char::is_alphabetic) { LEAST_LETTERS } else { LEAST_DIGITS };
        word.chars().count() >= least
    })
}

/// Replaces `old` where no letter or digit touches it, whatever the case of its letters.
fn replace_whole(text: &str, old: &str, new: &str) -> String {
    let old: Vec<char> = old.chars().flat_map(char::to_lowercase).collect();
    let letters: Vec<char> = text.chars().collect();
    if old.is_empty() || letters.len() < old.len() {
        return text.to_owned();
    }
    let same = |a: char, b: char| a == b || a.to_lowercase().eq(std::iter::once(b));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = at + old.len();
        let fits = end <= letters.len() && letters[at..end].iter().zip(&old).all(|(a, b)| same(*a, *b));
        let before = at > 0 && letters[at - 1].is_alphanumeric();
        let after = letters.get(end).is_some_and(|letter| letter.is_alphanumeric());
        if fits && !before && !after {
            out.push_str(new);
            at = end;
        } else {
            out.push(letters[at]);
            at += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A naming without a key, in which these raw ids have these pseudonyms.
    fn naming(hidden: &[(&str, &str)]) -> Naming {
        Naming {
            key: None,
            hidden: hidden.iter().map(|(raw, id)| ((*raw).to_owned(), (*id).to_owned())).collect(),
            root: None,
            known_folders: BTreeSet::new(),
        }
    }

    #[test]
    fn raw_ids_leave_the_paths() {
        assert_eq!(replace_whole("P01/ct_P01/IM0001.dcm", "P01", "x"), "x/ct_x/IM0001.dcm");
        assert_eq!(replace_whole("1/IM0001.dcm", "1", "x"), "x/IM0001.dcm");
        assert_eq!(replace_whole("P011/P01.dcm", "P01", "x"), "P011/x.dcm");
        assert_eq!(replace_whole("11", "1", "x"), "11");
        assert_eq!(replace_whole("a", "", "x"), "a");
        assert_eq!(replace_whole("MÜLLER_Eva/müller.dcm", "Müller", "x"), "x_Eva/x.dcm");
    }

    #[test]
    fn names_are_hidden_word_by_word() {
        let naming = naming(&[]);
        assert_eq!(
            naming.source("DOE_JANE/19600102/1.dcm", "7", ["Doe^Jane^^Dr", "19600102"]),
            "hidden_hidden/hidden/1.dcm"
        );
        assert_eq!(naming.source("7/1.dcm", "7", []), "7/1.dcm", "ids are kept without a key");
    }

    #[test]
    fn kept_ids_must_be_names() {
        let naming = naming(&[]);
        assert!(naming.patient("covid-179").is_ok());
        for raw in ["", "a/b", "..", "a\\b", "a\nb"] {
            assert!(naming.patient(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn errors_hide_registered_patients() {
        let mut naming = naming(&[("P-77", "ab12"), ("3", "cd34")]);
        naming.register("P-77", ["Doe^Jane"]);
        let error = Error::File { path: "raw/P-77/3/jane doe.dcm".into(), message: "P-77 has 3 frames".to_owned() };
        assert_eq!(naming.hide_in(error).to_string(), "raw/ab12/cd34/hidden hidden.dcm: ab12 has 3 frames");
    }
}
