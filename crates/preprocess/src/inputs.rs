//! What a study's slices are: DICOM series with labels, or the images of a manifest, under pseudonyms and in the order in which
//! they are written.

use std::path::{Path, PathBuf};

use contract::config::{Config, Pseudonyms};
use contract::id::{self, Key};
use contract::layout::Layout;
use contract::plan;
use ndarray::Array2;

use crate::error::Error;
use crate::geometry::Axial;
use crate::{dicom, hounsfield, images, labels};

/// A file that holds one slice.
#[derive(Debug, Clone)]
pub struct SliceFile {
    /// The file.
    pub path: PathBuf,
    /// Its path relative to the input root, without the patient's raw id.
    pub source: String,
    /// Position along the slice normal, mm.
    pub z_mm: Option<f32>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Dicom { axial: Axial, frame: Option<u32> },
    Image { range_hu: (f64, f64), manifest: PathBuf, row: u64 },
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

impl SliceFile {
    /// Reads the slice in HU, in the usual view.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn read(&self) -> Result<Array2<f32>, Error> {
        match &self.kind {
            Kind::Dicom { axial, frame } => Ok(axial.turn_slice(hounsfield::read(&self.path, *frame)?)),
            Kind::Image { range_hu, manifest, row } => images::read(&self.path, *range_hu)
                .map_err(|error| Error::Row { path: manifest.clone(), row: *row, message: error.to_string() }),
        }
    }
}

/// How raw ids become ids of the outputs.
enum Naming {
    Keyed(Key),
    Keep,
}

impl Naming {
    fn new(config: &Config) -> Result<Self, Error> {
        let path = Layout::new(config).pseudonym_key();
        match config.preprocess.pseudonyms {
            Pseudonyms::Keep => Ok(Self::Keep),
            Pseudonyms::Keyed => {
                Key::load_or_create(&path).map(Self::Keyed).map_err(|source| Error::Write { path, source })
            }
        }
    }

    fn patient(&self, raw: &str) -> Result<String, Error> {
        let failed = |message: &str| Error::Patient { patient: raw.to_owned(), message: message.to_owned() };
        match self {
            _ if raw.is_empty() => Err(failed("the id is empty; slices of a patient must share one PatientID")),
            Self::Keyed(key) => Ok(key.pseudonym("patient", raw)),
            Self::Keep if raw.contains(['/', '\\']) || raw.chars().any(char::is_control) || raw.starts_with('.') => {
                Err(failed(
                    "an id with a path separator or control character cannot be kept; use preprocess.pseudonyms: keyed",
                ))
            }
            Self::Keep => Ok(raw.to_owned()),
        }
    }

    fn series(&self, raw: &str) -> String {
        match self {
            Self::Keyed(key) => key.pseudonym("series", raw),
            Self::Keep => id::short(raw),
        }
    }

    /// A path for the outputs: where it spells the patient's raw id, it gets the pseudonym.
    fn source(&self, path: &str, raw: &str, patient_id: &str) -> String {
        match self {
            Self::Keyed(_) => replace_whole(path, raw, patient_id),
            Self::Keep => path.to_owned(),
        }
    }
}

