//! The way of patients and slices from the input to the analysis, with what was left out and why, in the manner of STARD 2015 and
//! CONSORT: what was found, what the masks left out, what the folds left out, what was tested, by class.

use std::collections::{BTreeMap, BTreeSet};

use contract::config::Config;
use contract::layout::{EXCLUDED, Layout};
use contract::schema::reason::NO_CT;

use crate::error::Error;
use crate::folds::FoldRow;
use crate::format::plural;
use crate::predictions::Predictions;
use crate::read;
use crate::read::flow::{ExcludedRow, SliceRow};

/// A title and lines below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What.
    pub title: String,
    /// How many of what.
    pub lines: Vec<String>,
}

/// A step on the way, and what goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What comes here.
    pub words: Words,
    /// What is left out here; None if nothing is.
    pub out: Option<Words>,
}

/// The whole way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Steps in order; the last is what was tested.
    pub steps: Vec<Step>,
    /// What was tested, by class.
    pub classes: Vec<Words>,
}

/// The tested patients and slices of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldCount {
    /// The fold.
    pub fold: i64,
    /// Patients and slices of each class.
    pub classes: Vec<(u64, u64)>,
}

impl FoldCount {
    /// Patients and slices of all classes.
    pub fn all(&self) -> (u64, u64) {
        self.classes.iter().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }
}

/// The tested patients and slices of each fold, ascending. Folds are those of the first run: all runs have the same.
pub fn folds(predictions: &Predictions) -> Vec<FoldCount> {
    let Some(run) = predictions.runs().next() else { return Vec::new() };
    let mut slices = vec![0_u64; predictions.patients.len()];
    predictions.slices.iter().for_each(|slice| slices[slice.patient] += 1);
    let mut counts: BTreeMap<i64, Vec<(u64, u64)>> = BTreeMap::new();
    for ((patient, fold), slices) in predictions.patients.iter().zip(&run.patient_fold).zip(slices) {
        let classes = counts.entry(*fold).or_insert_with(|| vec![(0, 0); predictions.classes]);
        classes[patient.label].0 += 1;
        classes[patient.label].1 += slices;
    }
    counts.into_iter().map(|(fold, classes)| FoldCount { fold, classes }).collect()
}

/// Reads what preprocess and dataset wrote, and counts.
///
/// # Errors
/// A file cannot be read or lacks a column.
pub fn collect(config: &Config, fold_count: usize, predictions: &Predictions) -> Result<Flow, Error> {
    let layout = Layout::new(config);
    let before = Before {
        slices: read::flow::slices(&layout.slices())?,
        excluded: read::flow::excluded(&layout.masks().join(EXCLUDED))?,
        folds: read::folds(&layout.folds_table())?,
        fold_count,
        of_pictures: config.preprocess.manifest.is_some(),
    };
    Ok(before.flow(&config.classes, predictions))
}

/// What is known of the slices before they were tested.
struct Before {
    slices: Vec<SliceRow>,
    excluded: Vec<ExcludedRow>,
    folds: Vec<FoldRow>,
    /// Folds that are held out.
    fold_count: usize,
    /// Whether each slice is an image file by itself.
    of_pictures: bool,
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> u64 {
    ids.collect::<BTreeSet<_>>().len() as u64
}

/// Patients named in one line.
const NAMED: usize = 5;

/// "all slices of 2 patients: a, b"; None without patients.
fn lost(what: &str, patients: &BTreeSet<&str>) -> Option<String> {
    let named: Vec<&str> = patients.iter().take(NAMED).copied().collect();
    let more = patients.len() - named.len();
    let rest = if more > 0 { format!(" and {more} more (qa.csv)") } else { String::new() };
    (!named.is_empty())
        .then(|| format!("{what} {}: {}{rest}", plural(patients.len() as u64, "patient"), named.join(", ")))
}

/// "12 slices of 3 patients".
fn of_patients(slices: u64, patients: u64) -> String {
    format!("{} of {}", plural(slices, "slice"), plural(patients, "patient"))
}

/// "little lung: 3" for each reason.
fn by_reason<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    rows.for_each(|reason| *counts.entry(reason).or_default() += 1);
    counts.into_iter().map(|(reason, count)| format!("{}: {count}", reason.replace('_', " "))).collect()
}

