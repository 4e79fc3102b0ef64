//! Patients whose slices resemble each other, from a world in which every number reported is known.
//!
//! The score of a slice is normal with variance 1 and mean +d/2 (positive) or -d/2; a share of the variance is the patient's. Half
//! of what is a patient's or a slice's own is common to both methods. Its probability is 1 / (1 + exp(-d score)). Then
//! AUC = Phi(d / sqrt 2) and sensitivity = specificity = accuracy = Phi(d / 2), whatever the share.

use contract::random;
use rand::RngExt;
use report::auc::auc;
use report::calibration::{BINS, bin};
use report::predictions::Row;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::cohort::row;

/// d of the methods a and b.
pub const DISTANCES: [f64; 2] = [1.0, 1.3];
/// Share of the patients who are positive: about the paper's 119 of 346.
const POSITIVE: f64 = 1.0 / 3.0;

/// A world to draw cohorts from.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Patients of a cohort.
    pub patients: usize,
    /// A patient has 1 to this many slices, all equally likely.
    pub most_slices: u32,
    /// Share of a score's variance that is the patient's.
    pub shared: f64,
}

/// What the estimates of one method ought to be.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// Of slices.
    pub auc: f64,
    /// Of slices; also their specificity and accuracy.
    pub sensitivity: f64,
    /// Of slices.
    pub brier: f64,
    /// Of slices.
    pub ece: f64,
    /// Of patients, by the mean softmax.
    pub patient_auc: f64,
    /// Of patients, by the mean softmax.
    pub patient_sensitivity: f64,
}

fn phi(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

fn probability(distance: f64, score: f64) -> f64 {
    1.0 / (1.0 + (-distance * score).exp())
}

/// Standard normal numbers by Box and Muller.
struct Draw<R>(R);

impl<R: rand::Rng> Draw<R> {
    fn normal(&mut self) -> f64 {
        let (u, angle): (f64, f64) = (1.0 - self.0.random::<f64>(), self.0.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// One number a method, half of whose variance is common.
    fn pair(&mut self) -> [f64; 2] {
        let common = self.normal();
        [(); 2].map(|()| (common + self.normal()) * 0.5_f64.sqrt())
    }
}

impl World {
    /// The probabilities of a patient's slices by both methods.
    fn patient(&self, is_positive: bool, draw: &mut Draw<impl rand::Rng>) -> Vec<[f64; 2]> {
        let own = draw.pair();
        let slices = draw.0.random_range(1..=self.most_slices);
        let side = if is_positive { 0.5 } else { -0.5 };
        let slice = |_| {
            let noise = draw.pair();
            [0, 1].map(|method| {
                let score = side * DISTANCES[method]
                    + self.shared.sqrt() * own[method]
                    + (1.0 - self.shared).sqrt() * noise[method];
                probability(DISTANCES[method], score)
            })
        };
        (0..slices).map(slice).collect()
    }

    /// The rows of cohort `index`, methods a and b. The first third of the patients is positive.
    pub fn cohort(&self, index: usize) -> Vec<Row> {
        let mut draw = Draw(random::stream(7, "coverage", &[index as u64, self.patients as u64]));
        let mut rows = Vec::new();
        for patient in 0..self.patients {
            let is_positive = (patient as f64) < POSITIVE * self.patients as f64;
            for both in self.patient(is_positive, &mut draw) {
                let slice = rows.len() / 2;
                let of = |(name, p): (&str, f64)| row(slice, patient, usize::from(is_positive), name, vec![1.0 - p, p]);
                rows.extend(["a", "b"].into_iter().zip(both).map(of));
            }
        }
        rows
    }

    /// The truth of both methods: of slices in closed form or by integration, of patients from `many` of each class.
    pub fn truth(&self, many: usize) -> [Truth; 2] {
        let mut draw = Draw(random::stream(7, "truth", &[many as u64]));
        let mut means = [Vec::new(), Vec::new()];
        for patient in 0..2 * many {
            let slices = self.patient(patient < many, &mut draw);
            for (method, means) in means.iter_mut().enumerate() {
                means.push(slices.iter().map(|both| both[method]).sum::<f64>() / slices.len() as f64);
            }
        }
        let is_positive: Vec<bool> = (0..2 * many).map(|patient| patient < many).collect();
        let of = |method: usize| {
            let (distance, score) = (DISTANCES[method], &means[method]);
            let (brier, ece) = calibration(distance);
            Truth {
                auc: phi(distance / 2.0_f64.sqrt()),
                sensitivity: phi(distance / 2.0),
                brier,
                ece,
                patient_auc: auc(score, &is_positive).expect("both classes"),
                patient_sensitivity: score[..many].iter().filter(|p| **p >= 0.5).count() as f64 / many as f64,
            }
        };
        [of(0), of(1)]
    }
}

/// Brier score and calibration error of all slices of the world, by the rectangle rule.
fn calibration(distance: f64) -> (f64, f64) {
    const STEP: f64 = 1e-4;
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt() * STEP;
    let (mut brier, mut gaps) = (0.0, [0.0; BINS]);
    for place in -90_000..=90_000 {
        let score = f64::from(place) * STEP;
        let p = probability(distance, score);
        let positive = POSITIVE * density(score - distance / 2.0);
        let negative = (1.0 - POSITIVE) * density(score + distance / 2.0);
        brier += positive * (1.0 - p).powi(2) + negative * p.powi(2);
        gaps[bin(p)] += positive * (1.0 - p) - negative * p;
    }
    (brier, gaps.iter().map(|gap| gap.abs()).sum())
}
