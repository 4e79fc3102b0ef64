//! Connected components of a label volume, found on runs instead of voxels.
//!
//! A run is a stretch of equal labels in one row. A lung slice has a few hundred runs and 65,536 pixels, so what follows
//! costs next to nothing. Components are numbered in raster order of their first voxels, as `skimage.measure.label` and
//! `scipy.ndimage.label` do.

use ndarray::Array2;
use rayon::prelude::*;

/// Columns `start..end` of one row, all of label `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First column.
    pub start: u32,
    /// One past the last column.
    pub end: u32,
    /// The label, not 0.
    pub value: u8,
}

impl Run {
    /// Number of voxels.
    pub fn voxels(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Which voxels touch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Those that share a face: 6 in a volume, 4 in a slice.
    Face,
    /// Those that share a face, an edge or a corner: 26 and 8.
    Corner,
}

/// The runs of a volume of (slices, rows, columns), row after row.
#[derive(Debug, Clone)]
pub struct Runs {
    slices: usize,
    rows: usize,
    runs: Vec<Run>,
    /// Row `r` of slice `s` has the runs `first[s * rows + r]..first[s * rows + r + 1]`.
    first: Vec<u32>,
}

impl Runs {
    /// The runs of non-zero labels; all slices are of `shape`.
    pub fn of(labels: &[Array2<u8>], shape: (usize, usize)) -> Self {
        let slice = |slice: &Array2<u8>| {
            let (mut runs, mut ends) = (Vec::new(), Vec::with_capacity(shape.0));
            for row in slice.as_standard_layout().outer_iter() {
                scan(row.as_slice().unwrap_or(&[]), &mut runs);
                ends.push(runs.len() as u32);
            }
            (runs, ends)
        };
        let slices: Vec<(Vec<Run>, Vec<u32>)> = labels.par_iter().map(slice).collect();
        let mut whole = Self { slices: labels.len(), rows: shape.0, runs: Vec::new(), first: vec![0] };
        for (runs, ends) in slices {
            let before = whole.runs.len() as u32;
            whole.runs.extend(runs);
            whole.first.extend(ends.into_iter().map(|end| before + end));
        }
        whole
    }

    /// A volume of `slices` times `rows` rows; `row` appends the runs of a row, given its index.
    pub fn build(slices: usize, rows: usize, mut row: impl FnMut(usize, &mut Vec<Run>)) -> Self {
        let (mut runs, mut first) = (Vec::new(), Vec::with_capacity(slices * rows + 1));
        first.push(0);
        for index in 0..slices * rows {
            row(index, &mut runs);
            first.push(runs.len() as u32);
        }
        Self { slices, rows, runs, first }
    }

    /// Slices, and rows of a slice.
    pub fn dim(&self) -> (usize, usize) {
        (self.slices, self.rows)
    }

    /// All runs.
    pub fn all(&self) -> &[Run] {
        &self.runs
    }

    /// The numbers of the runs of one row.
    pub fn in_row(&self, row: usize) -> std::ops::Range<usize> {
        self.first[row] as usize..self.first[row + 1] as usize
    }

    /// The row of every run.
    pub fn rows_of_runs(&self) -> Vec<u32> {
        let row = |row: usize| std::iter::repeat_n(row as u32, self.in_row(row).len());
        (0..self.slices * self.rows).flat_map(row).collect()
    }

    /// The rows that share a face with a row.
    pub fn rows_around(&self, row: usize) -> impl Iterator<Item = usize> {
        let (slice, within) = (row / self.rows, row % self.rows);
        let neighbours = [
            (slice > 0).then(|| row - self.rows),
            (within > 0).then(|| row - 1),
            (within + 1 < self.rows).then_some(row + 1),
            (slice + 1 < self.slices).then_some(row + self.rows),
        ];
        neighbours.into_iter().flatten()
    }

    /// The component of every run, from 0, and the number of components.
    pub fn components(&self, touch: Touch) -> (Vec<u32>, usize) {
        let mut parent: Vec<u32> = (0..self.runs.len() as u32).collect();
        for row in 0..self.slices * self.rows {
            for before in self.rows_before(row, touch) {
                self.join(before, row, u32::from(touch == Touch::Corner), &mut parent);
            }
        }
        // A root is the first run of its component, and parents come before children.
        let mut count = 0;
        for run in 0..parent.len() {
            if parent[run] as usize == run {
                parent[run] = count;
                count += 1;
            } else {
                parent[run] = parent[parent[run] as usize];
            }
        }
        (parent, count as usize)
    }

