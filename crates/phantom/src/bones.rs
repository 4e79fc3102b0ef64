//! Bones of a section: spine, ribs, sternum, shoulder blades, collar bones.

use crate::body::Body;
use crate::field::Field;
use crate::section::{LEFT, RIGHT, Section, sign};
use crate::shape::{Ellipse, coverage, mix, ramp};

const CORTEX_HU: f32 = 720.0;
const MARROW_HU: f32 = 190.0;
const DISC_HU: f32 = 85.0;
const CARTILAGE_HU: f32 = 115.0;
/// Thickness of the cortex, mm.
const CORTEX_MM: f32 = 2.0;
/// A vertebra with its disc, mm.
const VERTEBRA_MM: f32 = 26.0;
/// Share of it that is disc.
const DISC_SHARE: f32 = 0.18;
/// Half the height and half the thickness of a rib, mm.
const RIB_MM: (f32, f32) = (7.0, 3.9);
/// Distance from the inner chest wall to the middle of a rib, mm.
const RIB_DEPTH_MM: f32 = 5.4;
/// Angle from the spine where a rib turns to cartilage, radians.
const CARTILAGE_FROM: f32 = 2.35;

/// What a bone does to a pixel: its share and its density.
pub(crate) struct Bone {
    pub share: f32,
    pub hu: f32,
}

/// The bones of one section.
pub(crate) struct Bones {
    z: f32,
    level: f32,
    rib_step: f32,
    rib_phase: f32,
    rib_drop: f32,
    canal: Ellipse,
    arch: Ellipse,
    vertebra: Ellipse,
    disc: bool,
    spinous: Ellipse,
    transverse: [Ellipse; 2],
    sternum: Ellipse,
    blades: [Ellipse; 2],
    spines_of_blades: [Ellipse; 2],
    collars: [Ellipse; 2],
    humeri: [Ellipse; 2],
    texture: Field,
    pixel: f32,
}

impl Bones {
    pub fn at(body: &Body, section: &Section, pixel: f32) -> Self {
        let z = section.level * body.length_mm;
        let y = spine_y(body);
        let canal_y = y + 23.0;
        let step = (z / VERTEBRA_MM + body.rib_phase).rem_euclid(1.0);
        let process = ramp(0.2, 0.4, step) * ramp(0.95, 0.75, step);
        let sternum = ramp(0.10, 0.14, section.level) * ramp(0.80, 0.74, section.level);
        let blade = ramp(-0.12, -0.04, section.level) * ramp(0.52, 0.44, section.level);
        let collar = ramp(-0.10, -0.04, section.level) * ramp(0.12, 0.06, section.level);
        let shoulder =
            ramp(-0.16, -0.08, section.level) * ramp(0.10, 0.04, section.level) * f32::from(u8::from(body.arms));
        let chest_front = body.front_mm * section.girth.powf(1.4);
        let pair = |make: &dyn Fn(f32) -> Ellipse| [RIGHT, LEFT].map(|side| make(sign(side)));
        let blade_x = body.half_width_mm * mix(0.62, 0.72, section.girth);
        let blade_y = 0.72 * body.back_mm;
        Self {
            z,
            level: section.level,
            rib_step: body.rib_step_mm,
            rib_phase: body.rib_phase,
            rib_drop: body.rib_drop_mm,
            canal: Ellipse::new(0.0, canal_y, 9.0, 8.0),
            arch: Ellipse::new(0.0, canal_y + 1.0, 14.5, 12.5).squared(0.2),
            vertebra: Ellipse::new(0.0, y, 19.0, 15.5).squared(0.25),
            disc: step < DISC_SHARE,
            spinous: Ellipse::new(0.0, canal_y + 18.0, 3.6 * process, 11.0 * process),
            transverse: pair(&|sign| {
                Ellipse::new(sign * 23.0, canal_y + 4.0, 15.0 * process, 5.0 * process).turned(sign * 0.35)
            }),
            sternum: Ellipse::new(
                0.0,
                -chest_front - 8.0,
                mix(30.0, 18.0, ramp(0.18, 0.26, section.level)) * sternum,
                6.5 * sternum,
            )
            .squared(0.5),
            blades: pair(&|sign| Ellipse::new(sign * blade_x, blade_y + 14.0, 44.0 * blade, 4.2).turned(-sign * 0.72)),
            spines_of_blades: pair(&|sign| {
                let high = blade * ramp(0.25, 0.15, section.level);
                Ellipse::new(sign * (blade_x + 12.0), blade_y + 20.0, 30.0 * high, 4.0).turned(-sign * 0.1)
            }),
            collars: pair(&|sign| Ellipse::new(sign * 62.0, -42.0, 42.0 * collar, 6.5).turned(sign * 0.35)),
            humeri: pair(&|sign| {
                Ellipse::new(sign * (body.half_width_mm + 22.0), 14.0, 23.0 * shoulder, 23.0 * shoulder)
            }),
            texture: Field::new(body.texture ^ 0xB0),
            pixel,
        }
    }

