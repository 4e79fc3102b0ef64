//! Takes out of words what says whose machine made them: paths outside the study, the user's name, the machine's.

use std::path::{Path, PathBuf};

use contract::config::Config;
use contract::layout::Layout;
use serde_json::Value;

/// What stands in the place of a path.
const PATH: &str = "[path]";
/// What stands in the place of a name.
const NAME: &str = "[name]";
/// Keys of settings that hold a path.
const PATH_KEYS: [&str; 9] = ["data", "reports", "input", "labels", "manifest", "lesions", "model", "init", "splits"];

/// Knows the study's folders and the names that are not to be told.
#[derive(Debug, Clone)]
pub struct Scrubber {
    /// Folders as they are written, and what to write for them; longest first.
    folders: Vec<(String, String)>,
    /// The user's and the machine's name.
    names: Vec<String>,
}

impl Scrubber {
    /// For a study, on this machine.
    pub fn new(config: &Config, layout: &Layout) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let outside = [&config.preprocess.input, &config.preprocess.labels, &config.preprocess.manifest];
        let outside = outside
            .into_iter()
            .flatten()
            .chain(config.preprocess.manifest.as_deref().and_then(Path::parent).map(Path::to_owned).as_ref())
            .cloned()
            .collect::<Vec<PathBuf>>();
        let environment = |name: &str| std::env::var(name).ok().filter(|value| value.len() > 1);
        let home = environment("HOME").map(PathBuf::from);
        let current = std::env::current_dir().ok();
        let hidden = outside.iter().chain(&home).map(|path| (text(path), PATH.to_owned()));
        let study = [(&layout.data, "data"), (&layout.reports, "report")];
        let study = study.into_iter().flat_map(|(path, name)| {
            let whole = current.as_ref().map(|current| current.join(path));
            whole
                .into_iter()
                .chain([path.clone()])
                .map(move |path| (path.to_string_lossy().into_owned(), name.to_owned()))
        });
        let mut folders: Vec<(String, String)> = study.chain(hidden).filter(|(path, _)| path.len() > 1).collect();
        folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        let user = home.and_then(|home| home.file_name().map(|name| name.to_string_lossy().into_owned()));
        let names = [environment("USER"), environment("LOGNAME"), user, host].into_iter().flatten();
        // These say nothing of anybody.
        let names = names.filter(|name| !["root", "localhost", "home"].contains(&name.as_str()) && name.len() > 1);
        Self { folders, names: names.collect() }
    }

    /// `text` without paths outside the study and without names.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, instead) in &self.folders {
            text = replace_words(&text, path, instead);
        }
        text = without_paths(&text);
        for name in &self.names {
            text = replace_words(&text, name, NAME);
        }
        text
    }

    /// `values` with the same done to every text, and nothing told of keys that hold a path.
    pub fn values(&self, values: &Value) -> Value {
        match values {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(list) => list.iter().map(|value| self.values(value)).collect(),
            Value::Object(map) => {
                let one = |(key, value): (&String, &Value)| {
                    let hidden = value.is_string() && PATH_KEYS.contains(&key.as_str());
                    (key.clone(), if hidden { Value::String(PATH.to_owned()) } else { self.values(value) })
                };
                map.iter().map(one).collect()
            }
            other => other.clone(),
        }
    }

    /// Whether `bytes`, which have to stay as they are, name a folder or a person that is not to be told.
    pub fn tells(&self, bytes: &[u8]) -> bool {
        let contains = |what: &str| bytes.windows(what.len()).any(|window| window == what.as_bytes());
        // A name alone may be a word; as part of a path it is a name.
        let home = |name: &String| contains(&format!("/{name}/"));
        self.folders.iter().any(|(path, _)| path.starts_with('/') && contains(path)) || self.names.iter().any(home)
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '-'
}

/// Replaces `what` where it is a whole word, or begins a path.
fn replace_words(text: &str, what: &str, instead: &str) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(what) {
        let (before, after) = (&rest[..at], &rest[at + what.len()..]);
        let apart = |edge: Option<char>| edge.is_none_or(|edge| !is_word(edge));
        // A relative path inside a longer one is another path.
        let inside = before.ends_with('/') && !what.starts_with('/') && what.contains('/');
        let whole = apart(before.chars().next_back()) && apart(after.chars().next()) && !inside;
        done.push_str(before);
        done.push_str(if whole { instead } else { what });
        rest = after;
    }
    done + rest
}

/// Replaces paths that are absolute, begin at home, or leave the folder. Of a program of ours the name stays.
fn without_paths(text: &str) -> String {
    let ends = |character: char| character.is_whitespace() || "\"'`,;()[]{}<>|".contains(character);
    let mut done = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let free = done.chars().next_back().is_none_or(|before| !is_word(before) && !"/.]".contains(before));
        let starts = rest.starts_with("../") || rest.starts_with("~/") || is_absolute(rest);
        if !(free && starts) {
            done.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        }
        let length = rest.find(ends).unwrap_or(rest.len());
        let (path, after) = rest.split_at(length);
        let name = path.rsplit('/').next().unwrap_or_default();
        done.push_str(if name.starts_with("chumoku") { name } else { PATH });
        rest = after;
    }
    done
}

/// A slash and the first letter of a name, not a second slash or a lone one.
fn is_absolute(text: &str) -> bool {
    text.strip_prefix('/').and_then(|rest| rest.chars().next()).is_some_and(|next| is_word(next) || next == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber() -> Scrubber {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Scrubber {
            folders: vec![pair("/home/alice/lungs/data/s", "data"), pair("/home/alice", PATH), pair("data/s", "data")],
            names: vec!["alice".to_owned(), "ward7".to_owned()],
        }
    }

    #[test]
    fn paths_and_names_go_and_the_studys_own_stay() {
        for (text, expected) in [
            ("$ /opt/bin/chumoku-train --config pipelines/s.yaml", "$ chumoku-train --config pipelines/s.yaml"),
            ("no output in data/s/2_folds yet", "no output in data/2_folds yet"),
            ("in /home/alice/lungs/data/s/2_folds;", "in data/2_folds;"),
            ("--set preprocess.input=/mnt/pacs/Doe", "--set preprocess.input=[path]"),
            ("from ../../alice/ct and ~/ct", "from [path] and [path]"),
            ("alice on ward7, not malice", "[name] on [name], not malice"),
            ("train/proposed/fold-0: 3/4 (75 %) 1.0/s", "train/proposed/fold-0: 3/4 (75 %) 1.0/s"),
            ("/home/alice2/x", "[path]"),
            ("mydata/s/x", "mydata/s/x"),
        ] {
            assert_eq!(scrubber().text(text), expected, "{text}");
        }
    }

    #[test]
    fn settings_keep_everything_but_paths() {
        let values =
            serde_json::json!({ "train": { "init": "w.safetensors", "lr": 0.5, "methods": [{ "init": null }] } });
        let expected = serde_json::json!({ "train": { "init": PATH, "lr": 0.5, "methods": [{ "init": null }] } });
        assert_eq!(scrubber().values(&values), expected);
    }

    #[test]
    fn bytes_that_tell_are_seen() {
        assert!(scrubber().tells(b"PAR1 /home/alice/x") && scrubber().tells(b"/Users/alice/x"));
        assert!(!scrubber().tells(b"alice in wonderland, data/s"));
    }
}
