//! Lesion masks of the slices, where somebody knows them: the truth of synthetic CT, or a file that the study names.
//!
//! A mask goes the way of its slice's lung mask: turned to the usual view, then [`window::picture_mask`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use arrow::datatypes::SchemaRef;
use contract::config::Config;
use contract::layout::{Layout, TRUTH};
use contract::schema::{self, column};
use contract::table::{TableError, TableReader, TableWriter};
use contract::user_table::{Audience, UserTable};
use ndarray::Array2;

use crate::error::Error;
use crate::inputs::Series;
use crate::slices::{Row, not_written};
use crate::window;

/// Rows of the file in memory at a time.
const BATCH_ROWS: usize = 64;
/// What is read of the file.
const COLUMNS: [&str; 4] = [column::SOURCE, column::HEIGHT, column::WIDTH, column::LESION_MASK];

/// The lesion masks of a study's slices, as the file has them.
#[derive(Debug, Default)]
pub struct Lesions {
    path: PathBuf,
    by_source: BTreeMap<String, Coded>,
}

impl Lesions {
    /// Reads the masks of the slices of `series`: the file that the study names, else the truth beside its input; without either,
    /// nothing is known.
    ///
    /// # Errors
    /// The file cannot be read, has a row that cannot be a mask, or, if the study names it, lacks a column.
    pub fn load(config: &Config, series: &[Series]) -> Result<Self, Error> {
        let beside = Layout::new(config).preprocess_input(config).join(TRUTH);
        let named = config.preprocess.lesions.clone();
        let Some(path) = named.clone().or_else(|| beside.is_file().then_some(beside)) else {
            return Ok(Self::default());
        };
        // A file that nobody named may be another's.
        if named.is_none()
            && let Err(error @ TableError::Column { .. }) = TableReader::open(&path, &schema::truth())
        {
            contract::say!("note: no lesion masks: {error}; preprocess.lesions names another file");
            return Ok(Self::default());
        }
        let with_alternatives = series.iter().flat_map(|one| std::iter::once(one).chain(&one.alternatives));
        let wanted: BTreeSet<&str> = with_alternatives.flat_map(keys).flatten().collect();
        let mut rows_in_all = 0;
        let mut lesions = Self { path: path.clone(), by_source: BTreeMap::new() };
        UserTable::chunks(&path, &COLUMNS, BATCH_ROWS, Audience::Log, |rows| {
            rows_in_all += rows.rows();
            lesions.learn(rows, &wanted)
        })?;
        if named.is_some() {
            lesions.check_use(rows_in_all)?;
        }
        Ok(lesions)
    }

    /// Refuses a file that the study names of which no row is a slice of it, and notes rows that are none.
    fn check_use(&self, rows: usize) -> Result<(), Error> {
        let used = self.by_source.len();
        if used > 0 || rows == 0 {
            if used < rows {
                contract::say!("note: {} of {rows} lesion masks belong to no slice of the study", rows - used);
            }
            return Ok(());
        }
        let message = format!(
            "none of its {rows} lesion masks belongs to a slice of the study; its column source is the path of a file of one slice, relative to \
             the input folder (as source in slices.parquet)"
        );
        Err(Error::File { path: self.path.clone(), message })
    }

    fn learn(&mut self, rows: &UserTable, wanted: &BTreeSet<&str>) -> Result<(), Error> {
        let [source_at, height, width, mask] = rows.require(COLUMNS)?;
        for row in 0..rows.rows() {
            let source = rows.filled(row, source_at)?.trim_start_matches("./").replace('\\', "/");
            if !wanted.contains(source.as_str()) {
                continue;
            }
            let side = |at| {
                let length = rows.integer(row, at, "pixels")?;
                usize::try_from(length).map_err(|_| rows.wrong(row, at, "pixels", "write the size of the mask"))
            };
            let coded = Coded::new(&rows.bytes(row, mask)?, (side(height)?, side(width)?));
            let failed = |message: &str| rows.fault(rows.place(row), format!("its lesion mask {message}"));
            let coded = coded.map_err(|message| failed(&message))?;
            if self.by_source.insert(source, coded).is_some() {
                return Err(failed("is that of a source that is there already; keep one row per source").into());
            }
        }
        Ok(())
    }

