//! The density of every point of a section, HU, before lesions and vessels: skin, fat, muscle, bone, mediastinum, lung.

use crate::abdomen::{Abdomen, AbdomenSection};
use crate::body::Body;
use crate::bones::{Bones, spine_y};
use crate::field::Field;
use crate::section::{LEFT, RIGHT, Section, sign};
use crate::shape::{Ellipse, coverage, mix, ramp, smooth_union};

/// Air, HU: the scale's lower fixed point.
pub(crate) const AIR_HU: f32 = -1000.0;
const SKIN_HU: f32 = 10.0;
const SKIN_MM: f32 = 1.8;
const FAT_HU: f32 = -105.0;
const MUSCLE_HU: f32 = 55.0;
const LYMPH_HU: f32 = 38.0;
const WINDPIPE_HU: f32 = -985.0;
const WINDPIPE_WALL_MM: f32 = 1.8;

/// What one pixel shows.
pub(crate) struct Sample {
    /// Density, HU.
    pub hu: f32,
    /// Share of the pixel that is lung, 0..1.
    pub lung: f32,
    /// Share of the pixel that is body, 0..1.
    pub body: f32,
}

/// All figures of one section.
pub(crate) struct Tissue<'a> {
    body: &'a Body,
    section: &'a Section,
    bones: Bones,
    abdomen: AbdomenSection,
    breasts: [Ellipse; 2],
    backs: [Ellipse; 2],
    shoulders: [Ellipse; 2],
    gullet: Ellipse,
    trunk: Ellipse,
    chambers: [Ellipse; 2],
    field: Field,
    z: f32,
    pixel: f32,
}

impl<'a> Tissue<'a> {
    pub fn new(body: &'a Body, section: &'a Section, abdomen: &Abdomen, pixel: f32) -> Self {
        let level = section.level;
        let pair = |make: &dyn Fn(f32) -> Ellipse| [RIGHT, LEFT].map(|side| make(sign(side)));
        let breast = (1.0 - ((level - 0.5) / 0.32).powi(2)).max(0.0).sqrt() * f32::from(u8::from(body.breast_mm > 0.0));
        let blade = ramp(-0.25, -0.05, level) * ramp(0.6, 0.45, level);
        let canal = spine_y(body) + 23.0;
        let heart = (1.0 - ((level - 0.69) / 0.31).powi(2)).max(0.0).sqrt() * body.heart;
        let shift = body.heart_shift_mm;
        let trunk = (1.0 - ((level - 0.42) / 0.06).powi(2)).max(0.0).sqrt();
        Self {
            body,
            section,
            bones: Bones::at(body, section, pixel),
            abdomen: abdomen.at(body, level, pixel),
            breasts: pair(&|sign| {
                let (half_x, half_y) = (56.0 * breast, (26.0 + body.breast_mm) * breast);
                Ellipse::new(
                    sign * 0.52 * body.half_width_mm,
                    -0.80 * body.front_mm - 0.55 * body.fat_mm,
                    half_x,
                    half_y,
                )
            }),
            backs: pair(&|sign| Ellipse::new(sign * 27.0, canal + 11.0, 25.0, 17.0)),
            shoulders: pair(&|sign| {
                Ellipse::new(sign * 0.70 * body.half_width_mm, 0.82 * body.back_mm, 52.0 * blade, 24.0 * blade)
                    .turned(-sign * 0.72)
            }),
            gullet: Ellipse::new(3.0, 28.0 + 6.0 * level, 7.5, 5.5),
            trunk: Ellipse::new(4.0, -12.0, 40.0 * trunk, 12.0 * trunk).turned(0.25),
            chambers: [
                Ellipse::new(shift - 22.0, -0.22 * body.front_mm, 30.0 * heart, 30.0 * heart).turned(0.4),
                Ellipse::new(shift + 20.0, -0.36 * body.front_mm, 30.0 * heart, 22.0 * heart).turned(0.6),
            ],
            field: Field::new(body.texture),
            z: level * body.length_mm,
            pixel,
        }
    }

    /// Signed distance to the skin, mm.
    pub fn skin(&self, x: f32, y: f32) -> f32 {
        let distance = self.section.skin.distance(x, y);
        if self.body.breast_mm > 0.0 && y < 0.0 {
            return smooth_union(distance, self.breasts[usize::from(x > 0.0)].distance(x, y), 16.0);
        }
        distance
    }

    /// What a pixel around a point shows, given its distance to the skin.
    pub fn sample(&self, x: f32, y: f32, skin: f32) -> Sample {
        let body = coverage(skin, self.pixel);
        if body <= 0.0 {
            return Sample { hu: AIR_HU, lung: 0.0, body };
        }
        let wall = self.section.wall(x, y);
        let (inside, lung) = if wall < 0.6 * self.pixel { self.inside(x, y) } else { (MUSCLE_HU, 0.0) };
        let mut hu = mix(self.outside(x, y, skin, wall), inside, coverage(wall, self.pixel));
        if let Some(bone) = self.bones.at_point(x, y, wall).filter(|_| skin < -2.0) {
            hu = mix(hu, bone.hu, bone.share * (1.0 - lung));
        }
        if self.section.level < crate::section::CARINA {
            hu = self.windpipe(hu, x, y);
        }
        Sample { hu: mix(AIR_HU, hu, body), lung, body }
    }

