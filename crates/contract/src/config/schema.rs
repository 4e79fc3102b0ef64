//! The JSON Schema of a study's YAML, draft 2020-12, which is also what a study is checked against.
//!
//! Types, ranges and choices come from the structs of [`super`]; meaning, unit, source and default from `pipelines/defaults.yaml`. Nothing is
//! said twice. What one key asks of another is in `check`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::load::{DEFAULTS, EXTENDS};
use super::places::join;
use super::{Dataset, Instructions, Paths, Phantom, Preprocess, Report, Train};

/// File of the schema beside the shipped studies.
pub const FILE: &str = "study.schema.json";
/// Marks a key whose value is a path, in which variables of the environment are replaced.
pub(super) const PATH: &str = "path";
/// What a name is: a study's, a method's, a site's. It becomes part of paths.
pub(super) const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";
/// Where a training run computes.
pub(super) const DEVICE: &str = "^(cpu|cuda|cuda:[0-9]+)$";

/// A path.
pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": PATH })
}

/// A path or null.
pub(super) fn optional_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": PATH })
}

/// The schema.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(build)
}

/// Makes 1 into 1.0 wherever the schema has a number and not a whole one: one value, one spelling in receipts.
pub fn as_floats(node: &Value, value: &mut Value) {
    match value {
        Value::Number(found) if is(node, "number") && !is(node, "integer") && !found.is_f64() => {
            *value = found.as_f64().map_or(Value::Null, Value::from);
        }
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(below) = below(node, key) {
                    as_floats(below, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| as_floats(&node["items"], item)),
        _ => {}
    }
}

/// The default of a key by its dotted path; null where there is none.
pub fn default(key: &str) -> &'static Value {
    let node = key.split('.').fold(schema(), |node, part| &node["properties"][part]);
    &node["default"]
}

/// The schema as `pipelines/study.schema.json` holds it.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

fn build() -> Value {
    let train = train();
    let mut study = json!({
        "type": "object",
        "properties": {
            EXTENDS: { "type": ["string", "null"] },
            "study": { "type": "string", "pattern": NAME },
            "classes": { "type": "array", "items": { "type": "string" }, "minItems": 2, "uniqueItems": true },
            "instructions": of::<Instructions>(),
            "paths": of::<Paths>(),
            "phantom": of::<Phantom>(),
            "preprocess": of::<Preprocess>(),
            "dataset": of::<Dataset>(),
            "train": train,
            "report": of::<Report>(),
        },
        "additionalProperties": false,
    });
    let sections: Vec<String> =
        keys(&study).filter(|(_, node)| is(node, "object")).map(|(key, _)| key.clone()).collect();
    for section in sections {
        // `train:` with nothing below it is no mistake.
        study["properties"][&section]["type"] = json!(["object", "null"]);
    }
    let defaults: Value = serde_yaml::from_str(DEFAULTS).unwrap_or_default();
    annotate(&mut study, &defaults, &comments(DEFAULTS), "");
    let methods = &mut study["properties"]["train"]["properties"]["methods"]["additionalProperties"];
    annotate_method(methods, &comments(DEFAULTS));
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of Chumoku",
        "description": "What a study's YAML may say. Made by `chumoku schema`.",
        "anyOf": [{ "required": ["study"] }, { "required": [EXTENDS] }],
    });
    if let (Value::Object(root), Value::Object(study)) = (&mut root, study) {
        root.extend(study);
    }
    root
}

