//! Where voxels are in the patient, and how to turn any volume to the view the network knows.
//!
//! World coordinates are NIfTI's, in millimetres: x grows from the patient's left to right, y from back to front, z from feet
//! to head (RAS). DICOM's (LPS, PS3.3 C.7.6.2.1.1) has x and y the other way round.

use ndarray::{Array2, Array3, ArrayView3, ArrayViewMut3, Axis};

/// Lengths that a voxel of CT may have, mm: beyond any scanner and any gap between few slices, but not metres or micrometres.
const VOXEL_MM: std::ops::RangeInclusive<f64> = 0.01..=250.0;

/// A 3x4 matrix from voxel indices (i, j, k, 1) to RAS millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [[f64; 4]; 3]);

/// Position and orientation of one DICOM slice, in LPS millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// Centre of the first pixel (ImagePositionPatient).
    pub position: [f64; 3],
    /// Direction of growing column index, unit length (first half of ImageOrientationPatient).
    pub along_row: [f64; 3],
    /// Direction of growing row index, unit length (second half).
    pub along_column: [f64; 3],
    /// Distance of pixel centres along a column and along a row (PixelSpacing).
    pub spacing_mm: [f64; 2],
}

impl Plane {
    /// The slice normal, the cross product of the two directions.
    pub fn normal(&self) -> [f64; 3] {
        cross(self.along_row, self.along_column)
    }

    /// Position along the normal, mm.
    pub fn depth(&self) -> f64 {
        dot(self.position, self.normal())
    }
}

/// The cross product.
pub fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The scalar product.
pub fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Affine {
    /// The affine of a stack of DICOM slices; `step` goes from one slice to the next, LPS mm.
    /// Voxel index i is the column, j the row, k the slice.
    pub fn of_slices(first: &Plane, step: [f64; 3]) -> Self {
        let column = |axis: usize| {
            [
                first.along_row[axis] * first.spacing_mm[1],
                first.along_column[axis] * first.spacing_mm[0],
                step[axis],
                first.position[axis],
            ]
        };
        // Subtracted rather than negated, so that 0 does not become -0.
        let turned = |column: [f64; 4]| column.map(|part| 0.0 - part);
        Self([turned(column(0)), turned(column(1)), column(2)])
    }

    /// Pixels of `spacing_mm` in an axial slice as pictures show it: i to the patient's left, j to the back.
    pub fn of_picture(spacing_mm: [f64; 3]) -> Self {
        let [x, y, z] = spacing_mm;
        Self([[-x, 0.0, 0.0, 0.0], [0.0, -y, 0.0, 0.0], [0.0, 0.0, z, 0.0]])
    }

    /// The vector of one step along voxel axis `axis`.
    pub fn step(&self, axis: usize) -> [f64; 3] {
        self.0.map(|row| row[axis])
    }

    /// What cannot be right of the size of voxels of a CT, in words; `None` if nothing is wrong. A voxel is 0.01 to 250 mm long.
    pub fn implausible(&self) -> Option<String> {
        let lengths = [0, 1, 2].map(|axis| dot(self.step(axis), self.step(axis)).sqrt());
        let is_right = |length: &f64| VOXEL_MM.contains(length);
        let [x, y, z] = lengths;
        (!lengths.iter().all(is_right)).then(|| format!("voxels of {x} x {y} x {z} mm, expected 0.01 to 250 mm"))
    }

    /// Volume of a voxel, mm3.
    pub fn voxel_mm3(&self) -> f64 {
        dot(cross(self.step(0), self.step(1)), self.step(2)).abs()
    }

    /// Rotation of the nearest orthogonal frame as NIfTI's (b, c, d), and its `qfac`.
    ///
    /// Source: NIfTI-1 standard, "Quaternion representation of rotation matrix". The third axis is taken perpendicular to the
    /// first two, since a quaternion cannot express a tilted gantry.
    pub fn quaternion(&self) -> ([f64; 3], f64) {
        let unit = |vector: [f64; 3]| vector.map(|part| part / dot(vector, vector).sqrt().max(1e-12));
        let x = unit(self.step(0));
        let raw = self.step(1);
        let along = dot(raw, x);
        let y = unit([0, 1, 2].map(|axis| raw[axis] - along * x[axis]));
        let z = cross(x, y);
        let qfac = if dot(z, self.step(2)) < 0.0 { -1.0 } else { 1.0 };
        (quaternion([x, y, z]), qfac)
    }

    /// How to turn a volume of this affine to axial slices seen as usual.
    pub fn axial(&self) -> Axial {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let length = |axis: usize| dot(self.step(axis), self.step(axis)).sqrt().max(1e-12);
        let cosine = |world: usize, axis: usize| self.0[world][axis] / length(axis);
        // `order[world]` is the voxel axis that runs most along that world axis.
        let fit = |order: &[usize; 3]| (0..3).map(|world| cosine(world, order[world]).abs()).sum::<f64>();
        let best = ORDERS.into_iter().reduce(|best, next| if fit(&next) > fit(&best) { next } else { best });
        let [x, y, z] = best.unwrap_or([0, 1, 2]);
        // Slices go up, rows to the back, columns to the patient's left: +z, -y, -x in RAS.
        Axial { axes: [z, y, x], flip: [cosine(2, z) < 0.0, cosine(1, y) > 0.0, cosine(0, x) > 0.0] }
    }
}

