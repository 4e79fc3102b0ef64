//! The rows of `slices.parquet`, and what is told of those that did not get in.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Int32Array, ListBuilder, StringArray, StringBuilder, UInt32Array,
};
use arrow::datatypes::SchemaRef;
use contract::config::Config;
use contract::plan;
use contract::schema::{self, column, metadata};
use contract::table::{TableError, TableWriter};
use serde_json::json;

use crate::error::Error;

/// One slice as it is written.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique id, [`contract::id::slice`].
    pub slice_id: String,
    /// The patient.
    pub patient_id: String,
    /// The series.
    pub series_id: String,
    /// Position in the series, from 0.
    pub slice_index: i32,
    /// Position along the slice normal, mm.
    pub z_mm: Option<f32>,
    /// Class index.
    pub label: i32,
    /// Path relative to the input root.
    pub source: String,
    /// Windowed slice, `size` x `size`, row-major.
    pub image: Vec<u8>,
    /// Its mask.
    pub mask: Vec<u8>,
    /// Its lesions, 0 or 1, for `lesions.parquet`; `None` if they are not known.
    pub lesion: Option<Vec<u8>>,
    /// Share of the slice that is lung, at the source's resolution.
    pub lung_fraction: f32,
    /// Remarks.
    pub flags: Vec<&'static str>,
}

/// One slice or file that is not written.
#[derive(Debug, Clone)]
pub struct Excluded {
    /// Unique id; `None` if the file never became a slice.
    pub slice_id: Option<String>,
    /// The patient.
    pub patient_id: String,
    /// Path relative to the input root.
    pub source: String,
    /// Share of the slice that is lung, if it was segmented.
    pub lung_fraction: Option<f32>,
    /// Why.
    pub reason: &'static str,
}

/// Writes `slices.parquet`, a row group a batch.
pub struct SliceTable {
    writer: TableWriter,
    schema: SchemaRef,
    size: u32,
}

impl SliceTable {
    /// Opens the table of a study whose masks the model of this SHA-256 makes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, config: &Config, model_sha256: &str) -> Result<Self, Error> {
        let (low, high) = config.preprocess.window_hu();
        let pairs = [
            (metadata::CLASSES, json!(config.classes).to_string()),
            (metadata::WINDOW_HU, json!([low, high]).to_string()),
            (metadata::MODEL_SHA256, model_sha256.to_owned()),
            (metadata::CONFIG_HASH, plan::slices_hash(config)),
        ];
        let schema = schema::slices();
        let writer = TableWriter::create(path, Arc::clone(&schema), &pairs)?;
        Ok(Self { writer, schema, size: config.preprocess.size })
    }

    /// Appends rows, which are sorted by `slice_id` and come after those written before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text =
            |value: fn(&Row) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(value))) };
        let bytes =
            |value: fn(&Row) -> &[u8]| -> ArrayRef { Arc::new(BinaryArray::from_iter_values(rows.iter().map(value))) };
        let whole =
            |value: fn(&Row) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values(rows.iter().map(value))) };
        let side: ArrayRef = Arc::new(UInt32Array::from_iter_values(rows.iter().map(|_| self.size)));
        let mut flags = ListBuilder::new(StringBuilder::new());
        for row in rows {
            row.flags.iter().for_each(|flag| flags.values().append_value(flag));
            flags.append(true);
        }
        let columns: Vec<ArrayRef> = vec![
            text(|row| &row.slice_id),
            text(|row| &row.patient_id),
            text(|row| &row.series_id),
            whole(|row| row.slice_index),
            Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.z_mm))),
            whole(|row| row.label),
            text(|row| &row.source),
            Arc::clone(&side),
            side,
            bytes(|row| &row.image),
            bytes(|row| &row.mask),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.lung_fraction))),
            Arc::new(flags.finish()),
        ];
        self.writer.write(&self.schema, columns).map_err(not_written)
    }

    /// Finishes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(self) -> Result<(), Error> {
        self.writer.commit().map_err(not_written)
    }
}

/// Where a file is being written, trouble with it is the disk's and not the reader's.
pub(crate) fn not_written(error: TableError) -> Error {
    match error {
        TableError::Parquet { path, source } => {
            Error::Write { path, source: std::io::Error::other(source.to_string()) }
        }
        other => other.into(),
    }
}

/// Writes the CSV of what was left out, sorted by slice and source.
///
/// # Errors
/// The file cannot be written.
pub fn write_excluded(path: &Path, mut excluded: Vec<Excluded>) -> Result<(), Error> {
    excluded.sort_by(|a, b| (&a.slice_id, &a.source, a.reason).cmp(&(&b.slice_id, &b.source, b.reason)));
    let header = [column::SLICE_ID, column::PATIENT_ID, column::SOURCE, column::LUNG_FRACTION, column::REASON];
    let record = |row: Excluded| {
        let fraction = row.lung_fraction.map_or_else(String::new, |fraction| fraction.to_string());
        [row.slice_id.unwrap_or_default(), row.patient_id, row.source, fraction, row.reason.to_owned()]
    };
    write_csv(path, &header, excluded.into_iter().map(record))
}

/// Writes a CSV, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_csv<R: IntoIterator<Item = String>>(
    path: &Path,
    header: &[&str],
    records: impl Iterator<Item = R>,
) -> Result<(), Error> {
    let failed = |source: std::io::Error| Error::Write { path: path.to_owned(), source };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|error| failed(error.into()))?;
    for record in records {
        writer.write_record(record.into_iter().collect::<Vec<_>>()).map_err(|error| failed(error.into()))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    contract::atomic::write(path, &bytes).map_err(failed)
}
