//! Branching vessels of a lung: a tree that grows from the hilum to points spread through the lung.
//!
//! Each new point joins the node that gives it the shortest way to the hilum, which makes few thick stems and many thin twigs.
//! Calibres follow Murray's law: the cube of a vessel's radius is the sum of its branches' cubes.

use rand::RngExt;

use contract::random::ChaCha8Rng;

use crate::body::Body;
use crate::section::{HILUM, LEFT, RIGHT, Section, sign};

/// Twigs of one lung.
const TWIGS: usize = 1500;
/// Radius of the last twigs, mm.
const TWIG_MM: f32 = 0.6;
/// Largest radius drawn, mm: the vessels at the hilum.
const STEM_MM: f32 = 7.0;
/// How much the way to the hilum counts against the way to the next vessel.
const THRIFT: f32 = 0.62;
/// Sections that the growth looks positions up in.
const LEVELS: usize = 80;

/// A straight piece of vessel between two points (x, y, z), mm in the patient's frame; z is level times length.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// End near the hilum.
    pub from: [f32; 3],
    /// Far end.
    pub to: [f32; 3],
    /// Radius, mm.
    pub radius_mm: f32,
}

/// Random points inside the lungs, from sections looked up by level.
pub(crate) struct Sampler {
    sections: Vec<Section>,
    length_mm: f32,
    half_width_mm: f32,
    front_mm: f32,
    back_mm: f32,
}

impl Sampler {
    pub fn new(body: &Body) -> Self {
        Self {
            sections: (0..LEVELS).map(|index| Section::at(body, (index as f32 + 0.5) / LEVELS as f32)).collect(),
            length_mm: body.length_mm,
            half_width_mm: body.half_width_mm,
            front_mm: body.front_mm,
            back_mm: body.back_mm,
        }
    }

    /// The section nearest to a height z, mm.
    pub fn section(&self, z: f32) -> &Section {
        let index = (z / self.length_mm * LEVELS as f32).clamp(0.0, LEVELS as f32 - 1.0);
        &self.sections[index as usize]
    }

    /// A uniform point of the chest's box on one side.
    pub fn point(&self, rng: &mut ChaCha8Rng, side: usize) -> [f32; 3] {
        let x = sign(side) * rng.random::<f32>() * self.half_width_mm;
        let y = -self.front_mm + rng.random::<f32>() * (self.front_mm + self.back_mm);
        [x, y, rng.random::<f32>() * self.length_mm]
    }

    /// Signed distance of a point to its lung's border in the plane, mm.
    pub fn depth(&self, [x, y, z]: [f32; 3]) -> f32 {
        self.section(z).lung(x, y).0
    }
}

struct Node {
    at: [f32; 3],
    parent: usize,
    way: f32,
}

/// The vessels of both lungs.
pub(crate) fn grow(body: &Body, sampler: &Sampler, rng: &mut ChaCha8Rng) -> Vec<Segment> {
    [RIGHT, LEFT].iter().flat_map(|side| grow_side(body, sampler, rng, *side)).collect()
}

fn grow_side(body: &Body, sampler: &Sampler, rng: &mut ChaCha8Rng, side: usize) -> Vec<Segment> {
    let root = [sign(side) * (body.mediastinum_mm + 2.0), 8.0, HILUM * body.length_mm];
    let mut points: Vec<[f32; 3]> = Vec::with_capacity(TWIGS);
    for _ in 0..TWIGS * 40 {
        if points.len() == TWIGS {
            break;
        }
        let point = sampler.point(rng, side);
        if sampler.depth(point) < -2.5 {
            points.push(point);
        }
    }
    points.sort_by(|a, b| apart(*a, root).total_cmp(&apart(*b, root)));
    let mut nodes = vec![Node { at: root, parent: 0, way: 0.0 }];
    for point in points {
        let (parent, way) = nearest(&nodes, point);
        nodes.push(Node { at: point, parent, way });
    }
    calibrate(&nodes)
}

fn apart(a: [f32; 3], b: [f32; 3]) -> f32 {
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt()
}

/// The node to join, and the way to the hilum through it.
fn nearest(nodes: &[Node], point: [f32; 3]) -> (usize, f32) {
    let mut best = (0, f32::INFINITY, 0.0);
    for (index, node) in nodes.iter().enumerate() {
        let step = apart(node.at, point);
        let cost = step + THRIFT * node.way;
        if cost < best.1 {
            best = (index, cost, node.way + step);
        }
    }
    (best.0, best.2)
}

/// Radii from the twigs to the stem, then the segments in the order of growth.
fn calibrate(nodes: &[Node]) -> Vec<Segment> {
    let mut cubes = vec![0.0_f32; nodes.len()];
    for (index, node) in nodes.iter().enumerate().skip(1).rev() {
        // A node without branches is a twig; its parent always comes before it.
        cubes[index] = cubes[index].max(TWIG_MM.powi(3));
        cubes[node.parent] += cubes[index];
    }
    let segment = |(node, cube): (&Node, &f32)| Segment {
        from: nodes[node.parent].at,
        to: node.at,
        radius_mm: cube.cbrt().min(STEM_MM),
    };
    nodes.iter().zip(&cubes).skip(1).map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Draw;
    use contract::random::stream;

    fn vessels() -> (Sampler, Vec<Segment>) {
        let mut rng = stream(1, "test", &[0]);
        let body = Body::draw(&mut Draw(&mut rng), 1.0);
        let sampler = Sampler::new(&body);
        let vessels = grow(&body, &sampler, &mut rng);
        (sampler, vessels)
    }

    #[test]
    fn vessels_stay_on_their_side_and_end_in_the_lung() {
        let (sampler, vessels) = vessels();
        assert_eq!(vessels.len(), 2 * TWIGS);
        for vessel in vessels {
            assert!(sampler.depth(vessel.to) < 0.0);
            assert_eq!(vessel.from[0] < 0.0, vessel.to[0] < 0.0);
        }
    }

    #[test]
    fn calibres_follow_murray() {
        // A stem with two twigs: r^3 = 2 * 0.6^3.
        let at = |z: f32| [0.0, 0.0, z];
        let node = |z: f32, parent: usize| Node { at: at(z), parent, way: z };
        let vessels = calibrate(&[node(0.0, 0), node(1.0, 0), node(2.0, 1), node(2.5, 1)]);
        let expected = (2.0_f32 * 0.6_f32.powi(3)).cbrt();
        assert!((vessels[0].radius_mm - expected).abs() < 1e-6);
        assert_eq!(vessels[1].radius_mm, TWIG_MM);
    }
}
