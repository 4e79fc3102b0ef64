//! `chumoku crate` over a study whose outputs are small but whose receipts are real.

mod kept;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use contract::table::TableReader;
use contract::{hash, schema};
use kept::{Study, USER, files};
use serde_json::Value;

#[test]
fn a_crate_holds_numbers_and_no_patients_and_no_names() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["crate", "study.yaml", "--out", "shared"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let held = files(&study.path("shared"));
    for name in [
        "ro-crate-metadata.json",
        "config.yaml",
        "left-out.csv",
        "1_masks/qa.csv",
        "1_masks/receipt.yaml",
        "2_folds/folds.parquet",
        "3_runs/proposed/fold-1/seed-0/predictions.parquet",
        "logs/dataset.log",
        "report/metrics.json",
        "report/figures/roc.svg",
    ] {
        assert!(held.contains_key(name), "{name} in {:?}", held.keys());
    }
    let left = String::from_utf8(held["left-out.csv"].clone()).unwrap();
    for name in [
        "1_masks/slices.parquet",
        "1_masks/lesions.parquet",
        "1_masks/sheets/sheet-0001.png",
        "report/report.html",
        "report/notes.bin",
        "report/figures/maps.svg",
        "report/told.csv",
        "3_runs/proposed/fold-1/seed-0/weights.safetensors",
        "3_runs/proposed/fold-1/seed-0/tb/events",
    ] {
        assert!(!held.contains_key(name) && left.contains(&format!("\"{name}\",")), "{name}");
    }
    let own = study.folder.path().to_string_lossy().into_owned();
    for (name, bytes) in &held {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(USER) && !text.contains(&own), "{name}: {text}");
    }
    let schema = schema::predictions();
    let table = study.path("shared/3_runs/proposed/fold-1/seed-0/predictions.parquet");
    let batch = TableReader::open(&table, &schema).unwrap().batches(8).unwrap().next().unwrap().unwrap();
    assert!(batch.column_by_name("attention").unwrap().is_null(0));
    assert_eq!(contract::table::float_lists(&batch, "prob"), [Some(vec![0.25, 0.75])]);
    assert_eq!(batch.column_by_name("attention_in_lung").unwrap().as_primitive::<Float32Type>().value(0), 0.5);
    check_graph(&serde_json::from_slice(&held["ro-crate-metadata.json"]).unwrap(), &held);
    let again = study.chumoku(&["crate", "study.yaml", "--out", "shared"]);
    assert!(again.0 == Some(0), "{again:?}");
    // By its content, whatever the time of a receipt says.
    let touched = std::fs::File::options().append(true).open(study.path("data/s/2_folds/receipt.yaml")).unwrap();
    touched.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(86_400)).unwrap();
    for _ in 0..2 {
        let dated = study.chumoku(&["crate", "study.yaml", "--out", "shared", "--date", "2024-02-29"]);
        assert_eq!(dated.0, Some(0), "{dated:?}");
    }
    let dated = files(&study.path("shared"));
    let differ: Vec<&String> = held.keys().filter(|name| held[*name] != dated[*name]).collect();
    assert_eq!(differ, ["ro-crate-metadata.json"], "the date alone");
    assert!(String::from_utf8_lossy(&dated["ro-crate-metadata.json"]).contains("\"datePublished\": \"2024-02-29\""));
}

