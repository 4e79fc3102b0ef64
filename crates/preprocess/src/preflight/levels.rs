//! Where the values of a series lie: how much is air, soft tissue and denser, and which offset would bring them there.

use std::collections::BTreeMap;

use crate::ct_slice;

/// Air and lung: less than this, HU.
const AIR_BELOW: i32 = -600;
/// Soft tissue, blood and water, HU.
const TISSUE: std::ops::RangeInclusive<i32> = -200..=300;
/// Denser than all but bone's cortex and metal, HU.
const DENSE_FROM: i32 = 700;
/// The least HU of scanners and converters, at which values are cut off.
const LEAST_HU: i32 = -1024;
/// Lower than air with its noise, HU.
const BELOW_AIR: i32 = -1300;
/// HU that nothing measured has, above the usual values of padding.
const NOTHING: (i32, i32) = (-1900, -1200);
/// Bone and contrast agent: from here, HU.
const BONE_FROM: i32 = 150;
/// Most of what nothing measured has, if there is not as much bone.
const MOST_NOTHING: f64 = 0.005;
/// HU of air outside the body, and of padding that stands for air.
const AIR: std::ops::RangeInclusive<i32> = -1060..=-900;
/// Soft tissue without bone and contrast agent, HU.
const SOFT: std::ops::RangeInclusive<i32> = -150..=100;

/// Least part of air and of soft tissue, and most of what is denser, in values that pass as HU.
const PASSES: Shares = Shares { air: 0.002, tissue: 0.02, dense: 0.1 };
/// The same of values that an offset makes HU without doubt.
const CONVINCES: Shares = Shares { air: 0.02, tissue: 0.05, dense: 0.1 };

/// Offsets that data sets are known for: HU + 1024 of scanners and converters, HU + 1000 of 4D-CT, HU + 32768 of pictures, and an intercept
/// too many.
const KNOWN: [f64; 6] = [-1024.0, -1000.0, -32_768.0, 1024.0, 1000.0, -8192.0];
/// An offset that is measured on air is as exact as this, HU.
const EXACT: f64 = 15.0;
/// A known offset is preferred to a measured one that fits better by less than this factor.
const PREFER_KNOWN: f64 = 0.7;

/// Least part of all values that an offset which is not known brings to air and soft tissue.
const CLEAR: f64 = 0.5;

/// Least part of all values that are cut off below in a window without air.
const CUT_OFF: f64 = 0.05;

/// Width of a bin.
const BIN: i32 = 4;
/// Half the width of a peak.
const PEAK: i32 = 60;
/// Least part of all values in a peak.
const LEAST_PEAK: f64 = 0.03;
/// Peaks that are looked at.
const PEAKS: usize = 6;
/// Negative numbers of 16 bits read as unsigned lie above this.
const WRAPPED_FROM: i32 = 1 << 15;

#[derive(Debug, Clone, Copy)]
struct Shares {
    air: f64,
    tissue: f64,
    dense: f64,
}

impl Shares {
    /// True if there is enough of the first two, and little of the third.
    fn reach(self, needed: Self) -> bool {
        self.air >= needed.air && self.tissue >= needed.tissue && self.dense <= needed.dense
    }
}

/// The values of a series without padding.
#[derive(Debug)]
pub(super) struct Levels {
    /// Values in each bin.
    bins: BTreeMap<i32, usize>,
    /// All of them.
    count: usize,
    /// Least and largest value with padding.
    pub(super) range: (f32, f32),
    /// Least and largest value without.
    pub(super) measured: (f32, f32),
    /// Padding of each value, in samples.
    padding: Vec<(i32, usize)>,
}

