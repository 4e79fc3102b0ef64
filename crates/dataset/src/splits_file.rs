//! `splits_final.json`: a list of `{"train": [patient ids], "val": [patient ids]}`, an entry for each fold that is held
//! out, in the form that nnU-Net made common. Written beside `folds.parquet` by the pseudonyms of the outputs, and read where a
//! study names one, by whatever ids its maker had ([`contract::splits`]).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use contract::Config;
use contract::config::Pseudonyms;
use contract::id::Key;
use contract::layout::Layout;
use contract::splits::known::Kind;
use contract::splits::{Known, Resolved, Splits, Unknown};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::patient::Patient;
use crate::slices::Slice;

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
/// as fold 0 and its `train` as fold 1, which is never held out. Returns warnings, too.
///
/// # Errors
/// The file is not such a list, a patient is unknown, missing or held out twice, a `train` is not the rest, a fold lacks a class,
/// or the key of the pseudonyms cannot be read.
pub fn read(
    config: &Config,
    path: &Path,
    patients: &[Patient],
    slices: &[Slice],
) -> Result<(BTreeMap<String, usize>, Vec<String>), Error> {
    let splits = Splits::read(path)?;
    let key = key(config)?;
    let layout = Layout::new(config);
    let mut known = Known::new(&layout.slices().display().to_string(), key.as_ref());
    if key.is_none() && config.preprocess.pseudonyms == Pseudonyms::Keyed {
        known.lacks_key(&layout.pseudonym_key());
    }
    for patient in patients {
        known.add(&patient.id, usize::try_from(patient.label).unwrap_or_default(), patient.id.clone());
    }
    if config.preprocess.manifest.is_some() {
        slices.iter().for_each(|slice| known.add_file(&slice.source, &slice.patient_id));
    }
    let resolved = splits.resolve(&known, &config.classes, Unknown::Count)?;
    let warnings = warnings(path, &resolved);
    Ok((resolved.fold_of, warnings))
}

/// The secret behind the study's pseudonyms, if it has one.
fn key(config: &Config) -> Result<Option<Key>, Error> {
    let path = Layout::new(config).pseudonym_key();
    match config.preprocess.pseudonyms {
        Pseudonyms::Keep => Ok(None),
        Pseudonyms::Keyed => match Key::load(&path) {
            Ok(key) => Ok(Some(key)),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Key { path, source }),
        },
    }
}

/// What was taken to be so.
fn warnings(path: &Path, resolved: &Resolved) -> Vec<String> {
    let name = path.display();
    let mut all = Vec::new();
    if matches!(resolved.kind, Kind::File | Kind::Scan) {
        let (patients, by) = (resolved.fold_of.len(), resolved.kind.words());
        all.push(format!(
            "splits file {name} names its {patients} patients by {by}; look at {}",
            contract::layout::SPLITS
        ));
    }
    if let (count @ 1.., Some(first)) = (resolved.unknown.len(), resolved.unknown.first()) {
        all.push(format!(
            "splits file {name}: {count} entries are of patients without slices, the first: {first}; excluded.csv says why slices \
             were left out"
        ));
    }
    all
}
