//! What tells of the way of the slices before the folds: rows of slices.parquet without their pictures, rows of excluded.csv.

use std::path::Path;

use contract::schema::column;
use polars::prelude::{DataFrame, DataType};

use super::{Csv, cast, damaged, frame, integers, texts};
use crate::error::Error;

/// A slice that preprocess wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceRow {
    /// Id.
    pub slice_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Id of the series.
    pub series_id: String,
    /// Class.
    pub label: i64,
    /// Remarks on its mask.
    pub flags: Vec<String>,
}

/// A slice or file that preprocess left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcludedRow {
    /// Id of the slice; None for a file that never became one.
    pub slice_id: Option<String>,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Why.
    pub reason: String,
}

/// All rows of slices.parquet.
///
/// # Errors
/// The file cannot be read, lacks a column, or has one of another type.
pub fn slices(path: &Path) -> Result<Vec<SliceRow>, Error> {
    use column::{FLAGS, LABEL, PATIENT_ID, SERIES_ID, SLICE_ID};
    let frame = frame(path, &[SLICE_ID, PATIENT_ID, SERIES_ID, LABEL, FLAGS], None)?;
    let ids = texts(path, &frame, SLICE_ID)?.into_iter().zip(texts(path, &frame, PATIENT_ID)?);
    let more = texts(path, &frame, SERIES_ID)?.into_iter().zip(integers(path, &frame, LABEL)?);
    let row = |(((slice_id, patient_id), (series_id, label)), flags)| SliceRow {
        slice_id,
        patient_id,
        series_id,
        label,
        flags,
    };
    Ok(ids.zip(more).zip(flags(path, &frame)?).map(row).collect())
}

fn is_text_list(kind: &DataType) -> bool {
    matches!(kind, DataType::List(inner) if inner.is_string() || inner.is_null())
}

/// The remarks of every row; a null is no remark.
fn flags(path: &Path, frame: &DataFrame) -> Result<Vec<Vec<String>>, Error> {
    let kind = DataType::List(Box::new(DataType::String));
    let column = cast(path, frame, column::FLAGS, &kind, "a list of text", is_text_list)?;
    let lists = column.list().map_err(|error| damaged(path, &error))?;
    let mut rows = Vec::with_capacity(lists.len());
    for list in lists.amortized_iter() {
        let Some(list) = list else {
            rows.push(Vec::new());
            continue;
        };
        let words = list.as_ref().str().map_err(|error| damaged(path, &error))?;
        rows.push(words.iter().flatten().map(str::to_owned).collect());
    }
    Ok(rows)
}

/// All rows of excluded.csv.
///
/// # Errors
/// The file cannot be read or lacks a column.
pub fn excluded(path: &Path) -> Result<Vec<ExcludedRow>, Error> {
    let csv = Csv::read(path, "run the preprocess stage")?;
    let [slice, patient, reason] =
        [csv.require(column::SLICE_ID)?, csv.require(column::PATIENT_ID)?, csv.require(column::REASON)?];
    let row = |record: &csv::StringRecord| ExcludedRow {
        slice_id: Some(record[slice].to_owned()).filter(|id| !id.is_empty()),
        patient_id: record[patient].to_owned(),
        reason: record[reason].to_owned(),
    };
    Ok(csv.records.iter().map(row).collect())
}
