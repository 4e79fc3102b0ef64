//! From the network's labels to two lungs: small pieces go to the neighbour they share most border with, each lung keeps
//! its largest piece, holes are filled.
//!
//! Source: the postprocessing of the published package `lungmask` 0.2 (Hofmanninger et al., arXiv:2001.11767), which also
//! works on the stack of network outputs, before they return to the slices. Equal to it: the components (same label,
//! touching by face, edge or corner), their order by size, the border count, merging while sizes grow, pieces below three
//! voxels being dropped, the largest piece of each lung, and of a single slice the holes below 64 pixels filled. Different:
//! a volume's holes are filled by the same rule slice by slice, where lungmask fills closed cavities, so that the dome of the
//! liver, which the lung surrounds in a slice, stays out; and a filled hole never overwrites the other lung.

use ndarray::{Array2, Array3, ArrayView2, Axis};

use crate::morphology::{self, Connectivity};

/// Pieces with fewer voxels are dropped rather than merged.
const MERGE_FROM: usize = 3;

/// Holes with fewer pixels of the network's 256x256 are filled: vessels, not the dome of the liver.
const FILL_BELOW: usize = 64;

/// Number of labels: background, right lung, left lung.
const LABELS: usize = 3;

/// Cleans a stack of label images, (slices, rows, columns) of 0, 1, 2, ordered along the patient. One slice is fine.
pub fn clean(labels: &Array3<u8>) -> Array3<u8> {
    let grid = Grid::new(labels.dim());
    let values = labels.as_standard_layout();
    let values = values.as_slice().expect("an array in standard layout is a slice");
    let merged = merge_small(&grid, values);
    let mut out = Array3::zeros(labels.dim());
    for label in 1..LABELS as u8 {
        keep_largest(&grid, &merged, label, out.as_slice_mut().expect("a new array is in standard layout"));
    }
    for mut slice in out.axis_iter_mut(Axis(0)) {
        let filled = fill_slice(slice.view());
        slice.assign(&filled);
    }
    out
}

/// Fills the holes of each lung in one slice.
fn fill_slice(slice: ArrayView2<u8>) -> Array2<u8> {
    let mut filled = slice.to_owned();
    for label in 1..LABELS as u8 {
        let mask = slice.mapv(|value| value == label);
        if mask.iter().any(|set| *set) {
            let whole = morphology::fill_holes_below(&mask, Connectivity::Edge, FILL_BELOW);
            let holes = filled.iter_mut().zip(&whole).filter(|(value, inside)| **inside && **value == 0);
            holes.for_each(|(value, _)| *value = label);
        }
    }
    filled
}

/// Voxel neighbourhoods by flat index, of an array in standard layout.
struct Grid {
    shape: (usize, usize, usize),
}

impl Grid {
    fn new(shape: (usize, usize, usize)) -> Self {
        Self { shape }
    }

    fn position(&self, voxel: usize) -> [isize; 3] {
        let (_, rows, columns) = self.shape;
        [voxel / (rows * columns), voxel / columns % rows, voxel % columns].map(usize::cast_signed)
    }

    /// The neighbours by face, edge or corner (`reach` 3) or by face alone (`reach` 1).
    fn around(&self, voxel: usize, reach: isize) -> impl Iterator<Item = usize> {
        let (slices, rows, columns) = self.shape;
        let centre = self.position(voxel);
        let steps = (-1..=1).flat_map(|z| (-1..=1).flat_map(move |y| (-1..=1).map(move |x| [z, y, x])));
        steps.filter_map(move |step: [isize; 3]| {
            let distance: isize = step.iter().map(|part| part.abs()).sum();
            if distance == 0 || distance > reach {
                return None;
            }
            let [z, y, x] = [0, 1, 2].map(|axis| usize::try_from(centre[axis] + step[axis]).ok());
            let (z, y, x) = (z?, y?, x?);
            (z < slices && y < rows && x < columns).then(|| (z * rows + y) * columns + x)
        })
    }
}

/// A connected set of voxels of one label.
struct Piece {
    label: u8,
    voxels: Vec<usize>,
}

