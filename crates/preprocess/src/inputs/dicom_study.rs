//! The series of a folder of DICOM files with labels by patient.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::config::{Config, SeriesChoice};
use contract::layout::{Layout, TRUTH};
use contract::plan;

use super::one_id;
use super::unlabelled::{self, UNLABELLED};
use super::{Absent, Inputs, Kind, LeftOut, Series, SliceFile};
use crate::choice::{self, Choice, OTHER_SERIES};
use crate::dicom;
use crate::error::Error;
use crate::hounsfield::Reading;
use crate::labels::{self, Patients};
use crate::patients::{self, NO_CT, NO_USABLE_SERIES};
use crate::privacy::Naming;

/// Reason for the files of a series whose slices are not axial.
const NOT_AXIAL: &str = "not_axial";

/// The other series of each study (StudyInstanceUID) of each patient, in the order of preference.
type Others = BTreeMap<(String, String), Vec<Series>>;

/// The series that are segmented, what is left out, and the labelled patients who have none.
///
/// # Errors
/// A file or the labels cannot be read, there is no axial CT, or a patient has no label or no usable id.
pub fn collect(config: &Config, naming: &mut Naming) -> Result<Inputs, Error> {
    let folder = Layout::new(config).preprocess_input(config);
    naming.set_root(&folder);
    let labels = labels::read(&plan::labels_file(config), &config.classes)?;
    labels.names().for_each(|name| naming.register(name, []));
    no_such_folder(config, &folder, &labels)?;
    let scan = dicom::scan_as(&folder, |file| labels.of_file(file)).inspect_err(|_| register_all(naming, &folder))?;
    register(&scan, naming);
    Study { config, folder, labels, naming }.inputs(scan)
}

/// Refuses labels that name a folder which is not there, without naming it.
fn no_such_folder(config: &Config, input: &Path, labels: &Patients) -> Result<(), Error> {
    let missing = labels.folders().filter(|folder| !input.join(folder).is_dir()).count();
    if missing == 0 {
        return Ok(());
    }
    let message = format!(
        "its column \"folder\" names {missing} folders that are not in {}; write each as a path relative to that folder",
        input.display()
    );
    Err(Error::File { path: plan::labels_file(config), message })
}

/// Registers the patients of a scan, and the folders in which their files are.
fn register(scan: &dicom::Scan, naming: &mut Naming) {
    for header in scan.series.iter().filter_map(|series| series.slices.first()) {
        naming.register(&header.patient, secrets(&header.names));
    }
    for header in scan.series.iter().flat_map(|series| &series.slices) {
        naming.register_folder(&header.file);
    }
}

/// Registers the patients of all files that can be read, so that the error about one that cannot hides them.
fn register_all(naming: &mut Naming, folder: &Path) {
    for file in contract::hash::walk(folder).unwrap_or_default() {
        if let Some(header) = dicom::headers(folder, &file).unwrap_or_default().first() {
            naming.register(&header.patient, secrets(&header.names));
            naming.register_folder(&header.file);
        }
    }
}

/// Secrets as text, to be hidden.
fn secrets(names: &[dicom::Secret]) -> impl Iterator<Item = &str> {
    names.iter().map(|dicom::Secret(name)| name.as_str())
}

/// What is known of the input before series have the names of the outputs.
struct Study<'a> {
    config: &'a Config,
    folder: PathBuf,
    labels: Patients,
    naming: &'a Naming,
}

