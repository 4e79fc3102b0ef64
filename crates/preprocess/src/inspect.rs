//! `chumoku-preprocess inspect` and `look`: what is there, before any work. Asked by `chumoku check` and `chumoku init`; nothing is
//! written but the key of the study's pseudonyms.

use std::collections::BTreeSet;
use std::path::PathBuf;

use contract::cli::{self, StageArgs};
use contract::config::Config;
use contract::inspection::{Found, Inspection, Refusal, Series};
use contract::plan;
use contract::splits::Resolved;

use crate::error::Error;
use crate::lesions::Lesions;
use crate::model::{LungModel, Trust};
use crate::privacy::Naming;
use crate::{dicom, inputs, splits};

/// Arguments of `look`.
#[derive(Debug, clap::Args)]
pub struct LookArgs {
    /// A folder with DICOM files
    pub folder: PathBuf,
}

/// Prints what the folder holds, without names.
///
/// # Errors
/// There is no CT, or a file is damaged.
pub fn look(args: &LookArgs) -> Result<(), Error> {
    let scan = dicom::scan(&args.folder)?;
    let patients: BTreeSet<&str> = scan.series.iter().map(|series| series.patient.as_str()).collect();
    print(serde_json::to_string(&Series {
        series: scan.series.len(),
        slices: scan.series.iter().map(|series| series.slices.len()).sum(),
        patients: patients.len(),
        other_files: scan.other_files,
    }));
    Ok(())
}

/// Prints what the stage would find, by the functions by which it finds it.
///
/// # Errors
/// The configuration; what is wrong with input and model is part of what is printed.
pub fn run(args: &StageArgs) -> Result<(), Error> {
    let config = args.load()?;
    let settings = &config.preprocess;
    let model = LungModel::load(&settings.model, Trust::Study(settings.model_sha256.as_deref()));
    let model = model.map(|model| model.sha256().to_owned()).map_err(refusal);
    // Synthetic CT is not there yet.
    let found = if config.phantom.enabled { Ok((Found::default(), None)) } else { look_at(&config) };
    let (input, splits) = match found {
        Ok((found, splits)) => (Ok(found), splits),
        Err(error) => (Err(refusal(error)), None),
    };
    print(serde_json::to_string(&Inspection { model, input, splits }));
    Ok(())
}

fn print(json: serde_json::Result<String>) {
    // Neither of the two has a key that JSON cannot hold.
    contract::tell!("{}", json.unwrap_or_default());
}

fn refusal(error: Error) -> Refusal {
    let message = cli::chain(&error);
    Refusal::of(&error, message)
}

/// What a study finds in its input, and the folds of its splits file in words, or what is wrong with it.
type Seen = (Found, Option<Result<String, Refusal>>);

/// The study's key is made here if it has none yet: what is printed of patients has the pseudonyms that a run gives them.
fn look_at(config: &Config) -> Result<Seen, Error> {
    let mut naming = Naming::new(config)?;
    find(config, &mut naming).map_err(|error| naming.hide_in(error))
}

fn find(config: &Config, naming: &mut Naming) -> Result<Seen, Error> {
    let inputs = inputs::collect(config, naming)?;
    Lesions::load(config, &inputs.series)?;
    let folds = splits::check(config, naming, &inputs.series).map_err(|error| refusal(naming.hide_in(error)));
    let folds = folds.map(|folds| folds.map(|folds| in_words(config, &folds))).transpose();
    let mut found = Found { series: inputs.series.len(), notes: inputs.notes, ..Found::default() };
    found.slices = inputs.series.iter().map(|series| series.slices.len()).sum();
    let mut patients = vec![BTreeSet::new(); config.classes.len()];
    for series in &inputs.series {
        patients[series.label].insert(series.patient_id.as_str());
    }
    found.patients = patients.iter().map(BTreeSet::len).collect();
    for file in &inputs.left_out {
        *found.left_out.entry(file.reason.to_owned()).or_default() += 1;
    }
    Ok((found, folds))
}

/// "folds: 3, for 8 patients by their ids".
fn in_words(config: &Config, folds: &Resolved) -> String {
    let count = plan::fold_count(config).unwrap_or_default();
    format!("folds: {count}, for {} patients by {}", folds.fold_of.len(), folds.kind.words())
}
