use super::known::Kind;
use super::*;
use crate::id::Key;

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("splits_final.json");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Patients a, b, c of class 0 and x, y, z of class 1, without a key.
fn known() -> Known<'static> {
    let mut known = Known::new("labels.csv", None);
    for (at, id) in ["a", "b", "c", "x", "y", "z"].into_iter().enumerate() {
        known.add(id, at / 3, format!("row {}", at + 2));
    }
    known
}

fn resolved(text: &str, known: &Known, unknown: Unknown) -> Result<Resolved, SplitsError> {
    let (_folder, path) = written(text.as_bytes());
    Splits::read(&path)?.resolve(known, &["none".to_owned(), "covid".to_owned()], unknown)
}

/// Folds of `val` lists; train is the rest.
fn folds(val: &[&[&str]]) -> String {
    let entry = |at: usize| {
        let train: Vec<&str> =
            val.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, ids)| *ids).copied().collect();
        serde_json::json!({ "train": train, "val": val[at] })
    };
    serde_json::Value::from((0..val.len()).map(entry).collect::<Vec<_>>()).to_string()
}

#[test]
fn val_lists_are_folds() {
    let text = folds(&[&["a", "x"], &["c", "y"], &["b", "z"]]);
    let found = resolved(&text, &known(), Unknown::Refuse).unwrap();
    assert_eq!(found.fold_of.into_values().collect::<Vec<_>>(), [0, 2, 1, 0, 1, 2]);
    assert_eq!((found.kind, found.unknown), (Kind::Own, vec![]));
}

#[test]
fn one_fold_holds_out_once_with_and_without_a_list_around_it() {
    let one = r#"{"train": ["c", "b", "y", "z"], "val": ["a", "x"]}"#;
    for text in [one.to_owned(), format!("[{one}]")] {
        let found = resolved(&text, &known(), Unknown::Refuse).unwrap();
        assert_eq!(found.fold_of.into_values().collect::<Vec<_>>(), [0, 1, 1, 0, 1, 1]);
    }
}

#[test]
fn marks_of_the_encoding_and_blanks_are_read() {
    let text = folds(&[&[" a", "x ", "b"], &["c", "y", "z"]]);
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_folder, plain) = written(text.as_bytes());
    let expected = Splits::read(&plain).unwrap();
    for bytes in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), [&[0xff, 0xfe], units.as_slice()].concat()] {
        let (_folder, path) = written(&bytes);
        assert_eq!(Splits::read(&path).unwrap().ids, expected.ids);
    }
}

#[test]
fn files_of_another_form_are_refused_without_their_ids() {
    let cases: [(&[u8], &str); 19] = [
        (b"", "the file is empty"),
        (b"{}", "got an object"),
        (b"[]", "got an empty list"),
        (b"\"MRN-1\"", "got a text"),
        (b"[{\"train\": [\"MRN-1\"], \"val\": [\"MRN-2\"]}", "not JSON: EOF"),
        (b"[[\"MRN-1\"], [\"MRN-2\"]]", "fold 0 is a list"),
        (b"[{\"train\": [\"MRN-1\"]}]", "fold 0 has no patients in \"val\""),
        (b"[{\"train\": [], \"val\": [\"MRN-2\"]}]", "fold 0 has no patients in \"train\""),
        (b"[{\"train\": \"MRN-1\", \"val\": [\"MRN-2\"]}]", "\"train\" is a text; expected a list"),
        (b"[{\"train\": [\"MRN-1\"], \"val\": [\"MRN-2\", \" \"]}]", "entry 2 of val of fold 0 is empty"),
        (b"[{\"train\": [null], \"val\": [\"MRN-2\"]}]", "entry 1 of train of fold 0 is null"),
        (b"[{\"train\": [7.0], \"val\": [\"MRN-2\"]}]", "is a number with a fraction"),
        (b"[{\"train\": [true], \"val\": [\"MRN-2\"]}]", "is true or false"),
        (b"[{\"train\": [[\"MRN-1\"]], \"val\": [\"MRN-2\"]}]", "is a list; expected a patient id"),
        (b"[{\"train\": [\"MRN-1\"], \"val\": [\"MRN-2\"], \"train\": [\"MRN-3\"]}]", "fold 0 has \"train\" twice"),
        (b"[{\"train\": [\"MRN-1\"], \"val\": [\"MRN-2\"], \"test\": [\"MRN-3\"]}]", "fold 0 has a list \"test\""),
        (b"[{\"train\": [\"MRN-1\"], \"val\": [\"MRN-2\"], \"MRN-3\": 1}]", "key 3 of fold 0, a number as value"),
        (b"\x80\x04\x95MRN-1", "a Python pickle"),
        (b"\x1f\x8b\x08MRN-1", "unpack it with gunzip"),
    ];
    for (bytes, part) in cases {
        let (_folder, path) = written(bytes);
        let error = Splits::read(&path).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("MRN"), "{part}: {text}");
        assert_eq!(error.exit, Exit::Input, "{text}");
    }
    let error = Splits::read(Path::new("no/such.json")).unwrap_err().to_string();
    assert!(error.contains("set dataset.splits to"), "{error}");
    let (folder, path) = written(b"[]");
    let pickle = folder.path().join("splits_final.pkl");
    std::fs::rename(path, &pickle).unwrap();
    let renamed = folder.path().join("it's folds.pkl");
    std::fs::rename(pickle, &renamed).unwrap();
    for (expected, there) in [("it's folds.json", None), ("it's folds.2.json", Some("it's folds.json"))] {
        there.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        let text = Splits::read(&renamed).unwrap_err().to_string();
        assert!(text.contains("python3 -c") && text.contains("/it'\\''s folds.pkl' "), "{text}");
        let set = format!("and set dataset.splits to {}", folder.path().join(expected).display());
        assert!(text.ends_with(&set), "{text}");
    }
}