/// The keys of a method, and with them those of all methods together.
fn train() -> Value {
    let seeds =
        json!({ "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 1, "uniqueItems": true });
    let mut method = of::<Train>();
    method["properties"]["seeds"] = seeds;
    let mut train = method.clone();
    method["type"] = json!(["object", "null"]);
    train["properties"]["methods"] = json!({
        "type": "object", "minProperties": 1, "propertyNames": { "pattern": NAME }, "additionalProperties": method,
    });
    train
}

/// The schema of a struct, without what only Rust cares for.
fn of<T: JsonSchema>() -> Value {
    let mut generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut value = generator.root_schema_for::<T>().to_value();
    tidy(&mut value);
    value
}

fn tidy(node: &mut Value) {
    match node {
        Value::Object(map) => {
            if map.get("format").is_some_and(|format| format != PATH) {
                map.shift_remove("format");
            }
            // No key of a section is required of a study, for there are defaults; of an item of a list all are.
            for key in ["$schema", "title"] {
                map.shift_remove(key);
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn keys(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node["properties"].as_object().into_iter().flatten()
}

/// Whether values of a type are allowed.
pub(super) fn is(node: &Value, kind: &str) -> bool {
    match &node["type"] {
        Value::Array(kinds) => kinds.iter().any(|known| known == kind),
        known => known == kind,
    }
}

/// Lays descriptions and defaults of `pipelines/defaults.yaml` over the sections and their keys.
fn annotate(node: &mut Value, defaults: &Value, comments: &BTreeMap<String, String>, path: &str) {
    let Value::Object(map) = node else { return };
    map.shift_remove("required");
    if let Some(comment) = comments.get(path) {
        map.insert("description".to_owned(), comment.clone().into());
    }
    if !path.is_empty() && !map.contains_key("properties") && !defaults.is_null() {
        map.insert("default".to_owned(), defaults.clone());
    }
    let Some(Value::Object(properties)) = map.get_mut("properties") else { return };
    for (key, below) in properties {
        annotate(below, &defaults[key.as_str()], comments, &join(path, key));
    }
}

/// A method's keys mean what those of `train` mean, and have what is said there as default.
fn annotate_method(method: &mut Value, comments: &BTreeMap<String, String>) {
    let Value::Object(map) = method else { return };
    map.shift_remove("required");
    map.insert("description".to_owned(), "what this method has otherwise than train says".into());
    let Some(Value::Object(properties)) = map.get_mut("properties") else { return };
    for (key, below) in properties {
        if let Some(comment) = comments.get(&join("train", key)) {
            below["description"] = comment.clone().into();
        }
    }
}

/// The comments of `pipelines/defaults.yaml` by dotted key: the line's own, what goes on below it, and what stands above the key.
fn comments(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut above, mut open, mut last): (Vec<String>, Vec<(usize, String)>, _) =
        (Vec::new(), Vec::new(), String::new());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let (code, comment) = match line.split_once("# ") {
            Some((code, comment)) => (code.trim(), comment.trim_matches(['-', ' '])),
            None => (line.trim(), ""),
        };
        match code.split_once(':') {
            None if comment.is_empty() || code.starts_with('-') => above.clear(),
            None if indent > MARGIN => add(&mut found, &last, comment),
            None => above.push(comment.to_owned()),
            Some((key, _)) => {
                open.retain(|(outer, _)| *outer < indent);
                let path = join(open.last().map_or("", |(_, path)| path), key);
                above.drain(..).for_each(|words| add(&mut found, &path, &words));
                add(&mut found, &path, comment);
                open.push((indent, path.clone()));
                last = path;
            }
        }
    }
    found
}

/// A comment that starts further right goes on with the one above it.
const MARGIN: usize = 8;

fn add(found: &mut BTreeMap<String, String>, path: &str, words: &str) {
    let text = found.entry(path.to_owned()).or_default();
    if !text.is_empty() && !words.is_empty() {
        text.push(' ');
    }
    text.push_str(words);
    if text.is_empty() {
        found.remove(path);
    }
}

/// The dotted path of every key that a study may give, those of a method aside.
pub(super) fn known() -> Vec<String> {
    fn visit(node: &Value, path: &str, out: &mut Vec<String>) {
        for (key, below) in keys(node) {
            let path = join(path, key);
            visit(below, &path, out);
            out.push(path);
        }
    }
    let mut out = Vec::new();
    visit(schema(), "", &mut out);
    out
}

/// The schema of what is below `key` in a map: its own, or that of keys the study names.
pub(super) fn below<'a>(node: &'a Value, key: &str) -> Option<&'a Value> {
    let named = || node.get("additionalProperties").filter(|below| below.is_object());
    node["properties"].get(key).or_else(named)
}

/// Calls `change` with each path-valued text below `value` and its dotted key.
pub(super) fn each_path(node: &Value, value: &mut Value, path: &str, change: &mut impl FnMut(&str, &mut String)) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| {
            if let Some(below) = below(node, key) {
                each_path(below, value, &join(path, key), change);
            }
        }),
        Value::String(text) if node["format"] == PATH => change(path, text),
        _ => {}
    }
}

/// The keys of a map, for messages.
pub(super) fn names(node: &Value) -> Vec<&str> {
    node["properties"]
        .as_object()
        .map_or_else(Vec::new, |map: &Map<String, Value>| map.keys().map(String::as_str).collect())
}
