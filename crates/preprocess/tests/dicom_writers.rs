//! What programs that write DICOM do beside the standard: it is read as the well-formed file is, or refused by name with what was
//! found. Each test changes files of a small series of four slices, and compares with the series as it was.

mod support;

use std::path::{Path, PathBuf};

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;
use nifti::{IntoNdArray, NiftiObject, ReaderOptions};
use preprocess::{dicom, hounsfield};
use support::{Outcome, Slice, change, data_set, put, set};

const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// A series in a folder of its own, slices 5 mm apart.
struct Series {
    folder: tempfile::TempDir,
    model: support::Model,
    files: Vec<PathBuf>,
}

impl Series {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = support::stand_in(folder.path());
        let file = |index: u32| {
            let path = folder.path().join(format!("in/{index}.dcm"));
            Slice::new("A", "1.2.1", index + 1, f64::from(index) * 5.0).write(&path);
            path
        };
        Self { files: (0..4).map(file).collect(), folder, model }
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    fn each(&self, change: impl Fn(&Path)) {
        self.files.iter().for_each(|file| change(file));
    }

    /// Runs `segment` on the input.
    fn segment(&self, input: &Path) -> Outcome {
        let path = |path: &Path| path.display().to_string();
        let output = self.folder.path().join("mask.nii.gz");
        let model =
            ["--model".to_owned(), path(&self.model.path), "--model-sha256".to_owned(), self.model.sha256.clone()];
        let files = ["segment".to_owned(), path(input), path(&output), "--threads=1".to_owned()];
        support::preprocess(files.into_iter().chain(model))
    }

    /// The mask of the input, its affine, and what was printed.
    fn mask_of(&self, input: &Path) -> ([[f32; 4]; 3], Array3<u8>, Outcome) {
        let outcome = self.segment(input);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let object = ReaderOptions::new().read_file(self.folder.path().join("mask.nii.gz")).expect("a mask");
        let header = object.header().clone();
        let values = object.into_volume().into_ndarray::<u8>().expect("values");
        let values = values.into_dimensionality().expect("three dimensions");
        ([header.srow_x, header.srow_y, header.srow_z], values, outcome)
    }

    fn mask(&self) -> ([[f32; 4]; 3], Array3<u8>, Outcome) {
        self.mask_of(&self.input())
    }

    /// Expects the mask of the well-formed series.
    fn is_read(&self, expected: &([[f32; 4]; 3], Array3<u8>, Outcome), what: &str) -> Outcome {
        let (affine, mask, outcome) = self.mask();
        assert_eq!((affine, &outcome.stdout), (expected.0, &expected.2.stdout), "{what}");
        assert!(mask == expected.1, "{what}: another mask");
        outcome
    }

    /// Expects an input error with these texts.
    fn is_refused(&self, texts: &[&str]) {
        let outcome = self.segment(&self.input());
        assert_eq!(outcome.code, 4, "{texts:?}: {}", outcome.stderr);
        texts
            .iter()
            .for_each(|text| assert!(outcome.stderr.contains(text), "\"{text}\" is not in: {}", outcome.stderr));
    }
}

/// File meta information with a transfer syntax alone.
fn meta(syntax: &[u8]) -> Vec<u8> {
    [b"\x02\0\x10\0UI", &(syntax.len() as u16).to_le_bytes()[..], syntax].concat()
}

