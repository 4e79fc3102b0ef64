//! Labels: the table of a DICOM study, and what manifests share with it.

use std::collections::BTreeMap;
use std::path::Path;

use contract::label;
use contract::schema::column;
use contract::user_table::{Audience, Place, UserTable};

use crate::error::Error;

/// Labels seen so far, by patient, with the row that said so.
#[derive(Debug, Default)]
pub struct Patients {
    by_id: BTreeMap<String, (usize, Place)>,
    /// What had to be guessed about the table, and what looks like a mistake in it.
    pub remarks: Vec<String>,
}

impl Patients {
    /// Takes in one row.
    ///
    /// # Errors
    /// The patient has another label already.
    pub fn add(&mut self, patient: &str, label: usize, row: Place, classes: &[String]) -> Result<(), String> {
        let (known, first) = *self.by_id.entry(patient.to_owned()).or_insert((label, row));
        if known == label {
            return Ok(());
        }
        let name = |label: usize| classes.get(label).cloned().unwrap_or_default();
        Err(format!(
            "its patient is {label} {} here and {known} {} in {first}; a patient has one label",
            name(label),
            name(known)
        ))
    }

    /// The label of a patient.
    pub fn label(&self, patient: &str) -> Option<usize> {
        self.by_id.get(patient).map(|(label, _)| *label)
    }

    /// Patient, label and first row, sorted by patient.
    pub fn rows(&self) -> impl Iterator<Item = (&str, usize, Place)> {
        self.by_id.iter().map(|(patient, (label, row))| (patient.as_str(), *label, *row))
    }

    /// The patients, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }
}

/// The label of a row: a class's name or index.
///
/// # Errors
/// It is missing or no class.
pub fn of_row(table: &UserTable, row: usize, at: usize, classes: &[String]) -> Result<usize, Error> {
    let label = table.filled(row, at)?;
    label::parse(&label, classes).map_err(|message| table.fault(table.place(row), message).into())
}

/// Reads labels by patient: columns `patient_id` and `label`; more are allowed.
///
/// # Errors
/// A column is missing, an id is missing, a label is not a class, a patient has two labels, or there is no row.
pub fn read(path: &Path, classes: &[String]) -> Result<Patients, Error> {
    let table = UserTable::read(path, &[column::PATIENT_ID, column::LABEL], Audience::Log)?;
    let [patient, label] = table.require([column::PATIENT_ID, column::LABEL])?;
    let ids = table.ids(patient)?;
    let mut patients = Patients { remarks: ids.remarks, ..Patients::default() };
    for (row, patient) in ids.values.iter().enumerate() {
        let label = of_row(&table, row, label, classes)?;
        let added = patients.add(patient, label, table.place(row), classes);
        added.map_err(|message| table.fault(table.place(row), message))?;
    }
    Ok(patients)
}
