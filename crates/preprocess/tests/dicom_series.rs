//! Which DICOM files are one series, and in which order: exports whose identifiers, positions or types are wrong or missing.

mod support;

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use preprocess::dicom::{self, Scan, Series};
use preprocess::error::Error;
use support::{Slice, Study};

/// Five slices 5 mm apart, the files' names against the order, each changed by `change`.
fn stack(folder: &Path, uid: &'static str, change: impl Fn(u32, Slice) -> Slice) {
    for index in 0..5_u32 {
        let slice = change(index, Slice::new("P", uid, index + 1, 5.0 * f64::from(index)));
        slice.write(&folder.join(format!("{uid}-{}", 9 - index)));
    }
}

fn scan_of(uid: &'static str, change: impl Fn(u32, Slice) -> Slice) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), uid, change);
    dicom::scan(folder.path())
}

/// The last digit of each file's name, by which the order is read: 9 is the lowest slice.
fn order(series: &Series) -> String {
    series.slices.iter().filter_map(|slice| slice.file.to_str()?.chars().last()).collect()
}

fn reasons(scan: &Scan) -> Vec<&str> {
    scan.skipped.iter().map(|file| file.reason).collect()
}

fn location(index: u32, slice: Slice) -> Slice {
    slice.with(tags::SLICE_LOCATION, VR::DS, 5 * index)
}

#[test]
fn constant_positions_give_way_to_slice_location() {
    let constant = |index, slice: Slice| Slice { z: 100.0, ..location(index, slice) };
    let scan = scan_of("1.2", constant).expect("a scan");
    let series = &scan.series[0];
    assert_eq!((order(series).as_str(), &series.remarks[..]), ("98765", &[dicom::BY_SLICE_LOCATION][..]));
    // By hand: 1.5 mm x 2 mm x 5 mm, the step of SliceLocation.
    assert_eq!((series.depths()[4], series.voxel_mm3()), (Some(20.0), Some(15.0)));
}

#[test]
fn missing_positions_give_way_to_slice_location_then_instance_number() {
    let missing = |index, slice: Slice| Slice { position: false, ..location(index, slice) };
    let scan =
        scan_of("1.2", |index, slice| missing(index, slice).with(tags::INSTANCE_NUMBER, VR::IS, "")).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::BY_SLICE_LOCATION][..])
    );
    let scan = scan_of("1.2", |_, slice| Slice { position: false, ..slice }).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::BY_INSTANCE_NUMBER][..])
    );
    assert_eq!(scan.series[0].voxel_mm3(), None, "the step is a guess");
    let scan = scan_of("1.2", |_, slice| Slice { z: 7.0, ..slice }).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::BY_INSTANCE_NUMBER][..])
    );
}

#[test]
fn positions_out_of_step_give_way_to_slice_location() {
    let shuffled = |index: u32, slice: Slice| Slice { z: f64::from(index * 2 % 5) * 5.0, ..location(index, slice) };
    let scan = scan_of("1.2", shuffled).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::BY_SLICE_LOCATION][..])
    );
    // A SliceLocation that runs the other way is in step.
    let reversed = |index: u32, slice: Slice| slice.with(tags::SLICE_LOCATION, VR::DS, format!("-{}", 5 * index));
    let scan = scan_of("1.2", reversed).expect("a scan");
    assert_eq!((order(&scan.series[0]).as_str(), scan.series[0].remarks.len()), ("98765", 0));
}

#[test]
fn order_that_nothing_tells_is_refused_by_name() {
    let blind = |_, slice: Slice| Slice { position: false, ..slice }.with(tags::INSTANCE_NUMBER, VR::IS, 1);
    let error = scan_of("1.2", blind).expect_err("no order").to_string();
    let parts = [
        "order of the 5 slices",
        "ImagePositionPatient missing",
        "SliceLocation missing",
        "InstanceNumber the same in all",
    ];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    // Beside another series of the study it is left out by name.
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", blind);
    stack(folder.path(), "1.3", |_, slice| slice);
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!((scan.series.len(), reasons(&scan)), (1, vec!["no_order"; 5]));
}

