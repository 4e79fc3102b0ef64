//! A trained study on one new CT: masked, predicted and painted by the stage programs, from which a patient's probability follows.
//!
//! A model is one run's weights; several are an ensemble, whose softmax values and attention maps are means. A patient's probability is the
//! mean over the slices, as in the study's own tables. Nothing here says who the patient is: the folder is named after the content
//! of the CT, and what the programs say is not logged.

use std::path::{Path, PathBuf};
use std::process::Command;

use contract::atomic::{self, Folder};
use contract::config::{self, Config, Method};
use contract::layout::{ATTENTION_VOLUME, EXCLUDED, Layout, OVERLAYS, PREDICTION, PREDICTIONS, SLICES, WEIGHTS};
use contract::plan::{self, Stage, Task};
use contract::progress::Mode;
use contract::schema::{self, column};
use contract::table::{TableReader, float_lists};
use contract::{cli, hash, receipt};
use serde_json::{Value, json};

use crate::error::Error;
use crate::programs::Programs;
use crate::{shell, stage};

/// Digits of the content's hash in the name of the default folder.
const DIGITS: usize = 12;
/// Settings of preprocess by which a CT becomes the picture that a network sees; a network of others is refused. `hu_offset` is none of them: it is a
/// property of how a CT is stored, and the check of units judges each.
const PICTURE: [&str; 5] = ["window_center_hu", "window_width_hu", "image_low_hu", "image_high_hu", "size"];
/// Settings of preprocess that change which slices are predicted and what lung is in them.
const LUNG: [&str; 2] = ["model_sha256", "min_lung_fraction"];
/// Rows of predictions in memory at a time.
const BATCH_ROWS: usize = 256;

/// Arguments of `chumoku predict`.
#[derive(Debug, Clone, clap::Args)]
pub struct PredictArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// A folder of DICOM files, one DICOM file, a NIfTI volume (.nii, .nii.gz, or .hdr with .img) or an image (PNG, JPEG)
    pub input: PathBuf,
    /// Where to write; without it a folder in `predict`, beside the runs of the study, named after the content of the CT
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Method whose networks are asked; without it the study's report.proposed
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Only the network that held out this fold; without it the mean over all folds
    #[arg(long, value_name = "K")]
    pub fold: Option<usize>,
    /// Only networks of this seed; without it the mean over all seeds
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Of several series in a folder take this one: SeriesInstanceUID or SeriesNumber
    #[arg(long, value_name = "UID|NUMBER")]
    pub series: Option<String>,
    /// Override one key of the study, such as preprocess.check_orientation=false; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Mode,
}

/// Predicts one CT with the stage programs of the folder `programs`, and prints the patient's probabilities.
///
/// # Errors
/// The study or the CT is wrong, the study is not trained, a program is missing or fails, or the result cannot be written.
pub fn run(args: &PredictArgs, programs: &Path) -> Result<(), Error> {
    args.progress.install();
    let config = crate::load(&args.study, &args.set)?;
    let ensemble = Ensemble::choose(args, &config)?;
    let programs = Programs::find(programs, [Stage::Preprocess, Stage::Train])?;
    let out = target(args, &config, &ensemble.method.name)?;
    ensemble.check(args, &config)?;
    for warning in ensemble.warnings(args, &config) {
        cli::say(format_args!("warning: {warning}"));
    }
    let failed = |source| Error::Io { path: out.clone(), source };
    let folder = Folder::create(&out).map_err(failed)?;
    let steps = Steps { args, programs: &programs, folder: folder.path() };
    match steps.all(&ensemble).and_then(|()| Prediction::read(&config, &ensemble, folder.path())) {
        Ok(prediction) => {
            folder.commit().map_err(failed)?;
            crate::say(&prediction.text(&out));
            Ok(())
        }
        Err(error) => {
            folder.discard();
            Err(error)
        }
    }
}

