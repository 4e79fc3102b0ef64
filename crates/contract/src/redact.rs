//! Copies of a study's tables without what is not to be shared.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};

use crate::schema::{self, column, metadata};
use crate::table::{TableError, TableReader, TableWriter};

/// Rows in memory at a time.
const BATCH_ROWS: usize = 256;
/// Metadata that a copy keeps.
const KEPT: [&str; 4] = [metadata::CLASSES, metadata::WINDOW_HU, metadata::MODEL_SHA256, metadata::CONFIG_HASH];

/// Copies a `predictions.parquet` with null in place of every attention map. All else, the share of attention in the lung included, stays.
///
/// # Errors
/// The file is not a table of predictions, or the copy cannot be written.
pub fn predictions(from: &Path, to: &Path) -> Result<(), TableError> {
    let schema = schema::predictions();
    let reader = TableReader::open(from, &schema)?;
    let pairs: Vec<(&str, String)> = KEPT.iter().filter_map(|key| Some((*key, reader.metadata(key)?))).collect();
    let mut writer = TableWriter::create(to, Arc::clone(&schema), &pairs)?;
    for batch in reader.batches(BATCH_ROWS)? {
        let batch = batch?;
        let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
            let kept = batch.column_by_name(field.name()).filter(|_| field.name() != column::ATTENTION);
            kept.map_or_else(|| new_null_array(field.data_type(), batch.num_rows()), Arc::clone)
        };
        writer.write(&schema, schema.fields().iter().map(column).collect())?;
    }
    writer.commit()
}