/// Quaternion (b, c, d), a >= 0, of the rotation with these columns.
fn quaternion([x, y, z]: [[f64; 3]; 3]) -> [f64; 3] {
    let (xx, yy, zz) = (x[0], y[1], z[2]);
    let a = 1.0 + xx + yy + zz;
    if a > 0.5 {
        let a = 0.5 * a.sqrt();
        return [(y[2] - z[1]) / (4.0 * a), (z[0] - x[2]) / (4.0 * a), (x[1] - y[0]) / (4.0 * a)];
    }
    let root = |square: f64| 0.5 * square.max(0.0).sqrt();
    let (b, c, d) = (root(1.0 + xx - yy - zz), root(1.0 + yy - xx - zz), root(1.0 + zz - xx - yy));
    let ([b, c, d], a) = if b >= c && b >= d {
        ([b, (y[0] + x[1]) / (4.0 * b), (z[0] + x[2]) / (4.0 * b)], (y[2] - z[1]) / (4.0 * b))
    } else if c >= d {
        ([(y[0] + x[1]) / (4.0 * c), c, (z[1] + y[2]) / (4.0 * c)], (z[0] - x[2]) / (4.0 * c))
    } else {
        ([(z[0] + x[2]) / (4.0 * d), (z[1] + y[2]) / (4.0 * d), d], (x[1] - y[0]) / (4.0 * d))
    };
    if a < 0.0 { [-b, -c, -d] } else { [b, c, d] }
}

/// The turn from a volume's own axes to axial slices (from feet to head; rows from front to back; columns from the patient's
/// right to left), in quarter turns and mirrors, so nothing is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axial {
    axes: [usize; 3],
    flip: [bool; 3],
}

impl Axial {
    /// True if the slices along voxel axis k are the axial ones.
    pub fn slices_are_axial(&self) -> bool {
        self.slice_axis() == 2
    }

    /// The voxel axis that runs from slice to slice.
    pub fn slice_axis(&self) -> usize {
        self.axes[0]
    }

    /// True if the volume's slices run from head to feet, so that the usual order is the other way round.
    pub fn slices_run_down(&self) -> bool {
        self.flip[0]
    }