    /// The bone at a point, if any. `wall` is the signed distance to the inner chest wall, mm.
    pub fn at_point(&self, x: f32, y: f32, wall: f32) -> Option<Bone> {
        if x.abs() < 48.0 && y > 30.0 {
            let spine = self.spine(x, y);
            if spine.is_some() {
                return spine;
            }
        }
        let rib = if wall > 0.5 && wall < 13.0 { self.rib(x, y, wall) } else { None };
        rib.or_else(|| self.others(x, y, wall))
    }

    fn spine(&self, x: f32, y: f32) -> Option<Bone> {
        let canal = self.canal.distance(x, y);
        if canal < 0.0 {
            return Some(Bone { share: 1.0, hu: 25.0 });
        }
        let vertebra = self.vertebra.distance(x, y);
        if self.disc && vertebra < 0.5 * self.pixel {
            return Some(Bone { share: coverage(vertebra, self.pixel), hu: DISC_HU });
        }
        let side = usize::from(x > 0.0);
        let rest = self.arch.distance(x, y).min(self.spinous.distance(x, y)).min(self.transverse[side].distance(x, y));
        self.shell(vertebra.min(rest).max(-canal), x, y)
    }

    fn others(&self, x: f32, y: f32, wall: f32) -> Option<Bone> {
        let side = usize::from(x > 0.0);
        let mut distance = self.sternum.distance(x, y);
        // Shoulder blades bend around the ribs: what would enter the chest is pushed out.
        let blade = self.blades[side].distance(x, y).min(self.spines_of_blades[side].distance(x, y));
        distance = distance.min(blade.max(11.0 - wall));
        distance =
            distance.min(self.collars[side].distance(x, y).max(3.0 - wall)).min(self.humeri[side].distance(x, y));
        self.shell(distance, x, y)
    }

    fn rib(&self, x: f32, y: f32, wall: f32) -> Option<Bone> {
        if !(-0.05..1.45).contains(&self.level) || y < 0.0 && x.abs() < 22.0 {
            return None;
        }
        // 0 at the spine, pi at the sternum; ribs descend on their way forward and rise again as cartilage.
        let around = x.abs().atan2(y);
        let drop = self.rib_drop * (0.75 * around.min(CARTILAGE_FROM) - 1.3 * (around - CARTILAGE_FROM).max(0.0));
        let place = (self.z - drop) / self.rib_step + self.rib_phase;
        let off = (place - place.round()) * self.rib_step;
        let (u, v) = (off / RIB_MM.0, (wall - RIB_DEPTH_MM) / RIB_MM.1);
        let distance = ((u * u + v * v).sqrt() - 1.0) * RIB_MM.1;
        if around > CARTILAGE_FROM {
            let share = coverage(distance, self.pixel);
            return (share > 0.0).then_some(Bone { share, hu: CARTILAGE_HU });
        }
        self.shell(distance, x, y)
    }

    /// Cortex outside, marrow inside.
    fn shell(&self, distance: f32, x: f32, y: f32) -> Option<Bone> {
        let share = coverage(distance, self.pixel);
        if share <= 0.0 {
            return None;
        }
        let marrow = MARROW_HU + 60.0 * self.texture.at(x / 4.0, y / 4.0, self.z / 6.0);
        Some(Bone { share, hu: mix(CORTEX_HU, marrow, coverage(distance + CORTEX_MM, self.pixel)) })
    }
}

/// Middle of the vertebral bodies behind the origin, mm.
pub(crate) fn spine_y(body: &Body) -> f32 {
    0.66 * body.back_mm
}
