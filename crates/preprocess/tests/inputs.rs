//! What hospitals hand over, through the real program: several series, volumes, values that are no HU, flips, and names.

mod support;

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use nifti::NiftiHeader;
use nifti::writer::WriterOptions;
use support::{Slice, Study, chest};

fn listed(study: &Study) -> String {
    std::fs::read_to_string(study.path("data/t/1_masks/excluded.csv")).expect("a list")
}

#[test]
fn of_several_series_the_largest_is_taken_and_the_others_are_listed() {
    let study = Study::new();
    let series = [("1.2.1", 2, "thick"), ("1.2.2", 4, "thin"), ("1.2.3", 4, "thin-sharp")];
    for (number, (uid, slices, folder)) in series.into_iter().enumerate() {
        for index in 0..slices {
            let mut slice = Slice::new("A", uid, index, f64::from(index) * 5.0);
            slice.series_number = Some(7 - number as u32);
            slice.write(&study.path(&format!("data/t/0_raw/A/{folder}/{index}.dcm")));
        }
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // Of the two with four slices of one thickness the lower SeriesNumber: 1.2.3 has number 5, 1.2.2 has 6.
    let list = listed(&study);
    let count = |folder: &str| list.lines().filter(|line| line.contains(&format!("A/{folder}/"))).count();
    assert_eq!((count("thick"), count("thin"), count("thin-sharp")), (2, 4, 0), "{list}");
    assert!(list.lines().skip(1).all(|line| line.ends_with("other_series")), "{list}");
    assert!(outcome.stderr.contains("6 DICOM files skipped as other_series"), "{}", outcome.stderr);
    let outcome = study.run(&["--set", "preprocess.series=all"]);
    assert!(outcome.stdout.contains("10 read, 10 written"), "{}", outcome.stdout);
}

/// Writes a chest of `slices` slices as NIfTI, stored with the affine's diagonal signs (x, y, z).
fn nifti(path: &Path, slices: usize, change: impl Fn(f32) -> f32) {
    let flat = chest(96, 128, false);
    let values = Array3::from_shape_fn((128, 96, slices), |(x, y, _)| change(flat[(y, x)]));
    let [srow_x, srow_y, srow_z] = [[-1.5, 0.0, 0.0, 96.0], [0.0, -2.0, 0.0, 96.0], [0.0, 0.0, 5.0, -40.0]];
    let header = NiftiHeader { srow_x, srow_y, srow_z, sform_code: 1, ..NiftiHeader::default() };
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    WriterOptions::new(path).reference_header(&header).write_nifti(&values).expect("written");
}

#[test]
fn volumes_of_a_manifest_become_slices() {
    let study = Study::new();
    nifti(&study.path("set/a.nii"), 3, |hu| hu);
    nifti(&study.path("set/b.nii"), 2, |hu| hu);
    let manifest = study.text("set/m.csv", "path,patient_id,label\na.nii,A,0\nb.nii,B,1\n");
    let study = study.set("manifest", manifest.display());
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("5 read, 5 written"), "{}", outcome.stdout);
    let table = std::fs::read_to_string(study.path("data/t/1_masks/qa_slices.csv")).expect("a table");
    let z: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(z, ["-40", "-35", "-30", "-40", "-35"]);
}

#[test]
fn values_that_are_no_hu_end_the_run_and_say_how_to_go_on() {
    let study = Study::new();
    nifti(&study.path("set/a.nii"), 3, |hu| hu + 1024.0);
    let manifest = study.text("set/m.csv", "path,patient_id,label\na.nii,A,0\n");
    let study = study.set("manifest", manifest.display());
    study.fails(
        4,
        &["a.nii", "values from 24 to 1064", "without their rescale intercept", "preprocess.check_units: false"],
    );
    // The stand-in finds no lung in such values, but that is another matter.
    let outcome = study.run(&["--set", "preprocess.check_units=false"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("nothing left of 3 slices"), "{}", outcome.stderr);
    let input = study.path("set/a.nii").display().to_string();
    let output = study.path("mask.nii.gz").display().to_string();
    let model = study.model.path.display().to_string();
    let arguments = ["segment", &input, &output, "--model", &model, "--model-sha256", &study.model.sha256];
    let outcome = support::preprocess(arguments);
    assert!(outcome.code == 4 && outcome.stderr.contains("--no-check-units"), "{}", outcome.stderr);
    assert_eq!(support::preprocess(arguments.into_iter().chain(["--no-check-units"])).code, 0);
}

#[test]
fn a_dicom_slice_of_unknown_size_is_held_against_hu_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let mut slice = Slice::new("A", "1.2.1", 1, 0.0);
    slice.position = false;
    // Large enough for the samples to miss the corner, which is padding.
    slice.hu = chest(256, 256, false) + 1024.0;
    let path = folder.path().join("in/1.dcm");
    slice.write(&path);
    let (input, output) = (path.display().to_string(), folder.path().join("m.nii").display().to_string());
    let model_path = model.path.display().to_string();
    let outcome =
        support::preprocess(["segment", &input, &output, "--model", &model_path, "--model-sha256", &model.sha256]);
    assert!(outcome.code == 4 && outcome.stderr.contains("--no-check-units"), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn a_volume_upside_down_ends_the_run_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let mut flat = chest(96, 128, false);
    // A spine: 300 HU behind the middle of the lungs.
    for ((row, column), hu) in flat.indexed_iter_mut() {
        if row.abs_diff(66) < 6 && column.abs_diff(64) < 6 {
            *hu = 300.0;
        }
    }
    let run = |name: &str, upside_down: bool, more: &[&str]| {
        let mut values = Array3::from_shape_fn((128, 96, 9), |(x, y, _)| flat[(y, x)]);
        if upside_down {
            values.invert_axis(Axis(1));
        }
        let [srow_x, srow_y, srow_z] = [[-1.5, 0.0, 0.0, 0.0], [0.0, -2.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]];
        let header = NiftiHeader { srow_x, srow_y, srow_z, sform_code: 1, ..NiftiHeader::default() };
        let path = |end: &str| folder.path().join(format!("{name}{end}")).display().to_string();
        WriterOptions::new(path(".nii")).reference_header(&header).write_nifti(&values).expect("written");
        let (input, output, model_path) = (path(".nii"), path("-mask.nii"), model.path.display().to_string());
        let arguments = ["segment", &input, &output, "--model", &model_path, "--model-sha256", &model.sha256];
        support::preprocess(arguments.into_iter().chain(more.iter().copied()))
    };
    assert_eq!(run("straight", false, &[]).code, 0);
    let outcome = run("turned", true, &[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    for text in ["turned.nii", "flipped front to back", "9 slices", "--no-check-orientation"] {
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
    assert_eq!(run("turned", true, &["--no-check-orientation"]).code, 0);
}

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let input = folder.path().join("a.nrrd");
    std::fs::write(&input, "NRRD0004\n").expect("written");
    let (input, output) = (input.display().to_string(), folder.path().join("m.nii").display().to_string());
    let model_path = model.path.display().to_string();
    let outcome =
        support::preprocess(["segment", &input, &output, "--model", &model_path, "--model-sha256", &model.sha256]);
    assert!(outcome.code == 4 && outcome.stderr.contains("convert it to NIfTI"), "{}", outcome.stderr);
}

/// What must never be seen.
const SECRETS: [&str; 5] = ["MRN-4711", "ZEBEDEE", "Quimby", "19470813", "MRN-4712"];

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(all_files(&path)) } else { files.push(path) }
    }
    files
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let found: Vec<&str> = SECRETS.into_iter().filter(|secret| text.contains(&secret.to_lowercase())).collect();
    assert!(found.is_empty(), "{what} says {found:?}: {text}");
}

