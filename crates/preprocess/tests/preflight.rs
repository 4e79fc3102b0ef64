//! The check of the orientation on real slices: straight they pass, flipped they do not.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};
use preprocess::hounsfield;
use preprocess::preflight::{self, Clue, Finding, Scope};
use preprocess::survey::Survey;

fn slices(folder: &Path) -> Vec<Array2<f32>> {
    let mut files: Vec<PathBuf> = contract::hash::walk(folder).expect("a folder");
    files.retain(|file| file.extension().is_some_and(|extension| extension == "dcm"));
    files.iter().map(|file| hounsfield::read(&folder.join(file), None).expect("a slice")).collect()
}

fn clues(slices: &[Array2<f32>]) -> Vec<Clue> {
    slices.iter().filter_map(|hu| preflight::clue(&Survey::new(hu))).collect()
}

#[test]
fn real_slices_pass_straight_and_fail_flipped() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; the check is not tried on real slices");
        return;
    };
    let straight = slices(&Path::new(&shared).join("data/ct-dicom"));
    let flipped = |axis| {
        let mut slices = straight.clone();
        slices.iter_mut().for_each(|slice| slice.invert_axis(axis));
        clues(&slices)
    };
    let found = clues(&straight);
    assert!(found.len() >= 10, "{} of 20 slices show both lungs", found.len());
    // Ten patients are a study; taken as one series they are held to the stricter rule.
    assert_eq!(preflight::orientation(&found, Scope::Study), None);
    assert_eq!(preflight::orientation(&found, Scope::Series), None);
    let front_back = preflight::orientation(&flipped(Axis(0)), Scope::Study);
    assert!(matches!(front_back, Some(Finding::FrontBack { .. })), "{front_back:?}");
    let left_right = preflight::orientation(&flipped(Axis(1)), Scope::Study);
    assert!(matches!(left_right, Some(Finding::LeftRight { .. })), "{left_right:?}");
}
