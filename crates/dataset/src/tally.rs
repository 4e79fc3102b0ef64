//! Patients and slices of every fold by class: the table on the terminal, and `folds.csv`.

use std::path::Path;

use contract::schema::column;
use polars::prelude::*;

use crate::error::Error;
use crate::folds::Row;

/// Name of the summary beside `folds.parquet`.
pub const SUMMARY: &str = "folds.csv";

/// Patients and slices of one class in one fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Fold.
    pub fold: i32,
    /// Class index.
    pub label: i32,
    /// Patients, at least 1.
    pub patients: u32,
    /// Slices, at least 1.
    pub slices: u32,
}

/// What is in each fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// By fold and class; both rising. A fold without a class has no row.
    pub counts: Vec<Count>,
    /// Folds held out in turn; the others only train.
    pub held_out: usize,
}

impl Summary {
    /// Counts the rows.
    ///
    /// # Errors
    /// The frame library fails.
    pub fn of(rows: &[Row], held_out: usize) -> Result<Self, Error> {
        let frame = df!(
            column::FOLD => rows.iter().map(|row| row.fold).collect::<Vec<_>>(),
            column::LABEL => rows.iter().map(|row| row.label).collect::<Vec<_>>(),
            column::PATIENT_ID => rows.iter().map(|row| row.patient_id.as_str()).collect::<Vec<_>>(),
        )?;
        let counted = frame
            .lazy()
            .group_by([col(column::FOLD), col(column::LABEL)])
            .agg([
                col(column::PATIENT_ID).n_unique().cast(DataType::UInt32).alias("patients"),
                len().cast(DataType::UInt32).alias("slices"),
            ])
            .sort([column::FOLD, column::LABEL], SortMultipleOptions::default())
            .collect()?;
        let (folds, labels) = (counted.column(column::FOLD)?.i32()?, counted.column(column::LABEL)?.i32()?);
        let (patients, slices) = (counted.column("patients")?.u32()?, counted.column("slices")?.u32()?);
        let keys = folds.iter().flatten().zip(labels.iter().flatten());
        let values = patients.iter().flatten().zip(slices.iter().flatten());
        let count = |((fold, label), (patients, slices))| Count { fold, label, patients, slices };
        Ok(Self { counts: keys.zip(values).map(count).collect(), held_out })
    }

    /// The table for the terminal: a line a fold and class.
    pub fn table(&self, classes: &[String]) -> String {
        let width = classes.iter().map(String::len).max().unwrap_or(0).max("class".len());
        let mut text = format!("{:<9} {:<width$} {:>8} {:>8}\n", "fold", "class", "patients", "slices");
        for count in &self.counts {
            let (fold, class) = (self.fold_name(count.fold), class_name(classes, count.label));
            text.push_str(&format!("{fold:<9} {class:<width$} {:>8} {:>8}\n", count.patients, count.slices));
        }
        text
    }

    fn fold_name(&self, fold: i32) -> String {
        match (self.held_out, fold) {
            (1, 0) => "0 (test)".to_owned(),
            (1, _) => format!("{fold} (train)"),
            _ => fold.to_string(),
        }
    }
}

fn class_name(classes: &[String], label: i32) -> &str {
    usize::try_from(label).ok().and_then(|label| classes.get(label)).map_or("?", String::as_str)
}

/// Writes `folds.csv` to `folder`: fold, label, class, patients, slices.
///
/// # Errors
/// It cannot be written.
pub fn write(folder: &Path, summary: &Summary, classes: &[String]) -> Result<(), Error> {
    let of = |value: fn(&Count) -> u32| summary.counts.iter().map(value).collect::<Vec<_>>();
    let mut frame = df!(
        column::FOLD => summary.counts.iter().map(|count| count.fold).collect::<Vec<_>>(),
        column::LABEL => summary.counts.iter().map(|count| count.label).collect::<Vec<_>>(),
        "class" => summary.counts.iter().map(|count| class_name(classes, count.label)).collect::<Vec<_>>(),
        "patients" => of(|count| count.patients),
        "slices" => of(|count| count.slices),
    )?;
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame)?;
    let path = folder.join(SUMMARY);
    contract::atomic::write(&path, &bytes).map_err(|source| Error::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |(patient, label, fold): (&str, i32, i32)| Row {
            slice_id: String::new(),
            patient_id: patient.to_owned(),
            label,
            fold,
            image: String::new(),
        };
        [("b", 1, 1), ("a", 0, 0), ("a", 0, 0), ("c", 0, 0), ("d", 0, 1)].map(row).to_vec()
    }

    fn classes() -> [String; 2] {
        ["common".to_owned(), "covid19".to_owned()]
    }

    #[test]
    fn patients_and_slices_are_counted_apart() {
        let summary = Summary::of(&rows(), 2).unwrap();
        let expected = "\
fold      class   patients   slices
0         common         2        3
1         common         1        1
1         covid19        1        1
";
        assert_eq!(summary.table(&classes()), expected);
    }

    #[test]
    fn the_sides_of_a_single_split_are_named() {
        let table = Summary::of(&rows(), 1).unwrap().table(&classes());
        assert!(table.contains("\n0 (test)  common") && table.contains("\n1 (train) covid19"), "{table}");
    }

    #[test]
    fn the_csv_is_sorted() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &Summary::of(&rows(), 2).unwrap(), &classes()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(SUMMARY)).unwrap();
        assert_eq!(text, "fold,label,class,patients,slices\n0,0,common,2,3\n1,0,common,1,1\n1,1,covid19,1,1\n");
    }
}
