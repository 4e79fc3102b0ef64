//! `splits_final.json`: a list of `{"train": [patient ids], "val": [patient ids]}`, an entry for each fold that is held
//! out, in the form that nnU-Net made common. Written beside `folds.parquet`, and read where a study names one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::audit::{AuditError, Finding};
use crate::error::Error;
use crate::patient::Patient;

/// One entry: the patients of the two sides, by the ids of `slices.parquet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Patients trained on.
    pub train: Vec<String>,
    /// Patients held out.
    pub val: Vec<String>,
}

/// The fold of every patient as the file at `path` says: the entry whose `val` has it. A file of one entry has its `val`
/// as fold 0 and its `train` as fold 1, which is never held out.
///
/// # Errors
/// The file is not such a list, a patient is unknown, missing or held out twice, or a `train` is not the rest.
pub fn read(path: &Path, patients: &[Patient]) -> Result<BTreeMap<String, usize>, Error> {
    let failed = |message: String| Error::Splits { path: path.to_owned(), message };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let splits: Vec<Split> = serde_json::from_str(&text).map_err(|error| {
        failed(format!("expected a list of {{\"train\": [patient ids], \"val\": [patient ids]}}: {error}"))
    })?;
    if splits.is_empty() {
        return Err(failed("expected at least one fold, got an empty list".to_owned()));
    }
    let known: BTreeSet<&str> = patients.iter().map(|patient| patient.id.as_str()).collect();
    let named = splits.iter().flat_map(|split| split.train.iter().chain(&split.val)).map(String::as_str).collect();
    let some = |ids: Vec<&str>| crate::audit::some_of(ids.into_iter().map(str::to_owned).collect());
    let unknown: Vec<&str> = difference(&named, &known);
    if !unknown.is_empty() {
        let message =
            format!("patients that slices.parquet does not have: {}; are these the pseudonyms?", some(unknown));
        return Err(failed(message));
    }
    let missing: Vec<&str> = difference(&known, &named);
    if !missing.is_empty() {
        return Err(failed(format!("patients of slices.parquet that no fold names: {}", some(missing))));
    }
    leaks(&splits)?;
    let fold_of = fold_of(&splits);
    match incomplete(&splits, &known, &fold_of) {
        Some(message) => Err(failed(message)),
        None => Ok(fold_of),
    }
}

fn difference<'a>(a: &BTreeSet<&'a str>, b: &BTreeSet<&str>) -> Vec<&'a str> {
    a.iter().filter(|id| !b.contains(*id)).copied().collect()
}

/// A patient on both sides of a fold, or held out twice.
fn leaks(splits: &[Split]) -> Result<(), AuditError> {
    let mut findings = Vec::new();
    for (fold, split) in splits.iter().enumerate() {
        let train: BTreeSet<&String> = split.train.iter().collect();
        let both = split.val.iter().filter(|id| train.contains(id)).cloned().collect();
        findings.extend(Finding::new(&format!("patients in train and val of fold {fold} of the splits file"), both));
    }
    let mut seen = BTreeSet::new();
    let twice = splits.iter().flat_map(|split| &split.val).filter(|id| !seen.insert(*id)).cloned().collect();
    findings.extend(Finding::new("patients held out more than once by the splits file", twice));
    AuditError::of(findings)
}

fn fold_of(splits: &[Split]) -> BTreeMap<String, usize> {
    let with = |ids: &[String], fold: usize| ids.iter().map(|id| (id.clone(), fold)).collect::<Vec<_>>();
    match splits {
        [only] => with(&only.val, 0).into_iter().chain(with(&only.train, 1)).collect(),
        many => many.iter().enumerate().flat_map(|(fold, split)| with(&split.val, fold)).collect(),
    }
}

/// What keeps the entries from being a partition with its complements.
fn incomplete(splits: &[Split], known: &BTreeSet<&str>, fold_of: &BTreeMap<String, usize>) -> Option<String> {
    let some = |ids: Vec<&str>| crate::audit::some_of(ids.into_iter().map(str::to_owned).collect());
    let never: Vec<&str> = known.iter().filter(|id| !fold_of.contains_key(**id)).copied().collect();
    if !never.is_empty() {
        return Some(format!("patients that no fold holds out: {}; each has to be in one val", some(never)));
    }
    for (fold, split) in splits.iter().enumerate() {
        let named: BTreeSet<&str> = split.train.iter().chain(&split.val).map(String::as_str).collect();
        let neither = difference(known, &named);
        if !neither.is_empty() {
            return Some(format!("patients in neither train nor val of fold {fold}: {}", some(neither)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Coded, Exit};

    fn read_text(text: &str) -> Result<BTreeMap<String, usize>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("splits_final.json");
        std::fs::write(&path, text).unwrap();
        let patients = ["a", "b", "c"].map(|id| Patient { id: id.to_owned(), label: 0, slices: 1 });
        read(&path, &patients)
    }

    #[test]
    fn val_lists_are_folds() {
        let text =
            r#"[{"train":["c","b"],"val":["a"]},{"train":["a","b"],"val":["c"]},{"train":["a","c"],"val":["b"]}]"#;
        let folds = read_text(text).unwrap();
        assert_eq!(folds.into_values().collect::<Vec<_>>(), [0, 2, 1]);
    }

    #[test]
    fn one_entry_holds_out_once() {
        let folds = read_text(r#"[{"train":["c","b"],"val":["a"]}]"#).unwrap();
        assert_eq!(folds.into_values().collect::<Vec<_>>(), [0, 1, 1]);
    }

    #[test]
    fn faults_are_named() {
        let cases = [
            ("{}", Exit::Input, "expected a list"),
            ("[]", Exit::Input, "empty list"),
            (r#"[{"train":["a"]}]"#, Exit::Input, "val"),
            (r#"[{"train":["a","b","x"],"val":["c"]}]"#, Exit::Input, "does not have: x"),
            (r#"[{"train":["a"],"val":["c"]}]"#, Exit::Input, "no fold names: b"),
            (r#"[{"train":["a","b"],"val":["c","a"]}]"#, Exit::Audit, "in train and val of fold 0"),
            (r#"[{"train":["c"],"val":["a","b"]},{"train":["a"],"val":["c","b"]}]"#, Exit::Audit, "more than once"),
            (
                r#"[{"train":["b","c"],"val":["a"]},{"train":["a","b"],"val":["c"]}]"#,
                Exit::Input,
                "no fold holds out: b",
            ),
            (r#"[{"train":["c"],"val":["a","b"]},{"train":["a"],"val":["c"]}]"#, Exit::Input, "val of fold 1: b"),
        ];
        for (text, exit, part) in cases {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.exit(), exit, "{text}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
