//! How an attention map is laid over a picture and shown: the same places and colours in every picture of every program.
//!
//! Attention is shown on a fixed scale from 0 to 1, so that a pale picture means low attention. Where it is low the slice shines
//! through.

/// How much of the slice full attention hides; less attention hides its share of that.
pub const STRONGEST: f32 = 0.65;
/// Anchors of the colour map at 0, 1/4, ... 1: lightness rises all the way, so order survives grey print.
pub const ANCHORS: [[f32; 3]; 5] =
    [[14.0, 10.0, 64.0], [96.0, 26.0, 124.0], [198.0, 60.0, 90.0], [246.0, 142.0, 46.0], [252.0, 240.0, 160.0]];

/// The colour of attention `value`, 0..1.
pub fn heat(value: f32) -> [f32; 3] {
    let place = value.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f32;
    let below = (place as usize).min(ANCHORS.len() - 2);
    let share = place - below as f32;
    std::array::from_fn(|channel| ANCHORS[below][channel] * (1.0 - share) + ANCHORS[below + 1][channel] * share)
}

/// A pixel of the slice with attention `value`, 0..1, laid over it.
pub fn over(grey: u8, value: f32) -> [u8; 3] {
    let share = STRONGEST * value.clamp(0.0, 1.0);
    heat(value).map(|colour| (f32::from(grey) * (1.0 - share) + colour * share).round() as u8)
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

/// The side of a square map; `None` if its length is no square.
pub fn side(map: &[f32]) -> Option<usize> {
    let side = map.len().isqrt();
    (side > 0 && side * side == map.len()).then_some(side)
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

    #[test]
    fn attention_hides_the_slice_as_it_rises() {
        // By hand: nothing of the colour at 0; 0.65 of the last anchor and 0.35 of the grey at 1: 0.35 * 100 + 0.65 * 252 = 198.8.
        assert_eq!(over(100, 0.0), [100; 3]);
        assert_eq!(over(100, 1.0), [199, 191, 139]);
    }
}