/// The pieces of equal, non-zero label in raster order of their first voxel, and each voxel's piece number from 1.
fn pieces(grid: &Grid, values: &[u8]) -> (Vec<Piece>, Vec<u32>) {
    let mut number = vec![0_u32; values.len()];
    let mut found = Vec::new();
    for start in 0..values.len() {
        if values[start] == 0 || number[start] != 0 {
            continue;
        }
        let id = found.len() as u32 + 1;
        number[start] = id;
        let mut voxels = vec![start];
        let mut visited = 0;
        while visited < voxels.len() {
            for next in grid.around(voxels[visited], 3) {
                if number[next] == 0 && values[next] == values[start] {
                    number[next] = id;
                    voxels.push(next);
                }
            }
            visited += 1;
        }
        found.push(Piece { label: values[start], voxels });
    }
    (found, number)
}

/// The piece other than `own` with the most voxels on the border of `voxels`; the lowest number of equal ones.
fn longest_border(grid: &Grid, number: &[u32], own: u32, voxels: &[usize]) -> Option<u32> {
    let mut border: Vec<usize> = voxels.iter().flat_map(|voxel| grid.around(*voxel, 1)).collect();
    border.retain(|voxel| number[*voxel] != 0 && number[*voxel] != own);
    border.sort_unstable();
    border.dedup();
    let mut touched: Vec<u32> = border.into_iter().map(|voxel| number[voxel]).collect();
    touched.sort_unstable();
    let mut best: Option<(usize, u32)> = None;
    for run in touched.chunk_by(|first, second| first == second) {
        if best.is_none_or(|(length, _)| run.len() > length) {
            best = Some((run.len(), run[0]));
        }
    }
    best.map(|(_, id)| id)
}

/// Gives every piece that is not its label's largest to the neighbour with the longest border, smallest first.
fn merge_small(grid: &Grid, values: &[u8]) -> Vec<u8> {
    let (mut pieces, mut number) = pieces(grid, values);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|index| pieces[*index].voxels.len());
    let mut largest = [0_usize; LABELS];
    for piece in &pieces {
        let size = &mut largest[usize::from(piece.label)];
        *size = piece.voxels.len().max(*size);
    }
    for index in order {
        let (label, size) = (usize::from(pieces[index].label), pieces[index].voxels.len());
        if size >= largest[label] {
            continue;
        }
        let voxels = std::mem::take(&mut pieces[index].voxels);
        let target = (size >= MERGE_FROM).then(|| longest_border(grid, &number, index as u32 + 1, &voxels)).flatten();
        voxels.iter().for_each(|voxel| number[*voxel] = target.unwrap_or(0));
        if let Some(target) = target.map(|id| id as usize - 1) {
            let (receiver, before) = (usize::from(pieces[target].label), pieces[target].voxels.len());
            if before == largest[receiver] {
                largest[receiver] += size;
            }
            pieces[target].voxels.extend(voxels);
        }
    }
    let label = |id: &u32| if *id == 0 { 0 } else { pieces[*id as usize - 1].label };
    number.iter().map(label).collect()
}