/// Where the result goes. An existing folder is replaced only if it is a prediction.
fn target(args: &PredictArgs, config: &Config, method: &str) -> Result<PathBuf, Error> {
    let Some(out) = &args.out else {
        let content = hash::path(&args.input).map_err(|source| Error::Input { path: args.input.clone(), source })?;
        let part =
            |name: &str, number: Option<u64>| number.map_or_else(String::new, |number| format!("-{name}-{number}"));
        let (fold, seed) = (part("fold", args.fold.map(|fold| fold as u64)), part("seed", args.seed));
        return Ok(Layout::new(config).prediction(&format!("{}-{method}{fold}{seed}", &content[..DIGITS])));
    };
    // Without a slash at the end, to which the folder's temporary name could not be joined.
    let out: PathBuf = out.components().collect();
    let empty = !out.exists() || std::fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_none());
    if out.file_name().is_some() && (empty || out.join(PREDICTION).is_file()) {
        return Ok(out);
    }
    let name = out.display();
    Err(Error::Usage(format!("--out {name} is there and holds something else than a prediction; name a new folder")))
}

/// What trains the study with the settings of the command line.
fn again(args: &PredictArgs) -> String {
    shell::chumoku("run", &args.study, &args.set)
}

/// The networks that are asked.
struct Ensemble<'a> {
    method: &'a Method,
    /// Fold held out, seed and weights of each.
    models: Vec<(usize, u64, PathBuf)>,
}

impl<'a> Ensemble<'a> {
    fn choose(args: &PredictArgs, config: &'a Config) -> Result<Self, Error> {
        let name = args.method.as_deref().unwrap_or(&config.report.proposed);
        let Some(method) = config.method(name) else {
            let known: Vec<&str> = config.methods.iter().map(|method| method.name.as_str()).collect();
            return Err(Error::Usage(format!("--method {name} is not in train.methods ({})", known.join(", "))));
        };
        let folds = plan::fold_count(config).map_err(Error::Splits)?;
        let layout = Layout::new(config);
        let asked = |(of, fold, seed): &(String, usize, u64)| {
            of == name && args.fold.is_none_or(|asked| asked == *fold) && args.seed.is_none_or(|asked| asked == *seed)
        };
        let model = |(of, fold, seed): (String, usize, u64)| (fold, seed, layout.run(&of, fold, seed).join(WEIGHTS));
        let models: Vec<_> = plan::runs(config, folds).into_iter().filter(asked).map(model).collect();
        if models.is_empty() {
            let (last, seeds) = (folds.saturating_sub(1), list(&method.seeds));
            let message = format!("no run of method {name} fits: --fold is one of 0 to {last}, --seed one of {seeds}");
            return Err(Error::Usage(message));
        }
        match models.iter().find(|(_, _, weights)| !weights.is_file()) {
            None => Ok(Self { method, models }),
            Some((_, _, path)) => Err(Error::Untrained { path: path.clone(), command: again(args) }),
        }
    }

    /// Refuses settings by which the networks would see other pictures than those that they were trained on.
    fn check(&self, args: &PredictArgs, config: &Config) -> Result<(), Error> {
        let is_picture = |key: &String| PICTURE.iter().any(|name| *key == format!("preprocess.{name}"));
        let task = plan::preprocess(config);
        let keys: Vec<String> = changed(&task).into_iter().filter(is_picture).collect();
        if keys.is_empty() {
            return Ok(());
        }
        Err(Error::OtherPictures { task: task.id, keys: keys.join(", "), command: again(args) })
    }

