//! `chumoku-preprocess inspect` and `look`, through the real program: what they print is what a run finds, and they write nothing but the key.

mod support;

use contract::inspection::{Inspection, Series};
use support::{Slice, Study, preprocess};

fn ct(study: &Study) {
    for (patient, uid) in [("A", "1.2.1"), ("B", "1.2.2"), ("C", "1.2.3")] {
        for index in 0..2 {
            let slice = Slice::new(patient, uid, index, f64::from(index) * 5.0);
            slice.write(&study.path(&format!("ct/{patient}/{index}.dcm")));
        }
    }
}

fn inspect(study: &Study, more: &str) -> Inspection {
    let (folder, model) = (study.folder.path().display(), &study.model);
    let yaml = format!(
        "study: t\nclasses: [common, covid]\npaths: {{data: {folder}/data}}\npreprocess:\n  input: {folder}/ct\n  model: {}\n  {more}\n",
        model.path.display()
    );
    let yaml = study.text("study.yaml", &yaml).display().to_string();
    let outcome = preprocess(["inspect", "--config", yaml.as_str()]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let written: Vec<_> = contract::hash::walk(&study.path("data")).unwrap();
    assert_eq!(written, [std::path::PathBuf::from("t/pseudonym.key")], "to look is not to begin");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn what_is_found_is_counted_by_class() {
    let study = Study::new();
    ct(&study);
    study.text("ct/labels.csv", "patient_id,label\nA,0\nB,covid\nC,1\nD,0\n");
    let sha = study.model.sha256.clone();
    let found = inspect(&study, &format!("model_sha256: {sha}"));
    assert_eq!(found.model, Ok(sha));
    let input = found.input.unwrap();
    assert_eq!((input.series, input.slices, input.patients), (3, 6, vec![1, 2]));
    let absent = "labelled patients without a CT that can be used: no_ct: 1 (";
    assert!(input.notes.iter().any(|note| note.starts_with(absent)), "{:?}", input.notes);
}

#[test]
fn what_is_wrong_has_its_code_and_no_raw_id() {
    let study = Study::new();
    ct(&study);
    study.text("ct/labels.csv", "patient_id,label\nA,0\nB,1\n");
    let found = inspect(&study, "threads: 1");
    let model = found.model.unwrap_err();
    assert_eq!(model.exit, 6);
    assert!(model.message.contains("model_sha256"), "{}", model.message);
    let input = found.input.unwrap_err();
    assert_eq!(input.exit, 4);
    assert!(input.message.contains("1 of 3 patients of the CT have no label in"), "{}", input.message);
    let pseudonym = input.message.split("labels.csv: ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    // The pseudonym is the same at the next call, and both remedies work.
    assert_eq!(inspect(&study, "threads: 1").input.unwrap_err(), input);
    let yaml = study.path("study.yaml").display().to_string();
    assert_eq!(preprocess(["whois", pseudonym, "--config", yaml.as_str()]).stdout, "C\n");
    let listed = preprocess(["whois", "--unlabelled", "--config", yaml.as_str()]);
    assert_eq!(listed.stdout, "patient_id,slices,folder,alike_in_labels\nC,2,C,\n");
    let skipped = inspect(&study, "unlabelled: skip").input.unwrap();
    assert_eq!((skipped.series, skipped.left_out["unlabelled"]), (2, 2));
}

#[test]
fn a_folder_is_looked_at_without_names() {
    let study = Study::new();
    ct(&study);
    study.text("ct/readme.txt", "no CT");
    let folder = study.path("ct").display().to_string();
    let outcome = preprocess(["look", folder.as_str()]);
    let found: Series = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found, Series { series: 3, slices: 6, patients: 3, other_files: 1 });
    assert_eq!(preprocess(["look", "/no/such/folder"]).code, 4);
}

#[test]
fn the_splits_file_is_held_against_the_labels_before_any_work() {
    let study = Study::new();
    ct(&study);
    study.text("ct/labels.csv", "patient_id,label\nA,0\nB,1\nC,1\nD,0\n");
    let splits = |text: &str| {
        let file = study.text("splits.json", text).display().to_string();
        inspect(&study, &format!("threads: 1\ndataset: {{splits: {file}}}")).splits
    };
    // D has no CT, so no fold has to name it; a single fold has A and B held out.
    let one = r#"[{"train": ["C", "Z"], "val": ["A", "B"]}]"#;
    let refused = splits(one).unwrap().unwrap_err();
    assert_eq!(refused.exit, 4);
    assert!(refused.message.contains("labels.csv (1): entry 2 of train of fold 0"), "{}", refused.message);
    let refused = splits(&one.replace(", \"Z\"", "")).unwrap().unwrap_err();
    assert_eq!(refused.exit, 5);
    assert!(refused.message.contains("(1): common in the training side of fold 0"), "{}", refused.message);
    let refused = splits(&one.replace("\"Z\"", "\"A\"")).unwrap().unwrap_err();
    assert_eq!((refused.exit, refused.message.contains("entry 2 of train = entry 1 of val")), (5, true));
    let refused = splits(r#"[{"train": ["B"], "val": ["A"]}]"#).unwrap().unwrap_err();
    assert!(refused.message.contains("that no fold names (1): that of line 4;"), "{}", refused.message);
    study.text("ct/labels.csv", "patient_id,label\nA,0\nB,1\nC,0\n");
    let refused =
        splits(r#"[{"train": ["B", "C"], "val": ["A"]}, {"train": ["A"], "val": ["B", "C"]}]"#).unwrap().unwrap_err();
    assert!(
        refused.message.contains("covid in the test side of fold 0, covid in the training side of fold 1"),
        "{refused:?}"
    );
    for index in 0..2 {
        let slice = Slice::new("D", "1.2.4", index, f64::from(index) * 5.0);
        slice.write(&study.path(&format!("ct/D/{index}.dcm")));
    }
    study.text("ct/labels.csv", "patient_id,label\nA,0\nB,1\nC,0\nD,1\n");
    let good = r#"[{"train": ["A", "B"], "val": ["C", "D"]}, {"train": ["C", "D"], "val": ["A", "B"]}]"#;
    assert_eq!(splits(good), Some(Ok("folds: 2, for 4 patients by their ids".to_owned())));
    let scans = ["A", "B", "C", "D"]
        .iter()
        .fold(good.to_owned(), |text, id| text.replace(&format!("\"{id}\""), &format!("\"{id}_0\"")));
    assert_eq!(splits(&scans), Some(Ok("folds: 2, for 4 patients by their ids with the number of a scan".to_owned())));
    assert_eq!(inspect(&study, "threads: 1").splits, None);
}