impl Levels {
    pub(super) fn of<'a>(slices: impl IntoIterator<Item = &'a ct_slice::Levels>) -> Self {
        let nothing = (f32::INFINITY, f32::NEG_INFINITY);
        let mut levels =
            Self { bins: BTreeMap::new(), count: 0, range: nothing, measured: nothing, padding: Vec::new() };
        for slice in slices {
            levels.range = (levels.range.0.min(slice.range.0), levels.range.1.max(slice.range.1));
            for value in slice.samples.iter().copied().filter(|value| value.is_finite()) {
                levels.measured = (levels.measured.0.min(value), levels.measured.1.max(value));
                *levels.bins.entry((value.round() as i32).div_euclid(BIN)).or_default() += 1;
                levels.count += 1;
            }
            let samples = |pixels: usize| pixels * slice.samples.len() / slice.pixels.max(1);
            levels.padding.extend(slice.padding.iter().map(|found| (found.value as i32, samples(found.pixels))));
        }
        levels
    }

    /// True for values that can be HU.
    pub(super) fn are_hu(&self) -> bool {
        self.shares(0).reach(PASSES) && self.is_upright(0) && !self.go_too_low() && !self.go_too_far()
    }

    pub(super) fn have_tissue(&self) -> bool {
        self.shares(0).tissue >= PASSES.tissue
    }

    pub(super) fn are_dense(&self) -> bool {
        self.shares(0).dense > PASSES.dense
    }

    /// True if what is below air is more than air and lung.
    pub(super) fn go_too_low(&self) -> bool {
        let low = self.within(i32::MIN, BELOW_AIR);
        low >= 4 * self.within(BELOW_AIR, AIR_BELOW) && low as f64 >= CONVINCES.tissue * self.count as f64
    }

    /// False for values that have what nothing measured has, and more of it than of bone, as inverted ones have.
    fn is_upright(&self, offset: i32) -> bool {
        let nothing = self.within(NOTHING.0 - offset, NOTHING.1 - offset);
        nothing as f64 <= MOST_NOTHING * self.count as f64 || nothing <= self.bone(offset)
    }

    fn bone(&self, offset: i32) -> usize {
        self.within(BONE_FROM - offset, i32::MAX)
    }

    /// True if many values are above what 15 bits hold, as those of no scanner are.
    fn go_too_far(&self) -> bool {
        self.within(WRAPPED_FROM, i32::MAX) as f64 > PASSES.air * self.count as f64
    }

    /// True if the values are HU when those above 15 bits are taken as negative.
    pub(super) fn are_wrapped(&self) -> bool {
        let high = self.bins.range(WRAPPED_FROM / 2 / BIN..);
        let Some(rescaled) = high.clone().next_back().map(|(bin, _)| (bin * BIN - 2 * WRAPPED_FROM).div_euclid(1024))
        else {
            return false;
        };
        // A rescale intercept of -1024, too, may have been added.
        let unwrapped = |bin: i32| if bin > WRAPPED_FROM / 2 / BIN { bin - 2 * WRAPPED_FROM / BIN } else { bin };
        let bins = self.bins.iter().map(|(bin, count)| (unwrapped(*bin), *count)).collect();
        let near = rescaled >= -2;
        near && Self { bins, padding: Vec::new(), ..*self }.hu_after_any_intercept()
    }

    fn hu_after_any_intercept(&self) -> bool {
        [0, 1024].into_iter().any(|offset| self.shares(offset).reach(CONVINCES))
    }

    /// What added to the values gives HU after they changed their sign, if there is such a number.
    pub(super) fn inverted_offset(&self) -> Option<f64> {
        let bins = self.bins.iter().map(|(bin, count)| (-bin - 1, *count)).collect();
        let padding = self.padding.iter().map(|(value, count)| (-value, *count)).collect();
        let inverted = Self { bins, padding, ..*self };
        if inverted.fit(0.0).is_some() { Some(0.0) } else { inverted.offset() }
    }

    /// True if many values are the least, padding of that value among them: what was below is cut off.
    pub(super) fn are_cut_off_below(&self) -> bool {
        let least = self.measured.0.round() as i32;
        let padding: usize =
            self.padding.iter().filter(|(value, _)| (value - least).abs() < BIN).map(|(_, count)| count).sum();
        let all: usize = self.count + self.padding.iter().map(|(_, count)| count).sum::<usize>();
        (padding + self.within(least, least + BIN)) as f64 >= CUT_OFF * all as f64
    }

    /// Values from `low` up to, but not including, `high`.
    fn within(&self, low: i32, high: i32) -> usize {
        self.bins.range(low.div_euclid(BIN)..high.div_euclid(BIN)).map(|(_, count)| count).sum()
    }

    /// The parts of all values after an offset. Padding that is air then counts as air, but not as a value.
    fn shares(&self, offset: i32) -> Shares {
        let count = self.count.max(1) as f64;
        let air: usize =
            self.padding.iter().filter(|(value, _)| AIR.contains(&(value + offset))).map(|(_, count)| count).sum();
        let share = |found: usize| found as f64 / count;
        Shares {
            air: share(air + self.within(i32::MIN, AIR_BELOW - offset)),
            tissue: share(self.within(TISSUE.start() - offset, TISSUE.end() - offset)),
            dense: share(self.within(DENSE_FROM - offset, i32::MAX)),
        }
    }

    /// How much lies where air and soft tissue lie, after an offset that makes values HU without doubt.
    fn fit(&self, offset: f64) -> Option<f64> {
        let whole = offset.round() as i32;
        let near = |range: std::ops::RangeInclusive<i32>| self.within(range.start() - whole, range.end() - whole);
        let is_hu = self.shares(whole).reach(CONVINCES) && self.is_upright(whole);
        is_hu.then(|| (near(AIR) + near(SOFT)) as f64 / self.count.max(1) as f64)
    }

    /// What added to the values gives HU, if there is such a number.
    pub(super) fn offset(&self) -> Option<f64> {
        let best = |offsets: &[f64]| {
            let fits = offsets.iter().filter_map(|offset| Some((*offset, self.fit(*offset)?)));
            // The first of several that fit as well.
            fits.fold(
                None,
                |best: Option<(f64, f64)>, found| {
                    if best.is_none_or(|best| found.1 > best.1) { Some(found) } else { best }
                },
            )
        };
        let measured = best(&self.measured_offsets());
        let exact = measured.and_then(|(offset, _)| {
            let known = KNOWN.into_iter().filter(|known| (known - offset).abs() <= EXACT);
            known.min_by(|a, b| (a - offset).abs().total_cmp(&(b - offset).abs()))
        });
        exact.or_else(|| match (best(&KNOWN), measured) {
            (Some((known, fit)), Some((_, better))) if fit >= PREFER_KNOWN * better => Some(known),
            (Some((known, _)), None) => Some(known),
            (_, measured) => measured.filter(|(_, fit)| *fit >= CLEAR).map(|(offset, _)| offset),
        })
    }

    /// Offsets by which a peak becomes air of -1000 HU, or padding does if no peak says nearly the same. Padding of 0 is what was cut off
    /// there: the least HU.
    fn measured_offsets(&self) -> Vec<f64> {
        let mut offsets: Vec<f64> = self.peaks().into_iter().map(|peak| f64::from(-1000 - peak)).collect();
        for (value, _) in &self.padding {
            let offset = f64::from(if *value == 0 { LEAST_HU } else { -1000 - value });
            if offsets.iter().all(|other| (other - offset).abs() > 2.0 * EXACT) {
                offsets.push(offset);
            }
        }
        offsets
    }

    /// The middles of the largest peaks.
    fn peaks(&self) -> Vec<i32> {
        let mut rest = self.bins.clone();
        let mut peaks = Vec::new();
        for _ in 0..PEAKS {
            let width = PEAK / BIN;
            let around = |bin: i32| rest.range(bin - width..=bin + width).map(|(_, count)| count).sum::<usize>();
            let Some((bin, size)) = rest.keys().map(|bin| (*bin, around(*bin))).max_by_key(|(_, size)| *size) else {
                break;
            };
            if (size as f64) < LEAST_PEAK * self.count as f64 {
                break;
            }
            let mut passed = 0;
            let middle = rest.range(bin - width..=bin + width).find(|(_, count)| {
                passed += **count;
                2 * passed >= size
            });
            peaks.push(middle.map_or(bin, |(bin, _)| *bin) * BIN + BIN / 2);
            rest.retain(|other, _| (other - bin).abs() > 2 * width);
        }
        peaks
    }
}
