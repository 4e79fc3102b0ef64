//! One axial section through a body: chest wall, mediastinum, diaphragm, and the lungs between them.
//!
//! All figures are pure functions of the body and the level, so that the lungs change shape smoothly from apex to base: small
//! and round above, notched by the heart in the middle, crescents behind the domes of the diaphragm below.

use crate::body::Body;
use crate::shape::{Ellipse, mix, ramp, smooth_difference, smooth_union};

/// Index of the patient's right lung (the image's left) in pairs.
pub const RIGHT: usize = 0;
/// Index of the patient's left lung.
pub const LEFT: usize = 1;

/// Sign of x on a side.
pub(crate) fn sign(side: usize) -> f32 {
    if side == RIGHT { -1.0 } else { 1.0 }
}

/// Level of the tracheal bifurcation.
pub(crate) const CARINA: f32 = 0.36;
/// Level at which the bronchi and vessels enter the lungs.
pub(crate) const HILUM: f32 = 0.44;

/// A closed outline whose front and back halves differ, egg-shaped: wider behind than in front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline {
    front: Ellipse,
    back: Ellipse,
    egg: f32,
    y: f32,
    depth: f32,
}

impl Outline {
    fn new(half_x: f32, front: f32, back: f32, y: f32, square: f32, egg: f32) -> Self {
        Self {
            front: Ellipse::new(0.0, y, half_x, front).squared(square),
            back: Ellipse::new(0.0, y, half_x, back).squared(square),
            egg,
            y,
            depth: back.max(1.0),
        }
    }

    /// Signed distance, mm.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        let along = ((y - self.y) / self.depth).clamp(-1.0, 1.0);
        let x = x / (1.0 + self.egg * along);
        if y < self.y { self.front.distance(x, y) } else { self.back.distance(x, y) }
    }
}

/// The figures of one level.
#[derive(Debug, Clone)]
pub struct Section {
    /// Level: 0 apex, 1 base; below 0 neck, above 1 abdomen.
    pub level: f32,
    /// 1 where the chest has its full width, 0 at the apex.
    pub girth: f32,
    pub(crate) chest: Outline,
    pub(crate) skin: Outline,
    pub(crate) heart: Ellipse,
    pub(crate) aorta: Ellipse,
    pub(crate) arch: Ellipse,
    pub(crate) cava: Ellipse,
    pub(crate) airways: [Ellipse; 2],
    pub(crate) domes: [Ellipse; 2],
    column: Ellipse,
    spine: Ellipse,
    hila: [Ellipse; 2],
    junction_mm: f32,
}

impl Section {
    /// The section of `body` at `level`.
    pub fn at(body: &Body, level: f32) -> Self {
        let rise = ((level + 0.015) / 0.42).clamp(0.0, 1.0);
        let girth = (1.0 - (1.0 - rise) * (1.0 - rise)).max(0.0).powf(0.55);
        let top = ramp(-0.30, -0.02, level);
        let half_x = body.half_width_mm * girth * (0.95 + 0.05 * level.min(1.0));
        let depth_back = body.back_mm * (0.35 + 0.65 * girth) * rise.min(0.08) / 0.08;
        let depth_front = body.front_mm * girth.powf(1.4);
        let profile = |centre: f32, half: f32| (1.0 - ((level - centre) / half).powi(2)).max(0.0).sqrt();
        let heart = profile(0.69, 0.31) * body.heart;
        let heart_y = -0.34 * body.front_mm;
        let arch = profile(0.25, 0.07);
        let hilum = profile(HILUM, 0.16);
        let below_arch = ramp(0.22, 0.27, level);
        let column =
            body.mediastinum_mm * mix(0.95, 1.25, profile(HILUM, 0.14)) * mix(1.0, 0.75, ramp(0.5, 0.7, level));
        Self {
            level,
            girth,
            chest: Outline::new(half_x, depth_front, depth_back, 4.0 * (1.0 - girth), body.square, 0.10),
            skin: Self::skin(body, level, top),
            heart: Ellipse::new(body.heart_shift_mm, heart_y, 62.0 * heart, 45.0 * heart).turned(0.5).squared(0.15),
            aorta: Ellipse::new(21.0, 38.0 + 6.0 * level, 12.5 * below_arch, 12.5 * below_arch),
            arch: Ellipse::new(5.0, -4.0, 16.0 * arch, 44.0 * arch).turned(-0.45),
            cava: Ellipse::new(-21.0, -18.0, 8.5, 11.0 * ramp(0.08, 0.2, level) * ramp(0.72, 0.6, level)),
            airways: Self::airways(level),
            domes: [RIGHT, LEFT].map(|side| Self::dome(body, level, side)),
            column: Ellipse::new(0.0, 2.0, column, 0.82 * body.front_mm * girth.max(0.3)),
            spine: Ellipse::new(0.0, 0.90 * body.back_mm, 25.0, 44.0),
            hila: [RIGHT, LEFT]
                .map(|side| Ellipse::new(sign(side) * (body.mediastinum_mm + 8.0), 8.0, 20.0 * hilum, 23.0 * hilum)),
            junction_mm: mix(7.0, 2.0, ramp(0.1, 0.35, level)),
        }
    }

