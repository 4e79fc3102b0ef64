//! Binary morphology and components of small 2-D masks, with the conventions of `scipy.ndimage`.
//!
//! A mask has at most 128 columns, so that a row is one machine word and a step treats it at once. Outside the mask is
//! background (`border_value = 0`), the default of scipy.

/// Most columns of a mask.
pub const WIDEST: usize = 128;

/// Which pixels touch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// The four that share an edge.
    Edge,
    /// The eight that share an edge or a corner.
    Corner,
}

/// A mask of (rows, columns); bit `c` of a row is column `c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    rows: Vec<u128>,
    /// The columns that exist.
    within: u128,
}

impl Mask {
    /// The pixels for which `set` holds; it is given row and column. Columns beyond [`WIDEST`] are left out.
    pub fn from_fn((rows, columns): (usize, usize), set: impl Fn(usize, usize) -> bool) -> Self {
        let columns = columns.min(WIDEST);
        let row = |row: usize| (0..columns).fold(0, |bits, column| bits | u128::from(set(row, column)) << column);
        let within = if columns == WIDEST { u128::MAX } else { (1 << columns) - 1 };
        Self { rows: (0..rows).map(row).collect(), within }
    }

    /// Whether a pixel is set.
    pub fn get(&self, row: usize, column: usize) -> bool {
        self.rows[row] >> column & 1 == 1
    }

    /// First and last row and first and last column that hold a set pixel.
    pub fn bounds(&self) -> Option<([usize; 2], [usize; 2])> {
        let rows = [self.rows.iter().position(|row| *row != 0)?, self.rows.iter().rposition(|row| *row != 0)?];
        let columns = self.rows.iter().fold(0, |columns, row| columns | row);
        Some((rows, [columns.trailing_zeros() as usize, columns.ilog2() as usize]))
    }

    fn count(&self) -> u32 {
        self.rows.iter().map(|row| row.count_ones()).sum()
    }

    fn like(&self, row: impl Fn(usize) -> u128) -> Self {
        Self { rows: (0..self.rows.len()).map(|index| row(index) & self.within).collect(), within: self.within }
    }

    /// The rows above and below one, 0 outside.
    fn beside(&self, row: usize) -> [u128; 2] {
        [row.checked_sub(1), Some(row + 1)].map(|row| row.and_then(|row| self.rows.get(row)).copied().unwrap_or(0))
    }

    /// Dilation by the 3x3 cross, once.
    pub fn dilate(&self) -> Self {
        self.like(|index| {
            let (row, [above, below]) = (self.rows[index], self.beside(index));
            row | row << 1 | row >> 1 | above | below
        })
    }

    /// Erosion by the 3x3 cross, once. A pixel on the edge goes, because outside is background.
    pub fn erode(&self) -> Self {
        self.like(|index| {
            let (row, [above, below]) = (self.rows[index], self.beside(index));
            row & row << 1 & row >> 1 & above & below
        })
    }

    /// Dilation, then erosion.
    pub fn close(&self) -> Self {
        self.dilate().erode()
    }

    /// Fills the background that cannot be reached from outside, when steps between background pixels go by `connectivity`.
    pub fn fill_holes(&self, connectivity: Connectivity) -> Self {
        let background = self.like(|index| !self.rows[index]);
        let last = self.rows.len().saturating_sub(1);
        let sides = 1 | (self.within ^ self.within >> 1);
        let edge = self.like(|index| if index == 0 || index == last { u128::MAX } else { sides });
        let outside = background.reached(edge, connectivity);
        self.like(|index| !outside.rows[index])
    }

    /// The largest component; of equal ones the first in raster order. Empty if the mask is.
    pub fn largest_component(&self, connectivity: Connectivity) -> Self {
        let mut kept = self.like(|_| 0);
        self.each_component(connectivity, |component| {
            if component.count() > kept.count() {
                kept = component;
            }
            true
        });
        kept
    }

    /// The component that comes first in raster order. Empty if the mask is.
    pub fn first_component(&self, connectivity: Connectivity) -> Self {
        let mut kept = self.like(|_| 0);
        self.each_component(connectivity, |component| {
            kept = component;
            false
        });
        kept
    }

