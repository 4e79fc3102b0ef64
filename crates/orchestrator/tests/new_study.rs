//! `chumoku init`, `check` and `schema`: the real program, beside stage programs that are scripts.

mod fake;

use std::path::Path;
use std::process::Command;

use fake::Answer;

/// Says what the file of its first argument's name in the working directory says.
const SCRIPT: &str = "#!/bin/sh\nif [ -f \"$1.err\" ]; then cat \"$1.err\" >&2; exit 6; fi\ncat \"$1.json\"\n";
const EQUIPMENT: &str = r#"{"folder":"/lib","version":"2.11.0","expected":"2.11.0","threads":2,"gpus":0,"cuda_problem":"no GPU is visible"}"#;
const INSPECTION: &str = r#"{"model":{"Ok":"ab12"},"input":{"Ok":{"series":7,"slices":70,"patients":[3,4],"left_out":{},"notes":["1 patients of the labels have no CT"]}}}"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| place.write(name, text));
        place
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(fake::installed(SCRIPT).join("chumoku"));
        Answer::of(command.current_dir(self.0.path()).args(arguments).output().unwrap())
    }

    /// A study that has all it needs.
    fn study(yaml: &str) -> Self {
        let study = format!("study: s\npreprocess: {{input: ct, model: m.pt}}\n{yaml}");
        let files = [("ct/labels.csv", "patient_id,label\n"), ("m.pt", ""), ("doctor.json", EQUIPMENT)];
        let place = Self::new(&files);
        place.write("study.yaml", &study);
        place.write("inspect.json", INSPECTION);
        place
    }

    /// Checks the study and expects the code and the lines.
    fn checks(&self, code: i32, parts: &[&str]) {
        let answer = self.run(&["check", "study.yaml"]);
        assert_eq!(answer.code, Some(code), "{answer:?}");
        parts.iter().for_each(|part| assert!(answer.out.contains(part), "{part}: {answer:?}"));
    }
}

#[test]
fn a_study_with_all_it_needs_passes_and_leaves_nothing() {
    let place = Place::study("");
    place.checks(
        0,
        &[
            "ok       study          s: 2 methods, 3 folds, 6 training runs; classes common_pneumonia, covid19\n",
            "ok       model          m.pt (SHA-256 ab12)\n",
            "ok       input          7 series, 70 slices; patients: common_pneumonia 3, covid19 4\n",
            "warning  input          1 patients of the labels have no CT\n",
            "ok       device         cpu; 2.11.0 in /lib",
            "next: chumoku run study.yaml\n",
        ],
    );
    assert!(!place.0.path().join("data").exists() && !place.0.path().join("reports").exists());
}

#[test]
fn a_bad_configuration_ends_with_3_and_all_its_faults() {
    let place = Place::study("train:\n  epoch: 2\n  lr: fast\n");
    place.checks(3, &["study.yaml:4:3: unknown key train.epoch", "study.yaml:5:7: train.lr: expected a number"]);
}

