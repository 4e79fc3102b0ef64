//! A volume stored in any of the 48 orientations, or obliquely, is one world: written as NIfTI, read, turned to the usual view
//! and back.

use ndarray::Array3;
use nifti::NiftiHeader;
use preprocess::geometry::{Affine, dot};
use preprocess::nifti_io;

/// A box in a world of 10 x 12 x 7 voxels of 0.7 x 0.8 x 2.5 mm whose first voxel is at (-3, 5, 11) mm, RAS.
const WORLD: [usize; 3] = [10, 12, 7];
const STEP_MM: [f64; 3] = [0.7, 0.8, 2.5];
const START_MM: [f64; 3] = [-3.0, 5.0, 11.0];
const BOX: [std::ops::Range<usize>; 3] = [2..5, 3..5, 1..3];
/// By hand: start + step * (3, 3.5, 1.5).
const CENTRE_MM: [f64; 3] = [-0.9, 7.8, 14.75];

/// The world stored along other axes: voxel axis a runs along world axis `axes[a]`, backwards if `flips[a]`.
fn stored(axes: [usize; 3], flips: [bool; 3]) -> (Array3<u8>, Affine) {
    let mut affine = [[0.0; 4]; 3];
    for (axis, world) in axes.into_iter().enumerate() {
        let sign = if flips[axis] { -1.0 } else { 1.0 };
        affine[world][axis] = sign * STEP_MM[world];
        let first = if flips[axis] { WORLD[world] as f64 - 1.0 } else { 0.0 };
        affine[world][3] = START_MM[world] + first * STEP_MM[world];
    }
    let values = Array3::from_shape_fn(axes.map(|world| WORLD[world]), |(i, j, k)| {
        let inside = [i, j, k].into_iter().enumerate().all(|(axis, index)| {
            let world = axes[axis];
            BOX[world].contains(&if flips[axis] { WORLD[world] - 1 - index } else { index })
        });
        u8::from(inside)
    });
    (values, Affine(affine))
}

/// The mean index of what is not 0.
fn centre<T: Clone + Into<f64>>(volume: &Array3<T>) -> [f64; 3] {
    let mut sum = [0.0; 4];
    for ((i, j, k), value) in volume.indexed_iter() {
        let value: f64 = value.clone().into();
        [i as f64, j as f64, k as f64, 1.0].iter().zip(&mut sum).for_each(|(index, sum)| *sum += index * value);
    }
    [0, 1, 2].map(|axis| sum[axis] / sum[3])
}

fn close(a: [f64; 3], b: [f64; 3], context: &str) {
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{context}: {a:?} is not {b:?}");
}

fn written(values: &Array3<u8>, affine: &Affine) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.nii.gz");
    nifti_io::write(&path, values, &nifti_io::header(affine)).expect("a volume written");
    (folder, path)
}

fn in_mm(affine: &Affine, index: [f64; 3]) -> [f64; 3] {
    affine.0.map(|row| dot([row[0], row[1], row[2]], index) + row[3])
}

#[test]
fn all_48_orientations_are_one_world() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        for flips in 0..8 {
            let flips = [flips & 1 == 1, flips & 2 == 2, flips & 4 == 4];
            let context = format!("{order:?} {flips:?}");
            let (values, affine) = stored(order, flips);
            let (_folder, path) = written(&values, &affine);
            let volume = nifti_io::read(&path).expect("a volume read");
            assert!(volume.remarks.is_empty(), "{context}");
            close(in_mm(&volume.affine, centre(&volume.values)), CENTRE_MM, &context);
            // Seen as usual, slices go up, rows to the back, columns to the left. By hand: 1.5, 11 - 3.5, 9 - 3.
            let axial = volume.affine.axial();
            let turned = axial.turn(&volume.values);
            assert_eq!(turned.dim(), (7, 12, 10), "{context}");
            close(centre(&turned), [1.5, 7.5, 6.0], &context);
            assert_eq!(axial.turn_back(&turned), volume.values, "{context}");
            // The quaternion says the same as the matrix, as far as its 32 bits go: a is a root of 1 - b2 - c2 - d2.
            let by_quaternion = nifti_io::affine(&NiftiHeader { sform_code: 0, ..volume.header.clone() });
            let centre_mm = in_mm(&by_quaternion, centre(&volume.values));
            assert!(centre_mm.iter().zip(CENTRE_MM).all(|(a, b)| (a - b).abs() < 0.01), "{context}: {centre_mm:?}");
        }
    }
}

#[test]
fn an_oblique_volume_keeps_its_place() {
    let (values, straight) = stored([1, 0, 2], [true, false, false]);
    // 20 degrees about z.
    let (sin, cos) = 20_f64.to_radians().sin_cos();
    let [x, y, z] = straight.0;
    let turn = |a: f64, b: f64| [0, 1, 2, 3].map(|part| a * x[part] + b * y[part]);
    let affine = Affine([turn(cos, -sin), turn(sin, cos), z]);
    let (_folder, path) = written(&values, &affine);
    let volume = nifti_io::read(&path).expect("a volume read");
    // By hand: (-0.9, 7.8) turned by 20 degrees.
    close(in_mm(&volume.affine, centre(&volume.values)), [-3.51348, 7.02178, 14.75], "oblique");
    let axial = volume.affine.axial();
    let turned = axial.turn(&volume.values);
    close(centre(&turned), [1.5, 7.5, 6.0], "oblique");
    assert_eq!(axial.turn_back(&turned), volume.values);
}
