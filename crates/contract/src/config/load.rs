//! Raw values: layers merged key by key, the place of each value remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::fault::{ConfigError, Fault, Source};
use super::places::{Place, Places, join};

/// The annotated defaults. They name every key but those of a site.
pub const DEFAULTS: &str = include_str!("../../../../pipelines/defaults.yaml");
/// The key that names the file a study builds on. It is not among the resolved values.
pub(super) const EXTENDS: &str = "extends";

/// What set a value: a file and the places of key and value in it, or `--set`.
#[derive(Debug, Clone)]
struct Origin {
    name: String,
    places: Option<(Place, Place)>,
}

/// Merged values, where each came from, and what is wrong so far.
pub(super) struct Raw {
    pub values: Value,
    pub faults: Vec<Fault>,
    study_file: String,
    origins: BTreeMap<String, Origin>,
}

impl Raw {
    /// The place of the key `path`, or of the nearest key above it; without one the study's file.
    pub fn key_place(&self, path: &str) -> Source {
        self.place(path, |(key, _)| key)
    }

    /// The place of the value at `path`, likewise.
    pub fn value_place(&self, path: &str) -> Source {
        self.place(path, |(_, value)| value)
    }

    fn place(&self, path: &str, which: impl Fn((Place, Place)) -> Place) -> Source {
        let mut above = std::iter::successors(Some(path), |path| path.rfind('.').map(|dot| &path[..dot]));
        match above.find_map(|path| self.origins.get(path)) {
            None => self.study_file.as_str().into(),
            Some(Origin { name, places }) => Source { name: name.clone(), at: places.map(which) },
        }
    }
}

/// A file of the study, read.
struct File {
    name: String,
    values: Value,
    places: Places,
}

pub(super) fn raw(path: &Path, overrides: &[String]) -> Result<Raw, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let study_file = path.display().to_string();
    let mut values: Value = serde_yaml::from_str(DEFAULTS).unwrap_or_default();
    let mut faults = Vec::new();
    let files = chain(path, &text, &mut faults)?;
    let named = |file: &File| file.values.pointer("/train/methods").is_some_and(Value::is_object);
    if files.iter().any(named) {
        // A study that names methods means those and no others; what builds on it, and --set, change or add.
        values["train"]["methods"] = Value::Object(Map::new());
    }
    let mut raw = Raw { values, faults, study_file, origins: BTreeMap::new() };
    for file in files {
        merge(&mut raw.values, file.values, &mut |path| raw.origins.retain(|known, _| !is_below(known, path)), "");
        file.places.each("", &mut |path, key, value| {
            raw.origins.insert(path, Origin { name: file.name.clone(), places: Some((key, value)) });
        });
    }
    for text in overrides {
        raw.set(text)?;
    }
    if let Value::Object(map) = &mut raw.values {
        map.shift_remove(EXTENDS);
    }
    Ok(raw)
}

/// The study's file after those it builds on.
fn chain(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Result<Vec<File>, ConfigError> {
    let mut files = vec![read(path.display().to_string(), text, faults)?];
    let mut seen = vec![identity(path)];
    let mut at = path.to_owned();
    loop {
        let last = &files[files.len() - 1];
        let place = || {
            let mut found = Source::from(last.name.as_str());
            last.places.each("", &mut |path, _, value| found.at = if path == EXTENDS { Some(value) } else { found.at });
            found
        };
        let base = match last.values.get(EXTENDS) {
            None | Some(Value::Null) => break,
            Some(Value::String(base)) => at.parent().unwrap_or(Path::new("")).join(base),
            Some(other) => {
                let message = format!("{EXTENDS}: expected a YAML file, relative to this one, got {other}");
                return Err(ConfigError::one(place(), message));
            }
        };
        if seen.contains(&identity(&base)) {
            let message = format!("{EXTENDS}: {} builds on this file itself; take one {EXTENDS} out", base.display());
            return Err(ConfigError::one(place(), message));
        }
        let text = std::fs::read_to_string(&base).map_err(|error| {
            let message =
                format!("{EXTENDS}: cannot read {}: {error}; give a file relative to this one", base.display());
            ConfigError::one(place(), message)
        })?;
        seen.push(identity(&base));
        files.push(read(base.display().to_string(), &text, faults)?);
        at = base;
    }
    files.reverse();
    Ok(files)
}

/// One path for one file, whatever way it is named.
fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn read(name: String, text: &str, faults: &mut Vec<Fault>) -> Result<File, ConfigError> {
    let failed = |error: serde_yaml::Error| syntax(&name, &error);
    let places = Places::read(text).map_err(failed)?;
    let twice = places.duplicates(&name);
    if !twice.is_empty() {
        // The values of such a file are nobody's guess.
        faults.extend(twice);
        return Err(ConfigError::all(std::mem::take(faults)));
    }
    match serde_yaml::from_str(text).map_err(failed)? {
        values @ Value::Object(_) => Ok(File { name, values, places }),
        Value::Null => Ok(File { name, values: Value::Object(Map::new()), places }),
        other => Err(ConfigError::one(name.as_str(), format!("expected a map of keys, got {other}"))),
    }
}

/// The parser's words without the place, which stands before them.
fn syntax(name: &str, error: &serde_yaml::Error) -> ConfigError {
    let error = error.without_snippet();
    let at = error.location().map(Place::from);
    let tail = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let words = error.to_string().replace(&tail.unwrap_or_default(), "");
    let place = Source { name: name.to_owned(), at };
    ConfigError::one(place, format!("not valid YAML: {words}"))
}

impl Raw {
    /// Merges `a.b=c` as nested maps; `c` is YAML.
    fn set(&mut self, text: &str) -> Result<(), ConfigError> {
        let name = format!("--set {text}");
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::one(name.as_str(), "expected key=value, such as train.epochs=5"))?;
        let value: Value = serde_yaml::from_str(value).map_err(|error| {
            ConfigError::one(name.as_str(), format!("the value is not valid YAML: {}", error.without_snippet()))
        })?;
        let path = key.split('.').map(str::trim).collect::<Vec<_>>().join(".");
        if path == EXTENDS {
            return Err(ConfigError::one(name.as_str(), format!("{EXTENDS} belongs in the study's file")));
        }
        let layer = path.split('.').rev().fold(value, |inner, part| {
            let mut map = Map::new();
            map.insert(part.to_owned(), inner);
            Value::Object(map)
        });
        merge(&mut self.values, layer, &mut |path| self.origins.retain(|known, _| !is_below(known, path)), "");
        self.origins.retain(|known, _| !is_below(known, &path));
        self.origins.insert(path, Origin { name, places: None });
        Ok(())
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// Merges `layer` into `target`: maps by key, all else replaces and is told to `replaced`. A section with nothing in it changes nothing.
fn merge(target: &mut Value, layer: Value, replaced: &mut impl FnMut(&str), path: &str) {
    match (target, layer) {
        (Value::Object(_), Value::Null) => {}
        (target, Value::Object(keys)) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            for (key, value) in keys {
                let below = join(path, &key);
                merge(&mut target[key.as_str()], value, replaced, &below);
            }
        }
        (target, value) => {
            *target = value;
            replaced(path);
        }
    }
}
