//! What is known of a mask, of a slice and of a series: volumes, flags, and the tables `qa.csv` and `qa_slices.csv`.

use std::path::Path;

use contract::layout::{QUALITY, QUALITY_SLICES};
use contract::schema::{column, flag, mask_value};
use ndarray::Array2;

use crate::error::Error;
use crate::inputs::{Absent, Series};
use crate::lungs;
use crate::morphology::Mask;
use crate::slices::write_csv;
use crate::survey::{self, Survey};

/// Share of the lung samples that may lie outside the body; its edge is 128 pixels coarse.
const OUTSIDE_FROM: f64 = 0.02;

/// What is known of the mask of one slice.
#[derive(Debug, Clone)]
pub struct SliceQuality {
    /// Unique id, [`contract::id::slice`].
    pub slice_id: String,
    /// Position along the slice normal, mm.
    pub z_mm: Option<f32>,
    /// Share of the slice that is lung.
    pub lung_fraction: f32,
    /// Pixels of right and left lung.
    pub pixels: [usize; 2],
    /// The same in ml, if the spacing is known.
    pub ml: Option<[f64; 2]>,
    /// Remarks, of [`flag::ALL`].
    pub flags: Vec<&'static str>,
    /// `None` if the slice is written, else the reason why not.
    pub left_out: Option<&'static str>,
}

/// What is known of the masks of one series.
#[derive(Debug, Clone)]
pub struct SeriesQuality {
    /// The patient.
    pub patient_id: String,
    /// The series.
    pub series_id: String,
    /// Class index.
    pub label: usize,
    /// Its slices.
    pub slices: Vec<SliceQuality>,
    /// What was noticed about the series, such as `gantry_tilt`.
    pub remarks: Vec<&'static str>,
}

/// Remarks on a mask, in the order of [`flag::ALL`]. `slice` is `None` for pictures: cut close to the lungs, they show no whole
/// body.
pub fn flags(mask: &Array2<u8>, slice: Option<&Survey>) -> Vec<&'static str> {
    let mut flags = lungs::flags(mask);
    if flags.contains(&flag::EMPTY_MASK) {
        return flags;
    }
    let small = survey::mask(mask);
    if slice.is_some_and(|slice| outside(&small, &slice.body) > OUTSIDE_FROM) {
        flags.push(flag::OUTSIDE_BODY);
    }
    if let (Some(right), Some(left)) = (column_of(&small, mask_value::RIGHT), column_of(&small, mask_value::LEFT))
        && right > left
    {
        flags.push(flag::SIDES_SWAPPED);
    }
    flags
}

/// Share of the lung that lies outside the body.
fn outside(mask: &Array2<u8>, body: &Mask) -> f64 {
    let lung = mask.indexed_iter().filter(|(_, label)| **label != mask_value::BACKGROUND);
    let (all, outside) =
        lung.fold((0, 0), |(all, outside), (at, _)| (all + 1, outside + u32::from(!body.get(at.0, at.1))));
    if all > 0 { f64::from(outside) / f64::from(all) } else { 0.0 }
}

/// Mean column of a label.
fn column_of(mask: &Array2<u8>, label: u8) -> Option<f64> {
    let columns = mask.indexed_iter().filter(|(_, found)| **found == label).map(|((_, column), _)| column);
    let (sum, count) = columns.fold((0, 0), |(sum, count), column| (sum + column, count + 1));
    (count > 0).then(|| sum as f64 / f64::from(count))
}

/// Pixels of a slice in ml.
pub fn ml(pixels: [usize; 2], series: &Series) -> Option<[f64; 2]> {
    series.voxel_mm3.map(|mm3| pixels.map(|count| count as f64 * mm3 / 1000.0))
}

impl SeriesQuality {
    /// Slices that are written.
    pub fn kept(&self) -> usize {
        self.slices.iter().filter(|slice| slice.left_out.is_none()).count()
    }

    /// Slices with a flag.
    pub fn flagged(&self, flag: &str) -> usize {
        self.slices.iter().filter(|slice| slice.flags.contains(&flag)).count()
    }

    /// True if no slice shows a lung.
    pub fn is_empty(&self) -> bool {
        self.flagged(flag::EMPTY_MASK) == self.slices.len()
    }

