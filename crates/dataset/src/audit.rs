//! Audits that fail the run: what would let a test slice be known before it is tested.
//!
//! A patient in two folds, an image in two folds, an image with two labels, a class missing from a side of a fold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::folds::Row;
use crate::slices::Slice;

/// Offenders named in a message.
const SHOWN: usize = 5;

/// Remedies, by finding.
const ONE_LABEL: &str =
    "correct the label of one of them, or leave one of them out (its row of the manifest, or its series)";
const ONE_FOLD: &str = "give all rows of a patient one split or one fold";
const ONE_IMAGE: &str = "give both patients one split or one fold, or leave one of the images out";
const EACH_CLASS: &str = "move patients of that class to that side, or take the class out of classes";
/// How a pseudonym of a message becomes the id that the user knows.
const WHO: &str = "`chumoku-preprocess whois PSEUDONYM --config STUDY.yaml` prints the id behind a pseudonym";

/// The first few of `all`, and how many more there are.
pub fn some_of(all: Vec<String>) -> String {
    let more = all.len().saturating_sub(SHOWN);
    let shown = all.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// One kind of fault and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The fault.
    pub what: String,
    /// Patients, slices or classes that have it; never empty.
    pub offenders: Vec<String>,
    /// What to do.
    pub remedy: &'static str,
}

impl Finding {
    /// A finding, unless nobody offends.
    pub fn new(what: &str, offenders: Vec<String>, remedy: &'static str) -> Option<Self> {
        (!offenders.is_empty()).then(|| Self { what: what.to_owned(), offenders, remedy })
    }
}

/// The folds must not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditError {
    /// At least one.
    pub findings: Vec<Finding>,
}

impl AuditError {
    /// An error if there is any finding.
    ///
    /// # Errors
    /// There is.
    pub fn of(findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self { findings }) }
    }
}

impl std::error::Error for AuditError {}

impl fmt::Display for AuditError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |finding: &Finding| {
            let Finding { what, offenders, remedy } = finding;
            format!("{what} ({}): {}; {remedy}", offenders.len(), some_of(offenders.clone()))
        };
        let all: Vec<String> = self.findings.iter().map(one).collect();
        write!(formatter, "audit failed: {}", all.join(". Also: "))?;
        write!(formatter, "; {WHO}")
    }
}

/// No image may be of two classes, whatever the folds.
///
/// # Errors
/// One is; the slices are named.
pub fn images_have_one_label(slices: &[Slice]) -> Result<(), AuditError> {
    let key = |slice: &Slice| (slice.image.clone(), slice.label, format!("{} (label {})", slice.slice_id, slice.label));
    let offenders = conflicts(slices.iter().map(key));
    AuditError::of(Finding::new("images with two labels", offenders, ONE_LABEL).into_iter().collect())
}

/// How messages call a fold.
pub fn name(fold: i32) -> String {
    format!("fold {fold}")
}

/// All audits of an assignment. `classes` are the names of labels 0, 1, ...; folds 0..`held_out` are held out in turn.
/// `name` is how messages call a fold. Returns warnings: faults that leak nothing.
///
/// # Errors
/// At least one audit fails; every one that does is in the error.
pub fn check(
    rows: &[Row],
    classes: &[String],
    held_out: usize,
    name: fn(i32) -> String,
) -> Result<Vec<String>, AuditError> {
    let patients =
        rows.iter().map(|row| (row.patient_id.clone(), row.fold, format!("{} in {}", row.patient_id, name(row.fold))));
    let place = |row: &Row| format!("{} (patient {}, {})", row.slice_id, row.patient_id, name(row.fold));
    let images = rows.iter().map(|row| (row.image.clone(), row.fold, place(row)));
    let labels =
        rows.iter().map(|row| (row.image.clone(), row.label, format!("{} (label {})", row.slice_id, row.label)));
    let findings = [
        Finding::new("patients in two folds", conflicts(patients), ONE_FOLD),
        Finding::new("images in two folds", conflicts(images), ONE_IMAGE),
        Finding::new("images with two labels", conflicts(labels), ONE_LABEL),
        Finding::new("classes missing from a side of a fold", missing_classes(rows, classes, held_out), EACH_CLASS),
    ];
    AuditError::of(findings.into_iter().flatten().collect())?;
    Ok(repeats(rows))
}

/// Keys with more than one value, each as the words of one row of every value: `a = b`.
fn conflicts<V: Ord>(rows: impl Iterator<Item = (String, V, String)>) -> Vec<String> {
    let mut found: BTreeMap<String, BTreeMap<V, String>> = BTreeMap::new();
    for (key, value, words) in rows {
        found.entry(key).or_default().entry(value).or_insert(words);
    }
    let several = found.into_values().filter(|values| values.len() > 1);
    let mut all: Vec<String> = several.map(|values| values.into_values().collect::<Vec<_>>().join(" = ")).collect();
    all.sort();
    all
}

