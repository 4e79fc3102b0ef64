//! The two diseases: where their lesions lie and what they look like.
//!
//! A lesion has five attributes: side, level, depth below the pleura, density and shape. Each is steered by a trait `q` in 0..1: 1 is
//! what COVID-19 typically shows (both sides, basal, subpleural, ground glass, many flat patches), 0 what lobar pneumonia shows
//! (one side, any level, reaching to the hilum, dense, few large ones with air bronchograms, small nodules beside them).
//!
//! A patient's traits are drawn around `0.5 + (1 - difficulty) * REACH` for COVID-19 and `0.5 - (1 - difficulty) * REACH` for common
//! pneumonia, with one deviation that a patient's traits share and one of each trait's own. So at difficulty 0 the classes hardly
//! overlap, at 1 they are the same distribution, and the overlap grows steadily between.

use rand::RngExt;

use contract::random::ChaCha8Rng;

use crate::body::Draw;
use crate::field::Field;
use crate::section::{LEFT, RIGHT};
use crate::shape::{mix, ramp};
use crate::vessels::Sampler;

/// Distance of a class from the middle of a trait at difficulty 0.
const REACH: f32 = 0.55;
/// Deviation that all traits of a patient share.
const PATIENT_SPREAD: f32 = 0.22;
/// Deviation of each trait.
const TRAIT_SPREAD: f32 = 0.20;
/// Deviation of a lesion from its patient's trait.
const LESION_SPREAD: f32 = 0.16;
/// Tries to find a place for a lesion before it is given up.
const TRIES: usize = 4000;

/// Which disease a patient has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disease {
    /// No lesions.
    Healthy,
    /// Lobar consolidation and nodules, mostly on one side.
    CommonPneumonia,
    /// Bilateral, peripheral, basal ground glass.
    Covid19,
}

impl Disease {
    /// The disease of a label: 0 common pneumonia, 1 COVID-19, 2 none. The configuration allows no more classes.
    pub fn of_label(label: usize) -> Self {
        match label {
            0 => Self::CommonPneumonia,
            1 => Self::Covid19,
            _ => Self::Healthy,
        }
    }
}

/// The traits of one patient, each 0 (common pneumonia) to 1 (COVID-19).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traits {
    /// Share of lesions on the less affected side: 0.04 to 0.5.
    pub bilateral: f32,
    /// Towards the base.
    pub basal: f32,
    /// Towards the pleura.
    pub peripheral: f32,
    /// Towards ground glass.
    pub glassy: f32,
    /// Towards many patches.
    pub patchy: f32,
}

impl Traits {
    /// Draws the traits of a patient.
    pub(crate) fn draw(draw: &mut Draw, disease: Disease, difficulty: f32) -> Self {
        let reach = match disease {
            Disease::Healthy => 0.0,
            Disease::Covid19 => REACH * (1.0 - difficulty),
            Disease::CommonPneumonia => -REACH * (1.0 - difficulty),
        };
        let centre = 0.5 + reach + draw.normal(0.0, PATIENT_SPREAD);
        let mut one = || draw.normal(centre, TRAIT_SPREAD).clamp(0.0, 1.0);
        Self { bilateral: one(), basal: one(), peripheral: one(), glassy: one(), patchy: one() }
    }
}

/// One lesion: an ellipsoid with a ragged, soft surface. Lengths in mm in the patient's frame.
#[derive(Debug, Clone)]
pub struct Lesion {
    /// Lung it lies in.
    pub side: usize,
    /// Centre.
    pub centre: [f32; 3],
    /// Half-axes: towards the pleura, along it, along z.
    pub half_mm: [f32; 3],
    /// Direction of the pleura, radians from x towards y.
    pub angle: f32,
    /// Density it brings the lung to, HU.
    pub hu: f32,
    /// Width of its edge as a share of its radius.
    pub softness: f32,
    /// How much its density varies inside, 0..1.
    pub grain: f32,
    /// How ragged its surface is, 0..1.
    pub ragged: f32,
    field: Field,
}

