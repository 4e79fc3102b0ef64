//! What differs from patient to patient: sizes, positions and densities, drawn once from the patient's own generator.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use contract::random::ChaCha8Rng;

/// Draws in the units of anatomy.
pub(crate) struct Draw<'a>(pub &'a mut ChaCha8Rng);

impl Draw<'_> {
    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Normal, cut at 2.5 deviations so that no patient is a monster.
    pub fn normal(&mut self, mean: f32, deviation: f32) -> f32 {
        let value: f32 = StandardNormal.sample(self.0);
        mean + deviation * value.clamp(-2.5, 2.5)
    }

    /// True with probability `share`.
    pub fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }
}

/// A patient's body. Lengths in mm, densities in HU. The patient's frame: x to the patient's left (the image's right), y to the
/// back, origin at the middle of the chest; level 0 is the lung apex and level 1 the lowest recess of the lungs.
#[derive(Debug, Clone)]
pub struct Body {
    /// From apex to base of the lungs.
    pub length_mm: f32,
    /// Half the inner width of the chest at its widest.
    pub half_width_mm: f32,
    /// Inner depth in front of the origin.
    pub front_mm: f32,
    /// Inner depth behind the origin.
    pub back_mm: f32,
    /// How rectangular the chest is, 0..1.
    pub square: f32,
    /// Subcutaneous fat.
    pub fat_mm: f32,
    /// Muscle outside the ribs, at the sides.
    pub muscle_mm: f32,
    /// Height of the breasts over the chest; 0 for none.
    pub breast_mm: f32,
    /// Factor of the heart's size.
    pub heart: f32,
    /// Shift of the heart to the left.
    pub heart_shift_mm: f32,
    /// Level of the top of the right and left dome of the diaphragm.
    pub dome_top: [f32; 2],
    /// Half-width of the mediastinum above the heart.
    pub mediastinum_mm: f32,
    /// Density of blood: 45 without contrast medium, up to 350 with.
    pub blood_hu: f32,
    /// Density of liver and spleen.
    pub liver_hu: f32,
    /// Density of healthy lung in the middle of the chest.
    pub lung_hu: f32,
    /// Rise of the lung's density towards the back, per mm.
    pub lung_slope_hu: f32,
    /// Distance of the ribs.
    pub rib_step_mm: f32,
    /// Position of the first rib, in rib distances.
    pub rib_phase: f32,
    /// How far a rib descends from the spine to the front.
    pub rib_drop_mm: f32,
    /// Arms beside the body.
    pub arms: bool,
    /// Wrinkled cloth on the skin.
    pub cloth: bool,
    /// Seed of the body's random fields.
    pub texture: u32,
}

impl Body {
    /// Draws a body. `variety` 1 is a clinical mix; above 1 the spread grows, for training data.
    pub(crate) fn draw(draw: &mut Draw, variety: f32) -> Self {
        let size = draw.normal(1.0, 0.07 * variety.min(1.5));
        let contrast = draw.chance(0.45);
        let dome = draw.normal(0.60, 0.05 * variety);
        let woman = draw.chance(0.5);
        Self {
            length_mm: draw.normal(235.0, 22.0) * size,
            half_width_mm: draw.normal(128.0, 7.0) * size,
            front_mm: draw.normal(84.0, 6.0) * size,
            back_mm: draw.normal(94.0, 5.0) * size,
            square: draw.uniform(0.0, 0.4),
            fat_mm: draw.uniform(6.0, 14.0 + 22.0 * variety.min(1.4)),
            muscle_mm: draw.uniform(8.0, 17.0),
            breast_mm: if woman { draw.uniform(8.0, 40.0) } else { 0.0 },
            heart: draw.normal(1.0, 0.09 * variety),
            heart_shift_mm: draw.normal(22.0, 6.0 * variety),
            dome_top: [dome.clamp(0.35, 0.8), (dome + draw.normal(0.05, 0.03 * variety)).clamp(0.35, 0.85)],
            mediastinum_mm: draw.normal(25.0, 4.0 * variety.min(1.5)).max(14.0),
            blood_hu: if contrast { draw.uniform(120.0, 350.0) } else { draw.uniform(35.0, 55.0) },
            liver_hu: if contrast { draw.uniform(80.0, 130.0) } else { draw.uniform(35.0, 65.0) },
            lung_hu: draw.normal(-858.0, 28.0 * variety),
            lung_slope_hu: draw.uniform(0.1, 0.7),
            rib_step_mm: draw.uniform(22.0, 29.0) * size,
            rib_phase: draw.uniform(0.0, 1.0),
            rib_drop_mm: draw.uniform(45.0, 85.0),
            arms: draw.chance(0.2 + 0.15 * (variety - 1.0).clamp(0.0, 1.0)),
            cloth: draw.chance(0.5),
            texture: draw.0.random(),
        }
    }
}

/// How the patient lies in the scanner and what the scanner shows.
#[derive(Debug, Clone)]
pub struct Pose {
    /// Turn of the patient about the long axis, radians; a prone patient is turned by about pi.
    pub turn: f32,
    /// Shift of the patient in the image, mm.
    pub shift_mm: (f32, f32),
    /// Side of the image, mm.
    pub field_mm: f32,
    /// What the pixels outside the scanner's round field hold.
    pub padding: Padding,
    /// Height of the table below the image's centre, mm.
    pub table_mm: f32,
    /// Sag of the table's surface at 200 mm from its middle, mm.
    pub table_sag_mm: f32,
}

/// Pixels outside the round field of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Marked as padding with a stored value of -2000, which rescales to -3024 HU.
    Marked,
    /// Air, -1024 HU, without a mark.
    Air,
    /// No round field: the whole square was reconstructed.
    Square,
}

impl Padding {
    /// HU outside the field, if there is an outside.
    pub fn hu(self) -> Option<f32> {
        match self {
            Self::Marked => Some(-3024.0),
            Self::Air => Some(-1024.0),
            Self::Square => None,
        }
    }
}

impl Pose {
    /// Draws a position for `body`.
    pub(crate) fn draw(draw: &mut Draw, body: &Body, variety: f32) -> Self {
        let prone = variety > 1.0 && draw.chance(0.06);
        let lean = draw.normal(0.0, 0.07 * variety).clamp(-0.6, 0.6);
        let width = 2.0 * (body.half_width_mm + body.muscle_mm + body.fat_mm);
        // Most fields hold the body with some air; small ones cut the skin, as in images zoomed to the lungs.
        let tightest = if variety > 1.0 { 0.84 } else { 1.0 };
        let field_mm = width * draw.uniform(tightest, 1.22);
        let shift_mm = (draw.normal(0.0, 7.0 * variety), draw.normal(-4.0, 7.0 * variety));
        let below =
            if prone { body.front_mm + 22.0 + 0.7 * body.fat_mm } else { body.back_mm + 36.0 + 0.6 * body.fat_mm };
        let kind = draw.uniform(0.0, 1.0);
        Self {
            turn: lean + if prone { std::f32::consts::PI } else { 0.0 },
            shift_mm,
            field_mm,
            padding: match kind {
                kind if kind < 0.55 => Padding::Marked,
                kind if kind < 0.85 => Padding::Air,
                _ => Padding::Square,
            },
            table_mm: below + shift_mm.1 + draw.uniform(2.0, 9.0) + 45.0 * lean.abs(),
            table_sag_mm: draw.uniform(8.0, 32.0),
        }
    }
}
