//! The stage through the real program, with a stand-in model, on DICOM and images made on the spot.

mod support;

use std::path::Path;

use arrow::datatypes::{Float32Type, Int32Type};
use contract::schema::{self, column, metadata};
use contract::table::{self, TableReader};
use image::DynamicImage;
use support::{Slice, Study, truncate};

/// Two patients, three slices each; files named against their order; one without HighBit.
fn two_patients(study: &Study) {
    for (patient, series) in [("B", "1.2.1"), ("A", "1.2.2")] {
        for (index, z) in [10.0, 0.0, 5.0].into_iter().enumerate() {
            let mut slice = Slice::new(patient, series, index as u32, z);
            slice.high_bit = index != 1;
            slice.write(&study.path(&format!("data/t/0_raw/{patient}/s/{index}.dcm")));
        }
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label,site\nA,0,x\nB,1,x\nC,1,x\n");
}

struct Read {
    ids: Vec<String>,
    sources: Vec<String>,
    z: Vec<Option<f32>>,
    labels: Vec<Option<i32>>,
    fractions: Vec<Option<f32>>,
    images: Vec<Vec<u8>>,
    masks: Vec<Vec<u8>>,
    window: Option<String>,
}

fn read(study: &Study) -> Read {
    let reader = TableReader::open(&study.path("data/t/1_masks/slices.parquet"), &schema::slices()).expect("a table");
    let window = reader.metadata(metadata::WINDOW_HU);
    let batches: Vec<_> = reader.batches(1000).expect("batches").collect::<Result<_, _>>().expect("a whole table");
    let text = |name: &str| batches.iter().flat_map(|batch| table::text(batch, name)).map(str::to_owned).collect();
    let bytes = |name: &str| batches.iter().flat_map(|batch| table::binary(batch, name)).map(<[u8]>::to_vec).collect();
    Read {
        ids: text(column::SLICE_ID),
        sources: text(column::SOURCE),
        z: batches.iter().flat_map(|batch| table::numbers::<Float32Type>(batch, column::Z_MM)).collect(),
        labels: batches.iter().flat_map(|batch| table::numbers::<Int32Type>(batch, column::LABEL)).collect(),
        fractions: batches
            .iter()
            .flat_map(|batch| table::numbers::<Float32Type>(batch, column::LUNG_FRACTION))
            .collect(),
        images: bytes(column::IMAGE),
        masks: bytes(column::MASK),
        window,
    }
}

fn count(mask: &[u8], label: u8) -> usize {
    mask.iter().filter(|value| **value == label).count()
}

#[test]
fn dicom_series_become_sorted_slices() {
    let study = Study::new();
    two_patients(&study);
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("1 common, 1 covid") && outcome.stdout.contains("6 read, 6 written"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stderr.contains("labelled patients without a CT that can be used: no_ct: 1 (C)"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stdout.contains("lost         no_ct: 1 (C) (qa.csv)"), "{}", outcome.stdout);
    let quality = std::fs::read_to_string(study.path("data/t/1_masks/qa.csv")).expect("a table");
    assert!(
        quality.lines().last().is_some_and(|row| row.starts_with("C,,1,0,0,,,") && row.ends_with(",no_ct")),
        "{quality}"
    );
    let rows = read(&study);
    assert!(rows.ids.is_sorted() && rows.ids[0].starts_with("A/") && rows.ids[0].ends_with("/0000"));
    assert_eq!(rows.z, [0.0, 5.0, 10.0, 0.0, 5.0, 10.0].map(Some));
    assert_eq!(rows.sources[..3], ["A/s/1.dcm", "A/s/2.dcm", "A/s/0.dcm"]);
    assert_eq!(rows.labels, [0, 0, 0, 1, 1, 1].map(Some));
    assert_eq!(rows.window.as_deref(), Some("[-1350.0,150.0]"));
    // The bars that make a square are black. The slice's first pixel in the picture is the mean of one pixel of padding,
    // clamped to -1024 HU, and three of air at -1000 HU: (55.42 + 3 * 59.5) / 4 in the window.
    assert_eq!((rows.images[0].len(), rows.images[0][0], rows.images[0][8 * 64]), (64 * 64, 0, 58));
    // Ellipses of 0.13 x 0.2 and 0.09 x 0.2 of the sides: pi a b = 0.138 of the slice.
    let expected = std::f32::consts::PI * 0.2 * (0.13 + 0.09);
    assert!(rows.fractions.iter().flatten().all(|fraction| (fraction - expected).abs() < 0.01), "{:?}", rows.fractions);
    // The wider lung, on the picture's left, is the right one.
    let (right, left) = (count(&rows.masks[0], 1), count(&rows.masks[0], 2));
    assert!(right > left && left > 150, "{right} {left}");
    assert_eq!((rows.masks[0][32 * 64 + 20], rows.masks[0][32 * 64 + 43]), (1, 2));
}

#[test]
fn the_same_input_gives_the_same_bytes_and_no_second_run() {
    let study = Study::new();
    two_patients(&study);
    let files = ["slices.parquet", "excluded.csv", "qa.csv"];
    let bytes = || files.map(|file| std::fs::read(study.path("data/t/1_masks").join(file)).expect("an output"));
    assert_eq!(study.run(&[]).code, 0);
    let first = bytes();
    assert!(study.run(&[]).stderr.contains("up to date"));
    let again = study.run(&["--force", "--set", "preprocess.threads=2"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(first[1..], bytes()[1..]);
    assert_eq!(study.run(&["--force"]).code, 0);
    assert_eq!(first, bytes());
}

#[test]
fn what_is_left_out_is_listed_with_its_reason() {
    let study = Study::new();
    two_patients(&study);
    let mut slice = Slice::new("A", "1.2.2", 7, 20.0);
    slice.hu = support::chest(96, 128, true);
    slice.write(&study.path("data/t/0_raw/A/s/7.dcm"));
    let mut localizer = Slice::new("A", "1.2.9", 1, 0.0);
    localizer.image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
    localizer.write(&study.path("data/t/0_raw/A/loc/1.dcm"));
    let mut reformat = Slice::new("A", "1.2.8", 1, 0.0);
    reformat.image_type = "DERIVED\\SECONDARY\\MPR";
    reformat.write(&study.path("data/t/0_raw/A/mpr/1.dcm"));
    let mut report = Slice::new("A", "1.2.7", 1, 0.0);
    report.modality = "SR";
    report.write(&study.path("data/t/0_raw/A/sr/1"));
    std::fs::copy(study.path("data/t/0_raw/A/s/0.dcm"), study.path("data/t/0_raw/A/s/copy.dcm")).expect("a copy");
    study.text("data/t/0_raw/readme.txt", "not a DICOM file");
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let excluded = std::fs::read_to_string(study.path("data/t/1_masks/excluded.csv")).expect("a list");
    let lines: Vec<&str> = excluded.lines().collect();
    assert_eq!(lines[0], "slice_id,patient_id,source,lung_fraction,reason");
    assert_eq!(
        lines[1..6],
        [
            ",C,,,no_ct",
            ",A,A/loc/1.dcm,,localizer",
            ",A,A/mpr/1.dcm,,derived",
            ",A,A/s/copy.dcm,,duplicate",
            ",A,A/sr/1,,not_ct"
        ]
    );
    assert!(lines[6].starts_with("A/") && lines[6].ends_with("/0003,A,A/s/7.dcm,0,empty_mask"), "{}", lines[6]);
    assert_eq!(lines.len(), 7);
}

#[test]
fn keyed_outputs_do_not_spell_raw_ids() {
    let study = Study::new().set("pseudonyms", "keyed");
    for (patient, series) in [("PATIENT-77", "1.2.1"), ("PATIENT-78", "1.2.2")] {
        Slice::new(patient, series, 1, 0.0).write(&study.path(&format!("data/t/0_raw/{patient}/{patient}_1.dcm")));
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nPATIENT-77,0\nPATIENT-78,1\n");
    assert_eq!(study.run(&[]).code, 0);
    let rows = read(&study);
    assert!(rows.ids.iter().chain(&rows.sources).all(|text| !text.contains("PATIENT")), "{:?}", rows.sources);
    let raw = |file: &str| {
        String::from_utf8_lossy(&std::fs::read(study.path("data/t/1_masks").join(file)).expect("read"))
            .contains("PATIENT")
    };
    assert!(!["slices.parquet", "qa.csv", "excluded.csv", "receipt.yaml"].into_iter().any(raw));
}

/// Writes the same chest as an image of each kind and returns the manifest's rows.
fn images(study: &Study) -> String {
    let hu = support::chest(96, 128, false);
    let grey = image::GrayImage::from_fn(128, 96, |x, y| {
        image::Luma([((hu[(y as usize, x as usize)] + 1350.0) / 1500.0 * 255.0).round() as u8])
    });
    let grey = DynamicImage::ImageLuma8(grey);
    let kinds: [(&str, DynamicImage); 5] = [
        ("grey.png", grey.clone()),
        ("rgb 89%2.png", DynamicImage::ImageRgb8(grey.to_rgb8())),
        ("rgba-肺.png", DynamicImage::ImageRgba8(grey.to_rgba8())),
        ("deep.png", DynamicImage::ImageLuma16(grey.to_luma16())),
        ("photo.jpeg", DynamicImage::ImageLuma8(grey.to_luma8())),
    ];
    let mut manifest = "path,patient_id,label,note\n".to_owned();
    std::fs::create_dir_all(study.path("set")).expect("a folder");
    for (index, (name, image)) in kinds.iter().enumerate() {
        image.save(study.path("set").join(name)).expect("an image");
        manifest.push_str(&format!("{name},p{index},{},\n", if index % 2 == 0 { "0" } else { "covid" }));
    }
    manifest
}

fn image_study() -> (Study, String) {
    let study = Study::new();
    let manifest = images(&study);
    let path = study.path("set/m.csv");
    (study.set("manifest", path.display()), manifest)
}

#[test]
fn images_of_all_kinds_give_the_same_masks() {
    let (study, manifest) = image_study();
    study.text("set/m.csv", &manifest);
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let rows = read(&study);
    assert_eq!(rows.sources, ["grey.png", "rgb 89%2.png", "rgba-肺.png", "deep.png", "photo.jpeg"]);
    assert_eq!(rows.labels, [0, 1, 0, 1, 0].map(Some));
    assert_eq!(rows.z, [None; 5]);
    let reference = rows.masks[0].clone();
    for mask in &rows.masks[1..4] {
        assert_eq!(*mask, reference);
    }
    // JPEG blurs edges.
    let differing = rows.masks[4].iter().zip(&reference).filter(|(a, b)| a != b).count();
    assert!(count(&reference, 1) > 200 && differing < 50, "{differing}");
}

/// The labels of `slices.parquet` by source.
fn labels_by_source(study: &Study) -> Vec<(String, Option<i32>)> {
    let reader = TableReader::open(&study.path("data/t/1_masks/slices.parquet"), &schema::slices()).expect("a table");
    let mut found = Vec::new();
    for batch in reader.batches(100).expect("batches") {
        let batch = batch.expect("a batch");
        let sources = table::text(&batch, column::SOURCE).map(str::to_owned);
        found.extend(sources.zip(table::numbers::<Int32Type>(&batch, column::LABEL)));
    }
    found.sort();
    found
}

#[test]
fn manifests_of_other_programs_give_the_same_labels() {
    let plain = "path,patient_id,label\ngrey.png,a,0\ndeep.png,b,1\n";
    let expected = [("deep.png", 1), ("grey.png", 0)].map(|(source, label)| (source.to_owned(), Some(label)));
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(plain.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for manifest in [
        plain.as_bytes().to_vec(),
        plain.replace(',', ";").replace('\n', "\r\n").into_bytes(),
        plain.replace(',', "\t").into_bytes(),
        plain.replace("path,patient_id,label", "\u{feff}Path,Patient ID,LABEL").into_bytes(),
        plain.replace(",0\n", ",0.0\n").replace(",1\n", ",COVID\n").into_bytes(),
        utf16,
    ] {
        let (study, _) = image_study();
        std::fs::write(study.path("set/m.csv"), &manifest).expect("a manifest");
        let outcome = study.run(&[]);
        assert_eq!(outcome.code, 0, "{}: {}", String::from_utf8_lossy(&manifest), outcome.stderr);
        assert_eq!(labels_by_source(&study), expected, "{}", String::from_utf8_lossy(&manifest));
    }
}

#[test]
fn classes_called_by_numbers_are_names_and_alike_ids_are_told_by_line() {
    let (study, _) = image_study();
    study.text("set/m.csv", "path,patient_id,label\ngrey.png,P07,1\ndeep.png,p7,0\n");
    let outcome = study.run(&["--set", "classes=[\"1\", \"0\"]"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(labels_by_source(&study), [("deep.png".to_owned(), Some(1)), ("grey.png".to_owned(), Some(0))]);
    let told = "differ only by zeros, case or blanks (line 2 and line 3)";
    assert!(outcome.stderr.contains(told) && !outcome.stderr.contains("P07"), "{}", outcome.stderr);
    study.text("set/m.csv", "path,patient_id,label\ngrey.png,a,2\ndeep.png,b,healthy\n");
    let outcome = study.run(&["--set", "classes=[healthy, \"2\", \"1\"]"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("label \"2\" is the name of one class and the index of another"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn bad_manifests_are_refused() {
    let cases: [(&str, &[&str]); 13] = [
        ("path,label\ngrey.png,0\n", &["m.csv, line 1", "\"patient_id\" is missing (found: path, label)"]),
        ("path,patient_id,label\n", &["m.csv", "has no rows"]),
        ("path,patient_id,label\ngrey.png,,0\n", &["line 2", "\"patient_id\": expected an id in every row, got none"]),
        ("path,patient_id,label\ngrey.png,a,0\ndeep.png,nan,1\n", &["line 3", "\"nan\", which stands for none"]),
        ("path,patient_id,label\ngrey.png,a,\n", &["line 2", "column \"label\": expected a value in every row"]),
        ("path,patient_id,label\ngrey.png,a,NA\n", &["line 2", "label \"NA\" is a missing value"]),
        ("path,patient_id,label\n.\\grey.png,a,0\n", &["line 2", "write paths with / and not \\"]),
        ("path,patient_id,label\ngrey.png,a,0\n./grey.png,a,0\n", &["line 3", "line 2 already"]),
        ("path,patient_id,label\ngrey.png,a,0\ngone.png,b,1\n", &["line 3", "its file is not there"]),
        (
            "path,patient_id,label\ngrey.png,a,0\ndeep.png,a,1\n",
            &["line 3", "its patient is 1 covid here", "one label"],
        ),
        ("path,patient_id,label\ngrey.png,a,flu\n", &["line 2", "\"flu\" is not a class", "0 common, 1 covid"]),
        ("path,patient_id,label\ngrey.png,a,0\ngrey.png,a,0\n", &["line 3", "line 2 already"]),
        ("path,patient_id,label\ntext.png,a,0\n", &["line 2", "its file: not a readable PNG or JPEG"]),
    ];
    let (study, _) = image_study();
    study.text("set/text.png", "no image");
    for (manifest, texts) in cases {
        study.text("set/m.csv", manifest);
        study.fails(4, texts);
    }
    let cut = study.path("set/deep.png");
    truncate(&cut, 200);
    study.text("set/m.csv", "path,patient_id,label\ndeep.png,a,0\n");
    study.fails(4, &["line 2", "its file"]);
}

#[test]
fn bad_dicom_folders_are_refused() {
    let study = Study::new();
    two_patients(&study);
    let path = study.path("data/t/0_raw/A/s/2.dcm");
    let whole = std::fs::read(&path).expect("a slice");
    for bytes in [0, 100, 300, whole.len() / 2, whole.len() - 2] {
        truncate(&path, bytes);
        study.fails(4, &["2.dcm"]);
        std::fs::write(&path, &whole).expect("the slice again");
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    study.fails(4, &["1 of 2 patients of the CT have no label", "labels.csv: B;", "preprocess.unlabelled: skip"]);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,1\nA,1\n");
    study.fails(4, &["labels.csv, line 4", "one label"]);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,2\n");
    study.fails(4, &["line 3", "\"2\" is not a class"]);
}

#[test]
fn a_folder_without_ct_says_what_it_holds() {
    let study = Study::new();
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    study.fails(4, &["no CT slices", "1 files that are not DICOM"]);
    let mut slice = Slice::new("A", "1.2.1", 1, 0.0);
    slice.modality = "MR";
    slice.write(&study.path("data/t/0_raw/A/1.dcm"));
    study.fails(4, &["1 DICOM files skipped as not_ct"]);
    let study = Study::new();
    study.fails(4, &["0_raw", "preprocess.input"]);
}

#[test]
fn bad_models_are_refused() {
    let study = Study::new();
    two_patients(&study);
    let gone = study.path("gone.pt").display().to_string();
    let study = study.set("model", gone);
    study.fails(6, &["gone.pt"]);
    let text = study.text("text.pt", "these are no weights").display().to_string();
    let study = study.set("model", text);
    study.fails(6, &["text.pt", "expected TorchScript"]);
    let (path, sha256) = (study.model.path.display().to_string(), study.model.sha256.clone());
    let study = study.set("model", path).set("model_sha256", "null");
    study.fails(6, &["preprocess.model_sha256", &sha256]);
    let other = support::other_model(study.folder.path());
    let study = study.set("model", other.path.display()).set("model_sha256", other.sha256);
    study.fails(6, &["shape", "it is no lung model"]);
}

#[test]
fn a_study_without_lungs_fails_the_audit() {
    let study = Study::new();
    let mut slice = Slice::new("A", "1.2.1", 1, 0.0);
    slice.hu = support::without_lungs();
    slice.write(&study.path("data/t/0_raw/A/1.dcm"));
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    study.fails(5, &["nothing left of 1 slices", "empty in 1"]);
    // Beside a series with lungs it is the one series that is wrong.
    Slice::new("B", "1.2.2", 1, 0.0).write(&study.path("data/t/0_raw/B/1.dcm"));
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,1\n");
    study.fails(5, &["1 series without any lung", "of patient A", "preprocess.allow_empty_series: true"]);
    let outcome = study.run(&["--set", "preprocess.allow_empty_series=true"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let quality = std::fs::read_to_string(study.path("data/t/1_masks/qa.csv")).expect("a table");
    let rows: Vec<Vec<&str>> = quality.lines().map(|line| line.split(',').collect()).collect();
    let known = ["patient_id", "series_id", "label", "slices", "kept", "right_ml", "left_ml", "empty_mask", "one_lung"];
    assert_eq!(rows[0][..9], known);
    // A voxel has 1.5 x 2 x 5 mm; the ellipses are pi a b of 128 x 96 pixels: 72.3 and 50.1 ml but for the pixels' corners.
    let ml = |column: usize| rows[2][column].parse::<f64>().expect("a volume");
    assert!(
        (rows[1][0], rows[1][4], rows[1][7]) == ("A", "0", "1")
            && (rows[2][0], rows[2][4], rows[2][7]) == ("B", "1", "0")
    );
    let ellipse = |width: f64| std::f64::consts::PI * width * 128.0 * 0.2 * 96.0 * 15.0 / 1000.0;
    assert!((ml(5) / ellipse(0.13) - 1.0).abs() < 0.02 && (ml(6) / ellipse(0.09) - 1.0).abs() < 0.02, "{quality}");
    assert!(study.path("data/t/1_masks/sheets/sheet-0001.png").is_file());
}

#[test]
fn real_images_run_if_they_are_here() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; real images are not tried");
        return;
    };
    let set = Path::new(&shared).join("data/covid-ct");
    let list = std::fs::read_to_string(set.join("slices.csv")).expect("the set's list");
    let mut rows = list.lines();
    let mut manifest = format!("{}\n", rows.next().unwrap_or_default());
    for row in rows.step_by(40) {
        let (path, rest) = row.split_once(',').expect("columns");
        manifest.push_str(&format!("{},{rest}\n", set.join(path).display()));
    }
    let study = Study::new();
    let path = study.text("set/m.csv", &manifest);
    let outcome = study.set("manifest", path.display()).run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    println!("{}", outcome.stdout);
}
