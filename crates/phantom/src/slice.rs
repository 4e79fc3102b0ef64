//! A slice of a patient in Hounsfield units with its true lung and lesion masks.
//!
//! Painted from the inside out: tissue by signed distances with the partial volume of the edges, lesions into the lung, vessels
//! over both, airways over everything in the lung, then table and cloth, the scanner's blur and noise, and last the field of view.

use ndarray::Array2;

use contract::schema::mask_value;

use crate::field::{Field, blur, image_noise};
use crate::patient::Patient;
use crate::section::{RIGHT, Section};
use crate::shape::{coverage, mix, ramp};
use crate::tissue::{AIR_HU, Tissue};
use crate::vessels::Segment;

/// Pixels between two nodes of the grid on which the anatomy's random distortion is computed.
const WARP_STEP: usize = 8;
/// Share of the lung from which a pixel belongs to it.
const LUNG_SHARE: f32 = 0.5;
/// Change from which a pixel of the lung belongs to a lesion.
const LESION_SHARE: f32 = 0.3;
/// HU of the burnt-in mark.
const MARK_HU: f32 = 1000.0;
/// HU from which a lesion is dense enough to show the airways in it.
const DENSE_HU: f32 = -350.0;

/// One axial slice, `size` x `size`; row 0 in front, column 0 at the patient's right.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Density, HU, whole numbers; padding as the scanner's.
    pub hu: Array2<f32>,
    /// 0 background, 1 right lung, 2 left lung.
    pub lungs: Array2<u8>,
    /// 1 where a lesion is; only inside the lungs.
    pub lesions: Array2<u8>,
}

/// Cuts `patient` at `level` (0 lung apex, 1 lung base; -0.3..1.7 is meaningful).
pub fn slice(patient: &Patient, level: f32) -> Slice {
    let mut canvas = Canvas::new(patient, level);
    canvas.tissue();
    canvas.lesions();
    canvas.vessels();
    canvas.airways();
    canvas.scanner();
    canvas.finish()
}

/// Maps between image and anatomy, both mm: the image's origin is its centre.
struct Frame {
    sin: f32,
    cos: f32,
    shift: (f32, f32),
    field: Field,
    z: f32,
}

impl Frame {
    fn new(patient: &Patient, level: f32) -> Self {
        let (sin, cos) = patient.pose.turn.sin_cos();
        Self {
            sin,
            cos,
            shift: patient.pose.shift_mm,
            field: Field::new(patient.body.texture ^ 0xF1),
            z: patient.z_mm(level),
        }
    }

    /// The distortion that keeps the figures from looking drawn with a compass.
    fn warp(&self, x: f32, y: f32) -> (f32, f32) {
        let at = |offset: f32| {
            let broad = self.field.at(x / 60.0 + offset, y / 60.0, self.z / 90.0);
            let fine = self.field.at(x / 21.0 + offset, y / 21.0 + 50.0, self.z / 40.0);
            5.5 * broad + 1.8 * fine
        };
        (at(0.0), at(100.0))
    }

    fn to_patient(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.shift.0, y - self.shift.1);
        (x * self.cos + y * self.sin, y * self.cos - x * self.sin)
    }

    /// From anatomy to the image; the distortion is undone to first order, which is exact to a fraction of a pixel.
    fn to_image(&self, x: f32, y: f32) -> (f32, f32) {
        let (first_x, first_y) = self.warp(x, y);
        let (dx, dy) = self.warp(x - first_x, y - first_y);
        let (x, y) = (x - dx, y - dy);
        (x * self.cos - y * self.sin + self.shift.0, y * self.cos + x * self.sin + self.shift.1)
    }
}

struct Canvas<'a> {
    patient: &'a Patient,
    level: f32,
    frame: Frame,
    section: Section,
    size: usize,
    pixel: f32,
    hu: Vec<f32>,
    lung: Vec<f32>,
    lesion: Vec<f32>,
    dense: Vec<f32>,
    /// Anatomical position of every pixel, mm.
    at: Vec<(f32, f32)>,
}

