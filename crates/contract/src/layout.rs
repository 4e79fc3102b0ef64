//! Where everything of a study lives. The only place that spells these names.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// Name of the receipt beside every stage's output.
pub const RECEIPT: &str = "receipt.yaml";
/// Says whose results lie in the folder of a study; of a report's folder it ends the name of the file beside it.
pub const OWNER: &str = ".study.yaml";
/// Rows of slices with image and mask.
pub const SLICES: &str = "slices.parquet";
/// Rows of slices with their fold.
pub const FOLDS: &str = "folds.parquet";
/// Patients of each fold, in the form nnU-Net made common.
pub const SPLITS: &str = "splits_final.json";
/// Labels by patient beside DICOM input.
pub const LABELS: &str = "labels.csv";
/// Softmax values and attention of the test slices of a run.
pub const PREDICTIONS: &str = "predictions.parquet";
/// Last-epoch weights of a run.
pub const WEIGHTS: &str = "weights.safetensors";
/// A row an epoch.
pub const LOG: &str = "log.csv";
/// Wall-clock figures of a run; kept out of `log.csv` so that its bytes repeat.
pub const TIMING: &str = "timing.json";
/// Resolved configuration of a run.
pub const CONFIG: &str = "config.yaml";
/// State to resume a run from.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The tensor in it that says, as JSON, where the run stands; `epochs` are those that are complete.
pub const CHECKPOINT_POSITION: &str = "position";
/// Slices and series that preprocess left out, with the reason.
pub const EXCLUDED: &str = "excluded.csv";
/// What is known of the mask of each series, beside the slices.
pub const QUALITY: &str = "qa.csv";
/// What is known of the mask of each slice.
pub const QUALITY_SLICES: &str = "qa_slices.csv";
/// Lesion masks of the slices, beside them; no rows where nobody knows the lesions.
pub const LESIONS: &str = "lesions.parquet";
/// True masks of synthetic CT, in its folder.
pub const TRUTH: &str = "truth.parquet";
/// What was measured on the attention maps of a run's test slices.
pub const ATTENTION: &str = "attention.parquet";
/// As [`PREDICTIONS`], of the same patients with the confounder reversed.
pub const PREDICTIONS_REVERSED: &str = "predictions-reversed.parquet";
/// Folder of a run's TensorBoard event files.
pub const TENSORBOARD: &str = "tb";
/// Ends the names of the folders that hold a study's second set of synthetic CT, see [`Config::reversed`].
const REVERSED_SUFFIX: &str = "-reversed";
/// Folder of the contact sheets, beside the slices.
pub const SHEETS: &str = "sheets";
/// What a trained study says of one CT.
pub const PREDICTION: &str = "prediction.json";
/// Its attention in the geometry of that CT.
pub const ATTENTION_VOLUME: &str = "attention.nii.gz";
/// Folder of its slices with lungs and attention.
pub const OVERLAYS: &str = "overlays";

/// All results of a study, in the folder of its report.
pub const METRICS: &str = "metrics.json";
/// The page of a report.
pub const REPORT: &str = "report.html";
/// What a finished run says of a study: both tables and the answer, as text.
pub const SUMMARY: &str = "summary.txt";

/// The folders of one study.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `data/<study>`
    pub data: PathBuf,
    /// `reports/<study>`
    pub reports: PathBuf,
    /// Ends the names of the first two folders.
    pub suffix: &'static str,
}

impl Layout {
    /// The folders that a configuration names.
    pub fn new(config: &Config) -> Self {
        Self {
            data: config.paths.data.join(&config.study),
            reports: config.paths.reports.join(&config.study),
            suffix: if config.is_reversed { REVERSED_SUFFIX } else { "" },
        }
    }

    /// CT as it came, or as the phantom made it.
    pub fn raw(&self) -> PathBuf {
        self.data.join(format!("0_raw{}", self.suffix))
    }

    /// Folder of `slices.parquet`.
    pub fn masks(&self) -> PathBuf {
        self.data.join(format!("1_masks{}", self.suffix))
    }

    /// Contact sheets of the masks; the report holds a copy in a folder of the same name.
    pub fn sheets(&self) -> PathBuf {
        self.masks().join(SHEETS)
    }

    /// Folder of `folds.parquet`.
    pub fn folds(&self) -> PathBuf {
        self.data.join("2_folds")
    }

    /// Folder of all training runs.
    pub fn runs(&self) -> PathBuf {
        self.data.join("3_runs")
    }

    /// Folder of one training run.
    pub fn run(&self, method: &str, fold: usize, seed: u64) -> PathBuf {
        self.runs().join(method).join(format!("fold-{fold}")).join(format!("seed-{seed}"))
    }

    /// `slices.parquet`.
    pub fn slices(&self) -> PathBuf {
        self.masks().join(SLICES)
    }

    /// `lesions.parquet`.
    pub fn lesions(&self) -> PathBuf {
        self.masks().join(LESIONS)
    }

    /// `folds.parquet`.
    pub fn folds_table(&self) -> PathBuf {
        self.folds().join(FOLDS)
    }

    /// Logs of the stage programs that the orchestrator ran.
    pub fn log(&self, task: &str) -> PathBuf {
        self.data.join("logs").join(format!("{}.log", task.replace('/', "-")))
    }

    /// What the trained study says of a CT that is called `name` here.
    pub fn prediction(&self, name: &str) -> PathBuf {
        self.data.join("predict").join(name)
    }

    /// The secret behind the pseudonyms.
    pub fn pseudonym_key(&self) -> PathBuf {
        self.data.join("pseudonym.key")
    }

    /// The input of preprocess: what the study names, or the study's own raw folder.
    pub fn preprocess_input(&self, config: &Config) -> PathBuf {
        match (&config.preprocess.manifest, &config.preprocess.input) {
            // A bare name has the empty path as parent, which is no folder to look in.
            (Some(manifest), _) => match manifest.parent() {
                Some(folder) if folder != Path::new("") => folder.to_owned(),
                _ => PathBuf::from("."),
            },
            (None, Some(input)) => input.clone(),
            (None, None) => self.raw(),
        }
    }
}
