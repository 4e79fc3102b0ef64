//! What a study's slices are: DICOM series with labels, or the images and volumes of a manifest, under pseudonyms and in the order in
//! which they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::config::{Config, SeriesChoice};
use contract::layout::Layout;
use contract::plan;
use contract::user_table::Place;
use ndarray::{Array2, Array3, Axis};

use crate::error::Error;
use crate::geometry::{Affine, Axial};
use crate::privacy::Naming;
use crate::{choice, dicom, hounsfield, images, labels, nifti_io};

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
    /// An image file a slice.
    Image { range_hu: (f64, f64), manifest: PathBuf, row: Place },
    /// One NIfTI file.
    Volume,
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

/// The input of a study.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Series in the order of their slices' ids.
    pub series: Vec<Series>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
    /// Things worth a line on stderr.
    pub notes: Vec<String>,
}

/// A series whose slices can be read in any order.
pub enum Opened<'a> {
    /// From files.
    Files(&'a Series, hounsfield::Slices),
    /// From memory: (slice, row, column) in HU, in the usual view.
    Volume(Array3<f32>),
}

impl Series {
    /// Opens the series; of a volume this reads all of it.
    ///
    /// # Errors
    /// The volume's file is damaged.
    pub fn open(&self) -> Result<Opened<'_>, Error> {
        match (&self.kind, self.slices.first()) {
            (Kind::Volume, Some(first)) => {
                let volume = nifti_io::read(&first.path)?;
                Ok(Opened::Volume(volume.affine.axial().turn(&volume.values)))
            }
            _ => {
                let files = self.slices.iter().map(|slice| slice.path.as_path());
                Ok(Opened::Files(self, hounsfield::Slices::open(files)?))
            }
        }
    }

    /// True for image files, whose HU come from a declared window and saturate at its ends.
    pub fn is_picture(&self) -> bool {
        matches!(self.kind, Kind::Image { .. })
    }

    /// True if each slice has a file of its own.
    pub fn has_slice_files(&self) -> bool {
        !matches!(self.kind, Kind::Volume) && self.slices.iter().all(|slice| slice.frame.is_none())
    }

    /// An image (rows, columns) of one of its slice files in the usual view.
    pub fn turn<T: Clone>(&self, image: Array2<T>) -> Array2<T> {
        match &self.kind {
            Kind::Dicom(axial) => axial.turn_slice(image),
            Kind::Image { .. } | Kind::Volume => image,
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
    pub fn slice(&self, index: usize) -> Result<Array2<f32>, Error> {
        let (series, slices) = match self {
            Self::Volume(values) => {
                return Ok(values.index_axis(Axis(0), index).to_owned());
            }
            Self::Files(series, slices) => (series, slices),
        };
        let file = &series.slices[index];
        match &series.kind {
            Kind::Image { range_hu, manifest, row } => images::read(&file.path, *range_hu)
                .map_err(|error| Error::Row { path: manifest.clone(), row: *row, message: error.to_string() }),
            Kind::Dicom(_) => Ok(series.turn(slices.read(&file.path, file.frame)?)),
            Kind::Volume => unreachable!("a volume is opened as one"),
        }
    }
}

/// Finds the slices of a study. `naming` learns the patients on the way, so that also an error can be told without them.
///
/// # Errors
/// A file, a label or an id is missing or not usable.
pub fn collect(config: &Config, naming: &mut Naming) -> Result<Inputs, Error> {
    let mut inputs = match &config.preprocess.manifest {
        Some(manifest) => of_manifest(config, manifest, naming)?,
        None => of_dicom(config, naming)?,
    };
    // The order of the slice ids, which have a slash after each part.
    inputs.series.sort_by_cached_key(|series| format!("{}/{}/", series.patient_id, series.series_id));
    Ok(inputs)
}

fn of_manifest(config: &Config, manifest: &Path, naming: &mut Naming) -> Result<Inputs, Error> {
    let range_hu = (config.preprocess.image_low_hu, config.preprocess.image_high_hu);
    let images::Manifest { entries, remarks } = images::read_manifest(manifest, &config.classes)?;
    entries.iter().for_each(|entry| naming.learn(&entry.patient, []));
    let mut inputs = Inputs { notes: remarks, ..Inputs::default() };
    for entry in entries {
        let patient_id = naming.patient(&entry.patient)?;
        let source = naming.source(&entry.source, &entry.patient, []);
        let image = Kind::Image { range_hu, manifest: manifest.to_owned(), row: entry.row };
        let is_volume = nifti_io::is_nifti(&entry.path);
        let one = SliceFile { path: entry.path, source, relative: entry.source.clone(), z_mm: None, frame: None };
        let (series_id, label) = (naming.series(&entry.source), entry.label);
        if is_volume {
            inputs.series.push(of_volume(&one, patient_id, series_id, label)?);
            continue;
        }
        let (slices, voxel_mm3, remarks, kind) = (vec![one], None, Vec::new(), image);
        inputs.series.push(Series { patient_id, series_id, label, slices, voxel_mm3, remarks, kind });
    }
    Ok(inputs)
}

/// The series of a NIfTI volume, from its header.
fn of_volume(file: &SliceFile, patient_id: String, series_id: String, label: usize) -> Result<Series, Error> {
    let nifti_io::Geometry { shape, affine, remarks } = nifti_io::read_geometry(&file.path)?;
    let slice = |z_mm| SliceFile { z_mm: Some(z_mm as f32), ..file.clone() };
    let slices = depths(shape, &affine).into_iter().map(slice).collect();
    let voxel_mm3 = Some(affine.voxel_mm3());
    Ok(Series { patient_id, series_id, label, slices, voxel_mm3, remarks, kind: Kind::Volume })
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

fn of_dicom(config: &Config, naming: &mut Naming) -> Result<Inputs, Error> {
    let folder = Layout::new(config).preprocess_input(config);
    let labels_file = plan::labels_file(config);
    let labels = labels::read(&labels_file, &config.classes)?;
    labels.names().for_each(|name| naming.learn(name, []));
    let scan = dicom::scan(&folder).inspect_err(|_| learn_all(naming, &folder))?;
    for header in scan.series.iter().flat_map(|series| series.slices.first()) {
        naming.learn(&header.patient, told(&header.names));
    }
    let mut inputs = Inputs { notes: labels.remarks.clone(), ..Inputs::default() };
    if scan.other_files > 0 {
        inputs.notes.push(format!("{} files in the input are not DICOM and were passed over", scan.other_files));
    }
    let mut left_out = scan.skipped;
    let (axial, tilted): (Vec<_>, Vec<_>) =
        scan.series.into_iter().partition(|series| series.axial().slices_are_axial());
    left_out.extend(tilted.into_iter().flat_map(|series| series.into_skipped("not_axial")));
    if axial.is_empty() {
        return Err(Error::NoCt { folder, found: "no series has axial slices".to_owned() });
    }
    let chosen = match config.preprocess.series {
        SeriesChoice::All => axial,
        SeriesChoice::Largest => {
            let choice = choice::largest(axial);
            left_out.extend(choice.others.into_iter().flat_map(|series| series.into_skipped(choice::OTHER_SERIES)));
            choice.taken
        }
    };
    for series in chosen {
        let label = labels.label(&series.patient).ok_or_else(|| no_label(naming, &series.patient, &labels_file))?;
        inputs.series.push(named(series, label, &folder, naming)?);
    }
    inputs.notes.extend(left_out_series(&left_out));
    for skipped in left_out {
        let patient_id = naming.patient(&skipped.patient).unwrap_or_default();
        let source = naming.source(&skipped.file.to_string_lossy(), &skipped.patient, told(&skipped.names));
        inputs.left_out.push(LeftOut { patient_id, source, reason: skipped.reason });
    }
    let found: BTreeSet<_> = inputs.series.iter().map(|series| series.patient_id.clone()).collect();
    let named = labels.names().filter_map(|name| naming.patient(name).ok());
    let without = named.filter(|patient| !found.contains(patient)).count();
    if without > 0 {
        inputs.notes.push(format!("{without} patients of the labels have no CT"));
    }
    Ok(inputs)
}

/// The secrets as text, to be hidden.
fn told(names: &[dicom::Secret]) -> impl Iterator<Item = &str> {
    names.iter().map(|dicom::Secret(name)| name.as_str())
}

/// Learns the patients of all files that can be read, so that the error about one that cannot hides them.
fn learn_all(naming: &mut Naming, folder: &Path) {
    for file in contract::hash::walk(folder).unwrap_or_default() {
        if let Some(header) = dicom::headers(folder, &file).unwrap_or_default().first() {
            naming.learn(&header.patient, told(&header.names));
        }
    }
}

fn no_label(naming: &Naming, raw: &str, labels: &Path) -> Error {
    let patient = naming.patient(raw).unwrap_or_default();
    let message = format!(
        "no label in {}; add a row with patient_id and label (`chumoku-preprocess whois` tells whose pseudonym it is)",
        labels.display()
    );
    Error::Patient { patient, message }
}

/// A line for what was left out of the input, by reason.
fn left_out_series(left_out: &[dicom::Skipped]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    left_out.iter().for_each(|skipped| *counts.entry(skipped.reason).or_default() += 1);
    let list: Vec<String> = counts.iter().map(|(reason, files)| format!("{files} {reason}")).collect();
    (!list.is_empty()).then(|| format!("DICOM files left out: {}; excluded.csv lists them", list.join(", ")))
}

/// A DICOM series under the names of the outputs.
fn named(series: dicom::Series, label: usize, folder: &Path, naming: &Naming) -> Result<Series, Error> {
    let patient_id = naming.patient(&series.patient)?;
    let kind = Kind::Dicom(series.axial());
    let file = |(header, depth): (&dicom::Header, Option<f64>)| SliceFile {
        path: folder.join(&header.file),
        source: naming.source(&header.file.to_string_lossy(), &series.patient, told(&header.names)),
        relative: header.file.to_string_lossy().into_owned(),
        z_mm: depth.map(|depth| depth as f32),
        frame: header.frame,
    };
    let slices = series.slices.iter().zip(series.depths()).map(file).collect();
    let (series_id, remarks) = (naming.series(&series.uid), series.remarks.clone());
    Ok(Series { series_id, label, slices, voxel_mm3: series.voxel_mm3(), patient_id, remarks, kind })
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
