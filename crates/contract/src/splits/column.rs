//! A manifest's own split: a column with `train`, `val` or `test` in every row, in upper or lower case. Dataset reads it for the slices
//! that there are; `chumoku check` judges all rows before any work. Messages name rows and never ids.

use std::collections::BTreeMap;

use crate::config::{Config, SplitVal};
use crate::exit::Exit;
use crate::label;
use crate::schema::column;
use crate::user_table::{Place, UserTable, UserTableError};

/// What a value of the column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Held out.
    Test,
    /// Trained on.
    Train,
    /// Neither: left out.
    Dropped,
}

impl Part {
    /// How messages call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Train => "train",
            Self::Dropped => "val",
        }
    }
}

/// Why a study cannot be split by the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// [`Exit::Audit`] if a patient would be on both sides, or a side would lack a class; else [`Exit::Input`].
    pub exit: Exit,
    /// The file, what was expected, what was found, and what to do.
    pub message: String,
}

impl From<UserTableError> for Fault {
    fn from(error: UserTableError) -> Self {
        Self { exit: Exit::Input, message: error.to_string() }
    }
}

/// What a row is for; `val` rows train, or are left out.
///
/// # Errors
/// The value is none of the three.
pub fn part(table: &UserTable, row: usize, at: usize, val: SplitVal) -> Result<Part, UserTableError> {
    let value = table.text(row, at)?.unwrap_or_default();
    match (value.to_lowercase().as_str(), val) {
        ("test", _) => Ok(Part::Test),
        ("train", _) | ("val", SplitVal::Train) => Ok(Part::Train),
        ("val", SplitVal::Drop) => Ok(Part::Dropped),
        _ => {
            let name = &table.columns()[at].name;
            let message = format!(
                "column \"{name}\": expected train, val or test, got \"{value}\"; write one of the three in every row: test for what is \
                 held out"
            );
            Err(table.fault(table.place(row), message))
        }
    }
}

/// Judges the column `split` of a whole manifest.
///
/// # Errors
/// It is not there, a row has another value, a patient is on both sides, or a side lacks a class.
pub fn judge(table: &UserTable, split: &str, config: &Config) -> Result<(), Fault> {
    let [at] = table.require([split])?;
    let rows = 0..table.rows();
    let parts: Vec<Part> =
        rows.map(|row| part(table, row, at, config.dataset.split_val)).collect::<Result<_, UserTableError>>()?;
    one_side_each(table, split, &parts)?;
    classes_on_both_sides(table, split, &parts, config)
}

/// No patient may be among both the rows of test and those of train.
fn one_side_each(table: &UserTable, split: &str, parts: &[Part]) -> Result<(), Fault> {
    // Ids that cannot be read are what the preprocessing program says of the manifest.
    let Some(ids) = table.find(column::PATIENT_ID)?.and_then(|at| table.ids(at).ok()) else { return Ok(()) };
    let mut first: BTreeMap<&str, [Option<Place>; 2]> = BTreeMap::new();
    for (row, (id, part)) in ids.values.iter().zip(parts).enumerate().filter(|(_, (_, part))| **part != Part::Dropped) {
        let side = usize::from(*part == Part::Train);
        first.entry(id).or_default()[side].get_or_insert(table.place(row));
    }
    let both: Vec<(Place, Place)> = first.into_values().filter_map(|[test, train]| Some((test?, train?))).collect();
    let Some((test, train)) = both.first() else { return Ok(()) };
    let message = format!(
        "column \"{split}\": expected all rows of a patient in one split, got {} patients in both test and train, the first in {test} \
         (test) and {train} (train); give all rows of a patient one split",
        both.len()
    );
    Err(Fault { exit: Exit::Audit, message: table.fault(Place::File, message).to_string() })
}

/// Each class needs rows of test and of train.
fn classes_on_both_sides(table: &UserTable, split: &str, parts: &[Part], config: &Config) -> Result<(), Fault> {
    let fault = |missing: String| {
        let message = format!(
            "column \"{split}\": expected rows of test and of train for every class, got none of {missing}; give some patients the \
             other split"
        );
        Err(Fault { exit: Exit::Audit, message: table.fault(Place::File, message).to_string() })
    };
    let sides = [Part::Test, Part::Train];
    if let Some(side) = sides.into_iter().find(|side| !parts.contains(side)) {
        return fault(side.words().to_owned());
    }
    let Some(at) = table.find(column::LABEL)? else { return Ok(()) };
    let class = |row| label::parse(&table.text(row, at).ok()??, &config.classes).ok();
    let labels: Vec<Option<usize>> = (0..table.rows()).map(class).collect();
    for (label, name) in config.classes.iter().enumerate() {
        let has = |side| labels.iter().zip(parts).any(|(found, part)| *found == Some(label) && *part == side);
        if let Some(side) = sides.into_iter().find(|side| !has(*side)) {
            return fault(format!("{} for class \"{name}\"", side.words()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_table::Audience;

    fn judged(rows: &str, val: &str) -> Result<(), Fault> {
        let folder = tempfile::tempdir().unwrap();
        let (yaml, csv) = (folder.path().join("s.yaml"), folder.path().join("m.csv"));
        std::fs::write(&yaml, format!("study: s\nclasses: [a, b]\ndataset: {{split_val: {val}}}\n")).unwrap();
        std::fs::write(&csv, format!("path,patient_id,label,split\n{rows}")).unwrap();
        let config = Config::load(&yaml, &[]).unwrap();
        judge(&UserTable::read(&csv, &[], Audience::Log).unwrap(), "split", &config)
    }

    #[test]
    fn rows_of_both_sides_pass_in_any_case_and_faults_name_rows() {
        const GOOD: &str = "1,MRN-1,0,test\n2,MRN-2,1,Test\n3,MRN-3,0,TRAIN\n4,MRN-4,1,train\n";
        for (more, val, expected) in [
            ("", "train", None),
            ("5,MRN-3,0,val\n", "train", None),
            ("5,MRN-1,0,val\n", "drop", None),
            (
                "5,MRN-1,0,val\n",
                "train",
                Some((Exit::Audit, "1 patients in both test and train, the first in line 2 (test) and line 6")),
            ),
            (
                "5,MRN-5,0,holdout\n",
                "train",
                Some((
                    Exit::Input,
                    "line 6: column \"split\": expected train, val or test, got \"holdout\"; write one",
                )),
            ),
            ("5,MRN-5,0,\n", "train", Some((Exit::Input, "got \"\"; write one of the three"))),
        ] {
            let found = judged(&format!("{GOOD}{more}"), val);
            match (&found, expected) {
                (Ok(()), None) => {}
                (Err(fault), Some((exit, part))) => {
                    assert!(fault.exit == exit && fault.message.contains(part), "{fault:?}");
                    assert!(!fault.message.contains("MRN"), "{fault:?}");
                }
                _ => panic!("{more}: {found:?}"),
            }
        }
        for (rows, part) in [
            ("1,MRN-1,0,train\n2,MRN-2,1,train\n", "got none of test;"),
            ("1,MRN-1,0,train\n2,MRN-2,1,train\n3,MRN-3,0,test\n", "got none of test for class \"b\";"),
        ] {
            assert!(judged(rows, "train").is_err_and(|fault| fault.message.contains(part)), "{rows}");
        }
    }
}