impl<'a> Canvas<'a> {
    fn new(patient: &'a Patient, level: f32) -> Self {
        let size = patient.spec.size;
        let mut canvas = Self {
            patient,
            level,
            frame: Frame::new(patient, level),
            section: Section::at(&patient.body, level),
            size,
            pixel: patient.pixel_mm(),
            hu: vec![AIR_HU; size * size],
            lung: vec![0.0; size * size],
            lesion: vec![0.0; size * size],
            dense: vec![0.0; size * size],
            at: Vec::with_capacity(size * size),
        };
        canvas.place();
        canvas
    }

    /// Position of a pixel's centre in the image, mm.
    fn image_mm(&self, column: f32, row: f32) -> (f32, f32) {
        let middle = self.size as f32 / 2.0 - 0.5;
        ((column - middle) * self.pixel, (row - middle) * self.pixel)
    }

    /// Anatomical positions: the distortion on a coarse grid, bilinear between its nodes.
    fn place(&mut self) {
        let nodes = self.size / WARP_STEP + 2;
        let node = |index: usize| {
            let (column, row) = ((index % nodes * WARP_STEP) as f32, (index / nodes * WARP_STEP) as f32);
            let (x, y) = self.image_mm(column, row);
            let (x, y) = self.frame.to_patient(x, y);
            self.frame.warp(x, y)
        };
        let grid: Vec<(f32, f32)> = (0..nodes * nodes).map(node).collect();
        let lerp = |a: (f32, f32), b: (f32, f32), share: f32| (mix(a.0, b.0, share), mix(a.1, b.1, share));
        for row in 0..self.size {
            let (top, down) = (row / WARP_STEP * nodes, (row % WARP_STEP) as f32 / WARP_STEP as f32);
            for column in 0..self.size {
                let (left, right) = (column / WARP_STEP, (column % WARP_STEP) as f32 / WARP_STEP as f32);
                let above = lerp(grid[top + left], grid[top + left + 1], right);
                let below = lerp(grid[top + nodes + left], grid[top + nodes + left + 1], right);
                let (dx, dy) = lerp(above, below, down);
                let (x, y) = self.image_mm(column as f32, row as f32);
                let (x, y) = self.frame.to_patient(x, y);
                self.at.push((x + dx, y + dy));
            }
        }
    }

    /// Body, table, arms, cloth, electrodes.
    fn tissue(&mut self) {
        let patient = self.patient;
        let tissue = Tissue::new(&patient.body, &self.section, &patient.abdomen, self.pixel);
        for index in 0..self.at.len() {
            let (x, y) = self.at[index];
            let skin = tissue.skin(x, y);
            let sample = tissue.sample(x, y, skin);
            self.lung[index] = sample.lung;
            self.hu[index] = sample.hu;
            if sample.body < 1.0 {
                let outside = self.outside(index, x, y, skin);
                self.hu[index] = mix(outside, sample.hu, sample.body);
            }
        }
    }

    fn outside(&self, index: usize, x: f32, y: f32, skin: f32) -> f32 {
        let around = &self.patient.surroundings;
        if let Some(hu) = around.electrode(x, y, skin).filter(|_| (0.05..0.95).contains(&self.level)) {
            return hu;
        }
        let (image_x, image_y) = self.image_mm((index % self.size) as f32, (index / self.size) as f32);
        let table = around.table(&self.patient.pose, image_x, image_y, self.pixel).unwrap_or(AIR_HU);
        around.near_body(x, y, skin, self.level, self.pixel, table)
    }

