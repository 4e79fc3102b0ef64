//! `prepare` and `paint` through the real program: slices as the study makes them, and attention back where the CT has it.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, RecordBatch, StringArray,
};
use arrow::datatypes::Float32Type;
use contract::layout::{ATTENTION_VOLUME, EXCLUDED, OVERLAYS, PREDICTIONS, SLICES};
use contract::schema::{self, column};
use contract::table::{TableReader, TableWriter, text};
use contract::{Config, hash};
use ndarray::{Array3, Axis, s};
use nifti::writer::WriterOptions;
use nifti::{IntoNdArray, NiftiHeader, NiftiObject, ReaderOptions};
use support::{AXES, Outcome, Slice, Study, stored};

/// All rows of a table of slices.
fn slices(path: &Path) -> RecordBatch {
    let reader = TableReader::open(path, &schema::slices()).expect("a table");
    let batches: Vec<_> = reader.batches(1000).expect("batches").collect::<Result<_, _>>().expect("a whole table");
    arrow::compute::concat_batches(&schema::slices(), &batches).expect("one batch")
}

/// Writes predictions of the prepared slices; `map` gives each slice's attention, none for networks without.
fn predict(out: &Path, map: impl Fn(&str) -> Option<Vec<f32>>) {
    let table = slices(&out.join(SLICES));
    let ids: Vec<&str> = text(&table, column::SLICE_ID).collect();
    let lists = |values: &mut dyn Iterator<Item = Option<Vec<f32>>>| -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
        values.for_each(|list| builder.append_option(list.map(|list| list.into_iter().map(Some))));
        Arc::new(builder.finish())
    };
    let count = ids.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(ids.clone())),
        Arc::new(StringArray::from(vec!["patient"; count])),
        Arc::new(Int32Array::from(vec![schema::NO_LABEL; count])),
        Arc::new(StringArray::from(vec!["proposed"; count])),
        Arc::new(Int32Array::from(vec![-1; count])),
        Arc::new(Int64Array::from(vec![-1; count])),
        lists(&mut ids.iter().map(|_| Some(vec![0.25, 0.75]))),
        lists(&mut ids.iter().map(|id| map(id).map(|_| vec![0.5, 0.5]))),
        lists(&mut ids.iter().map(|id| map(id))),
        Arc::new(Float32Array::from(vec![None::<f32>; count])),
    ];
    let mut table = TableWriter::create(&out.join(PREDICTIONS), schema::predictions(), &[]).expect("a table");
    table.write(&schema::predictions(), columns).expect("rows");
    table.commit().expect("a file");
}

/// Four by four cells, all 0 but the one in row 1 and column 2.
fn hot() -> Vec<f32> {
    (0..16).map(|at| if at == 6 { 1.0 } else { 0.0 }).collect()
}

/// Runs `prepare` or `paint`.
fn run(command: &str, study: &Path, input: &Path, out: &Path, more: &[&str]) -> Outcome {
    let paths = [command.to_owned(), input.display().to_string(), out.display().to_string()];
    let study = ["--config".to_owned(), study.display().to_string(), "--progress=none".to_owned()];
    support::preprocess(paths.into_iter().chain(study).chain(more.iter().map(|argument| (*argument).to_owned())))
}

fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

fn volume(path: &Path) -> (NiftiHeader, Array3<f32>) {
    let object = ReaderOptions::new().read_file(path).expect("a NIfTI file");
    let header = object.header().clone();
    (
        header,
        object.into_volume().into_ndarray::<f32>().expect("values").into_dimensionality().expect("three dimensions"),
    )
}

/// A study whose model goes by threshold, without CT.
fn threshold_study() -> (Study, PathBuf) {
    let study = Study::new();
    let yaml = format!(
        "study: t\npreprocess: {{model: {}, model_sha256: {}, size: 64, threads: 1, check_orientation: false}}\n",
        study.model.path.display(),
        study.model.sha256
    );
    let path = study.text("predict.yaml", &yaml);
    (study, path)
}