/// Every reference leads somewhere, every file is described, every task has an action with its program.
fn check_graph(document: &Value, held: &BTreeMap<String, Vec<u8>>) {
    let graph = document["@graph"].as_array().unwrap();
    let known: BTreeMap<&str, &Value> = graph.iter().map(|entity| (entity["@id"].as_str().unwrap(), entity)).collect();
    assert_eq!(known.len(), graph.len(), "each entity once");
    let parts: Vec<&str> =
        known["./"]["hasPart"].as_array().unwrap().iter().map(|part| part["@id"].as_str().unwrap()).collect();
    for name in held.keys().filter(|name| *name != "ro-crate-metadata.json") {
        assert!(parts.contains(&name.as_str()), "{name}");
        assert_eq!(known[name.as_str()]["contentSize"], held[name].len().to_string());
        assert_eq!(known[name.as_str()]["identifier"], format!("blake3:{}", hash::bytes(&held[name])), "{name}");
    }
    let actions: Vec<&&Value> = known.values().filter(|entity| entity["@type"] == "CreateAction").collect();
    assert_eq!(actions.len(), 7);
    for action in actions {
        let lists = ["object", "result"].map(|key| action[key].as_array().unwrap().clone()).concat();
        for reference in lists.iter().chain([&action["instrument"]]) {
            assert!(known.contains_key(reference["@id"].as_str().unwrap()), "{reference} of {}", action["@id"]);
        }
        assert_eq!(known[action["instrument"]["@id"].as_str().unwrap()]["@type"], "SoftwareApplication");
    }
}

#[test]
fn a_crate_grows_by_what_is_asked_for_and_can_be_a_zip_file() {
    let study = Study::new();
    let all = ["--with-images", "--with-weights", "--with-attention"];
    let (code, _, err) = study.chumoku(&[&["crate", "study.yaml", "--out", "all.zip"], &all[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(!study.path("all").exists());
    // A file that is called so is a ZIP file, however it is written; the last one is made again over itself.
    for name in ["ALL.ZIP", "ALL.ZIP"] {
        study.chumoku(&[&["crate", "study.yaml", "--out", name], &all[..]].concat());
        assert_eq!(std::fs::read(study.path(name)).unwrap(), std::fs::read(study.path("all.zip")).unwrap());
    }
    study.chumoku(&[&["crate", "study.yaml", "--out", "all"], &all[..]].concat());
    let held = files(&study.path("all"));
    for name in ["1_masks/slices.parquet", "report/report.html", "3_runs/proposed/fold-1/seed-0/weights.safetensors"] {
        assert!(held.contains_key(name), "{name}");
    }
    let run = "3_runs/proposed/fold-1/seed-0/predictions.parquet";
    assert_eq!(held[run], std::fs::read(study.path("data/s").join(run)).unwrap());
    assert!(!held.contains_key("report/told.csv"), "who names a folder stays out");
    // Python's zipfile reads the archive and checks every sum.
    let script =
        "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.namelist()))";
    match Command::new("python3").args(["-c", script]).arg(study.path("all.zip")).output() {
        Ok(found) => assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), held.len().to_string(), "{found:?}"),
        Err(_) => eprintln!("skipped: no python3 to read the ZIP file"),
    }
}

#[test]
fn a_crate_is_refused_where_it_would_vouch_for_what_is_not_so() {
    let study = Study::new();
    std::fs::create_dir(study.path("mine")).unwrap();
    std::fs::write(study.path("mine/thesis.tex"), "mine").unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "mine"]);
    assert!(code == Some(2) && err.contains("is no crate") && study.path("mine/thesis.tex").exists(), "{err}");
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new", "--date", "2024-13-01"]);
    assert!(code == Some(2) && err.contains("--date expects a day"), "{err}");
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new", "--license", "MIT"]);
    assert!(code == Some(2) && err.contains("--license expects the URL"), "{err}");
    std::fs::write(study.path("data/s/1_masks/qa.csv"), "better").unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(code == Some(5) && err.contains("1_masks/qa.csv is not what its receipt says"), "{err}");
    std::fs::remove_dir_all(study.path("reports")).unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(
        code == Some(4) && err.contains("report: no output in reports/s yet); run `chumoku run study.yaml`"),
        "{err}"
    );
    assert!(!study.path("new").exists() && !study.has_left_overs());
}

