//! The folds, held against the predictions: what should have been tested was, once, and by the right fold.

use crate::predictions::{Fault, Predictions};

/// A row of folds.parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldRow {
    /// Slice.
    pub slice_id: String,
    /// Patient.
    pub patient_id: String,
    /// True class.
    pub label: i64,
    /// Fold that holds it out.
    pub fold: i64,
}

/// Checks that the predictions are those of `rows` with a fold below `folds`, no more and no less, with the same
/// patient, label and fold.
///
/// # Errors
/// The first slice that differs.
pub fn check(rows: &[FoldRow], folds: usize, predictions: &Predictions) -> Result<(), Fault> {
    let held_out = |row: &&FoldRow| usize::try_from(row.fold).is_ok_and(|fold| fold < folds);
    let mut expected = vec![false; predictions.slices.len()];
    for row in rows.iter().filter(held_out) {
        let found = predictions.slices.binary_search_by(|slice| slice.id.cmp(&row.slice_id));
        let place = found.map_err(|_| unequal(&row.slice_id, "the folds", "the predictions"))?;
        expected[place] = true;
        let index = predictions.slices[place].patient;
        let patient = &predictions.patients[index];
        let tested = |of: i64| format!("patient {}, label {}, fold {of} in the predictions", patient.id, patient.label);
        let folded = format!("patient {}, label {}, fold {} in the folds", row.patient_id, row.label, row.fold);
        for run in predictions.runs() {
            let fold = run.patient_fold[index];
            if (patient.id.as_str(), patient.label as i64, fold) != (row.patient_id.as_str(), row.label, row.fold) {
                let what = format!("slice {}", row.slice_id);
                return Err(Fault::Conflict { what, first: tested(fold), second: folded });
            }
        }
    }
    match expected.iter().position(|expected| !expected) {
        None => Ok(()),
        Some(place) => Err(unequal(&predictions.slices[place].id, "the predictions", "the folds")),
    }
}

fn unequal(slice: &str, present: &str, absent: &str) -> Fault {
    Fault::Unequal { slice: slice.to_owned(), present: present.to_owned(), absent: absent.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Row;

    fn case(slice: &str, patient: &str, label: i64, fold: i64) -> (Row, FoldRow) {
        let row = Row {
            slice_id: slice.into(),
            patient_id: patient.into(),
            label,
            method: "m".into(),
            fold,
            seed: 0,
            prob: vec![0.5, 0.5],
            attention: crate::measure::NOTHING,
        };
        let fold = FoldRow { slice_id: slice.into(), patient_id: patient.into(), label, fold };
        (row, fold)
    }

    #[test]
    fn predictions_and_folds_agree_or_it_is_said() {
        let (rows, mut folds): (Vec<_>, Vec<_>) = [case("s1", "p", 0, 0), case("s2", "q", 1, 1)].into_iter().unzip();
        let predictions = Predictions::assemble(rows, &[]).unwrap();
        assert_eq!(check(&folds, 2, &predictions), Ok(()));
        // The training side of a split column is no fold that is tested.
        folds.push(case("s3", "r", 1, 2).1);
        assert_eq!(check(&folds, 2, &predictions), Ok(()));
        assert!(matches!(check(&folds, 3, &predictions), Err(Fault::Unequal { .. })));
        assert!(matches!(check(&folds[..1], 2, &predictions), Err(Fault::Unequal { .. })));
        folds[0].label = 1;
        assert!(matches!(check(&folds, 2, &predictions), Err(Fault::Conflict { .. })));
    }
}
