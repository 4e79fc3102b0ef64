//! NIfTI-1 volumes: values with their place in the patient, and masks with the geometry of their source.
//!
//! Source: the NIfTI-1 header nifti1.h (Data Format Working Group), whose field names are kept. The header is held against the
//! file's size before voxels are read, so that memory follows what the file has, not what it says.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ndarray::{Array3, ShapeBuilder};
use nifti::writer::WriterOptions;
use nifti::{Endianness, NiftiHeader, NiftiType};

use crate::contain;
use crate::error::Error;
use crate::geometry::{Affine, cross, dot};

mod pair;
#[cfg(test)]
mod tests;

/// NIFTI_XFORM_SCANNER_ANAT.
const SCANNER: i16 = 1;
/// NIFTI_UNITS_MM.
const MILLIMETRES: u8 = 2;

/// Bytes of the header of NIfTI-1, and where voxels start if nothing stands between.
const HEADER_BYTES: (usize, u64) = (348, 352);
/// Where a header says which kind of file it belongs to.
const MAGIC: std::ops::Range<usize> = 344..348;
/// Bytes of the header of NIfTI-2.
const HEADER_BYTES_2: i32 = 540;
/// Most voxels of a volume: 4 GiB of values.
const MOST_VOXELS: u64 = 1 << 30;

/// Voxels converted at a time.
const CHUNK: usize = 1 << 13;

/// Remark: the header states neither sform nor qform; columns to the left and rows to the back were assumed.
pub const SIDES_UNKNOWN: &str = "orientation_not_stated";
/// Remark: qform and sform differ by more than 1 degree or 1 mm; the sform was taken.
pub const FORMS_DISAGREE: &str = "qform_and_sform_disagree";

/// A volume read from NIfTI.
#[derive(Debug)]
pub struct Volume {
    /// Values, scaled by slope and intercept, indexed (i, j, k); what is not finite is NaN.
    pub values: Array3<f32>,
    /// From indices to the patient.
    pub affine: Affine,
    /// The header, whose geometry a mask takes over.
    pub header: NiftiHeader,
    /// What is remarkable, such as [`FORMS_DISAGREE`].
    pub remarks: Vec<&'static str>,
}

impl Volume {
    /// The volume with so much added to all values.
    pub fn shifted(mut self, offset: f64) -> Self {
        if offset != 0.0 {
            self.values.mapv_inplace(|value| (f64::from(value) + offset) as f32);
        }
        self
    }
}

/// True for names that end as those of one NIfTI file do.
pub fn is_nifti(path: &Path) -> bool {
    ends_with(path, &[".nii", ".nii.gz"])
}

/// True for names that end as those of volumes do: NIfTI files, and pairs of a header and voxels.
pub fn is_volume(path: &Path) -> bool {
    is_nifti(path) || pair::is_part(path)
}

fn ends_with(path: &Path, ends: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    ends.iter().any(|end| name.ends_with(end))
}

/// Reads a NIfTI-1 file of two or three dimensions (further ones of length 1 are fine), plain or gzipped: the content decides. A .hdr or
/// .img stands for the pair of both.
///
/// # Errors
/// The file is truncated, not NIfTI-1, of colours or complex numbers, holds several volumes or more than 2^30 voxels, or its
/// affine is singular.
pub fn read(path: &Path) -> Result<Volume, Error> {
    let pair = pair::of(path)?;
    let (header, voxels) = pair.as_ref().map_or((path, None), |(header, voxels)| (header.as_path(), Some(voxels)));
    let (source, size) = open(header)?;
    let failed = |message: String| unusable(path, &message);
    let Some(voxels) = voxels else { return read_from(source, size).map_err(failed) };
    let (voxels, size) = open(voxels)?;
    read_pair(source, voxels, size).map_err(failed)
}

/// What the header alone says of a volume.
#[derive(Debug)]
pub struct Geometry {
    /// Lengths of the axes (i, j, k).
    pub shape: [usize; 3],
    /// From indices to the patient.
    pub affine: Affine,
    /// As in [`Volume::remarks`].
    pub remarks: Vec<&'static str>,
}

/// Reads where a volume lies, without its voxels.
///
/// # Errors
/// As [`read`], but for the voxels.
pub fn read_geometry(path: &Path) -> Result<Geometry, Error> {
    let pair = pair::of(path)?;
    let (mut source, _) = open(pair.as_ref().map_or(path, |(header, _)| header))?;
    let header = read_header(&mut source, pair.is_some());
    header.map(|(_, geometry)| geometry).map_err(|message| unusable(path, &message))
}

