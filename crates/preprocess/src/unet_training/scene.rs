//! What a scan shows beyond the phantom: bowel gas of every shape, arms and sheets around the body, dense lungs.

use contract::random::ChaCha8Rng;
use ndarray::Array2;
use phantom::Patient;
use rand::RngExt;

use super::samples::{between, chance};

/// Softer tissue than this is no place for bowel, HU.
const SOFT_HU: f32 = -250.0;
/// Air outside the body connects to the image's border through less than this, HU.
const OUTSIDE_HU: f32 = -400.0;
/// Below this a pixel was not scanned, HU.
const PADDING_HU: f32 = -1023.5;
/// Level from which bowel is likely: below the domes of the diaphragm.
const BELOW: f32 = 0.62;

/// A slice of the phantom with its lungs: (rows, columns), HU and 0 background, 1 right, 2 left.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub hu: Array2<f32>,
    pub lungs: Array2<u8>,
    level: f32,
    noise_hu: f32,
}

impl Scene {
    pub fn new(patient: &Patient, level: f32) -> Self {
        let slice = phantom::slice(patient, level);
        Self { hu: slice.hu, lungs: slice.lungs, level, noise_hu: patient.spec.noise_hu }
    }

    /// The same slice with other gas, surroundings and density of the lungs, the more often the higher `hardness` (0..1).
    pub fn vary(&self, hardness: f32, rng: &mut ChaCha8Rng) -> Self {
        let mut scene = self.clone();
        haze(&mut scene.hu, &scene.lungs, rng);
        if chance(rng, if self.level > BELOW { 0.25 + 0.4 * hardness } else { 0.08 * hardness }) {
            for _ in 0..rng.random_range(1..6) {
                scene.bowel(rng);
            }
        }
        scene.surround(hardness, rng);
        scene
    }

    /// One loop of bowel, or the stomach, if a place without lung is found for it.
    fn bowel(&mut self, rng: &mut ChaCha8Rng) {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            let bowel = Bowel::draw(self.hu.nrows() as f32, rng);
            let pixels = bowel.pixels(self.hu.dim());
            let soft = pixels.iter().filter(|(at, _)| self.hu[*at] > SOFT_HU && self.lungs[*at] == 0).count();
            let on_lung = pixels.iter().any(|(at, _)| self.lungs[*at] > 0);
            if on_lung || soft * 100 < pixels.len() * 93 || pixels.len() < 12 {
                continue;
            }
            for (at, distance) in pixels {
                let noise = self.noise_hu * between(rng, -1.2, 1.2);
                let hu = if distance > -bowel.wall { 35.0 } else { bowel.filling(at, rng) };
                // Half a pixel of partial volume at the wall's inner side.
                let share = (-distance - bowel.wall + 0.5).clamp(0.0, 1.0);
                let inside = if distance > -bowel.wall { hu } else { hu * share + 35.0 * (1.0 - share) };
                self.hu[at] = (inside + noise).max(-1024.0);
            }
            return;
        }
    }

    /// Arms at the body's sides, cut by the image's border or not, and sheets that enclose air.
    fn surround(&mut self, hardness: f32, rng: &mut ChaCha8Rng) {
        let (arms, sheets) = (chance(rng, 0.3 * hardness), chance(rng, 0.35 * hardness));
        if !arms && !sheets {
            return;
        }
        let free = outside(&self.hu);
        if arms {
            let both = chance(rng, 0.5);
            let first = if chance(rng, 0.5) { -1.0 } else { 1.0 };
            for side in [first, -first].into_iter().take(1 + usize::from(both)) {
                self.arm(&free, side, rng);
            }
        }
        if sheets {
            for _ in 0..rng.random_range(1..4) {
                self.sheet(&free, rng);
            }
        }
    }

    fn arm(&mut self, free: &Array2<bool>, side: f32, rng: &mut ChaCha8Rng) {
        let size = self.hu.nrows() as f32;
        let x = size * (0.5 + side * between(rng, 0.36, 0.54));
        let y = size * between(rng, 0.30, 0.85);
        let (across, down) = (size * between(rng, 0.05, 0.13), size * between(rng, 0.05, 0.15));
        let (bone_x, bone_y) = (x + across * between(rng, -0.3, 0.3), y + down * between(rng, -0.3, 0.3));
        let bone = size * between(rng, 0.012, 0.03);
        for ((row, column), value) in self.hu.indexed_iter_mut().filter(|(at, value)| free[*at] && **value > PADDING_HU)
        {
            let (column, row) = (column as f32, row as f32);
            let radius = ((column - x) / across).hypot((row - y) / down);
            if radius > 1.0 {
                continue;
            }
            let from_bone = (column - bone_x).hypot(row - bone_y);
            let tissue = if radius > 0.75 { -100.0 } else { 50.0 };
            let hu = match from_bone / bone {
                inner if inner < 0.6 => 80.0,
                shell if shell < 1.0 => 850.0,
                _ => tissue,
            };
            *value = hu + self.noise_hu * between(rng, -1.0, 1.0);
        }
    }

    /// A fold of cloth: a wavy arc around the body.
    fn sheet(&mut self, free: &Array2<bool>, rng: &mut ChaCha8Rng) {
        let size = self.hu.nrows() as f32;
        let (x, y) = (size * between(rng, 0.42, 0.58), size * between(rng, 0.4, 0.65));
        let (across, down) = (size * between(rng, 0.34, 0.56), size * between(rng, 0.26, 0.5));
        let (from, length) = (between(rng, 0.0, std::f32::consts::TAU), between(rng, 0.6, 3.6));
        let (depth, rate, phase) = (between(rng, 0.0, 0.05), between(rng, 3.0, 14.0), between(rng, 0.0, 6.3));
        let (density, steps) = (between(rng, -850.0, 60.0), (4.0 * size) as usize);
        for step in 0..steps {
            let angle = from + length * step as f32 / steps as f32;
            let radius = 1.0 + depth * (rate * angle + phase).sin();
            let (column, row) = (x + across * radius * angle.cos(), y + down * radius * angle.sin());
            if column < 0.0 || row < 0.0 {
                continue;
            }
            let at = (row as usize, column as usize);
            if free.get(at).is_some_and(|free| *free) && self.hu[at] > PADDING_HU {
                self.hu[at] = self.hu[at].max(density);
            }
        }
    }
}

