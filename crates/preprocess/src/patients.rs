//! What became of each labelled patient: nobody leaves the study without a name in `qa.csv` and a number in the summary.

use std::collections::BTreeMap;

pub use contract::schema::reason::NO_CT;

use crate::inputs::Absent;
use crate::quality::SeriesQuality;
use crate::second_choice::REPLACED;

/// All files of the patient were left out before segmentation; `excluded.csv` says why.
pub const NO_USABLE_SERIES: &str = "no_usable_series";
/// The lung masks leave no slice of the patient.
pub const NO_SLICE_KEPT: &str = "no_slice_kept";
/// Fewer than [`FEW`] of the patient's slices are kept.
pub const FEW_SLICES_KEPT: &str = "few_slices_kept";

/// Share of a patient's slices below which the summary warns. A chest CT that reaches far into the neck and the abdomen keeps about a
/// third; less is mostly another part of the body, or a mask that failed. Our choice.
pub const FEW: f64 = 0.2;

/// Patients named in one line.
const NAMED: usize = 10;

/// A labelled patient of whom too little is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The patient's id in the outputs.
    pub patient_id: String,
    /// Class index.
    pub label: usize,
    /// Slices that are written.
    pub kept: usize,
    /// Slices that were segmented.
    pub slices: usize,
    /// One of the constants of this module.
    pub reason: &'static str,
}

/// The labelled patients with no slice, or with few, by patient.
pub fn losses(series: &[SeriesQuality], absent: &[Absent]) -> Vec<Loss> {
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for one in series {
        let (_, kept, slices) = counts.entry(&one.patient_id).or_insert((one.label, 0, 0));
        *kept += one.kept();
        *slices += one.slices.len();
    }
    let reason = |kept: usize, slices: usize| match kept {
        0 => Some(NO_SLICE_KEPT),
        _ => ((kept as f64) < FEW * slices as f64).then_some(FEW_SLICES_KEPT),
    };
    let of_masks = counts.into_iter().filter_map(|(patient, (label, kept, slices))| {
        let reason = reason(kept, slices)?;
        Some(Loss { patient_id: patient.to_owned(), label, kept, slices, reason })
    });
    let of_input = absent.iter().map(|patient| Loss {
        patient_id: patient.patient_id.clone(),
        label: patient.label,
        kept: 0,
        slices: 0,
        reason: patient.reason,
    });
    let mut losses: Vec<Loss> = of_masks.chain(of_input).collect();
    losses.sort_by(|a, b| a.patient_id.cmp(&b.patient_id));
    losses
}

/// Adds the reason to the remarks of each series of a patient with no slice, or with few. A series that another one replaced has its own.
pub fn remark(series: &mut [SeriesQuality]) {
    let reasons: BTreeMap<String, &str> =
        losses(series, &[]).into_iter().map(|loss| (loss.patient_id, loss.reason)).collect();
    for one in series {
        let reason = reasons.get(&one.patient_id).filter(|_| !one.remarks.contains(&REPLACED));
        one.remarks.extend(reason);
    }
}

/// "no_ct: 2 (a, b)" for each reason.
pub fn by_reason(losses: &[Loss]) -> Vec<String> {
    let mut lines = Vec::new();
    for reason in [NO_CT, NO_USABLE_SERIES, NO_SLICE_KEPT, FEW_SLICES_KEPT] {
        let of_reason = losses.iter().filter(|loss| loss.reason == reason);
        let patients: Vec<&str> = of_reason.map(|loss| loss.patient_id.as_str()).collect();
        if !patients.is_empty() {
            lines.push(format!("{reason}: {} ({})", patients.len(), named(&patients)));
        }
    }
    lines
}

/// The first patients, and how many more.
fn named(patients: &[&str]) -> String {
    let more = patients.len().saturating_sub(NAMED);
    let first = patients[..patients.len() - more].join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// A note on labelled patients without a series, before anything is segmented; `None` if there are none.
pub fn absent_note(absent: &[Absent]) -> Option<String> {
    let lost = by_reason(&losses(&[], absent));
    (!lost.is_empty()).then(|| format!("labelled patients without a CT that can be used: {}", lost.join("; ")))
}

/// A warning on patients whom the masks leave with no slice, or with few; `None` if there are none.
pub fn warning(losses: &[Loss]) -> Option<String> {
    let by_masks: Vec<Loss> =
        losses.iter().filter(|loss| [NO_SLICE_KEPT, FEW_SLICES_KEPT].contains(&loss.reason)).cloned().collect();
    let percent = FEW * 100.0;
    (!by_masks.is_empty()).then(|| {
        format!(
            "patients with no slice left, or with fewer than {percent} % of their slices: {}; look at sheets/ and qa.csv: a scan of another \
             part of the body, or a lung mask that failed",
            by_reason(&by_masks).join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::SliceQuality;

    fn series(patient: &str, kept: usize, slices: usize) -> SeriesQuality {
        let slice = |index: usize| SliceQuality {
            slice_id: format!("{patient}/s/{index}"),
            z_mm: None,
            lung_fraction: 0.1,
            pixels: [1, 1],
            ml: None,
            flags: Vec::new(),
            left_out: (index >= kept).then_some("empty_mask"),
        };
        SeriesQuality {
            patient_id: patient.to_owned(),
            series_id: "s".to_owned(),
            label: 1,
            slices: (0..slices).map(slice).collect(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn every_lost_patient_has_a_reason() {
        let absent = [("a", NO_CT), ("d", NO_USABLE_SERIES)].map(|(patient, reason)| Absent {
            patient_id: patient.to_owned(),
            label: 0,
            reason,
        });
        // b has two series, together 3 of 16 slices; e has exactly the share that is enough, 2 of 10.
        let known = [series("b", 3, 8), series("b", 0, 8), series("c", 0, 4), series("e", 2, 10), series("f", 5, 5)];
        let losses = losses(&known, &absent);
        let found: Vec<(&str, usize, usize, &str)> =
            losses.iter().map(|loss| (loss.patient_id.as_str(), loss.kept, loss.slices, loss.reason)).collect();
        let expected = [
            ("a", 0, 0, NO_CT),
            ("b", 3, 16, FEW_SLICES_KEPT),
            ("c", 0, 4, NO_SLICE_KEPT),
            ("d", 0, 0, NO_USABLE_SERIES),
        ];
        assert_eq!(found, expected);
        assert_eq!(by_reason(&losses)[0], "no_ct: 1 (a)");
        assert!(warning(&losses).is_some_and(|text| text.contains("no_slice_kept: 1 (c)") && !text.contains("(a)")));
        assert_eq!(warning(&losses[..1]), None);
    }
}
