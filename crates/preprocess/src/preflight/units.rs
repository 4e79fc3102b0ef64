//! CT of a chest has air near -1000 HU and soft tissue near 0 HU, whatever the disease. Values that have neither are
//! something else: stored values without their rescale, grey values of a picture, a normalised volume.
//!
//! Padding is left out, whatever its value. A series is judged as a whole and slice by slice.

use super::levels::Levels;
use super::{Finding, Likeness, steps};
use crate::survey::Survey;

/// How a program is told what a refusal names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interface {
    /// By options of a command.
    Options {
        /// The offset that was given.
        hu_offset: f64,
    },
    /// By keys of a study with one CT.
    Keys {
        /// The offset that was given.
        hu_offset: f64,
    },
    /// By keys that all series of a study share.
    Study {
        /// The offset that was given.
        hu_offset: f64,
        /// True for a series of DICOM.
        dicom: bool,
    },
}

impl Interface {
    /// What to do about a finding. Overriding the check comes last, and only where the values may be right.
    pub fn remedy(self, finding: &Finding) -> String {
        let certain = match finding {
            Finding::Units { looks_like: Likeness::Picture, .. } => Some(self.picture()),
            Finding::Units { looks_like, .. } => looks_like.remedy(),
            Finding::Grey { wrapped: true, .. } => {
                Some(format!("save HU + 1024, with 0 for all that is less, and {}", self.range("-1024", "64511")))
            }
            Finding::Grey { fits: Some((low, high)), .. } => Some(self.fitting(*low, *high)),
            _ => None,
        };
        certain.unwrap_or_else(|| self.uncertain(finding))
    }

    fn uncertain(self, finding: &Finding) -> String {
        let anyway = match self {
            Self::Options { .. } => "if it is right all the same, give --no-check-units",
            Self::Keys { .. } | Self::Study { .. } => "if it is right all the same, set preprocess.check_units: false",
        };
        match finding {
            Finding::Units { looks_like: Likeness::Offset(more), .. } => format!("{}; {anyway}", self.offset(*more)),
            Finding::Units { .. } => format!("give the CT in HU, exported without a window; {anyway}"),
            Finding::Grey { .. } => format!("{}; {anyway}", self.range("the HU of 0", "the HU of 65535")),
            _ => anyway.to_owned(),
        }
    }

    fn offset(self, more: f64) -> String {
        match self {
            Self::Options { hu_offset } if hu_offset + more == 0.0 => "leave out --hu-offset".to_owned(),
            Self::Keys { hu_offset } if hu_offset + more == 0.0 => "leave out preprocess.hu_offset".to_owned(),
            Self::Options { hu_offset } => format!("give --hu-offset {}", hu_offset + more),
            Self::Keys { hu_offset } => format!("set preprocess.hu_offset: {}", hu_offset + more),
            Self::Study { hu_offset, dicom } => shared_offset(hu_offset, more, dicom),
        }
    }

    fn fitting(self, low: f64, high: f64) -> String {
        let range = self.range(&low.to_string(), &high.to_string());
        match self {
            Self::Study { .. } => format!(
                "if all images of the study are so, {range}; if some are not, give all images of the study one range, as they share \
                 these keys"
            ),
            Self::Options { .. } | Self::Keys { .. } => range,
        }
    }

    fn range(self, low: &str, high: &str) -> String {
        match self {
            Self::Options { .. } if low.parse::<f64>().is_ok() => format!("give --image-hu {low} {high}"),
            Self::Options { .. } => format!("give {low} and {high} with --image-hu"),
            Self::Keys { .. } | Self::Study { .. } => {
                format!("set preprocess.image_low_hu: {low} and preprocess.image_high_hu: {high}")
            }
        }
    }

    fn picture(self) -> String {
        let range = match self {
            Self::Options { .. } => "give --image-hu LOW HIGH",
            Self::Keys { .. } | Self::Study { .. } => {
                "list it in a manifest with preprocess.image_low_hu: LOW and preprocess.image_high_hu: HIGH"
            }
        };
        format!(
            "export the CT again in HU, without a window; if there is only the picture, of which black is LOW and white is HIGH HU, change \
             its values to LOW + value / 255 * (HIGH - LOW), or save it as an 8-bit PNG and {range}"
        )
    }
}

/// The remedy for one series of a study: the offset of a study is that of all its series.
fn shared_offset(hu_offset: f64, more: f64, dicom: bool) -> String {
    let intercept = |intercept: f64| match dicom {
        true => format!(
            "RescaleSlope 1 and RescaleIntercept {intercept} (for example `dcmodify -nb -i \"(0028,1053)=1\" -i \"(0028,1052)={intercept}\" \
             FILES` of DCMTK), or correct their values"
        ),
        false => "HU: correct their values".to_owned(),
    };
    if hu_offset + more == 0.0 {
        return format!(
            "leave out preprocess.hu_offset; if other series of the study need it, give their files {}",
            intercept(hu_offset)
        );
    }
    let alone = match dicom {
        // One that is there already was added to the values.
        true if more > 0.0 => format!("add {more} to the RescaleIntercept of its files"),
        true => format!("give its files {}", intercept(more)),
        false => format!("correct its values: add {more} to them"),
    };
    format!(
        "if all series of the study are so, set preprocess.hu_offset: {}; if this one alone is, {alone}",
        hu_offset + more
    )
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
    Some(Finding::Units { range: levels.range, looks_like: Likeness::of(&levels, offset) })
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
        let cases: [Case; 6] = [
            (|hu| hu + 1024.0, "without their rescale intercept"),
            (|hu| ((hu + 1350.0) / 1500.0).clamp(0.0, 1.0) * 255.0, "grey values"),
            (|hu| ((hu + 1024.0) / 4096.0).clamp(0.0, 1.0), "normalised"),
            (|hu| hu - 1024.0, "no soft tissue"),
            // W400 L40, as it is exported.
            (|hu| hu.clamp(-160.0, 240.0), "soft-tissue window"),
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
