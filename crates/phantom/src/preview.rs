//! Contact sheets for the eye: a patient's slices in the lung window, with the true masks outlined beside them.

use std::path::Path;

use contract::{Config, atomic, interrupt};
use image::{Rgb, RgbImage};

use crate::cohort::members;
use crate::error::Error;
use crate::patient::generate;
use crate::slice::{Slice, slice};
use crate::study::{levels, specification};

/// Patients shown.
const PATIENTS: usize = 12;
/// Slices in a row of the sheet.
const COLUMNS: usize = 4;
const RIGHT_COLOUR: [u8; 3] = [80, 200, 255];
const LEFT_COLOUR: [u8; 3] = [255, 190, 60];
const LESION_COLOUR: [u8; 3] = [255, 60, 90];

/// Writes `<patient>.png` for the first patients of a study: their slices, then the same with outlines.
///
/// # Errors
/// A file cannot be written.
pub fn write(config: &Config, folder: &Path) -> Result<(), Error> {
    for member in members(config).iter().take(PATIENTS) {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let patient = generate(&specification(config, member));
        let slices: Vec<Slice> = levels(config.phantom.slices as usize).map(|level| slice(&patient, level)).collect();
        let name = format!("{}-{}.png", member.id(), config.classes[member.label]);
        save(&sheet(&slices, config.preprocess.window_hu()), &folder.join(name))?;
    }
    Ok(())
}

fn save(sheet: &RgbImage, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let mut bytes = std::io::Cursor::new(Vec::new());
    sheet.write_to(&mut bytes, image::ImageFormat::Png).map_err(|error| failed(std::io::Error::other(error)))?;
    atomic::write(path, bytes.get_ref()).map_err(failed)
}

/// All slices in `window` (low and high, HU), plain above and outlined below.
pub fn sheet(slices: &[Slice], window: (f64, f64)) -> RgbImage {
    let side = slices.first().map_or(1, |slice| slice.hu.nrows());
    let rows = slices.len().div_ceil(COLUMNS);
    let mut sheet = RgbImage::new((COLUMNS * side) as u32, (2 * rows * side) as u32);
    for (index, slice) in slices.iter().enumerate() {
        let (left, top) = (index % COLUMNS * side, index / COLUMNS * side);
        for ((row, column), hu) in slice.hu.indexed_iter() {
            let share = (f64::from(*hu) - window.0) / (window.1 - window.0);
            let grey = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
            let (x, y) = ((left + column) as u32, (top + row) as u32);
            sheet.put_pixel(x, y, Rgb([grey; 3]));
            let colour = outline(slice, row, column).unwrap_or([grey; 3]);
            sheet.put_pixel(x, y + (rows * side) as u32, Rgb(colour));
        }
    }
    sheet
}

/// The colour of a mask's border pixel.
fn outline(slice: &Slice, row: usize, column: usize) -> Option<[u8; 3]> {
    let (rows, columns) = slice.hu.dim();
    let border = |mask: &ndarray::Array2<u8>| {
        let here = mask[(row, column)];
        let neighbours =
            [(row.wrapping_sub(1), column), (row + 1, column), (row, column.wrapping_sub(1)), (row, column + 1)];
        let outside = |(r, c): (usize, usize)| r >= rows || c >= columns || mask[(r, c)] != here;
        (here > 0 && neighbours.into_iter().any(outside)).then_some(here)
    };
    if border(&slice.lesions).is_some() {
        return Some(LESION_COLOUR);
    }
    border(&slice.lungs).map(|lung| if lung == 1 { RIGHT_COLOUR } else { LEFT_COLOUR })
}
