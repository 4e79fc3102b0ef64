//! Documents that go with a paper, as Markdown; the page shows them too.
//!
//! Two reporting checklists (`claim`, `tripod`) and a model card for each method (`card`). A checklist is a table of items, each
//! with a function that answers it from the run (`checklist`); what is told of data, training and evaluation is in one place each
//! (`data`, `training`, `evaluation`). Nothing is told that the run does not know: what it does not know is a question to the author.

mod card;
mod checklist;
mod claim;
mod data;
mod evaluation;
mod files;
mod markdown;
mod training;
mod tripod;

use contract::config::{Config, Method};

use crate::assess::{Assessment, MethodResult};
use crate::provenance::Provenance;

pub use files::Files;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Name of its file in the report's folder, such as `claim-2024.md`.
    pub file: String,
    /// Title.
    pub title: String,
    /// Its text, which does not repeat the title. Headings begin at the first level: what shows it puts them below its own.
    pub markdown: String,
}

impl Document {
    /// What its file holds: the title, and the headings below it.
    pub fn text(&self) -> String {
        let line = |line: &str| if line.starts_with('#') { format!("#{line}\n") } else { format!("{line}\n") };
        format!("# {}\n\n{}", self.title, self.markdown.lines().map(line).collect::<String>())
    }
}

/// What the documents answer from.
struct Run<'a> {
    config: &'a Config,
    assessment: &'a Assessment,
    provenance: &'a Provenance,
    files: &'a Files,
}

impl Run<'_> {
    /// Whether the CT are the study's own synthetic ones.
    fn is_synthetic(&self) -> bool {
        let preprocess = &self.config.preprocess;
        self.config.phantom.enabled && preprocess.input.is_none() && preprocess.manifest.is_none()
    }

    /// What the provenance calls `name`.
    fn condition(&self, name: &str) -> Option<&str> {
        let found = self.provenance.conditions.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every method with its results.
    fn methods(&self) -> impl Iterator<Item = (&Method, &MethodResult)> {
        self.config.methods.iter().filter_map(|method| Some((method, self.assessment.methods.get(&method.name)?)))
    }
}

/// All documents of a study.
pub fn documents(config: &Config, assessment: &Assessment, provenance: &Provenance, files: &Files) -> Vec<Document> {
    let run = Run { config, assessment, provenance, files };
    let lists = [claim::LIST, tripod::LIST].map(|list| list.document(&run));
    lists.into_iter().chain(run.methods().map(|(method, result)| card::document(&run, method, result))).collect()
}
