//! A metrics.json as numbers with their places.

use std::path::{Path, PathBuf};

use contract::layout::METRICS;
use serde_json::{Map, Value};

use crate::error::Error;

/// A number's place: whose it is, of what, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A method, or "b - a" of a comparison.
    pub of: String,
    /// The keys that lead to it, such as `slice` or `reversed, fall_slice`; `comparison, slice` for a comparison.
    pub level: String,
    /// Key of the metric or measure; a class's name in `auc_by_class`.
    pub metric: String,
    /// Whether it is a paired difference between two methods.
    pub is_comparison: bool,
}

/// A number with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// The value, or why it is undefined.
    pub value: Result<f64, String>,
    /// The interval, if there is one.
    pub ends: Option<(f64, f64)>,
}

/// What a report says of its study.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Name.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Label of the positive class.
    pub positive: u64,
    /// Level of the intervals.
    pub confidence: f64,
    /// Number of patients by class, in the file's order.
    pub patients: Vec<(String, u64)>,
    /// Names of the methods.
    pub methods: Vec<String>,
}

/// One report.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its metrics.json.
    pub path: PathBuf,
    /// The study.
    pub study: Study,
    /// Top-level keys beside results, such as `bootstrap` and `folds`.
    pub conditions: Map<String, Value>,
    /// Numbers in the file's order.
    pub numbers: Vec<(Place, Number)>,
    /// The whole file.
    pub value: Value,
}

/// Top-level keys that hold results or say what the file is.
const RESULTS: [&str; 3] = ["$schema", "methods", "comparisons"];
/// Keys of a method that hold parts of what its other keys hold.
const PARTS: [&str; 2] = ["per_fold", "per_seed"];

/// The metrics.json at `path`, or in it.
///
/// # Errors
/// The file cannot be read, or is no metrics.json.
pub fn read(path: &Path) -> Result<Side, Error> {
    let path = if path.is_dir() { path.join(METRICS) } else { path.to_owned() };
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Open {
        path: path.clone(),
        source,
        advice: "name the folder of a report, or its metrics.json",
    })?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| wrong(&path, "the file", "JSON", &error.to_string()))?;
    side(path, value)
}

fn wrong(path: &Path, key: &str, expected: &'static str, got: &str) -> Error {
    Error::Metrics { path: path.to_owned(), key: key.to_owned(), expected, got: got.to_owned() }
}

/// What an error shows of a value.
fn shown(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |value| {
        let text = value.to_string();
        if text.chars().count() > 60 { format!("{}...", text.chars().take(60).collect::<String>()) } else { text }
    })
}

/// The value of a key if `take` likes it.
fn get<'a, T>(
    path: &Path,
    value: &'a Value,
    key: &str,
    expected: &'static str,
    take: impl Fn(&'a Value) -> Option<T>,
) -> Result<T, Error> {
    let found = value.get(key);
    found.and_then(take).ok_or_else(|| wrong(path, key, expected, &shown(found)))
}

fn side(path: PathBuf, value: Value) -> Result<Side, Error> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let patients = get(&path, &value, "patients", "numbers of patients by class", Value::as_object)?;
    let patients = patients.iter().map(|(class, count)| {
        let wrong = || wrong(&path, &format!("patients.{class}"), "a number of patients", &shown(Some(count)));
        count.as_u64().map(|count| (class.clone(), count)).ok_or_else(wrong)
    });
    let methods = get(&path, &value, "methods", "results by method", Value::as_object)?;
    let study = Study {
        name: get(&path, &value, "study", "the study's name", text)?,
        classes: get(&path, &value, "classes", "a list of class names", |value| {
            value.as_array()?.iter().map(text).collect()
        })?,
        positive: get(&path, &value, "positive", "the label of the positive class", Value::as_u64)?,
        confidence: get(&path, &value, "confidence", "a level between 0 and 1", |value| {
            value.as_f64().filter(|level| *level > 0.0 && *level < 1.0)
        })?,
        patients: patients.collect::<Result<_, _>>()?,
        methods: methods.keys().cloned().collect(),
    };
    let mut numbers = Vec::new();
    for (name, method) in methods {
        let method = method
            .as_object()
            .ok_or_else(|| wrong(&path, &format!("methods.{name}"), "the results of a method", &shown(Some(method))))?;
        for (level, results) in method.iter().filter(|(key, _)| !PARTS.contains(&key.as_str())) {
            collect(&path, name, level, results, &mut numbers)?;
        }
    }
    let comparisons = get(&path, &value, "comparisons", "a list of differences", Value::as_array)?;
    for (place, entry) in comparisons.iter().enumerate() {
        numbers.push(comparison(&path, place, entry)?);
    }
    let top = value.as_object().into_iter().flatten().filter(|(key, _)| !RESULTS.contains(&key.as_str()));
    let conditions = top.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Side { path, study, conditions, numbers, value })
}

