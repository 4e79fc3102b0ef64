//! Checked values: types, ranges and references between keys.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::load::Raw;
use super::{Config, ConfigError, Dataset, Loss, Method, Paths, Phantom, Preprocess, Report, Train};

/// Smallest slice that leaves layer 4 of ResNet18 more than one pixel.
const MIN_SIZE: u32 = 64;
const MAX_SIZE: u32 = 2048;
/// Classes that the phantom can make.
const PHANTOM_CLASSES: usize = 3;

pub(super) fn checked(raw: Raw) -> Result<Config, ConfigError> {
    let checker = Checker(&raw);
    let methods = methods(&checker)?;
    let config = Config {
        study: checker.read("study")?,
        classes: checker.read("classes")?,
        paths: checker.read::<Paths>("paths")?,
        phantom: checker.read::<Phantom>("phantom")?,
        preprocess: checker.read::<Preprocess>("preprocess")?,
        dataset: checker.read::<Dataset>("dataset")?,
        methods,
        report: checker.read::<Report>("report")?,
        values: raw.values.clone(),
        is_reversed: false,
    };
    study(&checker, &config)?;
    phantom(&checker, &config)?;
    preprocess(&checker, &config.preprocess)?;
    dataset(&checker, &config)?;
    report(&checker, &config)?;
    Ok(config)
}

struct Checker<'a>(&'a Raw);

impl Checker<'_> {
    fn value(&self, key: &str) -> &Value {
        let pointer = format!("/{}", key.replace('.', "/"));
        self.0.values.pointer(&pointer).unwrap_or(&Value::Null)
    }

    fn error(&self, key: &str, message: String) -> ConfigError {
        ConfigError::Value { origin: self.0.origin(key), key: key.to_owned(), message }
    }

    /// Deserializes the value at `key`; an error names the key below it that is wrong.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, ConfigError> {
        if self.value(key).is_null() {
            return Err(self.error(key, "is required and has no default".to_owned()));
        }
        self.decode(key, self.value(key).clone())
    }

    fn decode<T: DeserializeOwned>(&self, key: &str, value: Value) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let inner = error.path().to_string();
            let path = if inner == "." { key.to_owned() } else { format!("{key}.{inner}") };
            self.error(&path, error.into_inner().to_string())
        })
    }

    fn require(&self, holds: bool, key: &str, expected: &str) -> Result<(), ConfigError> {
        if holds {
            return Ok(());
        }
        Err(self.error(key, format!("expected {expected}, got {}", self.value(key))))
    }

    fn within(&self, section: &str, key: &str, value: f64, low: f64, high: f64) -> Result<(), ConfigError> {
        let path = format!("{section}.{key}");
        let holds = value.is_finite() && value >= low && value <= high;
        let expected = match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("a number from {low} to {high}"),
            (true, false) => format!("a number of at least {low}"),
            _ => "a finite number".to_owned(),
        };
        if holds { Ok(()) } else { Err(self.error(&path, format!("expected {expected}, got {value}"))) }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

fn study(checker: &Checker, config: &Config) -> Result<(), ConfigError> {
    checker.require(is_name(&config.study), "study", "1 to 64 letters, digits, - or _")?;
    let mut names = config.classes.clone();
    names.sort();
    names.dedup();
    checker.require(
        config.classes.len() >= 2 && names.len() == config.classes.len(),
        "classes",
        "at least 2 different names",
    )
}

