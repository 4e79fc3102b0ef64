//! The check of the orientation on real slices, with the shipped model: straight they pass, flipped they do not.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};
use preprocess::lungs::{self, Frame};
use preprocess::model::{LungModel, Trust};
use preprocess::preflight::{self, Clue, Finding, Scope};
use preprocess::survey::Survey;
use preprocess::{hounsfield, protocol};

fn slices(folder: &Path) -> Vec<Array2<f32>> {
    let mut files: Vec<PathBuf> = contract::hash::walk(folder).expect("a folder");
    files.retain(|file| file.extension().is_some_and(|extension| extension == "dcm"));
    files.iter().map(|file| hounsfield::read(&folder.join(file), None).expect("a slice")).collect()
}

/// What the slices say, each segmented as it is shown.
fn clues(model: &LungModel, slices: &[Array2<f32>]) -> Vec<Clue> {
    let one = |hu: &Array2<f32>| {
        let (input, crop) = protocol::prepare(hu);
        let labels = model.labels([&input], 1, |_| ()).expect("labels");
        let masks = lungs::masks(&labels, &[Frame { crop, shape: hu.dim(), z_mm: None }]);
        preflight::clues([(&Survey::new(hu), &masks[0])])
    };
    slices.iter().flat_map(one).collect()
}

#[test]
fn real_slices_pass_straight_and_fail_flipped() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; the check is not tried on real slices");
        return;
    };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt");
    let model = LungModel::load(&model, Trust::Study(None)).expect("the shipped model");
    let straight = slices(&Path::new(&shared).join("data/ct-dicom"));
    let flipped = |axis| {
        let mut slices = straight.clone();
        slices.iter_mut().for_each(|slice| slice.invert_axis(axis));
        clues(&model, &slices)
    };
    let found = clues(&model, &straight);
    assert!(found.len() >= 10, "{} of 20 slices show both lungs", found.len());
    // Ten patients are a study; taken as one series they are held to the stricter rule.
    assert_eq!(preflight::orientation(&found, Scope::Study), None);
    assert_eq!(preflight::orientation(&found, Scope::Series), None);
    let front_back = preflight::orientation(&flipped(Axis(0)), Scope::Study);
    assert!(matches!(front_back, Some(Finding::FrontBack { .. })), "{front_back:?}");
    let left_right = preflight::orientation(&flipped(Axis(1)), Scope::Study);
    assert!(matches!(left_right, Some(Finding::LeftRight { .. })), "{left_right:?}");
}
