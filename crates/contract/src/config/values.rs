//! Values as text, and text as values.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values as YAML, keys in order; what `config.yaml` holds.
pub fn to_yaml(values: &Value) -> String {
    serde_yaml::to_string(values).unwrap_or_else(|error| format!("# cannot be written as YAML: {error}\n"))
}

/// Flattens nested maps to dotted keys with JSON values, for showing what differs.
pub fn flatten(values: &Value) -> BTreeMap<String, String> {
    fn visit(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, inner) in map {
                    let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    visit(&path, inner, out);
                }
            }
            other => {
                out.insert(prefix.to_owned(), other.to_string());
            }
        }
    }
    let mut out = BTreeMap::new();
    visit("", values, &mut out);
    out
}

/// YAML as values; null where it cannot be parsed.
pub fn from_yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or(Value::Null)
}
