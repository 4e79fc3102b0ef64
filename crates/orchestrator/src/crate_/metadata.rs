//! The JSON-LD of a crate: files, programs, and an action a task.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use contract::config::Config;
use contract::layout::Layout;
use contract::plan::{Input, Part};
use contract::{hash, receipt};
use serde_json::{Value, json};

use super::{Done, Entry, METADATA, place};

const CONTEXT: &str = "https://w3id.org/ro/crate/1.1/context";
const CRATE: &str = "https://w3id.org/ro/crate/1.1";
const PROFILE: &str = "https://w3id.org/ro/wfrun/process/0.5";

/// The entity that stands for the whole crate.
pub const ROOT: &str = "./";
/// How its name begins.
pub const TITLE: &str = "Chumoku study ";

/// The entries by the file of the study that they are of.
type Sources<'a> = HashMap<&'a Path, &'a Entry>;

/// What a crate says of itself.
#[derive(Debug)]
pub struct About<'a> {
    /// The study.
    pub config: &'a Config,
    /// URL of its licence.
    pub license: Option<&'a str>,
    /// A word on the patient ids.
    pub patients: Option<&'a str>,
    /// The day of publication, ISO 8601.
    pub date: &'a str,
}

/// The whole document.
pub fn document(about: &About, done: &[Done], layout: &Layout, entries: &[Entry]) -> Value {
    let mut graph = vec![
        json!({ "@id": METADATA, "@type": "CreativeWork", "conformsTo": id(CRATE), "about": id(ROOT) }),
        root(about, done, entries),
        json!({ "@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5" }),
        licence(about.license),
    ];
    graph.extend(entries.iter().map(file));
    let programs: BTreeMap<String, Value> = done.iter().map(|one| (program_id(one), program(one))).collect();
    graph.extend(programs.into_values());
    let sources: Sources = entries.iter().filter_map(|entry| Some((entry.source.as_deref()?, entry))).collect();
    let outside: BTreeMap<String, Value> = done.iter().flat_map(|one| outside(one, layout, &sources)).collect();
    graph.extend(outside.into_values());
    graph.extend(done.iter().map(|one| action(one, layout, &sources)));
    json!({ "@context": CONTEXT, "@graph": graph })
}

fn id(text: &str) -> Value {
    json!({ "@id": text })
}

const NO_LICENCE: &str = "#licence";

fn licence(url: Option<&str>) -> Value {
    match url {
        Some(url) => {
            json!({ "@id": url, "@type": "CreativeWork", "name": url, "description": "licence of this crate" })
        }
        None => json!({
            "@id": NO_LICENCE, "@type": "CreativeWork", "name": "no licence chosen yet",
            "description": "the authors have not said under which terms this crate may be used; chumoku crate --license",
        }),
    }
}

fn root(about: &About, done: &[Done], entries: &[Entry]) -> Value {
    let config = about.config;
    let source = if config.phantom.enabled { "synthetic CT" } else { "CT of patients" };
    let left = entries.iter().filter(|entry| !entry.held).count();
    let patients = about.patients.map_or_else(String::new, |words| format!("; {words}"));
    let held = entries.iter().filter(|entry| entry.held);
    json!({
        "@id": ROOT,
        "@type": "Dataset",
        "name": format!("{TITLE}{}", config.study),
        "description": format!(
            "a study with Attention Branch Networks on {source} ({}): settings, folds, predictions, metrics and receipts; {left} files of the study \
             are left out, each with its reason in left-out.csv{patients}",
            config.classes.join(", ")
        ),
        "datePublished": about.date,
        "license": id(about.license.unwrap_or(NO_LICENCE)),
        "conformsTo": id(PROFILE),
        "hasPart": held.map(|entry| id(&encoded(&entry.name))).collect::<Vec<_>>(),
        "mentions": done.iter().map(|one| id(&action_id(one))).collect::<Vec<_>>(),
    })
}

