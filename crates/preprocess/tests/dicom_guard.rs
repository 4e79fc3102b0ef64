//! Files that state more than they hold, built here byte by byte (PS3.5 section 7, PS3.10 section 7.1), and what dicom-rs alone
//! would not read. That memory stays small is held by the files' own sizes: each asks for far more than any machine has.

use std::path::{Path, PathBuf};

use preprocess::{dicom, hounsfield};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const RLE: &str = "1.2.840.10008.1.2.5";
const END: u32 = u32::MAX;

/// The head of an element with a length of 32 bits.
fn long(group: u16, element: u16, vr: &str, length: u32) -> Vec<u8> {
    [&group.to_le_bytes()[..], &element.to_le_bytes(), vr.as_bytes(), &[0; 2], &length.to_le_bytes()].concat()
}

/// An element with a length of 16 bits.
fn short(group: u16, element: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u16).to_le_bytes();
    [&group.to_le_bytes()[..], &element.to_le_bytes(), vr.as_bytes(), &length, value].concat()
}

/// An item or a delimiter: E000, E00D, E0DD.
fn item(element: u16, length: u32) -> Vec<u8> {
    [&0xFFFE_u16.to_le_bytes()[..], &element.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// The attributes of a CT slice of 8 x 8 pixels, up to its pixels.
fn slice(allocated: u16) -> Vec<u8> {
    let number = |element: u16, value: u16| short(0x0028, element, "US", &value.to_le_bytes());
    [
        short(0x0008, 0x0005, "CS", b"ISO_IR 144"),
        short(0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        short(0x0008, 0x0060, "CS", b"CT"),
        short(0x0010, 0x0010, "PN", b"\xBB\xEE\xDA\x63eM\xB3 "),
        number(0x0002, 1),
        number(0x0010, 8),
        number(0x0011, 8),
        number(0x0100, allocated),
        number(0x0101, 8),
        number(0x0103, 0),
    ]
    .concat()
}

fn file(syntax: &str, data: &[u8]) -> Vec<u8> {
    let syntax = format!("{syntax}{}", if syntax.len() % 2 == 1 { "\0" } else { "" });
    let meta = short(0x0002, 0x0010, "UI", syntax.as_bytes());
    let length = short(0x0002, 0x0000, "UL", &(meta.len() as u32).to_le_bytes());
    [&[0; 128][..], b"DICM", &length, &meta, data].concat()
}

struct Written(#[allow(dead_code, reason = "removes the folder")] tempfile::TempDir, PathBuf);

fn write(bytes: &[u8]) -> Written {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.dcm");
    std::fs::write(&path, bytes).expect("written");
    Written(folder, path)
}

fn headers(path: &Path) -> Result<Vec<dicom::Header>, preprocess::Error> {
    dicom::headers(path.parent().expect("a folder"), Path::new("a.dcm"))
}

/// Both the header and the pixels are refused, with this text.
fn refused(data: &[u8], text: &str) {
    refused_file(&file(EXPLICIT, data), text);
}

fn refused_file(bytes: &[u8], text: &str) {
    let Written(_folder, path) = write(bytes);
    let errors = [headers(&path).expect_err("a header"), hounsfield::read(&path, None).expect_err("a slice")];
    for error in errors {
        let error = error.to_string();
        assert!(error.contains("a.dcm") && error.contains(text), "{error}");
    }
}

#[test]
fn lengths_beyond_the_file_are_refused() {
    let all = |data: &[&[u8]]| data.concat();
    refused(&all(&[&slice(8), &long(0x0028, 0x4000, "UT", 4_000_000_000), b"short"]), "where 5 are left");
    refused(&all(&[&slice(8), &long(0x0028, 0x3000, "SQ", 4_000_000_000), &item(0xE000, 8)]), "where 8 are left");
    let sequence = [long(0x0008, 0x1140, "SQ", 24), item(0xE000, 0xFFFF_FFF0), vec![0; 4000], slice(8)].concat();
    refused(&sequence, "where 16 are left");
    let cut = [slice(8), long(0x0028, 0x3000, "SQ", END), item(0xE000, END)].concat();
    refused(&cut, "the file ends in a sequence");
}

#[test]
fn a_length_in_the_file_meta_information_is_refused() {
    let bytes = [&[0; 128][..], b"DICM", &long(0x0002, 0x0010, "OB", 4_000_000_000), &slice(8)].concat();
    refused_file(&bytes, "are left");
}

#[test]
fn lengths_of_pixels_and_fragments_are_held_too() {
    let native = [slice(8), long(0x7FE0, 0x0010, "OW", 4_000_000_000), vec![0; 64]].concat();
    let fragment =
        [slice(8), long(0x7FE0, 0x0010, "OB", END), item(0xE000, 0), item(0xE000, 4_000_000_000), vec![0; 64]].concat();
    for data in [native, fragment] {
        let Written(_folder, path) = write(&file(EXPLICIT, &data));
        assert!(headers(&path).is_ok(), "a header ends at the pixels");
        let error = hounsfield::read(&path, None).expect_err("pixels").to_string();
        assert!(error.contains("where 64 are left"), "{error}");
    }
}

#[test]
fn nesting_and_small_elements_are_bounded() {
    let open = [long(0x0008, 0x1140, "SQ", END), item(0xE000, END)].concat();
    refused(&open.repeat(200_000), "nested deeper than 24");
    let small = [long(0x0008, 0x1140, "SQ", END), item(0xE000, 0).repeat(1 << 16), item(0xE0DD, 0), slice(8)].concat();
    refused(&small, "more elements than a file of its size");
    let values = [&long(0x0008, 0x0119, "UC", 1 << 20)[..], &[b'\\'; 1 << 20], &slice(8)].concat();
    refused(&values, "more values than a file of its size");
}

#[test]
fn rle_segments_are_held_against_the_picture() {
    // Segments of one byte for each pixel: 64 times the same, and the byte that makes the length even.
    let frame =
        |segments: u32, run: &[u8]| [&segments.to_le_bytes()[..], &64_u32.to_le_bytes(), &[0; 56], run].concat();
    let read = |frame: &[u8]| {
        let pixels = [long(0x7FE0, 0x0010, "OB", END), item(0xE000, 0), item(0xE000, frame.len() as u32)].concat();
        let Written(_folder, path) = write(&file(RLE, &[&slice(8), &pixels, frame].concat()));
        hounsfield::read(&path, None).map(|hu| hu[[7, 7]]).map_err(|error| error.to_string())
    };
    assert_eq!(read(&frame(1, &[0xC1, 9])), Ok(9.0));
    for (frame, text) in [
        (frame(0xF000_0000, &[0xC1, 9]), "expected 1 RLE segments"),
        (frame(1, &[0xC2, 9]), "pixels, found 63"),
        (frame(1, &[0x81, 9].repeat(1000)), "pixels, found 128000"),
    ] {
        assert!(read(&frame).is_err_and(|error| error.contains(text)), "{text}");
    }
}

#[test]
fn numbers_cut_off_in_an_item_are_refused() {
    // Otherwise dicom-rs and the walk before it would go on at different bytes.
    let cut = [item(0xE000, 11), short(0x0028, 0x0010, "US", &[8, 0, 0])].concat();
    refused(&[long(0x0008, 0x1140, "SQ", cut.len() as u32), cut, slice(8)].concat(), "no whole numbers");
}

#[test]
fn a_deflated_file_inflates_to_a_bound() {
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&slice(8)).expect("deflated");
    (0..32).for_each(|_| encoder.write_all(&[0; 1 << 20]).expect("deflated"));
    refused_file(&file(DEFLATED, &encoder.finish().expect("deflated")), "inflates to more than");
}

#[test]
fn what_writers_leave_out_is_filled_in() {
    let pixels: Vec<u8> = (0..64).collect();
    let data = [slice(8), long(0x7FE0, 0x0010, "OB", 64), pixels.clone()].concat();
    // The length of the file meta information is wrong, or not there at all; there is no HighBit.
    let whole = file(EXPLICIT, &data);
    let mut wrong = whole.clone();
    wrong[140..144].copy_from_slice(&7_u32.to_le_bytes());
    let without = [&whole[..132], &whole[144..]].concat();
    for bytes in [whole, wrong, without] {
        let Written(_folder, path) = write(&bytes);
        let headers = headers(&path).expect("a header");
        // ISO 8859-5, by its table: U+041B U+042E U+043A, "ceM" in Latin letters, U+0413.
        assert_eq!(headers[0].names[0].0, "\u{41B}\u{44E}\u{43A}ceM\u{413}");
        let hu = hounsfield::read(&path, None).expect("a slice");
        assert!(hu.iter().zip(&pixels).all(|(hu, stored)| *hu == f32::from(*stored)));
    }
}

#[test]
fn names_change_their_character_set() {
    // PS3.5 annexes H and I: Japanese and Korean after the default, by the tables of JIS X 0208 and KS X 1001.
    for (set, name, expected) in [
        (
            "ISO 2022 IR 6\\ISO 2022 IR 87",
            &b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B "[..],
            "Yamada^Tarou=山田^太郎",
        ),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xFB\xF3^\x1b$)C\xD1\xCE\xD4\xD7\x1b(B", "Hong^Gildong=洪^吉洞"),
    ] {
        let data = [short(0x0008, 0x0005, "CS", set.as_bytes()), short(0x0010, 0x0010, "PN", name)].concat();
        let Written(_folder, path) = write(&file(EXPLICIT, &data));
        assert_eq!(headers(&path).expect("a header")[0].names[0].0, expected);
    }
}

#[test]
fn unknown_sequences_are_in_implicit_vr() {
    // As a PACS writes a private sequence that it got in implicit VR: an item with a text and a sequence, ended by delimiters.
    let implicit = |group: u16, element: u16, length: u32| {
        [&group.to_le_bytes()[..], &element.to_le_bytes(), &length.to_le_bytes()].concat()
    };
    let inner = [implicit(0x0008, 0x1140, END), item(0xE000, END), item(0xE00D, 0), item(0xE0DD, 0)].concat();
    let items = [item(0xE000, END), implicit(0x2001, 0x1001, 6), b"abcdef".to_vec(), inner, item(0xE00D, 0)].concat();
    let unknown = [long(0x2001, 0x105F, "UN", END), items, item(0xE0DD, 0)].concat();
    let inside = [long(0x2005, 0x1084, "SQ", unknown.len() as u32 + 8), item(0xE000, unknown.len() as u32)].concat();
    // Some write the items in explicit VR nevertheless.
    let explicit = [long(0x2005, 0x1402, "UN", END), item(0xE000, END), short(0x2001, 0x1001, "LO", b"ab")].concat();
    let end = [item(0xE00D, 0), item(0xE0DD, 0), long(0x7FE0, 0x0010, "OB", 64), vec![7; 64]].concat();
    let data = [slice(8), unknown.clone(), inside, unknown, explicit, end].concat();
    let Written(_folder, path) = write(&file(EXPLICIT, &data));
    assert_eq!(headers(&path).expect("a header")[0].shape, (8, 8));
    let hu = hounsfield::read(&path, None).expect("a slice");
    assert!(hu.iter().all(|hu| *hu == 7.0));
}

#[test]
fn jpeg_samples_of_8_bits_fill_words_of_16() {
    // A flat picture, which JPEG keeps exactly.
    let mut jpeg = Vec::new();
    let picture = image::GrayImage::from_pixel(8, 8, image::Luma([200]));
    picture.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).expect("a JPEG");
    jpeg.resize(jpeg.len().next_multiple_of(2), 0);
    let pixels = [long(0x7FE0, 0x0010, "OB", END), item(0xE000, 0), item(0xE000, jpeg.len() as u32), jpeg].concat();
    for allocated in [8, 16] {
        // Without the delimiter that ends the fragments, as some writers leave it.
        for end in [item(0xE0DD, 0), Vec::new()] {
            let data = [&slice(allocated)[..], &pixels, &end].concat();
            let Written(_folder, path) = write(&file(JPEG_BASELINE, &data));
            let hu = hounsfield::read(&path, None).unwrap_or_else(|error| panic!("{error}"));
            assert!(hu.iter().all(|hu| *hu == 200.0), "{allocated} bits");
        }
    }
}
