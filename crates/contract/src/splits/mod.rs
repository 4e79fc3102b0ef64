//! A user's own folds: a list of `{"train": [ids], "val": [ids]}`, an entry for each fold that is held out, in the form that
//! nnU-Net made common (`splits_final.json`).
//!
//! The ids may be those of the user's own table, the pseudonyms of the outputs, or scans (`P001_0`, `P001_1`: an entry for each
//! scan, as nnU-Net has it). [`Splits::read`] reads the file, [`Splits::resolve`] says which patients the ids mean ([`known`]) and
//! finds what is wrong ([`judge`]). Preprocess asks it of the labels before any work, dataset of the slices.
//!
//! No message quotes an id: an id of the user's own must not leave the user's own files. Messages name places instead,
//! `entry 3 of val of fold 0`: folds from 0 as everywhere, entries of a list from 1.

pub mod column;
mod json;
pub mod judge;
pub mod known;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use judge::{Resolved, Unknown};
pub use known::Known;

use crate::exit::{Coded, Exit};
use json::Json;

/// What the file has to be.
const EXPECTED: &str = "expected a list of {\"train\": [patient ids], \"val\": [patient ids]}, an entry for each fold";

/// How a pickle becomes what is read here; the two paths are its arguments.
const CONVERT: &str = "python3 -c \"import json, pickle, sys; json.dump([{k: [str(i) for i in v] for k, v in f.items()} for f in \
                       pickle.load(open(sys.argv[1], 'rb'))], open(sys.argv[2], 'x'))\"";

/// Why a splits file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("splits file {path}: {message}")]
pub struct SplitsError {
    /// The file.
    pub path: PathBuf,
    /// Expected, got, what to do.
    pub message: String,
    /// [`Exit::Audit`] if a patient would be on both sides, or a side would lack a class; else [`Exit::Input`].
    pub exit: Exit,
}

impl Coded for SplitsError {
    fn exit(&self) -> Exit {
        self.exit
    }
}

/// A side of a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Trained on.
    Train,
    /// Held out.
    Val,
}

impl Side {
    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

/// Where an id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 0.
    pub fold: usize,
    /// List of the fold.
    pub side: Side,
    /// From 0 here, from 1 in messages.
    pub entry: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "entry {} of {} of fold {}", self.entry + 1, self.side.key(), self.fold)
    }
}

/// A splits file as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// The file.
    pub path: PathBuf,
    /// Number of folds, at least 1.
    pub folds: usize,
    /// The ids in the order of the file, without blanks around them.
    ids: Vec<(Place, String)>,
}

impl Splits {
    /// Reads a file. It may begin with a byte order mark, and be UTF-16; a single `{"train": ..., "val": ...}` is one fold.
    ///
    /// # Errors
    /// The file cannot be read, or is not such a list.
    pub fn read(path: &Path) -> Result<Self, SplitsError> {
        let failed = |message: String| SplitsError { path: path.to_owned(), message, exit: Exit::Input };
        let bytes = std::fs::read(path)
            .map_err(|error| failed(format!("{error}; set dataset.splits to a splits_final.json, or to null")))?;
        let text = text(path, &bytes).map_err(failed)?;
        let entries = match serde_json::from_str(&text) {
            Ok(Json::List(entries)) => entries,
            Ok(entry @ Json::Map(_)) if is_fold(&entry) => vec![entry],
            Ok(other) => return Err(failed(format!("{EXPECTED}; got {}", other.kind()))),
            Err(error) => return Err(failed(format!("{EXPECTED}; not JSON: {error}"))),
        };
        if entries.is_empty() {
            return Err(failed(format!("{EXPECTED}; got an empty list")));
        }
        let mut splits = Self { path: path.to_owned(), folds: entries.len(), ids: Vec::new() };
        for (fold, entry) in entries.into_iter().enumerate() {
            splits.add(fold, entry).map_err(failed)?;
        }
        Ok(splits)
    }

