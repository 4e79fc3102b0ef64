//! The tables: 1 (slices) and 2 (patients) in the paper's form, with what the paper leaves out: intervals, folds, seeds,
//! differences; 3 with all metrics and 4 with all tests of the same methods; then every method against the one compared
//! with, the seeds, attention, the confounder reversed, decisions, and the rules for patients side by side. [`crate::render`] writes them.

mod attention;
mod decisions;
mod methods;
mod paper_form;
mod reversed;
mod rules;

use crate::assess::Assessment;
use crate::comparison::{Comparison, Level};
use crate::format;
use crate::intervals::smallest_p;
use crate::metrics::Metric;
use crate::quantity::Quantity;

pub use attention::collapsed;
pub use paper_form::PATIENT_COLUMNS;

/// A table: rows in blocks, notes below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Short name such as `table1`.
    pub id: &'static str,
    /// Where it belongs.
    pub place: Place,
    /// Title.
    pub title: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// Rows.
    pub blocks: Vec<Block>,
    /// Footnotes.
    pub notes: Vec<String>,
}

/// Rows under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Heading; empty for none.
    pub title: String,
    /// Cells by row.
    pub rows: Vec<Vec<String>>,
}

/// Where a table belongs on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The paper's form.
    Paper,
    /// Every method.
    Methods,
    /// Attention.
    Attention,
    /// Robustness.
    Reversed,
    /// Confusion.
    Decisions,
    /// For reference; not on the terminal of a study.
    Reference,
}

/// All tables of an assessment, in the order of the outputs.
pub fn tables(assessment: &Assessment) -> Vec<Table> {
    let always = [paper_form::slices, paper_form::patients, decisions::confusion].map(|table| Some(table(assessment)));
    let [slices, patients, confusion] = always;
    let sometimes = [methods::all, methods::seeds, attention::measures, reversed::falls].map(|table| table(assessment));
    let reference =
        [Some(paper_form::everything(assessment)), paper_form::differences(assessment), Some(rules::rules(assessment))];
    [slices, patients].into_iter().chain(sometimes).chain([confusion]).chain(reference).flatten().collect()
}

/// Heads of the columns that [`against`] fills; `what` is what differs.
fn against_head(assessment: &Assessment, what: &str) -> Vec<String> {
    let Some((a, _)) = assessment.first_pair() else { return Vec::new() };
    let holm = is_corrected(assessment).then(|| "p, Holm".to_owned());
    [format!("{what} to {a}"), "p".to_owned()].into_iter().chain(holm).collect()
}

/// Cells of a method's difference to the one compared with: difference, p, p after Holm's correction. Empty for that one itself.
fn against(assessment: &Assessment, name: &str, level: Level, quantity: impl Into<Quantity>) -> Vec<String> {
    let Some((a, _)) = assessment.first_pair() else { return Vec::new() };
    let entry = assessment.comparison((a, name), level, quantity);
    let cell = |of: &dyn Fn(&Comparison) -> String| entry.map_or(String::new(), of);
    let holm = is_corrected(assessment).then(|| cell(&|entry| format::p(entry.p_holm)));
    [cell(&format::difference), cell(&|entry| format::p(entry.p))].into_iter().chain(holm).collect()
}

/// Whether several methods are compared with the same one.
fn is_corrected(assessment: &Assessment) -> bool {
    assessment.comparisons.iter().any(|entry| entry.p_holm.is_some())
}

/// What a table with differences says of them.
fn against_notes(assessment: &Assessment) -> Vec<String> {
    let Some((a, _)) = assessment.first_pair() else { return Vec::new() };
    let mut notes = vec![format!(
        "In brackets: {} interval by bootstrap over patients within class; differences are paired by patient.",
        format::level(assessment.confidence)
    )];
    let families = assessment.family(Level::Slice, Metric::Auc);
    notes.extend(seeds_note(assessment, &families));
    if is_corrected(assessment) {
        notes.push(format!(
            "p, Holm: corrected for the {} methods compared with {a}, metric by metric.",
            families.len()
        ));
    }
    notes.extend(too_few_resamples(assessment));
    if assessment.comparisons.iter().any(|entry| entry.interval.is_err()) {
        notes.push("No interval: the same in every resample, or undefined; metrics.json says which.".to_owned());
    }
    notes
}

/// A remark where the bootstrap has so few resamples that its smallest p, corrected, is above the level.
pub fn too_few_resamples(assessment: &Assessment) -> Option<String> {
    let methods = assessment.family(Level::Slice, Metric::Auc).len();
    let smallest = smallest_p(assessment.bootstrap);
    let can_pass = smallest * methods as f64 <= 1.0 - assessment.confidence;
    (is_corrected(assessment) && !can_pass).then(|| {
        format!(
            "With {} resamples no p of the bootstrap is below {}, so corrected for {methods} methods none can pass; raise \
             report.bootstrap.",
            assessment.bootstrap,
            format::fixed(smallest, 3)
        )
    })
}

/// What differences rest on where methods have more seeds than the one they are compared with, or fewer.
fn seeds_note(assessment: &Assessment, entries: &[&Comparison]) -> Option<String> {
    let has_more = |name: &str, entry: &Comparison| {
        assessment.methods.get(name).is_some_and(|result| result.seeds.len() > entry.seeds.len())
    };
    entries.iter().find(|entry| has_more(&entry.a, entry) || has_more(&entry.b, entry))?;
    let seeds = entries.iter().map(|entry| (entry.b.as_str(), format::list(&entry.seeds)));
    Some(format!(
        "A method's own numbers rest on all its seeds, a difference on the seeds both methods have: {}.",
        format::grouped(seeds)
    ))
}
