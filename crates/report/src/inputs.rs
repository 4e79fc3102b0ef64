//! The predictions of a study's runs with what was measured on their attention maps, checked against the folds; and the
//! same runs on the second set of synthetic CT.

use std::collections::BTreeMap;
use std::path::Path;

use contract::config::Config;
use contract::layout::{ATTENTION, Layout, PREDICTIONS, PREDICTIONS_REVERSED};
use contract::plan;
use contract::progress::Progress;

use crate::error::Error;
use crate::measure::{Measures, NOTHING};
use crate::predictions::{Fault, Patient, Predictions, Row, Run, check_rows};
use crate::study::stop_if_asked;
use crate::{folds, read};

fn wrong(path: &Path) -> impl FnOnce(Fault) -> Error {
    let origin = path.display().to_string();
    move |fault| Error::Predictions { origin, fault }
}

/// The predictions of all runs on the study's own slices.
///
/// # Errors
/// A file cannot be read, is another run's, or contradicts the others or the folds.
pub fn predictions(config: &Config, folds: usize) -> Result<Predictions, Error> {
    let layout = Layout::new(config);
    let predictions = assembled(config, folds, PREDICTIONS, |folder, rows| {
        let path = folder.join(ATTENTION);
        attach(rows, &read::measures(&path)?).map_err(wrong(&path))
    })?;
    let table = layout.folds_table();
    folds::check(&read::folds(&table)?, folds, &predictions).map_err(wrong(&table))?;
    Ok(predictions)
}

/// The predictions of the same runs with the confounder reversed, if the study asks for them.
///
/// # Errors
/// As [`predictions`]; or a patient or fold is not that of `standard`.
pub fn reversed(config: &Config, folds: usize, standard: &Predictions) -> Result<Option<Predictions>, Error> {
    if config.reversed().is_none() {
        return Ok(None);
    }
    let reversed = assembled(config, folds, PREDICTIONS_REVERSED, |_, _| Ok(()))?;
    same_patients(standard, &reversed).map_err(wrong(&Layout::new(config).runs()))?;
    Ok(Some(reversed))
}

/// Reads one file of every run, checks each, lets `complete` add to its rows, and puts all together.
fn assembled(
    config: &Config,
    folds: usize,
    file: &str,
    complete: impl Fn(&Path, &mut [Row]) -> Result<(), Error>,
) -> Result<Predictions, Error> {
    let layout = Layout::new(config);
    let runs = plan::runs(config, folds);
    let progress = Progress::new("report: predictions", "runs", runs.len() as u64);
    let mut rows = Vec::new();
    for (method, fold, seed) in runs {
        let folder = layout.run(&method, fold, seed);
        let path = folder.join(file);
        let mut found = read::predictions(&path, config.report.positive as usize)?;
        check_run(&found, (&method, fold, seed), config.classes.len()).map_err(wrong(&path))?;
        complete(&folder, &mut found)?;
        rows.extend(found);
        progress.advance(1);
        stop_if_asked()?;
    }
    progress.finish();
    let order: Vec<String> = config.methods.iter().map(|method| method.name.clone()).collect();
    Predictions::assemble(rows, &order).map_err(wrong(&layout.runs()))
}

/// Checks that a run's file holds that run.
fn check_run(rows: &[Row], (method, fold, seed): (&str, usize, u64), classes: usize) -> Result<(), Fault> {
    check_rows(rows)?;
    let name = |method: &str, fold: i64, seed: i64| format!("method {method}, fold {fold}, seed {seed}");
    let (fold, seed) = (fold as i64, seed as i64);
    match rows.iter().find(|row| row.method != method || row.fold != fold || row.seed != seed) {
        Some(row) => {
            Err(Fault::OtherRun { expected: name(method, fold, seed), got: name(&row.method, row.fold, row.seed) })
        }
        None if rows[0].prob.len() != classes => Err(Fault::Probabilities {
            slice: rows[0].slice_id.clone(),
            method: method.to_owned(),
            classes,
            got: format!("{:?}", rows[0].prob),
        }),
        None => Ok(()),
    }
}

/// Gives every row what was measured on its slice: nothing for a network without attention, else all of them.
fn attach(rows: &mut [Row], measured: &BTreeMap<String, Measures>) -> Result<(), Fault> {
    let unequal = |slice: &str, present: &str, absent: &str| Fault::Unequal {
        slice: slice.to_owned(),
        present: present.to_owned(),
        absent: absent.to_owned(),
    };
    for row in rows.iter_mut() {
        row.attention = match measured.get(&row.slice_id) {
            Some(measures) => *measures,
            None if measured.is_empty() => NOTHING,
            None => return Err(unequal(&row.slice_id, PREDICTIONS, ATTENTION)),
        };
    }
    let is_predicted = |slice: &&String| rows.iter().any(|row| row.slice_id == **slice);
    match measured.keys().find(|slice| measured.len() > rows.len() && !is_predicted(slice)) {
        Some(slice) => Err(unequal(slice, ATTENTION, PREDICTIONS)),
        None => Ok(()),
    }
}

/// Checks that both sets have the same patients, each with one label and held out by the same fold.
fn same_patients(standard: &Predictions, reversed: &Predictions) -> Result<(), Fault> {
    let lacks = |of: &Predictions, patient: &Patient| !of.patients.iter().any(|other| other.id == patient.id);
    let missing = |patient: &Patient, present: &str, absent: &str| Fault::Patient {
        patient: patient.id.clone(),
        present: present.to_owned(),
        absent: absent.to_owned(),
    };
    if let Some(patient) = standard.patients.iter().find(|patient| lacks(reversed, patient)) {
        return Err(missing(patient, PREDICTIONS, PREDICTIONS_REVERSED));
    }
    if let Some(patient) = reversed.patients.iter().find(|patient| lacks(standard, patient)) {
        return Err(missing(patient, PREDICTIONS_REVERSED, PREDICTIONS));
    }
    for (a, b) in standard.runs().zip(reversed.runs()) {
        for (place, (one, other)) in standard.patients.iter().zip(&reversed.patients).enumerate() {
            let describe = |patient: &Patient, run: &Run, file: &str| {
                format!("label {}, fold {} in {file}", patient.label, run.patient_fold[place])
            };
            if (one.label, a.patient_fold[place]) != (other.label, b.patient_fold[place]) {
                let (first, second) = (describe(one, a, PREDICTIONS), describe(other, b, PREDICTIONS_REVERSED));
                return Err(Fault::Conflict { what: format!("patient {}", one.id), first, second });
            }
        }
    }
    Ok(())
}
