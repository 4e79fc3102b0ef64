//! NIfTI-1 volumes: values with their place in the patient, and masks with the geometry of their source.

use std::path::Path;

use ndarray::{Array3, Axis, Ix3};
use nifti::writer::WriterOptions;
use nifti::{IntoNdArray, NiftiHeader, NiftiObject, ReaderOptions};

use crate::error::Error;
use crate::geometry::{Affine, cross, dot};

/// NIFTI_XFORM_SCANNER_ANAT.
const SCANNER: i16 = 1;
/// NIFTI_UNITS_MM.
const MILLIMETRES: u8 = 2;

/// A volume read from NIfTI.
#[derive(Debug)]
pub struct Volume {
    /// Values, scaled by slope and intercept, indexed (i, j, k).
    pub values: Array3<f32>,
    /// From indices to the patient.
    pub affine: Affine,
    /// The header, whose geometry a mask takes over.
    pub header: NiftiHeader,
}

/// True for names that end as NIfTI files do.
pub fn is_nifti(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

/// Reads a NIfTI-1 file of two or three dimensions (further ones of length 1 are fine).
///
/// # Errors
/// The file is truncated, not NIfTI-1, or holds several volumes.
pub fn read(path: &Path) -> Result<Volume, Error> {
    let failed = |error: nifti::NiftiError| Error::file(path, "not a readable NIfTI-1 volume", &error);
    let object = ReaderOptions::new().read_file(path).map_err(failed)?;
    let header = object.header().clone();
    let mut values = object.into_volume().into_ndarray::<f32>().map_err(failed)?;
    while values.ndim() > 3 && values.shape().last() == Some(&1) {
        let last = Axis(values.ndim() - 1);
        values = values.index_axis_move(last, 0);
    }
    while values.ndim() < 3 {
        let next = Axis(values.ndim());
        values = values.insert_axis(next);
    }
    let shape = values.shape().to_vec();
    let values = values.into_dimensionality::<Ix3>().map_err(|_| Error::File {
        path: path.to_owned(),
        message: format!("expected one volume, found shape {shape:?}; extract one volume first"),
    })?;
    if values.is_empty() {
        return Err(Error::File { path: path.to_owned(), message: format!("the volume is empty, shape {shape:?}") });
    }
    Ok(Volume { values, affine: affine(&header), header })
}

/// Shape and affine of a volume, from its header alone.
///
/// # Errors
/// The file is not NIfTI-1, or holds no volume.
pub fn read_geometry(path: &Path) -> Result<([usize; 3], Affine), Error> {
    let failed = |error: nifti::NiftiError| Error::file(path, "not a readable NIfTI-1 volume", &error);
    let header = NiftiHeader::from_file(path).map_err(failed)?;
    let dim = header.dim().map_err(failed)?;
    let length = |axis: usize| dim.get(axis).map_or(1, |length| usize::from(*length));
    Ok(([length(0), length(1), length(2)], affine(&header)))
}

/// The affine of a header: sform, else qform, else (neither is set) a picture's, as ITK reads such files.
pub fn affine(header: &NiftiHeader) -> Affine {
    if header.sform_code > 0 {
        return Affine([header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)));
    }
    let [x, y, z] = [1, 2, 3].map(|axis| match f64::from(header.pixdim[axis]).abs() {
        length if length > 0.0 => length,
        _ => 1.0,
    });
    if header.qform_code <= 0 {
        return Affine::of_picture([x, y, z]);
    }
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

/// Writes a mask, indexed (i, j, k), with the geometry of `reference`; the file appears whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, mask: &Array3<u8>, reference: &NiftiHeader) -> Result<(), Error> {
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
    WriterOptions::new(&file)
        .reference_header(&header)
        .compress(zipped)
        .write_nifti(mask)
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    std::fs::File::open(&file).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&file, path).map_err(failed)
}
