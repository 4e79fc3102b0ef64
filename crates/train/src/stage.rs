//! The frame of one training task: inputs in, a run folder out.

use std::collections::BTreeMap;

use contract::atomic::{self, Folder};
use contract::cli::{self, Start};
use contract::config::{self, Config, Method};
use contract::layout::{CHECKPOINT, CONFIG, LOG, Layout, PREDICTIONS, TIMING, WEIGHTS};
use contract::plan::{self, Task};
use contract::{hash, interrupt};

use crate::batch::Pixels;
use crate::data::{self, Slices};
use crate::predict::{self, Origin};
use crate::run::{Run, Trained};
use crate::{Error, device, log, weights};

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

/// Trains every selected run of the study that is not up to date.
///
/// # Errors
/// See [`Error`].
pub fn run(config: &Config, selection: &Selection, force: bool) -> Result<(), Error> {
    let folds = plan::fold_count(config).map_err(Error::at(&Layout::new(config).folds()))?;
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
        let found = (0..folds).map(|fold| fold.to_string()).collect::<Vec<_>>().join(", ");
        let (fold, path) = (selection.fold.unwrap_or_default(), Layout::new(config).folds_table());
        return Err(Error::NoSuchFold { fold, path, found });
    }
    let mut slices = None;
    for (method, fold, seed) in runs {
        one(config, &method, fold, seed, force, &mut slices)?;
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
    }
    Ok(())
}

/// One run. `slices` keeps what was read for the next one.
fn one(
    config: &Config,
    name: &str,
    fold: usize,
    seed: u64,
    force: bool,
    slices: &mut Option<Slices>,
) -> Result<(), Error> {
    let Some(method) = config.method(name) else { return Ok(()) };
    let task = plan::train(config, name, fold, seed);
    let started = cli::run_task(&task, force, Start::Resume, |folder| {
        let slices = match slices {
            Some(read) => read,
            None => slices.insert(data::read_slices(&Layout::new(config).slices(), None)?),
        };
        work(config, &task, method, fold, seed, slices, folder)
    })?;
    if started {
        println!("{}: done, {}", task.id, task.output.display());
    }
    Ok(())
}

fn work(
    config: &Config,
    task: &Task,
    method: &Method,
    fold: usize,
    seed: u64,
    slices: &Slices,
    folder: &Folder,
) -> Result<BTreeMap<String, String>, Error> {
    let layout = Layout::new(config);
    let device = device::open(&method.train.device, method.train.threads)?;
    let split = data::split(slices, &layout.slices(), &layout.folds_table(), fold)?;
    let checkpoint = folder.path().join(CHECKPOINT);
    let run = Run {
        id: &task.id,
        task: identity(task)?,
        method,
        seed,
        classes: config.classes.len(),
        slices,
        split: &split,
        device,
        checkpoint: &checkpoint,
    };
    let trained = run.train()?;
    let pixels = Pixels::new(&method.train);
    let predictions = predict::predict(&trained.model, slices, &split.test, pixels, &task.id)?;
    let origin = Origin {
        method: method.name.clone(),
        fold: i32::try_from(fold).unwrap_or(i32::MAX),
        seed: i64::try_from(seed).unwrap_or(i64::MAX),
    };
    predict::write(&folder.path().join(PREDICTIONS), slices, &predictions, &origin)?;
    write_run(folder, task, &trained)?;
    std::fs::remove_file(&checkpoint).map_err(Error::at(&checkpoint))?;
    Ok(device::environment(device))
}

/// Hash of what a checkpoint must have in common with the run that goes on from it.
fn identity(task: &Task) -> Result<String, Error> {
    let mut parts = vec![task.id.clone(), hash::value(&task.config)];
    for (name, path) in &task.inputs {
        parts.push(name.clone());
        parts.push(hash::path(path).map_err(Error::at(path))?);
    }
    Ok(hash::bytes(parts.join("\n").as_bytes()))
}

fn write_run(folder: &Folder, task: &Task, trained: &Trained) -> Result<(), Error> {
    let file = |name: &str| folder.path().join(name);
    weights::write(&file(WEIGHTS), &trained.model.tensors)?;
    let log = log::to_csv(&trained.log).map_err(std::io::Error::other).map_err(Error::at(&file(LOG)))?;
    let timing = serde_json::to_vec_pretty(&trained.timing).map_err(std::io::Error::other);
    let timing = timing.map_err(Error::at(&file(TIMING)))?;
    let config = config::to_yaml(&task.config);
    for (name, bytes) in [(LOG, log), (TIMING, timing), (CONFIG, config.into_bytes())] {
        atomic::write(&file(name), &bytes).map_err(Error::at(&file(name)))?;
    }
    Ok(())
}
