//! What lies below the diaphragm: liver, spleen, kidneys, stomach and bowel with gas, fluid or stool.

use rand::RngExt;

use crate::body::{Body, Draw};
use crate::field::Field;
use crate::section::sign;
use crate::shape::{Ellipse, coverage, mix, ramp};

const FAT_HU: f32 = -100.0;
const GAS_HU: f32 = -985.0;
const BOWEL_WALL_MM: f32 = 2.5;

/// What an organ is filled with.
#[derive(Debug, Clone, Copy)]
enum Filling {
    Solid(f32),
    /// Gas above a fluid level at a share of the height, -1 (bottom: all gas) to 1.
    Gas(f32),
    Fluid(f32),
    Stool,
}

#[derive(Debug, Clone, Copy)]
struct Organ {
    centre: [f32; 3],
    half: [f32; 3],
    turn: f32,
    filling: Filling,
}

/// The organs of a patient's abdomen, first ones in front.
#[derive(Debug, Clone)]
pub struct Abdomen {
    organs: Vec<Organ>,
    liver_hu: f32,
    texture: u32,
}

impl Abdomen {
    pub(crate) fn draw(draw: &mut Draw, body: &Body, variety: f32) -> Self {
        let (length, wide, deep) = (body.length_mm, body.half_width_mm, body.back_mm);
        let mut organs = Vec::new();
        let mut add = |centre: [f32; 3], half: [f32; 3], turn: f32, filling: Filling| {
            organs.push(Organ { centre, half, turn, filling });
        };
        add([6.0, 0.38 * deep, 1.5 * length], [11.0, 11.0, 1.2 * length], 0.0, Filling::Solid(body.blood_hu));
        add(
            [-22.0, 0.26 * deep, 1.5 * length],
            [14.0, 10.0, 0.6 * length],
            0.0,
            Filling::Solid(body.blood_hu * 0.8 + 10.0),
        );
        for side in [0, 1] {
            let kidney = body.liver_hu * 1.2 + draw.uniform(0.0, 40.0);
            add(
                [sign(side) * 0.46 * wide, 0.55 * deep, 1.36 * length],
                [27.0, 24.0, 58.0],
                sign(side) * 0.6,
                Filling::Solid(kidney),
            );
            add(
                [sign(side) * 0.30 * wide, 0.62 * deep, 1.7 * length],
                [18.0, 20.0, 0.55 * length],
                0.0,
                Filling::Solid(58.0),
            );
        }
        let stomach = length * draw.uniform(0.95, 1.1);
        let level = draw.uniform(-0.6, 0.9);
        add([0.38 * wide, -0.22 * deep, stomach], [46.0, 34.0, 62.0], -0.3, Filling::Gas(level));
        add([0.66 * wide, 0.42 * deep, 1.03 * length], [27.0, 44.0, 60.0], 0.4, Filling::Solid(body.liver_hu));
        let loops = (draw.uniform(7.0, 13.0) * variety.min(1.5)) as usize;
        for _ in 0..loops {
            let centre = [
                draw.uniform(-0.75, 0.85) * wide,
                draw.uniform(-0.75, 0.15) * body.front_mm,
                draw.uniform(0.88, 1.75) * length,
            ];
            let half = [draw.uniform(12.0, 34.0), draw.uniform(11.0, 26.0), draw.uniform(18.0, 45.0)];
            let filling = match draw.uniform(0.0, 1.0) {
                share if share < 0.45 => Filling::Gas(draw.uniform(-1.0, 0.6)),
                share if share < 0.65 => Filling::Stool,
                share if share < 0.75 => Filling::Fluid(draw.uniform(150.0, 400.0)),
                _ => Filling::Fluid(draw.uniform(5.0, 35.0)),
            };
            add(centre, half, draw.uniform(-0.8, 0.8), filling);
        }
        if draw.chance(0.5) {
            colon(draw, body, &mut organs);
        }
        Self { organs, liver_hu: body.liver_hu, texture: draw.0.random() }
    }

