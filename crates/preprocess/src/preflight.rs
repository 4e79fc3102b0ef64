//! Whether a series can be what it claims: Hounsfield units ([`units()`]), and seen the way its geometry says ([`orientation()`]).

use std::fmt;

mod orientation;
mod units;

pub use orientation::{Clue, Scope, clue, orientation};
pub use units::units;

/// What is wrong with a series, for an error message.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Values are not HU.
    Units {
        /// Least and largest value.
        range: (f32, f32),
        /// What they look like.
        looks_like: &'static str,
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