#[test]
fn a_prepared_series_is_what_the_study_makes_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt");
    let yaml = format!(
        "study: t\npaths: {{data: {}}}\nphantom: {{enabled: true, patients_per_class: 1, slices: 6, size: 128}}\n\
         preprocess: {{model: {}, size: 64, pseudonyms: keep, min_lung_fraction: 0.12}}\n",
        folder.path().join("data").display(),
        model.display()
    );
    let study = folder.path().join("study.yaml");
    std::fs::write(&study, yaml).expect("a study");
    phantom::study::run(&Config::load(&study, &[]).expect("a study"), false).expect("synthetic CT");
    let (data, out) = (folder.path().join("data/t"), folder.path().join("out"));
    done(&support::preprocess(["--config", &study.display().to_string(), "--progress=none"]));
    done(&run("prepare", &study, &data.join("0_raw/PH-0001"), &out, &[]));
    let (whole, one) = (slices(&data.join("1_masks").join(SLICES)), slices(&out.join(SLICES)));
    let of_first = text(&whole, column::PATIENT_ID).take_while(|id| *id == "PH-0001").count();
    // Some of its six slices are left out, here and there for the same reason.
    assert!((2..6).contains(&of_first), "{of_first}");
    assert_eq!(one.num_rows(), of_first);
    let first = whole.slice(0, of_first);
    use column::*;
    for name in [SLICE_INDEX, Z_MM, HEIGHT, WIDTH, IMAGE, MASK, LUNG_FRACTION, FLAGS] {
        let pick = |table: &RecordBatch| table.column_by_name(name).expect("a column").to_data();
        assert_eq!(pick(&one), pick(&first), "{name}");
    }
    let labels = contract::table::numbers::<arrow::datatypes::Int32Type>(&one, LABEL);
    assert!(labels.eq(vec![Some(-1); of_first]));
    let excluded = |folder: &Path, patient: &str| -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(EXCLUDED)).expect("a list");
        let own = text.lines().filter(|line| line.starts_with(patient));
        own.map(|line| line.splitn(4, ',').nth(3).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(excluded(&out, "patient/series/"), excluded(&data.join("1_masks"), "PH-0001/"));
    assert_eq!(excluded(&out, "patient/series/").len(), 6 - of_first);
    // Asked for more lung than there is, it says by which key.
    let refused =
        run("prepare", &study, &data.join("0_raw/PH-0001"), &out, &["--set", "preprocess.min_lung_fraction=0.9"]);
    assert!(refused.code == 5 && refused.stderr.contains("preprocess.min_lung_fraction (0.9)"), "{}", refused.stderr);
}

#[test]
fn attention_lies_in_the_geometry_of_its_dicom_series_and_nobody_is_named() {
    let (study, yaml) = threshold_study();
    let input = study.path("PATIENT-77/in");
    for index in 0..4_u32 {
        let mut slice = Slice::new("PATIENT-77", "1.2.1", 10 - index, f64::from(index) * 5.0);
        if index == 3 {
            slice.hu = support::chest(96, 128, true);
        }
        slice.write(&input.join(format!("{index}.dcm")));
    }
    let (out, mask) = (study.path("out"), study.path("mask.nii.gz"));
    let model =
        ["--model-sha256", &study.model.sha256, "--model", &study.model.path.display().to_string()].map(str::to_owned);
    let segment = ["segment".to_owned(), input.display().to_string(), mask.display().to_string()];
    done(&support::preprocess(segment.into_iter().chain(model)));
    done(&run("prepare", &yaml, &input, &out, &[]));
    predict(&out, |id| Some(if id.ends_with("/0001") { hot() } else { vec![0.0; 16] }));
    done(&run("paint", &yaml, &input, &out, &[]));
    let (header, values) = volume(&out.join(ATTENTION_VOLUME));
    let expected = ReaderOptions::new().read_file(&mask).expect("a mask").header().clone();
    assert_eq!((header.srow_x, header.srow_y, header.srow_z), (expected.srow_x, expected.srow_y, expected.srow_z));
    assert_eq!((header.sform_code, header.qform_code, header.pixdim), (1, 1, expected.pixdim));
    assert_eq!((values.dim(), header.datatype), ((128, 96, 4), nifti::NiftiType::Float32 as i16));
    // By hand: a cell is 32 pixels of the square of 128 around the slice, 16 rows of which are above it. The hot cell's centre is
    // column 79.5 and row 31.5 of the slice; beside it a tent falls to 0 at the next cells' centres.
    let slice = values.index_axis(Axis(2), 1);
    let tent = |at: usize, centre: f32| (1.0 - (at as f32 - centre).abs() / 32.0).max(0.0);
    for ((column, row), value) in slice.indexed_iter() {
        assert!((value - tent(column, 79.5) * tent(row, 31.5)).abs() < 1e-5, "{column} {row}: {value}");
    }
    assert!([0, 2, 3].iter().all(|index| values.index_axis(Axis(2), *index).iter().all(|value| *value == 0.0)));
    // Pictures of the slices that were asked for; where the network looked the grey has a colour.
    let pictures: Vec<_> = hash::walk(&out.join(OVERLAYS)).expect("pictures");
    assert_eq!(pictures, ["slice-0000.png", "slice-0001.png", "slice-0002.png"].map(PathBuf::from));
    let picture = |index: usize| image::open(out.join(OVERLAYS).join(&pictures[index])).expect("a picture").to_rgb8();
    let is_grey = |pixel: &image::Rgb<u8>| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2];
    // Tissue between lung and lung, at the edge of the hot cell; the rim of the right lung, whose left end is at 0.2 of the width.
    assert!(!is_grey(picture(1).get_pixel(64, 31)) && is_grey(picture(0).get_pixel(64, 31)));
    assert!((24..28).any(|x| !is_grey(picture(0).get_pixel(x, 48))));
    // Nothing of the patient is in any output.
    for file in hash::walk(&out).expect("outputs") {
        let bytes = std::fs::read(out.join(&file)).expect("an output");
        let text = String::from_utf8_lossy(&bytes).into_owned() + &file.to_string_lossy();
        assert!(!["PATIENT-77", "Doe", "19700101"].iter().any(|secret| text.contains(secret)), "{}", file.display());
    }
}

