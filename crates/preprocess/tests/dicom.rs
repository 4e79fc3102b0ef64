//! Grouping, order and pixels of DICOM series made on the spot.

mod support;

use std::path::Path;

use ndarray::{Array2, s};
use preprocess::{dicom, hounsfield};
use support::Slice;

fn files(series: &dicom::Series) -> Vec<&str> {
    series.slices.iter().filter_map(|slice| slice.file.to_str()).collect()
}

fn scan(folder: &Path) -> dicom::Scan {
    dicom::scan(folder).expect("a scan")
}

#[test]
fn without_positions_the_instance_number_orders() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, instance) in [("a", 10), ("b", 9), ("c", 11)] {
        let mut slice = Slice::new("P", "1.2", instance, 0.0);
        slice.position = false;
        slice.write(&folder.path().join(name));
    }
    let scan = scan(folder.path());
    assert_eq!(files(&scan.series[0]), ["b", "a", "c"]);
    assert_eq!((scan.series[0].depths(), scan.series[0].voxel_mm3()), (vec![None; 3], None));
}

#[test]
fn positions_order_along_the_normal_whatever_the_numbers_say() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, instance, z) in [("a", 1, 5.0), ("b", 2, -7.5), ("c", 3, 0.0)] {
        Slice::new("P", "1.2", instance, z).write(&folder.path().join(name));
    }
    let series = &scan(folder.path()).series[0];
    assert_eq!(files(series), ["b", "c", "a"]);
    assert_eq!(series.depths(), [-7.5, 0.0, 5.0].map(Some));
    // By hand: 1.5 mm x 2 mm x 6.25 mm, the mean step.
    assert_eq!(series.voxel_mm3(), Some(18.75));
}

#[test]
fn derived_series_are_used_where_there_is_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    for (patient, series, image_type) in
        [("P", "1.1", "ORIGINAL\\PRIMARY"), ("P", "1.2", "DERIVED\\SECONDARY"), ("Q", "1.3", "DERIVED\\SECONDARY")]
    {
        let mut slice = Slice::new(patient, series, 1, 0.0);
        slice.image_type = image_type;
        slice.write(&folder.path().join(series));
    }
    let scan = scan(folder.path());
    let kept: Vec<&str> = scan.series.iter().map(|series| series.uid.as_str()).collect();
    assert_eq!(kept, ["1.1", "1.3"]);
    assert_eq!((scan.skipped[0].patient.as_str(), scan.skipped[0].reason), ("P", "derived"));
}

#[test]
fn a_series_keeps_its_largest_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    for instance in 1..4 {
        Slice::new("P", "1.2", instance, f64::from(instance)).write(&folder.path().join(format!("{instance}")));
    }
    let mut sagittal = Slice::new("P", "1.2", 9, 0.0);
    sagittal.orientation = "0\\1\\0\\0\\0\\-1";
    sagittal.write(&folder.path().join("0"));
    let scan = scan(folder.path());
    assert_eq!(files(&scan.series[0]), ["1", "2", "3"]);
    assert_eq!(scan.skipped[0].reason, "other_stack_of_series");
}

fn stack(places: impl IntoIterator<Item = (f64, [f64; 2])>) -> dicom::Scan {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, (z, corner)) in (1..).zip(places) {
        let mut slice = Slice::new("P", "1.2", index, z);
        slice.corner = corner;
        slice.write(&folder.path().join(format!("{index:02}")));
    }
    scan(folder.path())
}

#[test]
fn remarks_tell_of_gaps_uneven_steps_and_tilt() {
    let straight = |places: &[f64]| stack(places.iter().map(|z| (*z, [-64.0, -48.0]))).series[0].remarks.clone();
    assert!(straight(&[0.0, 5.0, 10.0, 15.0]).is_empty());
    assert!(straight(&[0.0, 5.01, 9.99, 15.0]).is_empty());
    assert_eq!(straight(&[0.0, 5.0, 10.0, 20.0, 25.0]), [dicom::MISSING_SLICES]);
    assert_eq!(straight(&[0.0, 5.0, 10.0, 16.0, 21.0]), [dicom::UNEVEN_SLICES]);
    assert_eq!(straight(&[0.0, 5.0, 10.0, 13.0, 23.0]), [dicom::MISSING_SLICES, dicom::UNEVEN_SLICES]);
    // By hand: 5 mm up and 5 tan(a) mm to the back, a = 0.9 and 1.1 degrees.
    let tilted =
        |back: f64| stack((0..4).map(|index| (5.0 * f64::from(index), [-64.0, -48.0 + back * f64::from(index)])));
    assert!(tilted(0.0786).series[0].remarks.is_empty());
    assert_eq!(tilted(0.0960).series[0].remarks, [dicom::GANTRY_TILT]);
}

#[test]
fn of_slices_at_one_place_the_first_is_kept() {
    let scan = stack([0.0, 5.0, 5.004, 10.0, 10.2, 5.0].map(|z| (z, [-64.0, -48.0])));
    assert_eq!(files(&scan.series[0]), ["01", "02", "04", "05"]);
    let skipped: Vec<_> = scan.skipped.iter().map(|skipped| (skipped.file.to_str(), skipped.reason)).collect();
    assert_eq!(skipped, [(Some("06"), "duplicate_position"), (Some("03"), "duplicate_position")]);
}

#[test]
fn pixels_become_hu_with_padding_as_air() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut slice = Slice::new("P", "1.2", 1, 0.0);
    slice.hu = Array2::from_shape_fn((4, 5), |(row, column)| (row * 100 + column * 7) as f32 - 1100.0);
    slice.high_bit = false;
    let path = folder.path().join("a.dcm");
    slice.write(&path);
    let hu = hounsfield::read(&path, None).expect("a slice");
    // Below -1024 HU, and the padding in the corner, is air; the rest comes back exactly.
    assert!(hu.row(0).iter().all(|value| *value == -1024.0));
    assert_eq!(hu.slice(s![1.., ..]), slice.hu.slice(s![1.., ..]));
}

#[test]
fn real_slices_are_in_range_if_they_are_here() {
    let Some(shared) = std::env::var_os("CHUMOKU_SHARED") else {
        println!("CHUMOKU_SHARED is not set; real slices are not tried");
        return;
    };
    let folder = Path::new(&shared).join("data/ct-dicom");
    let scan = scan(&folder);
    assert_eq!(scan.series.len() + scan.skipped.len(), 20);
    for slice in scan.series.iter().flat_map(|series| &series.slices) {
        let hu = hounsfield::read(&folder.join(&slice.file), slice.frame).expect("a slice");
        let (least, most) =
            hu.iter().fold((0.0_f32, 0.0_f32), |(low, high), value| (low.min(*value), high.max(*value)));
        assert!(
            hu.dim() == (512, 512) && least == -1024.0 && (100.0..10000.0).contains(&most),
            "{}",
            slice.file.display()
        );
    }
}
