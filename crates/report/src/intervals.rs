//! Intervals: Wilson's for a fraction of patients, the percentile bootstrap over patients for everything of slices.
//!
//! Slices of one patient resemble each other, so slices cannot be resampled one by one: the interval would be too
//! narrow. Whole patients are drawn with replacement within each class, so a resample has as many patients of a class
//! as the study. Each resample has its own random stream, so threads cannot change the result.

use contract::random;
use rand::RngExt;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

/// Two-sided quantile of the standard normal distribution: 1.96 for 0.95.
pub fn z(confidence: f64) -> f64 {
    Normal::standard().inverse_cdf(0.5 + confidence / 2.0)
}

/// Two-sided p of a standard normal deviate.
pub fn two_sided_p(deviate: f64) -> f64 {
    (2.0 * Normal::standard().cdf(-deviate.abs())).min(1.0)
}

/// Wilson's score interval of a fraction (Wilson 1927). `total` is at least 1.
pub fn wilson(correct: u64, total: u64, confidence: f64) -> (f64, f64) {
    let (n, p, z2) = (total as f64, correct as f64 / total as f64, z(confidence).powi(2));
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z(confidence) / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At 0 and n of n one end is exact in theory; rounding must not push it past.
    let low = if correct == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if correct == total { 1.0 } else { (centre + half).min(1.0) };
    (low, high)
}

/// The value at share `q` of sorted values, straight lines between them (numpy's default). `sorted` is not empty.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

/// How often each patient is drawn in one resample: `strata` are the patients of each class.
pub fn resample(strata: &[Vec<usize>], patients: usize, seed: u64, index: usize) -> Vec<u32> {
    let mut draw = random::stream(seed, "bootstrap", &[index as u64]);
    let mut weights = vec![0; patients];
    for members in strata.iter().filter(|members| !members.is_empty()) {
        for _ in 0..members.len() {
            // u32 and not usize, so that every platform draws the same.
            weights[members[draw.random_range(0..members.len() as u32) as usize]] += 1;
        }
    }
    weights
}

/// Values nearer than this are equal but for the order of a sum.
const ROUNDING: f64 = 1e-12;

/// What one resample gives: a value for each statistic, None where it is undefined.
pub type Draw = Vec<Option<f64>>;

/// `count` resamples of the statistics, in the order of the resamples.
pub fn bootstrap(
    strata: &[Vec<usize>],
    patients: usize,
    count: usize,
    seed: u64,
    statistics: impl Fn(&[u32]) -> Draw + Sync,
) -> Vec<Draw> {
    (0..count).into_par_iter().map(|index| statistics(&resample(strata, patients, seed, index))).collect()
}

/// The reason why no class may be bootstrapped, if there is one.
pub fn too_few(strata: &[Vec<usize>]) -> Option<String> {
    let small = strata.iter().position(|members| members.len() == 1)?;
    Some(format!("class {small} has one patient, so patients cannot be resampled"))
}

/// Percentile interval of one statistic over the resamples.
///
/// # Errors
/// Why there is none: the statistic is undefined in a resample, or the same in all of them.
pub fn percentile(values: &[Option<f64>], confidence: f64) -> Result<(f64, f64), String> {
    let mut defined: Vec<f64> = values.iter().flatten().copied().collect();
    let missing = values.len() - defined.len();
    if missing > 0 || defined.is_empty() {
        return Err(format!("undefined in {missing} of {} resamples", values.len()));
    }
    defined.sort_by(f64::total_cmp);
    if defined[defined.len() - 1] - defined[0] < ROUNDING {
        return Err("the same in every resample, so the bootstrap cannot say how uncertain it is".to_owned());
    }
    let tail = (1.0 - confidence) / 2.0;
    Ok((quantile(&defined, tail), quantile(&defined, 1.0 - tail)))
}

/// Two-sided p of a difference from its resamples: twice the smaller share on one side of 0, each share with one added
/// to numerator and denominator so that p is never 0 (Davison and Hinkley 1997, section 4.2). None if a resample is
/// undefined.
pub fn bootstrap_p(differences: &[Option<f64>]) -> Option<f64> {
    let all: Option<Vec<f64>> = differences.iter().copied().collect();
    let all = all?;
    let below = all.iter().filter(|value| **value <= ROUNDING).count();
    let above = all.iter().filter(|value| **value >= -ROUNDING).count();
    Some((2.0 * (below.min(above) + 1) as f64 / (all.len() + 1) as f64).min(1.0))
}

/// The smallest p that [`bootstrap_p`] can give.
pub fn smallest_p(resamples: usize) -> f64 {
    2.0 / (resamples + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_keep_the_classes_and_depend_on_the_index_alone() {
        let strata = [vec![0, 2, 4], vec![1, 3], vec![]];
        let first = resample(&strata, 5, 7, 0);
        assert_eq!(first, resample(&strata, 5, 7, 0));
        assert_eq!(first[0] + first[2] + first[4], 3);
        assert_eq!(first[1] + first[3], 2);
        let different = (1..20).any(|index| resample(&strata, 5, 7, index) != first);
        assert!(different);
    }

    #[test]
    fn intervals_that_cannot_be_are_reasons() {
        assert!(percentile(&[Some(0.1), None], 0.95).unwrap_err().contains("1 of 2"));
        assert!(percentile(&[Some(1.0); 5], 0.95).unwrap_err().contains("same"));
        assert!(too_few(&[vec![1, 2], vec![3]]).is_some());
        assert!(too_few(&[vec![1, 2], vec![]]).is_none());
    }

    #[test]
    fn p_of_a_bootstrap() {
        let all_above: Vec<_> = (1..=99).map(|i| Some(f64::from(i))).collect();
        assert_eq!(bootstrap_p(&all_above), Some(0.02));
        assert_eq!(smallest_p(99), 0.02);
        assert_eq!(bootstrap_p(&[Some(-1.0), Some(1.0), Some(0.0)]), Some(1.0));
        assert_eq!(bootstrap_p(&[Some(1.0), None]), None);
        // A 0 that came out as 1e-17 counts on both sides, as 0 does.
        let nearly = |zero: f64| [vec![Some(zero); 3], vec![Some(1.0); 6]].concat();
        assert_eq!((bootstrap_p(&nearly(0.0)), bootstrap_p(&nearly(1e-17))), (Some(0.8), Some(0.8)));
    }

    /// The mean of 20 patients of which each has 5 equal slices: drawn by patient, the interval is that of 20 values
    /// and not of 100. Its half width is near 1.96 * sd / sqrt(20) = 0.219 for fair coins (10 heads, 10 tails).
    #[test]
    fn patients_and_not_slices_are_drawn() {
        let strata = [(0..20).collect::<Vec<_>>()];
        let mean = |weights: &[u32]| {
            let heads: u32 = weights.iter().step_by(2).sum();
            vec![Some(f64::from(heads * 5) / 100.0)]
        };
        let draws: Vec<Option<f64>> = bootstrap(&strata, 20, 4000, 1, mean).into_iter().map(|draw| draw[0]).collect();
        let (low, high) = percentile(&draws, 0.95).unwrap();
        assert!((low - 0.281).abs() < 0.04 && (high - 0.719).abs() < 0.04, "{low} {high}");
    }
}
