//! From slices to patients, and to groups of patients that have to stay together.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::slices::Slice;

/// A patient: the unit that a fold holds out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// Pseudonym.
    pub id: String,
    /// Class index, the same for all slices.
    pub label: i32,
    /// Number of slices, at least 1.
    pub slices: usize,
}

/// Patients that share an image, or one patient alone; they have to be held out together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Class index.
    pub label: i32,
    /// Patients, sorted.
    pub patients: Vec<String>,
    /// Slices of all of them.
    pub slices: usize,
}

/// The patients of `slices`, sorted by id. `classes` are the names of labels 0, 1, ...
///
/// # Errors
/// A label is not one of the classes, or a patient has two.
pub fn patients(slices: &[Slice], classes: &[String]) -> Result<Vec<Patient>, Error> {
    let mut found: BTreeMap<&str, (&Slice, usize)> = BTreeMap::new();
    for slice in slices {
        let known = usize::try_from(slice.label).is_ok_and(|label| label < classes.len());
        if !known {
            return Err(Error::Label { slice: slice.slice_id.clone(), label: slice.label, classes: classes.len() });
        }
        let (first, count) = found.entry(&slice.patient_id).or_insert((slice, 0));
        if first.label != slice.label {
            return Err(two_labels(first, slice, classes));
        }
        *count += 1;
    }
    let patient =
        |(id, (first, slices)): (&str, (&Slice, usize))| Patient { id: id.to_owned(), label: first.label, slices };
    Ok(found.into_iter().map(patient).collect())
}

fn two_labels(first: &Slice, second: &Slice, classes: &[String]) -> Error {
    let words =
        |slice: &Slice| format!("{} ({}) in slice {}", slice.label, classes[slice.label as usize], slice.slice_id);
    Error::TwoLabels { patient: first.patient_id.clone(), first: words(first), second: words(second) }
}

/// Unites patients that share an identical image, directly or through others. Sorted by the first patient of each.
/// All patients of a group have one label, because no image has two (see [`crate::audit::images_have_one_label`]).
pub fn groups(patients: &[Patient], slices: &[Slice]) -> Vec<Group> {
    let index: BTreeMap<&str, usize> =
        patients.iter().enumerate().map(|(at, patient)| (patient.id.as_str(), at)).collect();
    let mut parent: Vec<usize> = (0..patients.len()).collect();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    for slice in slices {
        let patient = index[slice.patient_id.as_str()];
        let other = *owner.entry(&slice.image).or_insert(patient);
        let (a, b) = (root(&mut parent, patient), root(&mut parent, other));
        // The smaller index becomes the root, so that the order of rows does not matter.
        parent[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (at, patient) in patients.iter().enumerate() {
        let empty = || Group { label: patient.label, patients: Vec::new(), slices: 0 };
        let group = groups.entry(root(&mut parent, at)).or_insert_with(empty);
        group.patients.push(patient.id.clone());
        group.slices += patient.slices;
    }
    groups.into_values().collect()
}

/// The root of `at` in a forest of parents, halving the path on the way.
fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

/// A warning if patients were united, with up to five groups of them.
pub fn united(groups: &[Group]) -> Option<String> {
    const SHOWN: usize = 5;
    let shared: Vec<&Group> = groups.iter().filter(|group| group.patients.len() > 1).collect();
    if shared.is_empty() {
        return None;
    }
    let patients: BTreeSet<&String> = shared.iter().flat_map(|group| &group.patients).collect();
    let shown: Vec<String> = shared.iter().take(SHOWN).map(|group| group.patients.join(" = ")).collect();
    Some(format!(
        "{} patients share identical images and are kept together in {} groups ({}{}); they may be the same people",
        patients.len(),
        shared.len(),
        shown.join("; "),
        if shared.len() > SHOWN { "; ..." } else { "" }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(slice_id: &str, patient_id: &str, label: i32, image: &str) -> Slice {
        let [slice_id, patient_id, image] = [slice_id, patient_id, image].map(str::to_owned);
        Slice { slice_id, patient_id, label, source: String::new(), image }
    }

    fn classes() -> Vec<String> {
        vec!["common".to_owned(), "covid".to_owned()]
    }

    #[test]
    fn a_patient_with_two_labels_is_named_with_both() {
        let slices = [slice("a", "P1", 0, "x"), slice("b", "P1", 1, "y")];
        let error = patients(&slices, &classes()).unwrap_err();
        assert_eq!(contract::Exit::Input, contract::Coded::exit(&error));
        let text = error.to_string();
        for part in ["\"P1\"", "0 (common)", "1 (covid)"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_label_without_a_class_is_refused() {
        for label in [-1, 2] {
            let error = patients(&[slice("a", "P1", label, "x")], &classes()).unwrap_err();
            assert!(matches!(error, Error::Label { .. }), "{error}");
        }
    }

    #[test]
    fn sharing_is_transitive_and_keeps_ids() {
        // P1 and P3 share x, P3 and P4 share y: one group of three. P2 stays alone.
        let slices = [
            slice("a", "P1", 0, "x"),
            slice("b", "P2", 0, "z"),
            slice("c", "P3", 0, "x"),
            slice("d", "P3", 0, "y"),
            slice("e", "P4", 0, "y"),
        ];
        let found = groups(&patients(&slices, &classes()).unwrap(), &slices);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].patients.join(" "), found[0].slices), ("P1 P3 P4".to_owned(), 4));
        assert_eq!((found[1].patients.join(" "), found[1].slices), ("P2".to_owned(), 1));
        assert!(
            united(&found).unwrap().contains("3 patients share identical images and are kept together in 1 groups")
        );
    }

    #[test]
    fn an_image_twice_in_one_patient_unites_nobody() {
        let slices = [slice("a", "P1", 0, "x"), slice("b", "P1", 0, "x"), slice("c", "P2", 0, "y")];
        let found = groups(&patients(&slices, &classes()).unwrap(), &slices);
        assert_eq!(found.len(), 2);
        assert_eq!(united(&found), None);
    }
}
