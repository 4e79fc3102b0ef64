//! Lesion masks through the real program: from the phantom's truth, from a file that the study names, and from neither.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::Schema;
use contract::Config;
use contract::schema::{self, column};
use contract::table::{TableReader, TableWriter, binary, text};
use support::{Outcome, Slice, Study};

fn batches(path: &Path, schema: &Schema) -> Vec<RecordBatch> {
    let reader = TableReader::open(path, schema).expect("a table");
    reader.batches(1000).expect("batches").collect::<Result<_, _>>().expect("a whole table")
}

/// Two columns of a table, by the first.
fn pairs<T>(path: &Path, schema: &Schema, read: impl Fn(&RecordBatch) -> Vec<(String, T)>) -> Vec<(String, T)> {
    batches(path, schema).iter().flat_map(read).collect()
}

fn bytes(path: &Path, schema: &Schema, key: &str, value: &str) -> Vec<(String, Vec<u8>)> {
    pairs(path, schema, |batch| {
        text(batch, key).map(str::to_owned).zip(binary(batch, value).map(<[u8]>::to_vec)).collect()
    })
}

fn sources(study: &Study, folder: &str) -> Vec<(String, String)> {
    pairs(&study.path(&format!("data/t/{folder}/slices.parquet")), &schema::slices(), |batch| {
        text(batch, column::SLICE_ID).map(str::to_owned).zip(text(batch, column::SOURCE).map(str::to_owned)).collect()
    })
}

fn lesions(study: &Study, folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = study.path(&format!("data/t/{folder}/lesions.parquet"));
    bytes(&path, &schema::lesions(), column::SLICE_ID, column::LESION)
}

/// Arguments that make study `t` one of synthetic CT with a second set: two patients a class, slices of twice the written size.
const PHANTOM: [&str; 5] = [
    "phantom.enabled=true",
    "phantom.reversed=true",
    "phantom.patients_per_class=2",
    "phantom.slices=3",
    "phantom.size=128",
];

#[test]
fn the_phantoms_lesions_are_those_of_its_truth_in_both_sets() {
    let study = Study::new().set("model_sha256", "null").set("model", shipped()).set("pseudonyms", "keyed");
    let set: Vec<String> = PHANTOM.into_iter().map(str::to_owned).collect();
    let data = format!("paths.data={}", study.path("data").display());
    let yaml = study.text("study.yaml", "study: t\nclasses: [common, covid]");
    let config = Config::load(&yaml, &[set.clone(), vec![data]].concat()).expect("a study");
    for set in [config.reversed().expect("a second set"), config] {
        phantom::study::run(&set, false).expect("synthetic CT");
    }
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    for more in [&[][..], &["--reversed"]] {
        let outcome = study.run(&[&set, more].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    // The truth has the raw paths, the slices have paths with pseudonyms: the patient's folder is replaced.
    let truth: BTreeMap<String, Vec<u8>> =
        bytes(&study.path("data/t/0_raw/truth.parquet"), &schema::truth(), column::SOURCE, column::LESION_MASK)
            .into_iter()
            .collect();
    let tail = |source: &str| source.rsplit('/').next().expect("a file").to_owned();
    let (sources, found) = (sources(&study, "1_masks"), lesions(&study, "1_masks"));
    assert!(sources.len() >= 8 && sources.iter().all(|(_, source)| !source.contains("PH-")), "{sources:?}");
    assert_eq!(
        sources.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        found.iter().map(|(id, _)| id).collect::<Vec<_>>()
    );
    // From 128 to 64 pixels a pixel covers two by two: lesion if two of the four are. Which patient it is follows from the picture.
    let halved = |mask: &[u8]| -> Vec<u8> {
        let four = |at: usize| {
            let first = at / 64 * 2 * 128 + at % 64 * 2;
            [first, first + 1, first + 128, first + 129].iter().map(|at| mask[*at]).sum::<u8>()
        };
        (0..64 * 64).map(|at| u8::from(four(at) >= 2)).collect()
    };
    for ((_, source), (_, lesion)) in sources.iter().zip(&found) {
        let same_slice = truth.iter().filter(|(raw, _)| tail(raw) == tail(source));
        assert!(same_slice.clone().any(|(_, mask)| halved(mask) == *lesion), "{source}");
    }
    assert!(found.iter().filter(|(_, lesion)| lesion.contains(&1)).count() > found.len() / 2);
    // The second set has the same slices, but for those whose masks fall to the other side of the smallest lung that counts.
    let other: BTreeMap<_, _> = lesions(&study, "1_masks-reversed").into_iter().collect();
    let shared: Vec<_> = found.iter().filter_map(|(id, lesion)| Some((lesion, other.get(id)?))).collect();
    assert!(shared.len() + 1 >= found.len() && shared.iter().all(|(one, other)| one == other));
}

fn shipped() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt").display().to_string()
}

/// One slice of 96 x 128 pixels, stored upside down, and a file of lesions for it.
fn study(rows: &[(&str, u32, u32, Vec<u8>)]) -> Study {
    let study = Study::new();
    let mut slice = Slice::new("A", "1.2.1", 1, 0.0);
    slice.orientation = "-1\\0\\0\\0\\-1\\0";
    slice.hu.invert_axis(ndarray::Axis(0));
    slice.hu.invert_axis(ndarray::Axis(1));
    slice.hu = slice.hu.as_standard_layout().into_owned();
    slice.write(&study.path("data/t/0_raw/A/1.dcm"));
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    let path = study.path("lesions.parquet");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.3))),
    ];
    let mut table = TableWriter::create(&path, schema::truth(), &[]).expect("a table");
    table.write(&schema::truth(), columns).expect("rows");
    table.commit().expect("a file");
    study.set("lesions", path.display())
}

