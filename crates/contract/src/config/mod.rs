//! The configuration of a study: `pipelines/defaults.yaml` <- what the study's YAML extends <- the YAML <- `--set key=value`.
//!
//! Raw values come first (`load`, with the `places` they stand at), checked ones second (`judge` against the [`schema`], `check` between
//! keys); past [`Config::load`] no code checks again. Every key's meaning, unit and source is in `pipelines/defaults.yaml`, which is compiled
//! in, and its type and range on its field here; the schema has both.

mod check;
mod expand;
mod fault;
mod judge;
mod load;
mod places;
pub mod schema;
mod values;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use check::plain;
pub use fault::{ConfigError, Fault, Source};
pub use load::DEFAULTS;
pub use places::Place;
pub use values::{flatten, from_yaml, to_yaml};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the study.
    pub study: String,
    /// Class names; the index is the label.
    pub classes: Vec<String>,
    /// With which of the processor's instructions networks are computed.
    pub instructions: Instructions,
    /// Top folders.
    pub paths: Paths,
    /// Synthetic CT.
    pub phantom: Phantom,
    /// CT to slices.
    pub preprocess: Preprocess,
    /// Slices to folds.
    pub dataset: Dataset,
    /// The methods by name, each with its settings resolved, in the order of the study.
    pub methods: Vec<Method>,
    /// Predictions to tables.
    pub report: Report,
    /// The resolved values, for hashes and `config.yaml`.
    pub values: Value,
    /// Whether this is the study's second set of synthetic CT, see [`Config::reversed`].
    pub is_reversed: bool,
    /// The study's file.
    pub file: PathBuf,
    /// What `--set` changed of it, `key=value`.
    pub overrides: Vec<String>,
}

/// One method of a study.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name in the study.
    pub name: String,
    /// Seeds of its training runs.
    pub seeds: Vec<u64>,
    /// The training settings with the method's overrides applied.
    pub train: Train,
    /// The same as values.
    pub values: Value,
}

/// With which of the processor's instructions networks are computed, see [`crate::instructions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instructions {
    /// The best it has.
    Native,
    /// AVX2 and no more.
    Avx2,
}

/// Top folders.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Folder of the studies' intermediate files.
    #[schemars(schema_with = "schema::path")]
    pub data: PathBuf,
    /// Folder of the reports.
    #[schemars(schema_with = "schema::path")]
    pub reports: PathBuf,
}

/// Settings of the synthetic CT.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phantom {
    /// Whether the study makes its own CT.
    pub enabled: bool,
    /// Seed.
    pub seed: u64,
    /// Patients of each class.
    #[schemars(range(min = 1))]
    pub patients_per_class: u32,
    /// Slices of a series.
    #[schemars(range(min = 1))]
    pub slices: u32,
    /// Pixels a side.
    #[schemars(range(min = 64, max = 2048))]
    pub size: u32,
    /// 0 easy to 1 impossible.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub difficulty: f64,
    /// Noise in soft tissue, HU.
    #[schemars(range(min = 0.0, max = 500.0))]
    pub noise_hu: f64,
    /// Where the patients come from.
    #[schemars(length(min = 1))]
    pub sites: Vec<Site>,
    /// Whether every patient is made once more with the confounder reversed.
    pub reversed: bool,
}

/// A site of the phantom study.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name.
    #[schemars(regex(pattern = schema::NAME))]
    pub name: String,
    /// Share of the patients, relative to the other sites.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub weight: f64,
    /// Correlation of the confounder with the label, -1..1.
    #[schemars(range(min = -1.0, max = 1.0))]
    pub correlation: f64,
}

