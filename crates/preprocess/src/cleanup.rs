//! From the network's labels to two lungs: small pieces go to the neighbour they share most border with, each lung keeps
//! its largest piece, cavities are filled.
//!
//! Source: what `postprocessing` of the published package `lungmask` 0.2.22 (Hofmanninger et al., arXiv:2001.11767) does; it
//! works on the stack of network outputs, before they return to the slices. Equal to it: the components (same label,
//! touching by face, edge or corner), their order by size, the border count, merging while sizes grow, pieces below three
//! voxels being no subject of merging, pieces of equal size of which only the first keeps its label, the largest piece of
//! each lung, and the left lung overwriting the right where it fills. A volume's closed cavities are filled; of a single slice the
//! holes below 64 pixels. One thing is undefined there: which of two largest pieces of exactly equal size stays depends on
//! numpy's sort; here it is the last in raster order.

use ndarray::Array2;

use crate::runs::{Run, Runs, Touch};

/// Pieces with fewer voxels are not merged.
const MERGE_FROM: usize = 3;

/// In a single slice, holes with fewer pixels of the network's 256x256 are filled: vessels, not the dome of the liver.
const FILL_BELOW: usize = 64;

/// Number of labels: background, right lung, left lung.
const LABELS: usize = 3;

/// Cleans the label images of a series, (rows, columns) of 0, 1, 2 and of one shape, ordered along the patient. One slice
/// is fine, and has a rule of its own for holes.
pub fn clean(labels: &[Array2<u8>]) -> Vec<Array2<u8>> {
    let shape = labels.first().map_or((0, 0), Array2::dim);
    let pieces = Runs::of(labels, shape);
    let merged = merge_small(&pieces);
    let mut out: Vec<Array2<u8>> = labels.iter().map(|_| Array2::zeros(shape)).collect();
    for label in 1..LABELS as u8 {
        let lung = largest(&only(&pieces, &merged, label));
        for part in [&holes(&lung), &lung] {
            for (row, run) in part.rows_of_runs().into_iter().zip(part.all()) {
                let mut line = out[row as usize / shape.0].row_mut(row as usize % shape.0);
                let line = line.as_slice_mut().expect("a new array is in standard layout");
                line[run.start as usize..run.end as usize].fill(label);
            }
        }
    }
    out
}

/// A connected set of runs of one label, and of those merged into it.
struct Piece {
    label: u8,
    voxels: usize,
    runs: Vec<u32>,
}

/// The pieces of a volume while small ones are merged into others.
struct Merging<'a> {
    runs: &'a Runs,
    rows: Vec<u32>,
    /// The piece of every run.
    number: Vec<u32>,
    pieces: Vec<Piece>,
}

impl<'a> Merging<'a> {
    fn new(runs: &'a Runs) -> Self {
        let (number, count) = runs.components(Touch::Corner);
        let mut pieces: Vec<Piece> = (0..count).map(|_| Piece { label: 0, voxels: 0, runs: Vec::new() }).collect();
        for (index, (run, id)) in runs.all().iter().zip(&number).enumerate() {
            let piece = &mut pieces[*id as usize];
            piece.label = run.value;
            piece.voxels += run.voxels();
            piece.runs.push(index as u32);
        }
        Self { runs, rows: runs.rows_of_runs(), number, pieces }
    }

    /// The piece other than `own` with the most voxels that share a face with `own`; the lowest number of equal ones.
    fn longest_border(&self, own: usize) -> Option<usize> {
        // Parts of runs, (run, first column, end): sorted, so that no voxel counts twice.
        let mut border: Vec<(u32, u32, u32)> = Vec::new();
        for index in &self.pieces[own].runs {
            let (run, row) = (self.runs.all()[*index as usize], self.rows[*index as usize] as usize);
            self.touched(row, run.start.saturating_sub(1), run.end + 1, own, &mut border);
            for beside in self.runs.rows_around(row) {
                self.touched(beside, run.start, run.end, own, &mut border);
            }
        }
        border.sort_unstable();
        let mut lengths: Vec<(usize, u32)> = Vec::new();
        let mut counted = (u32::MAX, 0); // the run, and up to where its voxels are counted
        for (run, start, end) in border {
            let from = if counted.0 == run { start.max(counted.1) } else { start };
            let id = self.number[run as usize] as usize;
            lengths.push((id, end.saturating_sub(from)));
            counted = (run, if counted.0 == run { end.max(counted.1) } else { end });
        }
        lengths.sort_unstable();
        let mut best: Option<(u32, usize)> = None;
        for piece in lengths.chunk_by(|one, other| one.0 == other.0) {
            let length = piece.iter().map(|(_, length)| length).sum();
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, piece[0].0));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Appends the parts of a row's runs in columns `from..to` that belong to another piece than `own`.
    fn touched(&self, row: usize, from: u32, to: u32, own: usize, border: &mut Vec<(u32, u32, u32)>) {
        let in_row = self.runs.in_row(row);
        let runs = &self.runs.all()[in_row.clone()];
        let first = runs.partition_point(|run| run.end <= from);
        for (index, run) in runs.iter().enumerate().skip(first).take_while(|(_, run)| run.start < to) {
            let index = in_row.start + index;
            if self.number[index] as usize != own {
                border.push((index as u32, run.start.max(from), run.end.min(to)));
            }
        }
    }

