//! The stage programs: where they are, and the hashes that receipts compare.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::hash;
use contract::plan::Stage;

use crate::error::Error;

/// What to do about a program that is not there or does not start.
pub const ADVICE: &str = "put it beside chumoku (all programs of one release or build lie in one folder), or, in the \
                          project's sources, build all with `cargo build --release`";

/// Path and content hash of the programs of some stages.
#[derive(Debug, Clone)]
pub struct Programs(BTreeMap<Stage, (PathBuf, String)>);

impl Programs {
    /// Finds and hashes the programs of `stages` in `folder`.
    ///
    /// # Errors
    /// One is missing or cannot be read.
    pub fn find(folder: &Path, stages: impl IntoIterator<Item = Stage>) -> Result<Self, Error> {
        let mut found = BTreeMap::new();
        for stage in stages {
            let path = folder.join(stage.program());
            if !path.is_file() {
                return Err(Error::MissingProgram { program: stage.program(), folder: folder.to_owned() });
            }
            let hash = hash::file(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
            found.insert(stage, (path, hash));
        }
        Ok(Self(found))
    }

    /// The program of a stage that was looked for.
    pub fn path(&self, stage: Stage) -> &Path {
        &self.0[&stage].0
    }

    /// BLAKE3 of the program of a stage that was looked for.
    pub fn hash(&self, stage: Stage) -> &str {
        &self.0[&stage].1
    }
}