fn phantom(checker: &Checker, config: &Config) -> Result<(), ConfigError> {
    let phantom = &config.phantom;
    let known = !phantom.enabled || config.classes.len() <= PHANTOM_CLASSES;
    let classes = "2 or 3 names where phantom.enabled is true (it makes common pneumonia, COVID-19 and healthy lungs, in this order)";
    checker.require(known, "classes", classes)?;
    let own = config.preprocess.input.is_none() && config.preprocess.manifest.is_none();
    let reversible = !(phantom.enabled && phantom.reversed) || own;
    checker.require(reversible, "phantom.reversed", "false when preprocess.input or preprocess.manifest is set")?;
    checker.require(phantom.patients_per_class >= 1, "phantom.patients_per_class", "at least 1")?;
    checker.require(phantom.slices >= 1, "phantom.slices", "at least 1")?;
    checker.require((MIN_SIZE..=MAX_SIZE).contains(&phantom.size), "phantom.size", "64 to 2048 pixels")?;
    checker.within("phantom", "difficulty", phantom.difficulty, 0.0, 1.0)?;
    checker.within("phantom", "noise_hu", phantom.noise_hu, 0.0, 500.0)?;
    checker.require(!phantom.sites.is_empty(), "phantom.sites", "at least one site")?;
    for site in &phantom.sites {
        checker.require(is_name(&site.name), "phantom.sites", "site names of letters, digits, - or _")?;
        checker.require(site.weight > 0.0, "phantom.sites", "weights above 0")?;
        checker.require(site.correlation.abs() <= 1.0, "phantom.sites", "correlations from -1 to 1")?;
    }
    Ok(())
}

fn preprocess(checker: &Checker, preprocess: &Preprocess) -> Result<(), ConfigError> {
    checker.within("preprocess", "window_width_hu", preprocess.window_width_hu, 1.0, 10_000.0)?;
    checker.within("preprocess", "window_center_hu", preprocess.window_center_hu, -5_000.0, 5_000.0)?;
    let rising = preprocess.image_high_hu > preprocess.image_low_hu;
    checker.require(rising, "preprocess.image_high_hu", "more than preprocess.image_low_hu")?;
    checker.require((MIN_SIZE..=MAX_SIZE).contains(&preprocess.size), "preprocess.size", "64 to 2048 pixels")?;
    checker.require(preprocess.batch_size >= 1, "preprocess.batch_size", "at least 1")?;
    checker.within("preprocess", "min_lung_fraction", preprocess.min_lung_fraction, 0.0, 1.0)?;
    let both = preprocess.manifest.is_some() && preprocess.input.is_some();
    checker.require(!both, "preprocess.manifest", "null when preprocess.input is set: one of the two")
}

fn dataset(checker: &Checker, config: &Config) -> Result<(), ConfigError> {
    let dataset = &config.dataset;
    checker.require(dataset.folds >= 2, "dataset.folds", "at least 2")?;
    let both = dataset.splits.is_some() && dataset.split_column.is_some();
    checker.require(!both, "dataset.split_column", "null when dataset.splits is set: one of the two")?;
    let needs_manifest = dataset.split_column.is_some() && config.preprocess.manifest.is_none();
    checker.require(!needs_manifest, "dataset.split_column", "null, or a preprocess.manifest that has the column")
}

fn report(checker: &Checker, config: &Config) -> Result<(), ConfigError> {
    let report = &config.report;
    for (key, name) in [("conventional", &report.conventional), ("proposed", &report.proposed)] {
        let known: Vec<&str> = config.methods.iter().map(|method| method.name.as_str()).collect();
        let expected = format!("a name of train.methods ({})", known.join(", "));
        checker.require(config.method(name).is_some(), &format!("report.{key}"), &expected)?;
    }
    let in_classes = (report.positive as usize) < config.classes.len();
    checker.require(in_classes, "report.positive", "the label of a class")?;
    checker.within("report", "confidence", report.confidence, 0.5, 0.999)?;
    checker.require(report.bootstrap >= 100, "report.bootstrap", "at least 100")
}

fn methods(checker: &Checker) -> Result<Vec<Method>, ConfigError> {
    let Value::Object(entries) = checker.value("train.methods") else {
        return Err(checker.error("train.methods", "expected a map of method names".to_owned()));
    };
    checker.require(!entries.is_empty(), "train.methods", "at least one method")?;
    entries.iter().map(|(name, overrides)| method(checker, name, overrides)).collect()
}