    fn give(&mut self, from: usize, to: usize) {
        let runs = std::mem::take(&mut self.pieces[from].runs);
        runs.iter().for_each(|run| self.number[*run as usize] = to as u32);
        self.pieces[to].voxels += self.pieces[from].voxels;
        self.pieces[to].runs.extend(runs);
    }
}

/// Gives every piece that is not its label's largest to the neighbour with the longest border, smallest first. Returns
/// the label of every run.
fn merge_small(runs: &Runs) -> Vec<u8> {
    let mut merging = Merging::new(runs);
    let mut order: Vec<usize> = (0..merging.pieces.len()).collect();
    order.sort_by_key(|index| merging.pieces[*index].voxels);
    let mut largest = [0_usize; LABELS];
    // Only a piece larger than all smaller ones of its label has that label at the end; lungmask builds its table so.
    let mut label = vec![0_u8; order.len()];
    for index in &order {
        let piece = &merging.pieces[*index];
        if piece.voxels > largest[usize::from(piece.label)] {
            largest[usize::from(piece.label)] = piece.voxels;
            label[*index] = piece.label;
        }
    }
    for index in order {
        let (own, voxels) = (usize::from(merging.pieces[index].label), merging.pieces[index].voxels);
        if voxels < MERGE_FROM || voxels >= largest[own] {
            continue;
        }
        if let Some(target) = merging.longest_border(index) {
            let receiver = usize::from(merging.pieces[target].label);
            if merging.pieces[target].voxels == largest[receiver] {
                largest[receiver] += voxels;
            }
            merging.give(index, target);
        }
    }
    merging.number.iter().map(|id| label[*id as usize]).collect()
}

/// The runs of one label, those that lie side by side joined.
fn only(runs: &Runs, labels: &[u8], label: u8) -> Runs {
    let (slices, rows) = runs.dim();
    Runs::build(slices, rows, |row, out| {
        let before = out.len();
        for index in runs.in_row(row).filter(|index| labels[*index] == label) {
            let Run { start, end, .. } = runs.all()[index];
            match out[before..].last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => out.push(Run { start, end, value: label }),
            }
        }
    })
}

/// The largest component; of equal ones the last.
fn largest(runs: &Runs) -> Runs {
    let (number, count) = runs.components(Touch::Corner);
    let mut voxels = vec![0; count];
    runs.all().iter().zip(&number).for_each(|(run, id)| voxels[*id as usize] += run.voxels());
    let kept = (0..count).max_by_key(|id| voxels[*id]);
    let (slices, rows) = runs.dim();
    Runs::build(slices, rows, |row, out| {
        out.extend(
            runs.in_row(row).filter(|index| Some(number[*index] as usize) == kept).map(|index| runs.all()[index]),
        );
    })
}