    /// What is not as it was when the networks were trained.
    fn warnings(&self, args: &PredictArgs, config: &Config) -> Vec<String> {
        let again = format!("the networks were trained with others; put the settings back, or run `{}`", again(args));
        let warn = |task: &Task, counts: &dyn Fn(&str) -> bool| {
            let keys = changed(task).into_iter().filter(|key| counts(key)).collect::<Vec<_>>();
            (!keys.is_empty()).then(|| format!("settings of {} changed: {}; {again}", task.id, keys.join(", ")))
        };
        let seen = |key: &str| key == "model" || LUNG.iter().any(|name| key == format!("preprocess.{name}"));
        let runs = self.models.iter().map(|(fold, seed, _)| plan::train(config, &self.method.name, *fold, *seed));
        let runs = runs.filter_map(|task| warn(&task, &|key| key != "train.device"));
        warn(&plan::preprocess(config), &seen).into_iter().chain(runs).collect()
    }

    /// The models in a line.
    fn describe(&self) -> String {
        let unique = |mut numbers: Vec<u64>| {
            numbers.sort_unstable();
            numbers.dedup();
            list(&numbers)
        };
        let folds = unique(self.models.iter().map(|(fold, ..)| *fold as u64).collect());
        let seeds = unique(self.models.iter().map(|(_, seed, _)| *seed).collect());
        format!("{} of method {} (folds {folds}; seeds {seeds})", self.models.len(), self.method.name)
    }
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Keys of a task's settings, and the lung model, that are not what its receipt says; nothing without a receipt.
fn changed(task: &Task) -> Vec<String> {
    const MODEL: &str = "model";
    let Some(receipt) = receipt::read(&task.output) else { return Vec::new() };
    let (old, new) = (config::flatten(&receipt.config), config::flatten(&task.config));
    let mut keys: Vec<String> =
        new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(|(key, _)| key.clone()).collect();
    let model = task.inputs.iter().find(|input| input.name == MODEL).and_then(|input| hash::file(&input.path).ok());
    if model.is_some_and(|model| receipt.inputs.get(MODEL) != Some(&model)) {
        keys.push(MODEL.to_owned());
    }
    keys
}

/// The calls of the stage programs.
struct Steps<'a> {
    args: &'a PredictArgs,
    programs: &'a Programs,
    folder: &'a Path,
}

impl Steps<'_> {
    fn all(&self, ensemble: &Ensemble) -> Result<(), Error> {
        self.call(Stage::Preprocess, "prepare", self.with_ct("prepare"))?;
        self.call(Stage::Train, "predict", self.prediction(ensemble))?;
        self.call(Stage::Preprocess, "paint", self.with_ct("paint"))
    }

    /// `chumoku-preprocess STEP INPUT FOLDER --config STUDY [--set k=v]... [--series X]`.
    fn with_ct(&self, step: &str) -> Command {
        let mut command = Command::new(self.programs.path(Stage::Preprocess));
        command.arg(step).arg(&self.args.input).arg(self.folder).arg("--config").arg(&self.args.study);
        for set in &self.args.set {
            command.args(["--set", set]);
        }
        if let Some(series) = &self.args.series {
            command.args(["--series", series]);
        }
        command.args(["--progress", "plain"]);
        command
    }

    /// `chumoku-train predict --weights W... --slices S --out P --device D`.
    fn prediction(&self, ensemble: &Ensemble) -> Command {
        let mut command = Command::new(self.programs.path(Stage::Train));
        command.arg("predict");
        for (_, _, weights) in &ensemble.models {
            command.arg("--weights").arg(weights);
        }
        command.arg("--slices").arg(self.folder.join(SLICES)).arg("--out").arg(self.folder.join(PREDICTIONS));
        command.args(["--device", &ensemble.method.train.device]);
        command
    }

    fn call(&self, stage: Stage, step: &str, command: Command) -> Result<(), Error> {
        let show = |line: &str| {
            if Mode::current() != Mode::None {
                cli::say(line);
            }
        };
        let ended = stage::run(command, None, &show)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(ended.failure(stage, &format!("predict/{step}"), None).map_or(Error::Stopped, Error::Stage))
    }
}

/// What the study says of the CT.
struct Prediction {
    models: String,
    /// Mean softmax of each class, by name.
    probabilities: Vec<(String, f64)>,
    used: usize,
    left_out: usize,
    has_attention: bool,
}