#[test]
fn files_without_preamble_or_meta_information_are_read() {
    let series = Series::new();
    let expected = series.mask();
    let sets = |syntax: &str| -> Vec<Vec<u8>> { series.files.iter().map(|file| data_set(file, syntax)).collect() };
    let (implicit, explicit, big) =
        (sets(uids::IMPLICIT_VR_LITTLE_ENDIAN), sets(uids::EXPLICIT_VR_LITTLE_ENDIAN), sets(BIG_ENDIAN));
    let marked = |meta: &[u8]| [&[0; 128], &b"DICM"[..], meta].concat();
    let explicit_meta = meta(b"1.2.840.10008.1.2.1\0");
    let implicit_meta = b"\x02\0\x10\0\x14\0\0\x001.2.840.10008.1.2.1\0";
    for (what, before, sets, name) in [
        ("implicit VR", vec![], &implicit, ".dcm"),
        ("no name", vec![], &implicit, ""),
        ("explicit VR", vec![], &explicit, ".dcm"),
        ("big endian", vec![], &big, ""),
        ("meta information without preamble", explicit_meta.clone(), &explicit, ".dcm"),
        ("the mark alone", [b"DICM", &explicit_meta[..]].concat(), &explicit, ""),
        ("preamble without mark", vec![0; 128], &explicit, ""),
        ("no transfer syntax", marked(b"\x02\0\x02\0UI\x02\x001\0"), &implicit, ""),
        ("another transfer syntax", marked(&explicit_meta), &implicit, ""),
        ("meta information in implicit VR", marked(implicit_meta), &explicit, ""),
        ("a blank after the transfer syntax", marked(&meta(b"1.2.840.10008.1.2.1 ")), &explicit, ""),
    ] {
        std::fs::remove_dir_all(series.input()).expect("removed");
        for (index, data) in sets.iter().enumerate() {
            std::fs::create_dir_all(series.input()).expect("a folder");
            std::fs::write(series.input().join(format!("{index}{name}")), [&before[..], data].concat())
                .expect("written");
        }
        series.is_read(&expected, what);
    }
}

#[test]
fn a_dcm_that_is_no_dicom_is_named_and_hidden_files_are_skipped() {
    let series = Series::new();
    let expected = series.mask();
    std::fs::write(series.input().join("._0.dcm"), b"\0\x05\x16\x07 about").expect("written");
    std::fs::write(series.input().join("list.csv"), "path,label\n").expect("written");
    series.is_read(&expected, "hidden files");
    for (bytes, found, remedy) in [
        (&b""[..], "an empty file", "copy or export it again"),
        (b"PK\x03\x04\x14\0\0\0", "a zip archive", "unpack it first"),
        (b"\xFF\xD8\xFF\xE0\0\x10JFIF", "a JPEG", "move it out"),
        (b"<!DOCTYPE html>\n<html>", "a web page", "download the file again"),
        (b"path,label\n", "a text", "holds no CT"),
        (&[0; 600], "zeros alone", "copy or export it again"),
        (&[7; 600], "no DICM mark and no DICOM elements", "remove it"),
    ] {
        std::fs::write(series.input().join("x.dcm"), bytes).expect("written");
        series.is_refused(&["x.dcm", found, remedy]);
    }
}

#[test]
fn another_modality_is_counted_with_its_name() {
    for (modality, class, found) in [
        ("OT", SECONDARY_CAPTURE, "4: Modality OT, SOP class Secondary Capture Image"),
        ("", SECONDARY_CAPTURE, "4: no Modality, SOP class Secondary Capture Image"),
        ("OT", uids::CT_IMAGE_STORAGE, "4: Modality OT, SOP class CT Image"),
    ] {
        let series = Series::new();
        let expected = series.mask();
        series.each(|file| {
            set(file, tags::MODALITY, Some(modality));
            set(file, tags::SOP_CLASS_UID, Some(class));
        });
        series.is_refused(&["4 DICOM files skipped as not_ct", found, "dcmodify -nb -i \"(0008,0060)=CT\""]);
        // What the error advises works.
        series.each(|file| set(file, tags::MODALITY, Some("CT")));
        series.is_read(&expected, found);
    }
    for (modality, class) in
        [("MR", "1.2.840.10008.5.1.4.1.1.4"), ("PT", "1.2.840.10008.5.1.4.1.1.128"), ("US", "1.2.3")]
    {
        let series = Series::new();
        series.each(|file| {
            set(file, tags::MODALITY, Some(modality));
            set(file, tags::SOP_CLASS_UID, Some(class));
        });
        let outcome = series.segment(&series.input());
        assert!(outcome.code == 4 && outcome.stderr.contains(&format!("4: Modality {modality}")), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("dcmodify"), "{}", outcome.stderr);
    }
}

#[test]
fn files_without_modality_are_taken_for_ct_by_their_class_or_with_a_remark() {
    let series = Series::new();
    let expected = series.mask();
    series.each(|file| set(file, tags::MODALITY, None));
    let outcome = series.is_read(&expected, "CT by SOP class");
    assert!(!outcome.stderr.contains("remark"), "{}", outcome.stderr);
    series.each(|file| set(file, tags::SOP_CLASS_UID, Some("1.2.3.4")));
    let outcome = series.is_read(&expected, "a private SOP class");
    assert!(outcome.stderr.contains("modality_missing_taken_as_ct"), "{}", outcome.stderr);
}

