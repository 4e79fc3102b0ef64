//! The stage from configuration to files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::UInt32Type;
use contract::schema::column;
use contract::table::{TableReader, binary, numbers, text};
use contract::{Config, hash};
use dicom_dictionary_std::tags;
use dicom_pixeldata::{ConvertOptions, ModalityLutOption, PixelDecoder, VoiLutOption};

use phantom::study::{self, LESION_MASK, LUNG_MASK, TRUTH, truth_schema};

fn config(folder: &Path) -> Config {
    let study = folder.join("study.yaml");
    let yaml = "study: tiny\nphantom: {enabled: true, patients_per_class: 2, slices: 3, size: 96}\n";
    std::fs::write(&study, yaml).unwrap();
    let set = format!("paths.data={}", folder.join("data").display());
    Config::load(&study, &[set]).unwrap()
}

fn raw(folder: &Path) -> PathBuf {
    folder.join("data/tiny/0_raw")
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files = hash::walk(folder).unwrap();
    files.into_iter().map(|file| (file.clone(), hash::file(&folder.join(file)).unwrap())).collect()
}

#[test]
fn two_runs_write_the_same_bytes_and_a_third_does_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(study::run(&config(one.path()), false).unwrap());
    assert!(study::run(&config(two.path()), false).unwrap());
    let files = contents(&raw(one.path()));
    assert_eq!(files, contents(&raw(two.path())));
    // Four patients of three slices, labels, truth, receipt.
    assert_eq!(files.len(), 4 * 3 + 3);
    assert!(!study::run(&config(one.path()), false).unwrap());
}

#[test]
fn labels_name_every_patient() {
    let folder = tempfile::tempdir().unwrap();
    study::run(&config(folder.path()), false).unwrap();
    let labels = std::fs::read_to_string(raw(folder.path()).join("labels.csv")).unwrap();
    let mut lines = labels.lines();
    assert_eq!(lines.next(), Some("patient_id,label,site,confounder"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["PH-0001", "PH-0002", "PH-0003", "PH-0004"]);
    assert_eq!(rows.iter().filter(|row| row[1] == "1").count(), 2);
}

#[test]
fn dicom_gives_back_the_hounsfield_units_and_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    study::run(&config, false).unwrap();
    let reader = TableReader::open(&raw(folder.path()).join(TRUTH), &truth_schema()).unwrap();
    assert_eq!(reader.rows(), 12);
    let members = phantom::cohort::members(&config.phantom, 2);
    let mut sources = Vec::new();
    for batch in reader.batches(100).unwrap() {
        let batch = batch.unwrap();
        let sides: Vec<_> = numbers::<UInt32Type>(&batch, column::HEIGHT).collect();
        let masks = binary(&batch, LUNG_MASK).zip(binary(&batch, LESION_MASK));
        for (row, (source, (lungs, lesions))) in text(&batch, column::SOURCE).zip(masks).enumerate() {
            let file = dicom_object::open_file(raw(folder.path()).join(source)).unwrap();
            let options = ConvertOptions::new()
                .with_modality_lut(ModalityLutOption::Default)
                .with_voi_lut(VoiLutOption::Identity);
            let hu: Vec<f32> = file.decode_pixel_data().unwrap().to_vec_with_options(&options).unwrap();
            let member = &members[source[3..7].parse::<usize>().unwrap() - 1];
            let number: usize = source[source.len() - 8..source.len() - 4].parse().unwrap();
            let patient = phantom::generate(&study::specification(&config, member));
            let cut = phantom::slice(&patient, study::levels(3).nth(number - 1).unwrap());
            assert_eq!(hu, cut.hu.iter().copied().collect::<Vec<_>>());
            assert_eq!(lungs, cut.lungs.iter().copied().collect::<Vec<_>>());
            assert_eq!(lesions, cut.lesions.iter().copied().collect::<Vec<_>>());
            assert_eq!(sides[row], Some(96));
            sources.push(source.to_owned());
        }
    }
    assert!(sources.is_sorted());
}

#[test]
fn positions_fall_from_the_apex_and_uids_are_unique() {
    let folder = tempfile::tempdir().unwrap();
    study::run(&config(folder.path()), false).unwrap();
    let mut instances = Vec::new();
    for patient in 1..=4 {
        let series = raw(folder.path()).join(format!("PH-{patient:04}/CT-1"));
        let mut heights = Vec::new();
        for number in 1..=3 {
            let file = dicom_object::open_file(series.join(format!("IM{number:04}.dcm"))).unwrap();
            let text = |tag| file.element(tag).unwrap().to_str().unwrap().into_owned();
            let position = text(tags::IMAGE_POSITION_PATIENT);
            heights.push(position.split('\\').nth(2).unwrap().trim().parse::<f64>().unwrap());
            instances.push(text(tags::SOP_INSTANCE_UID));
            assert_eq!(text(tags::PATIENT_ID).trim(), format!("PH-{patient:04}"));
            assert!(instances.iter().all(|uid| uid.len() <= 64 && uid.starts_with("2.25.")));
        }
        let steps: Vec<f64> = heights.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(steps.iter().all(|step| *step > 10.0 && (step - steps[0]).abs() < 0.01), "{heights:?}");
    }
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), 12);
}

#[test]
fn a_preview_is_a_png() {
    let folder = tempfile::tempdir().unwrap();
    phantom::preview::write(&config(folder.path()), folder.path()).unwrap();
    let pictures = hash::walk(folder.path()).unwrap();
    let pictures: Vec<_> = pictures.iter().filter(|file| file.extension().is_some_and(|kind| kind == "png")).collect();
    assert_eq!(pictures.len(), 4);
    let bytes = std::fs::read(folder.path().join(pictures[0])).unwrap();
    assert_eq!(&bytes[1..4], b"PNG");
}
