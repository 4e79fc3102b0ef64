//! Image files of 16 bits that hold stored values of CT rather than an exported window.

use super::Finding;
use super::levels::Levels;
use crate::ct_slice;
use crate::survey::Survey;

/// The largest value of 16 bits, which is white.
const WHITE: f64 = 65_535.0;
/// Least part of the range from black to white that an exported window fills.
const LEAST_SPREAD: f64 = 0.1;
/// Its bones, this part of all values from the top, reach at least this part of white.
const BRIGHT: (f64, f64) = (0.01, 0.5);
/// Steps of grey that one HU may take: 12 bits are often moved to the top of 16.
const STEPS: [f64; 5] = [1.0, 16.0, 8.0, 4.0, 2.0];

/// Judges an image file by its stored values (NaN for images of 8 bits, which hold no CT values), of which black and white are `range` HU.
pub fn grey(slice: &Survey, (low, high): (f64, f64)) -> Option<Finding> {
    let mut stored: Vec<f64> =
        slice.levels.samples.iter().copied().filter(|value| value.is_finite()).map(f64::from).collect();
    stored.sort_by(f64::total_cmp);
    let (&least, &most) = stored.first().zip(stored.last())?;
    let hu = |stored: f64| low + stored / WHITE * (high - low);
    if least >= most || Levels::of([&changed(&slice.levels, hu)]).are_hu() {
        return None;
    }
    // Stored values of CT need an offset alone, which gives both ends.
    let fits = STEPS.into_iter().find_map(|step| {
        let offset = Levels::of([&changed(&slice.levels, |stored| stored / step)]).offset()?;
        Some((offset, offset + WHITE / step))
    });
    let top = stored[((stored.len() - 1) as f64 * (1.0 - BRIGHT.0)) as usize];
    let is_window = most - least >= LEAST_SPREAD * WHITE && top >= BRIGHT.1 * WHITE;
    (fits.is_some() || !is_window).then(|| Finding::Grey {
        stored: (least as f32, most as f32),
        hu: (hu(least) as f32, hu(most) as f32),
        fits,
    })
}

fn changed(levels: &ct_slice::Levels, change: impl Fn(f64) -> f64) -> ct_slice::Levels {
    let samples = levels.samples.mapv(|value| change(f64::from(value)) as f32);
    ct_slice::Levels { samples, ..levels.clone() }
}
