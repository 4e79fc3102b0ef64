//! Drives the real `chumoku-dataset` on small `slices.parquet` files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Int32Array, ListBuilder, StringArray, StringBuilder, UInt32Array,
};
use contract::id::Key;
use contract::layout::{FOLDS, RECEIPT, SPLITS};
use contract::schema;
use contract::table::TableWriter;
use polars::prelude::{CsvReadOptions, SerReader};

/// Patient, label, image. The slice's id and source follow from its place.
type Slice = (String, i32, String);

/// `patients` of each class with two slices each, no image twice.
fn balanced(patients: usize) -> Vec<Slice> {
    let slice = |at: usize| {
        let (patient, label) = (at / 4, i32::from(at % 4 >= 2));
        (format!("{label}-{patient:02}"), label, format!("image {at}"))
    };
    (0..patients * 4).map(slice).collect()
}

fn write_slices(path: &Path, slices: &[Slice], sources: &[String]) {
    let schema = schema::slices();
    let texts = |of: &dyn Fn(usize, &Slice) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(slices.iter().enumerate().map(|(at, slice)| of(at, slice))))
    };
    let count = slices.len();
    let mut flags = ListBuilder::new(StringBuilder::new());
    slices.iter().for_each(|_| flags.append(true));
    let columns: Vec<ArrayRef> = vec![
        texts(&|at, slice| format!("{}/{at:04}", slice.0)),
        texts(&|_, slice| slice.0.clone()),
        texts(&|_, slice| slice.0.clone()),
        Arc::new(Int32Array::from(vec![0; count])),
        Arc::new(Float32Array::from(vec![None; count])),
        Arc::new(Int32Array::from_iter_values(slices.iter().map(|slice| slice.1))),
        texts(&|at, _| sources[at].clone()),
        Arc::new(UInt32Array::from(vec![1; count])),
        Arc::new(UInt32Array::from(vec![1; count])),
        Arc::new(BinaryArray::from_iter_values(slices.iter().map(|slice| slice.2.as_bytes()))),
        Arc::new(BinaryArray::from_iter_values(slices.iter().map(|_| [1_u8]))),
        Arc::new(Float32Array::from(vec![0.5; count])),
        Arc::new(flags.finish()),
    ];
    let mut writer = TableWriter::create(path, Arc::clone(&schema), &[]).unwrap();
    writer.write(&schema, columns).unwrap();
    writer.commit().unwrap();
}

struct Study(tempfile::TempDir);

impl Study {
    fn of(slices: &[Slice]) -> Self {
        let sources: Vec<String> = (0..slices.len()).map(|at| format!("{at}.png")).collect();
        Self::with_sources(slices, &sources)
    }

    fn with_sources(slices: &[Slice], sources: &[String]) -> Self {
        let study = Self(tempfile::tempdir().unwrap());
        write_slices(&study.path("data/s/1_masks/slices.parquet"), slices, sources);
        std::fs::write(study.path("study.yaml"), "study: s\n").unwrap();
        study
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn output(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path("data/s/2_folds").join(file)).ok()
    }