    fn skin(body: &Body, level: f32, top: f32) -> Outline {
        let shoulder = ramp(0.30, 0.02, level);
        let belly = ramp(0.9, 1.3, level);
        let half_x = body.half_width_mm + body.muscle_mm + 5.0 + 0.9 * body.fat_mm + 26.0 * shoulder * top;
        let front = body.front_mm + 14.0 + (0.7 + 0.3 * belly) * body.fat_mm - 22.0 * shoulder;
        let back = body.back_mm + 28.0 + 0.6 * body.fat_mm - 14.0 * shoulder;
        let neck = |at_neck: f32, full: f32| mix(at_neck, full, top);
        Outline::new(neck(68.0, half_x), neck(62.0, front), neck(70.0, back), 4.0, 0.25 + 0.4 * body.square, 0.02)
    }

    fn airways(level: f32) -> [Ellipse; 2] {
        if level < CARINA {
            let windpipe = Ellipse::new(-1.0, 6.0, 8.5, 9.0);
            return [windpipe, windpipe];
        }
        let apart = (level - CARINA) / (HILUM - CARINA);
        let calibre = 7.5 * ramp(1.9, 0.9, apart);
        [RIGHT, LEFT].map(|side| {
            let x = -1.0 + sign(side) * (7.0 + 24.0 * apart);
            Ellipse::new(x, 8.0 + 4.0 * apart, calibre * 1.25, calibre)
        })
    }

    fn dome(body: &Body, level: f32, side: usize) -> Ellipse {
        let top = body.dome_top[side];
        let down = ((level - top) / (1.0 - top)).max(0.0);
        let curve = (1.0 - (1.0 - down.min(1.0)).powi(2)).powf(0.62);
        let scale = curve * (1.0 + 0.5 * ramp(0.86, 1.0, down));
        let half_y = 0.5 * (body.front_mm + body.back_mm);
        // The dome is highest in front of the middle, so the last of the lung lies behind.
        let y = mix(-0.24, -0.10, down.min(1.0)) * body.back_mm;
        Ellipse::new(
            sign(side) * 0.46 * body.half_width_mm,
            y,
            0.56 * body.half_width_mm * scale,
            0.98 * half_y * scale,
        )
        .squared(0.2)
    }

    /// Side of the body that a point belongs to.
    pub fn side(&self, x: f32) -> usize {
        if x < 0.0 { RIGHT } else { LEFT }
    }

    /// Signed distance to the inner chest wall, mm.
    pub fn wall(&self, x: f32, y: f32) -> f32 {
        self.chest.distance(x, y)
    }

    /// Signed distance to the mediastinum with the spine, mm.
    pub fn mediastinum(&self, x: f32, y: f32) -> f32 {
        let side = self.side(x);
        let mut distance = smooth_union(self.column.distance(x, y), self.spine.distance(x, y), 18.0);
        distance = smooth_union(distance, self.heart.distance(x, y) - 3.0, 9.0);
        distance = smooth_union(distance, self.hila[side].distance(x, y), 8.0);
        distance = smooth_union(distance, self.arch.distance(x, y) - 2.0, 6.0);
        distance = smooth_union(distance, self.aorta.distance(x, y) - 2.5, 6.0);
        smooth_union(distance, x.abs() - self.junction_mm, 5.0)
    }

    /// Signed distance to the lung of the point's side, mm, and that side.
    pub fn lung(&self, x: f32, y: f32) -> (f32, usize) {
        let side = self.side(x);
        let wall = self.wall(x, y);
        if wall > 0.0 || self.level <= 0.0 || self.level >= 1.0 {
            return (wall.max(1.0), side);
        }
        let without_middle = smooth_difference(wall, self.mediastinum(x, y), 12.0);
        (smooth_difference(without_middle, self.domes[side].distance(x, y), 4.0), side)
    }

    /// Signed distance to the pleura that faces ribs or diaphragm, mm: what "peripheral" is measured from.
    pub fn pleura(&self, x: f32, y: f32) -> f32 {
        self.wall(x, y).max(-self.domes[self.side(x)].distance(x, y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Draw;
    use contract::random::stream;

    fn area(body: &Body, level: f32, side: usize) -> usize {
        let section = Section::at(body, level);
        let grid = (-80..80).flat_map(|row| (-90..90).map(move |column| (column as f32 * 2.0, row as f32 * 2.0)));
        grid.filter(|(x, y)| matches!(section.lung(*x, *y), (distance, found) if distance < 0.0 && found == side))
            .count()
    }

    #[test]
    fn lungs_grow_from_the_apex_and_end_at_the_base() {
        for index in 0..20 {
            let body = Body::draw(&mut Draw(&mut stream(5, "test", &[index])), 1.0);
            for side in [RIGHT, LEFT] {
                assert_eq!(area(&body, -0.05, side), 0);
                assert_eq!(area(&body, 1.02, side), 0);
                assert!(area(&body, 0.08, side) < area(&body, 0.4, side));
                assert!(area(&body, 0.95, side) < area(&body, 0.5, side) / 2);
                assert!(area(&body, 0.45, side) > 1000);
            }
        }
    }

    #[test]
    fn the_heart_takes_its_place_from_the_left_lung() {
        let body = Body::draw(&mut Draw(&mut stream(5, "test", &[3])), 1.0);
        assert!(area(&body, 0.6, LEFT) < area(&body, 0.6, RIGHT));
    }
}
