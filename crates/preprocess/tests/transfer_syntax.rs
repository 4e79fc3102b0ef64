//! One small picture in each transfer syntax. `tools/dicom_fixtures.py` made the files with pydicom, GDCM, CharLS and OpenJPEG,
//! and the expected HU with pydicom, held against SimpleITK.

use std::path::{Path, PathBuf};

use preprocess::{dicom, hounsfield};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom")
}

fn expected(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixtures().join(name)).expect("the expected values");
    bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect()
}

fn check(name: &str, expected: &[f32]) {
    let path = fixtures().join(name);
    let hu = hounsfield::read(&path, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(hu.dim(), (48, 64), "{name}");
    let differ = hu.iter().zip(expected).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "{name}");
}

#[test]
fn every_lossless_syntax_gives_the_same_picture() {
    let picture = expected("picture.hu");
    for sign in ["signed", "unsigned"] {
        for syntax in
            ["implicit", "explicit", "big-endian", "deflated", "rle", "jpeg-57", "jpeg-70", "jpeg-ls", "jpeg-2000"]
        {
            check(&format!("{sign}-{syntax}.dcm"), &picture);
        }
    }
}

#[test]
fn lossy_syntaxes_give_what_pydicom_gives() {
    for sign in ["signed", "unsigned"] {
        for syntax in ["jpeg-ls-near", "jpeg-2000-lossy"] {
            let name = format!("{sign}-{syntax}");
            // Air may overshoot to below -1024 HU, which counts as air here.
            let expected: Vec<f32> = expected(&format!("{name}.hu")).iter().map(|hu| hu.max(-1024.0)).collect();
            check(&format!("{name}.dcm"), &expected);
        }
    }
}

#[test]
fn headers_do_not_depend_on_the_syntax() {
    for syntax in ["implicit", "explicit", "big-endian", "deflated", "rle"] {
        let file = PathBuf::from(format!("signed-{syntax}.dcm"));
        let headers = dicom::headers(&fixtures(), &file).expect("a header");
        let [header] = &headers[..] else { panic!("one slice") };
        assert_eq!((header.shape, header.patient.as_str(), header.series_number), ((48, 64), "P", Some(3)), "{syntax}");
        assert_eq!((header.description.as_str(), header.thickness_mm), ("Thorax 1.0", Some(5.0)), "{syntax}");
        assert!(header.has_rescale && header.frame.is_none(), "{syntax}");
        let names: Vec<&str> = header.names.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["Doe^Jane", "19500101"], "{syntax}");
        assert!(!format!("{header:?}").contains("Doe"), "names are not printed");
    }
}

#[test]
fn a_syntax_that_is_not_supported_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.dcm");
    let mut bytes = std::fs::read(fixtures().join("signed-jpeg-2000.dcm")).expect("a file");
    let uid = b"1.2.840.10008.1.2.4.90";
    let at = bytes.windows(uid.len()).position(|window| window == uid).expect("the transfer syntax");
    bytes[at + uid.len() - 1] = b'9';
    std::fs::write(&path, bytes).expect("written");
    let error = hounsfield::read(&path, None).expect_err("no such syntax").to_string();
    assert!(error.contains("a.dcm") && error.contains("1.2.840.10008.1.2.4.99 is not supported"), "{error}");
}