    /// Chest wall: skin, fat, muscle.
    fn outside(&self, x: f32, y: f32, skin: f32, wall: f32) -> f32 {
        let side = usize::from(x > 0.0);
        let (level, fat) = (self.section.level, self.body.fat_mm);
        let behind = ramp(0.0, self.body.back_mm, y);
        let before = ramp(0.0, -self.body.front_mm, y) * ramp(0.55, 0.35, level);
        let ragged = 2.5 * self.field.at(x / 16.0, y / 16.0, self.z / 30.0);
        let thick = self.body.muscle_mm * (1.0 + 0.4 * behind + 0.5 * before) + ragged;
        let shoulder = skin + mix(200.0, fat.min(24.0), ramp(0.16, 0.02, level));
        let muscle =
            (wall - thick).min(self.backs[side].distance(x, y)).min(self.shoulders[side].distance(x, y)).min(shoulder);
        let muscle = muscle.max(skin + 0.35 * fat.min(10.0) + SKIN_MM);
        let planes = self.field.at(x / 10.0 + 50.0, y / 10.0, self.z / 45.0);
        let meat = mix(-70.0, MUSCLE_HU, ramp(0.02, 0.14, planes.abs()));
        let gland = self.field.at(x / 8.0, y / 8.0 + 90.0, self.z / 12.0);
        let in_breast = self.body.breast_mm > 0.0 && self.breasts[side].distance(x, y) < -7.0 && wall > thick;
        let fat_hu = if in_breast { mix(FAT_HU, 35.0, ramp(0.1, 0.5, gland)) } else { FAT_HU + 8.0 * gland };
        let hu = mix(fat_hu, meat, coverage(muscle, 2.0 * self.pixel));
        mix(hu, SKIN_HU, coverage(-skin - SKIN_MM, self.pixel))
    }

    /// Inside the ribs: density and share of lung.
    fn inside(&self, x: f32, y: f32) -> (f32, f32) {
        let (distance, side) = self.section.lung(x, y);
        let lung = coverage(distance, self.pixel);
        let rest = if lung >= 1.0 {
            0.0
        } else if self.section.level >= 1.0 {
            self.below(x, y)
        } else {
            let dome = coverage(self.section.domes[side].distance(x, y), self.pixel);
            if dome > 0.0 { mix(self.middle(x, y), self.below(x, y), dome) } else { self.middle(x, y) }
        };
        if lung <= 0.0 {
            return (rest, 0.0);
        }
        (mix(rest, self.lung(x, y), lung), lung)
    }

    fn below(&self, x: f32, y: f32) -> f32 {
        self.abdomen.hu(x, y)
    }

    /// Healthy lung.
    fn lung(&self, x: f32, y: f32) -> f32 {
        let body = self.body;
        let broad = self.field.at(x / 34.0, y / 34.0 + 7.0, self.z / 34.0);
        let fine = self.field.at(x / 5.0, y / 5.0 + 17.0, self.z / 5.0);
        let hu = body.lung_hu + body.lung_slope_hu * y + 16.0 * broad + 14.0 * fine;
        // The oblique fissure: a thin sheet from high behind to low in front.
        let sheet = (y - (72.0 - 135.0 * self.section.level) + 6.0 * broad).abs();
        (hu + 70.0 * (1.0 - sheet / 1.6).max(0.0)).clamp(-990.0, -600.0)
    }

    /// Mediastinum: fat with lymph nodes, great vessels, heart, gullet, bronchi.
    fn middle(&self, x: f32, y: f32) -> f32 {
        let body = self.body;
        let grain = self.field.at(x / 9.0 + 20.0, y / 9.0, self.z / 18.0);
        let mut hu = mix(FAT_HU + 10.0, LYMPH_HU, ramp(-0.35, 0.05, grain));
        let mut put = |shape: &Ellipse, inside: f32, grow: f32| {
            hu = mix(hu, inside, coverage(shape.distance(x, y) - grow, self.pixel));
        };
        put(&self.section.heart, 48.0, 0.0);
        let blood = body.blood_hu;
        put(&self.chambers[0], mix(48.0, blood, 0.7), 0.0);
        put(&self.chambers[1], mix(48.0, blood, 0.95), 0.0);
        put(&self.trunk, blood, 0.0);
        put(&self.section.cava, blood * 0.9, 0.0);
        put(&self.section.arch, blood, 0.0);
        put(&self.section.aorta, blood, 0.0);
        put(&self.gullet, 38.0, 0.0);
        if self.section.level >= crate::section::CARINA {
            for bronchus in &self.section.airways {
                put(bronchus, 25.0, WINDPIPE_WALL_MM);
                put(bronchus, WINDPIPE_HU, 0.0);
            }
        }
        hu
    }

    fn windpipe(&self, hu: f32, x: f32, y: f32) -> f32 {
        let distance = self.section.airways[0].distance(x, y);
        let walled = mix(hu, 35.0, coverage(distance - WINDPIPE_WALL_MM, self.pixel));
        mix(walled, WINDPIPE_HU, coverage(distance, self.pixel))
    }
}
