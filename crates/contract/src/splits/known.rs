//! Which patient an id of a splits file means.
//!
//! A file has one kind of ids, so that no name means one thing here and another there. The kinds, in the order in which they count:
//! - the user's own ids, which are hashed with the study's key and then looked up;
//! - ids of the outputs (pseudonyms, or the ids themselves where the study keeps them);
//! - files: the names of the manifest's files without folder and extension (and without nnU-Net's channel, `_0000`);
//! - scans: a patient's id and after it up to two marks of a scan (`_0`, `-2`, `_scan1`).
//!
//! What fits two patients is refused, and so is a file whose names mean other patients by one kind than by another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::id::Key;
use crate::user_table::alike::normal_form;

/// Digits of a number to which zeros in front are tried.
const WIDEST: usize = 16;

/// What ids of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The user's own.
    Own,
    /// Those of the outputs.
    Output,
    /// A file of the manifest.
    File,
    /// The user's own, with the mark of a scan behind.
    Scan,
}

impl Kind {
    /// All kinds, in the order in which they count.
    pub const ALL: [Self; 4] = [Self::Own, Self::Output, Self::File, Self::Scan];

    /// For a message: "8 patients by ...".
    pub fn words(self) -> &'static str {
        match self {
            Self::Own => "their ids",
            Self::Output => "their pseudonyms",
            Self::File => "the names of their files",
            Self::Scan => "their ids with the number of a scan",
        }
    }
}

/// Whom a name means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    /// This patient, by the id of the outputs.
    One(String),
    /// Nobody.
    Nobody,
    /// More than one.
    Several,
}

/// A patient who may be in a splits file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patient {
    /// Class index.
    pub label: usize,
    /// How messages call the patient.
    pub shown: String,
    /// Whether there is CT, so that a fold is needed.
    pub is_needed: bool,
}

/// The patients of a study, by the ids of the outputs.
pub struct Known<'a> {
    /// Where they are listed, for messages.
    pub(super) list: String,
    key: Option<&'a Key>,
    pub(super) patients: BTreeMap<String, Patient>,
    /// Patients of the files of a manifest, by the file's name as the outputs have it.
    files: BTreeMap<String, BTreeSet<String>>,
    /// What else to say where nobody is known by a name.
    pub(super) remark: String,
}

impl<'a> Known<'a> {
    /// No patients yet; `list` is the file that has them. Without a key ids are what they are in the outputs.
    pub fn new(list: &str, key: Option<&'a Key>) -> Self {
        Self { list: list.to_owned(), key, patients: BTreeMap::new(), files: BTreeMap::new(), remark: String::new() }
    }

    /// Says that the outputs have pseudonyms and that their key is gone, so that nobody is known by an id of the user's own.
    pub fn lacks_key(&mut self, path: &Path) {
        self.remark = format!(
            "ids of your own cannot be looked up, because the key of the pseudonyms, {}, is not there: put it back, or ",
            path.display()
        );
    }

    /// A patient by the id of the outputs, the class index, and how messages may call them.
    pub fn add(&mut self, patient: &str, label: usize, shown: String) {
        self.patients.entry(patient.to_owned()).or_insert(Patient { label, shown, is_needed: true });
    }

    /// Says that no CT is there of patients for whom `has_ct` is false: no fold has to name them, and they fill none.
    pub fn needs_only(&mut self, has_ct: impl Fn(&str) -> bool) {
        self.patients.iter_mut().for_each(|(id, patient)| patient.is_needed = has_ct(id));
    }

    /// A file of a patient: its path in the manifest, with the patient's id hidden as in the outputs.
    pub fn add_file(&mut self, source: &str, patient: &str) {
        let stem = stem(source);
        for name in [Some(stem), without_channel(stem)].into_iter().flatten() {
            self.files.entry(name.to_owned()).or_default().insert(patient.to_owned());
        }
    }

    /// The patient whose own id is `name`.
    fn own(&self, name: &str) -> Option<String> {
        let id = self.key.map_or_else(|| name.to_owned(), |key| key.patient(name));
        self.patients.contains_key(&id).then_some(id)
    }

    /// Whom `name` means if it is of this kind.
    pub(super) fn meaning(&self, kind: Kind, name: &str) -> Meaning {
        let own = |own: Option<String>| own.into_iter().collect::<BTreeSet<_>>();
        let mut found = match kind {
            Kind::Own => own(self.own(name)),
            Kind::Output => own(self.patients.contains_key(name).then(|| name.to_owned())),
            Kind::File => self.by_file(stem(name)),
            Kind::Scan => self.by_prefix(stem(name)),
        };
        match found.len() {
            0 | 1 => found.pop_first().map_or(Meaning::Nobody, Meaning::One),
            _ => Meaning::Several,
        }
    }

    /// The patients with a file of this name.
    fn by_file(&self, name: &str) -> BTreeSet<String> {
        if self.files.is_empty() {
            return BTreeSet::new();
        }
        let hidden = words(name).into_iter().filter_map(|word| Some(replaced(name, word, &self.own(word)?)));
        let all = std::iter::once(name.to_owned()).chain(hidden);
        all.filter_map(|name| self.files.get(&name)).flatten().cloned().collect()
    }