    /// A volume (i, j, k) seen as axial slices (slice, row, column); nothing is copied.
    pub fn view<'a, T>(&self, volume: &'a Array3<T>) -> ArrayView3<'a, T> {
        let mut view = volume.view().permuted_axes(self.axes);
        self.mirror(|axis| view.invert_axis(axis));
        view
    }

    /// The same, to write to.
    pub fn view_mut<'a, T>(&self, volume: &'a mut Array3<T>) -> ArrayViewMut3<'a, T> {
        let mut view = volume.view_mut().permuted_axes(self.axes);
        self.mirror(|axis| view.invert_axis(axis));
        view
    }

    /// A volume (i, j, k) as axial slices (slice, row, column).
    pub fn turn<T: Clone>(&self, volume: &Array3<T>) -> Array3<T> {
        self.view(volume).as_standard_layout().into_owned()
    }

    /// The way back from [`Self::turn`].
    pub fn turn_back<T: Clone>(&self, slices: &Array3<T>) -> Array3<T> {
        let mut view = slices.view();
        self.mirror(|axis| view.invert_axis(axis));
        let mut back = [0; 3];
        self.axes.iter().enumerate().for_each(|(to, from)| back[*from] = to);
        view.permuted_axes(back).as_standard_layout().into_owned()
    }

    /// One slice (row j, column i) of a volume whose slices are axial.
    pub fn turn_slice<T: Clone>(&self, slice: Array2<T>) -> Array2<T> {
        let mut slice = if self.axes[1] == 0 { slice.reversed_axes() } else { slice };
        for (axis, flip) in self.flip[1..].iter().enumerate() {
            if *flip {
                slice.invert_axis(Axis(axis));
            }
        }
        slice.as_standard_layout().into_owned()
    }

    fn mirror(&self, mut invert: impl FnMut(Axis)) {
        (0..3).filter(|axis| self.flip[*axis]).for_each(|axis| invert(Axis(axis)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr2, s};

    fn supine() -> Plane {
        Plane {
            position: [-100.0, -120.0, 30.0],
            along_row: [1.0, 0.0, 0.0],
            along_column: [0.0, 1.0, 0.0],
            spacing_mm: [0.5, 0.75],
        }
    }

    #[test]
    fn dicom_axes_become_ras() {
        // By hand: LPS (-100, -120, 30) is RAS (100, 120, 30).
        let affine = Affine::of_slices(&supine(), [0.0, 0.0, 2.0]);
        let expected = [[-0.75, 0.0, 0.0, 100.0], [0.0, -0.5, 0.0, 120.0], [0.0, 0.0, 2.0, 30.0]];
        assert!(affine.0.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(affine.voxel_mm3(), 0.75);
        assert_eq!(supine().depth(), 30.0);
    }

    #[test]
    fn quaternions_equal_nibabel() {
        // nibabel 5: Nifti1Header.set_qform(affine), then quatern_b, c, d and pixdim[0].
        let cases = [
            (Affine::of_slices(&supine(), [0.0, 0.0, 2.0]), [0.0, 0.0, 1.0], 1.0),
            (Affine([[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]), [0.0, 0.0, 0.0], 1.0),
            (Affine([[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, -2.0, 0.0]]), [0.0, 0.0, 0.0], -1.0),
            (Affine([[0.0, 0.0, 2.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]), [0.5, 0.5, 0.5], 1.0),
            (Affine([[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]]), [1.0, 0.0, 0.0], 1.0),
        ];
        for (affine, expected, expected_qfac) in cases {
            let (found, qfac) = affine.quaternion();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} is not {expected:?}");
            assert_eq!(qfac, expected_qfac);
        }
    }

    #[test]
    fn every_orientation_turns_to_the_same_view() {
        // A volume of the world (slice, row, column) stored along other axes comes back the same.
        let world = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| z * 100 + y * 10 + x);
        let picture = Affine::of_picture([1.0; 3]);
        let straight = world.view().permuted_axes([2, 1, 0]).to_owned();
        assert_eq!(picture.axial().turn(&straight), world);
        // Stored as (back, head, right): j is z, i is y, k is x mirrored.
        let sagittal = world.slice(s![.., .., ..;-1]).permuted_axes([1, 0, 2]).to_owned();
        let affine = Affine([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]);
        let axial = affine.axial();
        assert_eq!(axial.turn(&sagittal), world);
        assert_eq!(axial.turn_back(&world), sagittal);
        assert!(!axial.slices_are_axial());
    }

    #[test]
    fn a_prone_slice_is_turned_round() {
        let prone = Plane { along_row: [-1.0, 0.0, 0.0], along_column: [0.0, -1.0, 0.0], ..supine() };
        let axial = Affine::of_slices(&prone, prone.normal()).axial();
        assert!(axial.slices_are_axial());
        assert_eq!(axial.turn_slice(arr2(&[[1, 2], [3, 4]])), arr2(&[[4, 3], [2, 1]]));
        let axial = Affine::of_slices(&supine(), [0.0, 0.0, 1.0]).axial();
        assert_eq!(axial.turn_slice(arr2(&[[1, 2], [3, 4]])), arr2(&[[1, 2], [3, 4]]));
        let turned = Plane { along_row: [0.0, 1.0, 0.0], along_column: [1.0, 0.0, 0.0], ..supine() };
        let axial = Affine::of_slices(&turned, turned.normal()).axial();
        assert_eq!(axial.turn_slice(arr2(&[[1, 2], [3, 4]])), arr2(&[[1, 3], [2, 4]]));
    }
}
