//! Labels: the CSV of a DICOM study, and what manifests share with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::schema::column;

use crate::error::Error;

/// A CSV in memory, each record with its line number.
pub struct Csv {
    path: PathBuf,
    header: Vec<String>,
    /// The records; the header is line 1.
    pub rows: Vec<(u64, csv::StringRecord)>,
}

impl Csv {
    /// Reads a CSV with a header and at least one row.
    ///
    /// # Errors
    /// The file cannot be read, is not CSV in UTF-8, or has no rows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        // Spreadsheets like to put a byte order mark in front.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let failed = |error: csv::Error| Error::file(path, "not a CSV table in UTF-8", &error);
        let header = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(failed)?;
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        if rows.is_empty() {
            let message = "expected a row for each item below the header, found none".to_owned();
            return Err(Error::File { path: path.to_owned(), message });
        }
        Ok(Self { path: path.to_owned(), header, rows })
    }

    /// Positions of the columns of these names.
    ///
    /// # Errors
    /// A column is missing.
    pub fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], Error> {
        let mut found = [0; N];
        for (place, name) in found.iter_mut().zip(names) {
            *place = self.header.iter().position(|column| column == name).ok_or_else(|| Error::Row {
                path: self.path.clone(),
                row: 1,
                message: format!("column \"{name}\" is missing (found: {})", self.header.join(", ")),
            })?;
        }
        Ok(found)
    }

    /// The values of a record in these columns.
    ///
    /// # Errors
    /// A value is empty.
    pub fn fields<'a, const N: usize>(
        &self,
        row: u64,
        record: &'a csv::StringRecord,
        columns: &[usize; N],
    ) -> Result<[&'a str; N], Error> {
        let mut values = [""; N];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = record.get(*column).unwrap_or_default();
            if value.is_empty() {
                let message = format!("\"{}\" is empty", self.header[*column]);
                return Err(Error::Row { path: self.path.clone(), row, message });
            }
        }
        Ok(values)
    }
}

/// The class index of a label, given as index or as class name.
///
/// # Errors
/// It is neither; the message names the classes.
pub fn parse(label: &str, classes: &[String]) -> Result<usize, String> {
    let index = label.parse().ok().filter(|index| *index < classes.len());
    index.or_else(|| classes.iter().position(|class| class == label)).ok_or_else(|| {
        let known: Vec<String> = classes.iter().enumerate().map(|(index, class)| format!("{index} {class}")).collect();
        format!("label \"{label}\" is not a class of the study (classes: {})", known.join(", "))
    })
}

/// Labels seen so far, by patient, with the row that said so.
#[derive(Debug, Default)]
pub struct Patients(BTreeMap<String, (usize, u64)>);

impl Patients {
    /// Takes in one row.
    ///
    /// # Errors
    /// The patient has another label already.
    pub fn add(&mut self, patient: &str, label: usize, row: u64, classes: &[String]) -> Result<(), String> {
        let (known, first) = *self.0.entry(patient.to_owned()).or_insert((label, row));
        if known == label {
            return Ok(());
        }
        let name = |label: usize| classes.get(label).cloned().unwrap_or_default();
        Err(format!(
            "its patient is {label} {} here and {known} {} in row {first}; a patient has one label",
            name(label),
            name(known)
        ))
    }

    /// The label of a patient.
    pub fn label(&self, patient: &str) -> Option<usize> {
        self.0.get(patient).map(|(label, _)| *label)
    }

    /// Patient, label and first row, sorted by patient.
    pub fn rows(&self) -> impl Iterator<Item = (&str, usize, u64)> {
        self.0.iter().map(|(patient, (label, row))| (patient.as_str(), *label, *row))
    }

    /// The patients, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Reads labels by patient: columns `patient_id` and `label`; more are allowed.
///
/// # Errors
/// A column is missing, a label is not a class, a patient has two labels, or there is no row.
pub fn read(path: &Path, classes: &[String]) -> Result<Patients, Error> {
    let table = Csv::read(path)?;
    let columns = table.columns([column::PATIENT_ID, column::LABEL])?;
    let mut patients = Patients::default();
    for (row, record) in &table.rows {
        let [patient, label] = table.fields(*row, record, &columns)?;
        let failed = |message| Error::Row { path: path.to_owned(), row: *row, message };
        let label = parse(label, classes).map_err(failed)?;
        patients.add(patient, label, *row, classes).map_err(failed)?;
    }
    Ok(patients)
}