fn block(rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Vec<u8> {
    (0..96 * 128).map(|at| u8::from(rows.contains(&(at / 128)) && columns.contains(&(at % 128)))).collect()
}

#[test]
fn a_named_file_is_turned_padded_and_resized_as_the_slice_is() {
    let study = study(&[("A/1.dcm", 96, 128, block(20..28, 10..26)), ("B/1.dcm", 1, 2, vec![7, 7])]);
    let outcome = study.run(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found = lesions(&study, "1_masks");
    assert_eq!(found.len(), 1);
    // By hand: turned, rows 68..76 and columns 102..118; 16 rows of bar above; halved, rows 42..46 and columns 51..59.
    let ones: Vec<usize> = (0..64 * 64).filter(|at| found[0].1[*at] == 1).collect();
    let expected: Vec<usize> = (42..46).flat_map(|row| (51..59).map(move |column| row * 64 + column)).collect();
    assert_eq!((found[0].1.len(), ones), (64 * 64, expected));
}

#[test]
fn without_truth_the_table_has_no_rows() {
    let no_row = study(&[]);
    let nobody = study(&[]).set("lesions", "null");
    let other = study(&[]).set("lesions", "null");
    std::fs::copy(no_row.path("data/t/0_raw/labels.csv"), other.path("data/t/0_raw/truth.parquet")).expect("a copy");
    for study in [&no_row, &nobody] {
        let outcome = study.run(&[]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(lesions(study, "1_masks").is_empty());
    }
    other.fails(4, &["truth.parquet", "not a readable Parquet file"]);
    // A Parquet file of something else that happens to be called so is passed over, unless the study names it.
    let slices = nobody.path("data/t/1_masks/slices.parquet");
    std::fs::copy(&slices, other.path("data/t/0_raw/truth.parquet")).expect("a copy");
    let Outcome { code, stderr, .. } = other.run(&[]);
    assert!(code == 0 && stderr.contains("no lesion masks") && stderr.contains("\"lesion_mask\""), "{stderr}");
    assert!(lesions(&other, "1_masks").is_empty());
    let named = study(&[]).set("lesions", slices.display());
    named.fails(4, &["slices.parquet", "column \"lesion_mask\" is missing (found: slice_id, "]);
    study(&[]).set("lesions", "gone.parquet").fails(4, &["gone.parquet", "set preprocess.lesions"]);
}

#[test]
fn masks_that_do_not_fit_are_errors() {
    let good = block(20..28, 10..26);
    let row = |height: u32, width: u32, mask: Vec<u8>| ("A/1.dcm", height, width, mask);
    study(&[row(128, 96, good.clone())])
        .fails(4, &["lesions.parquet", "mask of A/1.dcm has (128, 96) pixels", "(96, 128)"]);
    study(&[row(96, 100, good.clone())]).fails(4, &["has 12288 bytes, expected height x width = 96 x 100"]);
    study(&[row(96, 128, vec![255; 96 * 128])]).fails(4, &["has the value 255, expected 0 and 1"]);
    study(&[row(96, 128, good.clone()), row(96, 128, good)])
        .fails(4, &["row 2", "is that of a source that is there already"]);
}