impl Lesion {
    /// How far a point of the lung is changed, 0 (healthy) to 1.
    pub fn share(&self, x: f32, y: f32, z: f32) -> f32 {
        let (dx, dy, dz) = (x - self.centre[0], y - self.centre[1], (z - self.centre[2]) / self.half_mm[2]);
        let (sin, cos) = self.angle.sin_cos();
        let across = (dx * cos + dy * sin) / self.half_mm[0];
        let along = (dy * cos - dx * sin) / self.half_mm[1];
        let radius = (across * across + along * along + dz * dz).sqrt();
        if radius > 1.6 {
            return 0.0;
        }
        let coarse = self.field.at(x / 17.0, y / 17.0, z / 17.0) + 0.5 * self.field.at(x / 7.0, y / 7.0, z / 7.0);
        let share = ramp(1.0, 1.0 - self.softness, radius + 0.5 * self.ragged * coarse);
        let fine = self.field.at(x / 3.2 + 40.0, y / 3.2, z / 3.2) + self.field.at(x / 9.0 + 80.0, y / 9.0, z / 9.0);
        (share * (1.0 - self.grain * (0.35 + 0.45 * fine))).clamp(0.0, 1.0)
    }

    /// Whether the lesion reaches the height z, mm.
    pub fn reaches(&self, z: f32) -> bool {
        (z - self.centre[2]).abs() < 1.6 * self.half_mm[2]
    }
}

/// Draws the lesions of a patient. `load` scales their number and size; 1 is a clinical case.
pub(crate) fn lesions(traits: &Traits, load: f32, sampler: &Sampler, rng: &mut ChaCha8Rng) -> Vec<Lesion> {
    let mut draw = Draw(rng);
    let affected = if draw.chance(0.5) { RIGHT } else { LEFT };
    let severity = draw.uniform(0.65, 1.45) * load;
    let patches = (mix(3.0, 16.0, traits.patchy) * severity).round().max(1.0) as usize;
    let nodules = (mix(14.0, 0.0, (traits.patchy + traits.glassy).min(1.0)) * draw.uniform(0.3, 1.3)).round() as usize;
    let other_share = mix(0.04, 0.5, traits.bilateral);
    let mut found = Vec::with_capacity(patches + nodules);
    for index in 0..patches + nodules {
        let side = if draw.chance(other_share) { 1 - affected } else { affected };
        let lesion = if index < patches {
            patch(traits, severity, side, sampler, &mut draw)
        } else {
            nodule(traits, side, sampler, &mut draw)
        };
        found.extend(lesion);
    }
    found
}

/// Level of a lesion: around the middle, or towards the base.
fn height(draw: &mut Draw, traits: &Traits) -> f32 {
    draw.normal(mix(0.42, 0.70, traits.basal), 0.19).clamp(0.12, 0.93)
}

fn of_lesion(draw: &mut Draw, value: f32) -> f32 {
    draw.normal(value, LESION_SPREAD).clamp(0.0, 1.0)
}

fn patch(traits: &Traits, severity: f32, side: usize, sampler: &Sampler, draw: &mut Draw) -> Option<Lesion> {
    let peripheral = of_lesion(draw, traits.peripheral);
    let glassy = of_lesion(draw, traits.glassy);
    let patchy = of_lesion(draw, traits.patchy);
    let depth = mix(38.0, 3.0, peripheral);
    let (centre, angle) = place(side, depth, height(draw, traits), sampler, draw)?;
    let size = mix(47.0, 26.0, patchy) * draw.uniform(0.75, 1.25) * severity.clamp(0.6, 1.6).sqrt();
    let flat = mix(1.0, 0.6, peripheral);
    Some(Lesion {
        side,
        centre,
        half_mm: [size * flat, size, size * draw.uniform(1.0, 1.6)],
        angle,
        hu: mix(10.0, -570.0, glassy) + draw.normal(0.0, 35.0),
        softness: mix(0.18, 0.65, glassy),
        grain: mix(0.1, 0.42, glassy),
        ragged: mix(0.45, 0.7, patchy),
        field: Field::new(draw.0.random()),
    })
}

fn nodule(traits: &Traits, side: usize, sampler: &Sampler, draw: &mut Draw) -> Option<Lesion> {
    let (centre, angle) = place(side, draw.uniform(6.0, 35.0), height(draw, traits), sampler, draw)?;
    let size = draw.uniform(3.0, 6.5);
    Some(Lesion {
        side,
        centre,
        half_mm: [size, size, size],
        angle,
        hu: draw.uniform(-150.0, 30.0),
        softness: 0.35,
        grain: 0.0,
        ragged: 0.3,
        field: Field::new(draw.0.random()),
    })
}