    /// Exit code, stdout, stderr.
    fn run(&self, set: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chumoku-dataset"));
        command.current_dir(self.0.path()).args(["--config", "study.yaml"]);
        for text in set {
            command.args(["--set", text]);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Checks that a run ends with `code` and all of `parts` in its message, and leaves nothing.
    fn fails(&self, set: &[&str], code: i32, parts: &[&str]) {
        let (got, _, err) = self.run(set);
        assert_eq!(got, Some(code), "{err}");
        assert!(parts.iter().all(|part| err.contains(part)), "{err}");
        assert!(!self.path("data/s/2_folds").exists() && !self.path("data/s/2_folds.partial").exists());
    }
}

#[test]
fn folds_are_made_once_and_their_bytes_repeat() {
    let [first, second] = [(); 2].map(|()| Study::of(&balanced(6)));
    let (code, out, err) = first.run(&[]);
    assert_eq!(code, Some(0), "{err}");
    let line = |fold: usize, class: &str| format!("{fold:<9} {class:<16} {:>8} {:>8}\n", 2, 4);
    let expected: String =
        (0..3).flat_map(|fold| ["common_pneumonia", "covid19"].map(|class| line(fold, class))).collect();
    assert_eq!(out, format!("{:<9} {:<16} {:>8} {:>8}\n{expected}", "fold", "class", "patients", "slices"));
    second.run(&[]);
    for file in [FOLDS, SPLITS, "folds.csv", RECEIPT] {
        assert_eq!(first.output(file).unwrap(), second.output(file).unwrap(), "{file}");
    }
    let (code, again, err) = first.run(&[]);
    assert_eq!((code, again), (Some(0), out));
    assert_eq!(err, "dataset: up to date\n");
}

#[test]
fn three_classes_are_in_every_fold_and_a_missing_one_is_named() {
    // 5, 4 and 3 patients of three classes, two slices each: a fold has 2 or 1 of the first, 2 or 1, and 1.
    let slices = |counts: [usize; 3]| -> Vec<Slice> {
        let patients = (0..3).flat_map(|label| (0..counts[label]).map(move |patient| (label, patient)));
        let two = |(label, patient): (usize, usize)| {
            [0, 1].map(|at| (format!("{label}-{patient:02}"), label as i32, format!("image {label} {patient} {at}")))
        };
        patients.flat_map(two).collect()
    };
    let set = ["classes=[common, covid19, healthy]"];
    let study = Study::of(&slices([5, 4, 3]));
    let (code, out, err) = study.run(&set);
    assert_eq!(code, Some(0), "{err}");
    let summary = String::from_utf8(study.output("folds.csv").unwrap()).unwrap();
    let patients = |class: &str| -> Vec<u32> {
        let of = summary.lines().filter(|line| line.split(',').nth(2) == Some(class));
        let mut counts: Vec<u32> = of.map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!([patients("common"), patients("covid19"), patients("healthy")], [[1, 2, 2], [1, 1, 2], [1, 1, 1]]);
    assert_eq!(out.matches("healthy").count(), 3, "{out}");
    Study::of(&slices([5, 4, 2])).fails(&set, 4, &["healthy", "2 patients"]);
    Study::of(&slices([5, 4, 3])).fails(&["classes=[common, covid19]"], 4, &["2"]);
    // A splits file that leaves the third class out of a test side is found by the audit.
    let study = Study::of(&slices([3, 3, 3]));
    let side = |held: [&str; 3]| {
        let all = ["0-00", "0-01", "0-02", "1-00", "1-01", "1-02", "2-00", "2-01", "2-02"];
        let (val, train): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|patient| held.contains(patient));
        serde_json::json!({ "train": train, "val": val })
    };
    let folds = [side(["0-00", "1-00", "1-01"]), side(["0-01", "2-01", "2-02"]), side(["0-02", "1-02", "2-00"])];
    std::fs::write(study.path("given.json"), serde_json::to_string(&folds).unwrap()).unwrap();
    let words = ["healthy in the test side of fold 0", "covid19 in the test side of fold 1"];
    study.fails(&[set[0], "dataset.splits=given.json"], 5, &words);
}

#[test]
fn a_splits_file_of_ours_is_read_back() {
    let study = Study::of(&balanced(6));
    study.run(&["dataset.seed=5"]);
    let (folds, splits) = (study.output(FOLDS).unwrap(), study.output(SPLITS).unwrap());
    std::fs::write(study.path("given.json"), &splits).unwrap();
    let (code, _, err) = study.run(&["dataset.splits=given.json", "dataset.seed=5"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("input splits (given.json) is new"), "{err}");
    assert_eq!((study.output(FOLDS).unwrap(), study.output(SPLITS).unwrap()), (folds, splits));
}

/// 32 bytes in hexadecimal digits, as in the key's file.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A study with a key, whose slices have the pseudonyms of MRN-0 to MRN-3 (class 0) and MRN-4 to MRN-7, two each.
fn keyed() -> (Study, Key) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("k"), KEY).unwrap();
    let key = Key::load(&folder.path().join("k")).unwrap();
    let slice = |at: usize| (key.patient(&format!("MRN-{}", at / 2)), i32::from(at >= 8), format!("image {at}"));
    let slices: Vec<Slice> = (0..16).map(slice).collect();
    let sources: Vec<String> =
        slices.iter().enumerate().map(|(at, slice)| format!("{}_{}.png", slice.0, at % 2)).collect();
    let study = Study::with_sources(&slices, &sources);
    std::fs::write(study.path("data/s/pseudonym.key"), KEY).unwrap();
    (study, key)
}

/// Two folds, patients of even number in the first; `name` says how each is called.
fn two_folds(name: &dyn Fn(usize) -> Vec<String>) -> String {
    let of = |rest: usize| (0..8).filter(|at| at % 2 == rest).flat_map(name).collect::<Vec<String>>();
    serde_json::json!([{ "train": of(1), "val": of(0) }, { "train": of(0), "val": of(1) }]).to_string()
}

#[test]
fn ids_of_the_users_own_and_scans_are_read_and_written_as_pseudonyms() {
    let (study, key) = keyed();
    let expected = |side: usize| {
        let mut ids: Vec<String> =
            (0..8).filter(|at| at % 2 == side).map(|at| key.patient(&format!("MRN-{at}"))).collect();
        ids.sort_unstable();
        ids
    };
    let expected = serde_json::json!([
        { "train": expected(1), "val": expected(0) }, { "train": expected(0), "val": expected(1) }
    ]);
    let own = |at: usize| vec![format!("MRN-{at}")];
    let scans = |at: usize| vec![format!("MRN-{at}_0"), format!("MRN-{at}_1")];
    let pseudonyms = |at: usize| vec![key.patient(&format!("MRN-{at}"))];
    for (name, text, remark) in [
        ("own.json", two_folds(&own), ""),
        ("pseudonyms.json", two_folds(&pseudonyms), ""),
        ("scans.json", two_folds(&scans), "names its 8 patients by their ids with the number of a scan"),
    ] {
        std::fs::write(study.path(name), text).unwrap();
        let (code, out, err) = study.run(&[&format!("dataset.splits={name}")]);
        assert_eq!(code, Some(0), "{name}: {err}");
        assert!(err.contains(remark) && !err.contains("MRN") && !out.contains("MRN"), "{err}");
        let written: serde_json::Value = serde_json::from_slice(&study.output(SPLITS).unwrap()).unwrap();
        assert_eq!(written, expected, "{name}");
    }
    // The names of the manifest's files, which hold the patients' ids.
    std::fs::write(study.path("manifest.csv"), "path,patient_id,label\n").unwrap();
    let (code, _, err) = study.run(&["dataset.splits=scans.json", "preprocess.manifest=manifest.csv"]);
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn faults_of_a_splits_file_of_the_users_own_name_no_id() {
    let (study, _) = keyed();
    let own = |at: usize| vec![format!("MRN-{at}")];
    let good = two_folds(&own);
    let cases = [
        (good.replace("MRN-7", "MRN-6"), 5, "train and val of fold 0 (1): entry 4 of train = entry 4 of val"),
        (good.replace("\"MRN-7\"", "\"MRN-8\""), 4, "slices.parquet that no fold names (1)"),
        (good.replace("MRN", "mrn"), 4, "differs from an id of data/s/1_masks/slices.parquet in case only"),
        (good.replace("MRN-", "P"), 4, "none of its 16 entries is a patient of data/s/1_masks/slices.parquet"),
        (
            good.replace("[\"MRN-0\"", "[7, \"MRN-0\"").replacen("7, ", "[\"MRN-1\"], ", 1),
            4,
            "is a list; expected a patient id",
        ),
        (good.replace("val", "MRN-9"), 4, "key 2 of fold 0, a list as value"),
    ];
    for (text, code, part) in cases {
        std::fs::write(study.path("given.json"), text).unwrap();
        let (got, _, err) = study.run(&["dataset.splits=given.json"]);
        assert!(err.contains(part) && !err.to_uppercase().contains("MRN"), "{part}: {err}");
        assert_eq!(got, Some(code), "{err}");
    }
    // One patient more than there are slices of.
    std::fs::write(study.path("given.json"), good.replace("\"MRN-6\"", "\"MRN-6\", \"MRN-60\"")).unwrap();
    let (code, _, err) = study.run(&["dataset.splits=given.json"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains(
            "warning: splits file given.json: 2 entries are of patients without slices, the first: entry 5 of"
        ),
        "{err}"
    );
    std::fs::remove_file(study.path("data/s/pseudonym.key")).unwrap();
    std::fs::write(study.path("given.json"), good).unwrap();
    study.run(&["dataset.splits=given.json", "dataset.seed=2"]);
    let (code, _, err) = study.run(&["dataset.splits=given.json", "dataset.seed=3"]);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("data/s/pseudonym.key, is not there: put it back") && !err.contains("MRN"), "{err}");
}

#[test]
fn a_split_column_holds_out_once() {
    let study = Study::of(&balanced(3));
    let split = |at: usize| ["test", "train", "val"][at / 4];
    let rows: String = (0..12).map(|at| format!("{at}.png,{}\n", split(at))).collect();
    std::fs::write(study.path("manifest.csv"), format!("path,split\n{rows}")).unwrap();
    let set = ["preprocess.manifest=manifest.csv", "dataset.split_column=split"];
    let (code, out, err) = study.run(&set);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("0 (test)  covid19                 1        2"), "{out}");
    assert!(out.contains("1 (train) covid19                 2        4"), "{out}");
    let (_, out, _) = study.run(&[set[0], set[1], "dataset.split_val=drop"]);
    assert!(out.contains("1 (train) covid19                 1        2"), "{out}");
    // One slice of a test patient among the training slices.
    std::fs::write(
        study.path("manifest.csv"),
        format!("path,split\n{}", rows.replace("0.png,test\n1", "0.png,train\n1")),
    )
    .unwrap();
    let (code, _, err) = study.run(&set);
    assert_eq!(code, Some(5));
    assert!(
        err.contains(
            "patients in two folds (1): 0-00 in split test = 0-00 in split train; give all rows of a patient one split"
        ),
        "{err}"
    );
}

#[test]
fn patients_who_share_an_image_stay_together() {
    let mut slices = balanced(6);
    slices[4].2 = slices[0].2.clone();
    slices[5].2 = slices[4].2.clone();
    let study = Study::of(&slices);
    for seed in 0..5 {
        let (code, _, err) = study.run(&[&format!("dataset.seed={seed}")]);
        assert_eq!(code, Some(0), "{err}");
        assert!(err.contains("warning: 2 patients share identical images and are kept together"), "{err}");
        let splits: Vec<serde_json::Value> = serde_json::from_slice(&study.output(SPLITS).unwrap()).unwrap();
        let sides = splits.iter().map(|split| {
            let val = split["val"].as_array().unwrap();
            ["0-00", "0-01"].map(|id| val.iter().any(|found| found == id))
        });
        assert!(sides.into_iter().all(|[a, b]| a == b));
    }
}

#[test]
fn bad_slices_are_refused() {
    let mut two_labels = balanced(3);
    two_labels[1].1 = 1;
    Study::of(&two_labels).fails(&[], 4, &["patient \"0-00\" has two labels", "0 (common_pneumonia)", "1 (covid19)"]);
    let mut shared = balanced(3);
    shared[2].2 = shared[0].2.clone();
    Study::of(&shared).fails(&[], 5, &["audit failed: images with two labels (1): 0-00/0000 (label 0) = 1-00/0002"]);
    Study::of(&balanced(3)).fails(
        &["dataset.folds=4"],
        4,
        &["class \"common_pneumonia\" has 3 patients, fewer than the 4"],
    );
    Study::of(&balanced(3)).fails(&["classes=[a, b, c]"], 4, &["class \"c\" has 0 patients"]);
    Study::of(&[]).fails(&[], 4, &["no slices"]);
}

#[test]
fn bad_files_are_refused() {
    let study = Study::of(&balanced(3));
    let slices = study.path("data/s/1_masks/slices.parquet");
    let whole = std::fs::read(&slices).unwrap();
    std::fs::write(&slices, &whole[..whole.len() / 2]).unwrap();
    study.fails(&[], 4, &["slices.parquet is not a readable Parquet file"]);
    std::fs::remove_file(&slices).unwrap();
    study.fails(&[], 4, &["slices.parquet", "run the stages before this one"]);
    study.fails(&["dataset.fold=3"], 3, &["did you mean dataset.folds?"]);
}

/// The public COVID-CT set by its table alone: 1 to 16 slices a patient.
#[test]
fn covid_ct_divides_evenly_and_its_official_split_is_clean() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set: not run");
        return;
    };
    let manifest = Path::new(&shared).join("data/covid-ct/slices.csv");
    let options = CsvReadOptions::default().with_infer_schema_length(Some(0));
    let table = options.try_into_reader_with_file_path(Some(manifest.clone())).unwrap().finish().unwrap();
    let text = |name: &str| -> Vec<String> {
        table.column(name).unwrap().str().unwrap().iter().map(|value| value.unwrap().to_owned()).collect()
    };
    let label = text("label").into_iter().map(|label| label.parse().unwrap());
    let rows = text("patient_id").into_iter().zip(label).zip(text("sha256"));
    let slices: Vec<Slice> = rows.map(|((patient, label), image)| (patient, label, image)).collect();
    assert_eq!(slices.len(), 746);
    let study = Study::with_sources(&slices, &text("path"));

    let (code, out, err) = study.run(&[]);
    assert_eq!(code, Some(0), "{err}");
    println!("{out}");
    let numbers = |class: &str, at: usize| -> Vec<i32> {
        let lines = out.lines().filter(|line| line.contains(class));
        lines.map(|line| line.split_whitespace().nth(at).unwrap().parse().unwrap()).collect()
    };
    for class in ["common_pneumonia", "covid19"] {
        let spread =
            |at: usize| numbers(class, at).into_iter().max().unwrap() - numbers(class, at).into_iter().min().unwrap();
        assert!(spread(2) <= 1, "{out}");
        assert!(spread(3) <= 8, "{out}");
    }
    // Counted in slices.csv with Python: patients, then slices, of each class.
    assert_eq!(
        [2, 3].map(|at| (numbers("common", at).iter().sum(), numbers("covid", at).iter().sum())),
        [(171, 213), (397, 349)]
    );

    let manifest = format!("preprocess.manifest={}", manifest.display());
    let (code, out, err) = study.run(&[&manifest, "dataset.split_column=official_split"]);
    assert_eq!(code, Some(0), "{err}");
    // The set's own numbers: 203 test slices, and 425 + 118 others.
    println!("{out}");
    let sum = |fold: &str| -> i32 {
        let lines = out.lines().filter(|line| line.starts_with(fold));
        lines.map(|line| line.split_whitespace().last().unwrap().parse::<i32>().unwrap()).sum()
    };
    assert_eq!((sum("0 (test)"), sum("1 (train)")), (203, 543));
}