/// Settings of preprocess.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// DICOM folder.
    #[schemars(schema_with = "schema::optional_path")]
    pub input: Option<PathBuf>,
    /// Labels by patient.
    #[schemars(schema_with = "schema::optional_path")]
    pub labels: Option<PathBuf>,
    /// Manifest of image files.
    #[schemars(schema_with = "schema::optional_path")]
    pub manifest: Option<PathBuf>,
    /// Lesion masks by source.
    #[schemars(schema_with = "schema::optional_path")]
    pub lesions: Option<PathBuf>,
    /// Centre of the window, HU.
    #[schemars(range(min = -5000.0, max = 5000.0))]
    pub window_center_hu: f64,
    /// Width of the window, HU.
    #[schemars(range(min = 1.0, max = 10000.0))]
    pub window_width_hu: f64,
    /// HU of black in an image file.
    pub image_low_hu: f64,
    /// HU of white in an image file.
    pub image_high_hu: f64,
    /// Added to every stored CT value to give HU.
    #[schemars(range(min = -70000.0, max = 70000.0))]
    pub hu_offset: f64,
    /// What happens to patients of the CT without a label.
    pub unlabelled: Unlabelled,
    /// Side of the slices written, pixels.
    #[schemars(range(min = 64, max = 2048))]
    pub size: u32,
    /// Lung U-Net.
    #[schemars(schema_with = "schema::path")]
    pub model: PathBuf,
    /// Its SHA-256, for any model but the shipped one.
    pub model_sha256: Option<String>,
    /// Slices of one forward pass.
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// Least share of lung pixels.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_lung_fraction: f64,
    /// Which of several series in one study of a patient count.
    pub series: SeriesChoice,
    /// Whether values that cannot be HU are an error.
    pub check_units: bool,
    /// Whether a series that looks flipped is an error.
    pub check_orientation: bool,
    /// Whether a series without any lung is left out rather than an error.
    pub allow_empty_series: bool,
    /// How patient ids are treated.
    pub pseudonyms: Pseudonyms,
    /// CPU threads; 0 all.
    pub threads: u32,
}

impl Preprocess {
    /// Lower and upper end of the window, HU.
    pub fn window_hu(&self) -> (f64, f64) {
        let half = self.window_width_hu / 2.0;
        (self.window_center_hu - half, self.window_center_hu + half)
    }
}

/// Which of several series in one study of a patient count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesChoice {
    /// The one with the most slices.
    Largest,
    /// Every one.
    All,
}

/// What happens to patients of the CT without a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unlabelled {
    /// The stage ends with an error.
    Error,
    /// They are left out and listed.
    Skip,
}

/// How patient ids are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pseudonyms {
    /// Keyed hash.
    Keyed,
    /// Left as they are.
    Keep,
}

/// Settings of dataset.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// K.
    #[schemars(range(min = 2, max = 1000))]
    pub folds: u32,
    /// Seed of the draw.
    pub seed: u64,
    /// Splits to use instead.
    #[schemars(schema_with = "schema::optional_path")]
    pub splits: Option<PathBuf>,
    /// Column of the manifest to use instead.
    pub split_column: Option<String>,
    /// What becomes of its `val` rows.
    pub split_val: SplitVal,
}

/// What becomes of the `val` rows of a split column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitVal {
    /// They train.
    Train,
    /// They are left out.
    Drop,
}

/// The presets of the loss (PAPER, "Losses").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Conventional, equation (3).
    Gamma,
    /// Proposed, our reading of equation (4): alpha (att + map) + (1 - alpha) per.
    Alpha,
    /// The attention branch's cross-entropy keeps weight 1.
    AlphaKeepAtt,
    /// The attention branch's cross-entropy is left out.
    AlphaMapOnly,
    /// Map against both cross-entropies.
    AlphaMapVsCls,
    /// No map supervision.
    Abn,
    /// No attention branch.
    Resnet18,
}

/// The course of alpha over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Equation (5).
    Step,
    /// Straight from early to late.
    Linear,
    /// Half a cosine from early to late.
    Cosine,
    /// Always early.
    Constant,
}

/// Distance between mask and attention map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapLoss {
    /// Mean squared error.
    Mse,
    /// Mean over the batch of the Euclidean norm of a sample's difference.
    L2,
    /// Binary cross-entropy.
    Bce,
    /// One minus the soft Dice coefficient.
    Dice,
}

/// Optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Learning rate over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrSchedule {
    /// Always `lr`.
    Constant,
    /// Half a cosine from `lr` to 0.
    Cosine,
    /// Times 0.1 at 1/2 and 3/4.
    Step,
}

/// Class weights of the cross-entropies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All 1.
    None,
    /// Inverse class frequency, mean 1 over the training slices.
    Balanced,
}