/// A point about `depth` mm below the pleura near `level`, and the direction from it to the pleura.
fn place(side: usize, depth: f32, level: f32, sampler: &Sampler, draw: &mut Draw) -> Option<([f32; 3], f32)> {
    for attempt in 0..TRIES {
        let point = sampler.point(draw.0, side);
        let section = sampler.section(point[2]);
        // The wish gives way slowly, since a small lung may have no such place.
        let slack = 1.0 + attempt as f32 / 500.0;
        let (lung, found) = section.lung(point[0], point[1]);
        let pleura = section.pleura(point[0], point[1]);
        let near = (-pleura - depth).abs() < 4.0 * slack && (section.level - level).abs() < 0.05 * slack;
        if found == side && lung < -1.5 && near {
            return Some((point, slope(section, point)));
        }
    }
    None
}

/// Direction in which the pleura comes closer, radians.
fn slope(section: &crate::section::Section, [x, y, _]: [f32; 3]) -> f32 {
    const STEP_MM: f32 = 2.0;
    let across = section.pleura(x + STEP_MM, y) - section.pleura(x - STEP_MM, y);
    let down = section.pleura(x, y + STEP_MM) - section.pleura(x, y - STEP_MM);
    down.atan2(across)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use contract::random::stream;

    fn mean(disease: Disease, difficulty: f32, value: impl Fn(&Traits) -> f32) -> f32 {
        let draws = 400;
        let one = |index| value(&Traits::draw(&mut Draw(&mut stream(2, "test", &[index])), disease, difficulty));
        (0..draws).map(one).sum::<f32>() / draws as f32
    }

    #[test]
    fn traits_part_with_the_difficulty() {
        let values: [fn(&Traits) -> f32; 5] =
            [|t| t.bilateral, |t| t.basal, |t| t.peripheral, |t| t.glassy, |t| t.patchy];
        for value in values {
            let gap = |difficulty| {
                mean(Disease::Covid19, difficulty, value) - mean(Disease::CommonPneumonia, difficulty, value)
            };
            let gaps = [0.0, 0.25, 0.5, 0.75, 1.0].map(gap);
            assert!(gaps.windows(2).all(|pair| pair[0] > pair[1]), "{gaps:?}");
            assert!(gaps[0] > 0.6 && gaps[4].abs() < 1e-6, "{gaps:?}");
        }
    }

    #[test]
    fn covid_is_bilateral_and_peripheral_and_light() {
        let mut sums = [[0.0_f32; 3]; 2];
        for index in 0..12 {
            for (row, disease) in [Disease::CommonPneumonia, Disease::Covid19].into_iter().enumerate() {
                let mut rng = stream(9, "test", &[index]);
                let body = Body::draw(&mut Draw(&mut rng), 1.0);
                let sampler = Sampler::new(&body);
                let traits = Traits::draw(&mut Draw(&mut rng), disease, 0.2);
                let found = lesions(&traits, 1.0, &sampler, &mut rng);
                let count = found.len().max(1) as f32;
                let right = found.iter().filter(|lesion| lesion.side == RIGHT).count() as f32;
                sums[row][0] += right.min(count - right) / count;
                let depth =
                    |lesion: &Lesion| -sampler.section(lesion.centre[2]).pleura(lesion.centre[0], lesion.centre[1]);
                sums[row][1] += found.iter().map(depth).sum::<f32>() / count;
                sums[row][2] += found.iter().map(|lesion| lesion.hu).sum::<f32>() / count;
            }
        }
        assert!(sums[1][0] > sums[0][0], "share of the lesser side {sums:?}");
        assert!(sums[1][1] < sums[0][1], "depth below the pleura {sums:?}");
        assert!(sums[1][2] < sums[0][2], "density {sums:?}");
    }

    #[test]
    fn lesions_lie_in_their_lung() {
        let mut rng = stream(4, "test", &[1]);
        let body = Body::draw(&mut Draw(&mut rng), 1.0);
        let sampler = Sampler::new(&body);
        let traits = Traits::draw(&mut Draw(&mut rng), Disease::Covid19, 0.0);
        for lesion in lesions(&traits, 1.0, &sampler, &mut rng) {
            assert!(sampler.depth(lesion.centre) < 0.0);
            assert!(lesion.share(lesion.centre[0], lesion.centre[1], lesion.centre[2]) > 0.0);
            assert_eq!(lesion.share(lesion.centre[0] + 500.0, 0.0, 0.0), 0.0);
        }
    }
}