impl Prediction {
    /// Takes the means over the tables in `folder`, and writes `prediction.json` beside them.
    fn read(config: &Config, ensemble: &Ensemble, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(EXCLUDED);
        let excluded = std::fs::read_to_string(&path).map_err(|source| Error::Io { path, source })?;
        let (means, used) = means(&folder.join(PREDICTIONS), config.classes.len())?;
        let prediction = Self {
            models: ensemble.describe(),
            probabilities: config.classes.iter().cloned().zip(means).collect(),
            used,
            // Below the header.
            left_out: excluded.lines().count().saturating_sub(1),
            has_attention: folder.join(ATTENTION_VOLUME).is_file(),
        };
        let path = folder.join(PREDICTION);
        let failed = |source| Error::Io { path: path.clone(), source };
        let values = prediction.values(config, ensemble).map_err(failed)?;
        atomic::write(&path, format!("{values:#}\n").as_bytes()).map_err(failed)?;
        Ok(prediction)
    }

    fn values(&self, config: &Config, ensemble: &Ensemble) -> std::io::Result<Value> {
        let model = |(fold, seed, weights): &(usize, u64, PathBuf)| {
            Ok(json!({ "fold": fold, "seed": seed, "weights_blake3": hash::file(weights)? }))
        };
        let models = ensemble.models.iter().map(model).collect::<std::io::Result<Vec<_>>>()?;
        let probabilities: Value =
            self.probabilities.iter().map(|(class, mean)| (class.clone(), json!(mean))).collect();
        Ok(json!({
            "study": config.study,
            "method": ensemble.method.name,
            "models": models,
            "slices": { "used": self.used, "of": self.used + self.left_out },
            "probabilities": probabilities,
            "files": {
                "slices": SLICES,
                "left_out": EXCLUDED,
                "predictions": PREDICTIONS,
                "attention": self.has_attention.then_some(ATTENTION_VOLUME),
                "overlays": OVERLAYS,
            },
        }))
    }

    /// The lines on stdout.
    fn text(&self, out: &Path) -> String {
        let width = self.probabilities.iter().map(|(class, _)| class.chars().count()).max().unwrap_or(0).max(11);
        let line = |(class, mean): &(String, f64)| format!("{class:<width$} {mean:.3}\n");
        let mut text: String = self.probabilities.iter().map(line).collect();
        let fact = |name: &str, value: String| format!("{name:<width$} {value}\n");
        let (used, all) = (self.used, self.used + self.left_out);
        let others = if used < all { format!("; the others show too little lung ({EXCLUDED})") } else { String::new() };
        text.push_str(&fact("slices", format!("{used} of {all}{others}")));
        text.push_str(&fact("models", self.models.clone()));
        let attention = if self.has_attention { format!("{ATTENTION_VOLUME}, ") } else { String::new() };
        text.push_str(&fact("files", format!("{}: {PREDICTION}, {attention}{OVERLAYS}/", out.display())));
        text
    }
}

/// Mean softmax values over the slices, and the number of slices.
fn means(path: &Path, classes: usize) -> Result<(Vec<f64>, usize), Error> {
    let reader = TableReader::open(path, &schema::predictions())?.select(&[column::PROB]);
    let (mut sums, mut slices) = (vec![0.0; classes], 0);
    for batch in reader.batches(BATCH_ROWS)? {
        for prob in float_lists(&batch?, column::PROB) {
            let prob = prob.unwrap_or_default();
            if prob.len() != classes {
                return Err(Error::Classes { path: path.to_owned(), expected: classes, got: prob.len() });
            }
            sums.iter_mut().zip(&prob).for_each(|(sum, value)| *sum += f64::from(*value));
            slices += 1;
        }
    }
    // A program that predicts nothing is not asked for a mean.
    Ok((sums.into_iter().map(|sum| sum / slices.max(1) as f64).collect(), slices))
}