    /// The rows before a row in raster order that touch it.
    fn rows_before(&self, row: usize, touch: Touch) -> impl Iterator<Item = usize> {
        let (slice, within) = (row / self.rows, row % self.rows);
        let corner = touch == Touch::Corner;
        let below = |condition: bool, back: usize| condition.then(|| row - back);
        let before = [
            below(within > 0, 1),
            below(slice > 0, self.rows),
            below(corner && slice > 0 && within > 0, self.rows + 1),
            below(corner && slice > 0 && within + 1 < self.rows, self.rows.saturating_sub(1)),
        ];
        before.into_iter().flatten()
    }

    /// Joins the touching runs of equal label in two rows; `reach` 1 lets corners touch.
    fn join(&self, one: usize, other: usize, reach: u32, parent: &mut [u32]) {
        let (mut a, mut b) = (self.in_row(one), self.in_row(other));
        let mut try_join = |one: usize, other: usize| {
            let (first, second) = (self.runs[one], self.runs[other]);
            let touching = first.start < second.end + reach && second.start < first.end + reach;
            if touching && first.value == second.value {
                let (x, y) = (root(parent, one as u32), root(parent, other as u32));
                parent[x.max(y) as usize] = x.min(y);
            }
        };
        while !a.is_empty() && !b.is_empty() {
            try_join(a.start, b.start);
            let (first, second) = (self.runs[a.start], self.runs[b.start]);
            if first.end == second.end && a.len() > 1 {
                // The next run of `one` may begin where this run of `other` ends: their corners touch.
                try_join(a.start + 1, b.start);
            }
            if first.end < second.end { a.start += 1 } else { b.start += 1 }
        }
    }
}

/// Appends the runs of a row.
fn scan(row: &[u8], runs: &mut Vec<Run>) {
    let mut start = 0;
    while start < row.len() {
        let value = row[start];
        let length = same(&row[start..], value);
        if value != 0 {
            runs.push(Run { start: start as u32, end: (start + length) as u32, value });
        }
        start += length;
    }
}

/// How many bytes from the first on are `value`.
fn same(bytes: &[u8], value: u8) -> usize {
    let pattern = [value; 16];
    let whole = bytes.chunks_exact(16).take_while(|chunk| *chunk == pattern).count() * 16;
    whole + bytes[whole..].iter().take_while(|byte| **byte == value).count()
}

fn root(parent: &mut [u32], mut run: u32) -> u32 {
    while parent[run as usize] != run {
        parent[run as usize] = parent[parent[run as usize] as usize];
        run = parent[run as usize];
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(slices: &[&[&str]]) -> Runs {
        let slice = |lines: &&[&str]| {
            let digits = lines.iter().flat_map(|line| line.bytes().map(|byte| byte - b'0')).collect();
            Array2::from_shape_vec((lines.len(), lines[0].len()), digits).expect("lines of one length")
        };
        let labels: Vec<Array2<u8>> = slices.iter().map(slice).collect();
        Runs::of(&labels, labels[0].dim())
    }

    #[test]
    fn rows_become_runs() {
        let found = volume(&[&["00110220000000000000000000000001", "11111111111111111111111111111122"]]);
        let run = |start, end, value| Run { start, end, value };
        let expected = [run(2, 4, 1), run(5, 7, 2), run(31, 32, 1), run(0, 30, 1), run(30, 32, 2)];
        assert_eq!(found.all(), expected);
        assert_eq!((found.in_row(0), found.in_row(1)), (0..3, 3..5));
        assert_eq!(found.rows_of_runs(), [0, 0, 0, 1, 1]);
    }

    #[test]
    fn corners_touch_across_slices() {
        // By hand: 1 and 1 share a corner of the cube, and another label lies between.
        let found = volume(&[&["100", "000", "002"], &["000", "012", "000"]]);
        assert_eq!(found.components(Touch::Corner), (vec![0, 1, 0, 1], 2));
        assert_eq!(found.components(Touch::Face), (vec![0, 1, 2, 3], 4));
    }

    #[test]
    fn runs_that_end_together_touch_the_next_ones() {
        // By hand: in both rows a run of each label ends at the same column, and the next begin there.
        let found = volume(&[&["1122", "2211"]]);
        assert_eq!(found.components(Touch::Corner), (vec![0, 1, 1, 0], 2));
        assert_eq!(found.components(Touch::Face), (vec![0, 1, 2, 3], 4));
    }

    #[test]
    fn a_late_bridge_gives_the_first_number() {
        // By hand: two arms joined by the last row; the speck between them comes second in raster order.
        let found = volume(&[&["100020001", "100000001", "111111111"]]);
        assert_eq!(found.components(Touch::Face), (vec![0, 1, 0, 0, 0, 0], 2));
    }
}
