//! Pixels of the pictures: a slice in grey, an attention map in grey, and both blended with the outline of the lung mask.
//!
//! Places and colours of attention are [`contract::attention`]'s, on one scale for every method.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub use contract::attention::side;
use contract::attention::{self, ANCHORS};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, GrayImage, ImageEncoder, ImageError};

use crate::read::Picture;

/// Colour of the lung outline.
pub const OUTLINE: [u8; 3] = [64, 220, 190];
/// Colour of the outline of lesions.
pub const LESION: [u8; 3] = [96, 176, 255];
/// JPEG quality, 1..100, of pictures of which a page has many. At 85 no difference shows at the size in which they are shown.
const QUALITY: u8 = 85;
/// A map in a page has at least that many pixels a side.
const FINE: usize = 42;
/// The colour map as a CSS gradient, for the scale bar.
pub fn gradient() -> String {
    let stop = |[r, g, b]: &[f32; 3]| format!("rgb({r} {g} {b})");
    format!("linear-gradient(90deg, {})", ANCHORS.iter().map(stop).collect::<Vec<_>>().join(", "))
}

/// A picture with no side larger than `largest`: pixels averaged, of the mask the nearest.
pub fn shrink(picture: &Picture, largest: usize) -> Picture {
    let longest = picture.height.max(picture.width);
    let grey = GrayImage::from_raw(picture.width as u32, picture.height as u32, picture.image.clone());
    let Some(grey) = grey.filter(|_| longest > largest) else { return picture.clone() };
    let side = |side: usize| (side * largest).div_ceil(longest).max(1);
    let (height, width) = (side(picture.height), side(picture.width));
    let image = imageops::resize(&grey, width as u32, height as u32, Resampling::Triangle).into_raw();
    let from = |place: usize, of: usize, pixels: usize| (2 * place + 1) * of / (2 * pixels);
    let pixel = |row: usize, column: usize| {
        picture.mask[from(row, picture.height, height) * picture.width + from(column, picture.width, width)]
    };
    let mask = (0..height).flat_map(|row| (0..width).map(move |column| pixel(row, column))).collect();
    Picture { height, width, image, mask }
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

/// Pixels as a PNG.
fn png_bytes(pixels: &[u8], height: usize, width: usize, colour: ExtendedColorType) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    encoder.write_image(pixels, width as u32, height as u32, colour)?;
    Ok(bytes)
}

/// The slice in grey as a PNG in a `data:` address.
///
/// # Errors
/// The encoder refuses.
pub fn png(picture: &Picture) -> Result<String, ImageError> {
    let bytes = png_bytes(&picture.image, picture.height, picture.width, ExtendedColorType::L8)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

/// The slice in grey as a JPEG in a `data:` address, about a quarter of a PNG's size.
///
/// # Errors
/// The encoder refuses.
pub fn jpeg(picture: &Picture) -> Result<String, ImageError> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.write_image(&picture.image, picture.width as u32, picture.height as u32, ExtendedColorType::L8)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

/// A square map of attention, 0..1, as a grey PNG in a `data:` address. The page scales it up and colours it, in this order, as [`blend`] does.
///
/// Browsers interpolate in steps of 1/16 of a pixel, and not at all in a PDF, which shows if a pixel is large; so a value has several
/// of them. Their number is odd: each value has a pixel at its centre, and scaling on from there changes nothing.
///
/// # Errors
/// The map is not square; the encoder refuses.
pub fn map(map: &[f32]) -> Result<String, ImageError> {
    let side = side(map).unwrap_or(0);
    let pixels = side * (1..).step_by(2).find(|times| side * times >= FINE || side == 0).unwrap_or(1);
    let value = |row: usize, column: usize| attention::bilinear(map, side, (row, column), (pixels, pixels));
    let grey = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let greys: Vec<u8> = (0..pixels).flat_map(|row| (0..pixels).map(move |column| grey(value(row, column)))).collect();
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png_bytes(&greys, pixels, pixels, ExtendedColorType::L8)?)))
}

/// RGB panels of `height` x `width` side by side, white between them, as a PNG.
///
/// # Errors
/// The encoder refuses.
pub fn beside(panels: &[Vec<u8>], height: usize, width: usize) -> Result<Vec<u8>, ImageError> {
    let gap = vec![u8::MAX; 3 * width.div_ceil(32)];
    let row = |row: usize| {
        let parts: Vec<&[u8]> = panels.iter().map(|panel| &panel[3 * row * width..3 * (row + 1) * width]).collect();
        parts.join(&gap[..])
    };
    let pixels: Vec<u8> = (0..height).flat_map(row).collect();
    let all = pixels.len() / 3 / height.max(1);
    png_bytes(&pixels, height, all, ExtendedColorType::Rgb8)
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
        assert!(png(&square()).unwrap().starts_with("data:image/png;base64,iVBOR"));
        assert!(jpeg(&square()).unwrap().starts_with("data:image/jpeg;base64,/9j/"));
    }

    #[test]
    fn large_pictures_shrink() {
        let large = Picture { height: 700, width: 500, image: vec![1; 350_000], mask: vec![0; 350_000] };
        let small = shrink(&large, 320);
        assert_eq!((small.height, small.width, small.image.len()), (320, 229, 320 * 229));
        assert_eq!(shrink(&square(), 320), square());
    }

    #[test]
    fn the_mask_shrinks_to_its_nearest_pixels() {
        // Four columns to two: the centres of the new pixels stand on the borders 1 and 3, which belong to the pixels to their right.
        let row = Picture { height: 1, width: 4, image: vec![10, 20, 30, 40], mask: vec![0, 1, 2, 3] };
        assert_eq!(shrink(&row, 2).mask, [1, 3]);
    }

    #[test]
    fn a_coarse_map_keeps_its_values_in_the_middle_of_their_pixels() {
        let values = [0.0, 1.0, 0.4, 0.2];
        let text = map(&values).unwrap();
        let bytes = STANDARD.decode(text.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_luma8();
        // 42 pixels for two values: 21 each, the middle ones at 10 and 31. At 20 and 21 weights are 11/21 and 10/21: 121.4 and 133.6.
        let at = |column, row| picture.get_pixel(column, row).0[0];
        assert_eq!((picture.dimensions(), at(10, 10), at(31, 10), at(10, 31), at(31, 31)), ((42, 42), 0, 255, 102, 51));
        assert_eq!((at(20, 10), at(21, 10), at(0, 0)), (121, 134, 0));
        let fine = map(&[0.5; 196]).unwrap();
        let bytes = STANDARD.decode(fine.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().to_luma8().dimensions(), (42, 42));
    }

    #[test]
    fn panels_stand_side_by_side() {
        let panels = [vec![0; 12], vec![10; 12]];
        let bytes = beside(&panels, 2, 2).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let greys: Vec<u8> = read.pixels().map(|pixel| pixel.0[0]).collect();
        assert_eq!((read.dimensions(), &greys[..5]), ((5, 2), &[0, 0, 255, 10, 10][..]));
    }
}
