//! The form of metrics.json, as a JSON Schema (draft 2020-12) that is published with the project.

use serde::Serialize;

use crate::assess::Assessment;

/// reports/metrics.schema.json.
pub const TEXT: &str = include_str!("../../../reports/metrics.schema.json");
/// Its `$id`, which each metrics.json names; the number changes when a reader of the form before would be misled.
pub const ID: &str = "urn:chumoku:metrics:1";

/// metrics.json: an assessment under the name of its schema.
#[derive(Serialize)]
pub struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(flatten)]
    assessment: &'a Assessment,
}

impl<'a> Document<'a> {
    /// Of an assessment.
    pub fn new(assessment: &'a Assessment) -> Self {
        Self { schema: ID, assessment }
    }
}
