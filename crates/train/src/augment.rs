//! Augmentation of image and mask together: flip, rotation, zoom, shift; brightness and contrast of the image alone.
//!
//! The draw is a function of (seed, epoch, slice), so order, threads and restarts do not change it.

use contract::config::Train;
use contract::random;
use rand::RngExt;

/// One draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Mirror left and right.
    pub flip: bool,
    /// Rotation, radians.
    pub angle: f32,
    /// Zoom, above 1 larger.
    pub zoom: f32,
    /// Shift in x and y, as a share of the side.
    pub shift: [f32; 2],
    /// Added to the pixel in 0..1.
    pub brightness: f32,
    /// Factor around the mid grey.
    pub contrast: f32,
}

impl Draw {
    /// Leaves image and mask as they are.
    pub const IDENTITY: Self =
        Self { flip: false, angle: 0.0, zoom: 1.0, shift: [0.0; 2], brightness: 0.0, contrast: 1.0 };

    /// The draw for one slice in one epoch.
    pub fn new(train: &Train, seed: u64, epoch: u32, slice: usize) -> Self {
        let mut rng = random::stream(seed, "augment", &[u64::from(epoch), slice as u64]);
        // Every number is drawn whatever the settings, so that switching one off does not shift the others.
        let mut symmetric = |range: f64| (range * rng.random_range(-1.0..=1.0_f64)) as f32;
        let angle = symmetric(train.rotate_deg.to_radians());
        let zoom = 1.0 + symmetric(train.scale);
        let shift = [symmetric(train.shift), symmetric(train.shift)];
        let brightness = symmetric(train.brightness);
        let contrast = 1.0 + symmetric(train.contrast);
        let flip = rng.random_range(0.0..1.0_f64) < train.flip;
        Self { flip, angle, zoom, shift, brightness, contrast }
    }

    fn moves(&self) -> bool {
        self.flip || self.angle != 0.0 || self.zoom != 1.0 || self.shift != [0.0; 2]
    }

    /// Where output pixels come from.
    fn source(&self, side: usize) -> Source {
        let half = (side as f32 - 1.0) / 2.0;
        let (sin, cos) = self.angle.sin_cos();
        let (sin, cos) = (sin / self.zoom, cos / self.zoom);
        let mirror = if self.flip { -1.0 } else { 1.0 };
        let (dx, dy) = (half + self.shift[0] * side as f32, half + self.shift[1] * side as f32);
        Source {
            u: [mirror * cos, mirror * sin, half - mirror * (cos * dx + sin * dy)],
            v: [-sin, cos, half - (cos * dy - sin * dx)],
        }
    }
}

/// An affine map from output pixels to source pixels: `u = u0 x + u1 y + u2`, `v` likewise.
struct Source {
    u: [f32; 3],
    v: [f32; 3],
}

/// Bilinear weights of a point between four pixels; outside the image everything is 0, the window's black.
#[inline]
fn sample(pixels: &[u8], side: usize, x: f32, y: f32) -> f32 {
    let last = side as f32 - 1.0;
    if !(x > -1.0 && y > -1.0 && x < last + 1.0 && y < last + 1.0) {
        return 0.0;
    }
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    if x0 >= 0.0 && y0 >= 0.0 && x0 < last && y0 < last {
        let at = y0 as usize * side + x0 as usize;
        let (top, bottom) = (&pixels[at..at + 2], &pixels[at + side..at + side + 2]);
        let across = |row: &[u8]| f32::from(row[0]) * (1.0 - fx) + f32::from(row[1]) * fx;
        return across(top) * (1.0 - fy) + across(bottom) * fy;
    }
    let at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x <= last && y <= last;
        if inside { f32::from(pixels[y as usize * side + x as usize]) } else { 0.0 }
    };
    let top = at(x0, y0) * (1.0 - fx) + at(x0 + 1.0, y0) * fx;
    let bottom = at(x0, y0 + 1.0) * (1.0 - fx) + at(x0 + 1.0, y0 + 1.0) * fx;
    top * (1.0 - fy) + bottom * fy
}

/// Applies a draw to an image (u8, side x side), writing the pixel in 0..1. `out` has side * side values.
pub fn image(draw: &Draw, image: &[u8], side: usize, out: &mut [f32]) {
    moved(draw, image, side, out);
    out.iter_mut().for_each(|value| {
        *value = ((*value / 255.0 - 0.5) * draw.contrast + 0.5 + draw.brightness).clamp(0.0, 1.0);
    });
}

/// Applies a draw to a mask (0 or 1, side x side), writing the share of the region. `out` has side * side values.
pub fn mask(draw: &Draw, mask: &[u8], side: usize, out: &mut [f32]) {
    moved(draw, mask, side, out);
}

fn moved(draw: &Draw, pixels: &[u8], side: usize, out: &mut [f32]) {
    if !draw.moves() {
        out.iter_mut().zip(pixels).for_each(|(out, value)| *out = f32::from(*value));
        return;
    }
    let Source { u, v } = draw.source(side);
    for (y, row) in out.chunks_mut(side).enumerate() {
        let (u_row, v_row) = (u[1] * y as f32 + u[2], v[1] * y as f32 + v[2]);
        for (x, out) in row.iter_mut().enumerate() {
            *out = sample(pixels, side, u[0] * x as f32 + u_row, v[0] * x as f32 + v_row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 4;

    fn run(draw: Draw) -> (Vec<f32>, Vec<f32>) {
        let image: Vec<u8> = (0..16).map(|value| value * 10).collect();
        let mask: Vec<u8> = (0..16).map(|index| u8::from(index % SIDE as u8 == 0)).collect(); // the left column
        let (mut image_out, mut mask_out) = (vec![0.0; 16], vec![0.0; 16]);
        super::image(&draw, &image, SIDE, &mut image_out);
        super::mask(&draw, &mask, SIDE, &mut mask_out);
        (image_out, mask_out)
    }

    #[test]
    fn a_flip_moves_image_and_mask_together() {
        let (plain, plain_mask) = run(Draw::IDENTITY);
        let (flipped, flipped_mask) = run(Draw { flip: true, ..Draw::IDENTITY });
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (here, there) = (y * SIDE + x, y * SIDE + SIDE - 1 - x);
                assert!((flipped[here] - plain[there]).abs() < 1e-6);
                assert!((flipped_mask[here] - plain_mask[there]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_quarter_turn_is_exact() {
        let (plain, mask) = run(Draw::IDENTITY);
        let (turned, turned_mask) = run(Draw { angle: std::f32::consts::FRAC_PI_2, ..Draw::IDENTITY });
        for y in 0..SIDE {
            for x in 0..SIDE {
                let from = (SIDE - 1 - x) * SIDE + y; // numpy.rot90(image, -1)
                assert!((turned[y * SIDE + x] - plain[from]).abs() < 1e-5);
                assert!((turned_mask[y * SIDE + x] - mask[from]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn brightness_touches_the_image_alone() {
        let (plain, mask) = run(Draw::IDENTITY);
        let (bright, same) = run(Draw { brightness: 0.1, ..Draw::IDENTITY });
        assert!((bright[3] - plain[3] - 0.1).abs() < 1e-6);
        assert_eq!(mask, same);
    }
}