/// Writes the largest piece of `label` to `out`.
fn keep_largest(grid: &Grid, values: &[u8], label: u8, out: &mut [u8]) {
    let own: Vec<u8> = values.iter().map(|value| u8::from(*value == label)).collect();
    let (found, _) = pieces(grid, &own);
    // `max_by_key` takes the last of equal ones, as lungmask's sort does.
    if let Some(piece) = found.into_iter().max_by_key(|piece| piece.voxels.len()) {
        piece.voxels.into_iter().for_each(|voxel| out[voxel] = label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn slice(lines: &[&str]) -> Array3<u8> {
        let digits = lines.iter().flat_map(|line| line.bytes().map(|byte| byte - b'0')).collect();
        Array3::from_shape_vec((1, lines.len(), lines[0].len()), digits).expect("lines of one length")
    }

    #[test]
    fn a_small_piece_inside_the_other_lung_changes_sides() {
        let before = slice(&["0000000000", "0111110220", "0122210220", "0111110220", "0000000000"]);
        let after = slice(&["0000000000", "0111110220", "0111110220", "0111110220", "0000000000"]);
        assert_eq!(clean(&before), after);
    }

    #[test]
    fn a_piece_far_from_everything_goes() {
        let before = slice(&["1111000000", "1111000222", "1111000222", "0000000000", "0222000000"]);
        let after = slice(&["1111000000", "1111000222", "1111000222", "0000000000", "0000000000"]);
        assert_eq!(clean(&before), after);
    }

    #[test]
    fn holes_are_filled_for_each_lung() {
        let before = slice(&["1111022222", "1001020002", "1111022222"]);
        let after = slice(&["1111022222", "1111022222", "1111022222"]);
        assert_eq!(clean(&before), after);
    }

    #[test]
    fn a_large_hole_stays_open() {
        // The dome of the liver: 8x8 = 64 pixels, the first size that lungmask leaves open, and 8x7 = 56, which it fills.
        for (width, filled) in [(8, false), (7, true)] {
            let mut stack = Array3::from_elem((1, 12, 12), 1);
            stack.slice_mut(s![0, 2..10, 2..2 + width]).fill(0);
            assert_eq!(clean(&stack)[(0, 5, 5)] == 1, filled, "{width}");
        }
    }

    #[test]
    fn an_empty_stack_stays_empty() {
        assert_eq!(clean(&Array3::zeros((2, 4, 4))), Array3::<u8>::zeros((2, 4, 4)));
        assert_eq!(clean(&Array3::zeros((0, 4, 4))).dim(), (0, 4, 4));
    }

    #[test]
    fn a_lung_is_one_piece_through_the_slices() {
        // Two patches of slice 1 are one lung, because slice 0 joins them.
        let mut stack = Array3::zeros((2, 5, 9));
        stack.slice_mut(s![0, 1..4, 0..9]).fill(1);
        stack.slice_mut(s![1, 1..4, 0..3]).fill(1);
        stack.slice_mut(s![1, 1..4, 6..9]).fill(1);
        assert_eq!(clean(&stack), stack);
        let second = stack.slice(s![1..2, .., ..]).to_owned();
        assert_eq!(clean(&second).iter().filter(|value| **value == 1).count(), 9);
    }

    /// Two round lungs with 8 % of the voxels relabelled by a linear congruential generator, drawn the same way in Python.
    fn speckled() -> Array3<u8> {
        let mut state = 12345_u64;
        Array3::from_shape_fn((6, 32, 44), |(_, y, x)| {
            state = (state * 1_103_515_245 + 12345) & 0x7fff_ffff;
            let inside = |centre: usize| x.abs_diff(centre).pow(2) + y.abs_diff(16).pow(2) < 81;
            let label = if inside(12) { 1 } else { 2 * u64::from(inside(32)) };
            let relabelled = (state >> 16) % 100 < 8;
            (if relabelled { (label + 1 + (state >> 8) % 2) % 3 } else { label }) as u8
        })
    }

    #[test]
    fn a_speckled_stack_ends_as_in_lungmask() {
        // lungmask 0.2.22 `postprocessing` (scikit-image 0.26, scipy 1.17) with its hole filler left out, then
        // scipy.ndimage.binary_fill_holes slice by slice: voxels of each label before and after, and sum of label times index.
        let count = |stack: &Array3<u8>| [1, 2].map(|label| stack.iter().filter(|value| **value == label).count());
        let before = speckled();
        assert_eq!(count(&before), [1646, 1648]);
        let after = clean(&before);
        assert_eq!(count(&after), [1491, 1532]);
        let weighted: usize = after.iter().enumerate().map(|(index, label)| index * usize::from(*label)).sum();
        assert_eq!(weighted, 19_295_580);
    }

    #[test]
    fn a_large_stack_with_much_noise_is_fast() {
        // 200 slices with some 40,000 specks: seconds, not minutes, whatever the machine.
        let stack = Array3::from_shape_fn((200, 256, 256), |(z, y, x)| {
            let lung = |centre: usize| x.abs_diff(centre).pow(2) + y.abs_diff(128).pow(2) < 60_usize.pow(2);
            let speck = (x % 16 < 2) && (y % 16 < 2) && (z % 4 == 0);
            if lung(64) != speck {
                1
            } else if lung(192) {
                2
            } else {
                0
            }
        });
        let started = std::time::Instant::now();
        let cleaned = clean(&stack);
        assert!(started.elapsed().as_secs() < 30, "took {:?}", started.elapsed());
        assert!(cleaned[(100, 128, 64)] == 1 && cleaned[(100, 128, 192)] == 2 && cleaned[(100, 0, 0)] == 0);
    }
}
