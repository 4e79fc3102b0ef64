//! The stage from configuration to files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::UInt32Type;
use contract::layout::TRUTH;
use contract::schema::column;
use contract::table::{TableReader, binary, numbers, text};
use contract::{Config, hash};
use dicom_dictionary_std::tags;
use dicom_pixeldata::{ConvertOptions, ModalityLutOption, PixelDecoder, VoiLutOption};

use phantom::study::{self, truth_schema};

fn config(folder: &Path) -> Config {
    config_with(folder, "")
}

fn config_with(folder: &Path, more: &str) -> Config {
    let study = folder.join("study.yaml");
    let yaml = format!("study: tiny\nphantom: {{enabled: true, patients_per_class: 2, slices: 3, size: 96{more}}}\n");
    std::fs::write(&study, yaml).unwrap();
    let set = format!("paths.data={}", folder.join("data").display());
    Config::load(&study, &[set]).unwrap()
}

/// A slice in HU.
fn read(path: &Path) -> Vec<f32> {
    let options =
        ConvertOptions::new().with_modality_lut(ModalityLutOption::Default).with_voi_lut(VoiLutOption::Identity);
    dicom_object::open_file(path).unwrap().decode_pixel_data().unwrap().to_vec_with_options(&options).unwrap()
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
    let members = phantom::cohort::members(&config);
    let mut sources = Vec::new();
    for batch in reader.batches(100).unwrap() {
        let batch = batch.unwrap();
        let sides: Vec<_> = numbers::<UInt32Type>(&batch, column::HEIGHT).collect();
        let masks = binary(&batch, column::LUNG_MASK).zip(binary(&batch, column::LESION_MASK));
        for (row, (source, (lungs, lesions))) in text(&batch, column::SOURCE).zip(masks).enumerate() {
            let hu = read(&raw(folder.path()).join(source));
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
fn the_second_set_differs_in_the_confounder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config_with(folder.path(), ", reversed: true");
    let reversed = config.reversed().unwrap();
    // The second first: neither needs the other.
    assert!(study::run(&reversed, false).unwrap());
    assert!(study::run(&config, false).unwrap());
    let (one, other) = (raw(folder.path()), folder.path().join("data/tiny/0_raw-reversed"));
    // Labels: all columns but the last are equal, and that is negated.
    let labels = |folder: &Path| std::fs::read_to_string(folder.join("labels.csv")).unwrap();
    for (a, b) in labels(&one).lines().zip(labels(&other).lines()).skip(1) {
        let (a, b) = (a.rsplit_once(',').unwrap(), b.rsplit_once(',').unwrap());
        assert_eq!(a.0, b.0);
        assert!(matches!((a.1, b.1), ("0", "1") | ("1", "0")), "{a:?} {b:?}");
    }
    assert_eq!(std::fs::read(one.join(TRUTH)).unwrap(), std::fs::read(other.join(TRUTH)).unwrap());
    let lungs: Vec<Vec<u8>> = TableReader::open(&one.join(TRUTH), &truth_schema())
        .unwrap()
        .batches(100)
        .unwrap()
        .flat_map(|batch| binary(&batch.unwrap(), column::LUNG_MASK).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    let slices: Vec<PathBuf> =
        hash::walk(&one).unwrap().into_iter().filter(|file| file.extension().is_some_and(|end| end == "dcm")).collect();
    assert_eq!(slices.len(), lungs.len());
    for (slice, lungs) in slices.iter().zip(lungs) {
        let uid = |folder: &Path| {
            let file = dicom_object::open_file(folder.join(slice)).unwrap();
            file.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned()
        };
        assert_eq!(uid(&one), uid(&other));
        let (a, b) = (read(&one.join(slice)), read(&other.join(slice)));
        let differ: Vec<usize> = (0..a.len()).filter(|at| a[*at] != b[*at]).collect();
        // Electrodes and mark cover little, and nothing of the lungs.
        assert!(!differ.is_empty() && differ.len() < a.len() / 20, "{}: {}", slice.display(), differ.len());
        assert!(differ.iter().all(|at| lungs[*at] == 0), "{}", slice.display());
    }
}

#[test]
fn a_third_class_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("three.yaml");
    let yaml = "study: three\nclasses: [common, covid, healthy]\nphantom: {enabled: true, patients_per_class: 2}\n";
    std::fs::write(&path, yaml).unwrap();
    let config = Config::load(&path, &[]).unwrap();
    for member in phantom::cohort::members(&config) {
        let patient = phantom::generate(&study::specification(&config, &member));
        assert_eq!(patient.lesions.is_empty(), member.label == 2);
    }
    let set = ["classes=[a, b, c, d]".to_owned()];
    let error = Config::load(&path, &set).unwrap_err().to_string();
    assert!(error.contains("classes: expected 2 or 3 names where phantom.enabled is true"), "{error}");
    let set = [set[0].clone(), "phantom.enabled=false".to_owned()];
    assert_eq!(Config::load(&path, &set).unwrap().classes.len(), 4);
}

#[test]
fn the_program_makes_the_second_set_only_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &str, set: &str| {
        config_with(folder.path(), more);
        let study = folder.path().join("study.yaml");
        let data = format!("paths.data={}", folder.path().join("data").display());
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_chumoku-phantom"))
            .arg("--config")
            .arg(study)
            .args(["--set", &data, "--set", set, "--reversed"])
            .output()
            .unwrap();
        (program.status.code(), String::from_utf8(program.stderr).unwrap())
    };
    let (code, error) = run("", "phantom.slices=1");
    assert!(code == Some(3) && error.contains("--reversed: phantom.reversed: the study has one set of CT"), "{error}");
    let (code, error) = run(", reversed: true", "preprocess.input=ct");
    assert!(code == Some(3) && error.contains("phantom.reversed: expected false when preprocess.input"), "{error}");
    let (code, error) = run(", reversed: true", "phantom.slices=1");
    assert!(code == Some(0) && error.contains("phantom/reversed: runs because no output in"), "{error}");
    assert!(folder.path().join("data/tiny/0_raw-reversed/truth.parquet").is_file());
    assert!(!raw(folder.path()).exists());
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
