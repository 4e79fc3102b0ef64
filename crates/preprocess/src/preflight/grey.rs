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
/// Stored values that neither CT nor negative numbers without their sign have, and most of them that noise explains.
const BETWEEN: (std::ops::Range<f64>, f64) = (8192.0..57_344.0, 0.005);
/// Least part of negative numbers without their sign.
const LEAST_WRAPPED: f64 = 0.002;
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
    let wrapped = is_wrapped(&slice.levels, &stored);
    // Stored values of CT need an offset alone, which gives both ends.
    let fits = STEPS.into_iter().filter(|_| !wrapped).find_map(|step| {
        let offset = Levels::of([&changed(&slice.levels, |stored| stored / step)]).offset()?;
        Some((offset, offset + WHITE / step))
    });
    let top = stored[((stored.len() - 1) as f64 * (1.0 - BRIGHT.0)) as usize];
    let is_window = most - least >= LEAST_SPREAD * WHITE && top >= BRIGHT.1 * WHITE;
    (wrapped || fits.is_some() || !is_window).then(|| {
        let padding = slice.levels.padding.iter().map(|found| f64::from(found.value));
        let (least, most) = padding.fold((least, most), |(low, high), value| (low.min(value), high.max(value)));
        Finding::Grey { stored: (least as f32, most as f32), hu: (hu(least) as f32, hu(most) as f32), fits, wrapped }
    })
}

/// True if stored values (`stored` in order, without padding) are CT when the high ones are taken as negative.
fn is_wrapped(levels: &ct_slice::Levels, stored: &[f64]) -> bool {
    let part = |range: &std::ops::Range<f64>| {
        stored.iter().filter(|value| range.contains(*value)).count() as f64 / stored.len() as f64
    };
    let signed = |stored: f64| if stored >= BETWEEN.0.end { stored - WHITE - 1.0 } else { stored };
    let signed = Levels::of([&changed(levels, signed)]);
    part(&(BETWEEN.0.end..f64::INFINITY)) >= LEAST_WRAPPED
        && part(&BETWEEN.0) <= BETWEEN.1
        && (signed.are_hu() || signed.offset().is_some())
}

fn changed(levels: &ct_slice::Levels, change: impl Fn(f64) -> f64) -> ct_slice::Levels {
    let change = |value: f32| change(f64::from(value)) as f32;
    let padding = levels.padding.iter().map(|found| ct_slice::Padding { value: change(found.value), ..*found });
    ct_slice::Levels { samples: levels.samples.mapv(change), padding: padding.collect(), ..levels.clone() }
}