fn unusable(path: &Path, message: &str) -> Error {
    Error::File { path: path.to_owned(), message: format!("not a readable NIfTI-1 volume: {message}") }
}

/// The file's bytes, inflated if need be, and how many there are if that is known.
fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::new();
    file.take(2).read_to_end(&mut start).map_err(unreadable)?;
    let plain = BufReader::new(File::open(path).map_err(unreadable)?);
    Ok(match start[..] {
        [0x1F, 0x8B] => (Box::new(BufReader::new(MultiGzDecoder::new(plain))), None),
        _ => (Box::new(plain), Some(size)),
    })
}

/// Reads the header and holds it against what can be read.
fn read_header(source: &mut impl Read, in_pair: bool) -> Result<(NiftiHeader, Geometry), String> {
    let mut start = [0; HEADER_BYTES.0];
    source.read_exact(&mut start).map_err(|error| format!("the header cannot be read: {error}"))?;
    let header = parse_header(&start, in_pair)?;
    let shape = shape(&header)?;
    let count: u64 = shape.iter().map(|length| *length as u64).product();
    if count > MOST_VOXELS {
        return Err(format!("{count} voxels, expected {MOST_VOXELS} at most"));
    }
    let affine = affine(&header);
    let volume_mm3 = affine.voxel_mm3();
    if !(volume_mm3.is_finite() && volume_mm3 > 1e-9) {
        return Err("its affine is singular; correct srow_x to srow_z and the quaternion".to_owned());
    }
    if let Some(found) = affine.implausible() {
        return Err(format!("{found}; write the header in millimetres"));
    }
    let mut remarks = if forms_disagree(&header, shape) { vec![FORMS_DISAGREE] } else { Vec::new() };
    if header.sform_code <= 0 && header.qform_code <= 0 {
        remarks.push(SIDES_UNKNOWN);
    }
    Ok((header, Geometry { shape, affine, remarks }))
}

/// Reads header and voxels; `size` is the number of bytes if it is known.
fn read_from(mut source: impl Read, size: Option<u64>) -> Result<Volume, String> {
    let read = read_header(&mut source, false)?;
    // A header says 0 where it leaves the default.
    let offset = f64::from(read.0.vox_offset).max(HEADER_BYTES.1 as f64) as u64;
    read_voxels(read, source, size, (HEADER_BYTES.0 as u64, offset))
}

/// Reads a header and the voxels of another file, whose size is known or not.
fn read_pair(mut header: impl Read, voxels: impl Read, size: Option<u64>) -> Result<Volume, String> {
    let read = read_header(&mut header, true)?;
    let offset = f64::from(read.0.vox_offset).max(0.0) as u64;
    read_voxels(read, voxels, size, (0, offset))
}

/// Reads the voxels that start at byte `offset` of a source that is at byte `at`.
fn read_voxels(
    (header, Geometry { shape, affine, remarks }): (NiftiHeader, Geometry),
    mut source: impl Read,
    size: Option<u64>,
    (at, offset): (u64, u64),
) -> Result<Volume, String> {
    let convert = converter(&header)?;
    let count: u64 = shape.iter().map(|length| *length as u64).product();
    let needed = offset.saturating_add(count * convert.bytes as u64);
    if let Some(size) = size.filter(|size| *size < needed) {
        return Err(format!("expected {needed} bytes, found {size}; the file is truncated or corrupt"));
    }
    let gap = offset - at;
    let passed = std::io::copy(&mut source.by_ref().take(gap), &mut std::io::sink());
    if passed.map_err(|error| error.to_string())? != gap {
        return Err("the file ends before its voxels".to_owned());
    }
    let expected = usize::try_from(count).map_err(|_| "too many voxels".to_owned())?;
    let values = convert.values(source, expected, size.is_some())?;
    let values = Array3::from_shape_vec(shape.f(), values).map_err(|error| error.to_string())?;
    Ok(Volume { values, affine, header, remarks })
}

fn parse_header(bytes: &[u8; HEADER_BYTES.0], in_pair: bool) -> Result<NiftiHeader, String> {
    let size = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let sizes = [i32::from_le_bytes(size), i32::from_be_bytes(size)];
    if sizes.contains(&HEADER_BYTES_2) {
        return Err("it is NIfTI-2, which is not supported; convert it to NIfTI-1".to_owned());
    }
    if !sizes.contains(&(HEADER_BYTES.0 as i32)) {
        return Err("the header has another size than 348 bytes".to_owned());
    }
    pair::check_magic(&bytes[MAGIC], in_pair)?;
    let header = contain::panics(|| NiftiHeader::from_reader(&bytes[..]).map_err(|error| error.to_string()))?;
    Ok(header)
}