/// Air outside the body: what connects to the image's border.
fn outside(hu: &Array2<f32>) -> Array2<bool> {
    let (rows, columns) = hu.dim();
    let mut found = Array2::from_elem((rows, columns), false);
    let border = (0..rows).flat_map(|row| [(row, 0), (row, columns - 1)]);
    let mut open: Vec<(usize, usize)> =
        border.chain((0..columns).flat_map(|column| [(0, column), (rows - 1, column)])).collect();
    while let Some(at) = open.pop() {
        if found[at] || hu[at] > OUTSIDE_HU {
            continue;
        }
        found[at] = true;
        let (row, column) = at;
        let near = [(row.wrapping_sub(1), column), (row + 1, column), (row, column.wrapping_sub(1)), (row, column + 1)];
        open.extend(near.into_iter().filter(|(row, column)| *row < rows && *column < columns));
    }
    found
}

/// What a bowel loop holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    Gas,
    /// Gas above fluid; the row of the surface.
    Level(f32),
    /// Gas and solids mixed; the share of gas.
    Mottled(f32),
}

/// A chain of pouches with a wall, in pixels.
struct Bowel {
    /// Centre x and y, half-axes across and down.
    pouches: Vec<[f32; 4]>,
    wall: f32,
    content: Content,
}

impl Bowel {
    /// Anywhere in an image of `size` pixels a side, more often in front.
    fn draw(size: f32, rng: &mut ChaCha8Rng) -> Self {
        let wall = size / 256.0 * between(rng, 0.8, 2.4);
        let (mut x, mut y) = (size * between(rng, 0.15, 0.85), size * between(rng, 0.18, 0.68));
        let mut course = between(rng, 0.0, std::f32::consts::TAU);
        // From bubbles of a few pixels to a distended stomach.
        let radius = size * between(rng, -4.6, -2.2).exp();
        let count = if chance(rng, 0.45) { 1 } else { rng.random_range(2..9) };
        let mut pouches = Vec::with_capacity(count);
        for _ in 0..count {
            let (across, down) = (radius * between(rng, 0.7, 1.5), radius * between(rng, 0.7, 1.4));
            pouches.push([x, y, across, down]);
            course += between(rng, -0.7, 0.7);
            let stride = radius * between(rng, 1.0, 1.7);
            (x, y) = (x + stride * course.cos(), y + stride * course.sin());
        }
        let content = match rng.random_range(0..10) {
            0..6 => Content::Gas,
            6..8 => Content::Level(pouches[0][1] + radius * between(rng, -0.5, 0.8)),
            _ => Content::Mottled(between(rng, 0.2, 0.8)),
        };
        Self { pouches, wall, content }
    }

