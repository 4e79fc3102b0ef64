//! `chumoku-report metrics`: the tables for anyone's predictions, without a study.

use std::path::Path;

use contract::config::PatientRule;
use contract::user_table::Place;

use crate::answer::Answer;
use crate::assess::assess;
use crate::error::Error;
use crate::pool::{Evidence, Settings};
use crate::predictions::{Fault, Predictions};
use crate::study::metrics_json;
use crate::{format, read, render, tables};

/// How the intervals are made where no study says it; the defaults of a study.
const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 2000;

/// Reads `path`, writes metrics.json to `json` if asked to, and returns the tables as text.
///
/// # Errors
/// See [`Error`].
pub fn metrics(path: &Path, json: Option<&Path>, (positive, rule): (usize, PatientRule)) -> Result<String, Error> {
    if let Some(message) = json.and_then(|json| contract::atomic::is_input(json, [path])) {
        return Err(Error::Usage(message));
    }
    let fault = |fault| located(path, positive, fault);
    let given = read::given(path, positive)?;
    given.remarks.iter().for_each(|remark| contract::say!("warning: {remark}"));
    let predictions = Predictions::assemble(given.rows, &[]).map_err(fault)?;
    if positive >= predictions.classes {
        let last = predictions.classes - 1;
        return Err(Error::Usage(format!("--positive: expected a label from 0 to {last}, got {positive}")));
    }
    let settings = Settings { rule, ..settings(path, &predictions, positive) };
    let assessment = assess(Evidence { predictions: &predictions, reversed: None }, &settings);
    if let Some(json) = json {
        contract::atomic::write(json, metrics_json(&assessment).as_bytes())
            .map_err(|source| Error::Write { path: json.to_owned(), source })?;
    }
    let tables: String = tables::tables(&assessment).iter().map(|table| render::text(table) + "\n").collect();
    Ok(format!("{tables}{}", render::paragraphs(&Answer::new(&assessment))))
}

/// A fault with the rows of the file it is about. They are read once more: rows that are right need no memory for their place.
fn located(path: &Path, positive: usize, fault: Fault) -> Error {
    let given = read::given(path, positive).unwrap_or_default();
    let places: Vec<Place> = fault.rows(&given.rows).into_iter().map(|row| given.places[row]).collect();
    let numbers: Vec<u64> = places.iter().filter_map(number).collect();
    let rows = match (&places[..], &numbers[..]) {
        ([one], _) => format!(", {one}"),
        ([Place::Line(_), ..], more) => format!(", lines {}", format::list(more)),
        ([Place::Row(_), ..], more) => format!(", rows {}", format::list(more)),
        _ => String::new(),
    };
    Error::Predictions { origin: format!("{}{rows}", path.display()), fault }
}

/// The number of a line or row.
fn number(place: &Place) -> Option<u64> {
    match place {
        Place::Line(number) | Place::Row(number) => Some(*number),
        Place::File => None,
    }
}

fn settings(path: &Path, predictions: &Predictions, positive: usize) -> Settings {
    let class = |label: usize| match (label == positive, predictions.classes) {
        (true, _) => format!("class {label} (positive)"),
        (false, _) => format!("class {label}"),
    };
    let pairs = pairs(predictions);
    let names = |(a, b): &(String, String)| vec![a.clone(), b.clone()];
    let all = || predictions.methods.iter().map(|method| method.name.clone()).collect();
    Settings {
        study: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        classes: (0..predictions.classes).map(class).collect(),
        positive,
        rule: PatientRule::Mean,
        confidence: CONFIDENCE,
        bootstrap: RESAMPLES,
        seed: 0,
        shown: pairs.first().map_or_else(all, names),
        pairs,
    }
}

/// Every other method against the one named conventional, the one named proposed first; else against the first by name.
fn pairs(predictions: &Predictions) -> Vec<(String, String)> {
    let names: Vec<&String> = predictions.methods.iter().map(|method| &method.name).collect();
    let Some(first) = names.iter().find(|name| **name == "conventional").or(names.first()).copied() else {
        return Vec::new();
    };
    let mut others: Vec<&String> = names.into_iter().filter(|name| *name != first).collect();
    others.sort_by_key(|name| *name != "proposed");
    others.into_iter().map(|other| (first.clone(), other.clone())).collect()
}
