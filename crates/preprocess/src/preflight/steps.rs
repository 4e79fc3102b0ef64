//! Slices against their neighbours: the same place of a patient has nearly the same HU in both.
//!
//! A slice that lacks its intercept lies some 1000 HU above or below its neighbours in air and tissue alike. Where a body begins
//! or ends, only what was tissue changes.

use crate::survey::Survey;

/// A step of soft tissue between neighbours that no anatomy makes on the whole, HU.
pub(super) const UNEVEN_HU: f32 = 60.0;

/// A step of all values between neighbours that no anatomy makes, HU.
const LEAST_STEP: f32 = 300.0;
/// A step is one of all values if this part of them takes it, and by how much they may differ, HU.
const SAME_STEP: (f64, f32) = (0.5, 200.0);
/// Least spread between the lower and the upper tenth of the values of a slice that shows air and tissue, HU.
const LEAST_SPREAD: f32 = 500.0;
/// Least part of samples without padding in both.
const LEAST_COMMON: f64 = 0.1;

/// Soft tissue, HU.
const TISSUE: std::ops::RangeInclusive<f32> = -200.0..=300.0;
/// All of the body but air, lung and metal, HU.
const BODY: std::ops::RangeInclusive<f32> = -500.0..=900.0;
/// Least samples of soft tissue at one place in both slices.
const LEAST_TISSUE: usize = 100;
/// Least part of pairs with a step of soft tissue, and least number.
const UNEVEN_PAIRS: (f64, usize) = (0.25, 3);

/// Slices that lie above or below the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Odd {
    /// Their number.
    pub(super) count: usize,
    /// The first of them, from 0.
    pub(super) first: usize,
    /// How far above, HU.
    pub(super) above: f32,
}

/// The slices of the smaller group, where a series falls into two or more that are steps apart.
pub(super) fn odd_slices(slices: &[&Survey]) -> Option<Odd> {
    let mut level = 0.0;
    let mut heights = vec![level];
    for pair in slices.windows(2) {
        level += step(pair[0], pair[1]).unwrap_or(0.0);
        heights.push(level);
    }
    let near = |a: f32, b: f32| (a - b).abs() < LEAST_STEP;
    let alike = |height: f32| heights.iter().filter(|other| near(**other, height)).count();
    let usual = heights.iter().copied().max_by_key(|height| (alike(*height), is_low(slices, &heights, *height)))?;
    let mut odd = heights.iter().enumerate().filter(|(_, height)| !near(**height, usual));
    let (first, height) = odd.next()?;
    Some(Odd { count: 1 + odd.count(), first, above: (height - usual).round() })
}

/// Of two groups of one size the lower one is right: what lacks an intercept is too high.
fn is_low(slices: &[&Survey], heights: &[f32], height: f32) -> i32 {
    debug_assert_eq!(slices.len(), heights.len());
    heights.iter().filter(|other| **other > height).count() as i32
}

/// The step from one slice to the next, if nearly all values take it.
fn step(first: &Survey, second: &Survey) -> Option<f32> {
    let mut steps: Vec<f32> = common(first, second).map(|[a, b]| b - a).collect();
    let samples = first.levels.samples.len() as f64;
    if (steps.len() as f64) < LEAST_COMMON * samples || !is_spread(first) || !is_spread(second) {
        return None;
    }
    let step = median(&mut steps)?;
    let same = steps.iter().filter(|other| (**other - step).abs() <= SAME_STEP.1).count() as f64;
    (step.abs() >= LEAST_STEP && same >= SAME_STEP.0 * steps.len() as f64).then_some(step)
}

/// The values of two slices at one place, where neither is padding.
fn common<'a>(first: &'a Survey, second: &'a Survey) -> impl Iterator<Item = [f32; 2]> + 'a {
    let pairs = first.levels.samples.iter().zip(&second.levels.samples);
    pairs.map(|(a, b)| [*a, *b]).filter(|pair| pair.iter().all(|value| value.is_finite()))
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

/// True for a slice that shows more than one kind of matter.
fn is_spread(slice: &Survey) -> bool {
    let mut values: Vec<f32> = slice.levels.samples.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let tenth = values.len() / 10;
    values.len() > 10 && values[values.len() - 1 - tenth] - values[tenth] >= LEAST_SPREAD
}

/// The number of neighbours between which soft tissue changes as a whole, if there are many; `offset` added to the values gives HU.
pub(super) fn uneven(slices: &[&Survey], offset: f64) -> Option<usize> {
    let changed = slices
        .windows(2)
        .filter(|pair| tissue_step(pair[0], pair[1], offset as f32).is_some_and(|step| step.abs() > UNEVEN_HU));
    let changed = changed.count();
    let many = changed >= UNEVEN_PAIRS.1 && changed as f64 >= UNEVEN_PAIRS.0 * (slices.len() - 1) as f64;
    many.then_some(changed)
}

/// The median step where one slice shows soft tissue, and the other neither air nor lung nor metal.
fn tissue_step(first: &Survey, second: &Survey, offset: f32) -> Option<f32> {
    let is = |range: &std::ops::RangeInclusive<f32>, value: f32| range.contains(&(value + offset));
    let both =
        common(first, second).filter(|[a, b]| (is(&TISSUE, *a) && is(&BODY, *b)) || (is(&TISSUE, *b) && is(&BODY, *a)));
    let mut steps: Vec<f32> = both.map(|[a, b]| b - a).collect();
    if steps.len() < LEAST_TISSUE { None } else { median(&mut steps) }
}
