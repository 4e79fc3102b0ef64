//! Parquet as the stages exchange it: fixed schema, zstd, no timestamps, so the same rows are the same bytes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::atomic::FileWriter;
use crate::schema::{VERSION, metadata};

/// What can be wrong with a Parquet file between the stages.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not Parquet, or a damaged one.
    #[error("{path} is not a readable Parquet file: {source}; delete it and run the stage that makes it again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// Arrow could not build or read a batch.
    #[error("{path}: {source}")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArrowError,
    },
    /// A column is missing or has another type than the contract says.
    #[error("column \"{column}\" in {path}: expected {expected}, got {got}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The type the contract names.
        expected: String,
        /// What was found.
        got: String,
    },
}

/// Writes batches of one schema to a file that appears whole or not at all.
pub struct TableWriter {
    writer: ArrowWriter<FileWriter>,
    path: PathBuf,
}

impl TableWriter {
    /// Opens `path` for `schema`; `pairs` and the schema version go to the file's metadata.
    pub fn create(path: &Path, schema: SchemaRef, pairs: &[(&str, String)]) -> Result<Self, TableError> {
        let mut all = vec![KeyValue::new(metadata::SCHEMA_VERSION.to_owned(), VERSION.to_owned())];
        all.extend(pairs.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("chumoku".to_owned())
            .set_key_value_metadata(Some(all))
            .build();
        let file = FileWriter::create(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties))
            .map_err(|source| TableError::Parquet { path: path.to_owned(), source })?;
        Ok(Self { writer, path: path.to_owned() })
    }

    /// Appends `columns` as one row group, so memory holds one batch at a time.
    pub fn write(&mut self, schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<(), TableError> {
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)
            .map_err(|source| TableError::Arrow { path: self.path.clone(), source })?;
        self.writer
            .write(&batch)
            .and_then(|()| self.writer.flush())
            .map_err(|source| TableError::Parquet { path: self.path.clone(), source })
    }

    /// Finishes the file and gives it its name.
    pub fn commit(self) -> Result<(), TableError> {
        let Self { writer, path } = self;
        let file = writer.into_inner().map_err(|source| TableError::Parquet { path: path.clone(), source })?;
        file.commit().map_err(|source| TableError::Io { path, source })
    }
}

/// A Parquet file opened for reading, checked against the contract's schema.
pub struct TableReader {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl TableReader {
    /// Opens `path` and checks that every column of `schema` is there with its type. More columns are allowed.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, TableError> {
        let file = File::open(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|source| TableError::Parquet { path: path.to_owned(), source })?;
        for expected in schema.fields() {
            let found = builder.schema().field_with_name(expected.name()).ok();
            if !found.is_some_and(|found| found.data_type().equals_datatype(expected.data_type())) {
                return Err(TableError::Column {
                    path: path.to_owned(),
                    column: expected.name().clone(),
                    expected: expected.data_type().to_string(),
                    got: found.map_or_else(|| "no such column".to_owned(), |found| found.data_type().to_string()),
                });
            }
        }
        Ok(Self { path: path.to_owned(), builder })
    }

    /// A value of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let pairs = self.builder.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.clone()
    }

    /// Reads only the columns of `names`; the others are not decoded.
    pub fn select(mut self, names: &[&str]) -> Self {
        let mask = ProjectionMask::columns(self.builder.parquet_schema(), names.iter().copied());
        self.builder = self.builder.with_projection(mask);
        self
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        usize::try_from(self.builder.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Reads batch by batch, `batch_rows` at most at a time.
    pub fn batches(
        self,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>>, TableError> {
        let path = self.path;
        let reader = self
            .builder
            .with_batch_size(batch_rows)
            .build()
            .map_err(|source| TableError::Parquet { path: path.clone(), source })?;
        Ok(reader.map(move |batch| batch.map_err(|source| TableError::Arrow { path: path.clone(), source })))
    }
}

/// A text column of a batch that [`TableReader::open`] checked.
pub fn text<'a>(batch: &'a RecordBatch, name: &str) -> impl Iterator<Item = &'a str> {
    let array = batch.column_by_name(name).expect("the schema was checked when the file was opened");
    array.as_string::<i32>().iter().map(Option::unwrap_or_default)
}

/// A binary column of a checked batch.
pub fn binary<'a>(batch: &'a RecordBatch, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let array = batch.column_by_name(name).expect("the schema was checked when the file was opened");
    array.as_binary::<i32>().iter().map(Option::unwrap_or_default)
}

/// A numeric column of a checked batch; nulls are `None`.
pub fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> impl Iterator<Item = Option<T::Native>> + 'a {
    let array = batch.column_by_name(name).expect("the schema was checked when the file was opened");
    array.as_primitive::<T>().iter()
}

/// A column of lists of f32 of a checked batch; nulls are `None`.
pub fn float_lists(batch: &RecordBatch, name: &str) -> Vec<Option<Vec<f32>>> {
    let array = batch.column_by_name(name).expect("the schema was checked when the file was opened");
    let lists = array.as_list::<i32>();
    let row = |index: usize| {
        let values = lists.value(index);
        values.as_primitive::<arrow::datatypes::Float32Type>().values().to_vec()
    };
    (0..lists.len()).map(|index| lists.is_valid(index).then(|| row(index))).collect()
}
