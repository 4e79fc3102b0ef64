//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

use super::places::Place;
use crate::exit::{Coded, Exit};

/// Where a value is from: a file, with line and column where one is to blame, or `--set ...`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file or the argument.
    pub name: String,
    /// Line and column, from 1.
    pub at: Option<Place>,
}

impl From<&str> for Source {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), at: None }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(formatter, "{}:{at}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// One thing that is wrong. Faults sort as their places do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Source,
    /// What: key, expected and got, what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// What is wrong with a configuration. Every variant ends with exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the study {path}: {source}")]
    Read {
        /// The study's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that was found wrong, at least one thing.
    #[error("{}", listed(.0))]
    Faults(Vec<Fault>),
}

impl ConfigError {
    /// One fault.
    pub fn one(place: impl Into<Source>, message: impl Into<String>) -> Self {
        Self::Faults(vec![Fault { place: place.into(), message: message.into() }])
    }

    /// Faults, in the order of their places.
    pub(super) fn all(mut faults: Vec<Fault>) -> Self {
        faults.sort();
        Self::Faults(faults)
    }

    /// A line for each thing that is wrong.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => vec![self.to_string()],
            Self::Faults(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    match faults {
        [one] => one.to_string(),
        many => many
            .iter()
            .fold(format!("{} faults in the configuration", many.len()), |text, fault| format!("{text}\n  {fault}")),
    }
}

impl Coded for ConfigError {
    fn exit(&self) -> Exit {
        Exit::Config
    }
}
