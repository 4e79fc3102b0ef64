//! CT of a chest has air near -1000 HU and soft tissue near 0 HU, whatever the disease. Values that have neither are
//! something else: stored values without their rescale, grey values of a picture, a normalised volume.

use super::Finding;
use crate::survey::Survey;

/// Air, for the check of units: less than this, HU.
const AIR_BELOW: i16 = -500;
/// Soft tissue, blood and water: from -200 to 300 HU.
const TISSUE: std::ops::RangeInclusive<i16> = -200..=300;
/// Least share of soft tissue in a series.
const LEAST_TISSUE: f64 = 0.005;
/// No scanner's scale goes further, HU.
const FURTHEST_HU: f32 = 40_000.0;

/// Judges the units of a series.
pub fn units<'a>(slices: impl IntoIterator<Item = &'a Survey>) -> Option<Finding> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    let (mut air, mut tissue, mut all) = (0_usize, 0_usize, 0_usize);
    for slice in slices {
        (low, high) = (low.min(slice.range.0), high.max(slice.range.1));
        air += slice.hu.iter().filter(|value| **value < AIR_BELOW).count();
        tissue += slice.hu.iter().filter(|value| TISSUE.contains(value)).count();
        all += slice.hu.len();
    }
    if all == 0 {
        return None;
    }
    let looks_like = if low >= high {
        "all values are the same"
    } else if low < -FURTHEST_HU || high > FURTHEST_HU {
        "they are far outside any scanner's scale"
    } else if air > 0 {
        if tissue as f64 >= LEAST_TISSUE * all as f64 {
            return None;
        }
        "there is no soft tissue, as if an intercept had been applied twice or not at all"
    } else if low >= -1.5 && high <= 1.5 {
        "they look normalised"
    } else if low >= 0.0 && high <= 255.0 {
        "they look like grey values of a picture"
    } else if low >= -200.0 {
        "they look like stored values without their rescale intercept"
    } else {
        "there is no air, as in a soft-tissue window, so no lung can be seen"
    };
    Some(Finding::Units { range: (low, high), looks_like })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};
    use phantom::{Disease, PatientSpec};

    fn series(index: u64) -> Vec<Array2<f32>> {
        let spec = PatientSpec {
            seed: 11,
            index,
            disease: Disease::CommonPneumonia,
            difficulty: 0.5,
            load: 1.0,
            confounder: false,
            noise_hu: 25.0,
            size: 128,
            variety: 1.0,
        };
        let patient = phantom::generate(&spec);
        let cut = |step: usize| phantom::slice(&patient, 0.1 + 0.05 * step as f32);
        (0..16).map(cut).map(|slice| slice.hu).collect()
    }

    #[test]
    fn values_that_cannot_be_hu_are_named() {
        let hu = series(1)[8].clone();
        let verdict = |hu: Array2<f32>| units([&Survey::new(&hu)]).map(|finding| finding.to_string());
        assert_eq!(verdict(hu.clone()), None);
        // Stored values as scanners write them, `HU + 1024`; an exported picture; a normalised volume; an intercept applied twice.
        type Case = (fn(f32) -> f32, &'static str);
        let cases: [Case; 5] = [
            (|hu| hu + 1024.0, "without their rescale intercept"),
            (|hu| ((hu + 1350.0) / 1500.0).clamp(0.0, 1.0) * 255.0, "grey values"),
            (|hu| ((hu + 1024.0) / 4096.0).clamp(0.0, 1.0), "normalised"),
            (|hu| hu - 1024.0, "no soft tissue"),
            (|hu| hu.clamp(-160.0, 240.0) - 60.0, "soft-tissue window"),
        ];
        for (change, message) in cases {
            let found = verdict(hu.mapv(|value| change(value.max(-1024.0)))).unwrap_or_default();
            assert!(found.contains(message), "{message}: {found}");
        }
        assert!(verdict(hu.mapv(|value| value * 100.0)).is_some_and(|found| found.contains("outside any scanner")));
        assert!(verdict(Array2::zeros((4, 4))).is_some_and(|found| found.contains("the same")));
        // A slice without air passes in a series that has some.
        let inside = hu.slice(s![60..64, 60..64]).mapv(|value| value.clamp(-100.0, 100.0));
        assert_eq!(units([&Survey::new(&inside), &Survey::new(&hu)]), None);
    }
}