    /// The patients whose id is `name`, or the beginning of it with marks of a scan behind.
    fn by_prefix(&self, name: &str) -> BTreeSet<String> {
        const MARKS: usize = 2;
        let shorter = std::iter::successors(Some(name), |name| without_mark(name)).take(1 + MARKS);
        shorter.filter_map(|name| self.own(name)).collect()
    }

    /// In what `name` differs from an id of the list, if it is little.
    pub(super) fn near(&self, name: &str) -> Option<&'static str> {
        let is = |other: &str| other != name && self.own(other).is_some();
        let bare = name.trim_start_matches('0');
        let digits = !bare.is_empty() && bare.chars().all(|letter| letter.is_ascii_digit());
        let zeros = (bare.len()..=bare.len().max(name.len()) + 12).map(|width| format!("{bare:0>width$}"));
        if digits && zeros.into_iter().any(|other| is(&other)) {
            return Some("leading zeros");
        }
        let cases = |name: &str| [name.to_owned(), name.to_lowercase(), name.to_uppercase()];
        if cases(name).iter().any(|other| is(other)) {
            return Some("case");
        }
        let normal = normal_form(name);
        if self.patients.keys().any(|other| other != name && normal_form(other) == normal) {
            return Some("zeros, case or blanks");
        }
        // PH-1 for PH-0001: the number at the end, however wide.
        let letters = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = name[letters.len()..].trim_start_matches('0');
        let mut padded = (1..=WIDEST).map(|width| format!("{letters}{number:0>width$}"));
        (letters.len() < name.len() && padded.any(|other| cases(&other).iter().any(|other| is(other))))
            .then_some("zeros in front of a number, or in them and case")
    }
}

/// Ends of the names of files that a manifest may name, and of those that other tools make of them.
const EXTENSIONS: [&str; 12] =
    [".nii.gz", ".nii", ".png", ".jpg", ".jpeg", ".dcm", ".tif", ".tiff", ".mha", ".nrrd", ".npz", ".npy"];

/// A path without folder and extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let end = |extension: &&str| {
        name.len() > extension.len()
            && name.is_char_boundary(name.len() - extension.len())
            && name[name.len() - extension.len()..].eq_ignore_ascii_case(extension)
    };
    EXTENSIONS.iter().find(|extension| end(extension)).map_or(name, |extension| &name[..name.len() - extension.len()])
}

/// A name without nnU-Net's number of a channel, `_0000`.
fn without_channel(name: &str) -> Option<&str> {
    let (case, channel) = name.rsplit_once('_')?;
    (channel.len() == 4 && channel.bytes().all(|digit| digit.is_ascii_digit())).then_some(case)
}

/// A name without the mark of a scan: `_0`, `-12`, `.3`, `_scan2`.
fn without_mark(name: &str) -> Option<&str> {
    const LETTERS: usize = 8;
    const DIGITS: usize = 4;
    let (rest, mark) = name.rsplit_once(['_', '-', '.'])?;
    let digits = mark.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let letters = mark.len() - digits.len();
    let is_number = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    (is_number && letters <= LETTERS && !rest.is_empty()).then_some(rest)
}

/// Every part of a name that neither begins nor ends within a word; of a long name those of its first words.
fn words(name: &str) -> Vec<&str> {
    const WORDS: usize = 16;
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut start = None;
    for (at, letter) in name.char_indices().chain([(name.len(), ' ')]) {
        match (letter.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(begin)) => {
                places.push((begin, at));
                start = None;
            }
            _ => {}
        }
    }
    places.truncate(WORDS);
    let from = |(at, (begin, _)): (usize, &(usize, usize))| {
        places[at..].iter().map(|(_, end)| &name[*begin..*end]).collect::<Vec<_>>()
    };
    places.iter().enumerate().flat_map(from).collect()
}

/// `name` with `word`, wherever it stands as a word, replaced.
fn replaced(name: &str, word: &str, new: &str) -> String {
    let inside = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let whole = !inside(before.chars().next_back().or(out.chars().next_back())) && !inside(after.chars().next());
        out.push_str(before);
        out.push_str(if whole { new } else { word });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_lose_folder_extension_and_channel() {
        for (path, expected) in
            [("a/P1_0.nii.gz", "P1_0"), ("b\\P1.PNG", "P1"), ("1.2.840", "1.2.840"), (".png", ".png"), ("ü.nii", "ü")]
        {
            assert_eq!(stem(path), expected);
        }
        assert_eq!(without_channel("P1_0000"), Some("P1"));
        assert_eq!(without_channel("P1_000"), None);
    }

    #[test]
    fn marks_of_scans_are_letters_and_digits() {
        for (name, expected) in [("P_0", Some("P")), ("P-12", Some("P")), ("P_scan2", Some("P")), ("P.3", Some("P"))] {
            assert_eq!(without_mark(name), expected);
        }
        for name in ["P", "_0", "P_", "P_left", "P_12345", "P_baseline1a", "P_2a"] {
            assert_eq!(without_mark(name), None, "{name}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("a_b-1"), ["a", "a_b", "a_b-1", "b", "b-1", "1"]);
        assert_eq!(replaced("P1_P11_P1", "P1", "x"), "x_P11_x");
        assert!(words("").is_empty());
    }
}
