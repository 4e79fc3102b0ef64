//! Pictures of the gallery: a slice with the outline of its lung mask, and the attention laid over it.
//!
//! Places and colours of attention are [`contract::attention`]'s, on one scale for every method.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub use contract::attention::side;
use contract::attention::{self, ANCHORS};
use image::{ExtendedColorType, ImageEncoder};

use crate::read::Picture;

/// Colour of the lung outline.
pub const OUTLINE: [u8; 3] = [64, 220, 190];
/// Largest side of a picture in the page, pixels.
const LARGEST: usize = 320;
/// The colour map as a CSS gradient, for the scale bar.
pub fn gradient() -> String {
    let stop = |[r, g, b]: &[f32; 3]| format!("rgb({r} {g} {b})");
    format!("linear-gradient(90deg, {})", ANCHORS.iter().map(stop).collect::<Vec<_>>().join(", "))
}

/// A picture small enough for a page: every n-th row and column.
pub fn shrink(picture: &Picture) -> Picture {
    let step = picture.height.max(picture.width).div_ceil(LARGEST).max(1);
    let (height, width) = (picture.height.div_ceil(step), picture.width.div_ceil(step));
    let pick = |pixels: &[u8]| {
        let row = |row: usize| pixels[row * step * picture.width..][..picture.width].iter().step_by(step).copied();
        (0..height).flat_map(row).collect()
    };
    Picture { height, width, image: pick(&picture.image), mask: pick(&picture.mask) }
}

/// True on the rim of a lung: a lung pixel beside one that is none, or beside the picture's border.
fn on_outline(picture: &Picture, row: usize, column: usize) -> bool {
    let lung = |row: Option<usize>, column: Option<usize>| match (row, column) {
        (Some(row), Some(column)) if row < picture.height && column < picture.width => {
            picture.mask[row * picture.width + column] != 0
        }
        _ => false,
    };
    let (r, c) = (Some(row), Some(column));
    let around = [(row.checked_sub(1), c), (Some(row + 1), c), (r, column.checked_sub(1)), (r, Some(column + 1))];
    lung(r, c) && around.into_iter().any(|(row, column)| !lung(row, column))
}

/// The slice as RGB with the lung outline, and the attention if there is a square map.
pub fn blend(picture: &Picture, attention: Option<&[f32]>) -> Vec<u8> {
    let map = attention.and_then(|map| side(map).map(|side| (map, side)));
    let mut rgb = Vec::with_capacity(picture.image.len() * 3);
    for (pixel, grey) in picture.image.iter().enumerate() {
        let (row, column) = (pixel / picture.width, pixel % picture.width);
        if on_outline(picture, row, column) {
            rgb.extend(OUTLINE);
            continue;
        }
        let Some((map, side)) = map else {
            rgb.extend([*grey; 3]);
            continue;
        };
        let value = attention::bilinear(map, side, (row, column), (picture.height, picture.width));
        rgb.extend(attention::over(*grey, value));
    }
    rgb
}

/// RGB pixels as a PNG in a `data:` address.
///
/// # Errors
/// The encoder refuses.
pub fn png(rgb: &[u8], height: usize, width: usize) -> Result<String, image::ImageError> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new_with_quality(
        &mut bytes,
        image::codecs::png::CompressionType::Best,
        image::codecs::png::FilterType::Adaptive,
    )
    .write_image(rgb, width as u32, height as u32, ExtendedColorType::Rgb8)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Picture {
        let mut mask = vec![0; 25];
        for (row, column) in (1..4).flat_map(|row| (1..4).map(move |column| (row, column))) {
            mask[row * 5 + column] = 1;
        }
        Picture { height: 5, width: 5, image: vec![100; 25], mask }
    }

    #[test]
    fn the_rim_is_outlined_and_the_middle_is_not() {
        let rgb = blend(&square(), None);
        let pixel = |row: usize, column: usize| &rgb[(row * 5 + column) * 3..][..3];
        assert_eq!(pixel(1, 1), OUTLINE);
        assert_eq!(pixel(2, 2), [100; 3]);
        assert_eq!(pixel(0, 0), [100; 3]);
        assert_eq!(rgb.chunks(3).filter(|pixel| *pixel == OUTLINE).count(), 8);
    }

    #[test]
    fn no_attention_shows_the_slice() {
        assert_eq!(blend(&square(), Some(&[0.0; 9])), blend(&square(), None));
        assert_eq!(blend(&square(), Some(&[0.5; 8])), blend(&square(), None));
        assert_ne!(blend(&square(), Some(&[1.0; 9])), blend(&square(), None));
        assert!(png(&blend(&square(), None), 5, 5).unwrap().starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn large_pictures_shrink() {
        let large = Picture { height: 700, width: 500, image: vec![1; 350_000], mask: vec![0; 350_000] };
        let small = shrink(&large);
        assert_eq!((small.height, small.width, small.image.len()), (234, 167, 234 * 167));
        assert_eq!(shrink(&square()), square());
    }
}
