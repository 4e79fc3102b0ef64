//! Tables 1 to 4: the methods of the paper's form.

use super::{Block, Place, Table, seeds_note};
use crate::assess::{Assessment, MethodResult, Part};
use crate::calibration::BINS;
use crate::comparison::{Comparison, Level};
use crate::estimate::Estimate;
use crate::format;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::paper;
use crate::patients;

/// Metrics of Table 2, with the paper's name for the first.
pub const PATIENT_COLUMNS: [(&str, Metric); 3] =
    [("diagnosis", Metric::Accuracy), ("sensitivity", Metric::Sensitivity), ("specificity", Metric::Specificity)];

type OfPart = fn(&Part) -> &Ordered<Estimate>;

/// What Tables 1 and 2 have in common: the blocks of one level.
fn blocks(
    assessment: &Assessment,
    pooled: fn(&MethodResult) -> &Ordered<Estimate>,
    part: OfPart,
    cell: &dyn Fn(&Ordered<Estimate>) -> Vec<String>,
) -> Vec<Block> {
    let several_seeds = assessment.several_seeds();
    let row = |name: String, values: &Ordered<Estimate>| [vec![name], cell(values)].concat();
    let mut blocks = vec![Block {
        title: format!("this study, {}", if several_seeds { "all folds and seeds" } else { "all folds" }),
        rows: assessment.shown().map(|(name, result)| row(name.clone(), pooled(result))).collect(),
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
        let rows = assessment.shown().flat_map(|(name, result)| parts(name, &result.per_seed, false)).collect();
        blocks.push(Block { title: "this study, by seed (all folds)".to_owned(), rows });
    }
    if assessment.folds.len() > 1 {
        let rows = assessment.shown().flat_map(|(name, result)| parts(name, &result.per_fold, true)).collect();
        blocks.push(Block { title: "this study, by fold".to_owned(), rows });
    }
    blocks
}

/// Reasons of the nulls of one level, once each.
fn undefined_notes(
    assessment: &Assessment,
    level: fn(&MethodResult) -> &Ordered<Estimate>,
    part: OfPart,
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
    for (name, result) in assessment.shown() {
        note(name.clone(), level(result), &Metric::TABLE);
        for one in result.per_fold.iter() {
            note(format!("{name}, fold {}", one.fold.unwrap_or(0)), part(one), &Metric::TABLE[..3]);
        }
    }
    notes
}

pub(super) fn slices(assessment: &Assessment) -> Table {
    let cells = |values: &Ordered<Estimate>| {
        let cell =
            |metric: Metric| values.get(metric.key()).map_or(String::new(), |value| format::estimate(metric, value));
        Metric::TABLE.map(cell).to_vec()
    };
    let mut blocks = blocks(assessment, |result| &result.slice, |part| &part.slice, &cells);
    append_differences(&mut blocks[0], assessment, Level::Slice, &Metric::TABLE);
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
            "{}: {}. Sensitivity is the recall of {}{}.",
            format::plural(total, "slice"),
            by_class(&assessment.slices),
            positive(assessment),
            if assessment.classes.len() > 2 {
                ", specificity that of all others; AUC is of it against the rest"
            } else {
                ""
            }
        ),
        slice_note(assessment),
    ];
    notes.extend(few_patients_note(assessment));
    notes.extend(seeds_note(assessment, &first(assessment)));
    notes.extend(undefined_notes(assessment, |result| &result.slice, |part| &part.slice));
    let head = [vec!["method".to_owned()], Metric::TABLE.map(format::head).to_vec()].concat();
    Table {
        id: "table1",
        place: Place::Paper,
        title: format!("Table 1. Slices: {}", assessment.study),
        head,
        blocks,
        notes,
    }
}