    /// Volume of right and left lung, ml, if the spacing is known.
    pub fn lungs_ml(&self) -> Option<[f64; 2]> {
        let add = |sum: [f64; 2], ml: [f64; 2]| [sum[0] + ml[0], sum[1] + ml[1]];
        let known = !self.slices.is_empty();
        known.then(|| self.slices.iter().try_fold([0.0; 2], |sum, slice| slice.ml.map(|ml| add(sum, ml))))?
    }
}

/// Writes both tables to `folder`. A labelled patient without a series has a row of their own in `qa.csv`, with the reason among the remarks.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, series: &[SeriesQuality], absent: &[Absent]) -> Result<(), Error> {
    let without_series = absent.iter().map(|patient| SeriesQuality {
        patient_id: patient.patient_id.clone(),
        series_id: String::new(),
        label: patient.label,
        slices: Vec::new(),
        remarks: vec![patient.reason],
    });
    let mut all: Vec<SeriesQuality> = series.iter().cloned().chain(without_series).collect();
    // Stable: the series of a patient keep their order.
    all.sort_by(|a, b| a.patient_id.cmp(&b.patient_id));
    write_series(&folder.join(QUALITY), &all)?;
    write_slices(&folder.join(QUALITY_SLICES), series)
}

fn in_ml(ml: Option<[f64; 2]>) -> [String; 2] {
    ml.map_or_else(Default::default, |sides| sides.map(|ml| format!("{ml:.2}")))
}

fn write_series(path: &Path, series: &[SeriesQuality]) -> Result<(), Error> {
    let known = [column::PATIENT_ID, column::SERIES_ID, column::LABEL, "slices", "kept", "right_ml", "left_ml"];
    let header: Vec<&str> = known.into_iter().chain(flag::ALL).chain(["remarks"]).collect();
    let record = |row: &SeriesQuality| {
        let mut record = vec![row.patient_id.clone(), row.series_id.clone()];
        record.extend([row.label, row.slices.len(), row.kept()].map(|number| number.to_string()));
        record.extend(in_ml(row.lungs_ml()));
        record.extend(flag::ALL.map(|flag| row.flagged(flag).to_string()));
        record.push(row.remarks.join(";"));
        record
    };
    write_csv(path, &header, series.iter().map(record))
}

fn write_slices(path: &Path, series: &[SeriesQuality]) -> Result<(), Error> {
    let header = [
        column::SLICE_ID,
        column::Z_MM,
        column::LUNG_FRACTION,
        "right_px",
        "left_px",
        "right_ml",
        "left_ml",
        column::FLAGS,
        "left_out",
    ];
    let record = |row: &SliceQuality| {
        let mut record = vec![row.slice_id.clone(), row.z_mm.map_or_else(String::new, |z| z.to_string())];
        record.push(row.lung_fraction.to_string());
        record.extend(row.pixels.map(|count| count.to_string()));
        record.extend(in_ml(row.ml));
        record.extend([row.flags.join(";"), row.left_out.unwrap_or_default().to_owned()]);
        record
    };
    write_csv(path, &header, series.iter().flat_map(|series| &series.slices).map(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    /// A body of 100 x 100 pixels in air, with a mask of two blocks.
    fn slice(right: std::ops::Range<usize>, left: std::ops::Range<usize>) -> (Survey, Array2<u8>) {
        let mut hu = Array2::from_elem((128, 128), -1000.0);
        hu.slice_mut(s![14..114, 14..114]).fill(40.0);
        let mut mask = Array2::zeros((128, 128));
        mask.slice_mut(s![40..80, right]).fill(mask_value::RIGHT);
        mask.slice_mut(s![40..80, left]).fill(mask_value::LEFT);
        (Survey::new(&hu), mask)
    }

    #[test]
    fn masks_outside_the_body_and_swapped_sides_are_flagged() {
        let flags = |right, left| {
            let (slice, mask) = slice(right, left);
            flags(&mask, Some(&slice))
        };
        assert!(flags(20..50, 70..100).is_empty());
        assert_eq!(flags(70..100, 20..50), [flag::SIDES_SWAPPED]);
        assert_eq!(flags(5..50, 70..100), [flag::OUTSIDE_BODY]);
        assert_eq!(flags(20..50, 0..0), [flag::ONE_LUNG]);
    }
}
