//! Slices as image files: a manifest names path, patient_id and label; grey values become HU.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use contract::schema::column;
use contract::user_table::{Audience, Place, UserTable};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Rgba};
use ndarray::Array2;

use crate::contain;
use crate::ct_slice::CtSlice;
use crate::error::Error;
use crate::labels;

pub mod kinds;

/// A row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its line or row.
    pub row: Place,
    /// Path as the manifest has it.
    pub source: String,
    /// The file.
    pub path: PathBuf,
    /// The patient.
    pub patient: String,
    /// Class index.
    pub label: usize,
}

/// A manifest.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Its rows.
    pub entries: Vec<Entry>,
    /// What had to be guessed about the table, and what looks like a mistake in it.
    pub remarks: Vec<String>,
}

/// Reads a manifest: columns `path` (relative to the manifest), `patient_id`, `label` (class index or class name); more columns
/// are allowed. Every file must exist.
///
/// # Errors
/// A column is missing, a value is empty, a label is not a class, a file is missing or listed twice, a patient has two
/// labels, or there is no row.
pub fn read_manifest(manifest: &Path, classes: &[String]) -> Result<Manifest, Error> {
    let table = UserTable::read(manifest, &[], Audience::Log)?;
    let [path_at, patient_at, label_at] = table.require([column::PATH, column::PATIENT_ID, column::LABEL])?;
    let ids = table.ids(patient_at)?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let mut entries = Vec::new();
    let mut paths: BTreeMap<PathBuf, Place> = BTreeMap::new();
    let mut patients = labels::Patients::default();
    for (row, patient) in ids.values.into_iter().enumerate() {
        let place = table.place(row);
        let failed = |message: String| Error::from(table.fault(place, message));
        let source = table.filled(row, path_at)?;
        let label = labels::of_row(&table, row, label_at, classes)?;
        let path = folder.join(&source);
        if !path.is_file() {
            return Err(failed(no_file(&path, &source)));
        }
        if let Some(first) = paths.insert(entry_of(&path), place) {
            return Err(failed(format!("its file is that of {first} already; list a file once")));
        }
        patients.add(&patient, label, place, classes).map_err(failed)?;
        entries.push(Entry { row: place, source, path, patient, label });
    }
    let mut remarks = ids.remarks;
    if table.find(column::MASK)?.is_some() {
        remarks.push(
            "the manifest has a column \"mask\", which is not read: the masks are those of preprocess.model".to_owned(),
        );
    }
    Ok(Manifest { entries, remarks })
}

/// The words for a file that is not there. They do not spell its path, which may be a patient's name.
fn no_file(path: &Path, source: &str) -> String {
    let message = if path.is_dir() {
        "its path is a folder; name a file (a folder of DICOM is given as preprocess.input, without a manifest)"
    } else if source.contains('\\') {
        "its file is not there; write paths with / and not \\"
    } else {
        "its file is not there; its path is relative to the manifest's folder"
    };
    message.to_owned()
}

/// A file in its real folder, by which it is known again whatever way leads there. A link is a file of its own.
fn entry_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or(real.clone(), |name| real.join(name))
}

/// Reads an image file as HU: a grey value of 0..1 maps linearly to `low`..`high`. Colours count by luminance, transparency
/// shows black. 16 bits are kept. The picture is turned as its EXIF orientation says, as viewers show it.
///
/// # Errors
/// The file is not a PNG or JPEG, is damaged, has more pixels than its bytes can mean, or is a JPEG in CMYK. The content
/// decides, not the name.
pub fn read(path: &Path, range_hu: (f64, f64)) -> Result<Array2<f32>, Error> {
    Ok(open(path, range_hu)?.hu)
}

/// As [`read`], with the stored values of an image of 16 bits, which may be those of CT.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path, (low, high): (f64, f64)) -> Result<CtSlice, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let image = contain::panics(|| decode(&bytes)).map_err(|message| Error::File {
        path: path.to_owned(),
        message: format!("not a readable PNG or JPEG: {message}"),
    })?;
    let values = grey(&image);
    let stored = is_wide(&image).then(|| values.mapv(|value| (value * f32::from(u16::MAX)).round()));
    let hu = values.mapv_into(|value| (low + f64::from(value) * (high - low)) as f32);
    Ok(CtSlice::of_picture(hu, stored.as_ref()))
}

