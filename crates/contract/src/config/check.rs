//! Checked values: each against the schema, then what one key asks of another.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::layout::Layout;

use super::expand::expand;
use super::fault::{ConfigError, Fault};
use super::judge::judge;
use super::load::Raw;
use super::{
    Config, Dataset, Instructions, Loss, Method, Paths, Phantom, Precision, Preprocess, Report, Train, schema,
};

/// Classes that the phantom can make.
const PHANTOM_CLASSES: usize = 3;
/// Keys of `train` that are not a method's settings.
const NOT_SETTINGS: [&str; 2] = ["methods", "seeds"];

pub(super) fn checked(mut raw: Raw) -> Result<Config, ConfigError> {
    expand_paths(&mut raw);
    let mut faults = std::mem::take(&mut raw.faults);
    faults.extend(against_schema(&raw));
    if !faults.is_empty() {
        return Err(ConfigError::all(faults));
    }
    schema::as_floats(schema::schema(), &mut raw.values);
    let checker = Checker { raw: &raw, faults: RefCell::default() };
    let config = Config {
        study: checker.read("study")?,
        classes: checker.read("classes")?,
        instructions: checker.read("instructions")?,
        paths: checker.read::<Paths>("paths")?,
        phantom: checker.read::<Phantom>("phantom")?,
        preprocess: checker.read::<Preprocess>("preprocess")?,
        dataset: checker.read::<Dataset>("dataset")?,
        methods: methods(&checker)?,
        report: checker.read::<Report>("report")?,
        values: raw.values.clone(),
        is_reversed: false,
        file: PathBuf::new(),
        overrides: Vec::new(),
    };
    paths(&checker, &config);
    input_apart(&checker, &config);
    phantom(&checker, &config);
    preprocess(&checker, &config.preprocess);
    dataset(&checker, &config);
    report(&checker, &config);
    match checker.faults.into_inner() {
        faults if faults.is_empty() => Ok(config),
        faults => Err(ConfigError::all(faults)),
    }
}

fn expand_paths(raw: &mut Raw) {
    let mut values = std::mem::take(&mut raw.values);
    let mut faults = Vec::new();
    schema::each_path(schema::schema(), &mut values, "", &mut |path, text| match expand(text, |name| {
        std::env::var(name).ok()
    }) {
        Ok(expanded) => *text = expanded,
        Err(message) => faults.push(Fault { place: raw.value_place(path), message: format!("{path}: {message}") }),
    });
    raw.values = values;
    raw.faults.extend(faults);
}

fn against_schema(raw: &Raw) -> Vec<Fault> {
    let mut verdicts = Vec::new();
    let mut values = raw.values.clone();
    let mut faults = Vec::new();
    if raw.values["study"].is_null() {
        let message = "study: is required and has no default; give the study a name".to_owned();
        faults.push(Fault { place: raw.key_place("study"), message });
        if let Value::Object(map) = &mut values {
            map.shift_remove("study");
        }
    }
    judge(schema::schema(), &values, "", &mut verdicts);
    faults.extend(verdicts.into_iter().map(|verdict| {
        let place = if verdict.is_key { raw.key_place(&verdict.path) } else { raw.value_place(&verdict.path) };
        Fault { place, message: verdict.message }
    }));
    faults
}

struct Checker<'a> {
    raw: &'a Raw,
    faults: RefCell<Vec<Fault>>,
}

impl Checker<'_> {
    fn value(&self, key: &str) -> &Value {
        let pointer = format!("/{}", key.replace('.', "/"));
        self.raw.values.pointer(&pointer).unwrap_or(&Value::Null)
    }

    /// Deserializes the value at `key`. What the schema lets through and a type does not is named here.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, ConfigError> {
        self.decode(key, self.value(key).clone())
    }

    fn decode<T: DeserializeOwned>(&self, key: &str, value: Value) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let inner = error.path().to_string();
            let path = if inner == "." { key.to_owned() } else { format!("{key}.{inner}") };
            ConfigError::one(self.raw.value_place(&path), format!("{path}: {}", error.into_inner()))
        })
    }

    /// Notes a fault of the value at `key` unless `holds`.
    fn require(&self, holds: bool, key: &str, expected: &str) {
        if !holds {
            let message = format!("{key}: expected {expected}, got {}", self.value(key));
            self.faults.borrow_mut().push(Fault { place: self.raw.value_place(key), message });
        }
    }
}

/// The report is written as a whole folder, which must not be the one that the study's data are in.
fn paths(checker: &Checker, config: &Config) {
    let layout = Layout::new(config);
    let [data, reports] = [&layout.data, &layout.reports].map(|path| real(path));
    let apart = !data.starts_with(&reports) && !reports.starts_with(&data);
    checker.require(
        apart,
        "paths.reports",
        &format!("another folder than paths.data, {}", config.paths.data.display()),
    );
}

