//! Table 1 (slices) and Table 2 (patients) in the paper's form, with what the paper leaves out: intervals, folds,
//! seeds, differences; Table 3 with all metrics and Table 4 with all tests. [`crate::render`] writes them.

use crate::assess::{Assessment, MethodResult, Part};
use crate::estimate::Estimate;
use crate::format;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::paper;

/// A table: rows in blocks, notes below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Short name such as `table1`.
    pub id: &'static str,
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

/// Metrics of Table 2, with the paper's name for the first.
pub const PATIENT_COLUMNS: [(&str, Metric); 3] =
    [("diagnosis", Metric::Accuracy), ("sensitivity", Metric::Sensitivity), ("specificity", Metric::Specificity)];

/// All tables of an assessment.
pub fn tables(assessment: &Assessment) -> Vec<Table> {
    let mut tables = vec![slices(assessment), patients(assessment), everything(assessment)];
    if !assessment.comparisons.is_empty() {
        tables.push(differences(assessment));
    }
    tables
}

type Level = fn(&Part) -> &Ordered<Estimate>;

/// What Tables 1 and 2 have in common: the blocks of one level.
fn blocks(
    assessment: &Assessment,
    pooled: fn(&MethodResult) -> &Ordered<Estimate>,
    part: Level,
    cell: &dyn Fn(&Ordered<Estimate>) -> Vec<String>,
) -> Vec<Block> {
    let several_seeds = assessment.seeds.len() > 1;
    let row = |name: String, values: &Ordered<Estimate>| [vec![name], cell(values)].concat();
    let mut blocks = vec![Block {
        title: format!("this study, {}", if several_seeds { "all folds and seeds" } else { "all folds" }),
        rows: assessment.methods.0.iter().map(|(name, result)| row(name.clone(), pooled(result))).collect(),
    }];
    let parts = |name: &str, parts: &[Part], by_fold: bool| {
        let label = |part: &Part| match (part.fold.filter(|_| by_fold), several_seeds) {
            (Some(fold), true) => format!("{name}, fold {fold}, seed {}", part.seed),
            (Some(fold), false) => format!("{name}, fold {fold}"),
            (None, _) => format!("{name}, seed {}", part.seed),
        };
        parts.iter().map(|one| row(label(one), part(one))).collect::<Vec<_>>()
    };
    if several_seeds {
        let rows =
            assessment.methods.0.iter().flat_map(|(name, result)| parts(name, &result.per_seed, false)).collect();
        blocks.push(Block { title: "this study, by seed (all folds)".to_owned(), rows });
    }
    if assessment.folds.len() > 1 {
        let rows = assessment.methods.0.iter().flat_map(|(name, result)| parts(name, &result.per_fold, true)).collect();
        blocks.push(Block { title: "this study, by fold".to_owned(), rows });
    }
    blocks
}

/// Reasons of the nulls of one level, once each.
fn undefined_notes(
    assessment: &Assessment,
    level: fn(&MethodResult) -> &Ordered<Estimate>,
    part: Level,
) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut note = |place: String, values: &Ordered<Estimate>, shown: &[Metric]| {
        for (key, estimate) in values.0.iter().filter(|(key, _)| shown.iter().any(|metric| metric.key() == key)) {
            let reason = match (&estimate.value, &estimate.interval) {
                (Err(reason), _) => format!("{key} of {place} is n/a: {reason}"),
                (Ok(_), Some(Err(reason))) => format!("{key} of {place} has no interval: {reason}"),
                _ => continue,
            };
            if !notes.contains(&reason) {
                notes.push(reason);
            }
        }
    };
    for (name, result) in &assessment.methods.0 {
        note(name.clone(), level(result), &Metric::TABLE);
        for one in result.per_fold.iter() {
            note(format!("{name}, fold {}", one.fold.unwrap_or(0)), part(one), &Metric::TABLE[..3]);
        }
    }
    notes
}

fn slices(assessment: &Assessment) -> Table {
    let cells = |values: &Ordered<Estimate>| {
        let cell =
            |metric: Metric| values.get(metric.key()).map_or(String::new(), |value| format::estimate(metric, value));
        Metric::TABLE.map(cell).to_vec()
    };
    let mut blocks = blocks(assessment, |result| &result.slice, |part| &part.slice, &cells);
    append_differences(&mut blocks[0], assessment, "slice", &Metric::TABLE);
    let percent = |value: f64| format::fixed(value, 1);
    let rows = paper::TABLE_1.map(|row| {
        let numbers =
            [percent(row.accuracy), percent(row.sensitivity), percent(row.specificity), format::fixed(row.auc, 3)];
        [vec![row.method.to_owned()], numbers.to_vec()].concat()
    });
    blocks.push(Block { title: paper::BLOCK.to_owned(), rows: rows.to_vec() });
    let total: u64 = assessment.slices.0.iter().map(|(_, count)| count).sum();
    let mut notes = vec![
        format!(
            "{}: {}. Sensitivity is the recall of {}.",
            format::plural(total, "slice"),
            by_class(&assessment.slices),
            positive(assessment)
        ),
        slice_note(assessment),
    ];
    notes.extend(undefined_notes(assessment, |result| &result.slice, |part| &part.slice));
    let head = [vec!["method".to_owned()], Metric::TABLE.map(format::head).to_vec()].concat();
    Table { id: "table1", title: format!("Table 1. Slices: {}", assessment.study), head, blocks, notes }
}

fn slice_note(assessment: &Assessment) -> String {
    let how = if assessment.seeds.len() > 1 {
        "For each seed the slices of all folds are pooled; shown is the mean over seeds."
    } else {
        "The slices of all folds are pooled, each tested once; a pooled AUC mixes the folds' networks."
    };
    format!(
        "{how} In brackets: {} interval by bootstrap over patients within class ({} resamples).",
        format::level(assessment.confidence),
        assessment.bootstrap
    )
}