/// The lengths of the axes, at least three.
fn shape(header: &NiftiHeader) -> Result<[usize; 3], String> {
    let dimensions = usize::from(header.dim[0]);
    let lengths = header.dim.get(1..=dimensions).filter(|lengths| !lengths.is_empty() && lengths.len() < 8);
    let lengths = lengths.ok_or_else(|| format!("{dimensions} dimensions, expected 2 or 3"))?;
    // The standard's lengths are signed.
    if lengths.iter().any(|length| *length == 0 || *length > i16::MAX.cast_unsigned()) {
        return Err(format!("the volume is empty or its lengths are negative: {lengths:?}"));
    }
    if lengths.iter().skip(3).any(|length| *length > 1) {
        return Err(format!("expected one volume, found shape {lengths:?}; extract one volume first"));
    }
    Ok([0, 1, 2].map(|axis| lengths.get(axis).copied().map_or(1, usize::from)))
}

/// Appends the values of whole stored voxels.
type Append = fn(&[u8], &Scale, &mut Vec<f32>);

/// How stored voxels become values.
struct Converter {
    bytes: usize,
    append: Append,
    scale: Scale,
}

/// `value = slope * stored + intercept`, of numbers stored in big or little endian.
struct Scale {
    swapped: bool,
    slope: f64,
    intercept: f64,
}

impl Scale {
    fn value(&self, stored: f64) -> f32 {
        let value = (self.slope * stored + self.intercept) as f32;
        if value.is_finite() { value } else { f32::NAN }
    }
}

/// Size of a number and the loop over many; one loop a type, since a volume has millions.
macro_rules! number {
    ($kind:ty) => {{
        fn append(bytes: &[u8], scale: &Scale, values: &mut Vec<f32>) {
            let (numbers, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
            match scale.swapped {
                false => {
                    values.extend(numbers.iter().map(|number| scale.value(<$kind>::from_le_bytes(*number) as f64)))
                }
                true => values.extend(numbers.iter().map(|number| scale.value(<$kind>::from_be_bytes(*number) as f64))),
            }
        }
        (size_of::<$kind>(), append)
    }};
}

fn converter(header: &NiftiHeader) -> Result<Converter, String> {
    let unknown = || format!("data type {} is not supported; convert it to 16-bit integers or floats", header.datatype);
    let (bytes, append): (usize, Append) = match header.data_type().map_err(|_| unknown())? {
        NiftiType::Uint8 => number!(u8),
        NiftiType::Int8 => number!(i8),
        NiftiType::Uint16 => number!(u16),
        NiftiType::Int16 => number!(i16),
        NiftiType::Uint32 => number!(u32),
        NiftiType::Int32 => number!(i32),
        NiftiType::Uint64 => number!(u64),
        NiftiType::Int64 => number!(i64),
        NiftiType::Float32 => number!(f32),
        NiftiType::Float64 => number!(f64),
        _ => return Err(unknown()),
    };
    let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    // A slope of 0 means that values are not scaled; nibabel takes one that is no number the same way.
    let (slope, intercept) = if slope == 0.0 || !slope.is_finite() { (1.0, 0.0) } else { (slope, intercept) };
    if !intercept.is_finite() {
        return Err("scl_inter is not a number".to_owned());
    }
    let scale = Scale { swapped: header.endianness == Endianness::Big, slope, intercept };
    Ok(Converter { bytes, append, scale })
}

impl Converter {
    /// Reads `count` values; takes the memory at once if they are known to be there.
    fn values(&self, mut source: impl Read, count: usize, there: bool) -> Result<Vec<f32>, String> {
        let mut values = Vec::with_capacity(if there { count } else { 0 });
        let mut buffer = vec![0; self.bytes * CHUNK];
        while values.len() < count {
            let part = &mut buffer[..self.bytes * (count - values.len()).min(CHUNK)];
            source.read_exact(part).map_err(|error| {
                format!("it ends after {} of {count} voxels ({error}); the file is truncated or corrupt", values.len())
            })?;
            (self.append)(part, &self.scale, &mut values);
        }
        Ok(values)
    }
}

/// True if both forms are set and differ by more than 1 degree in an axis, or by more than 1 mm in the place of the first or
/// the last voxel.
fn forms_disagree(header: &NiftiHeader, shape: [usize; 3]) -> bool {
    if header.sform_code <= 0 || header.qform_code <= 0 {
        return false;
    }
    let (sform, qform) = (sform(header), qform(header));
    let turned = (0..3).any(|axis| {
        let (a, b) = (sform.step(axis), qform.step(axis));
        dot(a, b) < (dot(a, a) * dot(b, b)).sqrt() * 1_f64.to_radians().cos()
    });
    let place = |form: &Affine, index: [f64; 3]| form.0.map(|row| dot([row[0], row[1], row[2]], index) + row[3]);
    let apart = |index: [f64; 3]| {
        let (a, b) = (place(&sform, index), place(&qform, index));
        let difference = [0, 1, 2].map(|axis| a[axis] - b[axis]);
        dot(difference, difference) > 1.0
    };
    turned || apart([0.0; 3]) || apart(shape.map(|length| length as f64 - 1.0))
}

fn sform(header: &NiftiHeader) -> Affine {
    Affine([header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)))
}