/// A folder of CT must not be where the study writes: it would change while it is read, or be replaced. (Of a manifest's folder, the files that
/// it names are read.)
fn input_apart(checker: &Checker, config: &Config) {
    let layout = Layout::new(config);
    let Some(given) = &config.preprocess.input else { return };
    let input = real(given);
    let raw = config.phantom.enabled.then(|| layout.raw());
    let written = [layout.masks(), layout.folds(), layout.runs(), layout.reports.clone()].into_iter().chain(raw);
    let apart = written.map(|path| real(&path)).all(|path| !path.starts_with(&input) && !input.starts_with(&path));
    let expected = format!("a folder apart from what the study writes in {}", layout.data.display());
    checker.require(apart, "preprocess.input", &expected);
}

/// `path` from the root and without `..`, as it is written: links are not looked at.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.components().fold(PathBuf::new(), |mut path, part| {
        if part == Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
        path
    })
}

/// `path` without `..`, and without links as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = plain(path);
    let exists = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let (above, found) = exists.unwrap_or((Path::new(""), PathBuf::new()));
    path.strip_prefix(above).map_or_else(|_| path.clone(), |rest| found.join(rest))
}

fn phantom(checker: &Checker, config: &Config) {
    let phantom = &config.phantom;
    let known = !phantom.enabled || config.classes.len() <= PHANTOM_CLASSES;
    let classes = "2 or 3 names where phantom.enabled is true (it makes common pneumonia, COVID-19 and healthy lungs, in this order)";
    checker.require(known, "classes", classes);
    let own = config.preprocess.input.is_none() && config.preprocess.manifest.is_none();
    let reversible = !(phantom.enabled && phantom.reversed) || own;
    checker.require(reversible, "phantom.reversed", "false when preprocess.input or preprocess.manifest is set");
}

fn preprocess(checker: &Checker, preprocess: &Preprocess) {
    let rising = preprocess.image_high_hu > preprocess.image_low_hu;
    checker.require(rising, "preprocess.image_high_hu", "more than preprocess.image_low_hu");
    let both = preprocess.manifest.is_some() && preprocess.input.is_some();
    checker.require(!both, "preprocess.manifest", "null when preprocess.input is set: one of the two");
}

fn dataset(checker: &Checker, config: &Config) {
    let dataset = &config.dataset;
    let both = dataset.splits.is_some() && dataset.split_column.is_some();
    checker.require(!both, "dataset.split_column", "null when dataset.splits is set: one of the two");
    let needs_manifest = dataset.split_column.is_some() && config.preprocess.manifest.is_none();
    checker.require(!needs_manifest, "dataset.split_column", "null, or a preprocess.manifest that has the column");
}

fn report(checker: &Checker, config: &Config) {
    let report = &config.report;
    for (key, name) in [("conventional", &report.conventional), ("proposed", &report.proposed)] {
        let known: Vec<&str> = config.methods.iter().map(|method| method.name.as_str()).collect();
        let expected = format!("a name of train.methods ({})", known.join(", "));
        checker.require(config.method(name).is_some(), &format!("report.{key}"), &expected);
    }
    let in_classes = (report.positive as usize) < config.classes.len();
    let expected = format!("the label of a class, 0 to {}", config.classes.len().saturating_sub(1));
    checker.require(in_classes, "report.positive", &expected);
}

fn methods(checker: &Checker) -> Result<Vec<Method>, ConfigError> {
    let entries = checker.value("train.methods").as_object().into_iter().flatten();
    entries.map(|(name, overrides)| method(checker, name, overrides)).collect()
}

fn method(checker: &Checker, name: &str, overrides: &Value) -> Result<Method, ConfigError> {
    let key = format!("train.methods.{name}");
    let mut values = checker.value("train").clone();
    if let Value::Object(map) = &mut values {
        map.extend(overrides.as_object().cloned().unwrap_or_else(Map::new));
        NOT_SETTINGS.iter().for_each(|key| drop(map.shift_remove(*key)));
    }
    let section = |name: &str| if overrides.get(name).is_some() { key.as_str() } else { "train" };
    let mut seeds: Vec<u64> = checker.read(&format!("{}.seeds", section("seeds")))?;
    seeds.sort_unstable();
    // An error in a value that the method overrides is the method's; else it is train's.
    let train: Train = checker.decode("train", values.clone())?;
    let unsupervised = matches!(train.loss, Loss::Abn | Loss::Resnet18);
    let normalize = format!("{}.normalize_weights", section("normalize_weights"));
    checker.require(!(train.normalize_weights && unsupervised), &normalize, "false for a loss without map supervision");
    let held = checker.read::<Instructions>("instructions")? == Instructions::Avx2 && train.device == "cpu";
    let precision = format!("{}.precision", section("precision"));
    checker.require(
        !(held && train.precision == Precision::Bf16),
        &precision,
        "f32 when instructions is avx2, which has no bfloat16",
    );
    Ok(Method { name: name.to_owned(), seeds, train, values })
}