/// A path as a URI.
pub fn encoded(name: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

/// How an entry is called in the document: a file by its path; what is left out by a fragment, since there is no such file.
fn entry_id(entry: &Entry) -> String {
    if entry.held { encoded(&entry.name) } else { format!("#{}", encoded(&entry.name)) }
}

fn file(entry: &Entry) -> Value {
    let mut value = json!({
        "@id": entry_id(entry),
        "@type": if entry.held { "File" } else { "CreativeWork" },
        "name": entry.name,
        "contentSize": entry.size.to_string(),
        "encodingFormat": format_of(&entry.name),
        "identifier": format!("blake3:{}", entry.hash),
    });
    let note = entry.note.as_ref().map(|note| if entry.held { note.clone() } else { format!("left out: {note}") });
    if let (Some(note), Value::Object(map)) = (note, &mut value) {
        map.insert("description".to_owned(), Value::String(note));
    }
    value
}

fn format_of(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "csv" => "text/csv",
        "json" => "application/json",
        "yaml" => "application/yaml",
        "md" => "text/markdown",
        "tex" => "text/x-tex",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "html" => "text/html",
        "log" | "txt" => "text/plain",
        "parquet" => "application/vnd.apache.parquet",
        _ => "application/octet-stream",
    }
}

fn program_id(done: &Done) -> String {
    format!("#{}-{}", done.task.stage.program(), receipt::short(&done.receipt.program))
}

fn program(done: &Done) -> Value {
    json!({
        "@id": program_id(done),
        "@type": "SoftwareApplication",
        "name": done.task.stage.program(),
        "softwareVersion": done.receipt.version,
        "identifier": format!("blake3:{}", done.receipt.program),
        "description": format!("stage {} of Chumoku", done.task.stage.name()),
    })
}

fn action_id(done: &Done) -> String {
    format!("#task/{}", encoded(&done.task.id))
}

/// The ids of the entries for which a task's receipt vouches, or of the one that is the task's whole output.
fn results(done: &Done, sources: &Sources) -> Vec<Value> {
    let output = &done.task.output;
    let files = done.receipt.outputs.keys().map(|file| output.join(file));
    let made = std::iter::once(output.clone()).chain(files);
    made.filter_map(|path| Some(id(&entry_id(sources.get(path.as_path())?)))).collect()
}

/// What an input is called that is no file of the crate: its own name, never its path; a folder that the study made is called as there.
fn outside_id(done: &Done, name: &str, path: &Path, layout: &Layout) -> String {
    match path.strip_prefix(&layout.data) {
        Ok(_) => format!("#{}", encoded(&place(path, layout))),
        Err(_) => format!("#input/{}/{}", encoded(&done.task.id), encoded(name)),
    }
}

/// What a task read.
fn inputs(done: &Done) -> impl Iterator<Item = &Input> {
    let was_there = |input: &&Input| done.receipt.inputs.get(&input.name).is_none_or(|hash| hash != hash::MISSING);
    done.task.inputs.iter().filter(was_there)
}

/// Whether an input is a file of the crate.
fn is_held(input: &Input, sources: &Sources) -> bool {
    input.part != Part::Listed && sources.contains_key(input.path.as_path())
}

fn outside(done: &Done, layout: &Layout, sources: &Sources) -> Vec<(String, Value)> {
    let inputs = inputs(done).filter(|input| !is_held(input, sources));
    let value = |Input { name, path, .. }: &Input| {
        let key = outside_id(done, name, path, layout);
        let hash = done.receipt.inputs.get(name).map_or_else(String::new, |hash| format!("blake3:{hash}"));
        let value = json!({
            "@id": key, "@type": "CreativeWork", "name": name, "identifier": hash,
            "description": format!("left out: input \"{name}\" of {}", done.task.id),
        });
        (key, value)
    };
    inputs.map(value).collect()
}

fn action(done: &Done, layout: &Layout, sources: &Sources) -> Value {
    let object = |input: &Input| {
        let Input { name, path, .. } = input;
        let entry = if is_held(input, sources) { sources.get(path.as_path()) } else { None };
        id(&entry.map_or_else(|| outside_id(done, name, path, layout), |entry| entry_id(entry)))
    };
    let version = std::iter::once(format!("version {}", done.receipt.version));
    let facts = done.receipt.environment.iter().map(|(key, value)| format!("{key} {value}"));
    let facts: Vec<String> = version.chain(facts).collect();
    json!({
        "@id": action_id(done),
        "@type": "CreateAction",
        "name": done.task.id,
        "description": format!("task {} of the study: {}", done.task.id, facts.join(", ")),
        "instrument": id(&program_id(done)),
        "object": inputs(done).map(object).collect::<Vec<_>>(),
        "result": results(done, sources),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    })
}