    /// Takes in one fold.
    fn add(&mut self, fold: usize, entry: Json) -> Result<(), String> {
        let Json::Map(pairs) = entry else { return Err(format!("{EXPECTED}; fold {fold} is {}", entry.kind())) };
        let mut lists: BTreeMap<Side, Vec<Json>> = BTreeMap::new();
        for (place, (key, value)) in pairs.into_iter().enumerate() {
            let side = side(fold, place, &key, &value)?;
            let Json::List(items) = value else {
                let kind = value.kind();
                return Err(format!("fold {fold}: \"{key}\" is {kind}; expected a list of patient ids"));
            };
            if lists.insert(side, items).is_some() {
                return Err(format!("fold {fold} has \"{key}\" twice; keep one of the two"));
            }
        }
        for side in [Side::Train, Side::Val] {
            let Some(items) = lists.remove(&side).filter(|items| !items.is_empty()) else {
                let key = side.key();
                return Err(format!(
                    "fold {fold} has no patients in \"{key}\"; each fold has a list \"train\" and a list \"val\""
                ));
            };
            for (entry, item) in items.into_iter().enumerate() {
                let place = Place { fold, side, entry };
                self.ids.push((place, id(place, item)?));
            }
        }
        Ok(())
    }

    fn error(&self, exit: Exit, message: String) -> SplitsError {
        SplitsError { path: self.path.clone(), message, exit }
    }
}

/// True if a file of this alone is one fold.
fn is_fold(entry: &Json) -> bool {
    let Json::Map(pairs) = entry else { return false };
    pairs.iter().any(|(key, _)| key == Side::Val.key())
}

/// The side that a key of a fold names. Unknown keys are not quoted, because in a file of another form they may be ids.
fn side(fold: usize, place: usize, key: &str, value: &Json) -> Result<Side, String> {
    match (key, value) {
        ("train", _) => Ok(Side::Train),
        ("val", _) => Ok(Side::Val),
        ("test", _) => Err(format!(
            "fold {fold} has a list \"test\" beside train and val, and a fold here has two sides: what is held out (val) and the rest \
             (train); write the patients to be tested as val and all others as train"
        )),
        _ => Err(format!(
            "key {} of fold {fold}, {} as value, is neither \"train\" nor \"val\"; take it out",
            place + 1,
            value.kind()
        )),
    }
}

/// One id of a list.
fn id(place: Place, item: Json) -> Result<String, String> {
    match item {
        Json::Text(text) if text.trim().is_empty() => Err(format!("{place} is empty; expected a patient id")),
        Json::Text(text) => Ok(text.trim().to_owned()),
        Json::Whole(number) => Ok(number),
        other => Err(format!("{place} is {}; expected a patient id, in quotes", other.kind())),
    }
}

/// The text of a file, or the name of what it is instead.
fn text(path: &Path, bytes: &[u8]) -> Result<String, String> {
    const PICKLE: u8 = 0x80;
    let is_pickle = path.extension().is_some_and(|extension| extension == "pkl" || extension == "pickle");
    match bytes {
        [] => Err(format!("the file is empty; {EXPECTED}")),
        [PICKLE, ..] => Err(pickle(path)),
        _ if is_pickle => Err(pickle(path)),
        [0x1f, 0x8b, ..] => Err("a file that gzip made; unpack it with gunzip".to_owned()),
        [b'P', b'K', 3, 4, ..] => Err("a ZIP file; unpack it and name the splits_final.json that is in it".to_owned()),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes)
                .map_err(|error| format!("not UTF-8 at byte {}; save the file as UTF-8", error.valid_up_to()))?;
            Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
        }
    }
}

fn pickle(path: &Path) -> String {
    let json = unused(path);
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    format!(
        "a Python pickle, which may run code when it is read; if you trust it, convert it with {CONVERT} {} {} and set \
         dataset.splits to {}",
        quoted(path),
        quoted(&json),
        json.display()
    )
}

/// The path of a JSON file beside a file that is not there yet.
fn unused(path: &Path) -> PathBuf {
    let numbered = |number: u32| path.with_extension(format!("{number}.json"));
    let first = std::iter::once(path.with_extension("json"));
    first.chain((2..1000).map(numbered)).find(|json| !json.exists()).unwrap_or_else(|| path.with_extension("new.json"))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map_err(|_| "not UTF-16, as its first bytes say; save the file as UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
