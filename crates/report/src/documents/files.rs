//! What the documents need of a study's files beside its results.

use std::collections::BTreeMap;
use std::path::Path;

use contract::config::Config;
use contract::layout::{EXCLUDED, Layout, QUALITY, WEIGHTS};
use contract::schema::reason::NO_CT;
use contract::schema::{column, flag};
use contract::{hash, plan, receipt};
use serde_json::Value;

use crate::error::Error;
use crate::folds::FoldRow;
use crate::read::{self, Csv};

/// Patients and slices of each class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Patients by label.
    pub patients: Vec<u64>,
    /// Slices by label.
    pub slices: Vec<u64>,
}

impl Counts {
    fn of<'a>(rows: impl Iterator<Item = &'a FoldRow>, classes: usize) -> Self {
        let mut counts = Self { patients: vec![0; classes], slices: vec![0; classes] };
        let mut patients = BTreeMap::new();
        for row in rows {
            let Some(label) = usize::try_from(row.label).ok().filter(|label| *label < classes) else { continue };
            counts.slices[label] += 1;
            patients.insert(row.patient_id.as_str(), label);
        }
        patients.into_values().for_each(|label| counts.patients[label] += 1);
        counts
    }
}

/// Who trains and who is tested while one fold is held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The fold.
    pub fold: usize,
    /// Those of the other folds.
    pub trained: Counts,
    /// Those of the fold.
    pub tested: Counts,
}

/// What preprocess found of all masks, left-out slices included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quality {
    /// Series.
    pub series: u64,
    /// Slices read.
    pub slices: u64,
    /// Slices kept.
    pub kept: u64,
    /// Slices with each remark of [`flag::ALL`], those that occur.
    pub flags: Vec<(&'static str, u64)>,
}

/// What the documents need of a study's files beside its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Slices and files left out, by reason.
    pub excluded: BTreeMap<String, usize>,
    /// Labelled patients of whom the input has no file.
    pub without_ct: usize,
    /// The study's patients and slices after what was left out.
    pub all: Counts,
    /// A partition for each fold that is held out.
    pub partitions: Vec<Partition>,
    /// What preprocess found of the masks; None if its table is not there.
    pub quality: Option<Quality>,
    /// BLAKE3 of the weights of each method, fold and seed whose receipt is there.
    pub weights: BTreeMap<(String, usize, u64), String>,
    /// BLAKE3 of the file of initial weights by method, where the receipt of a run names one.
    pub init: BTreeMap<String, String>,
    /// BLAKE3 of the settings of all tasks; where files are is no part of it.
    pub settings: String,
}

impl Files {
    /// Reads them; `folds` are held out in turn.
    ///
    /// # Errors
    /// A table cannot be read or lacks a column; the number of folds is unknown.
    pub fn read(config: &Config, folds: usize) -> Result<Self, Error> {
        let layout = Layout::new(config);
        let rows = read::folds(&layout.folds_table())?;
        let classes = config.classes.len();
        let partition = |fold: usize| {
            let is_tested = |row: &&FoldRow| usize::try_from(row.fold) == Ok(fold);
            let trained = Counts::of(rows.iter().filter(|row| !is_tested(row)), classes);
            Partition { fold, trained, tested: Counts::of(rows.iter().filter(is_tested), classes) }
        };
        let (mut weights, mut init) = (BTreeMap::new(), BTreeMap::new());
        for (method, fold, seed) in plan::runs(config, folds) {
            let Some(mut receipt) = receipt::read(&layout.run(&method, fold, seed)) else { continue };
            init.extend(receipt.inputs.remove("init").map(|hash| (method.clone(), hash)));
            weights.extend(receipt.outputs.remove(WEIGHTS).map(|hash| ((method, fold, seed), hash)));
        }
        let quality = layout.masks().join(QUALITY);
        let mut excluded = BTreeMap::new();
        for row in read::flow::excluded(&layout.masks().join(EXCLUDED))? {
            *excluded.entry(row.reason).or_default() += 1;
        }
        let without_ct = excluded.remove(NO_CT).unwrap_or_default();
        let tasks = plan::tasks(config).map_err(Error::Folds)?;
        let settings: Vec<Value> = tasks.into_iter().map(|task| serde_json::json!([task.id, task.config])).collect();
        Ok(Self {
            excluded,
            without_ct,
            all: Counts::of(rows.iter(), classes),
            partitions: (0..folds).map(partition).collect(),
            quality: if quality.exists() { Some(summed(&quality)?) } else { None },
            weights,
            init,
            settings: hash::value(&Value::Array(settings)),
        })
    }
}

/// The sums of qa.csv, a row a series.
fn summed(path: &Path) -> Result<Quality, Error> {
    let csv = Csv::read(path, "run the preprocess stage")?;
    let sum = |name: &str| {
        let place = csv.require(name)?;
        csv.records.iter().map(|record| csv.number::<u64>(record, place, "a whole number")).sum::<Result<u64, Error>>()
    };
    // A labelled patient without a series has a row of their own.
    let series_id = csv.require(column::SERIES_ID)?;
    let series = csv.records.iter().filter(|record| !record[series_id].is_empty()).count() as u64;
    let flags = flag::ALL.into_iter().map(|flag| Ok((flag, sum(flag)?))).collect::<Result<Vec<_>, Error>>()?;
    Ok(Quality {
        series,
        slices: sum("slices")?,
        kept: sum("kept")?,
        flags: flags.into_iter().filter(|(_, count)| *count > 0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_counts_once_and_a_slice_each_time() {
        let row = |patient: &str, label: i64, fold: i64| FoldRow {
            slice_id: String::new(),
            patient_id: patient.to_owned(),
            label,
            fold,
        };
        let rows = [row("a", 0, 0), row("a", 0, 0), row("b", 1, 1), row("c", 1, 0)];
        let counts = Counts::of(rows.iter(), 2);
        assert_eq!((counts.patients, counts.slices), (vec![1, 2], vec![2, 2]));
    }
}