fn missing_classes(rows: &[Row], classes: &[String], held_out: usize) -> Vec<String> {
    let present: BTreeSet<(i32, i32)> = rows.iter().map(|row| (row.fold, row.label)).collect();
    let has =
        |label: i32, side: &dyn Fn(i32) -> bool| present.iter().any(|(fold, found)| *found == label && side(*fold));
    let mut missing = Vec::new();
    for fold in 0..i32::try_from(held_out).unwrap_or(i32::MAX) {
        for (label, class) in (0..).zip(classes) {
            if !has(label, &|other| other == fold) {
                missing.push(format!("{class} in the test side of fold {fold}"));
            }
            if !has(label, &|other| other != fold) {
                missing.push(format!("{class} in the training side of fold {fold}"));
            }
        }
    }
    missing
}

/// Images that occur more than once where it leaks nothing: in one patient, or in patients of one fold.
fn repeats(rows: &[Row]) -> Vec<String> {
    let mut found: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for row in rows {
        let (count, patients) = found.entry(&row.image).or_default();
        *count += 1;
        patients.insert(&row.patient_id);
    }
    let count = |across: bool| {
        let chosen = found.values().filter(|(count, patients)| *count > 1 && (patients.len() > 1) == across);
        chosen.map(|(count, _)| count - 1).sum::<usize>()
    };
    let [within, across] = [count(false), count(true)];
    let mut warnings = Vec::new();
    if within > 0 {
        warnings.push(format!("{within} slices repeat an image of the same patient; they weigh more than the others"));
    }
    if across > 0 {
        warnings.push(format!("{across} slices repeat an image of another patient of the same fold"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(slice_id: &str, patient_id: &str, label: i32, fold: i32, image: &str) -> Row {
        let [slice_id, patient_id, image] = [slice_id, patient_id, image].map(str::to_owned);
        Row { slice_id, patient_id, label, fold, image }
    }

    /// Two classes in each of two folds.
    fn good() -> Vec<Row> {
        vec![
            row("s0", "p0", 0, 0, "i0"),
            row("s1", "p1", 1, 0, "i1"),
            row("s2", "p2", 0, 1, "i2"),
            row("s3", "p3", 1, 1, "i3"),
        ]
    }

    fn audit(rows: &[Row], held_out: usize) -> Result<Vec<String>, AuditError> {
        check(rows, &["common".to_owned(), "covid".to_owned()], held_out, name)
    }

    /// The only finding of the good rows and `more`.
    fn finding(more: Row) -> Finding {
        let rows = [good(), vec![more]].concat();
        let error = audit(&rows, 2).unwrap_err();
        assert_eq!(error.findings.len(), 1, "{error}");
        error.findings[0].clone()
    }

    #[test]
    fn good_folds_pass() {
        assert_eq!(audit(&good(), 2), Ok(vec![]));
        assert_eq!(audit(&good(), 1), Ok(vec![]));
    }

    #[test]
    fn a_patient_in_two_folds_fails() {
        let found = finding(row("s4", "p0", 0, 1, "i4"));
        assert_eq!(
            (found.what.as_str(), found.offenders),
            ("patients in two folds", vec!["p0 in fold 0 = p0 in fold 1".to_owned()])
        );
    }

    #[test]
    fn an_image_in_two_folds_fails() {
        let found = finding(row("s4", "p4", 0, 1, "i0"));
        assert_eq!(found.what, "images in two folds");
        assert_eq!(found.offenders, ["s0 (patient p0, fold 0) = s4 (patient p4, fold 1)"]);
    }

    #[test]
    fn an_image_with_two_labels_fails() {
        let found = finding(row("s4", "p4", 1, 0, "i0"));
        assert_eq!(
            (found.what.as_str(), found.offenders),
            ("images with two labels", vec!["s0 (label 0) = s4 (label 1)".to_owned()])
        );
    }

    #[test]
    fn a_missing_class_fails_on_either_side() {
        let error = audit(&good()[..3], 2).unwrap_err();
        assert_eq!(
            error.findings[0].offenders,
            ["covid in the training side of fold 0", "covid in the test side of fold 1"]
        );
    }

    #[test]
    fn harmless_repeats_are_counted() {
        let more = [row("s4", "p0", 0, 0, "i0"), row("s5", "p0", 0, 0, "i0"), row("s6", "p9", 0, 1, "i2")];
        let warnings = audit(&[good(), more.to_vec()].concat(), 2).unwrap();
        assert!(warnings[0].starts_with("2 slices repeat an image of the same patient"), "{warnings:?}");
        assert!(warnings[1].starts_with("1 slices repeat an image of another patient"), "{warnings:?}");
    }

    #[test]
    fn five_offenders_are_named_and_the_rest_counted() {
        let more = (0..7).flat_map(|at| {
            let patient = format!("q{at}");
            [0, 1].map(|fold| row(&format!("t{at}-{fold}"), &patient, 0, fold, &format!("j{at}-{fold}")))
        });
        let text = audit(&good().into_iter().chain(more).collect::<Vec<_>>(), 2).unwrap_err().to_string();
        assert!(text.starts_with("audit failed: patients in two folds (7): q0 in fold 0"), "{text}");
        assert!(
            text.contains("q4 in fold 0 = q4 in fold 1 and 2 more; give all rows of a patient one split")
                && text.ends_with(WHO),
            "{text}"
        );
    }
}