/// The affine of a header: sform, else qform, else (neither is set) a picture's, as ITK reads such files.
pub fn affine(header: &NiftiHeader) -> Affine {
    if header.sform_code > 0 {
        sform(header)
    } else if header.qform_code > 0 {
        qform(header)
    } else {
        Affine::of_picture(spacing(header))
    }
}

/// Distance of voxels along each axis, mm; 1 where the header has none.
fn spacing(header: &NiftiHeader) -> [f64; 3] {
    [1, 2, 3].map(|axis| match f64::from(header.pixdim[axis]).abs() {
        length if length > 0.0 && length.is_finite() => length,
        _ => 1.0,
    })
}

fn qform(header: &NiftiHeader) -> Affine {
    let [x, y, z] = spacing(header);
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
    // NIfTI-1 standard, method 2; the third column changes sign with qfac.
    let z = if header.pixdim[0] < 0.0 { -z } else { z };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let offset = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    let row = |index: usize| [rotation[index][0] * x, rotation[index][1] * y, rotation[index][2] * z, offset[index]];
    Affine([row(0), row(1), row(2)])
}

/// A header that says the affine as sform and, as far as a rotation can, as qform.
pub fn header(affine: &Affine) -> NiftiHeader {
    let ([b, c, d], qfac) = affine.quaternion();
    let length = |axis: usize| dot(affine.step(axis), affine.step(axis)).sqrt() as f32;
    // With a tilted gantry the distance of the slices is shorter than the step between their corners.
    let normal = cross(affine.step(0), affine.step(1));
    let between = (affine.voxel_mm3() / dot(normal, normal).sqrt().max(1e-12)) as f32;
    let [x, y, z] = affine.0.map(|row| row[3] as f32);
    let [srow_x, srow_y, srow_z] = affine.0.map(|row| row.map(|value| value as f32));
    NiftiHeader {
        pixdim: [qfac as f32, length(0), length(1), between, 0.0, 0.0, 0.0, 0.0],
        xyzt_units: MILLIMETRES,
        qform_code: SCANNER,
        sform_code: SCANNER,
        quatern_b: b as f32,
        quatern_c: c as f32,
        quatern_d: d as f32,
        quatern_x: x,
        quatern_y: y,
        quatern_z: z,
        srow_x,
        srow_y,
        srow_z,
        ..NiftiHeader::default()
    }
}

/// Writes a mask, indexed (i, j, k), with the geometry of `reference`; the file appears whole or not at all. Fastest if i runs
/// fastest in memory, as it does in the file.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, mask: &Array3<u8>, reference: &NiftiHeader) -> Result<(), Error> {
    write_with(path, reference, |options| options.write_nifti(mask))
}

/// As [`write()`], of values.
///
/// # Errors
/// The file cannot be written.
pub fn write_values(path: &Path, values: &Array3<f32>, reference: &NiftiHeader) -> Result<(), Error> {
    write_with(path, reference, |options| options.write_nifti(values))
}

fn write_with(
    path: &Path,
    reference: &NiftiHeader,
    write: impl FnOnce(&WriterOptions) -> nifti::Result<()>,
) -> Result<(), Error> {
    let failed = |source: std::io::Error| Error::Write { path: path.to_owned(), source };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    // The writer decides on the name's end itself, so it gets a folder of its own, and the file moves out when complete.
    let aside = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent).map_err(failed)?;
    let zipped = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let file = aside.path().join(if zipped { "mask.nii.gz" } else { "mask.nii" });
    let header = NiftiHeader {
        cal_min: 0.0,
        cal_max: 0.0,
        intent_code: 0,
        descrip: vec![0; 80],
        aux_file: [0; 24],
        intent_name: [0; 16],
        db_name: [0; 18],
        ..reference.clone()
    };
    write(&WriterOptions::new(&file).reference_header(&header).compress(zipped))
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    // Whole or not at all for whoever looks; not forced to the disk, which would take longer than all else but the network, for a file
    // that the same command makes again.
    std::fs::rename(&file, path).map_err(failed)
}
