//! Predictions of several methods and seeds on the same slices, checked.
//!
//! What holds past [`Predictions::assemble`]: every method and seed has each slice exactly once, all of them the same
//! slices; a slice has one patient and one label, a patient has one label and, within a run, one fold; probabilities
//! are finite, in 0..1 and sum to 1.

use std::collections::BTreeMap;

use crate::measure::Measures;

/// How far the sum of a slice's probabilities may be from 1: f32 softmax of a few classes, or rounding to 3 decimals.
pub const SUM_TOLERANCE: f64 = 1e-3;

/// One row of a predictions file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Id of the slice.
    pub slice_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// True class.
    pub label: i64,
    /// Method's name.
    pub method: String,
    /// Fold that held the slice out.
    pub fold: i64,
    /// Seed of the run.
    pub seed: i64,
    /// K probabilities.
    pub prob: Vec<f64>,
    /// What was measured on the attention map.
    pub attention: Measures,
}

/// What is wrong with a set of predictions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No row.
    #[error("no predictions; run the train stage first")]
    Empty,
    /// Not a distribution over the classes.
    #[error(
        "slice {slice}, method {method}: prob: expected {classes} probabilities in 0..1 that sum to 1 within {SUM_TOLERANCE}, \
         got {got}; write the softmax of all classes, and predict again"
    )]
    Probabilities {
        /// The slice.
        slice: String,
        /// The method.
        method: String,
        /// Number of classes.
        classes: usize,
        /// The values found.
        got: String,
    },
    /// A label that is no class.
    #[error(
        "slice {slice}: label: expected a label from 0 to {last}, got {label}; number the classes from 0, one probability each"
    )]
    Label {
        /// The slice.
        slice: String,
        /// The label found.
        label: i64,
        /// The last class.
        last: usize,
    },
    /// A slice that was tested twice in a run.
    #[error(
        "slice {slice} occurs twice for method {method}, seed {seed}; each slice is tested once per method and seed: leave one \
         row out, or tell the runs apart by the columns method and seed"
    )]
    Twice {
        /// The slice.
        slice: String,
        /// The method.
        method: String,
        /// The seed.
        seed: i64,
    },
    /// Two runs that were tested on different slices.
    #[error(
        "slice {slice} is in {present} and not in {absent}; a comparison needs the same slices on both sides: predict it in \
         both or in none"
    )]
    Unequal {
        /// The slice.
        slice: String,
        /// Run that has it.
        present: String,
        /// Run that lacks it.
        absent: String,
    },
    /// A patient that was tested in one set of CT and not in the other.
    #[error("patient {patient} is in {present} and not in {absent}; run preprocess and train again")]
    Patient {
        /// The patient.
        patient: String,
        /// Set that has it.
        present: String,
        /// Set that lacks it.
        absent: String,
    },
    /// A slice or patient described in two ways.
    #[error("{what} has {first} and {second}; expected one of them in all rows: correct the others")]
    Conflict {
        /// Slice or patient, and its id.
        what: String,
        /// One description.
        first: String,
        /// The other.
        second: String,
    },
    /// A run's file that holds rows of another run.
    #[error("expected rows of {expected}, got a row of {got}; delete the file and train this run again")]
    OtherRun {
        /// Run of the folder.
        expected: String,
        /// Run of the row.
        got: String,
    },
    /// A patient on both sides of a fold.
    #[error(
        "patient {patient} is held out in folds {first} and {second} of {run}, so each of these runs was trained on \
         the patient it is tested on; make the folds by patient and train again"
    )]
    Leak {
        /// The patient.
        patient: String,
        /// The method and seed.
        run: String,
        /// A fold.
        first: i64,
        /// Another.
        second: i64,
    },
}