#[test]
fn measurements_at_one_place_are_no_volume() {
    // Bolus tracking: position and SliceLocation are the same in all. Alone it is refused, beside the chest it is left out by name.
    let tracking = |_, slice: Slice| Slice { z: 7.0, ..slice }.with(tags::SLICE_LOCATION, VR::DS, 7);
    let error = scan_of("1.2", tracking).expect_err("no order").to_string();
    assert!(error.contains("SliceLocation the same in all"), "{error}");
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", tracking);
    Slice::new("P", "1.3", 1, 0.0).write(&folder.path().join("chest"));
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!((scan.series[0].uid.as_str(), reasons(&scan)), ("1.3", vec!["no_order"; 5]));
    // Without SliceLocation it could be a volume, and comes after every series whose order is stated.
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| Slice { z: 7.0, ..slice });
    Slice::new("P", "1.3", 1, 0.0).write(&folder.path().join("chest"));
    let taken = preprocess::choice::largest(dicom::scan(folder.path()).expect("a scan").series).taken;
    assert_eq!(taken.iter().map(|series| series.uid.as_str()).collect::<Vec<_>>(), ["1.3"]);
}

#[test]
fn blocks_beyond_a_gap_are_no_part_of_the_volume() {
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice);
    for index in 0..3_u32 {
        Slice::new("P", "1.2", 20 + index, 2000.0 + 5.0 * f64::from(index))
            .write(&folder.path().join(format!("far{index}")));
    }
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!((order(&scan.series[0]).as_str(), reasons(&scan)), ("98765", vec!["stray_position"; 3]));
    assert_eq!(scan.series[0].voxel_mm3(), Some(15.0), "1.5 x 2 x 5 mm by hand");
}

#[test]
fn visits_under_one_series_uid_are_two_series() {
    let scan = two_stacks(|_, slice| slice.with(tags::STUDY_INSTANCE_UID, VR::UI, "1.8"));
    assert_eq!((scan.series.len(), scan.series[0].slices.len(), scan.series[1].slices.len()), (2, 5, 5));
    assert!(scan.skipped.is_empty());
}

#[test]
fn geometry_that_cannot_be_right_is_refused_with_its_values() {
    let far = scan_of("1.2", |index, slice| Slice { z: 500.0 * f64::from(index), ..slice }).expect_err("500 mm");
    assert!(far.to_string().contains("voxels of 1.5 x 2 x 500 mm, expected 0.01 to 250 mm"), "{far}");
    assert!(scan_of("1.2", |_, slice| slice.with(tags::PIXEL_SPACING, VR::DS, "1e99\\1e99")).is_err());
}

#[test]
fn slices_without_position_take_the_corner_of_the_others() {
    let some = |index: u32, slice: Slice| Slice { position: index != 4, ..location(index, slice) };
    let scan = scan_of("1.2", some).expect("a scan");
    // By hand: straight up in steps of 5 mm.
    assert_eq!(scan.series[0].affine().step(2), [0.0, 0.0, 5.0]);
    assert_eq!(scan.series[0].remarks, [dicom::BY_SLICE_LOCATION]);
}

#[test]
fn numbers_in_another_order_have_a_remark() {
    let scan =
        scan_of("1.2", |index, slice| Slice { instance: [3, 1, 5, 2, 4][index as usize], ..slice }).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::NUMBERS_OUT_OF_STEP][..])
    );
}

#[test]
fn stray_slices_are_left_out_by_name() {
    let affine = |scan: &Scan| scan.series[0].affine();
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice);
    let straight = affine(&dicom::scan(folder.path()).expect("a scan"));
    for (z, corner) in [(4000.0, [-64.0, -48.0]), (-300.0, [-64.0, -48.0]), (10.0, [0.0, 0.0]), (0.0, [0.0, 0.0])] {
        Slice { corner, ..Slice::new("P", "1.2", 99, z) }.write(&folder.path().join("stray"));
        let scan = dicom::scan(folder.path()).expect("a scan");
        assert_eq!(
            (order(&scan.series[0]).as_str(), reasons(&scan)),
            ("98765", vec!["stray_position"]),
            "{z} {corner:?}"
        );
        assert_eq!(affine(&scan), straight);
    }
    let without = Slice { position: false, ..Slice::new("P", "1.2", 99, 0.0) };
    without.write(&folder.path().join("stray"));
    assert_eq!(reasons(&dicom::scan(folder.path()).expect("a scan")), ["no_position"]);
}

