//! Reading: predictions (of this study, or given), folds, single rows of the slices, what was left out, training logs.
//!
//! Parquet is read column by column through polars; pictures and attention maps only for the rows that are shown.

pub mod flow;
mod given;
mod slices;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use contract::schema::column;
use polars::prelude::{Column, DataFrame, DataType, PolarsError};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;

use crate::error::Error;
use crate::folds::FoldRow;
use crate::measure::{Measure, Measures, NOTHING};
use crate::predictions::{Row, SUM_TOLERANCE};

pub use given::{Given, given};
pub use slices::{Picture, Place, Rows, attention, lesions, pictures, places, positions};

/// The method's name where a file has no such column.
pub const UNNAMED: &str = "predictions";

fn open(path: &Path, advice: &'static str) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Open { path: path.to_owned(), source, advice })
}

fn damaged(path: &Path, error: &PolarsError) -> Error {
    Error::Parquet { path: path.to_owned(), message: error.to_string() }
}

/// The given columns of a Parquet file that are there; `rows` is (first, number) or all.
fn frame(path: &Path, wanted: &[&str], rows: Option<(usize, usize)>) -> Result<DataFrame, Error> {
    let mut reader = ParquetReader::new(open(path, "run the stage that makes it")?);
    let schema = reader.schema().map_err(|error| damaged(path, &error))?;
    let present = wanted.iter().filter(|name| schema.contains(name)).map(|name| (*name).to_owned()).collect();
    let reader = reader.with_columns(Some(present)).with_slice(rows);
    reader.finish().map_err(|error| damaged(path, &error))
}

/// One column of a frame, cast to `kind` if `accept` takes its type.
fn cast(
    path: &Path,
    frame: &DataFrame,
    name: &str,
    kind: &DataType,
    expected: &'static str,
    accept: fn(&DataType) -> bool,
) -> Result<Column, Error> {
    let wrong = |got: String| Error::Column { path: path.to_owned(), column: name.to_owned(), expected, got };
    let found = frame.column(name).map_err(|_| {
        let known: Vec<&str> = frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
        wrong(format!("no such column (columns: {}); add or rename it", known.join(", ")))
    })?;
    if !accept(found.dtype()) {
        return Err(wrong(found.dtype().to_string()));
    }
    found.cast(kind).map_err(|error| damaged(path, &error))
}

/// `row` is counted from 0; readers count from 1.
fn null(path: &Path, name: &str, row: usize) -> Error {
    let got = format!("a null in row {}; fill it or leave the row out", row + 1);
    Error::Column { path: path.to_owned(), column: name.to_owned(), expected: "a value in every row", got }
}