/// Replaces `old` where no letter or digit touches it.
fn replace_whole(text: &str, old: &str, new: &str) -> String {
    if old.is_empty() {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let last = before.chars().next_back().or_else(|| out.chars().next_back());
        let touched = last.is_some_and(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(if touched { old } else { new });
        rest = after;
    }
    out + rest
}

/// Finds the slices of a study.
///
/// # Errors
/// A file, a label or an id is missing or not usable.
pub fn collect(config: &Config) -> Result<Inputs, Error> {
    let naming = Naming::new(config)?;
    let mut inputs = match &config.preprocess.manifest {
        Some(manifest) => of_manifest(config, manifest, &naming)?,
        None => of_dicom(config, &naming)?,
    };
    // The order of the slice ids, which have a slash after each part.
    inputs.series.sort_by_cached_key(|series| format!("{}/{}/", series.patient_id, series.series_id));
    Ok(inputs)
}

fn of_manifest(config: &Config, manifest: &Path, naming: &Naming) -> Result<Inputs, Error> {
    let range_hu = (config.preprocess.image_low_hu, config.preprocess.image_high_hu);
    let mut inputs = Inputs::default();
    for entry in images::read_manifest(manifest, &config.classes)? {
        let patient_id = naming.patient(&entry.patient)?;
        let source = naming.source(&entry.source, &entry.patient, &patient_id);
        let kind = Kind::Image { range_hu, manifest: manifest.to_owned(), row: entry.row };
        inputs.series.push(Series {
            patient_id,
            series_id: naming.series(&entry.source),
            label: entry.label,
            slices: vec![SliceFile { path: entry.path, source, z_mm: None, kind }],
            voxel_mm3: None,
        });
    }
    Ok(inputs)
}

fn of_dicom(config: &Config, naming: &Naming) -> Result<Inputs, Error> {
    let folder = Layout::new(config).preprocess_input(config);
    let labels_file = plan::labels_file(config);
    let labels = labels::read(&labels_file, &config.classes)?;
    let scan = dicom::scan(&folder)?;
    let mut inputs = Inputs::default();
    if scan.other_files > 0 {
        inputs.notes.push(format!(
            "{} files in {} are not DICOM and were passed over",
            scan.other_files,
            folder.display()
        ));
    }
    let mut left_out = scan.skipped;
    for series in scan.series {
        if !series.axial().slices_are_axial() {
            left_out.extend(series.into_skipped("not_axial"));
            continue;
        }
        let label = labels.label(&series.patient).ok_or_else(|| Error::Patient {
            patient: series.patient.clone(),
            message: format!("no label in {}; add a row with patient_id and label", labels_file.display()),
        })?;
        inputs.series.push(named(series, label, &folder, naming)?);
    }
    if inputs.series.is_empty() {
        let found = "no series has axial slices".to_owned();
        return Err(Error::NoCt { folder, found });
    }
    for skipped in left_out {
        let patient_id = naming.patient(&skipped.patient).unwrap_or_default();
        let source = naming.source(&skipped.file.to_string_lossy(), &skipped.patient, &patient_id);
        inputs.left_out.push(LeftOut { patient_id, source, reason: skipped.reason });
    }
    let found: std::collections::BTreeSet<_> = inputs.series.iter().map(|series| series.patient_id.clone()).collect();
    let named = labels.names().filter_map(|name| naming.patient(name).ok());
    let without = named.filter(|patient| !found.contains(patient)).count();
    if without > 0 {
        inputs.notes.push(format!("{without} patients of {} have no CT", labels_file.display()));
    }
    Ok(inputs)
}

/// A DICOM series under the names of the outputs.
fn named(series: dicom::Series, label: usize, folder: &Path, naming: &Naming) -> Result<Series, Error> {
    let patient_id = naming.patient(&series.patient)?;
    let axial = series.axial();
    let file = |(header, depth): (&dicom::Header, Option<f64>)| SliceFile {
        path: folder.join(&header.file),
        source: naming.source(&header.file.to_string_lossy(), &series.patient, &patient_id),
        z_mm: depth.map(|depth| depth as f32),
        kind: Kind::Dicom { axial, frame: header.frame },
    };
    let slices = series.slices.iter().zip(series.depths()).map(file).collect();
    let series_id = naming.series(&series.uid);
    Ok(Series { series_id, label, slices, voxel_mm3: series.voxel_mm3(), patient_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ids_leave_the_paths() {
        assert_eq!(replace_whole("P01/ct_P01/IM0001.dcm", "P01", "x"), "x/ct_x/IM0001.dcm");
        assert_eq!(replace_whole("1/IM0001.dcm", "1", "x"), "x/IM0001.dcm");
        assert_eq!(replace_whole("P011/P01.dcm", "P01", "x"), "P011/x.dcm");
        assert_eq!(replace_whole("11", "1", "x"), "11");
        assert_eq!(replace_whole("a", "", "x"), "a");
    }

    #[test]
    fn kept_ids_must_be_names() {
        assert!(Naming::Keep.patient("covid-179").is_ok());
        for raw in ["", "a/b", "..", "a\\b", "a\nb"] {
            assert!(Naming::Keep.patient(raw).is_err(), "{raw:?}");
        }
    }
}
