//! The tasks of a study: what each stage reads, which part of the configuration it depends on, where it writes.
//!
//! The stage programs and the orchestrator build their tasks here, so that both agree on what is up to date.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::{Config, Method};
use crate::layout::{ATTENTION, EXCLUDED, LABELS, LOG, Layout, PREDICTIONS, PREDICTIONS_REVERSED, QUALITY, TRUTH};
use crate::splits::{Splits, SplitsError};
use crate::{hash, manifest};

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Synthetic CT.
    Phantom,
    /// CT to slices.
    Preprocess,
    /// Slices to folds.
    Dataset,
    /// Folds to predictions.
    Train,
    /// Predictions to tables.
    Report,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Self; 5] = [Self::Phantom, Self::Preprocess, Self::Dataset, Self::Train, Self::Report];

    /// The stage's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phantom => "phantom",
            Self::Preprocess => "preprocess",
            Self::Dataset => "dataset",
            Self::Train => "train",
            Self::Report => "report",
        }
    }

    /// The stage's program.
    pub fn program(self) -> String {
        format!("chumoku-{}", self.name())
    }
}

/// Something that a task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What of it counts.
    pub part: Part,
}

/// What of an input counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file, or the folder with all that lies in it.
    Whole,
    /// The file, if there is one.
    Optional,
    /// The files that a manifest names, wherever they lie, and not what lies beside them. The manifest itself is an input of its own.
    Listed,
}

impl Input {
    /// A file or a folder.
    pub fn whole(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into(), part: Part::Whole }
    }

    /// A file that may be there or not.
    pub fn optional(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { part: Part::Optional, ..Self::whole(name, path) }
    }

    /// The files that the manifest at `path` names.
    pub fn listed(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { part: Part::Listed, ..Self::whole(name, path) }
    }

    /// Its hash, a content's and never a time's; [`hash::MISSING`] of an optional file that is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn hash(&self, cache: &mut hash::Cache) -> std::io::Result<String> {
        match self.part {
            Part::Whole => cache.path(&self.path),
            Part::Optional if !cache.real(&self.path).exists() => Ok(hash::MISSING.to_owned()),
            Part::Optional => cache.path(&self.path),
            Part::Listed => manifest::hash(&self.path, cache),
        }
    }

    /// Why it cannot be there; none if it is, as far as is seen without reading it all. Of a manifest that is not there the manifest's own input
    /// says so.
    pub fn missing(&self) -> Option<std::io::Error> {
        match self.part {
            Part::Whole => std::fs::metadata(&self.path).err(),
            Part::Optional => None,
            Part::Listed => manifest::missing(&self.path),
        }
    }
}

/// One unit of work.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its stage.
    pub stage: Stage,
    /// Its name: the stage's, and for train `train/<method>/fold-<k>/seed-<s>`.
    pub id: String,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// The part of the configuration its output depends on.
    pub config: Value,
    /// The folder it writes.
    pub output: PathBuf,
    /// What the stage's program needs besides `--config` and `--set`.
    pub arguments: Vec<String>,
}

fn single(stage: Stage, inputs: Vec<Input>, config: Value, output: PathBuf) -> Task {
    Task { stage, id: stage.name().to_owned(), inputs, config, output, arguments: Vec::new() }
}

/// Flag of the phantom's and of preprocess's program for the second set of CT.
pub(crate) const REVERSED: &str = "--reversed";

/// `settings` as they are for the set of CT that `config` is a view of.
fn settings_of_set(config: &Config, settings: Value) -> Value {
    if config.is_reversed { json!({ "reversed": true, "of": settings }) } else { settings }
}

/// `task` as it is for the study's second set of CT, if `config` is that.
fn of_set(config: &Config, task: Task) -> Task {
    if !config.is_reversed {
        return task;
    }
    let id = format!("{}/reversed", task.id);
    Task { id, config: settings_of_set(config, task.config), arguments: vec![REVERSED.to_owned()], ..task }
}

/// The task that makes synthetic CT.
pub fn phantom(config: &Config) -> Task {
    let what = config.section("phantom", &["enabled", "reversed"]);
    let values = json!({ "classes": config.values["classes"], "phantom": what });
    of_set(config, single(Stage::Phantom, Vec::new(), values, Layout::new(config).raw()))
}

