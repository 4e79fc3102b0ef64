//! `segment` through the real program: the mask lies where its source lies.

mod support;

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, s};
use nifti::writer::WriterOptions;
use nifti::{IntoNdArray, NiftiHeader, NiftiObject, ReaderOptions};
use support::{AXES, Outcome, Slice, stored};

fn segment(input: &Path, output: &Path, model: &support::Model, more: &[&str]) -> Outcome {
    let mut arguments: Vec<String> = vec!["segment".to_owned()];
    arguments.extend([input, output].map(|path| path.display().to_string()));
    arguments.extend(["--model".to_owned(), model.path.display().to_string()]);
    arguments.extend(["--model-sha256".to_owned(), model.sha256.clone(), "--threads=1".to_owned()]);
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    support::preprocess(arguments)
}

fn read(path: &Path) -> (NiftiHeader, Array3<u8>) {
    let object = ReaderOptions::new().read_file(path).expect("a NIfTI file");
    let header = object.header().clone();
    let values = object.into_volume().into_ndarray::<u8>().expect("values");
    (header, values.into_dimensionality().expect("three dimensions"))
}

fn count(mask: &Array3<u8>, label: u8) -> usize {
    mask.iter().filter(|value| **value == label).count()
}

fn series(folder: &Path) -> PathBuf {
    let input = folder.join("in");
    for index in 0..4 {
        Slice::new("A", "1.2.1", 10 - index, f64::from(index) * 5.0).write(&input.join(format!("{index}.dcm")));
    }
    Slice::new("A", "1.2.2", 1, 0.0).write(&input.join("other/0.dcm"));
    input
}

#[test]
fn a_dicom_folder_gives_a_mask_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let output = folder.path().join("out/mask.nii.gz");
    let overlays = folder.path().join("png");
    let outcome = segment(&series(folder.path()), &output, &model, &["--overlay", &overlays.display().to_string()]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("taken: series 1.2.1 with 4 slices"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("other: series 1.2.2 with 1 slices"), "{}", outcome.stderr);
    let (header, mask) = read(&output);
    assert_eq!(mask.dim(), (128, 96, 4));
    // LPS (-64, -48, 0) with 1.5 mm columns and 2 mm rows, 5 mm apart, is this in RAS.
    assert_eq!(header.srow_x, [-1.5, 0.0, 0.0, 64.0]);
    assert_eq!(header.srow_y, [0.0, -2.0, 0.0, 48.0]);
    assert_eq!(header.srow_z, [0.0, 0.0, 5.0, 0.0]);
    assert_eq!((header.sform_code, header.qform_code, &header.pixdim[..4]), (1, 1, &[1.0, 1.5, 2.0, 5.0][..]));
    assert_eq!((header.quatern_b, header.quatern_c, header.quatern_d), (0.0, 0.0, 1.0));
    assert_eq!((mask[(42, 48, 2)], mask[(86, 48, 2)], mask[(0, 0, 0)]), (1, 2, 0));
    let ml = |label| format!("{:8.1} ml", count(&mask, label) as f64 * 15.0 / 1000.0);
    assert!(outcome.stdout.contains(&ml(1)) && outcome.stdout.contains(&ml(2)), "{}", outcome.stdout);
    assert_eq!(std::fs::read_dir(&overlays).expect("overlays").count(), 4);
    let left_over =
        |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() != "mask.nii.gz");
    assert!(!std::fs::read_dir(folder.path().join("out")).expect("a folder").any(left_over));
}

#[test]
fn a_nifti_in_any_orientation_gives_the_same_mask() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let chest = support::chest(96, 128, false);
    let world = Array3::from_shape_fn((128, 96, 3), |(x, y, _)| chest[(y, x)]);
    let run = |name: &str, values: &Array3<f32>, rows: [[f32; 4]; 3]| {
        let [srow_x, srow_y, srow_z] = rows;
        let header = NiftiHeader { srow_x, srow_y, srow_z, qform_code: 0, sform_code: 2, ..NiftiHeader::default() };
        let (input, output) =
            (folder.path().join(format!("{name}.nii")), folder.path().join(format!("{name}-mask.nii")));
        WriterOptions::new(&input).reference_header(&header).write_nifti(values).expect("written");
        let outcome = segment(&input, &output, &model, &[]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let (found, mask) = read(&output);
        assert_eq!((found.srow_x, found.srow_y, found.srow_z, found.sform_code), (srow_x, srow_y, srow_z, 2));
        mask
    };
    let lps = run("lps", &world, [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]);
    assert_eq!((lps[(42, 48, 1)], lps[(86, 48, 1)]), (1, 2));
    assert!(count(&lps, 1) > count(&lps, 2) && count(&lps, 2) > 1000);
    let mirrored = world.slice(s![..;-1, ..;-1, ..]).to_owned();
    let ras = run("ras", &mirrored, [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]);
    assert_eq!(ras.slice(s![..;-1, ..;-1, ..]), lps);
    let coronal = world.view().permuted_axes([0, 2, 1]).as_standard_layout().into_owned();
    let turned = run("coronal", &coronal, [[-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 2.0, 0.0, 0.0]]);
    assert_eq!(turned.view().permuted_axes([0, 2, 1]), lps);
}

