//! Headers and voxels made by hand.

use super::*;

/// A header of 2 x 2 x 2 voxels as bytes, changed by `change`, with `voxels` behind it.
fn file(change: impl FnOnce(&mut Vec<u8>), voxels: &[u8]) -> Result<Volume, String> {
    let mut bytes = vec![0; 352];
    bytes[..4].copy_from_slice(&348_i32.to_le_bytes());
    let dims: [i16; 8] = [3, 2, 2, 2, 1, 1, 1, 1];
    dims.iter().enumerate().for_each(|(at, dim)| bytes[40 + 2 * at..][..2].copy_from_slice(&dim.to_le_bytes()));
    bytes[70..72].copy_from_slice(&4_i16.to_le_bytes());
    bytes[72..74].copy_from_slice(&16_i16.to_le_bytes());
    bytes[108..112].copy_from_slice(&352_f32.to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    change(&mut bytes);
    bytes.extend(voxels);
    let size = bytes.len() as u64;
    read_from(&bytes[..], Some(size))
}

fn set(at: usize, value: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| bytes[at..at + value.len()].copy_from_slice(value)
}

#[test]
fn scaling_follows_the_standard() {
    let voxels = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let first = |change: &dyn Fn(&mut Vec<u8>)| file(change, &voxels).expect("a volume").values[[0, 0, 0]];
    let scaled = |slope: f32, intercept: f32| {
        first(&|bytes| {
            bytes[112..116].copy_from_slice(&slope.to_le_bytes());
            bytes[116..120].copy_from_slice(&intercept.to_le_bytes());
        })
    };
    // nifti1.h: a slope of 0 is none. nibabel 5.4.2 reads the same four values.
    assert_eq!(
        [scaled(2.0, -10.0), scaled(0.0, -10.0), scaled(f32::NAN, 5.0), scaled(1.0, 0.0)],
        [-4.0, 3.0, 3.0, 3.0]
    );
    let four = file(set(40, &[4, 0]), &voxels).expect("four dimensions, the last of length 1");
    assert_eq!(four.values.dim(), (2, 2, 2));
}

#[test]
fn what_is_not_finite_is_no_number() {
    let change = |bytes: &mut Vec<u8>| {
        bytes[70..72].copy_from_slice(&16_i16.to_le_bytes());
        bytes[72..74].copy_from_slice(&32_i16.to_le_bytes());
    };
    let voxels: Vec<u8> = [f32::NAN, f32::INFINITY, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(f32::to_le_bytes).concat();
    let volume = file(change, &voxels).expect("a volume");
    assert!(volume.values[[0, 0, 0]].is_nan() && volume.values[[1, 0, 0]].is_nan());
    assert_eq!(volume.values[[0, 1, 0]], 7.0);
}

#[test]
fn a_header_that_lies_is_refused() {
    let huge = [3, 0, 0xFF, 0x7F, 0xFF, 0x7F, 0xFF, 0x7F];
    for (change, text) in [
        (set(40, &huge[..]), "voxels, expected"),
        (set(42, &[0, 4]), "the file is truncated"),
        (set(42, &[0, 0]), "empty"),
        (set(40, &[4, 0, 1, 0, 1, 0, 1, 0, 2, 0]), "extract one volume"),
        (set(70, &[128, 0]), "data type 128"),
        (set(0, &540_i32.to_le_bytes()[..]), "NIfTI-2"),
        (set(344, b"ni1\0"), ".hdr and .img pair"),
        (set(254, &[1, 0]), "singular"),
    ] {
        let error = file(change, &[0; 16]).expect_err(text);
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn disagreeing_forms_are_remarked_and_the_sform_is_taken() {
    const SHAPE: [usize; 3] = [10, 12, 7];
    let agreed = header(&Affine([[0.7, 0.0, 0.0, -3.0], [0.0, 0.8, 0.0, 5.0], [0.0, 0.0, 2.5, 11.0]]));
    assert!(!forms_disagree(&agreed, SHAPE));
    let shifted = NiftiHeader { quatern_x: agreed.quatern_x + 1.5, ..agreed.clone() };
    assert!(forms_disagree(&shifted, SHAPE) && affine(&shifted) == affine(&agreed));
    // A rotation of 2 degrees about z: d = sin 1 degree.
    assert!(forms_disagree(&NiftiHeader { quatern_d: 0.01745, ..agreed.clone() }, [1; 3]));
    assert!(!forms_disagree(&NiftiHeader { qform_code: 0, quatern_x: 99.0, ..agreed }, SHAPE));
}
