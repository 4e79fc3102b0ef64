//! Pictures of the gallery: a slice with the outline of its lung mask, and the attention laid over it.
//!
//! Attention is shown on a fixed scale from 0 to 1, the same for every method, so that a pale picture means low
//! attention. Where it is low the slice shines through.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder};

use crate::read::Picture;

/// Colour of the lung outline.
pub const OUTLINE: [u8; 3] = [64, 220, 190];
/// How much of the slice full attention hides.
const STRONGEST: f32 = 0.65;
/// Largest side of a picture in the page, pixels.
const LARGEST: usize = 320;
/// Anchors of the colour map at 0, 1/4, ... 1: lightness rises all the way, so order survives grey print.
const ANCHORS: [[f32; 3]; 5] =
    [[14.0, 10.0, 64.0], [96.0, 26.0, 124.0], [198.0, 60.0, 90.0], [246.0, 142.0, 46.0], [252.0, 240.0, 160.0]];

/// The colour of attention `value`, 0..1.
pub fn heat(value: f32) -> [f32; 3] {
    let place = value.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f32;
    let below = (place as usize).min(ANCHORS.len() - 2);
    let share = place - below as f32;
    std::array::from_fn(|channel| ANCHORS[below][channel] * (1.0 - share) + ANCHORS[below + 1][channel] * share)
}

/// The colour map as a CSS gradient, for the scale bar.
pub fn gradient() -> String {
    let stop = |[r, g, b]: &[f32; 3]| format!("rgb({r} {g} {b})");
    format!("linear-gradient(90deg, {})", ANCHORS.iter().map(stop).collect::<Vec<_>>().join(", "))
}

/// A square map of `side` x `side` values at the centre of pixel (`row`, `column`) of `height` x `width`: bilinear, the
/// values standing at the centres of their cells, the border values held outside.
pub fn bilinear(map: &[f32], side: usize, (row, column): (usize, usize), (height, width): (usize, usize)) -> f32 {
    let place = |pixel: usize, pixels: usize| {
        let centre = (pixel as f32 + 0.5) * side as f32 / pixels as f32 - 0.5;
        let inside = centre.clamp(0.0, (side - 1) as f32);
        let below = (inside as usize).min(side.saturating_sub(2));
        (below, (below + 1).min(side - 1), inside - below as f32)
    };
    let ((top, bottom, y), (left, right, x)) = (place(row, height), place(column, width));
    let across = |r: usize| map[r * side + left] * (1.0 - x) + map[r * side + right] * x;
    across(top) * (1.0 - y) + across(bottom) * y
}

/// The side of a square map; None if its length is no square.
pub fn side(map: &[f32]) -> Option<usize> {
    let side = map.len().isqrt();
    (side > 0 && side * side == map.len()).then_some(side)
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
        let grey = f32::from(*grey);
        let Some((map, side)) = map else {
            rgb.extend([grey as u8; 3]);
            continue;
        };
        let value = bilinear(map, side, (row, column), (picture.height, picture.width)).clamp(0.0, 1.0);
        let share = STRONGEST * value;
        rgb.extend(heat(value).map(|colour| (grey * (1.0 - share) + colour * share).round() as u8));
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

    #[test]
    fn lightness_of_the_colour_map_rises() {
        // Relative luminance by the weights of ITU-R BT.709.
        let luminance = |[r, g, b]: [f32; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let steps: Vec<f32> = (0..=100).map(|i| luminance(heat(i as f32 / 100.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn bilinear_by_hand() {
        // 2 x 2 to 4 x 4: cell centres stand at 0.5 and 2.5 pixels, so the weights of a pixel are 3/4 and 1/4.
        let map = [0.0, 1.0, 2.0, 3.0];
        let at = |row, column| bilinear(&map, 2, (row, column), (4, 4));
        assert_eq!(at(0, 0), 0.0);
        assert_eq!(at(1, 1), 0.75);
        assert_eq!(at(2, 1), 1.75);
        assert_eq!(at(3, 3), 3.0);
        assert_eq!(bilinear(&[0.4], 1, (2, 3), (5, 5)), 0.4);
    }

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
