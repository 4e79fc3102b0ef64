//! What values look like that are not HU, and what makes HU of them.

use std::fmt;

use super::levels::Levels;

/// No scanner's scale goes further, HU.
const FURTHEST_HU: f32 = 40_000.0;
/// Values as far from 0 as this and no further are no HU, whatever unit they have.
const NORMALISED: f32 = 5.0;
/// Values from here on show no air, HU.
const NO_AIR_FROM: f32 = -200.0;

/// What values look like that are not HU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Likeness {
    /// Negative numbers of 16 bits, read as unsigned.
    Wrapped,
    /// One value.
    Constant,
    /// HU that lack this number.
    Offset(f64),
    /// Beyond every scanner's scale.
    Far,
    /// Brought to a small range, or attenuation coefficients.
    Normalised,
    /// Grey values of 8 bits.
    Picture,
    /// Air too low.
    Low,
    /// Air bright; this number added to the negative of the values gives HU.
    Inverted(f64),
    /// No soft tissue.
    NoTissue,
    /// Cut off below by a window.
    Window,
    /// No air and nothing below, with no offset that fits.
    Stored,
    /// Too much that is denser than bone.
    Dense,
    /// No air.
    NoAir,
}

impl Likeness {
    /// Judges values that are not HU, of which `offset` makes HU.
    pub(super) fn of(levels: &Levels, offset: Option<f64>) -> Self {
        let (low, high) = levels.measured;
        if levels.are_wrapped() {
            Self::Wrapped
        } else if levels.range.0 >= levels.range.1 {
            Self::Constant
        } else if let Some(offset) = offset {
            Self::Offset(offset)
        } else if low < -FURTHEST_HU || high > FURTHEST_HU {
            Self::Far
        } else if low >= -NORMALISED && high <= NORMALISED {
            Self::Normalised
        } else if low >= 0.0 && high <= 255.0 {
            Self::Picture
        } else if levels.go_too_low() {
            Self::Low
        } else if let Some(offset) = levels.inverted_offset() {
            Self::Inverted(offset)
        } else if !levels.have_tissue() {
            Self::NoTissue
        } else {
            Self::without_air(levels)
        }
    }

    fn without_air(levels: &Levels) -> Self {
        if levels.are_cut_off_below() {
            Self::Window
        } else if levels.measured.0 >= NO_AIR_FROM {
            Self::Stored
        } else if levels.are_dense() {
            Self::Dense
        } else {
            Self::NoAir
        }
    }

    /// What makes HU of the values, but for an offset, which depends on how it is given.
    pub(super) fn remedy(self) -> Option<String> {
        let text = match self {
            Self::Wrapped => "correct PixelRepresentation, or the data type of the volume".to_owned(),
            Self::Constant => "give the CT itself, or take this series out".to_owned(),
            Self::Far => "give the CT in HU: correct its RescaleSlope or its data type, or export it again".to_owned(),
            Self::Normalised => {
                "give the CT in HU: export it again without normalisation, or undo it by its own formula".to_owned()
            }
            Self::Inverted(0.0) => "multiply the values by -1".to_owned(),
            Self::Inverted(offset) => format!("multiply the values by -1 and add {offset}"),
            Self::Window => "no offset helps; export the CT again without a window".to_owned(),
            Self::Picture | Self::Offset(_) | Self::Low | Self::NoTissue | Self::Stored | Self::Dense | Self::NoAir => {
                return None;
            }
        };
        Some(text)
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let text = match self {
            Self::Wrapped => "the negative ones look as if they had been read as unsigned numbers",
            Self::Constant => "all values are the same",
            Self::Offset(offset) if *offset < 0.0 => {
                return write!(
                    out,
                    "they look like HU + {}, stored values without their rescale intercept",
                    offset.abs()
                );
            }
            Self::Offset(offset) => {
                return write!(
                    out,
                    "they look like HU - {offset}, as if an intercept had been applied twice; there is no soft tissue"
                );
            }
            Self::Far => "they are far outside any scanner's scale",
            Self::Normalised => "they look normalised, or like attenuation coefficients",
            Self::Picture => "they look like grey values of a picture",
            Self::Low => "air lies too low, as if the slope were wrong",
            Self::Inverted(_) => "they look inverted, with air bright",
            Self::NoTissue => "there is no soft tissue, as if an intercept had been applied twice or not at all",
            Self::Window => {
                "there is no air, as in a soft-tissue window that cuts off what lies below, so no lung can be seen"
            }
            Self::Stored => "they look like stored values without their rescale intercept",
            Self::Dense => "too many are denser than bone, as if the rescale were wrong",
            Self::NoAir => "there is no air, as in a soft-tissue window, so no lung can be seen",
        };
        out.write_str(text)
    }
}