impl Before {
    fn flow(&self, classes: &[String], predictions: &Predictions) -> Flow {
        let (absent, present): (Vec<_>, Vec<_>) = self.excluded.iter().partition(|row| row.reason == NO_CT);
        let (files, masks): (Vec<_>, Vec<_>) = present.into_iter().partition(|row| row.slice_id.is_none());
        let steps = [
            self.input(&files, &masks, &absent),
            Some(self.segmented(&files, &masks)),
            Some(self.masked()),
            self.folded(),
        ];
        let tested = Step { words: tested(predictions), out: None };
        let counts = folds(predictions);
        let class = |(label, name): (usize, &String)| {
            let add = |sum: (u64, u64), of: &FoldCount| (sum.0 + of.classes[label].0, sum.1 + of.classes[label].1);
            let (patients, slices) = counts.iter().fold((0, 0), add);
            Words { title: name.clone(), lines: vec![plural(patients, "patient"), plural(slices, "slice")] }
        };
        Flow {
            steps: steps.into_iter().flatten().chain([tested]).collect(),
            classes: classes.iter().enumerate().map(class).collect(),
        }
    }

    /// The input with the files that were left out unread, and labelled patients without a file; None if there are neither.
    fn input(&self, files: &[&ExcludedRow], masks: &[&ExcludedRow], absent: &[&ExcludedRow]) -> Option<Step> {
        if files.is_empty() && absent.is_empty() {
            return None;
        }
        let patients = self.slices.iter().map(|row| row.patient_id.as_str());
        let all: BTreeSet<&str> = patients.chain(self.excluded.iter().map(|row| row.patient_id.as_str())).collect();
        let (left, slices) = (files.len() as u64, (self.slices.len() + masks.len()) as u64);
        let words = Words {
            title: "Input".to_owned(),
            lines: vec![
                plural(all.len() as u64, "patient"),
                format!("{} and {}", plural(slices, "slice"), plural(left, "other file")),
            ],
        };
        let without_ct: BTreeSet<&str> = absent.iter().map(|row| row.patient_id.as_str()).collect();
        let seen: BTreeSet<&str> = self.seen(masks).chain(without_ct.iter().copied()).collect();
        let unused = all.difference(&seen).copied().collect();
        let reasons = by_reason(files.iter().map(|row| row.reason.as_str())).into_iter();
        let out = Words {
            title: format!("Left out before segmentation: {}", plural(left, "file")),
            lines: reasons
                .chain(lost("all there is of", &unused))
                .chain(lost("labelled, without CT:", &without_ct))
                .collect(),
        };
        Some(Step { words, out: Some(out) })
    }

    /// The patients of the slices that were segmented.
    fn seen<'a>(&'a self, masks: &'a [&ExcludedRow]) -> impl Iterator<Item = &'a str> {
        let kept = self.slices.iter().map(|row| row.patient_id.as_str());
        kept.chain(masks.iter().map(|row| row.patient_id.as_str()))
    }

    /// What the lung model saw, and what its masks left out.
    fn segmented(&self, files: &[&ExcludedRow], masks: &[&ExcludedRow]) -> Step {
        let series_of = |row: &&ExcludedRow| {
            let id = row.slice_id.as_deref().unwrap_or_default();
            id.rsplit_once('/').map_or(id, |(series, _)| series).to_owned()
        };
        let kept = self.slices.iter().map(|row| format!("{}/{}", row.patient_id, row.series_id));
        let series = kept.chain(masks.iter().map(series_of)).collect::<BTreeSet<_>>().len();
        let seen = distinct(self.seen(masks));
        let slices = (self.slices.len() + masks.len()) as u64;
        let unit = if self.of_pictures { "each an image file".to_owned() } else { format!("in {series} series") };
        let title = if files.is_empty() { "Input, segmented" } else { "Segmented" };
        let words = Words { title: title.to_owned(), lines: vec![of_patients(slices, seen), unit] };
        let kept: BTreeSet<&str> = self.slices.iter().map(|row| row.patient_id.as_str()).collect();
        let empty = self.seen(masks).filter(|patient| !kept.contains(patient)).collect();
        let out = (!masks.is_empty()).then(|| Words {
            title: format!("Left out for their lung mask: {}", plural(masks.len() as u64, "slice")),
            lines: by_reason(masks.iter().map(|row| row.reason.as_str()))
                .into_iter()
                .chain(lost("all slices of", &empty))
                .collect(),
        });
        Step { words, out }
    }

