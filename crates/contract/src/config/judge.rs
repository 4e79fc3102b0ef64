//! Values against the schema: the part of JSON Schema that `schema` uses, in words that say expected and got.

use serde_json::{Map, Value};

use super::places::join;
use super::schema::{self, DEVICE, NAME};

/// A value or a key that the schema does not allow.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Dotted path.
    pub path: String,
    /// Whether the key is to blame rather than its value.
    pub is_key: bool,
    /// What is wrong, with the key.
    pub message: String,
}

/// What `value` at `path` has against it.
pub(super) fn judge(node: &Value, value: &Value, path: &str, out: &mut Vec<Verdict>) {
    if !fits(node, value) {
        let message = format!("{path}: expected {}, got {}", expected(node), got(node, value));
        out.push(Verdict { path: path.to_owned(), is_key: false, message });
        return;
    }
    match value {
        Value::Object(map) => judge_map(node, map, path, out),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                judge(&node["items"], item, &join(path, &index.to_string()), out);
            }
        }
        _ => {}
    }
}

fn judge_map(node: &Value, map: &Map<String, Value>, path: &str, out: &mut Vec<Verdict>) {
    for (key, value) in map {
        let path = join(path, key);
        let named = node.get("propertyNames").and_then(|names| names["pattern"].as_str());
        match schema::below(node, key) {
            None => out.push(Verdict { message: unknown(node, &path, key), path, is_key: true }),
            Some(_) if named.is_some_and(|pattern| !matches(pattern, key)) => {
                let message = format!("{path}: expected {}, got \"{key}\"", words(named.unwrap_or_default()));
                out.push(Verdict { path, is_key: true, message });
            }
            Some(below) => judge(below, value, &path, out),
        }
    }
    for key in node["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(key) {
            let message = format!("{} is missing", join(path, key));
            out.push(Verdict { path: path.to_owned(), is_key: false, message });
        }
    }
}

/// Whether the value itself fits, whatever is in it.
fn fits(node: &Value, value: &Value) -> bool {
    if let Some(choices) = choices(node) {
        return choices.contains(&value) || value.is_null() && nullable(node);
    }
    let number = |key: &str| node[key].as_f64();
    let enough = |key: &str, count: usize| node[key].as_u64().is_none_or(|least| count as u64 >= least);
    match value {
        Value::Null => nullable(node),
        Value::Bool(_) => schema::is(node, "boolean"),
        Value::Number(found) => {
            let whole = found.is_u64() || found.is_i64();
            let found = found.as_f64().unwrap_or(f64::NAN);
            (schema::is(node, "number") || whole && schema::is(node, "integer"))
                && number("minimum").is_none_or(|least| found >= least)
                && number("maximum").is_none_or(|most| found <= most)
                && number("exclusiveMinimum").is_none_or(|above| found > above)
        }
        Value::String(text) => {
            schema::is(node, "string") && node["pattern"].as_str().is_none_or(|pattern| matches(pattern, text))
        }
        Value::Array(items) => {
            let twice = || items.iter().enumerate().any(|(at, item)| items[..at].contains(item));
            schema::is(node, "array") && enough("minItems", items.len()) && !(node["uniqueItems"] == true && twice())
        }
        Value::Object(map) => schema::is(node, "object") && enough("minProperties", map.len()),
    }
}

fn nullable(node: &Value) -> bool {
    schema::is(node, "null") || alternatives(node).any(|one| schema::is(one, "null"))
}

fn alternatives(node: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().filter_map(|key| node[key].as_array()).flatten()
}

/// The values to choose from, where there is a choice.
fn choices(node: &Value) -> Option<Vec<&Value>> {
    let mut found: Vec<&Value> = node["enum"].as_array().into_iter().flatten().collect();
    found.extend(node.get("const"));
    found.extend(alternatives(node).filter_map(choices).flatten());
    (!found.is_empty()).then_some(found)
}

/// A value as it is written in YAML.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The patterns of the schema by hand, each with what it means: one is no reason for regular expressions.
fn matches(pattern: &str, text: &str) -> bool {
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    match pattern {
        NAME => {
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        }
        DEVICE => matches!(text, "cpu" | "cuda") || text.strip_prefix("cuda:").is_some_and(numbered),
        _ => true,
    }
}

fn words(pattern: &str) -> &str {
    match pattern {
        NAME => "1 to 64 letters, digits, - or _",
        DEVICE => "cpu, cuda or cuda:N",
        other => other,
    }
}

/// What the schema allows, in words.
fn expected(node: &Value) -> String {
    let text = match choices(node) {
        Some(choices) => format!("one of {}", choices.into_iter().map(plain).collect::<Vec<_>>().join(", ")),
        None if schema::is(node, "integer") => format!("a whole number{}", range(node)),
        None if schema::is(node, "number") => format!("a number{}", range(node)),
        None if schema::is(node, "boolean") => "true or false".to_owned(),
        None if schema::is(node, "array") => list(node),
        None if schema::is(node, "object") && node["minProperties"].is_u64() => {
            "a map with at least one key".to_owned()
        }
        None if schema::is(node, "object") => "a map of keys".to_owned(),
        None if node["pattern"].is_string() => words(node["pattern"].as_str().unwrap_or_default()).to_owned(),
        None if node["format"] == schema::PATH => "a path".to_owned(),
        None => "a text".to_owned(),
    };
    if nullable(node) { format!("{text} or null") } else { text }
}

fn range(node: &Value) -> String {
    // 1.0 is a bound of numbers as 1 is one.
    let bound = |key: &str| match node[key].as_f64()? {
        tiny if tiny.abs() < 1e-3 && tiny != 0.0 => Some(format!("{tiny:e}")),
        bound => Some(bound.to_string()),
    };
    match (bound("minimum"), bound("maximum"), bound("exclusiveMinimum")) {
        (Some(low), Some(high), _) => format!(" from {low} to {high}"),
        (Some(low), ..) => format!(" of at least {low}"),
        (.., Some(low)) => format!(" above {low}"),
        _ => String::new(),
    }
}

fn list(node: &Value) -> String {
    let least = node["minItems"].as_u64().map_or_else(String::new, |least| format!(" of at least {least}"));
    let different = if node["uniqueItems"] == true { ", none twice" } else { "" };
    format!("a list{least}{different}")
}

/// The value, and a hint where YAML took a word for something else or a choice is nearly right.
fn got(node: &Value, value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) if schema::is(node, "string") && choices(node).is_none() => {
            format!("{value}; put a name in quotes")
        }
        Value::String(text) => match nearest(text, choices(node).into_iter().flatten().filter_map(Value::as_str)) {
            Some(near) => format!("\"{text}\": did you mean {near}?"),
            None => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// An unknown key, with the nearest known one: one of the same name elsewhere, or the one beside it that is most like it.
fn unknown(node: &Value, path: &str, key: &str) -> String {
    let parent = path.strip_suffix(key).unwrap_or_default();
    let same = schema::known().into_iter().find(|known| known.rsplit('.').next() == Some(key));
    let beside = || nearest(key, schema::names(node).into_iter()).map(|name| format!("{parent}{name}"));
    let hint = match same.or_else(beside) {
        Some(near) => format!("did you mean {near}?"),
        None => "every key is described in pipelines/defaults.yaml".to_owned(),
    };
    format!("unknown key {path}: {hint}")
}

/// The candidate with the fewest letters to change, if at most half of them are.
fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(candidate, text);
    candidates.min_by_key(|candidate| distance(candidate)).filter(|near| distance(near) <= text.len().max(4) / 2)
}
