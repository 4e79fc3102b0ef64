//! Training slices for the eye: what the network sees, with the target's outlines.

use std::path::Path;

use contract::atomic;
use image::{Rgb, RgbImage};

use super::TrainingError;
use super::samples::{FAMILY, Sample, Split, family};
use crate::protocol::SIDE;

/// Sheets written.
const SHEETS: u64 = 4;
/// Persons of a sheet; a row shows two.
const PEOPLE: u64 = 10;
/// Slices in a row.
const COLUMNS: usize = 8;
const COLOURS: [[u8; 3]; 2] = [[80, 200, 255], [255, 190, 60]];

/// Writes the first training slices of a seed as `slices-<n>.png`.
pub(super) fn write(seed: u64, folder: &Path) -> Result<(), TrainingError> {
    for number in 0..SHEETS {
        let people = number * PEOPLE..(number + 1) * PEOPLE;
        let samples: Vec<Sample> = people.flat_map(|person| family(seed, Split::Train, person)).collect();
        let path = folder.join(format!("slices-{number}.png"));
        let failed = |source| TrainingError::File { path: path.clone(), source };
        let mut bytes = std::io::Cursor::new(Vec::new());
        let written = sheet(&samples).write_to(&mut bytes, image::ImageFormat::Png);
        written.map_err(|error| failed(std::io::Error::other(error)))?;
        atomic::write(&path, bytes.get_ref()).map_err(failed)?;
    }
    Ok(())
}

fn sheet(samples: &[Sample]) -> RgbImage {
    let rows = (PEOPLE * FAMILY) as usize / COLUMNS;
    let mut sheet = RgbImage::new((COLUMNS * SIDE) as u32, (rows * SIDE) as u32);
    for (index, sample) in samples.iter().enumerate() {
        let (left, top) = (index % COLUMNS * SIDE, index / COLUMNS * SIDE);
        for at in 0..SIDE * SIDE {
            let (row, column) = (at / SIDE, at % SIDE);
            let label = sample.target[at];
            let edge = column > 0 && sample.target[at - 1] != label || row > 0 && sample.target[at - SIDE] != label;
            // Tissue of 0 HU is at 0.63.
            let grey = [(sample.input[at] * 1.3 * 255.0).min(255.0) as u8; 3];
            let colour = if edge { COLOURS[usize::from(label.max(1) - 1)] } else { grey };
            sheet.put_pixel((left + column) as u32, (top + row) as u32, Rgb(colour));
        }
    }
    sheet
}
