//! `folds.parquet` and `splits_final.json`: written together, read back, compared.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use contract::layout::{FOLDS, SPLITS};
use contract::schema::{self, column};
use contract::table::{self, TableReader, TableWriter};

use crate::error::Error;
use crate::slices::Slice;
use crate::splits_file::Split;

/// Rows read at a time.
const BATCH: usize = 65_536;

/// One slice with its fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Unique id.
    pub slice_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Class index.
    pub label: i32,
    /// Fold that holds the slice out; a fold beyond those held out only trains.
    pub fold: i32,
    /// Hash of the pixels; not in the file, so empty when read.
    pub image: String,
}

/// The rows of slices that have a fold, in the order of `slices`.
pub fn rows(slices: &[Slice], fold_of: impl Fn(&Slice) -> Option<usize>) -> Vec<Row> {
    let row = |slice: &Slice| {
        let fold = i32::try_from(fold_of(slice)?).ok()?;
        let (slice_id, patient_id) = (slice.slice_id.clone(), slice.patient_id.clone());
        Some(Row { slice_id, patient_id, label: slice.label, fold, image: slice.image.clone() })
    };
    slices.iter().filter_map(row).collect()
}

/// The two sides of each fold held out, patients sorted.
pub fn splits(rows: &[Row], held_out: usize) -> Vec<Split> {
    let side = |held: &dyn Fn(i32) -> bool| {
        let ids: BTreeSet<&str> = rows.iter().filter(|row| held(row.fold)).map(|row| row.patient_id.as_str()).collect();
        ids.into_iter().map(str::to_owned).collect()
    };
    let folds = 0..i32::try_from(held_out).unwrap_or(i32::MAX);
    folds.map(|fold| Split { train: side(&|other| other != fold), val: side(&|other| other == fold) }).collect()
}

/// Writes both files to `folder`. `pairs` go to the Parquet file's metadata.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, rows: &[Row], held_out: usize, pairs: &[(&str, String)]) -> Result<(), Error> {
    let schema = schema::folds();
    let text = |of: fn(&Row) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
    let number = |of: fn(&Row) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values(rows.iter().map(of))) };
    let columns =
        vec![text(|row| &row.slice_id), text(|row| &row.patient_id), number(|row| row.label), number(|row| row.fold)];
    let mut writer = TableWriter::create(&folder.join(FOLDS), Arc::clone(&schema), pairs)?;
    writer.write(&schema, columns)?;
    writer.commit()?;
    let path = folder.join(SPLITS);
    let failed = |source| Error::Write { path: path.clone(), source };
    let mut json = serde_json::to_string_pretty(&splits(rows, held_out)).map_err(|error| failed(error.into()))?;
    json.push('\n');
    contract::atomic::write(&path, json.as_bytes()).map_err(failed)
}

/// Reads a `folds.parquet`.
///
/// # Errors
/// It cannot be read or lacks a column.
pub fn read(path: &Path) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for batch in TableReader::open(path, &schema::folds())?.batches(BATCH)? {
        let batch = batch?;
        let ids = table::text(&batch, column::SLICE_ID).zip(table::text(&batch, column::PATIENT_ID));
        let label = table::numbers::<Int32Type>(&batch, column::LABEL);
        let fold = table::numbers::<Int32Type>(&batch, column::FOLD);
        rows.extend(ids.zip(label.zip(fold)).map(|((slice_id, patient_id), (label, fold))| Row {
            slice_id: slice_id.to_owned(),
            patient_id: patient_id.to_owned(),
            label: label.unwrap_or(-1),
            fold: fold.unwrap_or(-1),
            image: String::new(),
        }));
    }
    Ok(rows)
}

/// Reads both files of `folder` again. Returns the rows as the disk has them, with the hashes of `written`.
///
/// # Errors
/// They are not what was written.
pub fn read_back(folder: &Path, written: &[Row], held_out: usize) -> Result<Vec<Row>, Error> {
    let path = folder.join(FOLDS);
    let mut rows = read(&path)?;
    if rows.len() != written.len() {
        let message = format!("expected {} rows, got {}", written.len(), rows.len());
        return Err(Error::ReadBack { path, message });
    }
    for (row, expected) in rows.iter_mut().zip(written) {
        row.image.clone_from(&expected.image);
        if row != expected {
            return Err(Error::ReadBack { path, message: format!("row of slice {} differs", expected.slice_id) });
        }
    }
    let path = folder.join(SPLITS);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    match serde_json::from_str::<Vec<Split>>(&text) {
        Ok(found) if found == splits(&rows, held_out) => Ok(rows),
        _ => Err(Error::ReadBack { path, message: "the patients differ from those of folds.parquet".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Row> {
        let row = |(at, fold): (usize, i32)| Row {
            slice_id: format!("s{at}"),
            patient_id: format!("p{}", at / 2),
            label: fold % 2,
            fold,
            image: format!("i{at}"),
        };
        [0, 0, 1, 1, 2, 2].into_iter().enumerate().map(row).collect()
    }

    #[test]
    fn what_is_written_is_read_and_bytes_repeat() {
        let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for folder in [&a, &b] {
            write(folder.path(), &sample(), 3, &[("key", "value".to_owned())]).unwrap();
            assert_eq!(read_back(folder.path(), &sample(), 3).unwrap(), sample());
        }
        for file in [FOLDS, SPLITS] {
            assert_eq!(std::fs::read(a.path().join(file)).unwrap(), std::fs::read(b.path().join(file)).unwrap());
        }
    }

    #[test]
    fn a_difference_on_disk_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &sample(), 3, &[]).unwrap();
        let mut other = sample();
        other[3].fold = 0;
        assert!(matches!(read_back(folder.path(), &other, 3), Err(Error::ReadBack { .. })));
        std::fs::write(folder.path().join(SPLITS), "[]").unwrap();
        assert!(matches!(read_back(folder.path(), &sample(), 3), Err(Error::ReadBack { .. })));
    }

    #[test]
    fn splits_are_complements() {
        let all = splits(&sample(), 3);
        assert_eq!(all[1], Split { train: vec!["p0".to_owned(), "p2".to_owned()], val: vec!["p1".to_owned()] });
        assert_eq!(splits(&sample(), 1).len(), 1);
    }
}
