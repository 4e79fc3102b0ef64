//! A slice of CT, made ready for all that follows: what the scanner did not measure is air.
//!
//! Scanners and converters fill what lies outside their circular field of view, or outside a volume that was turned or
//! resampled, with one number: -2000, -1024, 0, 32767. DICOM may declare it (PS3.3 C.7.5.1.1.2), NIfTI cannot. Taken as HU, a 0 is soft tissue:
//! the body is then found in the wrong place. So what has exactly the value of two corners, touches the edge and is large is taken as
//! padding. Measured tissue is noisy and has no such area.

use ndarray::Array2;

use crate::hounsfield::AIR_HU;
use crate::survey;

/// Remark: padding had a value that is not air's, and was taken as air.
pub const PADDING_AS_AIR: &str = "padding_taken_as_air";

/// Samples a side that are kept of the values as stated.
pub const STATED_SIDE: usize = 64;

/// Constant areas below this are air already, HU.
const AIR_BELOW: f32 = -950.0;
/// HU of tissue and bone.
const TISSUE: std::ops::RangeInclusive<f32> = -200.0..=3071.0;
/// Corners that padding of one value holds at least. An arm or a table may hold one, cut off at the most that a volume keeps.
const LEAST_CORNERS: usize = 2;
/// Least part of a slice that padding of one value fills.
const LEAST_PADDING: f64 = 0.005;
/// Least part of a slice that one piece of it fills, and least number of pixels.
const LEAST_PIECE: (f64, f64) = (0.001, 16.0);

/// Pixels of padding of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Padding {
    /// The value, as stated.
    pub value: f32,
    /// Its pixels.
    pub pixels: usize,
}

/// Padding that is air already: its value, and its pixels.
type Air = (f32, Vec<(usize, usize)>);

/// What a slice states before anything is made of it, to judge its units.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Values, (64, 64); NaN where there is padding.
    pub samples: Array2<f32>,
    /// Least and largest value of the whole slice, with padding.
    pub range: (f32, f32),
    /// Padding that no attribute declares.
    pub padding: Vec<Padding>,
    /// Pixels of the slice.
    pub pixels: usize,
}

/// A slice in HU, and what it was made of.
#[derive(Debug, Clone)]
pub struct CtSlice {
    /// HU from -1024; what was not measured has -1024.
    pub hu: Array2<f32>,
    /// The values before.
    pub levels: Levels,
    /// What is remarkable of them, such as [`PADDING_AS_AIR`].
    pub remarks: Vec<&'static str>,
}

impl CtSlice {
    /// Makes a slice ready; `stated` has at least one pixel and NaN for padding that is declared.
    pub fn of(mut stated: Array2<f32>) -> Self {
        let range = range(&stated);
        let (padding, air) = take_out_padding(&mut stated, range);
        let samples = survey::sample(&stated, STATED_SIDE, |value| value);
        let levels = Levels { samples, range, pixels: stated.len(), padding };
        let is_other = levels.padding.iter().any(|padding| padding.value >= AIR_BELOW);
        air.iter().for_each(|(value, pixels)| pixels.iter().for_each(|at| stated[*at] = *value));
        Self { hu: measured(stated), levels, remarks: if is_other { vec![PADDING_AS_AIR] } else { Vec::new() } }
    }

    /// A picture, whose values are what was declared for them, with its stored values if they may be those of CT. Padding of such
    /// values, as negative numbers that were saved without a sign leave it, is air as in other CT. Black stays black.
    pub fn of_picture(mut hu: Array2<f32>, stored: Option<&Array2<f32>>) -> Self {
        let range = range(&hu);
        let Some(stored) = stored else {
            let samples = Array2::from_elem((STATED_SIDE, STATED_SIDE), f32::NAN);
            let levels = Levels { samples, range, pixels: hu.len(), padding: Vec::new() };
            return Self { hu, levels, remarks: Vec::new() };
        };
        let mut measured = stored.clone();
        let (padding, _) = take_out_padding(&mut measured, (f32::NEG_INFINITY, f32::INFINITY));
        let samples = survey::sample(&measured, STATED_SIDE, |value| value);
        let mut is_other = false;
        for (value, _) in hu.iter_mut().zip(&measured).filter(|(_, stored)| stored.is_nan()) {
            if *value >= AIR_BELOW && *value > range.0 && !is_cut_off(*value, range) {
                *value = AIR_HU;
                is_other = true;
            }
        }
        let levels = Levels { samples, range, pixels: hu.len(), padding };
        Self { hu, levels, remarks: if is_other { vec![PADDING_AS_AIR] } else { Vec::new() } }
    }
}

/// Values from -1024 HU; what is no number becomes -1024 HU.
pub fn measured(stated: Array2<f32>) -> Array2<f32> {
    stated.mapv_into(|value| if value.is_finite() { value.max(AIR_HU) } else { AIR_HU })
}

