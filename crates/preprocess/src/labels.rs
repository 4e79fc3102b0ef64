//! Labels: the table of a DICOM study, and what manifests share with it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use contract::label;
use contract::schema::column;
use contract::user_table::{Audience, Place, UserTable};

use crate::error::Error;

/// Labels seen so far, by patient, with the row that said so.
#[derive(Debug, Default)]
pub struct Patients {
    by_id: BTreeMap<String, (usize, Place)>,
    /// The patient of each folder that the labels name; none where they go by PatientID.
    by_folder: BTreeMap<PathBuf, String>,
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

    /// Takes in the folder of a patient.
    ///
    /// # Errors
    /// It is no folder below the input, or another row names it.
    fn add_folder(&mut self, named: &str, patient: &str) -> Result<(), String> {
        let mut folder = PathBuf::new();
        for part in Path::new(named).components() {
            match part {
                Component::Normal(name) => folder.push(name),
                Component::CurDir => {}
                _ => {
                    return Err(
                        "its folder must be a path below the input, without / in front and without ..".to_owned()
                    );
                }
            }
        }
        let other = self.by_folder.insert(folder, patient.to_owned());
        other.map_or(Ok(()), |_| Err("its folder is that of another row; a folder holds one patient".to_owned()))
    }

    /// The patient of a file, relative to the input: that of the innermost folder around it which the labels name.
    pub fn of_file(&self, file: &Path) -> Option<&str> {
        let mut around = file.ancestors().skip(1);
        around.find_map(|folder| self.by_folder.get(folder)).map(String::as_str)
    }

    /// The folders that the labels name.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.by_folder.keys().map(PathBuf::as_path)
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

/// Reads labels by patient: columns `patient_id` and `label`; more are allowed. With a column `folder` a row names the folder of the patient's
/// files, relative to the input, and the patient is called as the folder where there is no `patient_id`.
///
/// # Errors
/// A column is missing, an id is missing, a label is not a class, a patient has two labels, a folder is named twice or lies outside the
/// input, or there is no row.
pub fn read(path: &Path, classes: &[String]) -> Result<Patients, Error> {
    let table = UserTable::read(path, &[], Audience::Log)?;
    let folder = table.find(column::FOLDER)?;
    let [label] = table.require([column::LABEL])?;
    let patient = match (table.find(column::PATIENT_ID)?, folder) {
        (Some(patient), _) => patient,
        (None, Some(folder)) => folder,
        (None, None) => return Err(table.missing(column::PATIENT_ID, true).into()),
    };
    let ids = table.ids(patient)?;
    let mut patients = Patients { remarks: ids.remarks, ..Patients::default() };
    for (row, patient) in ids.values.iter().enumerate() {
        let label = of_row(&table, row, label, classes)?;
        let failed = |message| table.fault(table.place(row), message);
        patients.add(patient, label, table.place(row), classes).map_err(failed)?;
        if let Some(folder) = folder {
            let named = table.filled(row, folder)?;
            patients.add_folder(&named, patient).map_err(failed)?;
        }
    }
    Ok(patients)
}