    /// The lesions of a slice of `shape` (rows, columns), both in the usual view, brought to (`side`, `side`): 0 or 1; `None` if nobody
    /// knows them.
    ///
    /// # Errors
    /// The mask has another size than the slice.
    pub fn picture(
        &self,
        series: &Series,
        index: usize,
        shape: (usize, usize),
        side: usize,
    ) -> Result<Option<Array2<u8>>, Error> {
        let [raw, written] = keys(series).nth(index).unwrap_or_default();
        let known = [raw, written].into_iter().find_map(|key| self.by_source.get(key));
        let Some(known) = known.filter(|_| series.has_slice_files()) else { return Ok(None) };
        let mask = series.turn(known.decode());
        if mask.dim() != shape {
            let (expected, got) = (shape, mask.dim());
            let message = format!("has {got:?} pixels, its slice {expected:?}; give masks of the slices' own size");
            return Err(self.failed(written, &message));
        }
        Ok(Some(window::picture_mask(&mask, side)))
    }

    fn failed(&self, source: &str, message: &str) -> Error {
        Error::File { path: self.path.clone(), message: format!("the lesion mask of {source} {message}") }
    }
}

/// What each slice of a series is called: as its file is, and as the outputs call it.
fn keys(series: &Series) -> impl Iterator<Item = [&str; 2]> {
    series.slices.iter().map(|slice| [slice.relative.as_str(), slice.source.as_str()])
}

/// A mask as the lengths of its stretches of 0 and 1 in turn, row-major, 0 first: a study's masks are all in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Coded {
    shape: (usize, usize),
    lengths: Vec<u32>,
}

impl Coded {
    fn new(mask: &[u8], shape: (usize, usize)) -> Result<Self, String> {
        let (height, width) = shape;
        if mask.is_empty() || height.checked_mul(width) != Some(mask.len()) {
            return Err(format!("has {} bytes, expected height x width = {height} x {width}", mask.len()));
        }
        if let Some(other) = mask.iter().find(|value| **value > 1) {
            return Err(format!("has the value {other}, expected 0 and 1"));
        }
        let stretches = mask.chunk_by(|a, b| a == b).map(|stretch| stretch.len() as u32);
        let lengths = (mask[0] == 1).then_some(0).into_iter().chain(stretches).collect();
        Ok(Self { shape, lengths })
    }

    fn decode(&self) -> Array2<u8> {
        let stretch = |(at, length): (usize, &u32)| std::iter::repeat_n((at % 2) as u8, *length as usize);
        let mut values = self.lengths.iter().enumerate().flat_map(stretch);
        Array2::from_shape_simple_fn(self.shape, || values.next().unwrap_or_default())
    }
}

/// Writes `lesions.parquet`, a row group a batch.
pub struct LesionTable {
    writer: TableWriter,
    schema: SchemaRef,
}

impl LesionTable {
    /// Opens the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let schema = schema::lesions();
        Ok(Self { writer: TableWriter::create(path, Arc::clone(&schema), &[]).map_err(not_written)?, schema })
    }

    /// Appends the rows whose lesions are known; sorted as in [`crate::slices::SliceTable::write`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), Error> {
        let known: Vec<(&str, &[u8])> =
            rows.iter().filter_map(|row| Some((row.slice_id.as_str(), row.lesion.as_deref()?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(known.iter().map(|(id, _)| id)));
        let masks: ArrayRef = Arc::new(BinaryArray::from_iter_values(known.iter().map(|(_, mask)| mask)));
        self.writer.write(&self.schema, vec![ids, masks]).map_err(not_written)
    }

    /// Finishes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(self) -> Result<(), Error> {
        self.writer.commit().map_err(not_written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_survive_their_coding() {
        for mask in [[0, 0, 1, 1, 1, 0], [1, 0, 0, 0, 0, 1], [0; 6], [1; 6]] {
            let coded = Coded::new(&mask, (2, 3)).expect("a mask");
            assert_eq!(coded.decode(), Array2::from_shape_vec((2, 3), mask.to_vec()).expect("six values"));
        }
        // By hand: two zeros, three ones, a zero; a mask that starts with 1 has no zeros first.
        assert_eq!(Coded::new(&[0, 0, 1, 1, 1, 0], (2, 3)).map(|coded| coded.lengths), Ok(vec![2, 3, 1]));
        assert_eq!(Coded::new(&[1, 1], (1, 2)).map(|coded| coded.lengths), Ok(vec![0, 2]));
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        let message = |mask: &[u8], shape| Coded::new(mask, shape).expect_err("no mask");
        assert_eq!(message(&[0, 255], (1, 2)), "has the value 255, expected 0 and 1");
        assert_eq!(message(&[0; 5], (2, 3)), "has 5 bytes, expected height x width = 2 x 3");
        assert!(message(&[], (0, 0)).contains("0 bytes"));
    }
}
