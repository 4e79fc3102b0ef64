//! Pictures to check a mask by eye: the slice in the lung window, right lung tinted blue, left lung orange, outlines full.

use std::path::Path;

use contract::attention;
use contract::schema::mask_value;
use image::{ImageFormat, Rgb, RgbImage};
use ndarray::Array2;

use crate::error::Error;
use crate::window;

/// Window of the pictures, HU.
const WINDOW_HU: (f64, f64) = (-1350.0, 150.0);

/// Share of the colour inside a lung.
const TINT: f32 = 0.25;

/// Blue and orange that colour-blind readers can tell apart (Okabe and Ito, 2008).
const RIGHT: [u8; 3] = [86, 180, 233];
const LEFT: [u8; 3] = [230, 159, 0];

/// Draws a mask of values 0, 1, 2 over a slice in HU of the same shape.
pub fn draw(hu: &Array2<f32>, mask: &Array2<u8>) -> RgbImage {
    draw_grey(&window::window(hu, WINDOW_HU), mask)
}

/// The same over a slice that has its window already.
pub fn draw_grey(grey: &Array2<u8>, mask: &Array2<u8>) -> RgbImage {
    let (rows, columns) = grey.dim();
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        let at = (y as usize, x as usize);
        let share = if is_outline(mask, at) { 1.0 } else { TINT };
        let mix = |colour: [u8; 3]| {
            colour.map(|part| (f32::from(grey[at]) * (1.0 - share) + f32::from(part) * share).round() as u8)
        };
        match mask[at] {
            mask_value::RIGHT => Rgb(mix(RIGHT)),
            mask_value::LEFT => Rgb(mix(LEFT)),
            _ => Rgb([grey[at]; 3]),
        }
    })
}

/// A slice that has its window already, the outlines of its lungs, and attention (0..1, same shape) laid over the rest.
pub fn draw_attention(grey: &Array2<u8>, mask: &Array2<u8>, map: Option<&Array2<f32>>) -> RgbImage {
    let (rows, columns) = grey.dim();
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        let at = (y as usize, x as usize);
        match (mask[at], map) {
            (mask_value::RIGHT, _) if is_outline(mask, at) => Rgb(RIGHT),
            (mask_value::LEFT, _) if is_outline(mask, at) => Rgb(LEFT),
            (_, Some(map)) => Rgb(attention::over(grey[at], map[at])),
            (_, None) => Rgb([grey[at]; 3]),
        }
    })
}

/// True for a lung pixel with a neighbour of another label.
fn is_outline(mask: &Array2<u8>, (row, column): (usize, usize)) -> bool {
    let own = mask[(row, column)];
    let beside = [(row.wrapping_sub(1), column), (row + 1, column), (row, column.wrapping_sub(1)), (row, column + 1)];
    own != mask_value::BACKGROUND && beside.iter().any(|at| mask.get(*at).is_some_and(|label| *label != own))
}

/// File of the picture of the slice at `index` of a volume.
pub fn name(index: usize) -> String {
    format!("slice-{index:04}.png")
}

/// Writes [`draw`] as PNG.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, hu: &Array2<f32>, mask: &Array2<u8>) -> Result<(), Error> {
    write_png(path, &draw(hu, mask))
}

/// Writes a picture as PNG, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    contract::atomic::write(path, bytes.get_ref()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_is_full_colour_and_background_grey() {
        let hu = Array2::from_elem((5, 5), 150.0);
        let mut mask = Array2::zeros((5, 5));
        mask.slice_mut(ndarray::s![1..4, 1..4]).fill(mask_value::RIGHT);
        let picture = draw(&hu, &mask);
        assert_eq!(picture.get_pixel(0, 0), &Rgb([255; 3]));
        assert_eq!(picture.get_pixel(1, 1), &Rgb(RIGHT));
        // By hand: 255 * 0.75 + 86 * 0.25 = 212.75, and so on.
        assert_eq!(picture.get_pixel(2, 2), &Rgb([213, 236, 250]));
    }
}
