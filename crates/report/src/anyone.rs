//! `chumoku-report metrics`: the tables for anyone's predictions, without a study.

use std::path::Path;

use crate::answer::Answer;
use crate::assess::{Settings, assess};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::study::metrics_json;
use crate::{read, render, tables};

/// How the intervals are made where no study says it; the defaults of a study.
const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 2000;

/// Reads `path`, writes metrics.json to `json` if asked to, and returns the tables as text.
///
/// # Errors
/// See [`Error`].
pub fn metrics(path: &Path, json: Option<&Path>, positive: usize) -> Result<String, Error> {
    let fault = |fault| Error::Predictions { origin: path.display().to_string(), fault };
    let rows = read::predictions(path, positive)?;
    let predictions = Predictions::assemble(rows, &[]).map_err(fault)?;
    if positive >= predictions.classes {
        let last = predictions.classes - 1;
        return Err(Error::Usage(format!("--positive: expected a label from 0 to {last}, got {positive}")));
    }
    let settings = settings(path, &predictions, positive);
    let assessment = assess(&predictions, &settings);
    if let Some(json) = json {
        contract::atomic::write(json, metrics_json(&assessment).as_bytes())
            .map_err(|source| Error::Write { path: json.to_owned(), source })?;
    }
    let tables: String = tables::tables(&assessment).iter().map(|table| render::text(table) + "\n").collect();
    Ok(format!("{tables}{}", Answer::new(&assessment).sentence))
}

fn settings(path: &Path, predictions: &Predictions, positive: usize) -> Settings {
    let class = |label: usize| match (label == positive, predictions.classes) {
        (true, _) => format!("class {label} (positive)"),
        (false, _) => format!("class {label}"),
    };
    Settings {
        study: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        classes: (0..predictions.classes).map(class).collect(),
        positive,
        confidence: CONFIDENCE,
        bootstrap: RESAMPLES,
        seed: 0,
        pairs: pairs(predictions),
    }
}

/// Conventional and proposed if both are there; else every method against the first by name.
fn pairs(predictions: &Predictions) -> Vec<(String, String)> {
    let known = ["conventional", "proposed"].map(str::to_owned);
    if known.iter().all(|name| predictions.method(name).is_some()) {
        let [a, b] = known;
        return vec![(a, b)];
    }
    let mut names = predictions.methods.iter().map(|method| method.name.clone());
    let Some(first) = names.next() else { return Vec::new() };
    names.map(|other| (first.clone(), other)).collect()
}