#[test]
fn faults_of_the_folds_are_named_by_their_places() {
    let cases = [
        // a in both, c nowhere.
        (
            r#"[{"train":["a","b","y","z"],"val":["x","a"]}]"#,
            Exit::Audit,
            "train and val of fold 0 (1): entry 1 of train = entry 2 of val",
        ),
        (r#"[{"train":["a","b","y","z"],"val":["x","a"]}]"#, Exit::Audit, "that no fold names (1): row 4;"),
        (
            r#"[{"train":["c","z"],"val":["a","b","x","y"]},{"train":["a","x"],"val":["z","c","b","y"]}]"#,
            Exit::Audit,
            "held out more than once (2): entry 2 of val of fold 0 = entry 3 of val of fold 1, entry 4 of val of fold 0",
        ),
        (
            r#"[{"train":["b","c","y","z"],"val":["a","x"]},{"train":["a","b","x","y","z"],"val":["c"]}]"#,
            Exit::Input,
            "no fold holds out (3): row 3, row 6, row 7;",
        ),
        (
            r#"[{"train":["c","z"],"val":["a","b","x","y"]},{"train":["a","y","x"],"val":["z","c"]}]"#,
            Exit::Input,
            "neither train nor val of fold 1 (1): row 3;",
        ),
        (
            r#"[{"train":["b","c","y","z"],"val":["a","x","a"]}]"#,
            Exit::Input,
            "twice in a list (1): entry 3 of val of fold 0",
        ),
        (
            r#"[{"train":["x","y","z"],"val":["a","b","c"]}]"#,
            Exit::Audit,
            "none in the training side of fold 0, covid in the test side of fold 0;",
        ),
        (
            r#"[{"train":["b","c","y","z","q"],"val":["a","x"]}]"#,
            Exit::Input,
            "no patient of labels.csv (1): entry 5 of train of fold 0",
        ),
        (
            r#"[{"train":["B","c","y","z"],"val":["a","x"]}]"#,
            Exit::Input,
            "entry 1 of train of fold 0 differs from an id of labels.csv in case",
        ),
        (r#"[{"train":["P-1"],"val":["P-2"]}]"#, Exit::Input, "none of its 2 entries is a patient of labels.csv"),
        (
            r#"[{"train":["0123456789ab"],"val":["ba9876543210"]}]"#,
            Exit::Input,
            "look like pseudonyms of another study",
        ),
    ];
    for (text, exit, part) in cases {
        let error = resolved(text, &known(), Unknown::Refuse).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert_eq!(error.exit, exit, "{error}");
    }
}

#[test]
fn numbers_are_ids_unless_zeros_are_gone() {
    let mut plain = Known::new("labels.csv", None);
    let mut padded = Known::new("labels.csv", None);
    for number in 6..10 {
        plain.add(&number.to_string(), number % 2, String::new());
        padded.add(&format!("{number:04}"), number % 2, String::new());
    }
    let text = r#"[{"train": [6, 7], "val": [8, 9]}, {"train": [8, 9], "val": [6, 7]}]"#;
    assert_eq!(resolved(text, &plain, Unknown::Refuse).unwrap().fold_of["7"], 1);
    let error = resolved(text, &padded, Unknown::Refuse).unwrap_err().to_string();
    assert!(
        error.contains("entry 1 of train of fold 0 differs from an id of labels.csv in leading zeros only"),
        "{error}"
    );
    let text = folds(&[&["0006", "0007"], &["0008", "0009"]]);
    assert!(resolved(&text, &padded, Unknown::Refuse).is_ok());
    assert!(resolved(&text, &plain, Unknown::Refuse).unwrap_err().to_string().contains("leading zeros"));
}

#[test]
fn own_ids_and_scans_become_the_pseudonyms_of_the_key() {
    let (_folder, path) = written("ab".repeat(32).as_bytes());
    let key = Key::load(&path).unwrap();
    let mut known = Known::new("table.csv", Some(&key));
    for patient in 1..5_usize {
        let id = key.patient(&format!("MRN-{patient}"));
        known.add(&id, patient % 2, id.clone());
        // The manifest's files, one with the id in its name, which the outputs hide.
        known.add_file(&format!("ct/scan{patient}0.nii.gz"), &id);
        known.add_file(&format!("ct/{id}_b_0000.nii.gz"), &id);
    }
    let of = |own: [&[&str]; 2]| resolved(&folds(&own), &known, Unknown::Refuse).unwrap();
    let own = of([&["MRN-1", "MRN-2"], &["MRN-3", "MRN-4"]]);
    let ids = [1, 2, 3, 4].map(|patient| key.patient(&format!("MRN-{patient}")));
    let output = of([&[&ids[0], &ids[1]], &[&ids[2], &ids[3]]]);
    let marks = of([&["MRN-1_0", "MRN-2_0", "MRN-1_1"], &["MRN-3_0", "MRN-4_0", "MRN-4_1_0000"]]);
    let files = of([&["scan10", "MRN-2_b", "scan20"], &["scan30.nii.gz", "MRN-4_b_0000"]]);
    assert_eq!([own.kind, output.kind, marks.kind, files.kind], [Kind::Own, Kind::Output, Kind::Scan, Kind::File]);
    for other in [output, marks, files] {
        assert_eq!(own.fold_of, other.fold_of);
    }
    // Scans of one patient on both sides.
    let text = r#"[{"train": ["MRN-1_0", "MRN-2_0"], "val": ["MRN-1_1", "MRN-3_0", "MRN-4_0"]}]"#;
    let error = resolved(text, &known, Unknown::Refuse).unwrap_err();
    assert!(error.to_string().contains("entry 1 of train = entry 1 of val"), "{error}");
}

#[test]
fn a_scan_of_two_patients_is_refused() {
    let mut known = Known::new("table.csv", None);
    for (at, id) in ["P1", "P1_0", "P2", "P3"].into_iter().enumerate() {
        known.add(id, at / 2, String::new());
    }
    let error = resolved(&folds(&[&["P1_0_0", "P2_0"], &["P1_1", "P3_0"]]), &known, Unknown::Refuse).unwrap_err();
    assert!(error.to_string().contains("scans that may be of two patients of table.csv (2)"), "{error}");
    // By ids the same names are clear.
    assert!(resolved(&folds(&[&["P1_0", "P2"], &["P1", "P3"]]), &known, Unknown::Refuse).is_ok());
}

#[test]
fn names_that_are_patients_and_files_of_others_are_refused() {
    let mut known = Known::new("table.csv", None);
    let (_folder, path) = written("cd".repeat(32).as_bytes());
    let key = Key::load(&path).unwrap();
    let mut keyed = Known::new("table.csv", Some(&key));
    for (id, file) in [("1", "2.png"), ("2", "1.png"), ("3", "4.png"), ("4", "3.png")] {
        for (known, patient) in [(&mut known, id.to_owned()), (&mut keyed, key.patient(id))] {
            known.add(&patient, usize::from(id > "2"), String::new());
            known.add_file(file, &patient);
        }
    }
    let text = folds(&[&["1", "3"], &["2", "4"]]);
    for known in [&known, &keyed] {
        let error = resolved(&text, known, Unknown::Refuse).unwrap_err().to_string();
        assert!(error.contains("not clear who is meant"), "{error}");
    }
}

#[test]
fn patients_of_whom_nothing_is_left_are_counted() {
    let text = folds(&[&["a", "x", "gone"], &["c", "y"], &["b", "z"]]);
    let found = resolved(&text, &known(), Unknown::Count).unwrap();
    let places: Vec<String> = found.unknown.iter().map(Place::to_string).collect();
    assert_eq!(places, ["entry 3 of val of fold 0", "entry 3 of train of fold 1", "entry 3 of train of fold 2"]);
    assert_eq!(found.fold_of.len(), 6);
    // But somebody who is there and not named is an error.
    let text = folds(&[&["a", "x", "gone"], &["c", "y"], &["b", "zz"]]);
    let error = resolved(&text, &known(), Unknown::Count).unwrap_err().to_string();
    assert!(error.contains("no fold names (1): row 7"), "{error}");
}

#[test]
fn patients_without_ct_need_no_fold_and_fill_none() {
    let mut known = known();
    known.needs_only(|id| id != "c");
    let text = folds(&[&["a", "x"], &["b", "y", "z"]]);
    assert!(resolved(&text, &known, Unknown::Refuse).is_ok());
    assert!(resolved(&folds(&[&["a", "x"], &["b", "y", "z", "c"]]), &known, Unknown::Refuse).is_ok());
    let error = resolved(&folds(&[&["c", "x"], &["a", "b", "y", "z"]]), &known, Unknown::Refuse).unwrap_err();
    assert!(error.to_string().contains("none in the test side of fold 0"), "{error}");
}
