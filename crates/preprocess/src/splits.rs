//! Whether the splits file of a study fits its patients, before any slice is segmented: dataset would find it only hours later.

use std::collections::BTreeSet;
use std::path::Path;

use contract::config::Config;
use contract::plan;
use contract::splits::{Known, Resolved, Splits, Unknown};

use crate::error::Error;
use crate::inputs::Series;
use crate::privacy::Naming;
use crate::{images, labels};

/// The folds of the patients in the labels or the manifest, of whom those of `series` have CT; `None` for a study without a splits
/// file.
///
/// # Errors
/// The labels or the manifest cannot be read, or the splits file has a fault.
pub fn check(config: &Config, naming: &Naming, series: &[Series]) -> Result<Option<Resolved>, Error> {
    let Some(path) = &config.dataset.splits else { return Ok(None) };
    let splits = Splits::read(path)?;
    let mut known = match &config.preprocess.manifest {
        Some(manifest) => of_manifest(config, manifest, naming)?,
        None => of_labels(config, naming)?,
    };
    let with_ct: BTreeSet<&str> = series.iter().map(|series| series.patient_id.as_str()).collect();
    known.needs_only(|patient| with_ct.contains(patient));
    Ok(Some(splits.resolve(&known, &config.classes, Unknown::Refuse)?))
}

fn of_manifest<'a>(config: &Config, manifest: &Path, naming: &'a Naming) -> Result<Known<'a>, Error> {
    let mut known = Known::new(&manifest.display().to_string(), naming.key());
    for entry in images::read_manifest(manifest, &config.classes)? {
        let patient = naming.patient(&entry.patient)?;
        known.add(&patient, entry.label, format!("that of row {}", entry.row));
        known.add_file(&naming.source(&entry.source, &entry.patient, []), &patient);
    }
    Ok(known)
}

fn of_labels<'a>(config: &Config, naming: &'a Naming) -> Result<Known<'a>, Error> {
    let file = plan::labels_file(config);
    let mut known = Known::new(&file.display().to_string(), naming.key());
    for (patient, label, row) in labels::read(&file, &config.classes)?.rows() {
        known.add(&naming.patient(patient)?, label, format!("that of row {row}"));
    }
    Ok(known)
}