impl Fault {
    /// Rows of a file that it is about, counted from 0: of a repeated slice all, of two descriptions the first of each.
    pub fn rows(&self, rows: &[Row]) -> Vec<usize> {
        let all = |of: &dyn Fn(&Row) -> bool| (0..rows.len()).filter(|place| of(&rows[*place])).collect::<Vec<_>>();
        let first_of_each = |of: &dyn Fn(&Row) -> bool| {
            let members = all(of);
            let differs = |place: &&usize| {
                rows[**place].label != rows[members[0]].label || rows[**place].patient_id != rows[members[0]].patient_id
            };
            let other = members.iter().find(differs).copied();
            members.first().copied().into_iter().chain(other).collect()
        };
        match self {
            Self::Probabilities { slice, method, .. } => {
                let is_wrong = |row: &Row| {
                    row.slice_id == *slice && row.method == *method && check_row(row, rows[0].prob.len()).is_err()
                };
                all(&is_wrong).into_iter().take(1).collect()
            }
            Self::Label { slice, label, .. } => {
                all(&|row| row.slice_id == *slice && row.label == *label).into_iter().take(1).collect()
            }
            Self::Twice { slice, method, seed } => {
                all(&|row| row.slice_id == *slice && row.method == *method && row.seed == *seed)
            }
            Self::Unequal { slice, .. } => all(&|row| row.slice_id == *slice).into_iter().take(1).collect(),
            Self::Conflict { what, .. } => {
                let (kind, id) = what.split_once(' ').unwrap_or((what, ""));
                first_of_each(&|row| if kind == "slice" { row.slice_id == id } else { row.patient_id == id })
            }
            Self::Leak { patient, first, second, .. } => {
                let held_out =
                    |fold: &i64| all(&|row| row.patient_id == *patient && row.fold == *fold).into_iter().next();
                [first, second].into_iter().filter_map(held_out).collect()
            }
            Self::Empty | Self::Patient { .. } | Self::OtherRun { .. } => Vec::new(),
        }
    }
}

/// A patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// Pseudonym.
    pub id: String,
    /// True class.
    pub label: usize,
}

/// A slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Id.
    pub id: String,
    /// Index of its patient.
    pub patient: usize,
}

/// The predictions of one method trained with one seed, all folds pooled.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Seed.
    pub seed: i64,
    /// Fold that held each patient out, in the order of [`Predictions::patients`].
    pub patient_fold: Vec<i64>,
    /// (slices, K) row-major, in the order of [`Predictions::slices`].
    pub prob: Vec<f64>,
    /// What was measured on the attention maps, by slice.
    pub attention: Vec<Measures>,
}

/// One method with all its seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Name in the study.
    pub name: String,
    /// Runs by ascending seed.
    pub runs: Vec<Run>,
}

/// All predictions of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Number of classes, K.
    pub classes: usize,
    /// Slices by ascending id.
    pub slices: Vec<Slice>,
    /// Patients by ascending id.
    pub patients: Vec<Patient>,
    /// Methods: those asked for in their order, then others by name.
    pub methods: Vec<Method>,
}

/// Checks each row by itself: label and probabilities.
///
/// # Errors
/// The first row that is not a distribution over the classes of the first one, or whose label is no class.
pub fn check_rows(rows: &[Row]) -> Result<(), Fault> {
    let classes = rows.first().ok_or(Fault::Empty)?.prob.len();
    rows.iter().try_for_each(|row| check_row(row, classes))
}

fn check_row(row: &Row, classes: usize) -> Result<(), Fault> {
    let inside = |p: &f64| p.is_finite() && (-SUM_TOLERANCE..=1.0 + SUM_TOLERANCE).contains(p);
    let sums = (row.prob.iter().sum::<f64>() - 1.0).abs() <= SUM_TOLERANCE;
    if classes < 2 || row.prob.len() != classes || !row.prob.iter().all(inside) || !sums {
        let (slice, method) = (row.slice_id.clone(), row.method.clone());
        return Err(Fault::Probabilities { slice, method, classes: classes.max(2), got: format!("{:?}", row.prob) });
    }
    if usize::try_from(row.label).is_ok_and(|label| label < classes) {
        return Ok(());
    }
    Err(Fault::Label { slice: row.slice_id.clone(), label: row.label, last: classes - 1 })
}

fn run_name(method: &str, seed: i64) -> String {
    format!("method {method}, seed {seed}")
}

