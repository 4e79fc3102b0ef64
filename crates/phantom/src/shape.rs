//! Signed distances in millimetres (negative inside) of the plane figures that anatomy is made of.

/// Distance reported by a figure that is not there.
const NOWHERE_MM: f32 = 1.0e3;

/// Smallest half-axis that still counts as a figure, mm.
const VANISHING_MM: f32 = 0.3;

/// An ellipse, turned by an angle and made more or less rectangular.
#[derive(Debug, Clone, Copy)]
pub struct Ellipse {
    x: f32,
    y: f32,
    half_x: f32,
    half_y: f32,
    cos: f32,
    sin: f32,
    square: f32,
}

impl Ellipse {
    /// Centre and half-axes, mm. A half-axis near zero or below makes a figure that is nowhere.
    pub fn new(x: f32, y: f32, half_x: f32, half_y: f32) -> Self {
        Self { x, y, half_x, half_y, cos: 1.0, sin: 0.0, square: 0.0 }
    }

    /// Turned by `angle` radians, from x towards y.
    pub fn turned(mut self, angle: f32) -> Self {
        (self.sin, self.cos) = angle.sin_cos();
        self
    }

    /// 0: an ellipse; 1: nearly a rectangle with rounded corners.
    pub fn squared(mut self, square: f32) -> Self {
        self.square = square;
        self
    }

    /// Signed distance, mm: first order, exact on the outline and of the right sign everywhere.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        if self.half_x < VANISHING_MM || self.half_y < VANISHING_MM {
            return NOWHERE_MM;
        }
        let (dx, dy) = (x - self.x, y - self.y);
        let u = (dx * self.cos + dy * self.sin) / self.half_x;
        let v = (dy * self.cos - dx * self.sin) / self.half_y;
        let (u2, v2) = (u * u, v * v);
        let round = (u2 + v2).sqrt();
        let gradient = (u2 / (self.half_x * self.half_x) + v2 / (self.half_y * self.half_y)).sqrt();
        if gradient < 1.0e-6 {
            return -self.half_x.min(self.half_y);
        }
        let norm =
            if self.square > 0.0 { round + self.square * ((u2 * u2 + v2 * v2).sqrt().sqrt() - round) } else { round };
        round * (norm - 1.0) / gradient
    }
}

/// Union of two distances with the crease filled over `round` mm.
pub fn smooth_union(a: f32, b: f32, round: f32) -> f32 {
    let share = (0.5 + 0.5 * (b - a) / round).clamp(0.0, 1.0);
    b + (a - b) * share - round * share * (1.0 - share)
}

/// `a` without `b`, the new corners rounded over `round` mm.
pub fn smooth_difference(a: f32, b: f32, round: f32) -> f32 {
    -smooth_union(-a, b, round)
}

/// Share of a pixel of side `pixel` mm that lies inside, 0..1.
pub fn coverage(distance: f32, pixel: f32) -> f32 {
    (0.5 - distance / pixel).clamp(0.0, 1.0)
}

/// 0 at `from`, 1 at `to`, smooth between; `from` may be above `to`.
pub fn ramp(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// `a` at 0, `b` at 1.
pub fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_has_its_distance() {
        let circle = Ellipse::new(1.0, 2.0, 5.0, 5.0);
        assert!((circle.distance(11.0, 2.0) - 5.0).abs() < 1e-4);
        assert!((circle.distance(1.0, 4.0) + 3.0).abs() < 1e-4);
        assert!((circle.distance(1.0, 2.0) + 5.0).abs() < 1e-4);
    }

    #[test]
    fn a_turned_ellipse_has_its_ends_where_they_belong() {
        let upright = Ellipse::new(0.0, 0.0, 10.0, 4.0).turned(std::f32::consts::FRAC_PI_2);
        assert!(upright.distance(0.0, 10.0).abs() < 1e-3);
        assert!(upright.distance(4.0, 0.0).abs() < 1e-3);
        assert!(upright.distance(9.0, 0.0) > 0.0);
    }

    #[test]
    fn squaring_reaches_into_the_corners() {
        let corner = (7.5, 7.5);
        assert!(Ellipse::new(0.0, 0.0, 10.0, 10.0).distance(corner.0, corner.1) > 0.0);
        assert!(Ellipse::new(0.0, 0.0, 10.0, 10.0).squared(0.9).distance(corner.0, corner.1) < 0.0);
    }

    #[test]
    fn a_vanished_ellipse_is_nowhere() {
        assert!(Ellipse::new(0.0, 0.0, 0.0, 5.0).distance(0.0, 0.0) > 100.0);
    }

    #[test]
    fn union_and_difference_keep_the_far_figure() {
        assert!((smooth_union(3.0, 50.0, 4.0) - 3.0).abs() < 1e-6);
        assert!((smooth_difference(-9.0, 50.0, 4.0) + 9.0).abs() < 1e-6);
        assert!(smooth_difference(-9.0, -2.0, 4.0) > 0.0);
    }
}
