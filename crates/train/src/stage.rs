//! The frame of one training task: inputs in, a run folder out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use contract::atomic::{self, Folder};
use contract::cli::{self, Start};
use contract::config::{self, Config, Method};
use contract::layout::{
    ATTENTION, CHECKPOINT, CONFIG, LOG, Layout, PREDICTIONS, PREDICTIONS_REVERSED, TENSORBOARD, TIMING, WEIGHTS,
};
use contract::plan::{self, Task};
use contract::receipt::TaskError;
use contract::{hash, instructions, interrupt, owner};
use serde_json::Value;

use crate::batch::Pixels;
use crate::data::{self, Slices, Split};
use crate::log::Timing;
use crate::predict::{self, Origin, Question};
use crate::run::{Run, Trained};
use crate::{Error, device, libtorch, log, origins, tensorboard, weights};

/// Which runs of a study: all, or those that match.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selection {
    /// Only this method
    #[arg(long)]
    pub method: Option<String>,
    /// Only this fold
    #[arg(long)]
    pub fold: Option<usize>,
    /// Only this seed
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Selection {
    /// The error for a selection that no run of the study fits.
    fn nothing(&self, config: &Config, folds: usize) -> Error {
        let option = |name: &str, value: Option<String>| value.map(|value| format!("--{name} {value}"));
        let asked = [
            option("method", self.method.clone()),
            option("fold", self.fold.map(|fold| fold.to_string())),
            option("seed", self.seed.map(|seed| seed.to_string())),
        ];
        let named = |method: &&Method| self.method.as_ref().is_none_or(|only| *only == method.name);
        let seeds = |method: &Method| format!("{} with seeds {}", method.name, listed(&method.seeds));
        let methods: Vec<String> = config.methods.iter().filter(named).map(seeds).collect();
        Error::NoSuchRun {
            asked: asked.into_iter().flatten().collect::<Vec<_>>().join(" "),
            methods: methods.join("; "),
            folds: listed(&(0..folds as u64).collect::<Vec<_>>()),
        }
    }
}

fn listed(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Trains every selected run of the study that is not up to date.
///
/// # Errors
/// See [`Error`].
pub fn run(config: &Config, selection: &Selection, force: bool) -> Result<(), Error> {
    instructions::hold(config.instructions)?;
    if config.methods.iter().any(|method| method.train.device != "cpu") {
        libtorch::prepare_cuda();
    }
    let folds = plan::fold_count(config)?;
    if let Some(name) = selection.method.as_ref().filter(|name| config.method(name).is_none()) {
        let known = config.methods.iter().map(|method| method.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::NoSuchMethod { name: name.clone(), known });
    }
    let mut runs = plan::runs(config, folds);
    runs.retain(|(method, fold, seed)| {
        selection.method.as_ref().is_none_or(|only| only == method)
            && selection.fold.is_none_or(|only| only == *fold)
            && selection.seed.is_none_or(|only| only == *seed)
    });
    if runs.is_empty() {
        return Err(selection.nothing(config, folds));
    }
    owner::claim(config).map_err(TaskError::Owned)?;
    let mut inputs = None;
    for (method, fold, seed) in runs {
        one(config, &method, fold, seed, force, &mut inputs)?;
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
    }
    Ok(())
}

/// What the runs of a study read, kept from one to the next.
struct Inputs {
    slices: Slices,
    /// The second set of CT, if there is one.
    reversed: Option<Slices>,
}

impl Inputs {
    fn read(config: &Config) -> Result<Self, Error> {
        let layout = Layout::new(config);
        let mut slices = data::read_slices(&layout.slices())?;
        data::read_lesions(&layout.lesions(), &mut slices)?;
        let second = config.reversed().map(|set| data::read_slices(&Layout::new(&set).slices()));
        Ok(Self { slices, reversed: second.transpose()? })
    }
}

/// One run.
fn one(
    config: &Config,
    name: &str,
    fold: usize,
    seed: u64,
    force: bool,
    inputs: &mut Option<Inputs>,
) -> Result<(), Error> {
    let Some(method) = config.method(name) else { return Ok(()) };
    let task = plan::train(config, name, fold, seed);
    let started = cli::run_task(&task, force, Start::Resume, |folder| {
        let inputs = match inputs {
            Some(read) => read,
            None => inputs.insert(Inputs::read(config)?),
        };
        Work { config, task: &task, method, fold, seed, inputs, folder }.run()
    })?;
    if started {
        contract::tell!("{}: done, {}", task.id, task.output.display());
    }
    Ok(())
}

/// One run and where it goes.
struct Work<'a> {
    config: &'a Config,
    task: &'a Task,
    method: &'a Method,
    fold: usize,
    seed: u64,
    inputs: &'a Inputs,
    folder: &'a Folder,
}