/// True for an image of more than 8 bits a colour.
fn is_wide(image: &DynamicImage) -> bool {
    image.color().bytes_per_pixel() / image.color().channel_count() > 1
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    if jpeg_components(bytes) == Some(4) {
        return Err("a JPEG in CMYK, which is for print; convert it to grey".to_owned());
    }
    if let Some(message) = kinds::foreign(bytes) {
        return Err(message);
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (columns, rows) = decoder.dimensions();
    contain::pixels(rows as usize, columns as usize, bytes.len())?;
    // Unreadable EXIF is no reason not to read the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Components of the frame of a JPEG (ITU-T T.81 B.2.2); `None` if there is none.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let [0xFF, marker, after @ ..] = rest else { return None };
        // A marker may be filled up with FF.
        if *marker == 0xFF {
            rest = &rest[1..];
            continue;
        }
        if (0xC0..=0xC2).contains(marker) {
            return after.get(7).copied();
        }
        let length = u16::from_be_bytes([*after.first()?, *after.get(1)?]);
        rest = after.get(usize::from(length)..)?;
    }
}

/// Grey values in 0..1. 16-bit images keep their depth.
fn grey(image: &DynamicImage) -> Array2<f32> {
    let (rows, columns) = (image.height() as usize, image.width() as usize);
    let at = |(row, column): (usize, usize)| (column as u32, row as u32);
    if is_wide(image) {
        let wide = image.to_rgba16();
        Array2::from_shape_fn((rows, columns), |place| {
            let (x, y) = at(place);
            let Rgba(pixel) = *wide.get_pixel(x, y);
            luminance(pixel.map(|part| f32::from(part) / f32::from(u16::MAX)))
        })
    } else {
        let narrow = image.to_rgba8();
        Array2::from_shape_fn((rows, columns), |place| {
            let (x, y) = at(place);
            let Rgba(pixel) = *narrow.get_pixel(x, y);
            luminance(pixel.map(|part| f32::from(part) / f32::from(u8::MAX)))
        })
    }
}

/// Luminance over black, ITU-R BT.709; exactly the grey value where the three are equal.
fn luminance([red, green, blue, alpha]: [f32; 4]) -> f32 {
    let value = if red == green && green == blue { red } else { 0.2126 * red + 0.7152 * green + 0.0722 * blue };
    value * alpha
}

#[cfg(test)]
mod tests {
    use image::ImageEncoder;

    use super::*;

    const WINDOW: (f64, f64) = (-1350.0, 150.0);

    fn saved(image: DynamicImage, name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        image.save(&path).expect("an image written");
        (folder, path)
    }

    fn hu(image: DynamicImage) -> Vec<f32> {
        let (_folder, path) = saved(image, "ä 50%.png");
        read(&path, WINDOW).expect("an image read").into_raw_vec_and_offset().0
    }

    #[test]
    fn grey_rgb_and_rgba_agree() {
        let grey: image::GrayImage = image::ImageBuffer::from_fn(4, 3, |x, y| image::Luma([(x * 20 + y * 60) as u8]));
        let grey = DynamicImage::ImageLuma8(grey);
        let expected = hu(grey.clone());
        assert_eq!((expected[0], expected.len()), (-1350.0, 12));
        assert_eq!(hu(DynamicImage::ImageRgb8(grey.to_rgb8())), expected);
        assert_eq!(hu(DynamicImage::ImageRgba8(grey.to_rgba8())), expected);
        assert_eq!(hu(DynamicImage::ImageLumaA8(grey.to_luma_alpha8())), expected);
    }

    #[test]
    fn sixteen_bits_are_kept() {
        let grey = image::ImageBuffer::from_fn(2, 1, |x, _| image::Luma([40_000 + x as u16]));
        let [first, second] = hu(DynamicImage::ImageLuma16(grey))[..] else { panic!("two pixels") };
        // By hand: one step of 65535 is 1500/65535 HU.
        assert!((second - first - 1500.0 / 65535.0).abs() < 2e-4, "{first} {second}");
    }

    #[test]
    fn transparency_shows_black() {
        let clear = image::ImageBuffer::from_pixel(1, 1, Rgba([255, 255, 255, 0]));
        assert_eq!(hu(DynamicImage::ImageRgba8(clear)), [-1350.0]);
    }