fn texts(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<String>, Error> {
    let column = cast(path, frame, name, &DataType::String, "text", DataType::is_string)?;
    let values = column.str().map_err(|error| damaged(path, &error))?;
    let value = |(row, value): (usize, Option<&str>)| value.map(str::to_owned).ok_or_else(|| null(path, name, row));
    values.iter().enumerate().map(value).collect()
}

fn integers(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<i64>, Error> {
    let column = cast(path, frame, name, &DataType::Int64, "an integer", DataType::is_integer)?;
    let values = column.i64().map_err(|error| damaged(path, &error))?;
    values.iter().enumerate().map(|(row, value)| value.ok_or_else(|| null(path, name, row))).collect()
}

fn floats(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, Error> {
    let column = cast(path, frame, name, &DataType::Float64, "a number", |kind| kind.is_float() || kind.is_null())?;
    let values = column.f64().map_err(|error| damaged(path, &error))?;
    Ok(values.iter().collect())
}

fn is_float_list(kind: &DataType) -> bool {
    matches!(kind, DataType::List(inner) if inner.is_float()) || kind.is_null()
}

fn float_lists(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<Option<Vec<f64>>>, Error> {
    let kind = DataType::List(Box::new(DataType::Float64));
    let column = cast(path, frame, name, &kind, "a list of numbers", is_float_list)?;
    let lists = column.list().map_err(|error| damaged(path, &error))?;
    let mut rows = Vec::with_capacity(lists.len());
    for values in lists.amortized_iter() {
        let Some(values) = values else {
            rows.push(None);
            continue;
        };
        let numbers = values.as_ref().f64().map_err(|error| damaged(path, &error))?;
        rows.push(Some(numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect()));
    }
    Ok(rows)
}

/// What a single probability must be.
const PROBABILITY: &str = "a probability of the positive class in 0..1";

/// Whether it is one, but for rounding.
fn is_probability(p: f64) -> bool {
    (-SUM_TOLERANCE..=1.0 + SUM_TOLERANCE).contains(&p)
}

/// A distribution over two classes from the probability of `positive`.
fn from_positive(p: f64, positive: usize) -> Vec<f64> {
    if positive == 0 { vec![p, 1.0 - p] } else { vec![1.0 - p, p] }
}

/// The predictions of a run of a study, or of another of its files. `positive` is the class whose probability a scalar `prob` is.
///
/// # Errors
/// The file cannot be read, lacks a column, or has one of another type.
pub fn predictions(path: &Path, positive: usize) -> Result<Vec<Row>, Error> {
    use column::{ATTENTION_IN_LUNG, FOLD, LABEL, METHOD, PATIENT_ID, PROB, SEED, SLICE_ID};
    let wanted = [SLICE_ID, PATIENT_ID, LABEL, METHOD, FOLD, SEED, PROB, ATTENTION_IN_LUNG];
    let frame = frame(path, &wanted, None)?;
    let has = |name: &str| frame.column(name).is_ok();
    let optional = |name: &str| if has(name) { integers(path, &frame, name) } else { Ok(vec![0; frame.height()]) };
    let mut slices = texts(path, &frame, SLICE_ID)?.into_iter();
    let mut patients = texts(path, &frame, PATIENT_ID)?.into_iter();
    let methods = if has(METHOD) { texts(path, &frame, METHOD)? } else { vec![UNNAMED.to_owned(); frame.height()] };
    let (labels, folds, seeds) = (integers(path, &frame, LABEL)?, optional(FOLD)?, optional(SEED)?);
    let attention = measured(path, &frame, false)?;
    let mut probs = probabilities(path, &frame, positive)?.into_iter();
    let mut rows = Vec::with_capacity(frame.height());
    for (row, method) in methods.into_iter().enumerate() {
        let (Some(slice_id), Some(patient_id), Some(prob)) = (slices.next(), patients.next(), probs.next()) else {
            break;
        };
        let (label, fold, seed) = (labels[row], folds[row], seeds[row]);
        rows.push(Row { slice_id, patient_id, label, method, fold, seed, prob, attention: attention[row] });
    }
    Ok(rows)
}

/// The measures of attention of a frame, row by row; unless `all` are required, those it has columns of.
fn measured(path: &Path, frame: &DataFrame, all: bool) -> Result<Vec<Measures>, Error> {
    let mut rows = vec![NOTHING; frame.height()];
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        if all || frame.column(measure.key()).is_ok() {
            let values = floats(path, frame, measure.key())?;
            rows.iter_mut().zip(values).for_each(|(row, value)| row[place] = value);
        }
    }
    Ok(rows)
}

/// What was measured on the attention maps of a run, by slice: attention.parquet. Empty for a network without attention.
///
/// # Errors
/// The file cannot be read, lacks a column, or has one of another type.
pub fn measures(path: &Path) -> Result<BTreeMap<String, Measures>, Error> {
    let wanted: Vec<&str> = std::iter::once(column::SLICE_ID).chain(Measure::ALL.map(Measure::key)).collect();
    let frame = frame(path, &wanted, None)?;
    let rows = measured(path, &frame, true)?;
    Ok(texts(path, &frame, column::SLICE_ID)?.into_iter().zip(rows).collect())
}

fn probabilities(path: &Path, frame: &DataFrame, positive: usize) -> Result<Vec<Vec<f64>>, Error> {
    let name = column::PROB;
    let scalar = frame.column(name).is_ok_and(|column| column.dtype().is_float());
    let values = if scalar {
        let values = floats(path, frame, name)?;
        if let Some(row) = values.iter().position(|p| p.is_some_and(|p| !is_probability(p))) {
            let got = format!(
                "{} in row {}; write probabilities, not logits or percent",
                values[row].unwrap_or(f64::NAN),
                row + 1
            );
            return Err(Error::Column { path: path.to_owned(), column: name.to_owned(), expected: PROBABILITY, got });
        }
        values.into_iter().map(|p| p.map(|p| from_positive(p, positive))).collect()
    } else {
        float_lists(path, frame, name)?
    };
    values.into_iter().enumerate().map(|(row, value)| value.ok_or_else(|| null(path, name, row))).collect()
}

/// A CSV file with a head, its columns found by name.
pub(crate) struct Csv<'a> {
    path: &'a Path,
    head: csv::StringRecord,
    pub(crate) records: Vec<csv::StringRecord>,
}

impl<'a> Csv<'a> {
    pub(crate) fn read(path: &'a Path, advice: &'static str) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path, advice)?);
        let failed = |error: csv::Error| Error::Csv {
            path: path.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            message: match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("expected {expected_len} cells as in the head, got {len}; correct or leave out the line")
                }
                _ => error.to_string(),
            },
        };
        // A byte-order mark, which spreadsheets write, is not part of the first column's name.
        let head = reader.headers().map_err(failed)?.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
        let records = reader.records().collect::<Result<_, _>>().map_err(failed)?;
        Ok(Self { path, head, records })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.head.iter().position(|known| known == name)
    }

    pub(crate) fn require(&self, name: &str) -> Result<usize, Error> {
        self.find(name).ok_or_else(|| Error::Column {
            path: self.path.to_owned(),
            column: name.to_owned(),
            expected: "a column of that name",
            got: format!(
                "no such column (columns: {}); add or rename it",
                self.head.iter().collect::<Vec<_>>().join(", ")
            ),
        })
    }

    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        record: &csv::StringRecord,
        place: usize,
        what: &str,
    ) -> Result<T, Error> {
        record[place].parse().map_err(|_| self.wrong(record, place, what))
    }

    fn wrong(&self, record: &csv::StringRecord, place: usize, what: &str) -> Error {
        Error::Csv {
            path: self.path.to_owned(),
            line: record.position().map_or(0, csv::Position::line),
            message: format!(
                "{}: expected {what}, got \"{}\"; correct or leave out the line",
                &self.head[place], &record[place]
            ),
        }
    }
}