#[test]
fn shared_instance_uids_are_no_duplicates_unless_pixels_agree() {
    let scan = scan_of("1.2", |_, slice| slice.with(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3")).expect("a scan");
    assert_eq!(
        (order(&scan.series[0]).as_str(), &scan.series[0].remarks[..]),
        ("98765", &[dicom::SHARED_INSTANCE_UID][..])
    );
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice);
    std::fs::copy(folder.path().join("1.2-9"), folder.path().join("1.2-copy")).expect("a copy");
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!((scan.series[0].slices.len(), scan.series[0].remarks.len(), reasons(&scan)), (5, 0, vec!["duplicate"]));
    // One UID in the files of two patients: both are there.
    let mut other = Slice::new("Q", "1.9", 1, 0.0).with(tags::SOP_INSTANCE_UID, VR::UI, "1.2.1");
    other.hu = support::chest(96, 128, true);
    other.write(&folder.path().join("other"));
    let patients: Vec<_> =
        dicom::scan(folder.path()).expect("a scan").series.into_iter().map(|series| series.patient).collect();
    assert_eq!(patients, ["P", "Q"]);
}

#[test]
fn different_slices_at_one_place_have_a_remark() {
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice);
    let mut double = Slice::new("P", "1.2", 99, 10.0);
    double.hu = support::chest(96, 128, true);
    double.write(&folder.path().join("double"));
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!(
        (&scan.series[0].remarks[..], reasons(&scan)),
        (&[dicom::REPEATED_POSITIONS][..], vec!["duplicate_position"])
    );
}

/// A second stack under the UID of the first: shifted by half a step, changed by `change`.
fn two_stacks(change: impl Fn(u32, Slice) -> Slice) -> Scan {
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice.with(tags::ACQUISITION_NUMBER, VR::IS, 1));
    for index in 0..5_u32 {
        let slice = Slice::new("P", "1.2", index + 6, 2.5 + 5.0 * f64::from(index));
        change(index, slice).write(&folder.path().join(format!("second-{index}")));
    }
    dicom::scan(folder.path()).expect("a scan")
}

#[test]
fn acquisitions_under_one_uid_are_told_apart() {
    let second = two_stacks(|_, slice| slice.with(tags::ACQUISITION_NUMBER, VR::IS, 2));
    assert_eq!(
        (order(&second.series[0]).as_str(), &second.series[0].remarks[..]),
        ("98765", &[dicom::SEVERAL_ACQUISITIONS][..])
    );
    assert_eq!(reasons(&second), ["other_acquisition"; 5]);
    // Without any element that says so: InstanceNumber begins anew at the lower end.
    let second = two_stacks(|_, slice| slice.with(tags::ACQUISITION_NUMBER, VR::IS, 1));
    assert_eq!((order(&second.series[0]).as_str(), reasons(&second)), ("98765", vec!["other_acquisition"; 5]));
    // One after the other along the table they are one volume.
    let second = two_stacks(|index, slice| {
        Slice { z: 25.0 + 5.0 * f64::from(index), ..slice }.with(tags::ACQUISITION_NUMBER, VR::IS, 2)
    });
    assert_eq!((second.series[0].slices.len(), second.series[0].remarks.len()), (10, 0));
}

#[test]
fn reconstructions_of_other_spacing_are_other_stacks() {
    let smaller = two_stacks(|_, slice| slice.with(tags::PIXEL_SPACING, VR::DS, "1\\0.75"));
    assert_eq!((order(&smaller.series[0]).as_str(), reasons(&smaller)), ("98765", vec!["other_stack_of_series"; 5]));
    // Of two equal ones that which shows more of the body, whatever the order of the files.
    let larger = two_stacks(|_, slice| slice.with(tags::PIXEL_SPACING, VR::DS, "4\\3"));
    assert_eq!(order(&larger.series[0]), "01234");
    // Digits of orientation and spacing that differ from slice to slice are one stack.
    let jitter = scan_of("1.2", |index, slice| {
        let turn = 0.049 + 0.002 * f64::from(index);
        slice.with(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, format!("1\\{turn}\\0\\-{turn}\\1\\0")).with(
            tags::PIXEL_SPACING,
            VR::DS,
            format!("2.000{index}\\1.5"),
        )
    });
    assert_eq!(jitter.expect("a scan").series[0].slices.len(), 5);
}

#[test]
fn series_of_one_slice_each_are_joined() {
    let uids = ["1.2.1", "1.2.2", "1.2.3", "1.2.4"];
    let write = |folder: &Path, study_per_file: bool| {
        for (index, uid) in uids.into_iter().enumerate() {
            let study = if study_per_file { format!("1.7.{index}") } else { "1.7".to_owned() };
            let slice = Slice::new("P", uid, 1, 5.0 * index as f64).with(tags::STUDY_INSTANCE_UID, VR::UI, study);
            slice.write(&folder.join(format!("{}", 9 - index)));
        }
    };
    for study_per_file in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), study_per_file);
        let scan = dicom::scan(folder.path()).expect("a scan");
        assert_eq!((scan.series.len(), order(&scan.series[0]).as_str()), (1, "9876"));
        assert_eq!(scan.series[0].remarks, [dicom::JOINED_SERIES]);
    }
    // Slices of several studies at uneven places are what they say: several series.
    let folder = tempfile::tempdir().expect("a folder");
    for (uid, z) in uids.into_iter().zip([0.0, 3.0, 40.0, 41.0]) {
        let slice = Slice::new("P", uid, 1, z).with(tags::STUDY_INSTANCE_UID, VR::UI, format!("{uid}.7"));
        slice.write(&folder.path().join(uid));
    }
    assert_eq!(dicom::scan(folder.path()).expect("a scan").series.len(), 4);
    // At one place, too.
    let folder = tempfile::tempdir().expect("a folder");
    for uid in uids {
        Slice::new("P", uid, 1, 0.0).write(&folder.path().join(uid));
    }
    assert_eq!(dicom::scan(folder.path()).expect("a scan").series.len(), 4);
}

