//! Which data, settings, versions and devices made the numbers: read from the receipts of the stages before. No clock,
//! no names of machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use contract::config::{Config, flatten};
use contract::layout::Layout;
use contract::plan;
use contract::receipt::{self, Receipt};

use crate::format;

/// Names and values, in the order shown.
pub type Facts = Vec<(String, String)>;

/// Where the report's numbers come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Settings of the study.
    pub settings: Facts,
    /// Settings in which the methods differ: key, and a value for each method.
    pub differences: Vec<(String, Vec<String>)>,
    /// Versions, devices, threads of each stage.
    pub conditions: Facts,
}

/// Number of hex digits of a hash that a page shows.
const SHORT_HASH: usize = 12;

/// Collects the provenance of a study's `folds` folds.
pub fn collect(config: &Config, folds: usize) -> Provenance {
    Provenance {
        settings: settings(config, folds),
        differences: differences(config),
        conditions: conditions(config, folds),
    }
}

fn settings(config: &Config, folds: usize) -> Facts {
    let source = match (&config.preprocess.manifest, config.phantom.enabled) {
        (_, true) => "synthetic CT of the phantom stage".to_owned(),
        (Some(_), _) => "image files of a manifest".to_owned(),
        (None, false) => "DICOM series".to_owned(),
    };
    let split = match (&config.dataset.splits, &config.dataset.split_column) {
        (Some(_), _) => format!("{folds} folds of a splits file"),
        (None, Some(column)) => format!("one test set, by column {column} of the manifest"),
        (None, None) => format!("{folds} folds by patient, seed {}", config.dataset.seed),
    };
    let seeds = config.methods.iter().map(|method| (method.name.as_str(), format::list(&method.seeds)));
    let train = &config.methods[0].train;
    let (low, high) = config.preprocess.window_hu();
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("data", source),
        fact("folds", split),
        fact("training seeds", format::grouped(seeds)),
        fact("slice", format!("{0} x {0} pixels, window {low} to {high} HU", config.preprocess.size)),
        fact("training", format!("{} epochs, batch {}, learning rate {}", train.epochs, train.batch_size, train.lr)),
        fact("bootstrap", format!("{} resamples, seed {}", config.report.bootstrap, config.report.seed)),
    ]
}

/// The keys in which the methods' settings differ.
fn differences(config: &Config) -> Vec<(String, Vec<String>)> {
    let flat: Vec<BTreeMap<String, String>> =
        config.methods.iter().map(|method| flatten(&plan::settings(method))).collect();
    let keys: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let values = |key: &String| -> Vec<String> {
        flat.iter()
            .map(|values| values.get(key).map_or("-".to_owned(), |value| value.trim_matches('"').to_owned()))
            .collect()
    };
    let rows = keys.into_iter().map(|key| (key.clone(), values(key)));
    rows.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}

fn conditions(config: &Config, folds: usize) -> Facts {
    let layout = Layout::new(config);
    let runs: Vec<PathBuf> =
        plan::runs(config, folds).iter().map(|(method, fold, seed)| layout.run(method, *fold, *seed)).collect();
    let mut facts = vec![("chumoku".to_owned(), format!("version {}", env!("CARGO_PKG_VERSION")))];
    for (stage, folders) in [("preprocess", vec![layout.masks()]), ("dataset", vec![layout.folds()]), ("train", runs)] {
        let receipts: Vec<Receipt> = folders.iter().filter_map(|folder| receipt::read(folder)).collect();
        let missing = folders.len() - receipts.len();
        facts.extend(stage_facts(stage, &receipts));
        if missing > 0 {
            facts.push((stage.to_owned(), format!("no receipt for {missing} of {}", folders.len())));
        }
        if stage == "preprocess" {
            let hash = receipts.first().and_then(|receipt| receipt.outputs.get(contract::layout::SLICES));
            facts.extend(
                hash.map(|hash| ("slices.parquet, BLAKE3".to_owned(), hash.chars().take(SHORT_HASH).collect())),
            );
        }
    }
    facts
}

/// Version and environment over all receipts of a stage, each distinct value once.
fn stage_facts(stage: &str, receipts: &[Receipt]) -> Facts {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for receipt in receipts {
        all.entry("version".to_owned()).or_default().insert(receipt.version.clone());
        for (key, value) in &receipt.environment {
            all.entry(key.clone()).or_default().insert(value.clone());
        }
    }
    let join = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(", ");
    all.into_iter().map(|(key, values)| (format!("{stage}: {key}"), join(values))).collect()
}
