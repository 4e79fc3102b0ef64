//! What a study's slices are: DICOM series with labels (`dicom_study`), or the images and volumes of a manifest (`manifest`), under
//! pseudonyms and in the order in which they are written.

mod dicom_study;
mod manifest;
mod one_id;
pub mod unlabelled;

use std::path::PathBuf;

use contract::config::Config;
use contract::user_table::Place;
use ndarray::{Array2, Array3, Axis};

use crate::ct_slice::CtSlice;
use crate::error::Error;
use crate::geometry::{Affine, Axial};
use crate::privacy::Naming;
use crate::{hounsfield, images, nifti_io};

/// One slice of a series.
#[derive(Debug, Clone)]
pub struct SliceFile {
    /// The file.
    pub path: PathBuf,
    /// Its path relative to the input root, without the patient's raw id.
    pub source: String,
    /// The same as it is, by which other files may call it; for no output.
    pub relative: String,
    /// Position along the slice normal, mm.
    pub z_mm: Option<f32>,
    /// The frame of a multi-frame file.
    frame: Option<u32>,
}

/// How the slices of a series are read.
#[derive(Debug, Clone)]
enum Kind {
    /// A DICOM file, or a frame of one, a slice.
    Dicom(Axial),
    /// One image file per slice.
    Image { range_hu: (f64, f64), row: Row },
    /// One NIfTI file.
    Volume(Row),
}

/// A row of a manifest. Errors name it in place of its file, whose name may be a patient's.
#[derive(Debug, Clone)]
struct Row {
    manifest: PathBuf,
    row: Place,
}

impl Row {
    fn hide_file(&self, error: Error) -> Error {
        let message = match error {
            Error::File { message, .. } => format!("its file: {message}"),
            Error::Read { source, .. } => format!("its file cannot be read: {source}"),
            other => return other,
        };
        Error::Row { path: self.manifest.clone(), row: self.row, message }
    }
}

/// Slices of one series.
#[derive(Debug, Clone)]
pub struct Series {
    /// The patient's id in the outputs.
    pub patient_id: String,
    /// The series' id in the outputs.
    pub series_id: String,
    /// Class index.
    pub label: usize,
    /// The slices in order.
    pub slices: Vec<SliceFile>,
    /// Volume of a voxel, mm3, if known.
    pub voxel_mm3: Option<f64>,
    /// What was noticed about its geometry, such as `gantry_tilt`.
    pub remarks: Vec<&'static str>,
    /// The other series of the same study of the patient, in the order of preference: taken where this one shows hardly any lung.
    pub alternatives: Vec<Series>,
    reading: hounsfield::Reading,
    kind: Kind,
}

/// A file that was left out before anything was segmented.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// The patient's id in the outputs.
    pub patient_id: String,
    /// The file, as in [`SliceFile::source`].
    pub source: String,
    /// Why.
    pub reason: &'static str,
}

/// A labelled patient of whom no series is segmented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The patient's id in the outputs.
    pub patient_id: String,
    /// Class index.
    pub label: usize,
    /// Why: [`crate::patients::NO_CT`] or [`crate::patients::NO_USABLE_SERIES`].
    pub reason: &'static str,
}

/// The input of a study.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Series in the order of their slices' ids.
    pub series: Vec<Series>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
    /// Labelled patients without a series, by patient.
    pub absent: Vec<Absent>,
    /// Things worth a line on stderr.
    pub notes: Vec<String>,
}

/// A series whose slices can be read in any order.
pub enum Opened<'a> {
    /// From files.
    Files(&'a Series, hounsfield::Slices),
    /// From memory: (slice, row, column) as stated, in the usual view.
    Volume(Array3<f32>),
}

