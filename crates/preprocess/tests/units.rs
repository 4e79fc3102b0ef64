//! Values that are not HU, through the real program: read right, or refused with a remedy that works when it is followed.

mod support;

use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use image::DynamicImage;
use ndarray::{Array2, Array3, Axis};
use nifti::writer::WriterOptions;
use nifti::{IntoNdArray, NiftiHeader, NiftiObject, ReaderOptions};
use support::{Outcome, Slice, Study, chest};

/// Slices of a series here.
const SLICES: usize = 6;

/// What becomes of a value.
type Change = fn(f32) -> f32;

/// A folder with a stand-in model.
struct Bench {
    folder: tempfile::TempDir,
    model: support::Model,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = support::stand_in(folder.path());
        Self { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn segment(&self, input: &Path, more: &[&str]) -> Outcome {
        let names = [input, &self.path("mask.nii"), &self.model.path].map(|path| path.display().to_string());
        let [input, output, model] = &names;
        let arguments =
            ["segment", input, output, "--model", model, "--model-sha256", &self.model.sha256, "--threads=1"];
        support::preprocess(arguments.into_iter().chain(more.iter().copied()))
    }

    /// The mask of an input that is read.
    fn mask(&self, input: &Path, more: &[&str]) -> (Array3<u8>, String) {
        let outcome = self.segment(input, more);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let object = ReaderOptions::new().read_file(self.path("mask.nii")).expect("a mask");
        let values = object.into_volume().into_ndarray::<u8>().expect("values");
        (values.into_dimensionality().expect("three dimensions"), outcome.stderr)
    }

    fn refused(&self, input: &Path, texts: &[&str]) {
        let outcome = self.segment(input, &[]);
        assert_eq!(outcome.code, 4, "{}{}", outcome.stdout, outcome.stderr);
        for text in texts {
            assert!(outcome.stderr.contains(text), "\"{text}\" is not in: {}", outcome.stderr);
        }
    }

    /// Writes a series of chests, each file changed by `change`, which is given the slice's number.
    fn series(&self, name: &str, change: impl Fn(&mut DefaultDicomObject, usize)) -> PathBuf {
        let folder = self.path(name);
        for index in 0..SLICES {
            let path = folder.join(format!("{index}.dcm"));
            noisy_slice(index).write(&path);
            let mut object = open_file(&path).expect("the slice is read");
            change(&mut object, index);
            object.write_to_file(&path).expect("the slice is written");
        }
        folder
    }

    fn volume(&self, name: &str, hu: &Array3<f32>) -> PathBuf {
        let path = self.path(name);
        let [srow_x, srow_y, srow_z] = [[-1.5, 0.0, 0.0, 0.0], [0.0, -2.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]];
        let header = NiftiHeader { srow_x, srow_y, srow_z, sform_code: 1, ..NiftiHeader::default() };
        WriterOptions::new(&path).reference_header(&header).write_nifti(hu).expect("a volume written");
        path
    }
}

/// A chest with the noise of a scanner, of -10 to 10 HU, and a spine.
fn noisy(index: usize) -> Array2<f32> {
    let mut state = 7 + index as u32;
    let mut hu = chest(96, 128, false);
    for ((row, column), value) in hu.indexed_iter_mut() {
        if row.abs_diff(66) < 6 && column.abs_diff(64) < 6 {
            *value = 400.0;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value += ((state >> 16) % 21) as f32 - 10.0;
    }
    hu
}

fn noisy_slice(index: usize) -> Slice {
    let mut slice = Slice::new("A", "1.2.1", index as u32, 5.0 * index as f64);
    slice.hu = noisy(index);
    slice
}

fn noisy_volume() -> Array3<f32> {
    let slices: Vec<Array2<f32>> = (0..SLICES).map(noisy).collect();
    Array3::from_shape_fn((128, 96, SLICES), |(x, y, z)| slices[z][(y, x)])
}

/// `outside` where the circle that touches the sides of a slice does not reach.
fn surrounded(hu: &Array3<f32>, outside: f32) -> Array3<f32> {
    let far = |x: usize, y: usize| (x as f32 - 63.5).hypot((y as f32 - 47.5) * 128.0 / 96.0) > 63.5;
    Array3::from_shape_fn(hu.dim(), |(x, y, z)| if far(x, y) { outside } else { hu[(x, y, z)] })
}

fn put(object: &mut DefaultDicomObject, tag: dicom_core::Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    object.put(DataElement::new(tag, vr, value.into()));
}

fn lose_rescale(object: &mut DefaultDicomObject) {
    object.remove_element(tags::RESCALE_SLOPE);
    object.remove_element(tags::RESCALE_INTERCEPT);
}

fn stored(hu: &Array2<f32>, offset: f32) -> PrimitiveValue {
    let words: Vec<u16> = hu.iter().map(|hu| ((hu + offset) as i32 & 0xFFFF) as u16).collect();
    PrimitiveValue::U16(words.into())
}

#[test]
fn an_offset_is_named_whatever_surrounds_the_patient() {
    let bench = Bench::new();
    let hu = noisy_volume();
    let right = bench.mask(&bench.volume("hu.nii", &hu), &[]).0;
    let plain = |offset: f32| hu.mapv(|hu| hu + offset);
    let cases = [
        (plain(1024.0), "-1024"),
        (plain(1000.0), "-1000"),
        (plain(32_768.0), "-32768"),
        (plain(-1024.0), "1024"),
        (surrounded(&plain(1024.0), -2000.0), "-1024"),
        (surrounded(&plain(1024.0), -1024.0), "-1024"),
        (surrounded(&plain(1024.0), f32::NAN), "-1024"),
    ];
    for (number, (values, offset)) in cases.into_iter().enumerate() {
        let input = bench.volume(&format!("{number}.nii"), &values);
        bench.refused(&input, &[&format!("give --hu-offset {offset};"), "--no-check-units"]);
        // The remedy gives the mask of the volume in HU.
        assert_eq!(bench.mask(&input, &["--hu-offset", offset]).0, right, "{number}");
    }
}

#[test]
fn an_offset_too_many_is_to_be_left_out() {
    let bench = Bench::new();
    let input = bench.volume("hu.nii", &noisy_volume());
    let outcome = bench.segment(&input, &["--hu-offset", "-1024"]);
    assert!(outcome.code == 4 && outcome.stderr.contains("leave out --hu-offset"), "{}", outcome.stderr);
}

#[test]
fn a_study_takes_the_offset_of_its_key_for_dicom_and_volumes() {
    let study = Study::new();
    for index in 0..SLICES {
        let path = study.path(&format!("data/t/0_raw/A/{index}.dcm"));
        noisy_slice(index).write(&path);
        let mut object = open_file(&path).expect("the slice is read");
        lose_rescale(&mut object);
        object.write_to_file(&path).expect("the slice is written");
    }
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\n");
    study.fails(4, &["values from", "HU + 1024", "set preprocess.hu_offset: -1024;", "preprocess.check_units: false"]);
    let outcome = study.run(&["--set", "preprocess.hu_offset=-1024"]);
    assert!(outcome.code == 0 && outcome.stdout.contains("6 read, 6 written"), "{}{}", outcome.stdout, outcome.stderr);

    let bench = Bench::new();
    let study = Study::new();
    std::fs::create_dir_all(study.path("set")).expect("a folder");
    std::fs::copy(bench.volume("a.nii", &noisy_volume().mapv(|hu| hu + 1000.0)), study.path("set/a.nii"))
        .expect("copied");
    let manifest = study.text("set/m.csv", "path,patient_id,label\na.nii,A,0\n");
    let study = study.set("manifest", manifest.display());
    study.fails(4, &["a.nii", "set preprocess.hu_offset: -1000;"]);
    let outcome = study.run(&["--set", "preprocess.hu_offset=-1000"]);
    assert!(outcome.code == 0 && outcome.stdout.contains("6 read, 6 written"), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn values_that_no_offset_makes_hu_are_refused_without_one() {
    let bench = Bench::new();
    let hu = noisy_volume();
    let changes: [(&str, Change); 6] = [
        ("inverted", |hu| -hu),
        ("inverted", |hu| 4095.0 - hu - 1024.0),
        ("normalised", |hu| (hu / 1000.0 + 1.0) * 0.19),
        ("grey values", |hu| ((hu + 1350.0) / 1500.0 * 255.0).clamp(0.0, 255.0).round()),
        ("unsigned", |hu| if hu < 0.0 { hu + 65_536.0 } else { hu }),
        ("slope", |hu| hu * 10.0),
    ];
    for (text, change) in changes {
        let input = bench.volume("changed.nii", &hu.mapv(change));
        bench.refused(&input, &[text]);
        assert!(!bench.segment(&input, &[]).stderr.contains("--hu-offset"), "{text}");
    }
    let mut own = hu.mapv(|hu| hu + 1024.0);
    for (index, mut slice) in own.axis_iter_mut(Axis(2)).enumerate() {
        slice.mapv_inplace(|value| value * (1.0 + 0.25 * (index % 3) as f32) - 1024.0);
    }
    bench.refused(&bench.volume("own.nii", &own), &["scaled on its own"]);
}

#[test]
fn slices_without_rescale_take_that_of_their_series() {
    let bench = Bench::new();
    let right = bench.mask(&bench.series("whole", |_, _| {}), &[]).0;
    let lost = bench.series("lost", |object, index| {
        if index > 2 {
            lose_rescale(object);
        }
    });
    let empty = bench.series("empty", |object, index| {
        if index == 1 {
            put(object, tags::RESCALE_INTERCEPT, VR::DS, "");
        }
    });
    let zero = bench.series("zero", |object, index| {
        if index == 4 {
            put(object, tags::RESCALE_SLOPE, VR::DS, "0");
        }
    });
    for input in [lost, empty, zero] {
        let (mask, stderr) = bench.mask(&input, &[]);
        assert!(mask == right && stderr.contains("missing_rescale_of_other_slices"), "{input:?}: {stderr}");
    }
    let slopes = bench.series("slopes", |object, index| match index {
        3 => lose_rescale(object),
        _ => put(object, tags::RESCALE_SLOPE, VR::DS, format!("{}", 1.0 + 0.001 * index as f64)),
    });
    bench.refused(&slopes, &["3.dcm", "lacks RescaleSlope or RescaleIntercept", "differ in theirs"]);
    let words = bench.series("words", |object, _| put(object, tags::RESCALE_INTERCEPT, VR::DS, "minus"));
    bench.refused(&words, &["0.dcm", "RescaleIntercept is \"minus\"", "expected a number"]);
}

#[test]
fn slices_a_step_above_or_below_their_neighbours_are_found() {
    let bench = Bench::new();
    // The intercept was set to 0 where it was missing; and one was added to slices that hold HU.
    let above = bench.series("above", |object, index| {
        if index == 2 || index == 3 {
            put(object, tags::RESCALE_INTERCEPT, VR::DS, "0");
        }
    });
    bench.refused(&above, &["2 of 6 slices, the first 2.dcm", "HU above the others", "RescaleIntercept"]);
    let below = bench.series("below", |object, index| {
        if index == 5 {
            put(object, tags::PIXEL_DATA, VR::OW, stored(&noisy(index), 0.0));
        }
    });
    bench.refused(&below, &["1 of 6 slices, the first 5.dcm", "HU below the others"]);
    let mut volume = noisy_volume();
    volume.index_axis_mut(Axis(2), 0).mapv_inplace(|hu| hu + 1000.0);
    bench.refused(
        &bench.volume("first.nii", &volume),
        &["1 of 6 slices, the first slice 1 of 6", "HU above the others"],
    );
}

#[test]
fn padding_of_any_value_is_air() {
    let bench = Bench::new();
    let hu = noisy_volume();
    let right = bench.mask(&bench.volume("hu.nii", &surrounded(&hu, -1024.0)), &[]).0;
    for (outside, remark) in
        [(0.0, true), (40.0, true), (32_767.0, true), (-1024.0, false), (-2000.0, false), (f32::NAN, false)]
    {
        let input = bench.volume("padded.nii", &surrounded(&hu, outside));
        let (mask, stderr) = bench.mask(&input, &[]);
        assert_eq!((mask, stderr.contains("padding_taken_as_air")), (right.clone(), remark), "{outside}");
    }
    // Whole slices of it have no lung, and the others are as they were.
    let mut ends = hu;
    ends.index_axis_mut(Axis(2), 5).fill(0.0);
    let mask = bench.mask(&bench.volume("ends.nii", &ends), &[]).0;
    assert!(mask.index_axis(Axis(2), 5).iter().all(|label| *label == 0));
    assert!(mask.index_axis(Axis(2), 3).iter().any(|label| *label == 1));
}

#[test]
fn a_padding_value_that_tissue_has_leaves_tissue_alone() {
    let bench = Bench::new();
    let in_hu = |object: &mut DefaultDicomObject, index| {
        put(object, tags::RESCALE_INTERCEPT, VR::DS, "0");
        put(object, tags::PIXEL_DATA, VR::OW, stored(&noisy(index), 0.0));
    };
    let path = bench.series("padding", |object, index| {
        in_hu(object, index);
        put(object, tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(40_i16));
    });
    let hu = preprocess::hounsfield::read(&path.join("0.dcm"), None).expect("a slice");
    // 40 HU is the body's own value before its noise.
    assert!(hu.iter().filter(|value| **value == 40.0).count() > 100);
}

#[test]
fn a_map_of_another_quantity_is_no_ct() {
    let bench = Bench::new();
    let map = bench.series("map", |object, _| put(object, tags::RESCALE_TYPE, VR::LO, "Z_EFF"));
    bench.refused(&map, &["6 DICOM files skipped as not_hu"]);
}

#[test]
fn a_header_and_its_voxels_are_one_volume() {
    let bench = Bench::new();
    let whole = bench.volume("whole.nii", &noisy_volume());
    let right = bench.mask(&whole, &[]).0;
    let bytes = std::fs::read(&whole).expect("read");
    let mut header = bytes[..348].to_vec();
    header[108..112].copy_from_slice(&0_f32.to_le_bytes());
    header[344..348].copy_from_slice(b"ni1\0");
    let [head, voxels] = ["pair.hdr", "pair.img"].map(|name| bench.path(name));
    std::fs::write(&head, &header).expect("written");
    bench.refused(&head, &["pair.img is not beside it"]);
    std::fs::write(&voxels, &bytes[352..]).expect("written");
    assert_eq!((bench.mask(&head, &[]).0, bench.mask(&voxels, &[]).0), (right.clone(), right));
    header[344..348].fill(0);
    std::fs::write(&head, &header).expect("written");
    bench.refused(&head, &["Analyze 7.5", "convert it to NIfTI"]);
    std::fs::write(&head, &header[..200]).expect("written");
    bench.refused(&voxels, &["the header cannot be read"]);
}

/// A 16-bit picture of a slice.
fn wide(path: &Path, grey: impl Fn(f32) -> f32) {
    let hu = noisy(0);
    let picture = image::ImageBuffer::from_fn(128, 96, |x, y| image::Luma([grey(hu[(y as usize, x as usize)]) as u16]));
    DynamicImage::ImageLuma16(picture).save(path).expect("a picture");
}

#[test]
fn a_picture_that_stores_ct_values_names_the_range_that_reads_them() {
    let bench = Bench::new();
    let path = bench.path("a.png");
    let lungs = |mask: &Array3<u8>| mask.iter().filter(|label| **label > 0).count();
    wide(&path, |hu| (hu + 1350.0) / 1500.0 * 65_535.0);
    let window = lungs(&bench.mask(&path, &[]).0);
    assert!(window > 500, "{window}");
    let cases: [(Change, [&str; 2]); 3] = [
        (|hu| hu + 32_768.0, ["-32768", "32767"]),
        (|hu| hu + 1024.0, ["-1024", "64511"]),
        (|hu| 16.0 * (hu + 1024.0), ["-1024", "3071.9375"]),
    ];
    for (grey, [low, high]) in cases {
        wide(&path, grey);
        bench.refused(&path, &["16-bit values from", &format!("give --image-hu {low} {high}")]);
        let found = lungs(&bench.mask(&path, &["--image-hu", low, high]).0);
        assert!(found.abs_diff(window) < window / 50, "{found} {window}");
    }
    // A manifest's row names the keys.
    let study = Study::new();
    std::fs::create_dir_all(study.path("set")).expect("a folder");
    wide(&study.path("set/a.png"), |hu| hu + 1024.0);
    let manifest = study.text("set/m.csv", "path,patient_id,label\na.png,A,0\n");
    study.set("manifest", manifest.display()).fails(
        4,
        &[
            "a.png",
            "set preprocess.image_low_hu: -1024 and preprocess.image_high_hu: 64511",
            "give all images of the study one range",
        ],
    );
}

/// A 16-bit picture of a slice in HU with `outside` around a circle, each value changed and saved as unsigned numbers are.
fn round_picture(path: &Path, outside: f32, change: Change) {
    let hu = surrounded(&noisy_volume(), outside);
    let word = |x: u32, y: u32| image::Luma([change(hu[(x as usize, y as usize, 0)]) as i32 as u16]);
    DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(128, 96, word)).save(path).expect("a picture");
}

#[test]
fn padding_of_a_picture_neither_hides_ct_nor_moves_its_zero() {
    let bench = Bench::new();
    let path = bench.path("a.png");
    // HU + 1024 in unsigned 16 bits: -2000 HU wraps to 64560; cut off at 0 it is the air of -1024. The range is -1024 to 65535 - 1024.
    let cases: [(f32, Change); 3] =
        [(-2000.0, |hu| hu + 1024.0), (-3024.0, |hu| hu + 1024.0), (-2000.0, |hu| (hu + 1024.0).max(0.0))];
    let mut masks = Vec::new();
    for (outside, change) in cases {
        round_picture(&path, outside, change);
        bench.refused(&path, &["16-bit values from", "give --image-hu -1024 64511"]);
        assert!(!bench.segment(&path, &[]).stderr.contains("--no-check-units"));
        masks.push(bench.mask(&path, &["--image-hu", "-1024", "64511"]).0);
    }
    assert!(masks.iter().all(|mask| *mask == masks[0]) && masks[0].iter().any(|label| *label == 1));
    // HU + 1000 within a surround of 0: its air is measured, and has no HU of -1024.
    round_picture(&path, -1000.0, |hu| (hu + 1000.0).max(0.0));
    let outcome = bench.segment(&path, &[]);
    assert!(outcome.code == 4 && outcome.stderr.contains("give --image-hu -10"), "{}", outcome.stderr);
    // HU without an offset: no range gives CT.
    wide(&path, |hu| f32::from(hu as i16 as u16));
    bench.refused(&path, &["saved as unsigned", "save HU + 1024"]);
}

#[test]
fn a_remedy_leads_to_the_right_mask_and_no_override_to_a_wrong_one() {
    let bench = Bench::new();
    let hu = noisy_volume();
    let right = bench.mask(&bench.volume("hu.nii", &hu), &[]).0;
    let cases: [(Change, &str); 6] = [
        (|hu| -hu, "multiply the values by -1"),
        (|hu| (hu + 1024.0) / 4096.0, "without normalisation"),
        (|hu| ((hu + 1350.0) / 1500.0 * 255.0).clamp(0.0, 255.0).round(), "LOW + value / 255 * (HIGH - LOW)"),
        (|_| 7.0, "take this series out"),
        (|hu| hu.clamp(-160.0, 240.0), "soft-tissue window"),
        (|hu| hu.clamp(-160.0, 240.0), "export the CT again without a window"),
    ];
    for (change, remedy) in cases {
        let input = bench.volume("changed.nii", &hu.mapv(change));
        bench.refused(&input, &[remedy]);
        let stderr = bench.segment(&input, &[]).stderr;
        assert!(!stderr.contains("--no-check-units") && !stderr.contains("intercept"), "{stderr}");
    }
    // 3071 - HU: the number to add is measured on the air, whose noise is 10 HU.
    let input = bench.volume("inverted.nii", &hu.mapv(|hu| 3071.0 - hu));
    let stderr = bench.segment(&input, &[]).stderr;
    let added = stderr.split("by -1 and add ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let added: f32 = added.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{stderr}"));
    assert!((added - 3071.0).abs() <= 10.0, "{stderr}");
    assert_eq!(bench.mask(&bench.volume("upright.nii", &hu.mapv(|hu| -(3071.0 - hu) + added)), &[]).0, right);
}

#[test]
fn one_series_without_rescale_has_a_remedy_of_its_own() {
    let study = Study::new();
    let path = |patient: &str, index: usize| study.path(&format!("data/t/0_raw/{patient}/{index}.dcm"));
    for (patient, series) in [("A", "1.2.1"), ("B", "1.2.2")] {
        for index in 0..SLICES {
            let mut slice = Slice::new(patient, series, index as u32, 5.0 * index as f64);
            slice.hu = noisy(index);
            slice.write(&path(patient, index));
        }
    }
    let each = |change: &dyn Fn(&mut DefaultDicomObject)| {
        for index in 0..SLICES {
            let mut object = open_file(path("B", index)).expect("the slice is read");
            change(&mut object);
            object.write_to_file(path("B", index)).expect("the slice is written");
        }
    };
    each(&lose_rescale);
    study.text("data/t/0_raw/labels.csv", "patient_id,label\nA,0\nB,1\n");
    let advice = "if this one alone is, give its files RescaleSlope 1 and RescaleIntercept -1024";
    study.fails(
        4,
        &["if all series of the study are so, set preprocess.hu_offset: -1024;", advice, "(0028,1052)=-1024"],
    );
    // The key is not for the others, and what they are told leads to the same remedy.
    let outcome = study.run(&["--set", "preprocess.hu_offset=-1024"]);
    assert!(
        outcome.code == 4
            && outcome.stderr.contains("leave out preprocess.hu_offset; if other series of the study need it"),
        "{}",
        outcome.stderr
    );
    each(&|object| {
        put(object, tags::RESCALE_SLOPE, VR::DS, "1");
        put(object, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    });
    let outcome = study.run(&[]);
    assert!(
        outcome.code == 0 && outcome.stdout.contains("12 read, 12 written"),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
}

#[test]
fn a_picture_of_another_format_is_named() {
    let bench = Bench::new();
    let path = bench.path("a.tif");
    std::fs::write(&path, b"II*\0\x08\0\0\0").expect("written");
    bench.refused(&path, &["a.tif", "a TIFF", "convert it to PNG"]);
}