#[test]
fn attention_lies_at_one_place_of_the_patient_however_the_volume_is_stored() {
    let (study, yaml) = threshold_study();
    let chest = support::chest(96, 128, false);
    // World axes right to left (column), front to back (row), feet to head; 1.5 x 2 x 4 mm, the centre of the volume at 0.
    let spacing = [1.5, 2.0, 4.0];
    let world = Array3::from_shape_fn((128, 96, 3), |(x, y, _)| chest[(y, x)]);
    // By hand: column 79.5, row 31.5 (see above), the lowest slice; RAS x and y run against columns and rows.
    let expected = [(63.5 - 79.5) * 1.5, (47.5 - 31.5) * 2.0, -4.0];
    for (number, axes) in AXES.into_iter().enumerate() {
        for flips in [0b000, 0b011, 0b110] {
            let (header, ct) = stored(&world, spacing, axes, flips);
            let (input, out) = (study.path(&format!("{number}-{flips}.nii")), study.path(&format!("{number}-{flips}")));
            WriterOptions::new(&input).reference_header(&header).write_nifti(&ct).expect("written");
            done(&run("prepare", &yaml, &input, &out, &[]));
            predict(&out, |id| Some(if id.ends_with("/0000") { hot() } else { vec![0.0; 16] }));
            done(&run("paint", &yaml, &input, &out, &[]));
            let (found, values) = volume(&out.join(ATTENTION_VOLUME));
            let rows = [found.srow_x, found.srow_y, found.srow_z];
            assert_eq!((rows, values.dim()), ([header.srow_x, header.srow_y, header.srow_z], ct.dim()));
            let mass: f64 = values.iter().map(|value| f64::from(*value)).sum();
            let centre = rows.map(|row| {
                let [a, b, c, d] = row.map(f64::from);
                let place = |(i, j, k): (usize, usize, usize)| a * i as f64 + b * j as f64 + c * k as f64 + d;
                values.indexed_iter().map(|(at, value)| f64::from(*value) * place(at)).sum::<f64>() / mass
            });
            let near = centre.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01);
            assert!(near, "axes {axes:?}, flips {flips:03b}: {centre:?} is not {expected:?}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (study, yaml) = threshold_study();
    let chest = support::chest(96, 128, false);
    let volume = |name: &str, slices: usize| {
        let values = Array3::from_shape_fn((128, 96, slices), |(x, y, _)| chest[(y, x)]);
        let path = study.path(name);
        WriterOptions::new(&path).write_nifti(&values.slice(s![.., .., ..]).to_owned()).expect("written");
        path
    };
    let (long, short, out) = (volume("long.nii", 3), volume("short.nii", 2), study.path("out"));
    let refused = |input: &Path, code: i32, part: &str| {
        let outcome = run("paint", &yaml, input, &out, &[]);
        assert!(outcome.code == code && outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
        assert!(!out.join(ATTENTION_VOLUME).exists());
    };
    refused(&long, 4, "predictions.parquet");
    // Nobody declared where a volume without a form lies; its place is that of a picture, so it is prepared all the same.
    done(&run("prepare", &yaml, &long, &out, &[]));
    refused(&long, 4, "predictions.parquet");
    predict(&out, |_| Some(vec![0.5; 15]));
    refused(&long, 4, "has 15 values, no square");
    predict(&out, |_| Some(hot()));
    refused(&short, 4, "slice 2 of a CT that has 2 slices");
    done(&run("prepare", &yaml, &short, &out, &[]));
    predict(&out, |_| Some(hot()));
    done(&run("prepare", &yaml, &long, &out, &[]));
    refused(&long, 4, "no row of slice patient/series/0002");
    // Networks without attention leave no volume, but pictures.
    predict(&out, |_| None);
    done(&run("paint", &yaml, &long, &out, &[]));
    assert!(!out.join(ATTENTION_VOLUME).exists());
    assert_eq!(hash::walk(&out.join(OVERLAYS)).expect("pictures").len(), 3);
    let missing = run("prepare", &yaml, &study.path("gone.nii"), &out, &[]);
    assert!(missing.code == 4 && missing.stderr.contains("gone.nii"), "{}", missing.stderr);
}
