//! Binary morphology and component labelling on small 2-D masks, with the conventions of `scipy.ndimage`.
//!
//! Masks are `(rows, columns)` of `bool`. Outside the image is background (`border_value = 0`), the default of scipy.

use ndarray::Array2;

/// Which pixels touch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// The four that share an edge.
    Edge,
    /// The eight that share an edge or a corner.
    Corner,
}

impl Connectivity {
    fn offsets(self) -> &'static [(isize, isize)] {
        const EIGHT: [(isize, isize); 8] = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)];
        match self {
            Self::Edge => &EIGHT[..4],
            Self::Corner => &EIGHT,
        }
    }
}

/// The neighbours of a pixel that lie inside an image of `shape`.
fn neighbours(
    (row, column): (usize, usize),
    shape: (usize, usize),
    connectivity: Connectivity,
) -> impl Iterator<Item = (usize, usize)> {
    connectivity.offsets().iter().filter_map(move |(down, right)| {
        let (row, column) = (row.checked_add_signed(*down)?, column.checked_add_signed(*right)?);
        (row < shape.0 && column < shape.1).then_some((row, column))
    })
}

/// Dilation by the 3x3 cross, once.
pub fn dilate(mask: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(mask.dim(), |at| {
        mask[at] || neighbours(at, mask.dim(), Connectivity::Edge).any(|next| mask[next])
    })
}

/// Erosion by the 3x3 cross, once. A pixel on the image's border goes, because outside is background.
pub fn erode(mask: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(mask.dim(), |at| {
        let mut around = neighbours(at, mask.dim(), Connectivity::Edge);
        let inside = (0..4).all(|_| around.next().is_some_and(|next| mask[next]));
        mask[at] && inside
    })
}

/// Dilation, then erosion.
pub fn close(mask: &Array2<bool>) -> Array2<bool> {
    erode(&dilate(mask))
}

/// Fills the background that cannot be reached from outside the image, when steps between background pixels go by
/// `connectivity`.
pub fn fill_holes(mask: &Array2<bool>, connectivity: Connectivity) -> Array2<bool> {
    let (rows, columns) = mask.dim();
    let mut outside = Array2::from_elem(mask.dim(), false);
    let border = |(row, column): (usize, usize)| row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
    let mut open: Vec<_> = mask.indexed_iter().filter(|(at, set)| !**set && border(*at)).map(|(at, _)| at).collect();
    open.iter().for_each(|at| outside[*at] = true);
    while let Some(at) = open.pop() {
        for next in neighbours(at, mask.dim(), connectivity) {
            if !mask[next] && !outside[next] {
                outside[next] = true;
                open.push(next);
            }
        }
    }
    outside.mapv(|reached| !reached)
}

/// Fills the holes of [`fill_holes`] that have fewer than `below` pixels.
pub fn fill_holes_below(mask: &Array2<bool>, connectivity: Connectivity, below: usize) -> Array2<bool> {
    let whole = fill_holes(mask, connectivity);
    let holes = Array2::from_shape_fn(mask.dim(), |at| whole[at] && !mask[at]);
    let mut filled = mask.clone();
    for hole in components(&holes, connectivity).iter().filter(|hole| hole.len() < below) {
        hole.iter().for_each(|at| filled[*at] = true);
    }
    filled
}

/// The largest component; of equal ones the first in raster order. Empty if the mask is.
pub fn largest_component(mask: &Array2<bool>, connectivity: Connectivity) -> Array2<bool> {
    let components = components(mask, connectivity);
    // `max_by_key` would take the last of equal ones.
    let largest = components.iter().rev().max_by_key(|members| members.len());
    let mut kept = Array2::from_elem(mask.dim(), false);
    largest.into_iter().flatten().for_each(|at| kept[*at] = true);
    kept
}

/// The pixels of each component, in raster order of their first pixels.
fn components(mask: &Array2<bool>, connectivity: Connectivity) -> Vec<Vec<(usize, usize)>> {
    let mut seen = Array2::from_elem(mask.dim(), false);
    let mut found = Vec::new();
    for (start, _) in mask.indexed_iter().filter(|(_, set)| **set) {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut members = vec![start];
        let mut visited = 0;
        while visited < members.len() {
            for next in neighbours(members[visited], mask.dim(), connectivity) {
                if mask[next] && !seen[next] {
                    seen[next] = true;
                    members.push(next);
                }
            }
            visited += 1;
        }
        found.push(members);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Array2<bool> {
        let columns = lines[0].len();
        let cells = lines.iter().flat_map(|line| line.chars().map(|cell| cell == '#')).collect();
        Array2::from_shape_vec((lines.len(), columns), cells).expect("lines of one length")
    }

    #[test]
    fn the_border_is_background_as_in_scipy() {
        // scipy 1.17: binary_erosion(np.ones((3, 4))) keeps only the inner pixels.
        let all = Array2::from_elem((3, 4), true);
        assert_eq!(erode(&all), parse(&["....", ".##.", "...."]));
        // scipy 1.17: binary_closing(np.ones((3, 4))) erodes at the border, too.
        assert_eq!(close(&all), parse(&["....", ".##.", "...."]));
    }

    #[test]
    fn closing_bridges_a_gap_of_one() {
        // scipy 1.17: binary_closing of two bars with one empty column between.
        let bars = parse(&[".......", ".##.##.", ".##.##.", ".##.##.", "......."]);
        assert_eq!(close(&bars), parse(&[".......", ".##.##.", ".#####.", ".##.##.", "......."]));
    }

    #[test]
    fn a_diagonal_gap_is_a_leak_only_for_corner_steps() {
        let ring = parse(&[".....", ".##..", ".#.#.", ".###.", "....."]);
        let filled = parse(&[".....", ".##..", ".###.", ".###.", "....."]);
        assert_eq!(fill_holes(&ring, Connectivity::Edge), filled);
        assert_eq!(fill_holes(&ring, Connectivity::Corner), ring);
    }

    #[test]
    fn the_largest_component_depends_on_corners() {
        let mask = parse(&["##...", "..##.", ".....", "###.."]);
        assert_eq!(largest_component(&mask, Connectivity::Edge), parse(&[".....", ".....", ".....", "###.."]));
        assert_eq!(largest_component(&mask, Connectivity::Corner), parse(&["##...", "..##.", ".....", "....."]));
        let none = Array2::from_elem((2, 2), false);
        assert_eq!(largest_component(&none, Connectivity::Edge), none);
    }
}