    /// The organs cut by a level.
    pub(crate) fn at(&self, body: &Body, level: f32, pixel: f32) -> AbdomenSection {
        let z = level * body.length_mm;
        let cut = |organ: &Organ| {
            let off = (z - organ.centre[2]) / organ.half[2];
            let scale = (1.0 - off * off).max(0.0).sqrt();
            let [x, y, _] = organ.centre;
            let shape =
                Ellipse::new(x, y, organ.half[0] * scale, organ.half[1] * scale).turned(organ.turn).squared(0.2);
            (scale > 0.05).then_some((shape, organ.filling, y - organ.half[1] * scale, y + organ.half[1] * scale))
        };
        let liver = ramp(1.75, 1.0, level);
        AbdomenSection {
            organs: self.organs.iter().filter_map(cut).collect(),
            liver: Ellipse::new(
                -0.42 * body.half_width_mm,
                -6.0,
                0.72 * body.half_width_mm * liver,
                1.06 * body.back_mm * liver,
            )
            .squared(0.2),
            liver_hu: self.liver_hu,
            fat: Field::new(self.texture),
            z,
            pixel,
        }
    }
}

/// Transverse colon: gas-filled pouches side by side behind the front wall.
fn colon(draw: &mut Draw, body: &Body, organs: &mut Vec<Organ>) {
    let (z, y) = (draw.uniform(1.0, 1.5) * body.length_mm, draw.uniform(-0.85, -0.45) * body.front_mm);
    let (mut x, end) = (draw.uniform(-0.7, 0.0) * body.half_width_mm, draw.uniform(0.2, 0.8) * body.half_width_mm);
    while x < end {
        let half = [draw.uniform(10.0, 24.0), draw.uniform(10.0, 24.0), draw.uniform(20.0, 45.0)];
        let centre = [x, y + draw.normal(0.0, 6.0), z + draw.normal(0.0, 12.0)];
        organs.push(Organ { centre, half, turn: draw.uniform(-0.6, 0.6), filling: Filling::Gas(-1.0) });
        x += half[0] * draw.uniform(1.5, 2.1);
    }
}

/// The organs of one section.
pub(crate) struct AbdomenSection {
    organs: Vec<(Ellipse, Filling, f32, f32)>,
    liver: Ellipse,
    liver_hu: f32,
    fat: Field,
    z: f32,
    pixel: f32,
}

impl AbdomenSection {
    /// Density at a point below the diaphragm, HU.
    pub fn hu(&self, x: f32, y: f32) -> f32 {
        let strands = self.fat.at(x / 9.0, y / 9.0, self.z / 20.0);
        let mut hu = mix(FAT_HU, 30.0, ramp(0.35, 0.7, strands));
        let vessels = self.fat.at(x / 11.0 + 70.0, y / 11.0, self.z / 14.0);
        let liver_hu = self.liver_hu + 18.0 * ramp(0.55, 0.7, vessels);
        hu = mix(hu, liver_hu, coverage(self.liver.distance(x, y), self.pixel));
        for (shape, filling, top, bottom) in self.organs.iter().rev() {
            // Bowel has folds.
            let fold = if matches!(filling, Filling::Solid(_)) { 0.0 } else { 4.5 * strands };
            let distance = shape.distance(x, y) + fold;
            if distance > self.pixel {
                continue;
            }
            let outer = match filling {
                Filling::Solid(solid) => *solid,
                _ => 42.0,
            };
            hu = mix(hu, outer, coverage(distance, self.pixel));
            let inner = coverage(distance + BOWEL_WALL_MM, self.pixel);
            hu = match filling {
                Filling::Solid(_) => hu,
                Filling::Fluid(inside) => mix(hu, *inside, inner),
                Filling::Gas(level) => {
                    let surface = mix(*bottom, *top, 0.5 + 0.5 * level);
                    mix(hu, mix(15.0, GAS_HU, coverage(y - surface, self.pixel)), inner)
                }
                Filling::Stool => {
                    let crumbs = self.fat.at(x / 3.0, y / 3.0 + 30.0, self.z / 3.0);
                    mix(hu, mix(60.0, -700.0, ramp(0.0, 0.5, crumbs)), inner)
                }
            };
        }
        hu
    }
}
