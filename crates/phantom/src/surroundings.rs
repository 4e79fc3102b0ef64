//! What a chest CT shows outside the body: table, arms, cloth, and the confounder (electrodes with leads, a burnt-in mark).

use crate::body::{Body, Draw, Pose};
use crate::field::Field;
use crate::shape::{Ellipse, coverage, mix};

const METAL_HU: f32 = 2500.0;
const TABLE_SHELL_HU: f32 = -120.0;
const TABLE_FOAM_HU: f32 = -930.0;
const CLOTH_HU: f32 = -450.0;
/// Thickness of the table with its two shells, mm.
const TABLE_MM: f32 = 34.0;
const SHELL_MM: f32 = 2.4;
/// Electrodes of a patient who wears them.
const ELECTRODES: usize = 4;

/// An arm cut across, mm in the patient's frame.
#[derive(Debug, Clone, Copy)]
struct Limb {
    x: f32,
    y: f32,
    radius: f32,
}

impl Limb {
    /// Arms beside the body; in varied patients also one alone, away from the body, or folded over the chest.
    fn draw(draw: &mut Draw, body: &Body, variety: f32) -> Vec<Self> {
        let (radius, forward) = (draw.uniform(36.0, 50.0), draw.uniform(-10.0, 45.0));
        let wide = body.half_width_mm + body.muscle_mm + body.fat_mm + 6.0;
        let beside = |sign: f32| Self { x: sign * (wide + radius), y: forward, radius };
        let mut limbs = if body.arms { vec![beside(-1.0), beside(1.0)] } else { Vec::new() };
        for _ in 0..2 {
            let (radius, gap, angle) = (draw.uniform(24.0, 50.0), draw.uniform(0.0, 45.0), draw.uniform(-3.4, 0.3));
            let deep = body.front_mm + 14.0 + body.fat_mm;
            let limb = Self { x: angle.cos() * (wide + radius + gap), y: angle.sin() * (deep + radius + gap), radius };
            if draw.chance(0.8 * (variety - 1.0).clamp(0.0, 1.0)) {
                limbs.push(limb);
            }
        }
        limbs
    }

    /// Skin, fat, muscle and a hollow bone over `air`.
    fn over(&self, air: f32, x: f32, y: f32, pixel: f32) -> f32 {
        let distance = Ellipse::new(self.x, self.y, self.radius, self.radius * 1.1).distance(x, y);
        if distance > pixel {
            return air;
        }
        let meat = mix(-95.0, 50.0, coverage(distance + 0.3 * self.radius, pixel));
        let bone = Ellipse::new(self.x, self.y + 4.0, 12.0, 12.0).distance(x, y);
        let shell = mix(meat, mix(900.0, 60.0, coverage(bone + 4.5, pixel)), coverage(bone, pixel));
        mix(air, shell, coverage(distance, pixel))
    }
}

/// The surroundings of one patient.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    limbs: Vec<Limb>,
    cloth: Option<Field>,
    /// Mean height of the cloth over the skin, mm.
    cloth_mm: f32,
    /// Angles of the electrodes around the front, radians from the left (0) over the front; empty without the confounder.
    electrodes: Vec<f32>,
    /// Middle of the burnt-in mark, in shares of the side.
    mark: Option<(f32, f32)>,
    two_shells: bool,
}

impl Surroundings {
    pub fn draw(draw: &mut Draw, body: &Body, variety: f32, confounder: bool) -> Self {
        let limbs = Limb::draw(draw, body, variety);
        let cloth = body.cloth.then(|| Field::new(body.texture ^ 0xC1));
        let cloth_mm = draw.uniform(7.0, 13.0 + 28.0 * (variety - 1.0).clamp(0.0, 1.0));
        let two_shells = draw.chance(0.7);
        // Drawn for everyone, so that the confounder changes nothing else.
        let angles: Vec<f32> =
            (0..ELECTRODES).map(|index| 0.55 + 0.62 * index as f32 + draw.normal(0.0, 0.1)).collect();
        let mark = (draw.uniform(0.07, 0.10), draw.uniform(0.80, 0.84));
        Self {
            limbs,
            cloth,
            cloth_mm,
            electrodes: if confounder { angles } else { Vec::new() },
            mark: confounder.then_some(mark),
            two_shells,
        }
    }

    /// Density of a point outside the body in the patient's frame, HU: arms and cloth over `air`.
    pub fn near_body(&self, x: f32, y: f32, skin: f32, level: f32, pixel: f32, air: f32) -> f32 {
        let mut hu = air;
        for limb in self.limbs.iter().filter(|_| level > 0.05) {
            hu = limb.over(hu, x, y, pixel);
        }
        if let Some(cloth) = self.cloth.filter(|_| (1.0..2.0 * self.cloth_mm + 8.0).contains(&skin)) {
            let fold = skin - self.cloth_mm - 0.9 * self.cloth_mm * cloth.at(x / 30.0, y / 30.0, level * 6.0);
            let torn = cloth.at(x / 45.0 + 20.0, y / 45.0, level * 3.0);
            if torn > -0.1 {
                hu = hu.max(mix(hu, CLOTH_HU, (1.0 - fold.abs() / pixel).max(0.0)));
            }
        }
        hu
    }

    /// Density of the table at a point of the image (mm from its centre), if the table is there.
    pub fn table(&self, pose: &Pose, x: f32, y: f32, pixel: f32) -> Option<f32> {
        let sag = pose.table_sag_mm;
        let depth = y - (pose.table_mm - sag * (x / 200.0).powi(2));
        if !(-pixel..TABLE_MM + pixel).contains(&depth) || x.abs() > 212.0 {
            return None;
        }
        let upper = 1.0 - coverage((depth - SHELL_MM).abs() - SHELL_MM, pixel);
        let lower = 1.0 - coverage((depth - TABLE_MM + SHELL_MM).abs() - SHELL_MM, pixel);
        let solid = if self.two_shells { upper.min(lower) } else { upper };
        Some(mix(TABLE_SHELL_HU, TABLE_FOAM_HU, solid))
    }

    /// Electrodes and leads on the skin: a density of its own, or `None`. `angle` is measured in the patient's frame from the left
    /// over the front, radians; `skin` is the distance to the skin, mm.
    pub fn electrode(&self, x: f32, y: f32, skin: f32) -> Option<f32> {
        if self.electrodes.is_empty() || !(-1.0..14.0).contains(&skin) {
            return None;
        }
        let angle = (-y).atan2(x);
        let radius = x.hypot(y);
        for (index, at) in self.electrodes.iter().enumerate() {
            let along = (angle - at) * radius;
            if along.abs() < 7.5 && (0.0..4.0).contains(&skin) || along.abs() < 2.5 && skin < 8.0 {
                return Some(METAL_HU);
            }
            // The lead runs off to the side, a little above the skin.
            let lead = skin - 7.0 - 3.0 * (angle * (4.0 + index as f32)).sin();
            if index % 2 == 0 && (0.0..45.0).contains(&along) && lead.abs() < 1.3 {
                return Some(0.5 * METAL_HU);
            }
        }
        None
    }

    /// The burnt-in mark at a pixel given in shares of the side: a short bar with two ticks.
    pub fn mark(&self, column: f32, row: f32) -> bool {
        let Some((x, y)) = self.mark else { return false };
        let (dx, dy) = (column - x, row - y);
        let bar = dx.abs() < 0.010 && dy.abs() < 0.055;
        let ticks = (0.0..0.032).contains(&dx) && ((dy.abs() - 0.048).abs() < 0.009 || dy.abs() < 0.009);
        bar || ticks
    }
}