fn slice_note(assessment: &Assessment) -> String {
    let how = if assessment.several_seeds() {
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

/// Fewer patients in a class than this, and intervals of slices are too narrow: 7 positive ones of 20 give 95 % intervals that hold 82
/// to 93 % of the time, 20 of 60 give 91 to 95 % (simulated; reports/bench/coverage.md).
const FEW_PATIENTS: u64 = 20;

fn few_patients_note(assessment: &Assessment) -> Option<String> {
    let (class, count) =
        assessment.patients.0.iter().filter(|(_, count)| *count > 0).min_by_key(|(_, count)| *count)?;
    (*count < FEW_PATIENTS).then(|| {
        format!(
            "{class} has {}: with fewer than {FEW_PATIENTS} in a class the intervals are too narrow.",
            format::plural(*count, "patient")
        )
    })
}

pub(super) fn patients(assessment: &Assessment) -> Table {
    let cells = |values: &Ordered<Estimate>| {
        let cell = |(_, metric): (&str, Metric)| values.get(metric.key()).map_or(String::new(), format::fraction);
        PATIENT_COLUMNS.map(cell).to_vec()
    };
    let mut blocks = blocks(assessment, |result| &result.patient, |part| &part.patient, &cells);
    append_differences(&mut blocks[0], assessment, Level::Patient, &PATIENT_COLUMNS.map(|(_, metric)| metric));
    let show = |(correct, total): (u64, u64)| format!("{correct}/{total}");
    let rows = paper::TABLE_2
        .map(|row| vec![row.method.to_owned(), show(row.diagnosis), show(row.sensitivity), show(row.specificity)]);
    blocks.push(Block { title: paper::BLOCK.to_owned(), rows: rows.to_vec() });
    let total: u64 = assessment.patients.0.iter().map(|(_, count)| count).sum();
    let singles = if assessment.several_seeds() { " Single seeds are in their own rows." } else { "" };
    let mut notes = vec![
        format!("{}: {}.", format::plural(total, "patient"), by_class(&assessment.patients)),
        format!("{}{singles}", patients::sentence(assessment.patient_rule, assessment.several_seeds())),
        format!(
            "In brackets: {} Wilson interval. Differences in points with a bootstrap interval over patients.",
            format::level(assessment.confidence)
        ),
    ];
    notes.extend(seeds_note(assessment, &first(assessment)));
    notes.extend(undefined_notes(assessment, |result| &result.patient, |part| &part.patient));
    let head = [vec!["method".to_owned()], PATIENT_COLUMNS.map(|(name, _)| name.to_owned()).to_vec()].concat();
    Table {
        id: "table2",
        place: Place::Paper,
        title: format!("Table 2. Patients: {}", assessment.study),
        head,
        blocks,
        notes,
    }
}

/// The pairs of methods that the tables show.
fn pairs(assessment: &Assessment) -> Vec<(&str, &str)> {
    let mut pairs: Vec<(&str, &str)> =
        assessment.comparisons.iter().map(|entry| (entry.a.as_str(), entry.b.as_str())).collect();
    pairs.dedup();
    pairs.retain(|(_, b)| assessment.shown.iter().any(|name| name == b));
    pairs
}

/// The first comparison.
fn first(assessment: &Assessment) -> Vec<&Comparison> {
    assessment.comparisons.iter().take(1).collect()
}

/// A row of differences under the methods' rows, for each pair shown.
fn append_differences(block: &mut Block, assessment: &Assessment, level: Level, metrics: &[Metric]) {
    for pair in pairs(assessment) {
        let cell =
            |metric: &Metric| assessment.comparison(pair, level, *metric).map_or(String::new(), format::difference);
        block.rows.push([vec![format!("{} - {}", pair.1, pair.0)], metrics.iter().map(cell).collect()].concat());
    }
}

fn by_class(counts: &Ordered<u64>) -> String {
    counts.0.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

fn positive(assessment: &Assessment) -> &str {
    &assessment.classes[assessment.positive]
}

/// Table 3: every metric of every method, one row a metric.
pub(super) fn everything(assessment: &Assessment) -> Table {
    let level = |title: &str, of: fn(&MethodResult) -> &Ordered<Estimate>| {
        let metrics: Vec<Metric> = assessment.shown().next().map_or_else(Vec::new, |(_, first)| {
            Metric::ALL.into_iter().filter(|metric| of(first).get(metric.key()).is_some()).collect()
        });
        let row = |metric: &Metric| {
            let cell = |(_, result): &(String, MethodResult)| {
                of(result).get(metric.key()).map_or(String::new(), |value| format::estimate(*metric, value))
            };
            [vec![format::head(*metric)], assessment.shown().map(cell).collect()].concat()
        };
        Block { title: title.to_owned(), rows: metrics.iter().map(row).collect() }
    };
    let names = assessment.shown().map(|(name, _)| name.clone());
    Table {
        id: "table3",
        place: Place::Reference,
        title: format!("Table 3. All metrics: {}", assessment.study),
        head: std::iter::once("metric".to_owned()).chain(names).collect(),
        blocks: vec![level("slices", |result| &result.slice), level("patients", |result| &result.patient)],
        notes: vec![
            "Slices: bootstrap over patients; AUC, clustered: the same AUC with Obuchowski's interval. Patients: Wilson for fractions, \
             DeLong for the AUC."
                .to_owned(),
            "Brier score and calibration error: lower is better. PPV and NPV hold for this study's mix of classes.".to_owned(),
            calibration_note(assessment),
        ],
    }
}

fn calibration_note(assessment: &Assessment) -> String {
    let of = if assessment.classes.len() > 2 { "each class (mean over the classes)" } else { positive(assessment) };
    format!(
        "Calibration error: mean distance between the probability of {of} and how often it is right, over {BINS} bins of equal \
         width. It is above 0 for a perfect network, too, and larger in a resample, so its interval may lie above its value."
    )
}

/// Table 4: every difference of the pairs shown, with its test.
pub(super) fn differences(assessment: &Assessment) -> Option<Table> {
    let pairs = pairs(assessment);
    let shown = || assessment.comparisons.iter().filter(|entry| pairs.contains(&(entry.a.as_str(), entry.b.as_str())));
    let row = |entry: &Comparison| {
        let quantity = entry.quantity;
        let unit =
            if quantity.is_percent() { format!("{}, points", quantity.title()) } else { quantity.title().to_owned() };
        let (pair, p) = (format!("{} - {}", entry.b, entry.a), format::p(entry.p));
        vec![pair, entry.level.title().to_owned(), unit, format::difference(entry), p, entry.test.to_owned()]
    };
    let head = ["methods", "level", "metric", "difference", "p", "test"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = shown().map(row).collect();
    let many = "The p values are two-sided and not corrected for their number: read the slice AUC as the question asked and \
                the rest as description.";
    let mut notes = vec![many.to_owned()];
    let reason = |entry: &Comparison| {
        let reason = entry.difference.as_ref().err().or(entry.interval.as_ref().err())?;
        Some(format!("{} at {} level: {reason}", entry.quantity.key(), entry.level.title()))
    };
    notes.extend(shown().filter_map(reason));
    (!rows.is_empty()).then(|| Table {
        id: "table4",
        place: Place::Reference,
        title: format!("Table 4. Differences: {}", assessment.study),
        head,
        blocks: vec![Block { title: String::new(), rows }],
        notes,
    })
}