#[test]
fn originals_and_derived_images_are_judged_per_study() {
    let folder = tempfile::tempdir().expect("a folder");
    let derived = |study: &'static str| {
        move |_: u32, slice: Slice| {
            Slice { image_type: "DERIVED\\PRIMARY\\AXIAL", ..slice }.with(tags::STUDY_INSTANCE_UID, VR::UI, study)
        }
    };
    stack(folder.path(), "1.1", derived("1.7.1"));
    // Original, but a scout; original, but one slice of a bolus tracking; original, but of another study.
    let mut scout = Slice::new("P", "1.2", 1, 0.0).with(tags::STUDY_INSTANCE_UID, VR::UI, "1.7.1");
    scout.image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
    scout.write(&folder.path().join("scout"));
    let tracking = Slice::new("P", "1.3", 1, 0.0).with(tags::STUDY_INSTANCE_UID, VR::UI, "1.7.1");
    tracking.write(&folder.path().join("tracking"));
    stack(folder.path(), "1.4", |_, slice| slice.with(tags::STUDY_INSTANCE_UID, VR::UI, "1.7.2"));
    stack(folder.path(), "1.5", derived("1.7.2"));
    let scan = dicom::scan(folder.path()).expect("a scan");
    let kept: Vec<&str> = scan.series.iter().map(|series| series.uid.as_str()).collect();
    assert_eq!(kept, ["1.1", "1.3", "1.4"]);
    assert_eq!(reasons(&scan), [vec!["localizer"], vec!["derived"; 5]].concat());
    // Derived images among original ones of one series are left out, too.
    let folder = tempfile::tempdir().expect("a folder");
    stack(folder.path(), "1.2", |_, slice| slice);
    let capture = Slice { image_type: "DERIVED\\SECONDARY\\MPR", ..Slice::new("P", "1.2", 99, 7.0) };
    capture.write(&folder.path().join("capture"));
    let scan = dicom::scan(folder.path()).expect("a scan");
    assert_eq!((order(&scan.series[0]).as_str(), reasons(&scan)), ("98765", vec!["derived"]));
}

#[test]
fn segment_takes_the_series_with_lungs_and_reports_an_empty_mask() {
    let study = Study::new();
    for index in 0..6 {
        let mut slice =
            Slice::new("A", "1.2.1", index, f64::from(index) * 5.0).with(tags::SERIES_DESCRIPTION, VR::LO, "ABDOMEN");
        slice.hu = support::without_lungs();
        slice.write(&study.path(&format!("ct/abdomen/{index}.dcm")));
    }
    let (model, sha256) = (study.model.path.display().to_string(), study.model.sha256.clone());
    let segment = |input: &str| {
        let (input, output) =
            (study.path(input).display().to_string(), study.path("mask.nii.gz").display().to_string());
        let model = ["--model", &model, "--model-sha256", &sha256, "--progress=none", "--no-check-orientation"];
        support::preprocess(["segment", &input, &output].into_iter().chain(model))
    };
    let empty = segment("ct/abdomen");
    assert_eq!(empty.code, 5, "{}", empty.stderr);
    assert!(
        empty.stderr.contains("no lung was found in the 6 slices") && study.path("mask.nii.gz").is_file(),
        "{}",
        empty.stderr
    );
    for index in 0..4 {
        let slice =
            Slice::new("A", "1.2.2", index, f64::from(index) * 5.0).with(tags::SERIES_DESCRIPTION, VR::LO, "CHEST");
        slice.write(&study.path(&format!("ct/chest/{index}.dcm")));
    }
    let taken = segment("ct");
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert!(
        taken.stderr.contains("\"ABDOMEN\"") && taken.stderr.contains("4 of 4 slices of series 1.2.2"),
        "{}",
        taken.stderr
    );
}