fn method(checker: &Checker, name: &str, overrides: &Value) -> Result<Method, ConfigError> {
    let key = format!("train.methods.{name}");
    if !is_name(name) {
        return Err(checker.error(&key, "expected a name of 1 to 64 letters, digits, - or _".to_owned()));
    }
    let mut values = checker.value("train").clone();
    if let Value::Object(map) = &mut values {
        map.extend(overrides.as_object().cloned().unwrap_or_else(Map::new));
        map.shift_remove("methods");
        map.shift_remove("seeds");
    }
    let seeds = seeds(checker, if overrides.get("seeds").is_some() { &key } else { "train" })?;
    // An error in a value that the method overrides is the method's; else it is train's.
    let train: Train = checker.decode("train", values.clone())?;
    settings(checker, &train, overrides, &key)?;
    Ok(Method { name: name.to_owned(), seeds, train, values })
}

/// The seeds below `section`, ascending.
fn seeds(checker: &Checker, section: &str) -> Result<Vec<u64>, ConfigError> {
    let key = format!("{section}.seeds");
    let mut seeds: Vec<u64> = checker.read(&key)?;
    let count = seeds.len();
    seeds.sort_unstable();
    seeds.dedup();
    checker.require(count > 0 && seeds.len() == count, &key, "at least one seed, none twice")?;
    Ok(seeds)
}

fn settings(checker: &Checker, train: &Train, overrides: &Value, method: &str) -> Result<(), ConfigError> {
    let section = |key: &str| if overrides.get(key).is_some() { method } else { "train" };
    let range = |key: &str, value: f64, low: f64, high: f64| checker.within(section(key), key, value, low, high);
    range("gamma", train.gamma, 0.0, f64::INFINITY)?;
    range("alpha_early", train.alpha_early, 0.0, 1.0)?;
    range("alpha_late", train.alpha_late, 0.0, 1.0)?;
    range("index_base", train.index_base.into(), 0.0, 1.0)?;
    range("epochs", train.epochs.into(), 1.0, 100_000.0)?;
    range("batch_size", train.batch_size.into(), 1.0, 65_536.0)?;
    range("std", train.std, 1e-6, 1e6)?;
    range("lr", train.lr, 1e-12, 1e3)?;
    range("momentum", train.momentum, 0.0, 0.9999)?;
    range("beta1", train.beta1, 0.0, 0.9999)?;
    range("beta2", train.beta2, 0.0, 0.999_999)?;
    range("eps", train.eps, 1e-16, 1.0)?;
    range("weight_decay", train.weight_decay, 0.0, 10.0)?;
    range("flip", train.flip, 0.0, 1.0)?;
    range("rotate_deg", train.rotate_deg, 0.0, 180.0)?;
    range("scale", train.scale, 0.0, 0.9)?;
    range("shift", train.shift, 0.0, 0.9)?;
    range("brightness", train.brightness, 0.0, 1.0)?;
    range("contrast", train.contrast, 0.0, 1.0)?;
    range("checkpoint_epochs", train.checkpoint_epochs.into(), 1.0, 100_000.0)?;
    range("checkpoint_seconds", train.checkpoint_seconds, 0.0, 1e9)?;
    range("curve_slices", train.curve_slices.into(), 0.0, 1e9)?;
    let at = |key: &str, expected: &str, holds: bool| {
        let path = format!("{}.{key}", section(key));
        if holds { Ok(()) } else { Err(checker.error(&path, format!("expected {expected}"))) }
    };
    at("channels", "1 or 3", train.channels == 1 || train.channels == 3)?;
    let unsupervised = matches!(train.loss, Loss::Abn | Loss::Resnet18);
    at("normalize_weights", "false for a loss without map supervision", !(train.normalize_weights && unsupervised))?;
    let device = train.device == "cpu" || train.device == "cuda" || train.device.starts_with("cuda:");
    at("device", "cpu, cuda or cuda:N", device)
}
