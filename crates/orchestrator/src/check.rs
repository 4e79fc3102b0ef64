//! `chumoku check`: everything that can keep a study from finishing, before any work. What reads CT and models is the programs that a run uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use contract::config::{DEFAULTS, Precision};
use contract::equipment;
use contract::inspection::{Found, Inspection, Refusal};
use contract::layout::Layout;
use contract::owner::{self, Owned};
use contract::plan::{self, Stage};
use contract::splits::column::judge;
use contract::user_table::{Audience, UserTable};
use contract::{Coded, Config, Exit};

use crate::doctor;
use crate::error::Error;
use crate::graph::Graph;
use crate::print;
use crate::programs::Programs;
use crate::shell;

/// Arguments of `chumoku check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The study's YAML file
    #[arg(value_name = "STUDY.yaml")]
    pub study: PathBuf,
    /// Override one key of the study, such as train.epochs=5; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What a line about the folds begins with.
const SPLITS: &str = "splits";

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    /// The exit code is what a run would end with.
    Error(Exit),
}

/// A line of the answer.
#[derive(Debug, Clone)]
struct Line {
    state: State,
    what: &'static str,
    text: String,
}

impl Line {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { state: State::Ok, what, text: text.into() }
    }

    fn warning(what: &'static str, text: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::ok(what, text) }
    }

    fn error(what: &'static str, exit: Exit, text: impl Into<String>) -> Self {
        Self { state: State::Error(exit), ..Self::ok(what, text) }
    }

    /// A problem that need not be one for this study.
    fn judged(what: &'static str, found: Result<String, String>) -> Self {
        found.map_or_else(|problem| Self::warning(what, problem), |text| Self::ok(what, text))
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Error(_) => "error",
        };
        writeln!(formatter, "{state:<8} {:<14} {}", self.what, self.text)
    }
}

/// Prints a line for each check of the study, and what to do next. `programs` is the folder of the stage programs.
///
/// # Errors
/// At least one check ended with an error. Of several, configuration counts before inputs, and inputs before model and device.
pub fn run(args: &CheckArgs, programs: &Path) -> Result<(), Error> {
    let lines = lines(args, programs);
    print(&lines.iter().map(Line::to_string).collect::<String>())?;
    let error = |line: &Line| if let State::Error(exit) = line.state { Some((exit, line.text.clone())) } else { None };
    let errors: Vec<(Exit, String)> = lines.iter().filter_map(error).collect();
    let place =
        |exit: &Exit| [Exit::Config, Exit::Input, Exit::Missing].iter().position(|one| one == exit).unwrap_or(3);
    let count = errors.len();
    match errors.into_iter().min_by_key(|(exit, _)| place(exit)) {
        None => print(&format!("\nnext: {}\n", shell::chumoku("run", &args.study, &args.set))),
        Some((exit, first)) => Err(Error::Check { count, exit, first }),
    }
}

fn lines(args: &CheckArgs, folder: &Path) -> Vec<Line> {
    let config = match Config::load(&args.study, &args.set) {
        Ok(config) => config,
        Err(error) => return error.lines().into_iter().map(|line| Line::error("study", Exit::Config, line)).collect(),
    };
    let mut all: Vec<Line> = owner::check(&config).err().iter().map(owned).collect();
    let folds = match plan::fold_count(&config) {
        Ok(folds) => folds,
        Err(error) => {
            let error = Error::Splits(error);
            all.push(Line::error(SPLITS, error.exit(), error.to_string()));
            config.dataset.folds as usize
        }
    };
    let tasks = plan::tasks(&config).unwrap_or_default();
    all.insert(0, study(&config, folds));
    let graph = Graph::new(tasks);
    all.push(match Programs::find(folder, graph.stages()) {
        Ok(_) => Line::ok("programs", format!("all {} in {}", graph.stages().len(), folder.display())),
        Err(error) => Line::error("programs", error.exit(), error.to_string()),
    });
    let lost = lost(&graph);
    let is_lost = !lost.is_empty();
    all.extend(lost);
    let found = if is_lost { None } else { inspected(args, &config, folds, folder, &mut all) };
    all.extend(column(&config));
    let layout = Layout::new(&config);
    for (what, path) in [("data folder", &layout.data), ("reports folder", &layout.reports)] {
        all.push(writable(what, path));
    }
    all.push(Line::judged("memory", doctor::memory()));
    all.push(disk(&config, folds, found.as_ref()));
    all.extend(device(&config, folder));
    all.extend(found.map(|found| Line::ok("time", time(&config, folds, &found))));
    all
}

