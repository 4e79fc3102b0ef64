//! Slices to patient-stratified folds, with audits that fail.
//!
//! `slices.parquet` -> `folds.parquet`, `splits_final.json` and `folds.csv`. Three ways lead to the folds: they are drawn
//! ([`split`]), read from a file ([`splits_file`]) or from a column of the manifest ([`split_column`]). Whatever the way,
//! the same audits ([`audit`]) decide whether they may be written, and again once they are read back.

pub mod audit;
pub mod error;
pub mod folds;
pub mod patient;
pub mod slices;
pub mod split;
pub mod split_column;
pub mod splits_file;
pub mod swaps;
pub mod tally;

use std::collections::BTreeMap;
use std::path::Path;

use contract::Config;
use contract::cli::{Start, run_task};
use contract::receipt::TaskError;
use contract::schema::metadata;
use contract::{owner, plan};

pub use error::Error;
pub use tally::Summary;

use folds::Row;
use slices::Slice;

/// Makes the folds of a study unless they are up to date, and says what is in each.
///
/// # Errors
/// The slices cannot be read, the folds cannot be drawn or do not pass the audits, or the output cannot be written.
pub fn run(config: &Config, force: bool) -> Result<Summary, Error> {
    owner::claim(config).map_err(TaskError::Owned)?;
    let task = plan::dataset(config);
    run_task(&task, force, Start::Fresh, |folder| {
        let slices = slices::read(&contract::layout::Layout::new(config).slices())?;
        make(config, &slices, folder.path(), &contract::hash::value(&task.config))?;
        Ok::<_, Error>(BTreeMap::new())
    })?;
    let rows = folds::read(&task.output.join(contract::layout::FOLDS))?;
    Summary::of(&rows, held_out(config)?)
}

/// Assigns, audits, writes, reads back and audits again.
fn make(config: &Config, slices: &[Slice], folder: &Path, config_hash: &str) -> Result<(), Error> {
    let rows = assign(config, slices)?;
    let held_out = held_out(config)?;
    let name = if config.dataset.split_column.is_some() { split_column::name } else { audit::name };
    for warning in audit::check(&rows, &config.classes, held_out, name)? {
        contract::say!("warning: {warning}");
    }
    let pairs =
        [(metadata::CLASSES, config.values["classes"].to_string()), (metadata::CONFIG_HASH, config_hash.to_owned())];
    folds::write(folder, &rows, held_out, &pairs)?;
    tally::write(folder, &Summary::of(&rows, held_out)?, &config.classes)?;
    let again = folds::read_back(folder, &rows, held_out)?;
    audit::check(&again, &config.classes, held_out, name)?;
    Ok(())
}

/// The fold of every slice, by the way the study asks for; sorted by slice id.
fn assign(config: &Config, slices: &[Slice]) -> Result<Vec<Row>, Error> {
    let patients = patient::patients(slices, &config.classes)?;
    audit::images_have_one_label(slices)?;
    if let (Some(column), Some(manifest)) = (&config.dataset.split_column, &config.preprocess.manifest) {
        let series = split_column::Series::new(config);
        let of_slice = split_column::read(manifest, column, config.dataset.split_val, (slices, &series))?;
        return Ok(folds::rows(slices, |slice| of_slice.get(slice.slice_id.as_str()).copied()));
    }
    let of_patient = match &config.dataset.splits {
        Some(path) => {
            let (fold_of, warnings) = splits_file::read(config, path, &patients, slices)?;
            warnings.iter().for_each(|warning| contract::say!("warning: {warning}"));
            fold_of
        }
        None => {
            let groups = patient::groups(&patients, slices);
            if let Some(warning) = patient::united(&groups) {
                contract::say!("warning: {warning}");
            }
            split::check_size(&groups, &config.classes, config.dataset.folds as usize)?;
            split::draw(&groups, config.dataset.folds as usize, config.dataset.seed)
        }
    };
    Ok(folds::rows(slices, |slice| of_patient.get(slice.patient_id.as_str()).copied()))
}

/// Folds that are held out in turn.
fn held_out(config: &Config) -> Result<usize, Error> {
    Ok(plan::fold_count(config)?)
}
