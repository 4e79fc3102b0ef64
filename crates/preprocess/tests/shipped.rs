//! The shipped lung model: on phantom slices it never saw, and on real slices where they are at hand.

#[path = "support/masks.rs"]
mod masks;

use std::path::{Path, PathBuf};

use ndarray::Array2;
use preprocess::lungs::{self, Frame};
use preprocess::model::{LungModel, Trust};
use preprocess::survey::Survey;
use preprocess::unet_training::{Split, family};
use preprocess::{hounsfield, images, protocol};

/// What black and white are in the images of `luna-png`, HU.
const LUNA_HU: (f64, f64) = (-1000.0, 400.0);
const AIR_HU: f32 = -500.0;
/// Dice of each lung on held-out phantom slices, all pixels pooled.
const PHANTOM_DICE: f64 = 0.8;
/// Share of the body that may be marked where there is no lung.
const ABDOMEN_SHARE: f64 = 0.005;

fn model() -> LungModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt");
    LungModel::load(&path, Trust::Study(None)).expect("the shipped model is trusted")
}

/// The mask of one slice alone, after the clean-up.
fn mask(model: &LungModel, hu: &Array2<f32>) -> Array2<bool> {
    let (input, crop) = protocol::prepare(hu);
    let labels = model.labels([&input], 1, |_| ()).expect("labels");
    let frame = Frame { crop, shape: hu.dim(), z_mm: None };
    let mut mask = lungs::masks(&labels, &[frame]).remove(0);
    lungs::trim(&mut mask, &Survey::new(hu));
    mask.mapv(|label| label > 0)
}

fn count(mask: &Array2<bool>) -> usize {
    mask.iter().filter(|set| **set).count()
}

fn dice(one: &Array2<bool>, other: &Array2<bool>) -> f64 {
    let both = one.iter().zip(other).filter(|(one, other)| **one && **other).count();
    2.0 * both as f64 / (count(one) + count(other)).max(1) as f64
}

fn times(mask: &Array2<bool>, number: usize, step: impl Fn(&Array2<bool>) -> Array2<bool>) -> Array2<bool> {
    (0..number).fold(mask.clone(), |mask, _| step(&mask))
}

/// The patient without table.
fn body(hu: &Array2<f32>) -> Array2<bool> {
    let solid = hu.mapv(|value| value > AIR_HU);
    let opened = times(&times(&solid, 2, masks::erode), 2, masks::dilate);
    masks::fill_holes(&masks::largest_component(&opened))
}

/// Aerated lung by densities alone, as in `tools/measure_lungs.py`: air in the body without windpipe and specks, closed, its
/// small holes filled.
fn reference(hu: &Array2<f32>, body: &Array2<bool>) -> Array2<bool> {
    let inner = times(body, 2, masks::erode);
    let mut air = Array2::from_shape_fn(hu.dim(), |at| inner[at] && hu[at] < AIR_HU);
    air = masks::dilate(&masks::erode(&air));
    let mean_column = |mask: &Array2<bool>| {
        let columns = mask.indexed_iter().filter(|(_, set)| **set).map(|((_, column), _)| column);
        columns.sum::<usize>() as f64 / count(mask).max(1) as f64
    };
    let (whole, middle) = (count(body) as f64, mean_column(body));
    let width = (0..hu.ncols()).filter(|column| body.column(*column).iter().any(|set| *set)).count() as f64;
    let mut lung = Array2::from_elem(hu.dim(), false);
    loop {
        let piece = masks::largest_component(&air);
        let area = count(&piece) as f64;
        if area < 0.0015 * whole {
            break;
        }
        air.zip_mut_with(&piece, |air, piece| *air &= !piece);
        let windpipe = (mean_column(&piece) - middle).abs() < 0.09 * width && area < 0.012 * whole;
        if !windpipe {
            lung.zip_mut_with(&piece, |lung, piece| *lung |= piece);
        }
    }
    let closed = times(&times(&lung, 4, masks::dilate), 4, masks::erode);
    masks::fill_holes_below(&closed, 400)
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let found = contract::hash::walk(folder).expect("a folder").into_iter();
    found.filter(|path| path.extension().is_some_and(|own| own == extension)).map(|path| folder.join(path)).collect()
}