/// Results of another study where this one writes.
fn owned(error: &Owned) -> Line {
    Line::error("study", error.exit(), error.to_string())
}

fn study(config: &Config, folds: usize) -> Line {
    let runs = plan::runs(config, folds).len();
    let (methods, classes) = (config.methods.len(), config.classes.join(", "));
    Line::ok(
        "study",
        format!("{}: {methods} methods, {folds} folds, {runs} training runs; classes {classes}", config.study),
    )
}

/// Inputs that are not there and that no task makes.
fn lost(graph: &Graph) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let errors = graph.lost().into_iter().map(|error| Line::error("input", error.exit(), contract::cli::chain(&error)));
    errors.filter(|line| seen.insert(line.text.split_once(", ").map(|(_, rest)| rest.to_owned()))).collect()
}

/// What the preprocessing program says of model and input.
fn inspected(args: &CheckArgs, config: &Config, folds: usize, folder: &Path, all: &mut Vec<Line>) -> Option<Found> {
    let mut words = vec![OsStr::new("inspect"), OsStr::new("--config"), args.study.as_os_str()];
    args.set.iter().for_each(|set| words.extend([OsStr::new("--set"), OsStr::new(set)]));
    let answer = doctor::ask(folder, Stage::Preprocess, &words)
        .and_then(|text| serde_json::from_str::<Inspection>(&text).map_err(|error| format!("{error}: {text}")));
    let Inspection { model, input, splits } = match answer {
        Ok(answer) => answer,
        Err(words) => {
            all.push(Line::error("model", Exit::Missing, words));
            return None;
        }
    };
    all.push(match model {
        Ok(hash) => Line::ok("model", format!("{} (SHA-256 {hash})", config.preprocess.model.display())),
        Err(refusal) => Line::error("model", Exit::Missing, refusal.message),
    });
    // A file that cannot be read has its line already.
    let is_told = all.iter().any(|line| line.what == SPLITS);
    all.extend(splits.filter(|_| !is_told).map(|splits| splits_line(config, folds, splits)));
    match input {
        Ok(found) => {
            let found = if config.phantom.enabled { synthetic(config) } else { found };
            all.extend(input_lines(config, folds, &found));
            Some(found)
        }
        Err(refusal) if refusal.exit == Exit::Input as u8 => {
            all.push(Line::error("input", Exit::Input, refusal.message));
            None
        }
        Err(refusal) => {
            all.push(Line::error("input", Exit::Unexpected, refusal.message));
            None
        }
    }
}

/// The splits file, held against the labels or the manifest.
fn splits_line(config: &Config, folds: usize, splits: Result<String, Refusal>) -> Line {
    let words = match splits {
        Ok(words) => words,
        Err(refusal) => {
            let exits = [Exit::Audit, Exit::Input];
            let exit = exits.into_iter().find(|exit| *exit as u8 == refusal.exit).unwrap_or(Exit::Unexpected);
            return Line::error(SPLITS, exit, refusal.message);
        }
    };
    let asked = config.dataset.folds as usize;
    // The default is nobody's wish.
    let default = serde_yaml::from_str::<serde_json::Value>(DEFAULTS).unwrap_or_default();
    let is_default = default.pointer("/dataset/folds").and_then(serde_json::Value::as_u64) == Some(asked as u64);
    match asked == folds || is_default {
        true => Line::ok(SPLITS, words),
        false => Line::warning(SPLITS, format!("{words}; dataset.folds says {asked}, and the splits file counts")),
    }
}