#[test]
fn a_crate_is_of_the_settings_that_were_run_whoever_built_the_programs() {
    let study = Study::new();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new", "--set", "train.epochs=50"]);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("config train.epochs changed: 9 -> 50; ") && err.contains("; and "), "{err}");
    assert!(err.ends_with("run `chumoku run study.yaml --set train.epochs=50` first\n"), "{err}");
    std::fs::write(study.path("bin/chumoku-dataset"), "built anew").unwrap();
    let (code, out, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(
        code == Some(0) && out.contains("note: the study was run by other builds of chumoku-dataset;"),
        "{out}{err}"
    );
    std::fs::write(study.path("model.pt"), "another").unwrap();
    let (code, _, err) = study.chumoku(&["crate", "study.yaml", "--out", "new"]);
    assert!(code == Some(4) && err.contains("preprocess: input model (model.pt) changed"), "{err}");
}

#[test]
fn a_crate_replaces_crates_and_nothing_else() {
    let study = Study::new();
    let make = |out: &str| study.chumoku(&["crate", "study.yaml", "--out", out]);
    std::fs::create_dir(study.path("q.partial")).unwrap();
    std::fs::write(study.path("q.partial/mine"), "mine").unwrap();
    for out in ["q.zip", "q"] {
        assert_eq!(make(out).0, Some(0));
        assert_eq!(make(out).0, Some(0), "an earlier crate is replaced");
    }
    assert_eq!(std::fs::read_to_string(study.path("q.partial/mine")).unwrap(), "mine");
    std::fs::create_dir(study.path("q/.git")).unwrap();
    std::fs::write(study.path("q/.git/config"), "mine").unwrap();
    std::fs::write(study.path("q/my notes.txt"), "mine").unwrap();
    let (code, _, err) = make("q");
    assert!(code == Some(2) && err.contains("does not list: .git/config; my notes.txt; name a new folder"), "{err}");
    assert!(study.path("q/.git/config").exists() && study.path("q/my notes.txt").exists());
    let crate_of_another = r#"{"@graph":[{"@id":"./","name":"a workflow","hasPart":[]}]}"#;
    for (name, bytes) in
        [("junk.zip", b"junk".to_vec()), ("empty.zip", Vec::new()), ("other.zip", zipped(crate_of_another))]
    {
        std::fs::write(study.path(name), &bytes).unwrap();
        let (code, _, err) = make(name);
        assert!(code == Some(2) && err.contains("is there and is no crate of a study"), "{name}: {err}");
        assert_eq!(std::fs::read(study.path(name)).unwrap(), bytes);
    }
    std::os::unix::fs::symlink(study.path("q.zip"), study.path("link.zip")).unwrap();
    assert_eq!(make("link.zip").0, Some(2));
    assert!(!study.has_left_overs());
}

/// A ZIP file with this text as its metadata: the head of a file, its bytes, the directory, the end (APPNOTE 4.3). Nobody checks sums.
fn zipped(text: &str) -> Vec<u8> {
    let (name, size) = (b"ro-crate-metadata.json", (text.len() as u32).to_le_bytes());
    let both = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &size, &size, &[22, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04", &both[..], name, text.as_bytes()].concat();
    let central = [b"PK\x01\x02\x14\0", &both[..], &[0; 14], name].concat();
    let (length, at) = ((central.len() as u32).to_le_bytes(), (local.len() as u32).to_le_bytes());
    [&local[..], &central, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &at, &[0; 2]].concat()
}

#[test]
fn a_crate_is_valid_after_the_published_profiles() {
    let Ok(python) = std::env::var("CHUMOKU_CRATE_PYTHON") else {
        eprintln!("skipped: CHUMOKU_CRATE_PYTHON names no Python with tools/crate_requirements.txt; make test does");
        return;
    };
    let study = Study::new();
    study.chumoku(&[
        "crate",
        "study.yaml",
        "--out",
        "shared",
        "--license",
        "https://creativecommons.org/licenses/by/4.0/",
    ]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/check_crate.py");
    let found = Command::new(python).arg(script).arg(study.path("shared")).output().unwrap();
    let text = [found.stdout, found.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(found.status.success() && text.contains("7 actions"), "{text}");
}