/// Every estimate below `results`: an object with a `value`.
fn collect(path: &Path, of: &str, level: &str, results: &Value, out: &mut Vec<(Place, Number)>) -> Result<(), Error> {
    let Some(results) = results.as_object() else { return Ok(()) };
    for (key, inner) in results {
        if inner.get("value").is_none() {
            collect(path, of, &format!("{level}, {key}"), inner, out)?;
            continue;
        }
        let number = number(path, &format!("methods.{of}.{level}.{key}"), inner, "value")?;
        let place = Place { of: of.to_owned(), level: level.to_owned(), metric: key.clone(), is_comparison: false };
        out.push((place, number));
    }
    Ok(())
}

fn comparison(path: &Path, place: usize, entry: &Value) -> Result<(Place, Number), Error> {
    let key = format!("comparisons[{place}]");
    let text = |name: &str| {
        let found = entry.get(name);
        let wrong = || wrong(path, &format!("{key}.{name}"), "a name", &shown(found));
        found.and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong)
    };
    let place = Place {
        of: format!("{} - {}", text("b")?, text("a")?),
        level: format!("comparison, {}", text("level")?),
        metric: text("metric")?,
        is_comparison: true,
    };
    Ok((place, number(path, &key, entry, "difference")?))
}

fn number(path: &Path, key: &str, entry: &Value, name: &str) -> Result<Number, Error> {
    let reason = || entry.get("undefined").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
    let value = match entry.get(name) {
        Some(Value::Null) => Err(reason()),
        Some(Value::Number(number)) => number.as_f64().ok_or_else(reason),
        found => return Err(wrong(path, &format!("{key}.{name}"), "a number or null", &shown(found))),
    };
    let end = |name: &str| entry.get(name).and_then(Value::as_f64);
    Ok(Number { value, ends: end("low").zip(end("high")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        let good = json!({"study": "s", "classes": ["a", "b"], "positive": 1, "confidence": 0.95,
            "patients": {"a": 1, "b": 2}, "comparisons": [], "bootstrap": 10,
            "methods": {"m": {"slice": {"auc": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 3}},
                              "reversed": {"slice": {"auc": {"value": null, "undefined": "why"}}},
                              "per_fold": [{"slice": {"auc": {"value": 1.0}}}], "seeds": [0], "confusion": [[1, 0], [0, 1]]}}});
        let side_of = |value: Value| side("f.json".into(), value);
        let found = side_of(good.clone()).unwrap();
        let levels: Vec<&str> = found.numbers.iter().map(|(place, _)| place.level.as_str()).collect();
        assert_eq!(levels, ["slice", "reversed, slice"]);
        assert_eq!(found.numbers[0].1, Number { value: Ok(0.5), ends: Some((0.25, 0.75)) });
        assert_eq!(found.numbers[1].1, Number { value: Err("why".into()), ends: None });
        assert!(found.conditions.contains_key("bootstrap") && !found.conditions.contains_key("methods"));
        for (pointer, value, word) in [
            ("/study", json!(3), "study: expected the study's name, got 3"),
            ("/confidence", json!(95), "confidence: expected a level between 0 and 1, got 95"),
            (
                "/methods/m/slice/auc/value",
                json!("0.5"),
                "methods.m.slice.auc.value: expected a number or null, got \"0.5\"",
            ),
            ("/comparisons", json!([{"a": "x"}]), "comparisons[0].b: expected a name, got nothing"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            let error = side_of(bad).unwrap_err().to_string();
            assert!(error.contains("f.json") && error.contains(word), "{error}");
        }
    }
}
