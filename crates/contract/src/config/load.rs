//! Raw values: three layers merged key by key, unknown keys refused, the origin of each value remembered.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::ConfigError;

/// The annotated defaults, which are also the list of known keys.
pub const DEFAULTS: &str = include_str!("../../../../pipelines/defaults.yaml");

/// Keys below these are chosen by the study: known are the keys of the section named second.
const NAMED_BY_STUDY: [(&str, &str); 1] = [("train.methods", "train")];
/// Keys of `train` that a method cannot override.
const NOT_IN_A_METHOD: [&str; 1] = ["methods"];

/// Merged values, and where each came from.
pub(super) struct Raw {
    pub values: Value,
    pub study_file: String,
    origins: BTreeMap<String, String>,
}

impl Raw {
    /// The file or flag that set `key`, or the one that set the nearest key above it.
    pub fn origin(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return origin.clone();
            }
            match key.rfind('.') {
                Some(dot) => key = &key[..dot],
                None => return self.study_file.clone(),
            }
        }
    }
}

pub(super) fn raw(path: &Path, overrides: &[String]) -> Result<Raw, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let study_file = path.display().to_string();
    let defaults = parse(DEFAULTS, "pipelines/defaults.yaml")?;
    let mut raw = Raw { values: defaults.clone(), study_file: study_file.clone(), origins: BTreeMap::new() };
    raw.layer(&defaults, parse(&text, &study_file)?, &study_file)?;
    for text in overrides {
        let origin = format!("--set {text}");
        raw.layer(&defaults, override_value(text, &origin)?, &origin)?;
    }
    Ok(raw)
}

fn parse(text: &str, origin: &str) -> Result<Value, ConfigError> {
    let value: Value = serde_yaml::from_str(text)
        .map_err(|error| ConfigError::Syntax { origin: origin.to_owned(), message: error.to_string() })?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        other => Err(ConfigError::Syntax {
            origin: origin.to_owned(),
            message: format!("expected a map of keys, got {other}"),
        }),
    }
}

/// `a.b=c` as nested maps; `c` is YAML.
fn override_value(text: &str, origin: &str) -> Result<Value, ConfigError> {
    let syntax = |message: String| ConfigError::Syntax { origin: origin.to_owned(), message };
    let (key, value) = text.split_once('=').ok_or_else(|| syntax("expected key=value".to_owned()))?;
    let value: Value = serde_yaml::from_str(value).map_err(|error| syntax(error.to_string()))?;
    Ok(key.split('.').rev().fold(value, |inner, part| {
        let mut map = Map::new();
        map.insert(part.trim().to_owned(), inner);
        Value::Object(map)
    }))
}

impl Raw {
    fn layer(&mut self, known: &Value, layer: Value, origin: &str) -> Result<(), ConfigError> {
        // A study that names methods means those and no others; --set changes one of them.
        if layer.pointer("/train/methods").is_some() && !origin.starts_with("--set") {
            self.values["train"]["methods"] = Value::Object(Map::new());
        }
        let mut target = std::mem::take(&mut self.values);
        let result = self.merge(&mut target, layer, known, known, "", origin);
        self.values = target;
        result
    }

    /// Merges `layer` into `target`. `known` is the default at this place, whose keys are the known ones.
    fn merge(
        &mut self,
        target: &mut Value,
        layer: Value,
        known: &Value,
        root: &Value,
        prefix: &str,
        origin: &str,
    ) -> Result<(), ConfigError> {
        let (Value::Object(keys), Value::Object(_)) = (&layer, known) else {
            self.origins.insert(prefix.to_owned(), origin.to_owned());
            *target = layer;
            return Ok(());
        };
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        let named = NAMED_BY_STUDY.iter().find(|(path, _)| *path == prefix).map(|(_, section)| &root[*section]);
        for (key, value) in keys {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            let below = match (named, known.get(key)) {
                (Some(section), _) => section,
                (None, Some(below)) => below,
                (None, None) => return Err(unknown(origin, path, key, known)),
            };
            if named.is_some() {
                refuse_common_keys(value, &path, origin)?;
            }
            let slot = &mut target[key.as_str()];
            self.merge(slot, value.clone(), below, root, &path, origin)?;
        }
        Ok(())
    }
}

fn refuse_common_keys(method: &Value, path: &str, origin: &str) -> Result<(), ConfigError> {
    match NOT_IN_A_METHOD.iter().find(|key| method.get(**key).is_some()) {
        None => Ok(()),
        Some(key) => Err(ConfigError::Value {
            origin: origin.to_owned(),
            key: format!("{path}.{key}"),
            message: format!("belongs to all methods; set train.{key} instead"),
        }),
    }
}

fn unknown(origin: &str, path: String, key: &str, known: &Value) -> ConfigError {
    let candidates = known.as_object().into_iter().flat_map(Map::keys);
    let nearest = candidates.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key));
    let near_enough = |candidate: &&String| strsim::damerau_levenshtein(candidate, key) <= key.len().max(4) / 2;
    let hint = nearest.filter(near_enough).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
    ConfigError::UnknownKey { origin: origin.to_owned(), key: path, hint }
}
