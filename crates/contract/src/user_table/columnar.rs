//! Parquet as pandas, polars, Spark and R write it: any codec, any width of numbers, categories, large and view types.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, UInt64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::column::{Column, Values};
use crate::contain;

/// Largest integers below which all are exact in floats of 16, 32 and 64 bits.
const EXACT: [f64; 3] = [2048.0, 16_777_216.0, 9_007_199_254_740_992.0];

/// A Parquet file whose columns are read in chunks of rows.
pub struct Columnar {
    /// Names of all columns.
    pub head: Vec<String>,
    /// Places in the head of the columns that are read.
    read: Vec<usize>,
    reader: ParquetRecordBatchReader,
}

impl Columnar {
    /// Opens the file; `chosen` says of the head which columns are read.
    ///
    /// # Errors
    /// It is no Parquet file, damaged, or encrypted.
    pub fn open(path: &Path, rows_at_a_time: usize, chosen: &dyn Fn(&[String]) -> Vec<usize>) -> Result<Self, String> {
        let unreadable = |error: String| {
            let error = error.trim_end_matches('.').to_owned();
            format!("is not a readable Parquet file ({error}); write it again, or copy it again from where it is whole")
        };
        let open = || {
            let file = File::open(path).map_err(|error| error.to_string())?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
            let head: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            let mut read = chosen(&head);
            read.retain(|place| is_flat(builder.schema(), *place));
            let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
            let builder = builder.with_projection(mask).with_batch_size(rows_at_a_time);
            let reader = builder.build().map_err(|error| error.to_string())?;
            read.sort_unstable();
            Ok(Self { head, read, reader })
        };
        contain::panics(open).map_err(unreadable)
    }

    /// The next rows and their number: a column for each name of the head, of which only those that are read have values; none at the
    /// end.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn next_rows(&mut self, schema: &Schema) -> Result<Option<(Vec<Column>, usize)>, String> {
        let reader = &mut self.reader;
        let next = || reader.next().transpose().map_err(|error| error.to_string());
        let Some(batch) = contain::panics(next)? else { return Ok(None) };
        let mut columns = self.empty(schema);
        for (at, place) in self.read.iter().enumerate() {
            columns[*place].values = values(&batch, at, &columns[*place])?;
        }
        Ok(Some((columns, batch.num_rows())))
    }

    /// The columns without rows.
    pub fn empty(&self, schema: &Schema) -> Vec<Column> {
        let column = |(name, field): (&String, &std::sync::Arc<arrow::datatypes::Field>)| Column {
            name: name.clone(),
            kind: field.data_type().to_string(),
            values: Values::Unread,
        };
        self.head.iter().zip(schema.fields()).map(column).collect()
    }
}

/// The columns and types of a Parquet file.
///
/// # Errors
/// It is none, or damaged.
pub fn schema(path: &Path) -> Result<Schema, String> {
    let read = || {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        Ok(builder.schema().as_ref().clone())
    };
    contain::panics(read)
}

/// Whether the column has values of one kind and not structures.
fn is_flat(schema: &Schema, place: usize) -> bool {
    let nested = |kind: &DataType| matches!(kind, DataType::Struct(_) | DataType::Map(..) | DataType::Union(..));
    let kind = schema.field(place).data_type();
    let item = match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    };
    !nested(kind) && !item.is_some_and(|item| nested(item) || item.is_nested())
}

/// The values of a column of a batch; `of` is for messages.
fn values(batch: &RecordBatch, at: usize, of: &Column) -> Result<Values, String> {
    let convert = || converted(batch.column(at));
    contain::panics(convert)
        .map_err(|error| format!("column \"{}\" of type {} cannot be read: {error}", of.name, of.kind))
}

/// A cast that fails rather than leave a value out.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|error| error.to_string())
}

fn converted(array: &ArrayRef) -> Result<Values, String> {
    use DataType::*;
    match array.data_type() {
        Dictionary(_, value) => converted(&cast(array, value)?),
        Null => Ok(Values::Texts(vec![None; array.len()])),
        Utf8 | LargeUtf8 | Utf8View => {
            let texts = cast(array, &LargeUtf8)?;
            Ok(Values::Texts(texts.as_string::<i64>().iter().map(|text| text.map(str::to_owned)).collect()))
        }
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => {
            let bytes = cast(array, &LargeBinary)?;
            Ok(Values::Bytes(bytes.as_binary::<i64>().iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()))
        }
        UInt64 => {
            let numbers = array.as_primitive::<UInt64Type>();
            Ok(Values::Integers(numbers.iter().map(|number| number.map(i128::from)).collect()))
        }
        kind if kind.is_integer() => integers(array),
        Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) if *scale <= 0 => integers(array),
        Float16 => numbers(array, EXACT[0]),
        Float32 => numbers(array, EXACT[1]),
        Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => numbers(array, EXACT[2]),
        Boolean => Ok(Values::Truths(array.as_boolean().iter().collect())),
        List(_) => lists(array, |row| array.as_list::<i32>().value(row)),
        LargeList(_) => lists(array, |row| array.as_list::<i64>().value(row)),
        FixedSizeList(..) => lists(array, |row| array.as_fixed_size_list().value(row)),
        _ => Ok(Values::Unread),
    }
}

fn integers(array: &ArrayRef) -> Result<Values, String> {
    let integers = cast(array, &DataType::Int64)?;
    Ok(Values::Integers(integers.as_primitive::<Int64Type>().iter().map(|number| number.map(i128::from)).collect()))
}

fn numbers(array: &ArrayRef, exact: f64) -> Result<Values, String> {
    let numbers = cast(array, &DataType::Float64)?;
    Ok(Values::Numbers { values: numbers.as_primitive::<Float64Type>().iter().collect(), exact })
}

/// Lists of numbers; a null within is NaN.
fn lists(array: &ArrayRef, row: impl Fn(usize) -> ArrayRef) -> Result<Values, String> {
    let mut lists = Vec::with_capacity(array.len());
    for place in 0..array.len() {
        if array.is_null(place) {
            lists.push(None);
            continue;
        }
        let items = row(place);
        let is_number = items.data_type().is_numeric() || items.data_type() == &DataType::Boolean;
        if !is_number {
            return Ok(Values::Unread);
        }
        let items = cast(&items, &DataType::Float64)?;
        lists.push(Some(items.as_primitive::<Float64Type>().iter().map(|item| item.unwrap_or(f64::NAN)).collect()));
    }
    Ok(Values::Lists(lists))
}