fn shared(folder: &str) -> Option<PathBuf> {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; real slices are not tried");
        return None;
    };
    Some(PathBuf::from(shared).join("data").join(folder))
}

#[test]
fn it_knows_the_lungs_of_new_phantoms() {
    let model = model();
    let (mut both, mut either) = ([0_usize; 2], [0_usize; 2]);
    for sample in (0..10).flat_map(|person| family(1, Split::Validation, person)) {
        let side = (protocol::SIDE, protocol::SIDE);
        let input = Array2::from_shape_vec(side, sample.input).expect("a square");
        let labels = &model.labels([&input], 1, |_| ()).expect("labels")[0];
        for (found, truth) in labels.iter().zip(&sample.target) {
            for lung in [1, 2] {
                let own = usize::from(lung) - 1;
                both[own] += usize::from(*found == lung && *truth == lung);
                either[own] += usize::from(*found == lung) + usize::from(*truth == lung);
            }
        }
    }
    let dice = [0, 1].map(|lung| 2.0 * both[lung] as f64 / either[lung] as f64);
    println!("right {:.4}, left {:.4}", dice[0], dice[1]);
    assert!(dice.iter().all(|dice| *dice > PHANTOM_DICE), "{dice:?}");
}

#[test]
fn it_knows_aerated_lungs_of_real_patients() {
    // By eye: a lung is collapsed or under fluid, so that densities do not find it.
    const DENSE: [&str; 2] = ["280013275227.mhd_215", "551970425757.mhd_95"];
    let Some(folder) = shared("luna-png") else { return };
    let model = model();
    let (mut found, mut poor) = (Vec::new(), 0);
    for path in files(&folder, "png") {
        let hu = images::read(&path, LUNA_HU).expect("an image");
        let body = body(&hu);
        let truth = reference(&hu, &body);
        let is_dense = DENSE.iter().any(|name| path.to_string_lossy().contains(name));
        if !is_dense && count(&truth) * 10 >= count(&body) {
            let dice = dice(&mask(&model, &hu), &truth);
            if dice < 0.65 {
                poor += 1;
                println!("{}: {dice:.4}", path.display());
            }
            found.push(dice);
        }
    }
    let (mean, worst) =
        (found.iter().sum::<f64>() / found.len() as f64, found.iter().copied().fold(f64::INFINITY, f64::min));
    println!("{} slices: mean Dice {mean:.4}, worst {worst:.4}", found.len());
    assert!(found.len() >= 30, "{}", found.len());
    // Of 171 slices of 200 people six are poor, with one lung or its upper part missing; of the first 40 people none is.
    assert!(mean >= 0.95 && poor * 25 <= found.len(), "mean {mean}, worst {worst}, {poor} below 0.65");
}

#[test]
fn it_leaves_the_abdomen_empty() {
    // The set's own note names the patients whose slices lie below the lungs; one of luna-png does, too.
    const ABDOMEN: [&str; 3] = ["A027284", "A058062", "A062055"];
    let (Some(series), Some(pictures)) = (shared("ct-dicom"), shared("luna-png")) else { return };
    let model = model();
    let mut shares = Vec::new();
    for path in files(&series, "dcm") {
        if ABDOMEN.iter().any(|name| path.to_string_lossy().contains(name)) {
            let hu = hounsfield::read(&path, None).expect("a slice");
            shares.push(count(&mask(&model, &hu)) as f64 / count(&body(&hu)) as f64);
        }
    }
    let image = files(&pictures, "png").into_iter().find(|path| path.to_string_lossy().contains("758082619196.mhd_26"));
    let hu = images::read(&image.expect("the slice"), LUNA_HU).expect("an image");
    shares.push(count(&mask(&model, &hu)) as f64 / count(&body(&hu)) as f64);
    println!("share of the body marked: {shares:.4?}");
    assert_eq!(shares.len(), 7);
    assert!(shares.iter().all(|share| *share <= ABDOMEN_SHARE), "{shares:?}");
}