impl Predictions {
    /// Puts rows of any order together. `order` names methods that come first.
    ///
    /// # Errors
    /// The first contradiction found; see [`Fault`].
    pub fn assemble(rows: Vec<Row>, order: &[String]) -> Result<Self, Fault> {
        check_rows(&rows)?;
        let classes = rows[0].prob.len();
        let runs = grouped(rows)?;
        let slice_rows = same_slices(&runs)?;
        let (slices, patients) = index(slice_rows)?;
        let place = |name: &str| order.iter().position(|known| known == name).unwrap_or(order.len());
        let mut methods: Vec<Method> = Vec::new();
        for ((name, seed), rows) in &runs {
            let run = run(name, *seed, rows, &slices, &patients)?;
            match methods.iter_mut().find(|method| method.name == *name) {
                Some(method) => method.runs.push(run),
                None => methods.push(Method { name: name.clone(), runs: vec![run] }),
            }
        }
        methods.sort_by_key(|method| (place(&method.name), method.name.clone()));
        Ok(Self { classes, slices, patients, methods })
    }

    /// The method of that name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// All runs, method by method.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.methods.iter().flat_map(|method| &method.runs)
    }

    /// Patients of each class: indices by label.
    pub fn strata(&self) -> Vec<Vec<usize>> {
        let of = |label| (0..self.patients.len()).filter(|index| self.patients[*index].label == label).collect();
        (0..self.classes).map(of).collect()
    }

    /// All folds that occur, ascending.
    pub fn folds(&self) -> Vec<i64> {
        let all = self.runs().flat_map(|run| &run.patient_fold);
        all.copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// All seeds that occur, ascending.
    pub fn seeds(&self) -> Vec<i64> {
        let all = self.runs().map(|run| run.seed);
        all.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

type Runs = BTreeMap<(String, i64), Vec<Row>>;

/// Rows by method and seed, each sorted by slice, no slice twice.
fn grouped(rows: Vec<Row>) -> Result<Runs, Fault> {
    let mut runs = Runs::new();
    for row in rows {
        runs.entry((row.method.clone(), row.seed)).or_default().push(row);
    }
    for ((method, seed), rows) in &mut runs {
        rows.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
        if let Some(pair) = rows.windows(2).find(|pair| pair[0].slice_id == pair[1].slice_id) {
            return Err(Fault::Twice { slice: pair[0].slice_id.clone(), method: method.clone(), seed: *seed });
        }
    }
    Ok(runs)
}

/// The slices of the first run, which must be those of every other, with the same patient and label.
fn same_slices(runs: &Runs) -> Result<&[Row], Fault> {
    let Some((first, reference)) = runs.iter().next() else { return Err(Fault::Empty) };
    for (name, rows) in runs.iter().skip(1) {
        let (mut a, mut b) = (reference.iter().peekable(), rows.iter().peekable());
        loop {
            let unequal = |row: &Row, present: &(String, i64), absent: &(String, i64)| Fault::Unequal {
                slice: row.slice_id.clone(),
                present: run_name(&present.0, present.1),
                absent: run_name(&absent.0, absent.1),
            };
            match (a.next(), b.next()) {
                (None, None) => break,
                (Some(row), None) => return Err(unequal(row, first, name)),
                (None, Some(row)) => return Err(unequal(row, name, first)),
                (Some(x), Some(y)) if x.slice_id < y.slice_id => return Err(unequal(x, first, name)),
                (Some(x), Some(y)) if x.slice_id > y.slice_id => return Err(unequal(y, name, first)),
                (Some(x), Some(y)) => same_description(x, y)?,
            }
        }
    }
    Ok(reference)
}

fn same_description(x: &Row, y: &Row) -> Result<(), Fault> {
    if x.patient_id == y.patient_id && x.label == y.label {
        return Ok(());
    }
    let describe = |row: &Row| format!("patient {} and label {} ({})", row.patient_id, row.label, row.method);
    Err(Fault::Conflict { what: format!("slice {}", x.slice_id), first: describe(x), second: describe(y) })
}

/// Slices and patients of checked rows.
fn index(rows: &[Row]) -> Result<(Vec<Slice>, Vec<Patient>), Fault> {
    let mut labels: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        let known = *labels.entry(&row.patient_id).or_insert(row.label);
        if known != row.label {
            let what = format!("patient {}", row.patient_id);
            let (first, second) = (format!("label {known}"), format!("label {}", row.label));
            return Err(Fault::Conflict { what, first, second });
        }
    }
    let place: BTreeMap<&str, usize> = labels.keys().enumerate().map(|(index, id)| (*id, index)).collect();
    let slices = rows.iter().map(|row| Slice { id: row.slice_id.clone(), patient: place[row.patient_id.as_str()] });
    let label = |label: i64| usize::try_from(label).expect("labels were checked to be classes");
    let patients = labels.iter().map(|(id, of)| Patient { id: (*id).to_owned(), label: label(*of) });
    Ok((slices.collect(), patients.collect()))
}

fn run(name: &str, seed: i64, rows: &[Row], slices: &[Slice], patients: &[Patient]) -> Result<Run, Fault> {
    let mut folds: Vec<Option<i64>> = vec![None; patients.len()];
    for (row, slice) in rows.iter().zip(slices) {
        let fold = *folds[slice.patient].get_or_insert(row.fold);
        if fold != row.fold {
            let (patient, run) = (patients[slice.patient].id.clone(), run_name(name, seed));
            return Err(Fault::Leak { patient, run, first: fold.min(row.fold), second: fold.max(row.fold) });
        }
    }
    Ok(Run {
        seed,
        patient_fold: folds.into_iter().map(|fold| fold.expect("every patient comes from a slice")).collect(),
        prob: rows.iter().flat_map(|row| row.prob.iter().copied()).collect(),
        attention: rows.iter().map(|row| row.attention).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    fn row(slice: &str, patient: &str, label: i64, method: &str, p: f64) -> Row {
        Row {
            slice_id: slice.into(),
            patient_id: patient.into(),
            label,
            method: method.into(),
            fold: 0,
            seed: 0,
            prob: vec![1.0 - p, p],
            attention: measure::NOTHING,
        }
    }

    fn two() -> Vec<Row> {
        ["b", "a"].iter().flat_map(|m| [row("s2", "q", 0, m, 0.25), row("s1", "p", 1, m, 0.75)]).collect()
    }

    #[test]
    fn order_of_rows_does_not_matter() {
        let forward = Predictions::assemble(two(), &["b".to_owned()]).unwrap();
        let backward = Predictions::assemble(two().into_iter().rev().collect(), &["b".to_owned()]).unwrap();
        assert_eq!(forward, backward);
        assert_eq!(forward.methods[0].name, "b");
        assert_eq!(forward.methods[0].runs[0].prob, [0.25, 0.75, 0.75, 0.25]);
        assert_eq!(forward.strata(), [vec![1], vec![0]]);
    }

    fn fault(change: impl FnOnce(&mut Vec<Row>)) -> Fault {
        let mut rows = two();
        change(&mut rows);
        Predictions::assemble(rows, &[]).unwrap_err()
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(Predictions::assemble(Vec::new(), &[]), Err(Fault::Empty));
        assert!(matches!(fault(|rows| rows[0].prob[0] = 0.5), Fault::Probabilities { .. }));
        assert!(matches!(fault(|rows| rows[0].prob[0] = f64::NAN), Fault::Probabilities { .. }));
        assert!(matches!(
            fault(|rows| rows[0].prob = vec![0.2, 0.3, 0.5]),
            Fault::Probabilities { .. } | Fault::Label { .. }
        ));
        assert!(matches!(fault(|rows| rows[0].label = 2), Fault::Label { label: 2, last: 1, .. }));
        assert!(matches!(fault(|rows| rows[0].slice_id = "s1".into()), Fault::Twice { .. }));
        assert!(matches!(fault(|rows| drop(rows.pop())), Fault::Unequal { .. }));
        assert!(matches!(fault(|rows| rows[0].label = 1), Fault::Conflict { .. }));
        assert!(matches!(
            fault(|rows| rows.iter_mut().for_each(|row| row.patient_id = "p".into())),
            Fault::Conflict { .. }
        ));
    }

    #[test]
    fn a_patient_in_two_folds_is_leakage() {
        let mut rows = two();
        rows.push(Row { fold: 1, ..row("s3", "p", 1, "a", 0.5) });
        rows.push(Row { fold: 1, ..row("s3", "p", 1, "b", 0.5) });
        let fault = Predictions::assemble(rows, &[]).unwrap_err();
        assert!(matches!(&fault, Fault::Leak { patient, first: 0, second: 1, .. } if patient == "p"), "{fault}");
    }
}
