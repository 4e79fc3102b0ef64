//! Predictions that somebody else's program made: a table of text or Parquet, whatever wrote it.

use std::path::Path;

use contract::schema::column;
use contract::user_table::{Audience, Cell, Place, UserTable, UserTableError, Values, value};

use super::{PROBABILITY, UNNAMED, from_positive, is_probability};
use crate::error::Error;
use crate::measure::{Measure, NOTHING};
use crate::predictions::Row;

/// What a label must be.
const LABEL: &str = "a class's index (0, 1, ...)";
/// What a label must be where `prob` is one number.
const TWO: &str = "0 or 1, because prob is one number, the probability of the positive class of two";
/// What to do about another label.
const MORE: &str =
    "number the two classes 0 and 1; three or more need Parquet with prob as a list, a probability for each class";
/// What to do about a value that is no probability.
const NO_PROBABILITY: &str = "write probabilities, not logits or percent, or leave the row out";

/// Predictions and where they are.
#[derive(Debug, Default)]
pub struct Given {
    /// The rows.
    pub rows: Vec<Row>,
    /// Line or row of each.
    pub places: Vec<Place>,
    /// What had to be guessed, and what looks like a mistake.
    pub remarks: Vec<String>,
}

/// Reads predictions. `positive` is the class whose probability a `prob` that is a number is; in Parquet it may be a list, a
/// probability for each class.
///
/// # Errors
/// The file is no table, lacks a column, or has a value that is not what its column needs.
pub fn given(path: &Path, positive: usize) -> Result<Given, Error> {
    use column::{ATTENTION_IN_LUNG, FOLD, METHOD, PATIENT_ID, PROB, SEED, SLICE_ID};
    let wanted = [SLICE_ID, PATIENT_ID, column::LABEL, METHOD, FOLD, SEED, PROB, ATTENTION_IN_LUNG];
    let table = UserTable::read(path, &wanted, Audience::Owner)?;
    let [slice_at, patient_at, label_at, prob_at] = table.require([SLICE_ID, PATIENT_ID, column::LABEL, PROB])?;
    let [method_at, fold_at, seed_at] = [table.find(METHOD)?, table.find(FOLD)?, table.find(SEED)?];
    let patients = table.ids(patient_at)?;
    let mut remarks = patients.remarks;
    let labels = labels(&table, label_at, positive, &mut remarks)?;
    check_two_classes(&table, [label_at, prob_at], &labels)?;
    let probs = probabilities(&table, prob_at, positive)?;
    if probs.iter().flatten().all(|p| *p == 0.0 || *p == 1.0) {
        remarks.push(
            "all values of prob are 0 or 1: these are decisions and not probabilities, and the AUC is of decisions"
                .to_owned(),
        );
    }
    let mut probs = probs.into_iter();
    let attention = match table.find(ATTENTION_IN_LUNG)? {
        Some(at) => table.numbers(at, "a share in 0..1")?,
        None => vec![None; table.rows()],
    };
    let number = |row, at: Option<usize>| at.map_or(Ok(0), |at| table.integer(row, at, "an integer"));
    let mut rows = Vec::with_capacity(table.rows());
    for (row, patient_id) in patients.values.into_iter().enumerate() {
        let mut measures = NOTHING;
        measures[Measure::InLung as usize] = attention[row];
        rows.push(Row {
            slice_id: table.filled(row, slice_at)?,
            patient_id,
            label: labels[row],
            method: method_at.map_or_else(|| Ok(UNNAMED.to_owned()), |at| table.filled(row, at))?,
            fold: number(row, fold_at)?,
            seed: number(row, seed_at)?,
            prob: probs.next().unwrap_or_default(),
            attention: measures,
        });
    }
    let places = (0..rows.len()).map(|row| table.place(row)).collect();
    Ok(Given { rows, places, remarks })
}

/// The labels: integers, or truth values where the positive class is 1.
fn labels(
    table: &UserTable,
    at: usize,
    positive: usize,
    remarks: &mut Vec<String>,
) -> Result<Vec<i64>, UserTableError> {
    let mut any_truth = false;
    let mut labels = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        let truth = match table.columns()[at].cell(row) {
            Cell::Truth(truth) => Some(truth),
            Cell::Text(text) => value::truth(text.trim()),
            _ => None,
        };
        labels.push(match truth {
            Some(_) if positive != 1 => return Err(table.wrong(row, at, LABEL, "write 0 and 1")),
            Some(truth) => i64::from(truth),
            None => index(table, row, at)?,
        });
        any_truth |= truth.is_some();
    }
    if any_truth {
        remarks.push("labels True and False were read as the classes 1 and 0".to_owned());
    }
    Ok(labels)
}

/// A label that is an integer.
fn index(table: &UserTable, row: usize, at: usize) -> Result<i64, UserTableError> {
    match table.columns()[at].cell(row) {
        Cell::Text(text) if text.chars().any(char::is_alphabetic) && !value::is_missing(text) => {
            Err(table.wrong(row, at, LABEL, "write the class's index"))
        }
        _ => table.integer(row, at, LABEL),
    }
}

/// Refuses labels beyond two classes where a probability is one number.
fn check_two_classes(table: &UserTable, [label_at, prob_at]: [usize; 2], labels: &[i64]) -> Result<(), UserTableError> {
    let is_list = matches!(table.columns()[prob_at].values, Values::Lists(_));
    match labels.iter().position(|label| !(0..=1).contains(label)) {
        Some(row) if !is_list => Err(table.wrong(row, label_at, TWO, MORE)),
        _ => Ok(()),
    }
}

/// The probabilities of each row, one for each class.
fn probabilities(table: &UserTable, at: usize, positive: usize) -> Result<Vec<Vec<f64>>, UserTableError> {
    if let Values::Lists(lists) = &table.columns()[at].values {
        let list = |(row, list): (usize, &Option<Vec<f64>>)| {
            list.clone().ok_or_else(|| table.wrong(row, at, "a list of probabilities", NO_PROBABILITY))
        };
        return lists.iter().enumerate().map(list).collect();
    }
    let numbers = table.numbers(at, PROBABILITY)?;
    let one = |(row, number): (usize, Option<f64>)| match number {
        Some(p) if is_probability(p) => Ok(from_positive(p, positive)),
        _ => Err(table.wrong(row, at, PROBABILITY, NO_PROBABILITY)),
    };
    numbers.into_iter().enumerate().map(one).collect()
}