    fn lesions(&mut self) {
        let z = self.patient.z_mm(self.level);
        let here: Vec<_> = self.patient.lesions.iter().filter(|lesion| lesion.reaches(z)).collect();
        if here.is_empty() {
            return;
        }
        for index in 0..self.at.len() {
            if self.lung[index] <= 0.0 {
                continue;
            }
            let (x, y) = self.at[index];
            let side = self.section.side(x);
            for lesion in here.iter().filter(|lesion| lesion.side == side) {
                let share = lesion.share(x, y, z) * self.lung[index];
                if share > 0.0 {
                    let target = lesion.hu.max(self.hu[index]);
                    self.hu[index] = mix(self.hu[index], target, share);
                    self.lesion[index] = self.lesion[index].max(share);
                    self.dense[index] = self.dense[index].max(share * ramp(DENSE_HU, DENSE_HU + 200.0, lesion.hu));
                }
            }
        }
    }

    /// Pieces of vessel in this slice: ends in the image, mm; radius, mm; share of the slice's thickness.
    fn pieces(&self) -> Vec<Piece> {
        let z = self.patient.z_mm(self.level);
        let half = 0.5 * self.patient.thickness_mm;
        self.patient.vessels.iter().filter_map(|vessel| Piece::cut(vessel, z, half, &self.frame)).collect()
    }

    fn vessels(&mut self) {
        let hu = self.patient.body.blood_hu.max(40.0);
        for piece in self.pieces() {
            let weight = piece.share * (2.0 * piece.radius / self.pixel).min(1.0);
            self.stroke(&piece, piece.radius, |canvas, index, inside| {
                let share = inside * weight * canvas.lung[index];
                canvas.hu[index] = mix(canvas.hu[index], hu.max(canvas.hu[index]), share);
            });
        }
    }

    /// Bronchi beside the larger vessels; smaller ones show only where the lung around them is dense: air bronchograms.
    fn airways(&mut self) {
        const WALLED_MM: f32 = 2.0;
        const SMALLEST_MM: f32 = 0.95;
        for piece in self.pieces().into_iter().filter(|piece| piece.radius > SMALLEST_MM) {
            let lumen = 0.75 * piece.radius;
            let walled = piece.radius > WALLED_MM;
            let beside = piece.beside(piece.radius + 1.1 * lumen + 0.8);
            if walled {
                self.stroke(&beside, lumen + 0.9, |canvas, index, inside| {
                    let share = 0.6 * inside * piece.share * canvas.lung[index];
                    canvas.hu[index] = mix(canvas.hu[index], canvas.hu[index].max(-150.0), share);
                });
            }
            let weight = piece.share * (2.0 * lumen / self.pixel).min(1.0);
            self.stroke(&beside, lumen, |canvas, index, inside| {
                let seen = if walled { 1.0 } else { canvas.dense[index] };
                let share = inside * weight * seen * canvas.lung[index];
                canvas.hu[index] = mix(canvas.hu[index], -960.0, share);
            });
        }
    }

    /// Calls `paint` with every pixel near a capsule and the share of it that is inside.
    fn stroke(&mut self, piece: &Piece, radius: f32, paint: impl Fn(&mut Self, usize, f32)) {
        let middle = self.size as f32 / 2.0 - 0.5;
        let reach = radius + self.pixel;
        let bounds = |a: f32, b: f32| {
            let low = ((a.min(b) - reach) / self.pixel + middle).ceil().max(0.0);
            let high = ((a.max(b) + reach) / self.pixel + middle).floor().min(self.size as f32 - 1.0);
            (low as usize, high)
        };
        let (left, right) = bounds(piece.from.0, piece.to.0);
        let (top, bottom) = bounds(piece.from.1, piece.to.1);
        if right < 0.0 || bottom < 0.0 {
            return;
        }
        for row in top..=bottom as usize {
            for column in left..=right as usize {
                let (x, y) = self.image_mm(column as f32, row as f32);
                let inside = coverage(piece.distance(x, y) - radius, self.pixel);
                if inside > 0.0 {
                    paint(self, row * self.size + column, inside);
                }
            }
        }
    }

