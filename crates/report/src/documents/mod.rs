//! Documents that go with a paper, as Markdown; the page shows them too.

use contract::config::Config;

use crate::assess::Assessment;
use crate::provenance::Provenance;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Name of its file in the report's folder, such as `claim-2024.md`.
    pub file: String,
    /// Title.
    pub title: String,
    /// Its text, which does not repeat the title.
    pub markdown: String,
}

/// All documents of a study.
pub fn documents(_: &Config, _: &Assessment, _: &Provenance) -> Vec<Document> {
    Vec::new()
}