/// The labels file of a DICOM study.
pub fn labels_file(config: &Config) -> PathBuf {
    let folder = Layout::new(config).preprocess_input(config);
    config.preprocess.labels.clone().unwrap_or_else(|| folder.join(LABELS))
}

/// The task that makes `slices.parquet`.
pub fn preprocess(config: &Config) -> Task {
    let layout = Layout::new(config);
    let mut inputs = match &config.preprocess.manifest {
        Some(manifest) => vec![Input::whole("manifest", manifest), Input::listed("ct", manifest)],
        None => {
            vec![Input::whole("ct", layout.preprocess_input(config)), Input::whole("labels", labels_file(config))]
        }
    };
    inputs.push(Input::whole("model", &config.preprocess.model));
    inputs.extend(lesions(config));
    of_set(config, single(Stage::Preprocess, inputs, slice_settings(config, &[]), layout.masks()))
}

/// The file of lesion masks where it is an input of its own: the one that the study names, or the truth that may lie beside a manifest. The truth
/// in a folder of CT is a part of that.
fn lesions(config: &Config) -> Option<Input> {
    match (&config.preprocess.lesions, &config.preprocess.manifest) {
        (Some(named), _) => Some(Input::whole("truth", named)),
        (None, Some(_)) => Some(Input::optional("truth", Layout::new(config).preprocess_input(config).join(TRUTH))),
        (None, None) => None,
    }
}

/// The settings that preprocess depends on, but for some of its keys. Where files are and the number of threads change nothing that it
/// writes.
fn slice_settings(config: &Config, without: &[&str]) -> Value {
    let keys = [&["input", "labels", "manifest", "lesions", "model", "threads"], without].concat();
    let mut what = config.section("preprocess", &keys);
    without_new_defaults(&mut what);
    json!({ "classes": config.values["classes"], "instructions": config.values["instructions"], "preprocess": what })
}

/// Takes out keys that came after the first studies, where they have the value at which everything is as it was before they came: so a
/// finished study stays finished, and its files keep their bytes.
fn without_new_defaults(section: &mut Value) {
    let defaults = [("hu_offset", json!(0.0)), ("unlabelled", json!("error"))];
    let Value::Object(map) = section else { return };
    map.retain(|key, value| !defaults.iter().any(|(new, default)| key == new && value == default));
}

/// Hash of the settings that the content of `slices.parquet` depends on. The checks only decide whether there is one.
pub fn slices_hash(config: &Config) -> String {
    let settings = slice_settings(config, &["check_units", "check_orientation", "allow_empty_series", "unlabelled"]);
    hash::value(&settings_of_set(config, settings))
}

/// The task that makes `folds.parquet`.
pub fn dataset(config: &Config) -> Task {
    let layout = Layout::new(config);
    let mut inputs = vec![Input::whole("slices", layout.slices())];
    if let Some(splits) = &config.dataset.splits {
        inputs.push(Input::whole("splits", splits.clone()));
    }
    if let (Some(_), Some(manifest)) = (&config.dataset.split_column, &config.preprocess.manifest) {
        inputs.push(Input::whole("manifest", manifest.clone()));
    }
    let values = json!({ "classes": config.values["classes"], "dataset": config.section("dataset", &["splits"]) });
    single(Stage::Dataset, inputs, values, layout.folds())
}

/// A method's settings without those that change nothing a run writes.
pub fn settings(method: &Method) -> Value {
    let mut values = method.values.clone();
    if let Value::Object(map) = &mut values {
        for key in ["checkpoint_epochs", "checkpoint_seconds"] {
            map.shift_remove(key);
        }
    }
    values
}