impl Study<'_> {
    fn inputs(&self, scan: dicom::Scan) -> Result<Inputs, Error> {
        let mut inputs = Inputs::default();
        let other_files = scan.other_files.saturating_sub(self.own_files());
        if other_files > 0 {
            inputs.notes.push(format!("files in the input that are not DICOM and were skipped: {other_files}"));
        }
        inputs.notes.extend(self.labels.remarks.iter().cloned());
        let mut left_out = scan.skipped;
        let with_files: BTreeSet<String> = left_out.iter().map(|file| file.patient.clone()).collect();
        let with_files = &with_files | &scan.series.iter().map(|series| series.patient.clone()).collect();
        let series = self.labelled(scan.series, &mut left_out)?;
        if self.labels.folders().next().is_none() {
            inputs.notes.extend(one_id::note(&series, self.naming));
        }
        let Choice { taken, others } = self.choose(series, &mut left_out)?;
        let mut others = self.by_study(others)?;
        for one in taken {
            let study = (one.patient.clone(), one.study.clone());
            let alternatives = others.remove(&study).unwrap_or_default();
            inputs.series.push(Series { alternatives, ..self.named(one)? });
        }
        if !left_out.is_empty() {
            inputs.notes.push(format!("{}; excluded.csv lists them", dicom::describe_skipped(&left_out)));
        }
        inputs.left_out = left_out.into_iter().map(|file| self.named_file(file)).collect();
        inputs.absent = self.absent(&inputs.series, &with_files)?;
        inputs.notes.extend(patients::absent_note(&inputs.absent));
        Ok(inputs)
    }

    /// Files of the study itself in the folder: labels and true lesions.
    fn own_files(&self) -> usize {
        let own = [plan::labels_file(self.config), self.folder.join(TRUTH)];
        own.iter().filter(|file| file.starts_with(&self.folder) && file.is_file()).count()
    }

    /// The series of patients who have a label. The others are an error, or left out.
    fn labelled(
        &self,
        series: Vec<dicom::Series>,
        left_out: &mut Vec<dicom::Skipped>,
    ) -> Result<Vec<dicom::Series>, Error> {
        let has_label = |one: &dicom::Series| self.labels.label(&one.patient).is_some();
        let (labelled, others): (Vec<_>, Vec<_>) = series.into_iter().partition(has_label);
        unlabelled::check(self.config, &others, &labelled, &self.labels, self.naming)?;
        left_out.extend(others.into_iter().flat_map(|series| series.into_skipped(UNLABELLED)));
        Ok(labelled)
    }

    /// The axial series that are segmented, and the others of their studies.
    fn choose(&self, series: Vec<dicom::Series>, left_out: &mut Vec<dicom::Skipped>) -> Result<Choice, Error> {
        let is_axial = |series: &dicom::Series| series.axial().slices_are_axial();
        let (axial, turned): (Vec<_>, Vec<_>) = series.into_iter().partition(is_axial);
        left_out.extend(turned.into_iter().flat_map(|series| series.into_skipped(NOT_AXIAL)));
        if axial.is_empty() {
            let message = "no series of a labelled patient has axial slices; convert the series to NIfTI, which is read in any orientation, and \
                           list the files in preprocess.manifest"
                .to_owned();
            return Err(Error::File { path: self.folder.clone(), message });
        }
        let choice = match self.config.preprocess.series {
            SeriesChoice::All => Choice { taken: axial, others: Vec::new() },
            SeriesChoice::Largest => choice::largest(axial),
        };
        let others = choice.others.iter().cloned().flat_map(|series| series.into_skipped(OTHER_SERIES));
        left_out.extend(others);
        Ok(choice)
    }

    fn by_study(&self, mut series: Vec<dicom::Series>) -> Result<Others, Error> {
        choice::sort(&mut series);
        let mut others = Others::new();
        for one in series {
            let study = (one.patient.clone(), one.study.clone());
            others.entry(study).or_default().push(self.named(one)?);
        }
        Ok(others)
    }

    /// A series under the names of the outputs.
    fn named(&self, series: dicom::Series) -> Result<Series, Error> {
        let patient_id = self.naming.patient(&series.patient)?;
        let file = |(header, depth): (&dicom::Header, Option<f64>)| SliceFile {
            path: self.folder.join(&header.file),
            source: self.naming.source(&header.file.to_string_lossy(), &series.patient, secrets(&header.names)),
            relative: header.file.to_string_lossy().into_owned(),
            z_mm: depth.map(|depth| depth as f32),
            frame: header.frame,
        };
        Ok(Series {
            patient_id,
            series_id: self.naming.series(&series.uid),
            // Series of patients without a label were left out before.
            label: self.labels.label(&series.patient).unwrap_or_default(),
            slices: series.slices.iter().zip(series.depths()).map(file).collect(),
            voxel_mm3: series.voxel_mm3(),
            remarks: series.remarks.clone(),
            alternatives: Vec::new(),
            reading: Reading { rescale: series.rescale, offset_hu: self.config.preprocess.hu_offset },
            kind: Kind::Dicom(series.axial()),
        })
    }

    fn named_file(&self, file: dicom::Skipped) -> LeftOut {
        // A file without an id is left out all the same.
        let patient_id = self.naming.patient(&file.patient).unwrap_or_default();
        // Of a file without PatientID and names nobody knows which words of its path are names.
        let source = match file.patient.is_empty() && self.naming.key().is_some() {
            true => self.naming.unknown_file(&file.file),
            false => self.naming.source(&file.file.to_string_lossy(), &file.patient, secrets(&file.names)),
        };
        LeftOut { patient_id, source, reason: file.reason }
    }

    /// The labelled patients of whom no series is segmented; `with_files` has the PatientIDs of all DICOM files.
    fn absent(&self, series: &[Series], with_files: &BTreeSet<String>) -> Result<Vec<Absent>, Error> {
        let found: BTreeSet<&str> = series.iter().map(|series| series.patient_id.as_str()).collect();
        let mut absent = Vec::new();
        for (raw, label, _) in self.labels.rows() {
            let patient_id = self.naming.patient(raw)?;
            if !found.contains(patient_id.as_str()) {
                let reason = if with_files.contains(raw) { NO_USABLE_SERIES } else { NO_CT };
                absent.push(Absent { patient_id, label, reason });
            }
        }
        absent.sort_by(|a, b| a.patient_id.cmp(&b.patient_id));
        Ok(absent)
    }
}