/// Mean position of a label in RAS mm.
fn centroid(header: &NiftiHeader, mask: &Array3<u8>, label: u8) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for ((i, j, k), _) in mask.indexed_iter().filter(|(_, found)| **found == label) {
        for (sum, row) in sum.iter_mut().zip([header.srow_x, header.srow_y, header.srow_z]) {
            let [a, b, c, d] = row.map(f64::from);
            *sum += a * i as f64 + b * j as f64 + c * k as f64 + d;
        }
    }
    sum.map(|sum| sum / count(mask, label).max(1) as f64)
}

#[test]
fn lungs_lie_where_they_are_in_all_48_orientations() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let chest = support::chest(96, 128, false);
    // World axes right to left (column), front to back (row), feet to head; 1.5 x 2 x 4 mm, the centre of the volume at 0.
    let spacing = [1.5, 2.0, 4.0];
    let world = Array3::from_shape_fn((128, 96, 3), |(x, y, _)| chest[(y, x)]);
    // By hand: the lungs' centres are at 0.33 and 0.67 of the width and half the height; RAS x and y run against columns and rows.
    let across = |share: f64| (63.5 - share * 128.0) * 1.5;
    let expected = [[across(0.33), -1.0, 0.0], [across(0.67), -1.0, 0.0]];
    for (number, axes) in AXES.into_iter().enumerate() {
        for flips in 0..8_usize {
            let (header, values) = stored(&world, spacing, axes, flips);
            let path = |end: &str| folder.path().join(format!("{number}-{flips}{end}.nii"));
            WriterOptions::new(path("")).reference_header(&header).write_nifti(&values).expect("written");
            let outcome = segment(&path(""), &path("-mask"), &model, &["--no-check-orientation"]);
            assert_eq!(outcome.code, 0, "{}", outcome.stderr);
            let (found, mask) = read(&path("-mask"));
            assert_eq!(
                (found.srow_x, found.srow_y, found.srow_z, mask.dim()),
                (header.srow_x, header.srow_y, header.srow_z, values.dim())
            );
            for (label, expected) in [1, 2].into_iter().zip(expected) {
                let centre = centroid(&found, &mask, label);
                let near = centre.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.5);
                assert!(near, "axes {axes:?}, flips {flips:03b}, label {label}: {centre:?} is not {expected:?}");
            }
        }
    }
}

#[test]
fn an_image_and_a_single_slice_work_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let chest = support::chest(96, 128, false);
    let grey = image::GrayImage::from_fn(128, 96, |x, y| {
        image::Luma([((chest[(y as usize, x as usize)] + 1350.0) / 1500.0 * 255.0).round() as u8])
    });
    let input = folder.path().join("a b.png");
    grey.save(&input).expect("an image");
    let output = folder.path().join("mask.nii.gz");
    let outcome = segment(&input, &output, &model, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let (_, mask) = read(&output);
    assert_eq!(mask.dim(), (128, 96, 1));
    assert!(outcome.stdout.contains(&format!("{} pixels", count(&mask, 1))), "{}", outcome.stdout);
    let slice = series(folder.path()).join("2.dcm");
    let outcome = segment(&slice, &output, &model, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(read(&output).1.index_axis(Axis(2), 0), mask.index_axis(Axis(2), 0));
}

#[test]
fn bad_input_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let output = folder.path().join("mask.nii.gz");
    let text = folder.path().join("a.nii");
    std::fs::write(&text, "no volume").expect("written");
    let refused = |input: &Path, output: &Path, code: i32, message: &str| {
        let outcome = segment(input, output, &model, &[]);
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(!output.exists());
    };
    refused(&text, &output, 4, "not a readable NIfTI-1 volume");
    refused(&folder.path().join("gone"), &output, 4, "gone");
    refused(&text, &folder.path().join("mask.png"), 2, "must end in .nii");
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    refused(&folder.path().join("empty"), &output, 4, "no CT slices");
    let untrusted = [
        "segment",
        &text.display().to_string(),
        &output.display().to_string(),
        "--model",
        &model.path.display().to_string(),
    ]
    .map(str::to_owned);
    let outcome = support::preprocess(untrusted);
    assert_eq!(outcome.code, 6);
    assert!(outcome.stderr.contains("set --model-sha256 to"), "{}", outcome.stderr);
    assert_eq!(support::preprocess::<&str>([]).code, 2);
}

#[test]
fn real_slices_run_if_they_are_here() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; real slices are not tried");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let output = folder.path().join("mask.nii.gz");
    let input = Path::new(&shared).join("data/ct-dicom/A002304/19010112-135.dcm");
    let outcome = segment(&input, &output, &model, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let (header, mask) = read(&output);
    assert_eq!((mask.dim(), header.srow_z[3]), ((512, 512, 1), -162.0));
}