    /// Blur and noise of the scanner.
    fn scanner(&mut self) {
        let spec = &self.patient.spec;
        blur(&mut self.hu, self.size, 0.35 * self.patient.kernel);
        let height = (self.level * 10_000.0).round() as i64 as u64;
        let noise = image_noise(spec.seed, &[spec.index, height], self.size, self.patient.kernel);
        for (value, noise) in self.hu.iter_mut().zip(noise) {
            // The reconstruction has less noise where the rays met less tissue.
            let damped = if *value < -900.0 { 0.7 } else { 1.0 };
            *value += damped * spec.noise_hu * noise;
        }
    }

    fn finish(self) -> Slice {
        let size = self.size;
        let padding = self.patient.pose.padding.hu();
        let radius = 0.5 * self.size as f32 * self.pixel;
        let mut hu = Array2::zeros((size, size));
        let mut lungs = Array2::zeros((size, size));
        let mut lesions = Array2::zeros((size, size));
        for index in 0..size * size {
            let at = (index / size, index % size);
            let (x, y) = self.image_mm(at.1 as f32, at.0 as f32);
            // DICOM stores 12 bits and the sign in practice; scanners clip to them.
            hu[at] = self.hu[index].round().clamp(-1024.0, 3071.0);
            let outside = x.hypot(y) > radius;
            if let Some(padding) = padding.filter(|_| outside) {
                hu[at] = padding;
            } else if self.lung[index] >= LUNG_SHARE {
                let right = self.section.side(self.at[index].0) == RIGHT;
                lungs[at] = if right { mask_value::RIGHT } else { mask_value::LEFT };
                lesions[at] = u8::from(self.lesion[index] >= LESION_SHARE);
            }
            let share = |place: usize| (place as f32 + 0.5) / size as f32;
            if self.patient.surroundings.mark(share(at.1), share(at.0)) {
                hu[at] = MARK_HU;
            }
        }
        Slice { hu, lungs, lesions }
    }
}

/// The part of a vessel inside the slice, projected onto it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: (f32, f32),
    to: (f32, f32),
    radius: f32,
    share: f32,
}

impl Piece {
    fn cut(vessel: &Segment, z: f32, half: f32, frame: &Frame) -> Option<Self> {
        let reach = half + 0.5 * vessel.radius_mm;
        let rise = vessel.to[2] - vessel.from[2];
        let (mut enter, mut leave) = (0.0_f32, 1.0_f32);
        if rise.abs() > 1e-3 {
            let (a, b) = ((z - reach - vessel.from[2]) / rise, (z + reach - vessel.from[2]) / rise);
            enter = enter.max(a.min(b));
            leave = leave.min(a.max(b));
        } else if (vessel.from[2] - z).abs() > reach {
            return None;
        }
        if enter >= leave {
            return None;
        }
        let at = |share: f32| {
            let place = |axis: usize| mix(vessel.from[axis], vessel.to[axis], share);
            frame.to_image(place(0), place(1))
        };
        let flat = (vessel.to[0] - vessel.from[0]).hypot(vessel.to[1] - vessel.from[1]);
        let upright = rise.abs() / (flat + rise.abs()).max(1e-3);
        // A vessel along z fills the slice's thickness; one in the plane fills its own diameter.
        let in_plane = (2.0 * vessel.radius_mm / (2.0 * half)).min(1.0);
        Some(Self { from: at(enter), to: at(leave), radius: vessel.radius_mm, share: mix(in_plane, 1.0, upright) })
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        let (along_x, along_y) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let (dx, dy) = (x - self.from.0, y - self.from.1);
        let length = along_x * along_x + along_y * along_y;
        let share = if length < 1e-6 { 0.0 } else { ((dx * along_x + dy * along_y) / length).clamp(0.0, 1.0) };
        (dx - share * along_x).hypot(dy - share * along_y)
    }

    /// The same course, `gap` mm to the side.
    fn beside(&self, gap: f32) -> Self {
        let (x, y) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let length = x.hypot(y);
        let (side_x, side_y) = if length < 0.5 { (0.7, 0.7) } else { (-y / length, x / length) };
        let moved = |at: (f32, f32)| (at.0 + gap * side_x, at.1 + gap * side_y);
        Self { from: moved(self.from), to: moved(self.to), ..*self }
    }
}
