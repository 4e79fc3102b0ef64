//! Patients of the CT who have no label: an error that says how many and why, or left out where the study says so. Their raw ids and
//! folders are printed by `whois --unlabelled` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::config::{Config, Unlabelled};
use contract::plan;
use contract::user_table::alike::normal_form;

use crate::dicom;
use crate::error::Error;
use crate::labels::Patients;
use crate::privacy::Naming;

/// Reason for the files of a patient without a label.
pub const UNLABELLED: &str = "unlabelled";

/// A patient of the CT without a label. The id and the folder are raw: for the owner's terminal alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// PatientID.
    pub raw: String,
    /// The folder that holds all the patient's slices, relative to the input.
    pub folder: PathBuf,
    /// Slices.
    pub slices: usize,
    /// An id of the labels that differs from this one by leading zeros, case or blanks alone.
    pub alike: Option<String>,
}

/// The patients of these series, each of whom has no label.
pub fn patients(series: &[dicom::Series], labels: &Patients) -> Vec<Patient> {
    let by_form: BTreeMap<String, &str> = labels.names().map(|raw| (normal_form(raw), raw)).collect();
    let mut found: BTreeMap<&str, Patient> = BTreeMap::new();
    for one in series {
        for header in &one.slices {
            let folder = header.file.parent().unwrap_or(Path::new(""));
            let patient = found.entry(&one.patient).or_insert_with(|| Patient {
                raw: one.patient.clone(),
                folder: folder.to_owned(),
                slices: 0,
                alike: by_form.get(&normal_form(&one.patient)).map(|raw| (*raw).to_owned()),
            });
            patient.slices += 1;
            while !folder.starts_with(&patient.folder) {
                patient.folder.pop();
            }
        }
    }
    found.into_values().collect()
}

/// Refuses `series` of patients without a label unless the study leaves them out. `labelled` are the others.
///
/// # Errors
/// There are such patients and `preprocess.unlabelled` is `error`, or there is no patient with a label at all.
pub fn check(
    config: &Config,
    series: &[dicom::Series],
    labelled: &[dicom::Series],
    labels: &Patients,
    naming: &Naming,
) -> Result<(), Error> {
    let found = patients(series, labels);
    let skips = config.preprocess.unlabelled == Unlabelled::Skip;
    // Patients whose labels are there in another spelling are not left out: nobody meant that.
    let meant = found.iter().any(|patient| patient.alike.is_some());
    if found.is_empty() || (skips && !labelled.is_empty() && !meant) {
        return Ok(());
    }
    if let Some(without_id) = found.iter().find(|patient| patient.raw.is_empty()) {
        let folders: BTreeSet<&Path> = series
            .iter()
            .filter(|one| one.patient.is_empty())
            .flat_map(|one| &one.slices)
            .filter_map(|slice| slice.file.parent())
            .collect();
        return Err(Error::NoPatientId {
            files: without_id.slices,
            folders: folders.len(),
            labels: plan::labels_file(config),
        });
    }
    let patients = found.iter().map(|patient| naming.patient(&patient.raw)).collect::<Result<Vec<_>, _>>()?;
    let alike = found.iter().filter(|patient| patient.alike.is_some()).count();
    let all = labelled.iter().map(|series| series.patient.as_str()).collect::<BTreeSet<_>>().len();
    let in_folders = found.iter().filter(|patient| is_in_labelled_folders(patient, series, labels)).count();
    let (of, labels) = (all + found.len(), plan::labels_file(config));
    Err(Error::Unlabelled { patients, of, alike, in_folders, labels, skips })
}

/// True if the patient's files lie in folders of the input that are called as ids of the labels.
fn is_in_labelled_folders(patient: &Patient, series: &[dicom::Series], labels: &Patients) -> bool {
    let slices = series.iter().filter(|one| one.patient == patient.raw).flat_map(|one| &one.slices);
    let mut folders = slices.map(|slice| slice.file.components().next().map(|part| part.as_os_str().to_string_lossy()));
    folders.all(|folder| folder.is_some_and(|folder| labels.label(&folder).is_some()))
}
