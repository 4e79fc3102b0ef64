//! Reads what the folds need of `slices.parquet`. Pixels are hashed batch by batch and forgotten.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Int32Type;
use contract::schema::{self, column};
use contract::table::{self, TableReader};

use crate::error::Error;

/// Slices in memory at a time, about 26 MB of pixels at 224 x 224.
const BATCH: usize = 512;

/// One slice, without its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Unique id.
    pub slice_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Class index.
    pub label: i32,
    /// Path relative to the input root.
    pub source: String,
    /// Hash of the pixels: equal for equal images.
    pub image: String,
}

/// All slices, sorted by id.
///
/// # Errors
/// The file cannot be read, lacks a column, has no rows, or has an id twice.
pub fn read(path: &Path) -> Result<Vec<Slice>, Error> {
    let names = [column::SLICE_ID, column::PATIENT_ID, column::LABEL, column::SOURCE, column::IMAGE];
    let mut slices = Vec::new();
    for batch in TableReader::open(path, &schema::slices())?.select(&names).batches(BATCH)? {
        append(&batch?, &mut slices);
        if contract::interrupt::requested() {
            return Err(Error::Interrupted);
        }
    }
    slices.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
    if slices.is_empty() {
        return Err(Error::NoSlices { path: path.to_owned() });
    }
    match slices.windows(2).find(|pair| pair[0].slice_id == pair[1].slice_id) {
        None => Ok(slices),
        Some(pair) => Err(Error::TwiceASlice { slice: pair[0].slice_id.clone(), path: path.to_owned() }),
    }
}

fn append(batch: &RecordBatch, slices: &mut Vec<Slice>) {
    let ids = table::text(batch, column::SLICE_ID).zip(table::text(batch, column::PATIENT_ID));
    let labels = table::numbers::<Int32Type>(batch, column::LABEL);
    let images = table::text(batch, column::SOURCE).zip(table::binary(batch, column::IMAGE));
    slices.extend(ids.zip(labels).zip(images).map(|(((slice_id, patient_id), label), (source, image))| Slice {
        slice_id: slice_id.to_owned(),
        patient_id: patient_id.to_owned(),
        // The column is not nullable; a null would be caught as a label out of range.
        label: label.unwrap_or(-1),
        source: source.to_owned(),
        image: contract::hash::bytes(image),
    }));
}
