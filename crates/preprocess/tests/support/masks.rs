//! Binary morphology on masks of any size for reference masks, with the conventions of `scipy.ndimage`.
//!
//! Masks are `(rows, columns)` of `bool`. Outside the image is background (`border_value = 0`), the default of scipy.

use ndarray::Array2;

/// The pixels of an image of `shape` that share an edge with one.
fn neighbours((row, column): (usize, usize), shape: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    const STEPS: [(isize, isize); 4] = [(-1, 0), (1, 0), (0, -1), (0, 1)];
    STEPS.into_iter().filter_map(move |(down, right)| {
        let (row, column) = (row.checked_add_signed(down)?, column.checked_add_signed(right)?);
        (row < shape.0 && column < shape.1).then_some((row, column))
    })
}

/// Dilation by the 3x3 cross, once.
pub fn dilate(mask: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(mask.dim(), |at| mask[at] || neighbours(at, mask.dim()).any(|next| mask[next]))
}

/// Erosion by the 3x3 cross, once. A pixel on the image's border goes, because outside is background.
pub fn erode(mask: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(mask.dim(), |at| {
        let mut around = neighbours(at, mask.dim());
        let inside = (0..4).all(|_| around.next().is_some_and(|next| mask[next]));
        mask[at] && inside
    })
}

/// Fills the background that cannot be reached from outside the image.
pub fn fill_holes(mask: &Array2<bool>) -> Array2<bool> {
    let (rows, columns) = mask.dim();
    let mut outside = Array2::from_elem(mask.dim(), false);
    let border = |(row, column): (usize, usize)| row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
    let mut open: Vec<_> = mask.indexed_iter().filter(|(at, set)| !**set && border(*at)).map(|(at, _)| at).collect();
    open.iter().for_each(|at| outside[*at] = true);
    while let Some(at) = open.pop() {
        for next in neighbours(at, mask.dim()) {
            if !mask[next] && !outside[next] {
                outside[next] = true;
                open.push(next);
            }
        }
    }
    outside.mapv(|reached| !reached)
}

/// Fills the holes of [`fill_holes`] that have fewer than `below` pixels.
pub fn fill_holes_below(mask: &Array2<bool>, below: usize) -> Array2<bool> {
    let whole = fill_holes(mask);
    let holes = Array2::from_shape_fn(mask.dim(), |at| whole[at] && !mask[at]);
    let mut filled = mask.clone();
    for hole in components(&holes).iter().filter(|hole| hole.len() < below) {
        hole.iter().for_each(|at| filled[*at] = true);
    }
    filled
}

/// The largest component; of equal ones the first in raster order. Empty if the mask is.
pub fn largest_component(mask: &Array2<bool>) -> Array2<bool> {
    let components = components(mask);
    // `max_by_key` would take the last of equal ones.
    let largest = components.iter().rev().max_by_key(|members| members.len());
    let mut kept = Array2::from_elem(mask.dim(), false);
    largest.into_iter().flatten().for_each(|at| kept[*at] = true);
    kept
}

/// The pixels of each component, in raster order of their first pixels.
fn components(mask: &Array2<bool>) -> Vec<Vec<(usize, usize)>> {
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
            for next in neighbours(members[visited], mask.dim()) {
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
