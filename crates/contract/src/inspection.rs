//! What is in an input, found by the preprocessing program, which reads CT, and shown by `chumoku check` and `chumoku init`, which do not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exit::Coded;

/// The input and the lung model of a study, or what is wrong with them; travels as JSON on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// SHA-256 of the model, which was loaded.
    pub model: Result<String, Refusal>,
    /// What would be segmented.
    pub input: Result<Found, Refusal>,
    /// The folds of the splits file, in words, or what is wrong with it; `None` for a study without one.
    #[serde(default)]
    pub splits: Option<Result<String, Refusal>>,
}

/// What a study finds in its input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Series.
    pub series: usize,
    /// Slices of the series.
    pub slices: usize,
    /// Patients of each class, in the order of the classes.
    pub patients: Vec<usize>,
    /// Files left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Things worth a line.
    pub notes: Vec<String>,
}

/// What a folder of DICOM files holds, without names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// CT series.
    pub series: usize,
    /// Their slices.
    pub slices: usize,
    /// Patients, by PatientID.
    pub patients: usize,
    /// Files that are no DICOM.
    pub other_files: usize,
}

/// Why something cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The exit code that a run would end with.
    pub exit: u8,
    /// What, where, and what to do.
    pub message: String,
}

impl Refusal {
    /// As a run would say it.
    pub fn of(error: &dyn Coded, message: String) -> Self {
        Self { exit: error.exit() as u8, message }
    }
}
