//! Patients who may be several people under one PatientID, as de-identification leaves them: `ANON` in every file.

use std::collections::{BTreeMap, BTreeSet};

use crate::dicom;
use crate::privacy::Naming;

/// A note on patients whose studies lie in top folders of their own; `None` if there are none. Mostly a folder of the input holds all
/// studies of a patient; where it does not, the folders may be people.
pub fn note(series: &[dicom::Series], naming: &Naming) -> Option<String> {
    let mut studies: BTreeMap<&str, BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
    for one in series {
        for slice in &one.slices {
            let mut parts = slice.file.components();
            let top = parts.next().filter(|_| parts.next().is_some());
            let top = top.map_or_else(String::new, |part| part.as_os_str().to_string_lossy().into_owned());
            studies.entry(&one.patient).or_default().entry(top).or_default().insert(&slice.study);
        }
    }
    let is_shared = |folders: &BTreeMap<String, BTreeSet<&str>>| {
        let all: BTreeSet<&str> = folders.values().flatten().copied().collect();
        folders.len() > 1 && all.len() == folders.len() && folders.values().all(|studies| studies.len() == 1)
    };
    let shared = studies.into_iter().filter(|(_, folders)| is_shared(folders));
    let named: Vec<String> = shared
        .filter_map(|(raw, folders)| Some(format!("{} ({} folders)", naming.patient(raw).ok()?, folders.len())))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "patients whose studies lie in folders of their own, each counted as one patient: {}; if the folders are different people, name \
             them in the labels: columns folder,label",
            named.join(", ")
        )
    })
}