    /// Signed distance to the outer surface, about.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let one =
            |[cx, cy, across, down]: &[f32; 4]| (((x - cx) / across).hypot((y - cy) / down) - 1.0) * across.min(*down);
        self.pouches.iter().map(one).fold(f32::INFINITY, f32::min)
    }

    /// The pixels inside with their distances.
    fn pixels(&self, (rows, columns): (usize, usize)) -> Vec<((usize, usize), f32)> {
        let span = |axis: usize, count: usize| {
            let low = self.pouches.iter().map(|pouch| pouch[axis] - pouch[axis + 2]).fold(f32::INFINITY, f32::min);
            let high = self.pouches.iter().map(|pouch| pouch[axis] + pouch[axis + 2]).fold(0.0, f32::max);
            low.max(0.0) as usize..(high.max(0.0) as usize + 2).min(count)
        };
        let (across, down) = (span(0, columns), span(1, rows));
        let every = down.flat_map(|row| across.clone().map(move |column| (row, column)));
        every.map(|at| (at, self.distance(at.1 as f32, at.0 as f32))).filter(|(_, distance)| *distance < 0.0).collect()
    }

    fn filling(&self, (row, _): (usize, usize), rng: &mut ChaCha8Rng) -> f32 {
        match self.content {
            Content::Gas => -985.0,
            Content::Level(surface) if (row as f32) < surface => -985.0,
            Content::Level(_) => 15.0,
            Content::Mottled(gas) => {
                if chance(rng, gas) {
                    between(rng, -950.0, -300.0)
                } else {
                    between(rng, -150.0, 80.0)
                }
            }
        }
    }
}

/// Sometimes lungs that are dense all over, evenly or mottled, more so towards one side: oedema, expiration, diffuse pneumonia.
fn haze(hu: &mut Array2<f32>, lungs: &Array2<u8>, rng: &mut ChaCha8Rng) {
    if !chance(rng, 0.2) {
        return;
    }
    let (density, amount) = (between(rng, -650.0, -200.0), between(rng, 0.2, 0.9));
    let (angle, side) = (between(rng, 0.0, std::f32::consts::TAU), hu.nrows() as f32);
    let mottled = between(rng, 0.0, 1.0);
    let nodes = rng.random_range(8..48_usize);
    let grid: Vec<f32> = (0..nodes * nodes).map(|_| between(rng, -0.9, 0.9)).collect();
    let mottle = |x: f32, y: f32| {
        let (x, y) = (x * (nodes - 1) as f32, y * (nodes - 1) as f32);
        let (column, row) = ((x as usize).min(nodes - 2), (y as usize).min(nodes - 2));
        let (across, down) = (x - column as f32, y - row as f32);
        let line = |row: usize| grid[row * nodes + column] * (1.0 - across) + grid[row * nodes + column + 1] * across;
        line(row) * (1.0 - down) + line(row + 1) * down
    };
    for ((row, column), value) in hu.indexed_iter_mut().filter(|(at, _)| lungs[*at] > 0) {
        let (x, y) = (column as f32 / side, row as f32 / side);
        let slope = 1.1 * ((x - 0.5) * angle.cos() + (y - 0.5) * angle.sin());
        let share = (amount * (0.65 + slope) + mottled * mottle(x, y)).clamp(0.0, amount);
        *value += share * (density - *value).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::random::stream;

    fn scene(hu: Array2<f32>, lungs: Array2<u8>) -> Scene {
        Scene { hu, lungs, level: 0.9, noise_hu: 0.0 }
    }

    #[test]
    fn bowel_lies_in_soft_tissue_only() {
        let size = 128;
        let lung = |column: usize| column > 90;
        let lungs = Array2::from_shape_fn((size, size), |(_, column)| u8::from(lung(column)));
        let hu = lungs.mapv(|lung| if lung > 0 { -850.0 } else { 40.0 });
        let mut painted = 0;
        for index in 0..20 {
            let mut own = scene(hu.clone(), lungs.clone());
            own.bowel(&mut stream(1, "test", &[index]));
            let changed = || own.hu.indexed_iter().filter(|(at, value)| **value != hu[*at]);
            assert!(changed().all(|((_, column), _)| !lung(column)));
            painted += usize::from(changed().any(|(_, value)| *value < -900.0));
        }
        assert!(painted > 8, "{painted}");
    }

    #[test]
    fn outside_is_the_air_around_and_not_the_lung() {
        // A ring of tissue around air, in air.
        let hu = Array2::from_shape_fn((40, 40), |(row, column)| {
            let radius = (row as f32 - 20.0).hypot(column as f32 - 20.0);
            if (8.0..14.0).contains(&radius) { 40.0 } else { -1000.0 }
        });
        let found = outside(&hu);
        assert!(found[(0, 0)] && found[(20, 3)] && !found[(20, 20)] && !found[(20, 10)]);
    }

    #[test]
    fn surroundings_leave_the_body_alone() {
        let hu = Array2::from_shape_fn((96, 96), |(row, column)| {
            let radius = (row as f32 - 48.0).hypot(column as f32 - 48.0);
            if radius < 30.0 { 40.0 } else { -1000.0 }
        });
        let mut own = scene(hu.clone(), Array2::zeros((96, 96)));
        (0..12).for_each(|index| own.surround(1.0, &mut stream(2, "test", &[index])));
        assert!(own.hu.indexed_iter().all(|(at, value)| hu[at] < 0.0 || *value == 40.0));
        assert!(own.hu != hu);
    }
}
