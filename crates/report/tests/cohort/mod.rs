//! Rows of predictions and their assessment without a study.

use contract::config::PatientRule;
use report::assess::{Assessment, assess};
use report::measure;
use report::pool::{Evidence, Settings};
use report::predictions::{Predictions, Row};

/// A row without fold, seed and attention.
pub fn row(slice: usize, patient: usize, label: usize, method: &str, prob: Vec<f64>) -> Row {
    Row {
        slice_id: format!("s{slice:05}"),
        patient_id: format!("p{patient:04}"),
        label: label as i64,
        method: method.to_owned(),
        fold: 0,
        seed: 0,
        prob,
        attention: measure::NOTHING,
    }
}

/// Classes c0, c1, ...; method a against method b.
pub fn settings(classes: usize, positive: usize, bootstrap: usize) -> Settings {
    let pair = ("a".to_owned(), "b".to_owned());
    Settings {
        study: "expected".to_owned(),
        classes: (0..classes).map(|class| format!("c{class}")).collect(),
        positive,
        rule: PatientRule::Mean,
        confidence: 0.95,
        bootstrap,
        seed: 0,
        shown: vec![pair.0.clone(), pair.1.clone()],
        pairs: vec![pair],
    }
}

/// The assessment of rows by [`settings`].
pub fn assessed(rows: Vec<Row>, positive: usize, bootstrap: usize) -> Assessment {
    let predictions = Predictions::assemble(rows, &[]).expect("the rows are consistent");
    assess(Evidence { predictions: &predictions, reversed: None }, &settings(predictions.classes, positive, bootstrap))
}
