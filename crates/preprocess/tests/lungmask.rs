//! Clean-up and protocol against the Python package lungmask 0.2.22, on random labels and slices.
//!
//! `tools/lungmask_cases.py` draws the same inputs and wrote the expected hashes. `CHUMOKU_LUNGMASK_CASES` names another file
//! of it, with more cases.

use ndarray::{Array2, Array3};
use preprocess::{cleanup, protocol};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn draw(seed: u64, purpose: u64, below: u64) -> usize {
    (mix(seed * 1000 + purpose) % below) as usize
}

fn field(seed: u64, purpose: u64, index: &[usize]) -> u64 {
    let flat = index.iter().fold(0, |flat, axis| flat * 4096 + *axis as u64);
    mix(flat.wrapping_add(mix(seed * 1000 + purpose)))
}

fn labels(seed: u64) -> Array3<u8> {
    let slices = if seed.is_multiple_of(3) { 1 } else { 2 + draw(seed, 0, 12) };
    let (rows, columns) = (8 + draw(seed, 1, 60), 8 + draw(seed, 2, 60));
    let blocks = [4, 5, 6].map(|purpose| 1 + draw(seed, purpose, if purpose == 4 { 3 } else { 10 }));
    let (in_blocks, specks) = (draw(seed, 3, 2) == 0, draw(seed, 9, 25));
    let (half, radius) = (columns / 2, (rows.min(columns / 2) / 2).saturating_sub(1).max(2));
    let coarse = |z: usize, y: usize, x: usize| {
        if in_blocks {
            return (field(seed, 7, &[z / blocks[0], y / blocks[1], x / blocks[2]]) % 4 % 3) as u8;
        }
        let (across, down) = (((x % half) * 2).abs_diff(half), (y * 2).abs_diff(rows));
        let lung = across.pow(2) + down.pow(2) < (2 * radius).pow(2);
        if lung { if x < half { 1 } else { 2 } } else { 0 }
    };
    Array3::from_shape_fn((slices, rows, columns), |(z, y, x)| {
        let fine = field(seed, 8, &[z, y, x]);
        if ((fine % 100) as usize) < specks { ((fine >> 8) % 3) as u8 } else { coarse(z, y, x) }
    })
}

fn slice_hu(seed: u64) -> Array2<f32> {
    let low = if seed.is_multiple_of(8) { 1 } else { 60 };
    let (rows, columns) = (low + draw(seed, 20, 500), low + draw(seed, 21, 500));
    let centre = [22, 23].map(|purpose| 6 + draw(seed, purpose, 5) as i64);
    let axes = [24, 25].map(|purpose| 2 + draw(seed, purpose, 8) as i64);
    let (height, width, dense) = (rows as i64, columns as i64, draw(seed, 27, 60));
    Array2::from_shape_fn((rows, columns), |(y, x)| {
        let (down, across) = (y as i64 * 16 - centre[0] * height, x as i64 * 16 - centre[1] * width);
        let body = (down * axes[1] * width).pow(2) + (across * axes[0] * height).pow(2)
            < (axes[0] * axes[1] * height * width).pow(2);
        let noise = field(seed, 26, &[y, x]);
        let bright = ((noise >> 20) % 100) < dense as u64;
        let quarters = if body { 160 } else { -4000 } + (noise % 1200) as i32 - 600 + if bright { 3000 } else { 0 };
        if seed.is_multiple_of(2) { quarters.div_euclid(4) as f32 } else { quarters as f32 / 4.0 }
    })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(array: &Array2<f32>) -> Vec<u8> {
    array.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The cases of one kind, each with its seed.
fn cases(kind: &str) -> Vec<(u64, Value)> {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lungmask.json").into();
    let path = std::env::var_os("CHUMOKU_LUNGMASK_CASES").unwrap_or(kept);
    let text = std::fs::read_to_string(path).expect("the cases are there");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let rows = all[kind].as_array().expect("a list").clone();
    rows.into_iter().map(|case| (case["seed"].as_u64().expect("a seed"), case)).collect()
}

#[test]
fn stacks_are_cleaned_as_by_lungmask() {
    let mut different = Vec::new();
    for (seed, case) in cases("stacks") {
        let before = labels(seed);
        assert_eq!(sha256(before.as_slice().expect("standard layout")), case["before"], "seed {seed} draws otherwise");
        let slices: Vec<Array2<u8>> = before.outer_iter().map(|slice| slice.to_owned()).collect();
        let after: Vec<u8> = cleanup::clean(&slices).into_iter().flatten().collect();
        if sha256(&after) != case["after"] {
            let voxels = [1, 2].map(|label| after.iter().filter(|value| **value == label).count());
            different.push(format!("seed {seed}: {voxels:?} voxels, lungmask {}", case["voxels"]));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn slices_are_cut_resized_and_restored_as_by_lungmask() {
    let mut different = Vec::new();
    for (seed, case) in cases("slices") {
        let hu = slice_hu(seed);
        let (input, crop) = protocol::prepare(&hu);
        let found = [crop.rows.start, crop.cols.start, crop.rows.end, crop.cols.end];
        let marks = Array2::from_shape_fn(input.dim(), |(y, x)| (field(seed, 40, &[y / 5, x / 5]) % 3) as u8);
        let mask: Vec<u8> = protocol::restore(&marks, &crop, hu.dim()).into_iter().collect();
        let expected = [&case["box"], &case["input"], &case["mask"]];
        if [&Value::from(found.to_vec()), &sha256(&bytes(&input)).into(), &sha256(&mask).into()] != expected {
            different.push(format!("seed {seed}, {:?}: box {found:?}, lungmask {}", hu.dim(), case["box"]));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
