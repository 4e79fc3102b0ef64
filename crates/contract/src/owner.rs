//! Which study's file the folders `data/<study>` and `reports/<study>` belong to, so that two studies of one name do not replace each other's
//! results.
//!
//! A study is its YAML file. Beside each folder's results a record, `.study.yaml`, names that file by its path from the record and the name that
//! the study had: a project that is moved as a whole keeps its studies, and so does a file that its owner edits. A second file of the same name
//! is refused. It is let in where nothing can be lost: where the first file has the same settings, where the folder was made under another name
//! and renamed since, or where the first file is gone, or called otherwise by now, and the second has the same CT.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::config::{Config, flatten, plain};
use crate::exit::{Coded, Exit};
use crate::hash;
use crate::layout::{Layout, OWNER};
use crate::plan::{self, Stage};
use crate::receipt;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Name of the study.
    study: String,
    /// Its file, from the folder of the record.
    file: PathBuf,
    /// Whether the name came from `--set`, and not from the file.
    named_by_set: bool,
}

/// The folders of a study hold the results of another: which, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Owned(String);

impl Coded for Owned {
    fn exit(&self) -> Exit {
        Exit::Config
    }
}

/// Whether the folders of the study `config` may be written for it. Changes nothing.
///
/// # Errors
/// They hold the results of another study.
pub fn check(config: &Config) -> Result<(), Owned> {
    places(config).iter().try_for_each(|place| place.check(config))
}

/// As [`check`]; then writes down that the folder of the data is this study's.
///
/// # Errors
/// The folders hold the results of another study. A record that cannot be written is none, since no result can be written there either.
pub fn claim(config: &Config) -> Result<(), Owned> {
    let [data, _] = places(config);
    check(config)?;
    data.claim(config);
    Ok(())
}

/// As [`claim`], and likewise of the report's folder: for who writes that.
///
/// # Errors
/// As [`claim`].
pub fn claim_report(config: &Config) -> Result<(), Owned> {
    let [_, report] = places(config);
    claim(config)?;
    report.claim(config);
    Ok(())
}

/// Begins a record.
const HEADER: &str =
    "# The study whose results these are. Without this file another study of the same name may replace them.\n";

/// A folder of results, and the record that says whose they are.
struct Place {
    folder: PathBuf,
    file: PathBuf,
}

/// The two folders. The report's is replaced as a whole, so its record lies beside it.
fn places(config: &Config) -> [Place; 2] {
    let Layout { data, reports, .. } = Layout::new(config);
    let beside = config.paths.reports.join(format!(".{}{OWNER}", config.study));
    [Place { file: data.join(OWNER), folder: data }, Place { file: beside, folder: reports }]
}

impl Place {
    fn record(&self) -> Option<Record> {
        serde_yaml::from_str(&std::fs::read_to_string(&self.file).ok()?).ok()
    }

    fn record_of(&self, config: &Config) -> Record {
        let named_by_set =
            config.overrides.iter().any(|set| set.split('=').next().is_some_and(|key| key.trim() == "study"));
        Record { study: config.study.clone(), file: between(&self.base(), &plain(&config.file)), named_by_set }
    }

    /// The folder of the record.
    fn base(&self) -> PathBuf {
        plain(self.file.parent().unwrap_or(Path::new(".")))
    }

    /// The file that a record names, as it is to be found from here.
    fn first(&self, record: &Record) -> PathBuf {
        plain(&self.base().join(&record.file))
    }

    fn check(&self, config: &Config) -> Result<(), Owned> {
        let Some(record) = self.record().filter(|_| self.folder.exists()) else { return Ok(()) };
        let first = self.first(&record);
        // A folder that was renamed since is of the study that it is named after now.
        if record.study != config.study || is_same(&first, &config.file) || self.is_copy(&record, config) {
            return Ok(());
        }
        let gone = match first.try_exists() {
            Ok(false) => ", which is gone",
            _ if record.named_by_set => "",
            _ => match Config::load(&first, &[]) {
                Ok(now) if now.study != record.study => ", which is a study of another name by now",
                _ => "",
            },
        };
        if !gone.is_empty() && is_of_same_ct(config) {
            return Ok(());
        }
        Err(self.owned(config, &first.display().to_string(), gone))
    }

    /// The error: `gone` says what became of the file `first`.
    fn owned(&self, config: &Config, first: &str, gone: &str) -> Owned {
        let records = places(config).map(|place| place.file).into_iter().filter(|file| file.exists());
        let records: Vec<String> = records.map(|file| file.display().to_string()).collect();
        let (folder, study, second) = (self.folder.display(), &config.study, config.file.display());
        Owned(format!(
            "{folder} holds the results of another study that is called \"{study}\" too, {first}{gone}, and {second} would replace them; \
             give one of the two another name (`study:` in its file, or --set study=NAME), or the other folders (paths.data and \
             paths.reports); if the results of {first} are not wanted any more, or {second} is the same study under another file name, \
             delete {} and give the same command again",
            records.join(" and ")
        ))
    }

    fn claim(&self, config: &Config) {
        let new = self.record_of(config);
        let kept = self.record().is_some_and(|old| old == new || self.is_copy(&old, config));
        if let (false, Ok(text)) = (kept, serde_yaml::to_string(&new)) {
            let _ = atomic::write(&self.file, format!("{HEADER}{text}").as_bytes());
        }
    }

    /// Whether the file of a record has the same settings as the study at hand.
    fn is_copy(&self, record: &Record, config: &Config) -> bool {
        !record.named_by_set && Config::load(&self.first(record), &[]).is_ok_and(|first| first.values == config.values)
    }
}

/// Whether two paths name one file.
fn is_same(one: &Path, other: &Path) -> bool {
    plain(one) == plain(other)
        || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Whether what the study reads at its start is what the results in its folder were made of; true where there are none.
fn is_of_same_ct(config: &Config) -> bool {
    let task = if config.phantom.enabled { plan::phantom(config) } else { plan::preprocess(config) };
    let Some(old) = receipt::read(&task.output) else { return true };
    let mut cache = hash::Cache::default();
    let ct = task.inputs.iter().filter(|input| matches!(input.name.as_str(), "ct" | "labels" | "manifest"));
    let mut same = ct.map(|input| input.hash(&mut cache).ok().as_ref() == old.inputs.get(&input.name));
    same.all(|same| same) && (task.stage != Stage::Phantom || flatten(&task.config) == flatten(&old.config))
}

/// The path of `file` as seen from `folder`, both absolute and plain.
fn between(folder: &Path, file: &Path) -> PathBuf {
    let shared = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_between_two_places_goes_up_and_down() {
        let path = |folder: &str, file: &str| between(Path::new(folder), Path::new(file)).display().to_string();
        assert_eq!(path("/p/data/lung", "/p/a.yaml"), "../../a.yaml");
        assert_eq!(path("/p/data/lung", "/p/data/lung/a.yaml"), "a.yaml");
        assert_eq!(path("/scratch/lung", "/home/u/a.yaml"), "../../home/u/a.yaml");
        assert_eq!(path("/p/data/lung", "/p/data/lungs/a.yaml"), "../lungs/a.yaml");
    }
}