    /// A picture whose EXIF says how it is to be shown, in a format.
    fn with_orientation(grey: &image::GrayImage, orientation: u8, is_png: bool) -> Vec<u8> {
        // TIFF of one entry: Orientation, one SHORT (EXIF 2.32 section 4.6.4).
        let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
        let exif = [&b"II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
        let mut bytes = Vec::new();
        if is_png {
            let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            encoder.set_exif_metadata(exif).expect("EXIF");
            grey.write_with_encoder(encoder).expect("a PNG");
        } else {
            let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
            encoder.set_exif_metadata(exif).expect("EXIF");
            grey.write_with_encoder(encoder).expect("a JPEG");
        }
        bytes
    }

    #[test]
    fn a_picture_is_turned_as_its_exif_says() {
        let stored = image::GrayImage::from_fn(16, 8, |x, y| image::Luma([(x / 8 * 100 + y / 4 * 50) as u8]));
        let folder = tempfile::tempdir().expect("a temporary folder");
        // By the table of EXIF: which corner of the stored picture is shown top left, and whether rows become columns.
        for (orientation, corner, turned) in [
            (1, 0, false),
            (2, 100, false),
            (3, 150, false),
            (4, 50, false),
            (5, 0, true),
            (6, 50, true),
            (7, 150, true),
            (8, 100, true),
        ] {
            for is_png in [true, false] {
                let path = folder.path().join("a");
                std::fs::write(&path, with_orientation(&stored, orientation, is_png)).expect("written");
                let shown = read(&path, (0.0, 255.0)).expect("a picture");
                assert_eq!(shown.dim(), if turned { (16, 8) } else { (8, 16) }, "{orientation}");
                assert!((shown[(0, 0)] - f32::from(corner as u8)).abs() < 3.0, "{orientation}: {}", shown[(0, 0)]);
            }
        }
    }

    fn bytes_of(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name)
    }

    #[test]
    fn palette_interlace_and_coarse_grey_read_as_pillow_reads_them() {
        // Values by tools/image_fixtures.py.
        for name in ["palette.png", "interlaced.png", "grey.jpg"] {
            let found = read(&bytes_of(name), (0.0, 255.0)).expect("an image read");
            assert_eq!(found.dim(), (12, 14), "{name}");
            let tolerance = if name.ends_with("jpg") { 3.0 } else { 1e-3 };
            for ((y, x), value) in found.indexed_iter() {
                assert!((value - (x * 16 + y * 3) as f32).abs() < tolerance, "{name}, {x} {y}: {value}");
            }
        }
        let wide = read(&bytes_of("interlaced-16.png"), (0.0, 65535.0)).expect("an image read");
        assert!(wide.indexed_iter().all(|((y, x), value)| (value - (x * 4000 + y * 7) as f32).abs() < 0.01));
    }

    #[test]
    fn cmyk_is_an_error() {
        let error = read(&bytes_of("cmyk.jpg"), WINDOW).expect_err("four colours").to_string();
        assert!(error.contains("cmyk.jpg") && error.contains("CMYK"), "{error}");
    }

    #[test]
    fn a_picture_larger_than_its_bytes_is_an_error() {
        let (folder, path) = saved(DynamicImage::ImageLuma8(image::GrayImage::new(3000, 3000)), "a.png");
        let error = read(&path, WINDOW).expect_err("a blank picture").to_string();
        assert!(error.contains("a.png") && error.contains("3000 x 3000 pixels in"), "{error}");
        drop(folder);
        let (_folder, path) = saved(DynamicImage::ImageLuma8(image::GrayImage::new(1400, 1400)), "a.png");
        assert!(read(&path, WINDOW).is_ok());
    }

    #[test]
    fn the_content_decides_not_the_name() {
        let grey = DynamicImage::ImageLuma8(image::ImageBuffer::from_pixel(8, 8, image::Luma([255])));
        let (folder, path) = saved(grey, "a.jpg");
        let renamed = folder.path().join("b.png");
        std::fs::rename(path, &renamed).expect("renamed");
        assert!(read(&renamed, WINDOW).is_ok());
        std::fs::write(&renamed, "this is text").expect("written");
        let error = read(&renamed, WINDOW).expect_err("text is no image").to_string();
        assert!(error.contains("b.png") && error.contains("not a readable PNG or JPEG"), "{error}");
    }
}
