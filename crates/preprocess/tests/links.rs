//! Folders of CT with links in them, as DataLad and git-annex make them, and as people do: through the real program.

mod support;

use std::os::unix::fs::symlink;

use support::{Slice, Study};

/// What the folder of the patient is called, which no error may say.
const FOLDER: &str = "data/t/0_raw/DOE^JANE_MRN4711";

/// Two patients of two slices each.
fn study() -> Study {
    let study = Study::new();
    for (patient, series, folder) in [("MRN4711", "1.2.1", FOLDER), ("B", "1.2.2", "data/t/0_raw/B")] {
        for index in 0..2 {
            let slice = Slice::new(patient, series, index, f64::from(index) * 5.0);
            slice.write(&study.path(&format!("{folder}/{index}.dcm")));
        }
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nMRN4711,0\nB,1\n");
    study
}

/// Runs the study and expects four slices.
fn reads_four(study: &Study) {
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("4 read, 4 written"), "{}", outcome.stdout);
    assert!(study.run(&[]).stderr.contains("up to date"));
}

fn says_no_name(text: &str) {
    ["DOE", "JANE", "4711"].iter().for_each(|name| assert!(!text.contains(name), "{text}"));
}

#[test]
fn links_to_files_beside_the_folder_are_read_as_files() {
    let study = study();
    std::fs::create_dir(study.path("objects")).expect("made");
    for index in 0..2 {
        let (file, object) = (study.path(&format!("{FOLDER}/{index}.dcm")), study.path(&format!("objects/{index}")));
        std::fs::rename(&file, object).expect("moved");
        symlink(format!("../../../../objects/{index}"), &file).expect("linked");
    }
    reads_four(&study);
}

#[test]
fn a_file_that_was_not_fetched_is_refused_without_a_name() {
    let study = study();
    let file = study.path(&format!("{FOLDER}/1.dcm"));
    std::fs::remove_file(&file).expect("removed");
    symlink("../../../../objects/1", &file).expect("linked");
    // By hand: B, DOE^JANE..., labels.csv; 0.dcm, 1.dcm.
    study.fails(4, &["0_raw: its entry 2/2 (counted", "is a link that leads nowhere; fetch", "`find -L . -type l`"]);
    says_no_name(&study.run(&[]).stderr);
    let (input, output) = (study.path(FOLDER).display().to_string(), study.path("m.nii").display().to_string());
    let model =
        ["--model", &study.model.path.display().to_string(), "--model-sha256", &study.model.sha256].map(str::to_owned);
    let arguments = ["segment".to_owned(), input, output].into_iter().chain(model);
    let outcome = support::preprocess(arguments);
    assert!(outcome.code == 4 && outcome.stderr.contains("its entry 2 (counted"), "{}", outcome.stderr);
}

#[test]
fn links_that_lead_back_up_are_passed_over_at_once() {
    let study = study();
    for link in ["latest", "current"] {
        symlink("..", study.path(&format!("{FOLDER}/{link}"))).expect("linked");
    }
    symlink("../B", study.path("data/t/0_raw/B/again")).expect("linked");
    reads_four(&study);
}

#[test]
fn a_link_to_all_that_lies_beside_the_input_is_refused_without_a_name() {
    let study = study();
    symlink("../../..", study.path(&format!("{FOLDER}/JANE"))).expect("linked");
    study.fails(4, &["its entry 2/3 (counted", "is a link to a folder in which this one lies", "remove the link"]);
    says_no_name(&study.run(&[]).stderr);
}

#[test]
fn a_row_of_a_manifest_that_names_a_folder_or_a_file_again_is_named() {
    let study = Study::new();
    std::fs::create_dir_all(study.path("set/DOE.png")).expect("a folder is no file");
    let manifest = study.text("set/m.csv", "path,patient_id,label\nDOE.png,MRN4711,0\n");
    let study = study.set("manifest", manifest.display());
    study.fails(4, &["m.csv, line 2: its path is a folder"]);
    study.text("set/a.png", "a picture, which nobody reads");
    for again in ["./a.png", "../set/a.png", &study.path("set/a.png").display().to_string()] {
        study.text("set/m.csv", &format!("path,patient_id,label\na.png,A,0\n{again},B,1\n"));
        study.fails(4, &["m.csv, line 3: its file is that of line 2 already"]);
    }
}