/// The task of one training run. `method` must be one of the configuration's.
pub fn train(config: &Config, method: &str, fold: usize, seed: u64) -> Task {
    let layout = Layout::new(config);
    let found = config.method(method);
    let mut values = found.map_or(Value::Null, settings);
    if let Value::Object(map) = &mut values {
        // The file counts, as an input, and not where it is.
        map.shift_remove("init");
    }
    let mut inputs = vec![
        Input::whole("slices", layout.slices()),
        Input::whole("lesions", layout.lesions()),
        Input::whole("folds", layout.folds_table()),
    ];
    if let Some(reversed) = config.reversed() {
        inputs.push(Input::whole("slices-reversed", Layout::new(&reversed).slices()));
    }
    if let Some(init) = found.and_then(|found| found.train.init.clone()) {
        inputs.push(Input::whole("init", init));
    }
    let config = json!({
        "classes": config.values["classes"], "instructions": config.values["instructions"], "method": method, "fold": fold,
        "seed": seed, "train": values,
    });
    let text = |value: &dyn std::fmt::Display| value.to_string();
    Task {
        stage: Stage::Train,
        id: format!("train/{method}/fold-{fold}/seed-{seed}"),
        inputs,
        config,
        output: layout.run(method, fold, seed),
        arguments: ["--method", method, "--fold", &text(&fold), "--seed", &text(&seed)].map(str::to_owned).to_vec(),
    }
}

/// The task that makes tables and the report.
pub fn report(config: &Config, folds: usize) -> Task {
    let layout = Layout::new(config);
    let mut inputs = vec![Input::whole("slices", layout.slices()), Input::whole("folds", layout.folds_table())];
    inputs.push(Input::whole("lesions", layout.lesions()));
    inputs.push(Input::whole("excluded", layout.masks().join(EXCLUDED)));
    inputs.push(Input::optional("quality", layout.masks().join(QUALITY)));
    inputs.push(Input::whole("sheets", layout.sheets()));
    for (method, fold, seed) in runs(config, folds) {
        let folder = layout.run(&method, fold, seed);
        let reversed = config.reversed().map(|_| PREDICTIONS_REVERSED);
        for file in [PREDICTIONS, ATTENTION, LOG].into_iter().chain(reversed) {
            inputs.push(Input::whole(format!("{method}/fold-{fold}/seed-{seed}/{file}"), folder.join(file)));
        }
    }
    let methods: Value = config.methods.iter().map(|method| (method.name.clone(), settings(method))).collect();
    // The tables have the methods in the study's order, which a map of them does not keep in a receipt.
    let order: Vec<&str> = config.methods.iter().map(|method| method.name.as_str()).collect();
    let values = json!({
        "study": config.study, "classes": config.values["classes"], "methods": methods, "order": order,
        "report": config.values["report"],
    });
    single(Stage::Report, inputs, values, layout.reports)
}

/// All (method, fold, seed) of a study, methods in the study's order.
pub fn runs(config: &Config, folds: usize) -> Vec<(String, usize, u64)> {
    let mut all = Vec::new();
    for method in &config.methods {
        for fold in 0..folds {
            all.extend(method.seeds.iter().map(|seed| (method.name.clone(), fold, *seed)));
        }
    }
    all
}

/// The number of folds that are held out in turn: K; 1 for a split column; the length of a splits file.
///
/// # Errors
/// The splits file cannot be read or is not a list of folds.
pub fn fold_count(config: &Config) -> Result<usize, SplitsError> {
    match (&config.dataset.split_column, &config.dataset.splits) {
        (Some(_), _) => Ok(1),
        (None, Some(path)) => Splits::read(path).map(|splits| splits.folds),
        (None, None) => Ok(config.dataset.folds as usize),
    }
}

/// Every task of a study, in an order in which each comes after what it reads.
///
/// # Errors
/// See [`fold_count`].
pub fn tasks(config: &Config) -> Result<Vec<Task>, SplitsError> {
    let folds = fold_count(config)?;
    let mut tasks = Vec::new();
    let sets = std::iter::once(config.clone()).chain(config.reversed());
    for set in sets {
        if set.phantom.enabled {
            tasks.push(phantom(&set));
        }
        tasks.push(preprocess(&set));
    }
    tasks.push(dataset(config));
    tasks.extend(runs(config, folds).iter().map(|(method, fold, seed)| train(config, method, *fold, *seed)));
    tasks.push(report(config, folds));
    Ok(tasks)
}