#[test]
fn decimal_commas_are_read_as_points() {
    let series = Series::new();
    let expected = series.mask();
    for (index, file) in series.files.iter().enumerate() {
        set(file, tags::PIXEL_SPACING, Some("2,0\\1,5"));
        set(file, tags::SLICE_THICKNESS, Some("5,0"));
        set(file, tags::IMAGE_POSITION_PATIENT, Some(&format!("-64,0\\-48,0\\{},0", index * 5)));
        set(file, tags::IMAGE_ORIENTATION_PATIENT, Some("1,0\\0,0\\0\\0\\1,0\\0"));
        set(file, tags::RESCALE_SLOPE, Some("1,0"));
        set(file, tags::RESCALE_INTERCEPT, Some("-1024,0"));
    }
    series.is_read(&expected, "commas");
}

#[test]
fn values_that_cannot_be_used_are_refused_with_the_value() {
    for (tag, value, found) in [
        (tags::PIXEL_SPACING, "abc", "PixelSpacing is \"abc\", expected 2 numbers"),
        (tags::PIXEL_SPACING, "2", "PixelSpacing is \"2\""),
        (tags::PIXEL_SPACING, "0\\0", "PixelSpacing is 0 x 0"),
        (tags::PIXEL_SPACING, "-2\\1.5", "PixelSpacing is -2 x 1.5"),
        (tags::SLICE_THICKNESS, "5 mm", "SliceThickness is \"5 mm\", expected a number"),
        (tags::IMAGE_POSITION_PATIENT, "0\\0", "ImagePositionPatient is \"0\\\\0\", expected 3 numbers"),
        (tags::IMAGE_POSITION_PATIENT, "0\\0\\NaN", "ImagePositionPatient is"),
        (tags::IMAGE_ORIENTATION_PATIENT, "0\\0\\0\\0\\0\\0", "ImageOrientationPatient is 0, 0"),
        (tags::RESCALE_INTERCEPT, "none", "RescaleIntercept is \"none\""),
        (tags::NUMBER_OF_FRAMES, "one", "NumberOfFrames is \"one\""),
    ] {
        let series = Series::new();
        series.each(|file| set(file, tag, Some(value)));
        series.is_refused(&[".dcm", found, "correct the element"]);
    }
}

#[test]
fn sizes_of_pixels_that_are_guessed_or_missing_are_remarked() {
    let series = Series::new();
    let expected = series.mask();
    series.each(|file| {
        set(file, tags::PIXEL_SPACING, None);
        set(file, tags::IMAGER_PIXEL_SPACING, Some("2\\1.5"));
    });
    let outcome = series.is_read(&expected, "ImagerPixelSpacing");
    assert!(outcome.stderr.contains("pixel_size_of_detector"), "{}", outcome.stderr);
    series.each(|file| set(file, tags::IMAGER_PIXEL_SPACING, None));
    let (_, mask, outcome) = series.mask();
    assert!(outcome.stderr.contains("pixel_size_unknown") && outcome.stdout.contains("pixels"), "{}", outcome.stderr);
    assert!(mask == expected.1);
}

#[test]
fn a_thickness_of_zero_is_unknown() {
    for value in ["0", "-5"] {
        let series = Series::new();
        series.each(|file| set(file, tags::SLICE_THICKNESS, Some(value)));
        assert_eq!(dicom::scan(&series.input()).expect("a scan").series[0].thickness_mm, None);
    }
}

/// All slices of the series in one file without functional groups; returns its path.
fn one_file(series: &Series) -> PathBuf {
    let words = |file: &PathBuf| {
        let object = dicom_object::open_file(file).expect("a slice");
        object.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").into_owned()
    };
    let all: Vec<u8> = series.files.iter().flat_map(words).collect();
    series.files[1..].iter().for_each(|file| std::fs::remove_file(file).expect("removed"));
    change(&series.files[0], |object| {
        put(object, tags::NUMBER_OF_FRAMES, VR::IS, "4 ");
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(all)));
    });
    series.files[0].clone()
}