fn range(values: &Array2<f32>) -> (f32, f32) {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Makes padding NaN, and says which values it had. What is air already stays as it is.
fn take_out_padding(stated: &mut Array2<f32>, range: (f32, f32)) -> (Vec<Padding>, Vec<Air>) {
    let (rows, columns) = stated.dim();
    let corners = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)].map(|at| stated[at]);
    let (mut found, mut air): (Vec<Padding>, Vec<Air>) = (Vec::new(), Vec::new());
    for value in corners.into_iter().filter(|value| value.is_finite()) {
        let same = corners.iter().filter(|corner| **corner == value).count();
        if same < LEAST_CORNERS || is_cut_off(value, range) || found.iter().any(|padding| padding.value == value) {
            continue;
        }
        let pieces = pieces_at_edge(stated, value);
        let least = (LEAST_PIECE.0 * stated.len() as f64).max(LEAST_PIECE.1).ceil() as usize;
        let large: Vec<(usize, usize)> = pieces.into_iter().filter(|piece| piece.len() >= least).flatten().collect();
        if large.len() as f64 >= LEAST_PADDING * stated.len() as f64 {
            large.iter().for_each(|at| stated[*at] = f32::NAN);
            found.push(Padding { value, pixels: large.len() });
            if (AIR_HU..AIR_BELOW).contains(&value) {
                air.push((value, large));
            }
        }
    }
    (found, air)
}

/// True for the most that a slice keeps, at which its tissue may be cut off. A 0 is what programs fill with by default.
fn is_cut_off(value: f32, (low, high): (f32, f32)) -> bool {
    value == high && low < high && value != 0.0 && TISSUE.contains(&value)
}

/// The pieces of exactly this value that touch the edge; pixels touch by their sides.
fn pieces_at_edge(stated: &Array2<f32>, value: f32) -> Vec<Vec<(usize, usize)>> {
    let (rows, columns) = stated.dim();
    let mut seen = Array2::from_elem((rows, columns), false);
    let sides = (0..columns).flat_map(|column| [(0, column), (rows - 1, column)]);
    let edge = sides.chain((0..rows).flat_map(|row| [(row, 0), (row, columns - 1)]));
    let mut pieces = Vec::new();
    for start in edge {
        let (mut piece, mut next) = (Vec::new(), vec![start]);
        while let Some((row, column)) = next.pop() {
            if seen[(row, column)] || stated[(row, column)] != value {
                continue;
            }
            seen[(row, column)] = true;
            piece.push((row, column));
            next.extend([(row.saturating_sub(1), column), (row, column.saturating_sub(1))]);
            next.extend([((row + 1).min(rows - 1), column), (row, (column + 1).min(columns - 1))]);
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise around a value, as of a scanner: a triangle of +-20 HU from a linear congruence.
    fn noisy(rows: usize, columns: usize, hu: f32) -> Array2<f32> {
        let mut state = 1_u32;
        Array2::from_shape_simple_fn((rows, columns), || {
            let mut draw = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) % 21
            };
            hu + (draw() as f32 - draw() as f32)
        })
    }

    /// Noise within a circle, `outside` around it.
    fn round(outside: f32) -> Array2<f32> {
        let mut hu = noisy(64, 64, 40.0);
        for ((row, column), value) in hu.indexed_iter_mut() {
            if (row as f32 - 31.5).hypot(column as f32 - 31.5) > 31.5 {
                *value = outside;
            }
        }
        hu
    }

    #[test]
    fn what_surrounds_a_round_field_of_view_is_air() {
        for outside in [0.0, 40.0, 32_767.0, -500.0] {
            let slice = CtSlice::of(round(outside));
            assert_eq!((slice.hu[(0, 0)], slice.remarks), (AIR_HU, vec![PADDING_AS_AIR]), "{outside}");
            assert!(slice.hu[(32, 32)] > 0.0 && slice.levels.samples[(0, 0)].is_nan());
            // By hand: a circle in its square leaves 1 - pi / 4 of it, 0.215.
            let share = slice.levels.padding[0].pixels as f64 / 4096.0;
            assert!((share - 0.215).abs() < 0.04, "{share}");
        }
        for outside in [-1024.0, -2000.0, -32_768.0, f32::NAN] {
            let slice = CtSlice::of(round(outside));
            assert_eq!((slice.hu[(0, 0)], slice.remarks.len()), (AIR_HU, 0), "{outside}");
        }
    }

    #[test]
    fn measured_tissue_is_no_padding() {
        let tissue = noisy(64, 64, 40.0);
        let slice = CtSlice::of(tissue.clone());
        assert_eq!(slice.hu, tissue);
        assert!(slice.levels.padding.is_empty() && slice.remarks.is_empty());
    }

    #[test]
    fn a_slice_of_nothing_but_padding_is_air() {
        let slice = CtSlice::of(Array2::zeros((16, 16)));
        assert!(slice.hu.iter().all(|hu| *hu == AIR_HU) && slice.levels.samples.iter().all(|value| value.is_nan()));
        assert_eq!(slice.levels.range, (0.0, 0.0));
    }
}