/// What the phantom will make.
fn synthetic(config: &Config) -> Found {
    let (classes, each) = (config.classes.len(), config.phantom.patients_per_class as usize);
    let series = classes * each;
    Found { series, slices: series * config.phantom.slices as usize, patients: vec![each; classes], ..Found::default() }
}

fn input_lines(config: &Config, folds: usize, found: &Found) -> Vec<Line> {
    let counts: Vec<String> =
        config.classes.iter().zip(&found.patients).map(|(class, count)| format!("{class} {count}")).collect();
    let text = format!("{} series, {} slices; patients: {}", found.series, found.slices, counts.join(", "));
    let mut lines = vec![Line::ok("input", text)];
    lines.extend(found.notes.iter().map(|note| Line::warning("input", note.clone())));
    let drawn = config.dataset.splits.is_none() && config.dataset.split_column.is_none();
    for (class, count) in config.classes.iter().zip(&found.patients) {
        if *count == 0 {
            let text = format!(
                "no patient of class \"{class}\"; expected at least one: take it out of classes, or label some"
            );
            lines.push(Line::error("classes", Exit::Input, text));
        } else if drawn && *count < folds {
            let text = format!(
                "class \"{class}\" has {count} patients, fewer than dataset.folds ({folds}); ask for fewer folds or add patients"
            );
            lines.push(Line::error("classes", Exit::Input, text));
        }
    }
    lines
}

/// The column that splits the manifest.
fn column(config: &Config) -> Option<Line> {
    let (column, manifest) = (config.dataset.split_column.as_ref()?, config.preprocess.manifest.as_ref()?);
    // What else is wrong with the manifest is what the preprocessing program says of it.
    let table = UserTable::read(manifest, &[], Audience::Owner).ok()?;
    if let Err(error) = table.require([column.as_str()]) {
        return Some(Line::error(SPLITS, Exit::Input, format!("{error}, or set dataset.split_column to one of them")));
    }
    Some(match judge(&table, column, config) {
        Ok(()) => Line::ok(SPLITS, format!("column \"{column}\" of {}", manifest.display())),
        Err(fault) => Line::error(SPLITS, fault.exit, fault.message),
    })
}

/// Whether a file can be made in the folder, or in the first above it that exists.
fn writable(what: &'static str, path: &Path) -> Line {
    let exists = |folder: &&Path| folder.as_os_str().is_empty() || folder.exists();
    let folder = path.ancestors().find(exists).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".chumoku-check-{}", std::process::id()));
    match std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) => Line::ok(what, path.display().to_string()),
        Err(error) => {
            let text = format!(
                "{}: cannot write in {}: {error}; set paths.data and paths.reports to folders of yours",
                path.display(),
                folder.display()
            );
            Line::error(what, Exit::Input, text)
        }
    }
}

/// Bytes of a run: weights, curves and predictions. Measured on the studies of this repository.
const RUN_BYTES: f64 = 0.075e9;
/// Bytes of a run's checkpoint with AdamW, which is there while the run is.
const CHECKPOINT_BYTES: f64 = 0.24e9;

fn disk(config: &Config, folds: usize, found: Option<&Found>) -> Line {
    let side = f64::from(config.preprocess.size);
    // A pixel is a byte of image and one of mask before compression.
    let slices = found.map_or(0.0, |found| found.slices as f64 * side * side * 2.0);
    let runs = plan::runs(config, folds).len() as f64 * RUN_BYTES;
    let phantom = if config.phantom.enabled { f64::from(config.phantom.size).powi(2) * 2.0 } else { 0.0 };
    let made = found.map_or(0.0, |found| found.slices as f64 * phantom);
    let sets = if config.phantom.enabled && config.phantom.reversed { 2.0 } else { 1.0 };
    let checkpoints = crate::fitting_jobs(config) as f64 * CHECKPOINT_BYTES;
    let need = (sets * (slices + made) + runs + checkpoints) / doctor::GIB;
    match doctor::free(&config.paths.data) {
        Err(problem) => Line::warning("disk", problem),
        Ok(free) if free < need => {
            let text = format!("{free:.1} GiB free, about {need:.1} GiB wanted at most; make room or set paths.data");
            Line::warning("disk", text)
        }
        Ok(free) => Line::ok("disk", format!("{free:.1} GiB free, about {need:.1} GiB wanted at most")),
    }
}

