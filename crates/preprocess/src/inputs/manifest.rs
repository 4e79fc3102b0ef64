//! The series of a manifest: a row per image or volume.

use std::path::Path;

use contract::config::Config;

use super::{Inputs, Kind, Row, Series, SliceFile, depths};
use crate::error::Error;
use crate::privacy::Naming;
use crate::{hounsfield, images, nifti_io};

/// The images and volumes that the manifest lists.
///
/// # Errors
/// The manifest, or a volume's header, cannot be read; an id is not usable.
pub fn collect(config: &Config, manifest: &Path, naming: &mut Naming) -> Result<Inputs, Error> {
    let range_hu = (config.preprocess.image_low_hu, config.preprocess.image_high_hu);
    let reading = hounsfield::Reading { offset_hu: config.preprocess.hu_offset, ..Default::default() };
    let images::Manifest { entries, remarks } = images::read_manifest(manifest, &config.classes)?;
    entries.iter().for_each(|entry| naming.register(&entry.patient, []));
    let mut inputs = Inputs { notes: remarks, ..Inputs::default() };
    for entry in entries {
        let patient_id = naming.patient(&entry.patient)?;
        let source = naming.source(&entry.source, &entry.patient, []);
        let row = Row { manifest: manifest.to_owned(), row: entry.row };
        let is_volume = nifti_io::is_volume(&entry.path);
        let one = SliceFile { path: entry.path, source, relative: entry.source.clone(), z_mm: None, frame: None };
        let (series_id, label) = (naming.series(&entry.source), entry.label);
        if is_volume {
            let kind = Kind::Volume(row.clone());
            let volume = of_volume(&one, (patient_id, series_id, label), kind).map_err(|error| row.hide_file(error))?;
            inputs.series.push(Series { reading, ..volume });
            continue;
        }
        let (slices, voxel_mm3, remarks, kind) = (vec![one], None, Vec::new(), Kind::Image { range_hu, row });
        let alternatives = Vec::new();
        inputs.series.push(Series {
            patient_id,
            series_id,
            label,
            slices,
            voxel_mm3,
            remarks,
            alternatives,
            reading,
            kind,
        });
    }
    Ok(inputs)
}

/// The series of a NIfTI volume, from its header.
fn of_volume(
    file: &SliceFile,
    (patient_id, series_id, label): (String, String, usize),
    kind: Kind,
) -> Result<Series, Error> {
    let nifti_io::Geometry { shape, affine, remarks } = nifti_io::read_geometry(&file.path)?;
    let slice = |z_mm| SliceFile { z_mm: Some(z_mm as f32), ..file.clone() };
    let slices = depths(shape, &affine).into_iter().map(slice).collect();
    let voxel_mm3 = Some(affine.voxel_mm3());
    let (alternatives, reading) = (Vec::new(), hounsfield::Reading::default());
    Ok(Series { patient_id, series_id, label, slices, voxel_mm3, remarks, alternatives, reading, kind })
}
