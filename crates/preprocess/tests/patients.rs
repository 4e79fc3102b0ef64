//! Nobody leaves a study without a name and a reason: the stage through the real program, with a stand-in model.

mod support;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use support::{Slice, Study, preprocess};

/// Rows of a CSV below the header.
fn rows(study: &Study, file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(study.path("data/t/1_masks").join(file)).expect("a table");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Writes `count` slices of one series, those from `lungs` on without lungs.
fn series(study: &Study, patient: &'static str, uid: &'static str, count: u32, lungs: u32) {
    for index in 0..count {
        let mut slice = Slice::new(patient, uid, index, f64::from(index) * 5.0);
        slice.hu = match lungs {
            0 => support::without_lungs(),
            _ => support::chest(96, 128, index >= lungs),
        };
        slice.write(&study.path(&format!("data/t/0_raw/{patient}/{uid}/{index}.dcm")));
    }
}

/// Chest and abdomen in one study of A: the abdomen has more slices. B has a chest alone.
fn chest_and_abdomen(study: &Study) {
    series(study, "A", "1.2.1", 6, 0);
    series(study, "A", "1.2.2", 4, 4);
    series(study, "B", "1.2.3", 3, 3);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,1\n");
}

#[test]
fn series_with_lungs_replaces_larger_one_without() {
    let study = Study::new();
    chest_and_abdomen(&study);
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("1 common, 1 covid"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("of the same study is taken in its place"), "{}", outcome.stderr);
    let quality = rows(&study, "qa.csv");
    let remarks: Vec<(&str, &str, &str)> =
        quality.iter().map(|row| (row[0].as_str(), row[4].as_str(), row[row.len() - 1].as_str())).collect();
    assert_eq!(remarks, [("A", "0", "replaced"), ("A", "4", "second_choice"), ("B", "3", "")]);
    // The slices of the abdomen are listed one by one, and no file of the chest is.
    let excluded = rows(&study, "excluded.csv");
    assert_eq!(excluded.len(), 6);
    assert!(excluded.iter().all(|row| row[2].starts_with("A/1.2.1/") && row[4] == "empty_mask"), "{excluded:?}");
}

#[test]
fn all_series_keep_the_patient_with_the_advice() {
    let study = Study::new().set("series", "all");
    chest_and_abdomen(&study);
    study.fails(5, &["1 series without any lung", "preprocess.allow_empty_series: true"]);
    let outcome = study.run(&["--set", "preprocess.allow_empty_series=true"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("1 common, 1 covid"), "{}", outcome.stdout);
}

#[test]
fn patients_without_slices_are_named_and_counted() {
    let study = Study::new();
    series(&study, "A", "1.2.1", 3, 3);
    series(&study, "B", "1.2.2", 6, 1);
    series(&study, "C", "1.2.3", 2, 0);
    let mut scout = Slice::new("D", "1.2.4", 1, 0.0);
    scout.image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
    scout.write(&study.path("data/t/0_raw/D/1.dcm"));
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,1\nC,1\nD,0\nE,1\n");
    let outcome = study.run(&["--set", "preprocess.allow_empty_series=true"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let absent = "labelled patients without a CT that can be used: no_ct: 1 (E); no_usable_series: 1 (D)";
    assert!(outcome.stderr.contains(absent), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("warning: patients with no slice left"), "{}", outcome.stderr);
    let lost = "no_ct: 1 (E); no_usable_series: 1 (D); no_slice_kept: 1 (C); few_slices_kept: 1 (B) (qa.csv)";
    assert!(outcome.stdout.contains(lost), "{}", outcome.stdout);
    let quality = rows(&study, "qa.csv");
    let remarks: Vec<(&str, &str)> = quality.iter().map(|row| (row[0].as_str(), row[row.len() - 1].as_str())).collect();
    let expected =
        [("A", ""), ("B", "few_slices_kept"), ("C", "no_slice_kept"), ("D", "no_usable_series"), ("E", "no_ct")];
    assert_eq!(remarks, expected);
    let excluded = rows(&study, "excluded.csv");
    let reason = |patient: &str| excluded.iter().find(|row| row[1] == patient).map(|row| row[4].as_str());
    assert_eq!((reason("D"), reason("E")), (Some("localizer"), Some("no_ct")));
}

#[test]
fn patients_without_label_are_counted_explained_and_skipped_on_request() {
    let study = Study::new().set("pseudonyms", "keyed");
    for (patient, uid) in [("0007", "1.2.1"), ("0008", "1.2.2"), ("X-9", "1.2.3")] {
        series(&study, patient, uid, 2, 2);
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\n7,0\n0008,1\nx-9,1\n");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("2 of 3 patients of the CT have no label in"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("2 of them have an id in the labels that differs only by"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("0007") && !outcome.stderr.contains("X-9"), "{}", outcome.stderr);
    // The first remedy: the list, and a label for each.
    let yaml = study.path("study.yaml").display().to_string();
    let listed = preprocess(["whois", "--unlabelled", "--config", yaml.as_str()]);
    let expected = "patient_id,slices,folder,alike_in_labels\n0007,2,0007/1.2.1,7\nX-9,2,X-9/1.2.3,x-9\n";
    assert_eq!(listed.stdout, expected, "{}", listed.stderr);
    // The second remedy, for a patient who has no label in any spelling.
    study.text("data/t/0_raw/labels.csv", "patient_id,label\n0007,0\n0008,1\n");
    let outcome = study.run(&["--set", "preprocess.unlabelled=skip"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("2 unlabelled") && outcome.stdout.contains("1 common, 1 covid"),
        "{}",
        outcome.stdout
    );
    study.text("data/t/0_raw/labels.csv", "patient_id,label\n0007,0\n0008,1\nX-9,1\n");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("1 common, 2 covid"), "{}", outcome.stdout);
    // Skipping everyone is no way out.
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nQ,0\n");
    let outcome = study.run(&["--set", "preprocess.unlabelled=skip"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("3 of 3 patients"), "{}", outcome.stderr);
}

#[test]
fn pseudonyms_of_all_patients_of_the_ct_are_found() {
    let study = Study::new().set("pseudonyms", "keyed");
    series(&study, "P-1", "1.2.1", 1, 1);
    series(&study, "P-2", "1.2.2", 1, 1);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nP-1,0\n");
    let outcome = study.run(&[]);
    let pseudonym = outcome.stderr.split("labels.csv: ").nth(1).and_then(|rest| rest.split(';').next());
    let pseudonym = pseudonym.expect("a pseudonym in the message").to_owned();
    assert!(study.run(&[]).stderr.contains(&pseudonym), "the same at the next call");
    let yaml = study.path("study.yaml").display().to_string();
    assert_eq!(preprocess(["whois", pseudonym.as_str(), "--config", yaml.as_str()]).stdout, "P-2\n");
    assert_eq!(preprocess(["whois", "0123456789ab", "--config", yaml.as_str()]).code, 4);
}

#[test]
fn files_that_cannot_be_read_are_not_named_but_found() {
    let study = Study::new().set("pseudonyms", "keyed");
    series(&study, "P-1", "1.2.1", 1, 1);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nP-1,0\n");
    study.text("data/t/0_raw/DOE^JANE_MRN4711/roe_john.dcm", "no DICOM");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    for name in ["DOE", "JANE", "MRN4711", "roe", "john"] {
        assert!(!outcome.stderr.contains(name), "{}", outcome.stderr);
    }
    let file = outcome.stderr.split("0_raw/").nth(1).and_then(|rest| rest.split(':').next()).expect("a file");
    assert!(file.starts_with("file-") && file.ends_with(".dcm"), "{file}");
    let yaml = study.path("study.yaml").display().to_string();
    let found = preprocess(["whois", file, "--config", yaml.as_str()]);
    assert!(found.stdout.trim_end().ends_with("0_raw/DOE^JANE_MRN4711/roe_john.dcm"), "{}", found.stdout);
}

#[test]
fn folders_tell_patients_apart_where_patient_id_does_not() {
    for patient in ["", "ANON"] {
        let study = Study::new().set("pseudonyms", "keyed");
        for (folder, uid) in [("case0", "1.2.1"), ("case1", "1.2.2")] {
            for index in 0..2 {
                let slice = Slice::new(patient, uid, index, f64::from(index) * 5.0);
                let slice = slice.with(tags::STUDY_INSTANCE_UID, VR::UI, format!("{uid}.7"));
                slice.write(&study.path(&format!("data/t/0_raw/{folder}/{index}.dcm")));
            }
        }
        study.text("data/t/0_raw/labels.csv", "patient_id,label\ncase0,0\ncase1,1\n");
        let outcome = study.run(&[]);
        let expected = match patient {
            "" => "PatientID (0010,0020) is empty in 4 CT files in 2 folders",
            _ => "if a folder is a patient, call that column folder",
        };
        assert!(outcome.code == 4 && outcome.stderr.contains(expected), "{}", outcome.stderr);
        if patient == "ANON" {
            study.text("data/t/0_raw/labels.csv", "patient_id,label\nANON,0\n");
            let outcome = study.run(&[]);
            assert!(
                outcome.stderr.contains("each counted as one patient: ") && outcome.stderr.contains("(2 folders)"),
                "{}",
                outcome.stderr
            );
        }
        study.text("data/t/0_raw/labels.csv", "folder,label\ncase0,0\n./case1,1\n");
        let outcome = study.run(&[]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(
            outcome.stdout.contains("1 common, 1 covid") && outcome.stdout.contains("4 read"),
            "{}",
            outcome.stdout
        );
        let table = std::fs::read(study.path("data/t/1_masks/slices.parquet")).expect("a table");
        assert!(!String::from_utf8_lossy(&table).contains("case0"), "the folder is the id, which has a pseudonym");
        study.text("data/t/0_raw/labels.csv", "folder,label\ncase0,0\ncase7,1\n");
        let outcome = study.run(&[]);
        assert!(outcome.code == 4 && outcome.stderr.contains("names 1 folders that are not in"), "{}", outcome.stderr);
        study.text("data/t/0_raw/labels.csv", "folder,patient_id,label\ncase0,a,0\n../case1,b,1\n");
        assert!(study.run(&[]).stderr.contains("must be a path below the input"));
    }
}

#[test]
fn labels_in_another_spelling_are_not_skipped() {
    let study = Study::new().set("unlabelled", "skip");
    for (patient, uid) in [("0007", "1.2.1"), ("B", "1.2.2")] {
        series(&study, patient, uid, 2, 2);
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\n7,0\nB,1\n");
    study.fails(
        4,
        &["1 of 2 patients", "in another spelling", "1 of them have an id in the labels that differs only by"],
    );
}
