//! Enhanced multi-frame CT, made by `tools/dicom_fixtures.py`: five frames out of order, each with a rescale of its own.

use std::path::{Path, PathBuf};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use preprocess::{dicom, hounsfield};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom")
}

#[test]
fn frames_become_slices_in_the_order_of_their_places() {
    for name in ["enhanced-explicit.dcm", "enhanced-rle.dcm", "enhanced-jpeg-ls.dcm"] {
        let scan = dicom::scan_file(&fixtures().join(name)).expect("a scan");
        let [series] = &scan.series[..] else { panic!("one series") };
        let frames: Vec<Option<u32>> = series.slices.iter().map(|slice| slice.frame).collect();
        // By hand, from the places 20, 10, 0, 30, 40 mm in the script.
        assert_eq!(frames, [2, 1, 0, 3, 4].map(Some), "{name}");
        assert_eq!(series.depths(), [0.0, 10.0, 20.0, 30.0, 40.0].map(Some));
        // By hand: 2 mm x 1.5 mm x 10 mm.
        assert_eq!((series.voxel_mm3(), series.thickness_mm), (Some(30.0), Some(5.0)));
        assert!(series.remarks.is_empty() && series.slices.iter().all(|slice| slice.has_rescale));
        assert_eq!((series.number, series.description.as_str()), (Some(3), "Thorax 1.0"));
    }
}

#[test]
fn each_frame_has_its_own_rescale() {
    let bytes = std::fs::read(fixtures().join("enhanced.hu")).expect("the expected values");
    let expected: Vec<f32> =
        bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    for name in ["enhanced-explicit.dcm", "enhanced-rle.dcm", "enhanced-jpeg-ls.dcm"] {
        for (frame, expected) in expected.chunks(12 * 16).enumerate() {
            let hu = hounsfield::read(&fixtures().join(name), u32::try_from(frame).ok()).expect("a frame");
            assert_eq!(hu.dim(), (12, 16));
            assert!(hu.iter().zip(expected).all(|(hu, expected)| hu == expected), "{name}, frame {frame}");
        }
    }
}

#[test]
fn a_frame_that_is_not_there_is_an_error() {
    let path = fixtures().join("enhanced-explicit.dcm");
    let error = hounsfield::read(&path, Some(5)).expect_err("five frames").to_string();
    assert!(error.contains("enhanced-explicit.dcm") && error.contains("the file has 5"), "{error}");
    let error = hounsfield::read(&path, None).expect_err("several frames").to_string();
    assert!(error.contains("holds 5 frames"), "{error}");
}

/// The file without the positions of the frames that `is_out` names; the folder that it is in.
fn without_positions(is_out: impl Fn(usize) -> bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut object = dicom_object::open_file(fixtures().join("enhanced-explicit.dcm")).expect("a file");
    let groups = object.take_element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).expect("groups");
    let mut items = groups.items().expect("items").to_vec();
    for (_, item) in items.iter_mut().enumerate().filter(|(index, _)| is_out(*index)) {
        item.remove_element(tags::PLANE_POSITION_SEQUENCE);
    }
    let groups = DataSetSequence::from(items);
    object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, groups));
    object.write_to_file(folder.path().join("a.dcm")).expect("written");
    folder
}

#[test]
fn frames_of_which_some_have_no_position_are_an_error() {
    let folder = without_positions(|frame| frame == 3);
    let error = dicom::scan(folder.path()).expect_err("a frame without a place").to_string();
    assert!(error.contains("a.dcm") && error.contains("1 of 5 frames have no ImagePositionPatient"), "{error}");
}

#[test]
fn frames_without_any_position_are_placed_by_the_spacing_of_slices() {
    let folder = without_positions(|_| true);
    let scan = dicom::scan(folder.path()).expect("a scan");
    // SliceThickness is 5 mm in the script that made the file.
    assert_eq!(scan.series[0].depths(), [0.0, 5.0, 10.0, 15.0, 20.0].map(Some));
    assert_eq!(scan.series[0].remarks, ["frames_placed_by_spacing"]);
}