/// The background that steps by face cannot reach from the edge of the volume; in a single slice, from the edge of the slice, and small.
fn holes(lung: &Runs) -> Runs {
    let (slices, rows) = lung.dim();
    let value = lung.all().first().map_or(0, |run| run.value);
    let left = lung.all().iter().map(|run| run.start).min().unwrap_or(0);
    let right = lung.all().iter().map(|run| run.end).max().unwrap_or(0);
    // Between the lung's first and last column in every row, whatever lies outside reaches the edge.
    let gaps = Runs::build(slices, rows, |row, out| {
        let mut start = left;
        for run in &lung.all()[lung.in_row(row)] {
            if run.start > start {
                out.push(Run { start, end: run.start, value });
            }
            start = run.end;
        }
        if start < right {
            out.push(Run { start, end: right, value });
        }
    });
    let (number, count) = gaps.components(Touch::Face);
    let (mut open, mut voxels) = (vec![false; count], vec![0; count]);
    for ((row, run), id) in gaps.rows_of_runs().into_iter().zip(gaps.all()).zip(&number) {
        let (slice, row) = (row as usize / rows, row as usize % rows);
        let at_end = slices > 1 && (slice == 0 || slice + 1 == slices);
        let at_edge = at_end || row == 0 || row + 1 == rows || run.start == left || run.end == right;
        open[*id as usize] |= at_edge;
        voxels[*id as usize] += run.voxels();
    }
    let filled = |id: usize| !open[id] && (slices > 1 || voxels[id] < FILL_BELOW);
    Runs::build(slices, rows, |row, out| {
        let inside = gaps.in_row(row).filter(|index| filled(number[*index] as usize));
        out.extend(inside.map(|index| gaps.all()[index]));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, Axis, s};

    fn slice(lines: &[&str]) -> Array3<u8> {
        let digits = lines.iter().flat_map(|line| line.bytes().map(|byte| byte - b'0')).collect();
        Array3::from_shape_vec((1, lines.len(), lines[0].len()), digits).expect("lines of one length")
    }

    fn cleaned(stack: &Array3<u8>) -> Array3<u8> {
        let slices: Vec<Array2<u8>> = stack.outer_iter().map(|slice| slice.to_owned()).collect();
        let mut out = Array3::zeros(stack.dim());
        out.outer_iter_mut().zip(clean(&slices)).for_each(|(mut to, from)| to.assign(&from));
        out
    }

    #[test]
    fn a_small_piece_inside_the_other_lung_changes_sides() {
        let before = slice(&["0000000000", "0111110220", "0122210220", "0111110220", "0000000000"]);
        let after = slice(&["0000000000", "0111110220", "0111110220", "0111110220", "0000000000"]);
        assert_eq!(cleaned(&before), after);
    }

    #[test]
    fn a_piece_far_from_everything_goes() {
        let before = slice(&["1111000000", "1111000222", "1111000222", "0000000000", "0222000000"]);
        let after = slice(&["1111000000", "1111000222", "1111000222", "0000000000", "0000000000"]);
        assert_eq!(cleaned(&before), after);
    }

    #[test]
    fn holes_are_filled_for_each_lung() {
        let before = slice(&["1111022222", "1001020002", "1111022222"]);
        let after = slice(&["1111022222", "1111022222", "1111022222"]);
        assert_eq!(cleaned(&before), after);
    }

    #[test]
    fn a_large_hole_of_a_single_slice_stays_open() {
        // The dome of the liver: 8x8 = 64 pixels, the first size that lungmask leaves open, and 8x7 = 56, which it fills.
        for (width, filled) in [(8, false), (7, true)] {
            let mut stack = Array3::from_elem((1, 12, 12), 1);
            stack.slice_mut(s![0, 2..10, 2..2 + width]).fill(0);
            assert_eq!(cleaned(&stack)[(0, 5, 5)] == 1, filled, "{width}");
        }
    }

    #[test]
    fn a_closed_cavity_of_a_volume_is_filled_and_a_tunnel_is_not() {
        // By hand, and lungmask 0.2.22 does the same: nine voxels a slice, closed above and below or not.
        let mut stack = Array3::from_elem((5, 9, 9), 1);
        stack.slice_mut(s![2, 3..6, 3..6]).fill(0);
        assert_eq!(cleaned(&stack), Array3::from_elem((5, 9, 9), 1));
        stack.slice_mut(s![.., 3..6, 3..6]).fill(0);
        assert_eq!(cleaned(&stack), stack);
    }

    #[test]
    fn an_empty_stack_stays_empty() {
        assert_eq!(cleaned(&Array3::zeros((2, 4, 4))), Array3::<u8>::zeros((2, 4, 4)));
        assert_eq!(clean(&[]).len(), 0);
    }

    #[test]
    fn a_lung_is_one_piece_through_the_slices() {
        // Two patches of slice 1 are one lung, because slice 0 joins them.
        let mut stack = Array3::zeros((2, 5, 9));
        stack.slice_mut(s![0, 1..4, 0..9]).fill(1);
        stack.slice_mut(s![1, 1..4, 0..3]).fill(1);
        stack.slice_mut(s![1, 1..4, 6..9]).fill(1);
        assert_eq!(cleaned(&stack), stack);
        let second = stack.index_axis_move(Axis(0), 1).insert_axis(Axis(0));
        assert_eq!(cleaned(&second).iter().filter(|value| **value == 1).count(), 9);
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
        let after = cleaned(&stack);
        assert!(started.elapsed().as_secs() < 10, "took {:?}", started.elapsed());
        assert!(after[(100, 128, 64)] == 1 && after[(100, 128, 192)] == 2 && after[(100, 0, 0)] == 0);
    }
}
