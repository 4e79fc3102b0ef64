//! The paper's own Tables 1 and 2, for a reader to set beside the study's.
//!
//! They were measured on other patients (one hospital, private: 119 COVID-19 and 227 common pneumonia, 6,621 and 7,092
//! slices), without intervals and with settings that the paper does not state, so only the pattern can be compared and
//! not the level.

/// A row of Table 1: slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SliceRow {
    /// Method.
    pub method: &'static str,
    /// Percent.
    pub accuracy: f64,
    /// Percent.
    pub sensitivity: f64,
    /// Percent.
    pub specificity: f64,
    /// 0..1.
    pub auc: f64,
}

/// A row of Table 2: patients, as (correct, total).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatientRow {
    /// Method.
    pub method: &'static str,
    /// All patients.
    pub diagnosis: (u64, u64),
    /// COVID-19 patients.
    pub sensitivity: (u64, u64),
    /// Patients with common pneumonia.
    pub specificity: (u64, u64),
}

/// Table 1 of the paper.
pub const TABLE_1: [SliceRow; 2] = [
    SliceRow { method: "conventional", accuracy: 83.1, sensitivity: 88.9, specificity: 77.8, auc: 0.914 },
    SliceRow { method: "proposed", accuracy: 84.0, sensitivity: 81.3, specificity: 86.5, auc: 0.923 },
];

/// Table 2 of the paper.
pub const TABLE_2: [PatientRow; 2] = [
    PatientRow { method: "conventional", diagnosis: (299, 346), sensitivity: (115, 119), specificity: (184, 227) },
    PatientRow { method: "proposed", diagnosis: (309, 346), sensitivity: (104, 119), specificity: (205, 227) },
];

/// Slices that Table 1 rests on: 6,621 of COVID-19 and 7,092 of common pneumonia.
pub const SLICES: u64 = 6_621 + 7_092;
/// Patients that Table 2 rests on: 119 with COVID-19 and 227 with common pneumonia.
pub const PATIENTS: u64 = 119 + 227;

/// Title of the block that holds them.
pub const BLOCK: &str = "the paper's own numbers (other patients, 3 folds; no intervals given)";