/// Number format of the convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// Inputs and weights of convolutions rounded to bfloat16; everything else stays 32-bit.
    Bf16,
}

/// Settings of one method's training.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each key is documented in pipelines/defaults.yaml")]
pub struct Train {
    pub loss: Loss,
    #[schemars(range(min = 0.0))]
    pub gamma: f64,
    pub schedule: Schedule,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub alpha_early: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub alpha_late: f64,
    #[schemars(range(max = 1))]
    pub index_base: u32,
    pub normalize_weights: bool,
    pub map_loss: MapLoss,
    #[schemars(range(min = 1, max = 100000))]
    pub epochs: u32,
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    #[schemars(extend("enum" = [1, 3]))]
    pub channels: u32,
    pub mean: f64,
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub std: f64,
    pub optimizer: Optimizer,
    #[schemars(range(min = 1e-12, max = 1e3))]
    pub lr: f64,
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub momentum: f64,
    pub nesterov: bool,
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub beta1: f64,
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub beta2: f64,
    #[schemars(range(min = 1e-16, max = 1.0))]
    pub eps: f64,
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    pub lr_schedule: LrSchedule,
    pub warmup_epochs: u32,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    #[schemars(range(min = 0.0, max = 180.0))]
    pub rotate_deg: f64,
    #[schemars(range(min = 0.0, max = 0.9))]
    pub scale: f64,
    #[schemars(range(min = 0.0, max = 0.9))]
    pub shift: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub brightness: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub contrast: f64,
    pub class_weights: ClassWeights,
    #[schemars(schema_with = "schema::optional_path")]
    pub init: Option<PathBuf>,
    #[schemars(regex(pattern = schema::DEVICE))]
    pub device: String,
    pub threads: u32,
    pub precision: Precision,
    #[schemars(range(min = 1, max = 100000))]
    pub checkpoint_epochs: u32,
    #[schemars(range(min = 0.0, max = 1e9))]
    pub checkpoint_seconds: f64,
    #[schemars(range(max = 1_000_000_000))]
    pub curve_slices: u32,
}

/// How the slices of a patient become one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PatientRule {
    /// The mean of the softmax over all slices (PAPER, "Protocol and metrics").
    Mean,
    /// The slice whose positive class is the most probable.
    Max,
    /// The share of the slices decided for each class.
    Share,
}

/// Settings of report.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Method compared against.
    pub conventional: String,
    /// Method in question.
    pub proposed: String,
    /// Positive label.
    pub positive: u32,
    /// How the slices of a patient become one decision.
    pub patient_rule: PatientRule,
    /// Level of the intervals.
    #[schemars(range(min = 0.5, max = 0.999))]
    pub confidence: f64,
    /// Resamples.
    #[schemars(range(min = 100))]
    pub bootstrap: u32,
    /// Seed of the resamples.
    pub seed: u64,
    /// Slices in the gallery.
    pub gallery: u32,
    /// Patients in the slice browser.
    pub browser_patients: u32,
}

impl Config {
    /// Reads and checks a study with its overrides (`key=value`, later ones win).
    ///
    /// # Errors
    /// The file cannot be read, is not YAML, has an unknown key, lacks a required one, or has a value out of range.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let raw = load::raw(path, overrides)?;
        let checked = check::checked(raw)?;
        Ok(Self { file: path.to_owned(), overrides: overrides.to_vec(), ..checked })
    }

    /// The same study over its second set of synthetic CT: every patient with the confounder where it was not, and without it where it
    /// was. `None` unless `phantom.reversed` asks for it.
    pub fn reversed(&self) -> Option<Self> {
        let wanted = self.phantom.enabled && self.phantom.reversed;
        wanted.then(|| Self { is_reversed: true, ..self.clone() })
    }

    /// The method of that name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// One section of the resolved values without the keys that say where things are rather than what they are.
    pub fn section(&self, name: &str, without: &[&str]) -> Value {
        let mut section = self.values[name].clone();
        if let Value::Object(map) = &mut section {
            for key in without {
                map.shift_remove(*key);
            }
        }
        section
    }
}
