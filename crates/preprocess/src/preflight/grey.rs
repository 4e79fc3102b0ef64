//! Image files of 16 bits that hold stored values of CT rather than an exported window.

use super::Finding;
use super::levels::Levels;
use crate::survey::Survey;

/// The largest value of 16 bits, which is white.
const WHITE: f64 = 65_535.0;
/// Least part of the range from black to white that an exported window fills.
const LEAST_SPREAD: f64 = 0.1;

/// Judges an image file by its stored values (NaN for images of 8 bits, which hold no CT values), of which black and white are `range` HU.
pub fn grey(slice: &Survey, (low, high): (f64, f64)) -> Option<Finding> {
    let stored = slice.levels.samples.mapv(f64::from);
    let values = || stored.iter().copied().filter(|value| value.is_finite());
    let (least, most) =
        values().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
    if least >= most {
        return None;
    }
    let hu = |stored: f64| low + stored / WHITE * (high - low);
    let mut declared = slice.levels.clone();
    declared.samples.mapv_inplace(|stored| hu(f64::from(stored)) as f32);
    if Levels::of([&declared]).are_hu() {
        return None;
    }
    // Stored values with one step a HU are CT values; an offset then gives both ends.
    let fits = Levels::of([&slice.levels]).offset().map(|offset| (offset, offset + WHITE));
    let is_narrow = most - least < LEAST_SPREAD * WHITE;
    (fits.is_some() || is_narrow).then(|| Finding::Grey {
        stored: (least as f32, most as f32),
        hu: (hu(least) as f32, hu(most) as f32),
        fits,
    })
}