impl Work<'_> {
    fn run(&self) -> Result<BTreeMap<String, String>, Error> {
        let layout = Layout::new(self.config);
        let device = device::open(&self.method.train.device, self.method.train.threads)?;
        let split = data::split(&self.inputs.slices, &layout.slices(), &layout.folds_table(), self.fold)?;
        let checkpoint = self.folder.path().join(CHECKPOINT);
        let run = Run {
            id: &self.task.id,
            task: identity(self.task)?,
            method: self.method,
            seed: self.seed,
            classes: self.config.classes.len(),
            slices: &self.inputs.slices,
            split: &split,
            device,
            checkpoint: &checkpoint,
        };
        let mut trained = run.train()?;
        self.alarm(&trained);
        write_run(self.folder, &origins::with_slices(&self.task.config, &self.inputs.slices), &trained)?;
        self.predict(&mut trained, &split)?;
        std::fs::remove_file(&checkpoint).map_err(Error::at(&checkpoint))?;
        Ok(device::environment(device, self.config.instructions))
    }

    /// Tells of a dead attention branch.
    fn alarm(&self, trained: &Trained) {
        let collapsed = trained.log.last().and_then(|row| row.attention_collapsed);
        if let Some(share) = collapsed.filter(|share| *share > 0.5) {
            contract::say!(
                "{}: attention has collapsed: {:.0} % of the maps are almost the same everywhere in the last epoch; see \
                 attention_std in {LOG}, and train longer, or with more weight on the map",
                self.task.id,
                100.0 * share
            );
        }
    }

    fn predict(&self, trained: &mut Trained, split: &Split) -> Result<(), Error> {
        let origin = Origin {
            method: self.method.name.clone(),
            fold: i32::try_from(self.fold).unwrap_or(i32::MAX),
            seed: i64::try_from(self.seed).unwrap_or(i64::MAX),
        };
        let file = |name: &str| self.folder.path().join(name);
        let (slices, pixels) = (&self.inputs.slices, Pixels::new(&self.method.train));
        let curves = self.method.train.curve_slices as usize;
        let question = Question { slices, positions: &split.test, pixels, curves, id: &self.task.id };
        let predictions = predict::predict(&mut trained.model, question)?;
        predict::write(&file(PREDICTIONS), slices, &predictions, &origin)?;
        predict::write_attention(&file(ATTENTION), slices, &predictions)?;
        let Some(reversed) = &self.inputs.reversed else { return Ok(()) };
        let positions = of_patients(reversed, &split.test_patients(slices));
        let question = Question { slices: reversed, positions: &positions, curves: 0, ..question };
        let predictions = predict::predict(&mut trained.model, question)?;
        predict::write(&file(PREDICTIONS_REVERSED), reversed, &predictions, &origin)
    }
}

/// Positions of the slices of some patients.
fn of_patients(slices: &Slices, patients: &BTreeSet<&str>) -> Vec<usize> {
    let theirs = |position: &usize| patients.contains(slices.rows[*position].patient_id.as_str());
    (0..slices.rows.len()).filter(theirs).collect()
}

/// Hash of what a checkpoint must have in common with the run that goes on from it.
fn identity(task: &Task) -> Result<String, Error> {
    let mut parts = vec![task.id.clone(), hash::value(&task.config)];
    for input in &task.inputs {
        parts.push(input.name.clone());
        parts.push(input.hash(&mut hash::Cache::default()).map_err(Error::at(&input.path))?);
    }
    Ok(hash::bytes(parts.join("\n").as_bytes()))
}

fn write_run(folder: &Folder, settings: &Value, trained: &Trained) -> Result<(), Error> {
    let file = |name: &str| folder.path().join(name);
    weights::write(&file(WEIGHTS), &trained.model.tensors)?;
    let log = log::to_csv(&trained.log).map_err(std::io::Error::other).map_err(Error::at(&file(LOG)))?;
    let timing = serde_json::to_vec_pretty(&trained.timing).map_err(std::io::Error::other);
    let timing = timing.map_err(Error::at(&file(TIMING)))?;
    let config = config::to_yaml(settings);
    let board = tensorboard::from_log(&trained.log, &trained.timing, began(&trained.timing));
    tensorboard::write(&file(TENSORBOARD), &board).map_err(Error::at(&file(TENSORBOARD)))?;
    for (name, bytes) in [(LOG, log), (TIMING, timing), (CONFIG, config.into_bytes())] {
        atomic::write(&file(name), &bytes).map_err(Error::at(&file(name)))?;
    }
    Ok(())
}

/// Seconds since 1970 when a training that ends now would have begun without pauses.
fn began(timing: &[Timing]) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    now - timing.iter().map(|epoch| epoch.seconds).sum::<f64>()
}