    /// Slices with a mask, the remarks on them, and those in no fold.
    fn masked(&self) -> Step {
        let flags: Vec<String> = by_reason(self.slices.iter().flat_map(|row| row.flags.iter().map(String::as_str)));
        let remarks = if flags.is_empty() {
            "no remark on any mask".to_owned()
        } else {
            let flagged = self.slices.iter().filter(|row| !row.flags.is_empty()).count() as u64;
            format!("kept with a remark on the mask: {} ({})", plural(flagged, "slice"), flags.join(", "))
        };
        let patients = distinct(self.slices.iter().map(|row| row.patient_id.as_str()));
        let words = Words {
            title: "With a lung mask".to_owned(),
            lines: vec![of_patients(self.slices.len() as u64, patients), remarks],
        };
        let folded: BTreeSet<&str> = self.folds.iter().map(|row| row.slice_id.as_str()).collect();
        let missing: Vec<&SliceRow> =
            self.slices.iter().filter(|row| !folded.contains(row.slice_id.as_str())).collect();
        let out = (!missing.is_empty()).then(|| Words {
            title: "In no fold".to_owned(),
            lines: vec![of_patients(missing.len() as u64, distinct(missing.iter().map(|row| row.patient_id.as_str())))],
        });
        Step { words, out }
    }

    /// What some fold trains on and none holds out; None if every slice is held out once.
    fn folded(&self) -> Option<Step> {
        let is_held = |row: &&FoldRow| usize::try_from(row.fold).is_ok_and(|fold| fold < self.fold_count);
        let trained: Vec<&FoldRow> = self.folds.iter().filter(|row| !is_held(row)).collect();
        if trained.is_empty() {
            return None;
        }
        let count = |rows: &[&FoldRow]| {
            of_patients(rows.len() as u64, distinct(rows.iter().map(|row| row.patient_id.as_str())))
        };
        let words = Words { title: "Split".to_owned(), lines: vec![count(&self.folds.iter().collect::<Vec<_>>())] };
        let out = Words { title: "Trained on, not tested".to_owned(), lines: vec![count(&trained)] };
        Some(Step { words, out: Some(out) })
    }
}