/// All rows of folds.parquet.
///
/// # Errors
/// The file cannot be read or lacks a column.
pub fn folds(path: &Path) -> Result<Vec<FoldRow>, Error> {
    use column::{FOLD, LABEL, PATIENT_ID, SLICE_ID};
    let frame = frame(path, &[SLICE_ID, PATIENT_ID, LABEL, FOLD], None)?;
    let texts = texts(path, &frame, SLICE_ID)?.into_iter().zip(texts(path, &frame, PATIENT_ID)?);
    let numbers = integers(path, &frame, LABEL)?.into_iter().zip(integers(path, &frame, FOLD)?);
    let row = |((slice_id, patient_id), (label, fold))| FoldRow { slice_id, patient_id, label, fold };
    Ok(texts.zip(numbers).map(row).collect())
}

/// Column of the epochs in log.csv, from 1.
pub const EPOCH: &str = "epoch";

/// A training log: for each column its values by epoch. Empty cells (no attention branch, no alpha) are None.
pub type Log = BTreeMap<String, Vec<Option<f64>>>;

/// Reads `epoch` and those of the columns `wanted` that log.csv has.
///
/// # Errors
/// The file cannot be read, has no column `epoch`, or a cell that is neither empty nor a number.
pub fn log(path: &Path, wanted: &[&str]) -> Result<Log, Error> {
    let csv = Csv::read(path, "run the train stage")?;
    let epoch = csv.require(EPOCH)?;
    let cell = |record: &csv::StringRecord, place: usize| match &record[place] {
        "" => Ok(None),
        _ => csv.number(record, place, "a number").map(Some),
    };
    let values = |place: usize| csv.records.iter().map(|record| cell(record, place)).collect::<Result<Vec<_>, _>>();
    let found = wanted.iter().filter_map(|name| Some((*name, csv.find(name)?)));
    found.chain([(EPOCH, epoch)]).map(|(name, place)| Ok((name.to_owned(), values(place)?))).collect()
}