/// The key alone tells who is who: to look somebody up makes none, and neither does a study that had one.
fn a_lost_key_is_not_made_anew(study: &Study, pseudonym: &str) {
    let (key, config) = (study.path("data/t/pseudonym.key"), study.path("study.yaml").display().to_string());
    let secret = std::fs::read(&key).expect("a key");
    std::fs::remove_file(&key).expect("to lose the key");
    for outcome in [support::preprocess(["whois", pseudonym, "--config", &config]), study.run(&["--force"])] {
        let text = outcome.stderr;
        assert!(outcome.code == 4 && text.contains("the key of the pseudonyms is gone"), "{text}");
    }
    assert!(!key.exists());
    std::fs::write(&key, secret).expect("the key again");
}

#[test]
fn names_dates_and_raw_ids_are_in_no_output_log_or_error() {
    let study = Study::new().set("pseudonyms", "keyed");
    let files = ["MRN-4711/ZEBEDEE_QUIMBY/19470813", "MRN-4712/zebedee-quimby"];
    for (patient, uid, folder) in [("MRN-4711", "1.2.1", files[0]), ("MRN-4712", "1.2.2", files[1])] {
        for index in 0..3 {
            let mut slice = Slice::new(patient, uid, index, f64::from(index) * 5.0);
            (slice.name, slice.birth_date) = ("Zebedee^Quimby", "19470813");
            if index == 2 {
                slice.image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
            }
            slice.write(&study.path(&format!("data/t/0_raw/{folder}/{patient}_{index}.dcm")));
        }
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nMRN-4711,0\nMRN-4712,1\n");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let check = |outcome: &support::Outcome| {
        assert_clean("stdout", outcome.stdout.as_bytes());
        assert_clean("stderr", outcome.stderr.as_bytes());
    };
    check(&outcome);
    let outputs = all_files(&study.path("data/t/1_masks"));
    assert!(outputs.len() >= 6, "{outputs:?}");
    for path in &outputs {
        assert_clean(&path.display().to_string(), path.display().to_string().as_bytes());
        assert_clean(&path.display().to_string(), &std::fs::read(path).expect("an output"));
    }
    let pseudonym = listed(&study).lines().nth(1).and_then(|line| line.split(',').nth(1)).expect("a row").to_owned();
    let config = study.path("study.yaml").display().to_string();
    let whois = support::preprocess(["whois", &pseudonym, "--config", &config]);
    assert!(whois.code == 0 && SECRETS.contains(&whois.stdout.trim()), "{}{}", whois.stdout, whois.stderr);
    a_lost_key_is_not_made_anew(&study, &pseudonym);
    // Errors: a damaged file, a missing label, two labels, an empty series.
    let slice = study.path(&format!("data/t/0_raw/{}/MRN-4712_1.dcm", files[1]));
    let whole = std::fs::read(&slice).expect("a slice");
    let fails = |code: i32, text: &str| {
        let outcome = study.run(&["--force"]);
        assert!(outcome.code == code && outcome.stderr.contains(text), "{}", outcome.stderr);
        check(&outcome);
    };
    support::truncate(&slice, 300);
    fails(4, ".dcm: ");
    support::truncate(&slice, whole.len() - 50);
    fails(4, ".dcm: ");
    std::fs::write(&slice, &whole).expect("the slice again");
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nMRN-4711,0\n");
    fails(4, "have no label");
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nMRN-4711,0\nMRN-4711,1\nMRN-4712,1\n");
    fails(4, "one label");
}