fn patients(assessment: &Assessment) -> Table {
    let cells = |values: &Ordered<Estimate>| {
        let cell = |(_, metric): (&str, Metric)| values.get(metric.key()).map_or(String::new(), format::fraction);
        PATIENT_COLUMNS.map(cell).to_vec()
    };
    let mut blocks = blocks(assessment, |result| &result.patient, |part| &part.patient, &cells);
    append_differences(&mut blocks[0], assessment, "patient", &PATIENT_COLUMNS.map(|(_, metric)| metric));
    let show = |(correct, total): (u64, u64)| format!("{correct}/{total}");
    let rows = paper::TABLE_2
        .map(|row| vec![row.method.to_owned(), show(row.diagnosis), show(row.sensitivity), show(row.specificity)]);
    blocks.push(Block { title: paper::BLOCK.to_owned(), rows: rows.to_vec() });
    let total: u64 = assessment.patients.0.iter().map(|(_, count)| count).sum();
    let over = if assessment.seeds.len() > 1 { " and over the seeds; single seeds are in their own rows" } else { "" };
    let mut notes = vec![
        format!("{}: {}.", format::plural(total, "patient"), by_class(&assessment.patients)),
        format!("The softmax is averaged over all slices of a patient{over}; the mean decides."),
        format!(
            "In brackets: {} Wilson interval. Differences in points with a bootstrap interval over patients.",
            format::level(assessment.confidence)
        ),
    ];
    notes.extend(undefined_notes(assessment, |result| &result.patient, |part| &part.patient));
    let head = [vec!["method".to_owned()], PATIENT_COLUMNS.map(|(name, _)| name.to_owned()).to_vec()].concat();
    Table { id: "table2", title: format!("Table 2. Patients: {}", assessment.study), head, blocks, notes }
}

/// A row of differences under the methods' rows, for each pair compared.
fn append_differences(block: &mut Block, assessment: &Assessment, level: &str, metrics: &[Metric]) {
    let mut pairs: Vec<(&str, &str)> =
        assessment.comparisons.iter().map(|entry| (entry.a.as_str(), entry.b.as_str())).collect();
    pairs.dedup();
    for (a, b) in pairs {
        let cell = |metric: &Metric| {
            let mut entries = assessment.comparisons.iter();
            let found = entries.find(|e| e.a == a && e.b == b && e.level == level && e.metric == metric.key());
            found.map_or(String::new(), |entry| format::difference(*metric, entry))
        };
        block.rows.push([vec![format!("{b} - {a}")], metrics.iter().map(cell).collect()].concat());
    }
}

fn by_class(counts: &Ordered<u64>) -> String {
    counts.0.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

fn positive(assessment: &Assessment) -> &str {
    &assessment.classes[assessment.positive]
}

/// Table 3: every metric of every method, one row a metric.
fn everything(assessment: &Assessment) -> Table {
    let level = |title: &str, of: fn(&MethodResult) -> &Ordered<Estimate>| {
        let metrics: Vec<Metric> = assessment.methods.0.first().map_or_else(Vec::new, |(_, first)| {
            Metric::ALL.into_iter().filter(|metric| of(first).get(metric.key()).is_some()).collect()
        });
        let row = |metric: &Metric| {
            let cell = |(_, result): &(String, MethodResult)| {
                of(result).get(metric.key()).map_or(String::new(), |value| format::estimate(*metric, value))
            };
            [vec![format::head(*metric)], assessment.methods.0.iter().map(cell).collect()].concat()
        };
        Block { title: title.to_owned(), rows: metrics.iter().map(row).collect() }
    };
    let names = assessment.methods.0.iter().map(|(name, _)| name.clone());
    Table {
        id: "table3",
        title: format!("Table 3. All metrics: {}", assessment.study),
        head: std::iter::once("metric".to_owned()).chain(names).collect(),
        blocks: vec![level("slices", |result| &result.slice), level("patients", |result| &result.patient)],
        notes: vec![
            "Slices: bootstrap over patients. Patients: Wilson for fractions, DeLong for the AUC.".to_owned(),
            "Brier score: lower is better. PPV and NPV hold for this study's mix of classes.".to_owned(),
        ],
    }
}

/// Table 4: every difference with its test.
fn differences(assessment: &Assessment) -> Table {
    let row = |entry: &crate::assess::Comparison| {
        let metric = Metric::ALL.into_iter().find(|metric| metric.key() == entry.metric).unwrap_or(Metric::Accuracy);
        let unit = if metric.is_percent() { format!("{}, points", metric.title()) } else { metric.title().to_owned() };
        let (pair, p) = (format!("{} - {}", entry.b, entry.a), format::p(entry.p));
        vec![pair, entry.level.to_owned(), unit, format::difference(metric, entry), p, entry.test.to_owned()]
    };
    let head = ["methods", "level", "metric", "difference", "p", "test"].map(str::to_owned).to_vec();
    let rows = assessment.comparisons.iter().map(row).collect();
    let many = "The p values are two-sided and not corrected for their number: read the slice AUC as the question asked and \
                the rest as description.";
    let mut notes = vec![many.to_owned()];
    let reason = |entry: &crate::assess::Comparison| {
        let reason = entry.difference.as_ref().err().or(entry.interval.as_ref().err())?;
        Some(format!("{} at {} level: {reason}", entry.metric, entry.level))
    };
    notes.extend(assessment.comparisons.iter().filter_map(reason));
    Table {
        id: "table4",
        title: format!("Table 4. Differences: {}", assessment.study),
        head,
        blocks: vec![Block { title: String::new(), rows }],
        notes,
    }
}
