//! A tiny study on disk: random slices of a few patients, two folds, and its YAML.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Int32Array, ListBuilder, StringArray, StringBuilder, UInt32Array,
};
use contract::random;
use contract::schema;
use contract::table::TableWriter;
use rand::RngExt;

const SIDE: usize = 64;
const PATIENTS: usize = 6;
const SLICES: usize = 2;

/// The study's files; removed when dropped.
pub struct Study {
    folder: tempfile::TempDir,
}

impl Study {
    /// Writes slices, folds and a YAML with `train` as its settings.
    pub fn new(train: &str) -> Self {
        let study = Self { folder: tempfile::tempdir().unwrap() };
        let yaml = format!(
            "study: tiny\npaths: {{data: {0}/data, reports: {0}/reports}}\ndataset: {{folds: 2}}\ntrain: {{{train}}}\n",
            study.path().display()
        );
        std::fs::write(study.yaml(), yaml).unwrap();
        write_slices(&study.path().join("data/tiny/1_masks/slices.parquet"));
        write_lesions(&study.path().join("data/tiny/1_masks/lesions.parquet"));
        write_folds(&study.path().join("data/tiny/2_folds/folds.parquet"), |patient| (patient / 2 % 2) as i32);
        study
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn yaml(&self) -> PathBuf {
        self.path().join("study.yaml")
    }

    /// A file of the run of `method`, fold 0, seed 0.
    pub fn run_file(&self, method: &str, name: &str) -> PathBuf {
        self.path().join("data/tiny/3_runs").join(method).join("fold-0/seed-0").join(name)
    }
}

fn rows() -> impl Iterator<Item = (usize, usize)> {
    (0..PATIENTS).flat_map(|patient| (0..SLICES).map(move |slice| (patient, slice)))
}

fn id(patient: usize, slice: usize) -> String {
    format!("p{patient}/s/{slice:04}")
}

fn text(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn label(patient: usize) -> i32 {
    (patient % 2) as i32
}

fn pixels(domain: &str, patient: usize, slice: usize, top: u8) -> Vec<u8> {
    let mut rng = random::stream(1, domain, &[patient as u64, slice as u64]);
    (0..SIDE * SIDE).map(|_| rng.random_range(0..=top)).collect()
}

fn write_slices(path: &Path) {
    let count = PATIENTS * SLICES;
    let mut flags = ListBuilder::new(StringBuilder::new());
    (0..count).for_each(|_| flags.append(true));
    let binary = |domain: &str, top: u8| -> ArrayRef {
        let rows: Vec<Vec<u8>> = rows().map(|(patient, slice)| pixels(domain, patient, slice, top)).collect();
        Arc::new(BinaryArray::from_iter_values(rows))
    };
    let columns: Vec<ArrayRef> = vec![
        text(rows().map(|(patient, slice)| id(patient, slice))),
        text(rows().map(|(patient, _)| format!("p{patient}"))),
        text(rows().map(|_| "s".to_owned())),
        Arc::new(Int32Array::from_iter_values(rows().map(|(_, slice)| slice as i32))),
        Arc::new(Float32Array::from(vec![None; count])),
        Arc::new(Int32Array::from_iter_values(rows().map(|(patient, _)| label(patient)))),
        text(rows().map(|(patient, slice)| format!("{patient}-{slice}.png"))),
        Arc::new(UInt32Array::from(vec![SIDE as u32; count])),
        Arc::new(UInt32Array::from(vec![SIDE as u32; count])),
        binary("image", 255),
        binary("mask", 2),
        Arc::new(Float32Array::from(vec![0.5; count])),
        Arc::new(flags.finish()),
    ];
    write(path, &schema::slices(), columns);
}

/// Lesions of the patients with label 1.
fn write_lesions(path: &Path) {
    let ill = || rows().filter(|(patient, _)| label(*patient) == 1);
    let masks: Vec<Vec<u8>> = ill().map(|(patient, slice)| pixels("lesion", patient, slice, 1)).collect();
    let columns: Vec<ArrayRef> =
        vec![text(ill().map(|(patient, slice)| id(patient, slice))), Arc::new(BinaryArray::from_iter_values(masks))];
    write(path, &schema::lesions(), columns);
}

/// Writes folds.parquet with `fold` of each patient.
pub fn write_folds(path: &Path, fold: impl Fn(usize) -> i32) {
    let columns: Vec<ArrayRef> = vec![
        text(rows().map(|(patient, slice)| id(patient, slice))),
        text(rows().map(|(patient, _)| format!("p{patient}"))),
        Arc::new(Int32Array::from_iter_values(rows().map(|(patient, _)| label(patient)))),
        Arc::new(Int32Array::from_iter_values(rows().map(|(patient, _)| fold(patient)))),
    ];
    write(path, &schema::folds(), columns);
}

fn write(path: &Path, schema: &arrow::datatypes::SchemaRef, columns: Vec<ArrayRef>) {
    let mut writer = TableWriter::create(path, Arc::clone(schema), &[]).unwrap();
    writer.write(schema, columns).unwrap();
    writer.commit().unwrap();
}