#[test]
fn frames_with_one_position_are_placed_by_the_spacing_of_slices() {
    let series = Series::new();
    let expected = series.mask();
    let file = one_file(&series);
    // SliceThickness is 5 mm; SpacingBetweenSlices comes before it.
    let outcome = series.is_read(&expected, "by thickness");
    assert!(outcome.stderr.contains("frames_placed_by_spacing"), "{}", outcome.stderr);
    set(&file, tags::SPACING_BETWEEN_SLICES, Some("2,5"));
    assert_eq!(series.mask().0[2], [0.0, 0.0, 2.5, 0.0]);
    set(&file, tags::SPACING_BETWEEN_SLICES, None);
    set(&file, tags::SLICE_THICKNESS, None);
    series.is_refused(&["0.dcm", "neither SpacingBetweenSlices nor SliceThickness", "dcmodify -i \"(0018,0088)="]);
    set(&file, tags::SPACING_BETWEEN_SLICES, Some("5"));
    series.is_read(&expected, "as the error advises");
}

#[test]
fn more_frames_than_the_file_says_are_refused() {
    let series = Series::new();
    let file = one_file(&series);
    set(&file, tags::NUMBER_OF_FRAMES, Some("1"));
    series.is_refused(&["0.dcm", "pixels of 4 frames, NumberOfFrames is 1"]);
    set(&file, tags::NUMBER_OF_FRAMES, Some("2000000000"));
    series.is_refused(&["0.dcm", "NumberOfFrames is 2000000000"]);
}

/// Packs a slice by RLE (PS3.5 annex G): the high bytes of all pixels, then the low ones, as literal runs.
fn packed(words: &[u8]) -> Vec<u8> {
    let segment = |low: usize| -> Vec<u8> {
        let bytes: Vec<u8> = words.chunks_exact(2).map(|pair| pair[1 - low]).collect();
        let mut runs: Vec<u8> = bytes.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect();
        runs.resize(runs.len().next_multiple_of(2), 0x80);
        runs
    };
    let (high, low) = (segment(0), segment(1));
    let starts = [2, 64, 64 + high.len() as u32].map(u32::to_le_bytes).concat();
    [starts, vec![0; 52], high, low].concat()
}