#[test]
fn bad_inputs_end_with_4_and_come_before_the_device() {
    let place = Place::study("train: {device: cuda}\ndataset: {folds: 4}\n");
    place.checks(
        4,
        &[
            "error    classes        class \"common_pneumonia\" has 3 patients, fewer than dataset.folds (4)",
            "error    device         cuda, which method conventional asks for: no GPU is visible; set train.device=cpu",
        ],
    );
    let last = place.run(&["check", "study.yaml"]).err;
    assert!(
        last.starts_with("error: 2 of the checks above are errors, the first: class \"common_pneumonia\""),
        "{last}"
    );
    assert!(last.ends_with("; ask for fewer folds or add patients\n"), "{last}");
    let place = Place::study("");
    place.write("inspect.json", r#"{"model":{"Ok":"ab"},"input":{"Err":{"exit":4,"message":"row 3 of labels"}}}"#);
    place.checks(4, &["error    input          row 3 of labels"]);
    assert_eq!(place.run(&["check", "study.yaml"]).err, "error: 1 of the checks above is an error: row 3 of labels\n");
    std::fs::remove_dir_all(place.0.path().join("ct")).unwrap();
    place.checks(4, &["error    input          input \"ct\" of preprocess, ct: No such file", "input \"labels\""]);
    let place = Place::study("dataset: {splits: none.json}\n");
    place.checks(4, &["error    splits", "none.json"]);
}

#[test]
fn faults_of_a_splits_file_are_lines_of_the_check() {
    let file = r#"[{"train": ["MRN-1"], "val": ["MRN-2"]}, {"train": ["MRN-2"], "val": ["MRN-1"]}]"#;
    let place = Place::study("dataset: {splits: splits_final.json}\n");
    place.write("splits_final.json", file);
    let answered = |splits: &str| INSPECTION.replacen('{', &format!(r#"{{"splits":{splits},"#), 1);
    place.write("inspect.json", &answered(r#"{"Ok":"folds: 2, for 7 patients by their ids"}"#));
    place.checks(0, &["ok       splits         folds: 2, for 7 patients by their ids\n", "2 folds, 4 training runs"]);
    // Faults that need the patients come from the program that reads them; of one that leaks, the exit code is that of an audit.
    place.write("inspect.json", &answered(r#"{"Err":{"exit":5,"message":"patients in train and val of fold 0"}}"#));
    place.checks(5, &["error    splits         patients in train and val of fold 0\n"]);
    place.write("inspect.json", &answered(r#"{"Err":{"exit":4,"message":"no patient of labels.csv"}}"#));
    place.checks(4, &["error    splits         no patient of labels.csv\n"]);
    // A file that cannot be read is told once, without the ids in it.
    place.write("splits_final.json", r#"["MRN-1"]"#);
    let answer = place.run(&["check", "study.yaml"]);
    assert_eq!(answer.code, Some(4), "{answer:?}");
    assert_eq!(answer.out.matches("error    splits").count(), 1, "{answer:?}");
    assert!(answer.out.contains("fold 0 is a text") && !answer.out.contains("MRN"), "{answer:?}");
    // A run stops at it before anything is made.
    let run = place.run(&["run", "study.yaml"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.err.contains("splits file splits_final.json: ") && !run.err.contains("MRN"), "{run:?}");
    assert!(!place.0.path().join("data").exists());
    // The study's own number of folds, where it is not the file's.
    let place = Place::study("dataset: {splits: splits_final.json, folds: 5}\n");
    place.write("splits_final.json", file);
    place.write("inspect.json", &answered(r#"{"Ok":"folds: 2"}"#));
    place.checks(0, &["warning  splits         folds: 2; dataset.folds says 5, and the splits file counts\n"]);
}

#[test]
fn faults_of_a_split_column_are_lines_of_the_check() {
    let yaml = "study: s\npreprocess: {manifest: m.csv, model: m.pt}\ndataset: {split_column: split}\n";
    let place = Place::new(&[("study.yaml", yaml), ("m.pt", ""), ("doctor.json", EQUIPMENT)]);
    place.write("inspect.json", INSPECTION);
    let good = "a,P0,0,Test\nb,P1,1,TEST\nc,P2,0,train\nd,P3,1,val\n";
    ["a", "b", "c", "d", "e"].into_iter().for_each(|file| place.write(file, ""));
    for (more, code, part) in [
        ("", 0, "ok       splits         column \"split\" of m.csv\n"),
        ("e,P4,0,holdout\n", 4, "m.csv, line 6: column \"split\": expected train, val or test, got \"holdout\""),
        ("e,P0,0,train\n", 5, "1 patients in both test and train, the first in line 2 (test) and line 6 (train)"),
    ] {
        place.write("m.csv", &format!("path,patient_id,label,split\n{good}{more}"));
        place.checks(code, &[part]);
    }
    place.write(
        "m.csv",
        &format!("path,patient_id,label,split\n{}", good.replace("Test", "val").replace("TEST", "val")),
    );
    place.checks(5, &["got none of test; give some patients the other split"]);
}

#[test]
fn a_bad_model_or_device_ends_with_6() {
    let place = Place::study("");
    place.write(
        "inspect.json",
        &INSPECTION.replace(r#"{"Ok":"ab12"}"#, r#"{"Err":{"exit":6,"message":"another SHA-256"}}"#),
    );
    place.checks(6, &["error    model          another SHA-256"]);
    let place = Place::study("train: {device: cuda}\n");
    place.checks(6, &["error    device"]);
    let place = Place::study("train: {init: none.safetensors}\n");
    place.checks(6, &["error    input", "none.safetensors", "set train.init to a safetensors file"]);
}

#[test]
fn a_table_of_images_becomes_a_study_that_a_run_accepts() {
    let rows = "file,subject,age,diagnosis\na.png,p1,3,normal\nb.png,p2,4,covid\nc.png,p3,5,covid\nd.png,p4,5,normal\n";
    let place =
        Place::new(&[("ct/t.csv", rows), ("ct/a.png", ""), ("ct/b.png", ""), ("ct/c.png", ""), ("ct/d.png", "")]);
    let answer = place.run(&["init", "ct", "--out", "lungs.yaml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("ct/t.csv: 4 rows, columns file, subject, age, diagnosis: 4 PNG"), "{answer:?}");
    assert!(answer.out.ends_with("next: chumoku check lungs.yaml\n"), "{answer:?}");
    assert_eq!(
        place.read("ct/t.chumoku.csv"),
        "path,patient_id,label\na.png,p1,1\nb.png,p2,0\nc.png,p3,0\nd.png,p4,1\n"
    );
    let config = contract::Config::load(&place.0.path().join("lungs.yaml"), &[]).unwrap();
    assert_eq!((config.study.as_str(), config.dataset.folds, config.report.positive), ("lungs", 2, 0));
    assert_eq!(config.classes, ["covid", "normal"]);
    assert_eq!(config.preprocess.manifest.as_deref(), Some(Path::new("ct/t.chumoku.csv")));
    let again = place.run(&["init", "ct", "--out", "lungs.yaml"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("lungs.yaml exists; give --out another file, or --force"), "{again:?}");
    assert_eq!(place.run(&["init", "ct", "--out", "lungs.yaml", "--force"]).code, Some(0));
    let table = place.run(&["init", "ct", "--out", "others.yaml"]);
    assert!(
        table.code == Some(2) && table.err.contains("ct/t.chumoku.csv exists; move it, or give --force"),
        "{table:?}"
    );
    place.write("lungs.yaml.partial", "mine");
    assert_eq!(place.run(&["init", "ct", "--out", "lungs.yaml", "--force"]).code, Some(0));
    assert_eq!(place.read("lungs.yaml.partial"), "mine");
}

#[test]
fn a_column_beside_the_labels_names_the_classes() {
    let rows =
        "path,patient_id,label,class_name,split\na.png,p1,0,other,x\nb.png,p2,1,covid19,x\nc.png,p3,1,covid19,y\n";
    let place = Place::new(&[("t.csv", rows), ("a.png", ""), ("b.png", ""), ("c.png", "")]);
    let answer = place.run(&["init", "t.csv", "--yes"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let config = contract::Config::load(&place.0.path().join("t.yaml"), &[]).unwrap();
    assert_eq!(config.classes, ["other", "covid19"]);
}

#[test]
fn dicom_without_labels_says_which_table_to_make() {
    let place = Place::new(&[("ct/1", "")]);
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    std::fs::write(place.0.path().join("ct/1"), dicom).unwrap();
    let answer = place.run(&["init", "ct", "--yes"]);
    let advice = "make a CSV with the columns patient_id,label (patient_id is the DICOM PatientID)";
    assert!(answer.code == Some(4) && answer.err.contains(advice), "{answer:?}");
}

#[test]
fn dicom_with_labels_becomes_a_study_and_numbers_get_names() {
    let place = Place::new(&[
        ("ct/labels.csv", "patient_id,label,site\nA,1,x\nB,0,y\nC,1,x\nD,0,y\nE,0,x\nF,1,y\n"),
        ("look.json", r#"{"series":6,"slices":60,"patients":6,"other_files":1}"#),
    ]);
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    std::fs::write(place.0.path().join("ct/1"), dicom).unwrap();
    let answer =
        place.run(&["init", "ct", "--classes", "healthy,pneumonia", "--positive", "pneumonia", "--study", "own"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("ct: 6 CT series, 60 slices, 6 patients, 1 other files"), "{answer:?}");
    let config = contract::Config::load(&place.0.path().join("own.yaml"), &[]).unwrap();
    assert_eq!(
        (config.classes.as_slice(), config.report.positive),
        (["healthy", "pneumonia"].map(str::to_owned).as_slice(), 1)
    );
    // The table is as Chumoku reads it, so there is no other.
    assert_eq!(config.preprocess.labels.as_deref(), Some(Path::new("ct/labels.csv")));
    std::fs::remove_file(place.0.path().join("ct/labels.csv")).unwrap();
    let answer = place.run(&["init", "ct", "--study", "two"]);
    assert_eq!(answer.code, Some(4), "{answer:?}");
    assert!(answer.err.contains("there is no ct/labels.csv") && answer.err.contains("give --labels CSV"), "{answer:?}");
}

#[test]
fn what_cannot_be_seen_names_its_flag() {
    let place = Place::new(&[("t.csv", "path,who,a,b\nx.png,1,1,2\ny.png,2,2,1\n"), ("x.png", ""), ("y.png", "")]);
    for (more, code, part) in [
        (&[][..], 2, "give --patient-column"),
        (&["--patient-column", "who"], 2, "give --label-column"),
        (&["--patient-column", "whose"], 2, "expected one of path, who, a, b, got \"whose\""),
        (
            &["--patient-column", "who", "--label-column", "a", "--classes", "n"],
            2,
            "--classes: expected 2 names, for the labels 1, 2",
        ),
        (
            &["--patient-column", "who", "--label-column", "a", "--positive", "n"],
            2,
            "expected one of class1, class2, got \"n\"",
        ),
        (&["--patient-column", "who", "--label-column", "a", "--study", "a b"], 3, "study: expected 1 to 64 letters"),
    ] {
        let answer = place.run(&[&["init", "t.csv", "--out", "s.yaml"], more].concat());
        assert_eq!(answer.code, Some(code), "{more:?}: {answer:?}");
        assert!(answer.err.contains(part), "{more:?}: {answer:?}");
        assert!(!place.0.path().join("s.yaml").exists());
    }
    // Labels 1 and 2 are no indexes of two classes.
    let answer = place.run(&["init", "t.csv", "--patient-column", "who", "--label-column", "a", "--study", "s"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(place.read("t.chumoku.csv"), "path,patient_id,label\nx.png,1,0\ny.png,2,1\n");
}

#[test]
fn a_study_is_not_made_of_a_misread_table() {
    let place = Place::new(&[("x.png", ""), ("y.png", "")]);
    for (table, words) in [
        ("path,patient_id,label\nx.png,1,0\ny.png,,1\n", "line 3: column \"patient_id\": expected an id"),
        ("path,patient_id,label\nx.png,1,0\ny.png,2,\n", "line 3: column \"label\": expected a value"),
        ("path,patient_id,label\nx.png,1,0\ny.png,2,nan\n", "line 3: label \"nan\" stands for a missing value"),
        ("path,patient_id,label\nx.png,1,covid\ny.png,2,COVID\n", "labels \"covid\" and \"COVID\" differ only by case"),
        (
            "path,patient_id,label\nx.png,1,0\ny.png,1,1\n",
            "line 3: its patient has label \"1\" here and \"0\" in line 2",
        ),
        ("path,patient_id,label\n.\\x.png,1,0\n.\\y.png,2,1\n", "write paths with / and not \\"),
        ("path,patient_id,label\nx.png,1\n", "line 2: expected 3 cells as in the head, got 2"),
    ] {
        place.write("t.csv", table);
        let answer = place.run(&["init", "t.csv", "--yes", "--out", "s.yaml"]);
        assert_eq!(answer.code, Some(4), "{table}: {answer:?}");
        assert!(answer.err.contains(words), "{table}: {answer:?}");
        assert!(!place.0.path().join("s.yaml").exists() && !place.0.path().join("t.chumoku.csv").exists());
    }
    // What is meant without doubt needs no other table.
    place.write("t.csv", "Path;Patient_ID;Label\r\nx.png;1;0.0\r\ny.png;2;1.0\r\n");
    let answer = place.run(&["init", "t.csv", "--classes", "a,b", "--positive", "b", "--out", "s.yaml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(place.read("s.yaml").contains("manifest: \"t.csv\"") && !place.0.path().join("t.chumoku.csv").exists());
    // Classes that are called by numbers are what the labels are called.
    place.write("u.csv", "path,patient,class\nx.png,1,1\ny.png,2,2\n");
    let numbers = ["init", "u.csv", "--yes", "--classes", "1,2", "--out", "u.yaml"];
    let answer = place.run(&numbers);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(place.read("u.chumoku.csv"), "path,patient_id,label\nx.png,1,1\ny.png,2,2\n");
    assert!(place.read("u.yaml").contains("labels are these names"));
}

#[test]
fn without_input_a_study_of_synthetic_ct_is_made_and_the_schema_is_printed() {
    let place = Place::new(&[("pipelines/study.schema.json", "")]);
    assert_eq!(place.run(&["init", "--yes"]).code, Some(0));
    let text = place.read("synthetic.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema=pipelines/study.schema.json\n"), "{text}");
    assert!(contract::Config::load(&place.0.path().join("synthetic.yaml"), &[]).unwrap().phantom.enabled);
    assert_eq!(place.run(&["init", "none"]).code, Some(4));
    assert_eq!(place.run(&["schema"]).out, contract::config::schema::text());
}
