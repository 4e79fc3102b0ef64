//! One synthetic patient: everything that is drawn once, so that a slice is a pure function of patient and level.

use rand::RngExt;

use contract::random::stream;

use crate::abdomen::Abdomen;
use crate::body::{Body, Draw, Pose};
use crate::disease::{self, Disease, Lesion, Traits};
use crate::surroundings::Surroundings;
use crate::vessels::{self, Sampler, Segment};

/// What to draw a patient from.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientSpec {
    /// Seed of the study.
    pub seed: u64,
    /// Number of the patient; with the seed it decides every draw.
    pub index: u64,
    /// Disease.
    pub disease: Disease,
    /// How alike the diseases look: 0 different, 1 the same.
    pub difficulty: f32,
    /// Amount of disease: 1 is a clinical case, 4 leaves little healthy lung.
    pub load: f32,
    /// Whether the confounder outside the lungs is there.
    pub confounder: bool,
    /// Standard deviation of the image noise in soft tissue, HU.
    pub noise_hu: f32,
    /// Pixels a side.
    pub size: usize,
    /// Spread of body and position: 1 a clinical mix, up to 2 for training data.
    pub variety: f32,
}

/// A patient ready to be cut into slices.
#[derive(Debug, Clone)]
pub struct Patient {
    /// What it was drawn from.
    pub spec: PatientSpec,
    /// Sizes and densities.
    pub body: Body,
    /// Position in the scanner.
    pub pose: Pose,
    /// Traits of the disease.
    pub traits: Traits,
    /// Lesions.
    pub lesions: Vec<Lesion>,
    /// Vessels of both lungs.
    pub vessels: Vec<Segment>,
    /// Sharpness of the reconstruction: correlation of neighbouring noise, 0 sharp to 0.8 soft.
    pub kernel: f32,
    /// Thickness of a slice, mm.
    pub thickness_mm: f32,
    pub(crate) abdomen: Abdomen,
    pub(crate) surroundings: Surroundings,
}

impl Patient {
    /// Side of a pixel, mm.
    pub fn pixel_mm(&self) -> f32 {
        self.pose.field_mm / self.spec.size as f32
    }

    /// Height of a level below the lung apex, mm.
    pub fn z_mm(&self, level: f32) -> f32 {
        level * self.body.length_mm
    }
}

/// Draws a patient. The disease and the confounder do not change the body: with the same seed and index the same person has the
/// one disease or the other.
pub fn generate(spec: &PatientSpec) -> Patient {
    let rng = |purpose: &str| stream(spec.seed, purpose, &[spec.index]);
    let mut anatomy = rng("phantom/body");
    let mut draw = Draw(&mut anatomy);
    let body = Body::draw(&mut draw, spec.variety);
    let pose = Pose::draw(&mut draw, &body, spec.variety);
    let abdomen = Abdomen::draw(&mut draw, &body, spec.variety);
    let kernel = draw.uniform(0.1, 0.8);
    let thickness_mm = [1.25, 2.5, 3.0, 5.0][draw.0.random_range(0..4)];
    let sampler = Sampler::new(&body);
    let vessels = vessels::grow(&body, &sampler, &mut rng("phantom/vessels"));
    let mut illness = rng("phantom/disease");
    let traits = Traits::draw(&mut Draw(&mut illness), spec.disease, spec.difficulty);
    let lesions = match spec.disease {
        Disease::Healthy => Vec::new(),
        _ => disease::lesions(&traits, spec.load, &sampler, &mut illness),
    };
    let surroundings =
        Surroundings::draw(&mut Draw(&mut rng("phantom/surroundings")), &body, spec.variety, spec.confounder);
    Patient { spec: spec.clone(), body, pose, traits, lesions, vessels, kernel, thickness_mm, abdomen, surroundings }
}