/// The devices that methods ask for.
fn device(config: &Config, folder: &Path) -> Vec<Line> {
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    for method in &config.methods {
        wanted.entry(&method.train.device).or_insert(&method.name);
    }
    let equipment =
        match doctor::ask(folder, Stage::Train, &[OsStr::new("doctor")]).and_then(|text| doctor::equipment(&text)) {
            Ok(equipment) => equipment,
            Err(words) => return vec![Line::error("device", Exit::Missing, words)],
        };
    let one = |(device, method): (&str, &str)| match &equipment.cuda_problem {
        Some(problem) if device != "cpu" => {
            let text = format!("{device}, which method {method} asks for: {problem}{}", equipment::cpu(problem));
            Line::error("device", Exit::Missing, text)
        }
        _ => {
            Line::ok("device", format!("{device}; {}", doctor::libtorch(&equipment).unwrap_or_else(|problem| problem)))
        }
    };
    wanted.into_iter().map(one).collect()
}

/// Training images a second on one thread at 64 and at 224 px, f32: README, "Use of a trained study". Between them a power of the side.
const RATES: [(f64, f64); 2] = [(64.0, 82.0), (224.0, 9.0)];

/// Hours of training to expect.
fn time(config: &Config, folds: usize, found: &Found) -> String {
    let [(small, fast), (large, slow)] = RATES;
    let power = (fast / slow).ln() / (large / small).ln();
    let rate = fast * (small / f64::from(config.preprocess.size)).powf(power);
    let share = if folds > 1 { (folds - 1) as f64 / folds as f64 } else { 0.8 };
    let images = |method: &contract::config::Method| {
        (folds * method.seeds.len()) as f64 * f64::from(method.train.epochs) * share * found.slices as f64
    };
    let hours = config.methods.iter().map(images).sum::<f64>() / rate / 3600.0;
    let jobs = crate::fitting_jobs(config);
    let plain =
        config.methods.iter().all(|method| method.train.device == "cpu" && method.train.precision == Precision::F32);
    let less = if plain { "" } else { "; less on a GPU or in bfloat16" };
    format!(
        "training takes about {hours:.1} hours of one core like those of reports/bench, {jobs} runs side by side here{less}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        std::fs::write(&path, yaml).unwrap();
        Config::load(&path, &[]).unwrap()
    }

    #[test]
    fn a_class_without_or_with_few_patients_is_an_error() {
        let config = config("study: s\nclasses: [a, b, c]");
        let found = Found { patients: vec![3, 2, 0], notes: vec!["odd".to_owned()], ..Found::default() };
        let lines = input_lines(&config, 3, &found);
        let states: Vec<&State> = lines.iter().map(|line| &line.state).collect();
        assert_eq!(states, [&State::Ok, &State::Warning, &State::Error(Exit::Input), &State::Error(Exit::Input)]);
        assert!(lines[2].text.contains("\"b\" has 2 patients, fewer than dataset.folds (3)"), "{}", lines[2]);
        assert!(lines[3].text.contains("no patient of class \"c\""), "{}", lines[3]);
    }

    #[test]
    fn the_time_is_that_of_the_readme_at_its_sizes() {
        // By hand: 2 methods x 3 folds x 30 epochs x 2/3 of 13,713 slices = 1,645,560 images; at 9/s 50.8 h.
        let config = config("study: s");
        let found = Found { slices: 13_713, ..Found::default() };
        assert!(
            time(&config, 3, &found).starts_with("training takes about 50.8 hours"),
            "{}",
            time(&config, 3, &found)
        );
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(writable("data folder", &folder.path().join("a/b")).state, State::Ok);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(writable("data folder", &folder.path().join("file/b")).state, State::Error(Exit::Input));
    }
}