#[test]
fn a_frame_in_many_fragments_is_read() {
    let series = Series::new();
    let expected = series.mask();
    for part in [1 << 20, 1000, 78] {
        series.each(|file| {
            change(file, |object| {
                let whole = match object.element(tags::PIXEL_DATA).expect("pixels").fragments() {
                    Some(fragments) => fragments.concat(),
                    None => packed(&object.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes")),
                };
                let fragments: Vec<Vec<u8>> = whole.chunks(part).map(<[u8]>::to_vec).collect();
                let fragments = PixelFragmentSequence::new_fragments(fragments);
                object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
                put(object, tags::NUMBER_OF_FRAMES, VR::IS, "1 ");
                object.meta_mut().transfer_syntax = uids::RLE_LOSSLESS.to_owned();
                object.meta_mut().update_information_group_length();
            });
        });
        series.is_read(&expected, &format!("fragments of {part} bytes"));
    }
    // Fragments in a file that says it has none.
    series.each(|file| {
        let data = data_set(file, uids::EXPLICIT_VR_LITTLE_ENDIAN);
        std::fs::write(file, data).expect("written");
    });
    series.is_refused(&["0.dcm", "its pixels are compressed", "file meta information"]);
}

#[test]
fn what_lies_beside_the_ct_is_named_by_kind() {
    let series = Series::new();
    let expected = series.mask();
    let beside = |name: &str, change_it: &dyn Fn(&mut dicom_object::DefaultDicomObject)| {
        let path = series.input().join(name);
        Slice::new("A", "1.2.9", 1, 0.0).write(&path);
        change(&path, change_it);
    };
    let document = |class: &'static str, modality: &'static str| {
        move |object: &mut dicom_object::DefaultDicomObject| {
            put(object, tags::SOP_CLASS_UID, VR::UI, class);
            put(object, tags::MODALITY, VR::CS, modality);
            object.meta_mut().media_storage_sop_class_uid = class.to_owned();
            object.meta_mut().update_information_group_length();
            for tag in [tags::ROWS, tags::COLUMNS, tags::PIXEL_DATA] {
                object.remove_element(tag);
            }
        }
    };
    beside("dose", &document("1.2.840.10008.5.1.4.1.1.88.67", "SR"));
    beside("pdf", &document("1.2.840.10008.5.1.4.1.1.104.1", "CT"));
    beside("state", &document("1.2.840.10008.5.1.4.1.1.11.1", "PR"));
    beside("colour", &|object| put(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR"));
    std::fs::write(series.input().join("viewer.xml"), "<a/>").expect("written");
    let outcome = series.is_read(&expected, "the CT alone");
    for text in [
        "2 DICOM files skipped as not_ct (1: Modality PR, SOP class Presentation State; 1: Modality SR, SOP class Radiation Dose SR)",
        "1 DICOM files skipped as no_image (1: Encapsulated PDF)",
        "1 DICOM files skipped as not_grey (1: PALETTECOLOR)",
        "1 files that are not DICOM (1: an XML text)",
    ] {
        assert!(outcome.stderr.contains(text), "{text} is not in {}", outcome.stderr);
    }
}

#[test]
fn names_in_another_character_set_do_not_matter() {
    // A name in GB 18030, by its table, under the default set, UTF-8 and an unknown term.
    for set in ["", "ISO_IR 192", "GBK2312-80"] {
        let series = Series::new();
        let expected = series.mask();
        series.each(|file| {
            change(file, |object| {
                put(object, tags::SPECIFIC_CHARACTER_SET, VR::CS, if set.is_empty() { "ISO_IR 100" } else { set });
                put(object, tags::PATIENT_NAME, VR::PN, "XXXX");
            });
            let mut bytes = std::fs::read(file).expect("a file");
            let at = bytes.windows(8).position(|window| window == b"PN\x04\0XXXX").expect("the name");
            bytes[at + 4..at + 8].copy_from_slice(b"\xD5\xC5\xC8\xFD");
            std::fs::write(file, bytes).expect("written");
        });
        series.is_read(&expected, set);
    }
}

#[test]
fn text_and_numbers_of_unknown_vr_are_read() {
    let series = Series::new();
    let expected = series.mask();
    series.each(|file| {
        change(file, |object| {
            for (tag, value) in [
                (tags::PATIENT_ID, &b"A\0"[..]),
                (tags::MODALITY, b"CT"),
                (tags::PIXEL_SPACING, b"2\\1.5 "),
                (tags::ROWS, &[96, 0]),
                (tags::BITS_ALLOCATED, &[16, 0]),
            ] {
                object.put(DataElement::new(tag, VR::UN, PrimitiveValue::from(value)));
            }
            object.put(DataElement::new(Tag(0xFFFC, 0xFFFC), VR::OB, PrimitiveValue::from(vec![0_u8; 64])));
        });
        let bytes = std::fs::read(file).expect("a file");
        std::fs::write(file, bytes).expect("written");
    });
    series.is_read(&expected, "UN and trailing padding");
}

#[test]
fn what_follows_the_pixels_and_is_no_element_is_left_out() {
    let series = Series::new();
    let expected = series.mask();
    let plain: Vec<Vec<u8>> = series.files.iter().map(|file| std::fs::read(file).expect("a file")).collect();
    for (what, after) in [("zeros", vec![0; 512]), ("text", b"garbage of 33 bytes at the file's end".to_vec())] {
        for (file, bytes) in series.files.iter().zip(&plain) {
            std::fs::write(file, [&bytes[..], &after].concat()).expect("written");
        }
        series.is_read(&expected, what);
    }
    // Pixels that are cut off stay an error.
    std::fs::write(&series.files[2], &plain[2][..plain[2].len() - 2]).expect("written");
    series.is_refused(&["2.dcm", "truncated or corrupt"]);
}

#[test]
fn pixels_that_are_not_grey_integers_are_named() {
    let series = Series::new();
    let file = &series.files[0];
    change(file, |object| {
        object.remove_element(tags::PIXEL_DATA);
        object.put(DataElement::new(Tag(0x7FE0, 0x0008), VR::OF, PrimitiveValue::F32([0.5; 4].into_iter().collect())));
    });
    let error = hounsfield::read(file, None).expect_err("floats").to_string();
    assert!(error.contains("floating-point") && error.contains("NIfTI"), "{error}");
    let file = &series.files[1];
    change(file, |object| {
        object.put(DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(32_u16)));
    });
    let error = hounsfield::read(file, None).expect_err("32 bits").to_string();
    assert!(error.contains("in 32 bits") && error.contains("16 bits"), "{error}");
}
