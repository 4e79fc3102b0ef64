//! The phantom stage: a study's patients as DICOM series with labels and truth.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rayon::prelude::*;
use serde::Serialize;

use contract::Config;
use contract::cli::{Start, run_task};
use contract::layout::{LABELS, TRUTH};
use contract::progress::Progress;
use contract::receipt::TaskError;
use contract::schema::column;
use contract::table::TableWriter;
use contract::{atomic, hash, interrupt, owner, plan};

use crate::cohort::{Member, members};
use crate::dicom::{self, Place};
use crate::disease::Disease;
use crate::error::Error;
use crate::patient::{PatientSpec, generate};
use crate::slice::slice;

/// Level of the first and of the last slice: just inside the lungs.
const LEVELS: (f32, f32) = (0.10, 0.92);
/// Height of the lung apex above the scanner's zero, mm.
const APEX_MM: f32 = 150.0;
/// Patients in memory at a time.
const BATCH: usize = 16;

/// Schema of `truth.parquet`: a row a slice, sorted by `source`.
pub fn truth_schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field(column::SOURCE, DataType::Utf8),
        field(column::PATIENT_ID, DataType::Utf8),
        field(column::HEIGHT, DataType::UInt32),
        field(column::WIDTH, DataType::UInt32),
        field(column::LUNG_MASK, DataType::Binary),
        field(column::LESION_MASK, DataType::Binary),
    ]))
}

/// Makes the CT of one of the study's sets unless it is up to date. Returns whether it ran.
///
/// # Errors
/// A file cannot be written, or the run was interrupted.
pub fn run(config: &Config, force: bool) -> Result<bool, Error> {
    owner::claim(config).map_err(TaskError::Owned)?;
    let task = plan::phantom(config);
    // Both sets of a study have the UIDs of the first, so that a slice has one id in both.
    let first = Config { is_reversed: false, ..config.clone() };
    let root = hash::value(&plan::phantom(&first).config);
    run_task(&task, force, Start::Fresh, |folder| {
        write_study(config, (&task.id, &root), folder.path())?;
        Ok(BTreeMap::new())
    })
}

/// The specification of a member of a study.
pub fn specification(config: &Config, member: &Member) -> PatientSpec {
    PatientSpec {
        seed: config.phantom.seed,
        index: member.number,
        disease: Disease::of_label(member.label),
        difficulty: config.phantom.difficulty as f32,
        load: 1.0,
        confounder: member.confounder,
        noise_hu: config.phantom.noise_hu as f32,
        size: config.phantom.size as usize,
        variety: 1.0,
    }
}

/// Levels of a series of `count` slices, from the apex down.
pub fn levels(count: usize) -> impl Iterator<Item = f32> {
    let step = if count > 1 { (LEVELS.1 - LEVELS.0) / (count - 1) as f32 } else { 0.0 };
    // A single slice goes through the middle.
    let first = if count > 1 { LEVELS.0 } else { 0.5 * (LEVELS.0 + LEVELS.1) };
    (0..count).map(move |index| first + step * index as f32)
}

fn write_study(config: &Config, (id, root): (&str, &str), folder: &Path) -> Result<(), Error> {
    let members = members(config);
    write_labels(config, &members, &folder.join(LABELS))?;
    let schema = truth_schema();
    let mut truth = TableWriter::create(&folder.join(TRUTH), Arc::clone(&schema), &[])?;
    let progress = Progress::new(id, "patients", members.len() as u64);
    for batch in members.chunks(BATCH) {
        let one = |member: &Member| {
            let rows = write_patient(config, root, member, folder);
            progress.advance(1);
            rows
        };
        for rows in batch.par_iter().map(one).collect::<Result<Vec<_>, Error>>()? {
            truth.write(&schema, rows.columns())?;
        }
    }
    truth.commit()?;
    progress.finish();
    Ok(())
}

#[derive(Serialize)]
struct LabelRow<'a> {
    patient_id: String,
    label: usize,
    site: &'a str,
    confounder: u8,
}

fn write_labels(config: &Config, members: &[Member], path: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Write { path: path.to_owned(), source: error };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for member in members {
        let site = &config.phantom.sites[member.site].name;
        let row = LabelRow { patient_id: member.id(), label: member.label, site, confounder: member.confounder.into() };
        writer.serialize(row).map_err(|error| failed(error.into()))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    atomic::write(path, &bytes).map_err(failed)
}

#[derive(Default)]
struct TruthRows {
    source: Vec<String>,
    patient_id: Vec<String>,
    height: Vec<u32>,
    width: Vec<u32>,
    lungs: Vec<Vec<u8>>,
    lesions: Vec<Vec<u8>>,
}

impl TruthRows {
    fn columns(&self) -> Vec<ArrayRef> {
        let binary = |rows: &[Vec<u8>]| -> ArrayRef { Arc::new(BinaryArray::from_iter_values(rows)) };
        vec![
            Arc::new(StringArray::from_iter_values(&self.source)),
            Arc::new(StringArray::from_iter_values(&self.patient_id)),
            Arc::new(UInt32Array::from(self.height.clone())),
            Arc::new(UInt32Array::from(self.width.clone())),
            binary(&self.lungs),
            binary(&self.lesions),
        ]
    }
}

fn write_patient(config: &Config, root: &str, member: &Member, folder: &Path) -> Result<TruthRows, Error> {
    let patient = generate(&specification(config, member));
    let count = config.phantom.slices as usize;
    let heights: Vec<f32> = levels(count).map(|level| APEX_MM - patient.z_mm(level)).collect();
    let step_mm = heights.windows(2).next().map_or(patient.thickness_mm, |pair| pair[0] - pair[1]);
    let mut rows = TruthRows::default();
    for (index, level) in levels(count).enumerate() {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let slice = slice(&patient, level);
        let source = format!("{}/CT-1/IM{:04}.dcm", member.id(), index + 1);
        let place = Place {
            patient_id: member.id(),
            uid_root: format!("{root}/{}", member.number),
            index,
            count,
            step_mm,
            z_mm: heights[index],
        };
        dicom::write(&folder.join(&source), &patient, &slice, &place)?;
        rows.source.push(source);
        rows.patient_id.push(member.id());
        rows.height.push(config.phantom.size);
        rows.width.push(config.phantom.size);
        rows.lungs.push(slice.lungs.into_raw_vec_and_offset().0);
        rows.lesions.push(slice.lesions.into_raw_vec_and_offset().0);
    }
    Ok(rows)
}
