//! Whether a series can be what it claims: Hounsfield units ([`units()`]), and seen the way its geometry says ([`orientation()`]).

use std::collections::BTreeMap;
use std::fmt;

use crate::survey::Survey;

mod arrangement;
mod grey;
mod levels;
mod likeness;
mod orientation;
mod steps;
mod units;

pub use arrangement::arrangement;
pub use grey::grey;
pub use likeness::Likeness;
pub use orientation::{Clue, Scope, clue, orientation};
pub use units::{Interface, units};

/// What is wrong with a series, for an error message.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Values are not HU.
    Units {
        /// Least and largest value.
        range: (f32, f32),
        /// What they look like.
        looks_like: Likeness,
    },
    /// Some slices have another zero than the others.
    Slices {
        /// Their number.
        count: usize,
        /// Slices of the series.
        of: usize,
        /// The first of them, as a name or a number.
        first: String,
        /// How far they lie above the others, HU.
        above: f32,
    },
    /// The grey of soft tissue goes up and down from slice to slice.
    Uneven {
        /// Pairs of neighbours with such a step.
        pairs: usize,
        /// All pairs.
        of: usize,
    },
    /// The grey values of an image file are not spread over the range that was declared for them.
    Grey {
        /// Least and largest stored value.
        stored: (f32, f32),
        /// What they become in HU.
        hu: (f32, f32),
        /// HU of black and white that would give CT.
        fits: Option<(f64, f64)>,
        /// True if negative numbers were saved without their sign, so that no range gives CT.
        wrapped: bool,
    },
    /// The lungs lie one above the other.
    Turned {
        /// Slices in which they do.
        slices: usize,
        /// Slices that show two lungs.
        of: usize,
    },
    /// What the header says are axial slices are long strips.
    NotAxial {
        /// Rows of one.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// The spine lies in the front of the body.
    FrontBack {
        /// Mean sign of the spine, -1 in front to +1 behind.
        spine: f64,
        /// Slices that were judged.
        slices: usize,
    },
    /// Heart and lung volumes are those of a mirror image.
    LeftRight {
        /// Where the space between the lungs lies: -1 right of the spine to +1 left of it.
        heart: f64,
        /// `(right - left) / (right + left)` of the lungs' volumes.
        lungs: f64,
        /// Slices that were judged.
        slices: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Units { range: (low, high), looks_like } => write!(
                out,
                "values from {low} to {high} cannot be HU: {looks_like}; expected air near -1000 and soft tissue near 0"
            ),
            Self::Slices { count, of, first, above } => {
                let (far, side) = (above.abs(), if *above > 0.0 { "above" } else { "below" });
                write!(
                    out,
                    "{count} of {of} slices, the first {first}, lie {far} HU {side} the others, as if their rescale intercept were missing \
                     or applied twice; correct their RescaleIntercept or their values, or take them out"
                )
            }
            Self::Uneven { pairs, of } => write!(
                out,
                "soft tissue changes by more than {} HU from one slice to the next in {pairs} of {of} pairs, as if each slice had been \
                 scaled on its own, so no offset gives HU; export the series anew",
                steps::UNEVEN_HU
            ),
            Self::Grey { stored, hu, wrapped, .. } => write!(
                out,
                "its 16-bit values from {} to {} become {:.0} to {:.0} HU, which is no CT{}; expected air near -1000 and soft tissue near 0",
                stored.0,
                stored.1,
                hu.0,
                hu.1,
                if *wrapped { ": the negative ones look as if they had been saved as unsigned numbers" } else { "" }
            ),
            Self::Turned { slices, of } => write!(
                out,
                "it looks turned by a quarter: in {slices} of {of} slices the lungs lie one above the other and the spine at the side; the \
                 file's orientation is probably wrong, as when pixel arrays are saved without the affine of their DICOM; save them again with \
                 their affine"
            ),
            Self::NotAxial { rows, columns } => write!(
                out,
                "its axial slices by the header have {rows} x {columns} pixels, which shows no chest; the file's orientation is probably \
                 wrong, as when pixel arrays are saved without the affine of their DICOM; save them again with their affine"
            ),
            Self::FrontBack { spine, slices } => write!(
                out,
                "it looks flipped front to back: in {slices} slices the spine lies in the front of the body (sign {spine:+.2}, expected \
                 above 0); the file's orientation is probably wrong"
            ),
            Self::LeftRight { heart, lungs, slices } => write!(
                out,
                "it looks flipped left to right: in {slices} slices the heart lies to the right of the spine (sign {heart:+.2}, expected \
                 above 0) and the left lung is the larger one (asymmetry {lungs:+.2}, expected above 0); the file's orientation is \
                 probably wrong"
            ),
        }
    }
}

/// The remarks on the values of slices, each with the number of slices that have it.
pub fn remarks<'a>(slices: impl IntoIterator<Item = &'a Survey>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    slices.into_iter().flat_map(|slice| &slice.remarks).for_each(|remark| *counts.entry(*remark).or_default() += 1);
    counts
}