    /// Shows the components in raster order of their first pixels until `next` says to stop.
    fn each_component(&self, connectivity: Connectivity, mut next: impl FnMut(Self) -> bool) {
        let mut left = self.clone();
        for index in 0..self.rows.len() {
            while left.rows[index] != 0 {
                let first = left.rows[index] & left.rows[index].wrapping_neg();
                let component = left.reached(left.like(|row| if row == index { first } else { 0 }), connectivity);
                left.rows.iter_mut().zip(&component.rows).for_each(|(row, taken)| *row &= !taken);
                if !next(component) {
                    return;
                }
            }
        }
    }

    /// The set pixels that can be reached from those of `from`.
    fn reached(&self, from: Self, connectivity: Connectivity) -> Self {
        let mut reached = self.like(|index| along(from.rows[index] & self.rows[index], self.rows[index]));
        loop {
            let mut grew = false;
            let down = 0..self.rows.len();
            for index in down.clone().chain(down.rev()) {
                let [above, below] = reached.beside(index);
                let mut beside = above | below;
                if connectivity == Connectivity::Corner {
                    beside |= beside << 1 | beside >> 1;
                }
                let start = (reached.rows[index] | beside) & self.rows[index];
                if start != reached.rows[index] {
                    reached.rows[index] = along(start, self.rows[index]);
                    grew = true;
                }
            }
            if !grew {
                return reached;
            }
        }
    }
}

/// Spreads the bits of `start` through the runs of ones of `open` that hold them.
fn along(start: u128, open: u128) -> u128 {
    let (mut left, mut right) = (start, start);
    let (mut open_left, mut open_right) = (open, open);
    // Steps of 1, 2, 4, ... 64: a bit goes `step` on where `step` ones follow it.
    for step in [1, 2, 4, 8, 16, 32, 64] {
        left |= open_left & left << step;
        open_left &= open_left << step;
        right |= open_right & right >> step;
        open_right &= open_right >> step;
    }
    left | right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Mask {
        Mask::from_fn((lines.len(), lines[0].len()), |row, column| lines[row].as_bytes()[column] == b'#')
    }

    #[test]
    fn the_border_is_background_as_in_scipy() {
        // scipy 1.17: binary_erosion(np.ones((3, 4))) keeps only the inner pixels.
        let all = Mask::from_fn((3, 4), |_, _| true);
        assert_eq!(all.erode(), parse(&["....", ".##.", "...."]));
        // scipy 1.17: binary_closing(np.ones((3, 4))) erodes at the border, too.
        assert_eq!(all.close(), parse(&["....", ".##.", "...."]));
        let widest = Mask::from_fn((3, WIDEST), |_, _| true);
        assert_eq!(widest.erode().count(), WIDEST as u32 - 2);
    }

    #[test]
    fn closing_bridges_a_gap_of_one() {
        // scipy 1.17: binary_closing of two bars with one empty column between.
        let bars = parse(&[".......", ".##.##.", ".##.##.", ".##.##.", "......."]);
        assert_eq!(bars.close(), parse(&[".......", ".##.##.", ".#####.", ".##.##.", "......."]));
    }

    #[test]
    fn a_diagonal_gap_is_a_leak_only_for_corner_steps() {
        let ring = parse(&[".....", ".##..", ".#.#.", ".###.", "....."]);
        let filled = parse(&[".....", ".##..", ".###.", ".###.", "....."]);
        assert_eq!(ring.fill_holes(Connectivity::Edge), filled);
        assert_eq!(ring.fill_holes(Connectivity::Corner), ring);
    }

    #[test]
    fn the_largest_component_depends_on_corners() {
        let mask = parse(&["##...", "..##.", ".....", "###.."]);
        assert_eq!(mask.largest_component(Connectivity::Edge), parse(&[".....", ".....", ".....", "###.."]));
        assert_eq!(mask.largest_component(Connectivity::Corner), parse(&["##...", "..##.", ".....", "....."]));
        assert_eq!(mask.first_component(Connectivity::Edge), parse(&["##...", ".....", ".....", "....."]));
        let none = Mask::from_fn((2, 2), |_, _| false);
        assert_eq!(none.largest_component(Connectivity::Edge), none);
    }

    #[test]
    fn a_spiral_is_one_component() {
        let spiral = parse(&["#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######"]);
        assert_eq!(spiral.first_component(Connectivity::Edge), spiral);
        assert_eq!(spiral.fill_holes(Connectivity::Edge), spiral); // the way in winds, and is open
    }
}