impl Series {
    /// Opens the series; of a volume this reads all of it.
    ///
    /// # Errors
    /// The volume's file is damaged.
    pub fn open(&self) -> Result<Opened<'_>, Error> {
        match (&self.kind, self.slices.first()) {
            (Kind::Volume(row), Some(first)) => {
                let volume = nifti_io::read(&first.path).map_err(|error| row.hide_file(error))?;
                let volume = volume.shifted(self.reading.offset_hu);
                Ok(Opened::Volume(volume.affine.axial().turn(&volume.values)))
            }
            _ => {
                let files = self.slices.iter().map(|slice| slice.path.as_path());
                Ok(Opened::Files(self, hounsfield::Slices::open(files, self.reading)?))
            }
        }
    }

    /// True for image files, whose HU come from a declared window and saturate at its ends.
    pub fn is_picture(&self) -> bool {
        matches!(self.kind, Kind::Image { .. })
    }

    /// True for DICOM.
    pub fn is_dicom(&self) -> bool {
        matches!(self.kind, Kind::Dicom(_))
    }

    /// True if each slice has a file of its own.
    pub fn has_slice_files(&self) -> bool {
        !matches!(self.kind, Kind::Volume(_)) && self.slices.iter().all(|slice| slice.frame.is_none())
    }

    /// An image (rows, columns) of one of its slice files in the usual view.
    pub fn turn<T: Clone>(&self, image: Array2<T>) -> Array2<T> {
        match &self.kind {
            Kind::Dicom(axial) => axial.turn_slice(image),
            Kind::Image { .. } | Kind::Volume(_) => image,
        }
    }

    /// The series in a message.
    pub fn describe(&self) -> String {
        let first = self.slices.first().map_or("no file", |slice| slice.source.as_str());
        format!(
            "series {} of patient {} ({} slices, first {first})",
            self.series_id,
            self.patient_id,
            self.slices.len()
        )
    }
}

impl Opened<'_> {
    /// A slice in HU, in the usual view.
    ///
    /// # Errors
    /// Its file is damaged.
    pub fn slice(&self, index: usize) -> Result<CtSlice, Error> {
        let (series, slices) = match self {
            Self::Volume(values) => {
                return Ok(CtSlice::of(values.index_axis(Axis(0), index).to_owned()));
            }
            Self::Files(series, slices) => (series, slices),
        };
        let file = &series.slices[index];
        match &series.kind {
            Kind::Image { range_hu, row } => images::open(&file.path, *range_hu).map_err(|error| row.hide_file(error)),
            Kind::Dicom(_) => Ok(slices.read(&file.path, file.frame)?.turned(|hu| series.turn(hu))),
            Kind::Volume(_) => unreachable!("a volume is opened as one"),
        }
    }
}

/// Finds the slices of a study. `naming` registers the patients on the way, so that errors can be written without their names.
///
/// # Errors
/// A file, a label or an id is missing or not usable.
pub fn collect(config: &Config, naming: &mut Naming) -> Result<Inputs, Error> {
    let mut inputs = match &config.preprocess.manifest {
        Some(manifest) => manifest::collect(config, manifest, naming)?,
        None => dicom_study::collect(config, naming)?,
    };
    // The order of the slice ids, which have a slash after each part.
    inputs.series.sort_by_cached_key(|series| format!("{}/{}/", series.patient_id, series.series_id));
    Ok(inputs)
}

/// Position of each axial slice of a volume of `shape` along the slice axis, from feet to head, mm.
pub(crate) fn depths(shape: [usize; 3], affine: &Affine) -> Vec<f64> {
    let axis = affine.axial().slice_axis();
    let step = affine.step(axis);
    let length = step.iter().map(|part| part * part).sum::<f64>().sqrt();
    let start = [0, 1, 2].map(|world| affine.0[world][3]);
    let up = if step[2] < 0.0 { -1.0 } else { 1.0 };
    let along = |index: usize| {
        let dot: f64 = (0..3).map(|world| (start[world] + step[world] * index as f64) * step[world]).sum();
        up * dot / length.max(1e-12)
    };
    let mut depths: Vec<f64> = (0..shape[axis]).map(along).collect();
    depths.sort_by(f64::total_cmp);
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_go_from_feet_to_head_whatever_the_storage() {
        // By hand: k runs down in steps of 2 mm from 10 mm; i runs up in steps of 3 mm from -5 mm.
        let down = Affine([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -2.0, 10.0]]);
        assert_eq!(depths([4, 4, 3], &down), [6.0, 8.0, 10.0]);
        let sagittal = Affine([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [3.0, 0.0, 0.0, -5.0]]);
        assert_eq!(depths([3, 4, 4], &sagittal), [-5.0, -2.0, 1.0]);
    }
}
