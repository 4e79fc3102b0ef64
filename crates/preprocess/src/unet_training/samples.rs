//! Training slices, each a function of (seed, split, person): phantom patients never seen twice, made as varied as real CT.
//!
//! A person gives [`FAMILY`] samples: growing the vessels and cutting a slice cost more than drawing a picture of it, so each
//! of two slices is drawn twice. What varies beyond the patient: where the slice lies (`level`), gas, arms, sheets and dense
//! lungs (`scene`), and how the image was made, exported, marked, cut and turned (`picture`).
//!
//! The first persons of training are easy, so that the network learns where lungs lie before it learns what hides them: from
//! person [`EASY`] to person [`HARD`] the variation rises to what all later and all held-out slices have.

use contract::random::{ChaCha8Rng, stream};
use phantom::{Disease, Patient, PatientSpec};
use rand::RngExt;

use super::{picture, scene};

/// Slices cut from one person.
const SLICES: u64 = 2;
/// Pictures drawn of one slice.
const PICTURES: u64 = 2;
/// Samples of one person.
pub const FAMILY: u64 = SLICES * PICTURES;

/// Persons before this number are easy.
const EASY: u64 = 400;
/// Persons from this number are as hard as any.
const HARD: u64 = 1800;

/// Which slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// Held out: other patients.
    Validation,
}

/// A network input with its target, both `SIDE` x `SIDE`, row-major.
pub struct Sample {
    /// 0..1.
    pub input: Vec<f32>,
    /// 0 background, 1 right lung, 2 left lung.
    pub target: Vec<u8>,
}

/// The samples of the person of that number.
pub fn family(seed: u64, split: Split, person: u64) -> Vec<Sample> {
    let domain = match split {
        Split::Train => "unet/train",
        Split::Validation => "unet/validation",
    };
    let hardness = match split {
        Split::Train => (person.saturating_sub(EASY) as f32 / (HARD - EASY) as f32).min(1.0),
        Split::Validation => 1.0,
    };
    let patient = phantom::generate(&specification(&mut stream(seed, domain, &[person, 0])));
    let mut samples = Vec::with_capacity(FAMILY as usize);
    for slice in 1..=SLICES {
        let mut rng = stream(seed, domain, &[person, slice]);
        let level = level(&patient, &mut rng);
        let cut = scene::Scene::new(&patient, level);
        for number in 1..=PICTURES {
            let mut rng = stream(seed, domain, &[person, slice, number]);
            samples.push(picture::draw(cut.vary(hardness, &mut rng), hardness, &mut rng));
        }
    }
    samples
}

pub(super) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

pub(super) fn chance(rng: &mut ChaCha8Rng, share: f32) -> bool {
    rng.random::<f32>() < share
}

fn specification(rng: &mut ChaCha8Rng) -> PatientSpec {
    let disease = match rng.random_range(0..10) {
        0..2 => Disease::Healthy,
        2..6 => Disease::CommonPneumonia,
        _ => Disease::Covid19,
    };
    PatientSpec {
        seed: rng.random(),
        index: 0,
        disease,
        difficulty: between(rng, 0.0, 1.0),
        // From one small patch to lungs with hardly any air.
        load: between(rng, -0.7, 1.6).exp(),
        confounder: chance(rng, 0.35),
        noise_hu: between(rng, 1.6, 4.4).exp(),
        size: [224, 256, 288][rng.random_range(0..3)],
        variety: between(rng, 1.0, 1.9),
    }
}

/// Mostly through the lungs, some above and below; often where a dome of the diaphragm is an island in its lung.
fn level(patient: &Patient, rng: &mut ChaCha8Rng) -> f32 {
    match rng.random_range(0..100) {
        0..5 => between(rng, -0.30, 0.02),
        5..27 => between(rng, 0.98, 1.65),
        27..42 => between(rng, 0.70, 1.0),
        42..54 => patient.body.dome_top[rng.random_range(0..2)] + between(rng, 0.0, 0.09),
        _ => between(rng, 0.02, 0.98),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SIDE;

    #[test]
    fn samples_repeat_and_are_in_range() {
        for person in 0..3 {
            let (one, again) = (family(3, Split::Train, person), family(3, Split::Train, person));
            assert_eq!(one.len() as u64, FAMILY);
            for (one, again) in one.iter().zip(&again) {
                assert_eq!((one.input.len(), one.target.len()), (SIDE * SIDE, SIDE * SIDE));
                assert!(one.input.iter().all(|value| (0.0..=1.0).contains(value)));
                assert!(one.target.iter().all(|label| *label <= 2));
                assert!(one.input == again.input && one.target == again.target);
            }
        }
        assert!(family(3, Split::Train, 0)[0].input != family(3, Split::Validation, 0)[0].input);
    }

    #[test]
    fn the_right_lung_is_on_the_left_of_the_image_unless_the_patient_is_prone() {
        let mut sides = [0, 0];
        for sample in (0..8).flat_map(|person| family(8, Split::Train, person)) {
            let mean = |label: u8| {
                let columns = (0..SIDE * SIDE).filter(|at| sample.target[*at] == label).map(|at| at % SIDE);
                let (sum, count) = columns.fold((0, 0_usize), |(sum, count), column| (sum + column, count + 1));
                (count > 300).then(|| sum / count)
            };
            if let (Some(right), Some(left)) = (mean(1), mean(2)) {
                sides[usize::from(right < left)] += 1;
            }
        }
        assert!(sides[1] > 8 && sides[0] <= sides[1] / 4, "{sides:?}");
    }
}
