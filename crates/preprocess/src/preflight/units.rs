//! CT of a chest has air near -1000 HU and soft tissue near 0 HU, whatever the disease. Values that have neither are
//! something else: stored values without their rescale, grey values of a picture, a normalised volume.
//!
//! Padding is left out, whatever its value. A series is judged as a whole and slice by slice.

use super::levels::Levels;
use super::{Finding, steps};
use crate::survey::Survey;

/// No scanner's scale goes further, HU.
const FURTHEST_HU: f32 = 40_000.0;
/// Values as far from 0 as this and no further are no HU, whatever unit they have.
const NORMALISED: f32 = 5.0;

/// What negative values of 16 bits look like that were read as unsigned.
const WRAPPED: &str = "the negative ones look as if they had been read as unsigned numbers; correct PixelRepresentation, or the data type of \
                       the volume";

/// How a program is told what a refusal names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interface {
    /// By options of a command.
    Options {
        /// The offset that was given.
        hu_offset: f64,
    },
    /// By keys of a study.
    Keys {
        /// The offset that was given.
        hu_offset: f64,
    },
}

impl Interface {
    /// What to do about a finding.
    pub fn remedy(self, finding: &Finding) -> String {
        let anyway = match self {
            Self::Options { .. } => "if it is right all the same, give --no-check-units",
            Self::Keys { .. } => "if it is right all the same, set preprocess.check_units: false",
        };
        match finding {
            Finding::Units { offset: Some(more), .. } => format!("{}; {anyway}", self.offset(*more)),
            Finding::Grey { fits: Some((low, high)), .. } => format!("{}; {anyway}", self.range(*low, *high)),
            Finding::Grey { .. } => format!("{}; {anyway}", self.unknown_range()),
            _ => anyway.to_owned(),
        }
    }

    fn offset(self, more: f64) -> String {
        match self {
            Self::Options { hu_offset } if hu_offset + more == 0.0 => "leave out --hu-offset".to_owned(),
            Self::Keys { hu_offset } if hu_offset + more == 0.0 => "leave out preprocess.hu_offset".to_owned(),
            Self::Options { hu_offset } => format!("give --hu-offset {}", hu_offset + more),
            Self::Keys { hu_offset } => format!("set preprocess.hu_offset: {}", hu_offset + more),
        }
    }

    fn range(self, low: f64, high: f64) -> String {
        match self {
            Self::Options { .. } => format!("give --image-hu {low} {high}"),
            Self::Keys { .. } => format!("set preprocess.image_low_hu: {low} and preprocess.image_high_hu: {high}"),
        }
    }

    fn unknown_range(self) -> &'static str {
        match self {
            Self::Options { .. } => "give the HU of 0 and of 65535 with --image-hu",
            Self::Keys { .. } => "set preprocess.image_low_hu and preprocess.image_high_hu to the HU of 0 and of 65535",
        }
    }
}

/// Judges the units of a series, whose slices are in order; `name` is what a slice is called.
pub fn units(slices: &[&Survey], name: &dyn Fn(usize) -> Option<String>) -> Option<Finding> {
    if slices.is_empty() {
        return None;
    }
    let levels = Levels::of(slices.iter().map(|slice| &slice.levels));
    if let Some(odd) = steps::odd_slices(slices) {
        let of = slices.len();
        let first = name(odd.first).unwrap_or_else(|| format!("slice {} of {of}", odd.first + 1));
        return Some(Finding::Slices { count: odd.count, of, first, above: odd.above });
    }
    let wrapped = levels.are_wrapped();
    let offset = if levels.are_hu() { Some(0.0) } else { levels.offset().filter(|_| !wrapped) };
    if let Some(pairs) = offset.and_then(|offset| steps::uneven(slices, offset)) {
        return Some(Finding::Uneven { pairs, of: slices.len() - 1 });
    }
    if offset == Some(0.0) {
        return None;
    }
    let looks_like = if wrapped { WRAPPED.to_owned() } else { looks_like(&levels, offset) };
    Some(Finding::Units { range: levels.range, looks_like, offset })
}

/// What values look like that are not HU.
fn looks_like(levels: &Levels, offset: Option<f64>) -> String {
    let (low, high) = levels.measured;
    let text = if levels.range.0 >= levels.range.1 {
        "all values are the same"
    } else if let Some(offset) = offset {
        let (sign, cause) = match offset < 0.0 {
            true => ("+", "stored values without their rescale intercept"),
            false => ("-", "as if an intercept had been applied twice; there is no soft tissue"),
        };
        return format!("they look like HU {sign} {}, {cause}", offset.abs());
    } else if low < -FURTHEST_HU || high > FURTHEST_HU {
        "they are far outside any scanner's scale"
    } else if low >= -NORMALISED && high <= NORMALISED {
        "they look normalised, or like attenuation coefficients; convert them to HU"
    } else if low >= 0.0 && high <= 255.0 {
        "they look like grey values of a picture"
    } else if levels.go_too_low() {
        "air lies too low, as if the slope were wrong"
    } else if levels.are_inverted() {
        "they look inverted, with air bright; convert them to HU"
    } else if !levels.have_tissue() {
        "there is no soft tissue, as if an intercept had been applied twice or not at all"
    } else if low >= -200.0 {
        "they look like stored values without their rescale intercept"
    } else if levels.are_dense() {
        "too many are denser than bone, as if the rescale were wrong"
    } else {
        "there is no air, as in a soft-tissue window, so no lung can be seen"
    };
    text.to_owned()
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
        let verdict = |hu: Array2<f32>| units(&[&Survey::new(&hu)], &|_| None).map(|finding| finding.to_string());
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
        assert_eq!(units(&[&Survey::new(&inside), &Survey::new(&hu)], &|_| None), None);
    }
}