/// What was tested, and by what: the same slices by every run, as [`Predictions::assemble`] makes sure.
fn tested(predictions: &Predictions) -> Words {
    let folds = predictions.folds().len() as u64;
    let runs = predictions.runs().count() as u64;
    let methods = predictions.methods.len() as u64;
    let by = match (methods, runs) {
        (_, 1) => "once".to_owned(),
        (1, _) => format!("once with each of {runs} seeds"),
        _ if runs == methods => format!("once by each of {methods} methods, one seed each"),
        _ => format!("once by each of {methods} methods with each of its seeds, {runs} times in all"),
    };
    let kept = if folds == 1 { "in one test set".to_owned() } else { format!("in {folds} folds by patient") };
    Words {
        title: "Tested".to_owned(),
        lines: vec![of_patients(predictions.slices.len() as u64, predictions.patients.len() as u64), by, kept],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::NOTHING;
    use crate::predictions::Row;

    fn slice(patient: &str, index: usize, label: i64, flags: &[&str]) -> SliceRow {
        SliceRow {
            slice_id: format!("{patient}/s/{index}"),
            patient_id: patient.into(),
            series_id: "s".into(),
            label,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        }
    }

    fn left_out(slice: Option<&str>, patient: &str, reason: &str) -> ExcludedRow {
        ExcludedRow { slice_id: slice.map(str::to_owned), patient_id: patient.into(), reason: reason.into() }
    }

    /// Patients p and q are tested, r is trained on, t is dropped, u has no slice with a mask, v has a scout alone, w no file.
    fn before() -> Before {
        let slices = vec![
            slice("p", 0, 0, &[]),
            slice("p", 1, 0, &["one_lung", "touches_border"]),
            slice("q", 0, 1, &["one_lung"]),
            slice("r", 0, 1, &[]),
            slice("t", 0, 1, &[]),
        ];
        let fold = |row: &SliceRow, fold| FoldRow {
            slice_id: row.slice_id.clone(),
            patient_id: row.patient_id.clone(),
            label: row.label,
            fold,
        };
        let folds = slices.iter().zip([0, 0, 0, 1]).map(|(row, of)| fold(row, of)).collect();
        let excluded = vec![
            left_out(Some("p/s/2"), "p", "little_lung"),
            left_out(Some("u/s/0"), "u", "empty_mask"),
            left_out(None, "v", "localizer"),
            left_out(None, "p", "localizer"),
            left_out(None, "w", "no_ct"),
        ];
        Before { slices, excluded, folds, fold_count: 1, of_pictures: false }
    }

    fn predictions() -> Predictions {
        let row = |slice: &SliceRow| Row {
            slice_id: slice.slice_id.clone(),
            patient_id: slice.patient_id.clone(),
            label: slice.label,
            method: "m".into(),
            fold: 0,
            seed: 0,
            prob: vec![0.5, 0.5],
            attention: NOTHING,
        };
        Predictions::assemble(before().slices[..3].iter().map(row).collect(), &[]).unwrap()
    }

    #[test]
    fn counts_by_hand_add_up() {
        let flow = before().flow(&["well".to_owned(), "ill".to_owned()], &predictions());
        let lines = |step: usize| flow.steps[step].words.lines.join("; ");
        let out = |step: usize| {
            let words = flow.steps[step].out.as_ref().unwrap();
            format!("{} / {}", words.title, words.lines.join("; "))
        };
        assert_eq!(lines(0), "7 patients; 7 slices and 2 other files");
        assert_eq!(
            out(0),
            "Left out before segmentation: 2 files / localizer: 2; all there is of 1 patient: v; labelled, without CT: 1 patient: w"
        );
        assert_eq!(lines(1), "7 slices of 5 patients; in 5 series");
        assert_eq!(
            out(1),
            "Left out for their lung mask: 2 slices / empty mask: 1; little lung: 1; all slices of 1 patient: u"
        );
        assert_eq!(
            lines(2),
            "5 slices of 4 patients; kept with a remark on the mask: 2 slices (one lung: 2, touches border: 1)"
        );
        assert_eq!(out(2), "In no fold / 1 slice of 1 patient");
        assert_eq!(lines(3), "4 slices of 3 patients");
        assert_eq!(out(3), "Trained on, not tested / 1 slice of 1 patient");
        assert_eq!(lines(4), "3 slices of 2 patients; once; in one test set");
        assert_eq!(flow.classes[0].lines, ["1 patient", "2 slices"]);
        assert_eq!(flow.classes[1].lines, ["1 patient", "1 slice"]);
    }

    #[test]
    fn nothing_left_out_is_two_boxes_less() {
        let mut before = before();
        before.excluded.clear();
        before.slices.truncate(3);
        before.folds.truncate(3);
        let flow = before.flow(&["well".to_owned(), "ill".to_owned()], &predictions());
        let titles: Vec<&str> = flow.steps.iter().map(|step| step.words.title.as_str()).collect();
        assert_eq!(titles, ["Input, segmented", "With a lung mask", "Tested"]);
        assert!(flow.steps.iter().all(|step| step.out.is_none()));
        assert_eq!(folds(&predictions())[0].all(), (2, 3));
    }
}
