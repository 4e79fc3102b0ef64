//! The outline of a mask as an SVG path, so that a page can show, hide and scale it.
//!
//! The rim runs along the borders between pixels of the mask and others. Its corners stand in the middle of these borders, as in
//! marching squares, so that a slant is a slant and no staircase. Lengths are half pixels: the path is drawn at half its size.

/// Steps of one border, clockwise around the mask on the screen: right, down, left, up.
const STEPS: [(i32, i32); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// The path around all pixels of `mask` (`height` x `width`, row-major) that are not 0, in half pixels; empty for an empty mask.
pub fn path(mask: &[u8], height: usize, width: usize) -> String {
    let rim = Rim { mask, height: height as i32, width: width as i32 };
    // Every closed line has a border above a pixel, so starting at those finds all of them.
    let mut seen = vec![false; mask.len()];
    let mut text = String::new();
    for (y, x) in (0..rim.height).flat_map(|y| (0..rim.width).map(move |x| (y, x))) {
        if rim.has((x, y), 0) && !seen[rim.index(x, y)] {
            line(&rim, (x, y), &mut seen, &mut text);
        }
    }
    text
}

/// One closed line from the border above pixel `start`, marking all borders above pixels that it passes.
fn line(rim: &Rim, start: (i32, i32), seen: &mut [bool], text: &mut String) {
    let middle = |(x, y): (i32, i32), way: usize| (2 * x + STEPS[way].0, 2 * y + STEPS[way].1);
    let (mut corner, mut way) = (start, 0);
    let mut points = vec![middle(corner, way)];
    loop {
        if way == 0 {
            seen[rim.index(corner.0, corner.1)] = true;
        }
        corner = (corner.0 + STEPS[way].0, corner.1 + STEPS[way].1);
        // To the right first: pixels that touch at a corner alone are apart.
        let turn = [way + 1, way, way + 3].into_iter().map(|way| way % 4).find(|way| rim.has(corner, *way));
        let Some(next) = turn else { break };
        way = next;
        if (corner, way) == (start, 0) {
            break;
        }
        points.push(middle(corner, way));
    }
    text.push_str(&format!("M{} {}", points[0].0, points[0].1));
    let steps = points.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
    // Equal steps in a row are one.
    let mut joined: Vec<((i32, i32), i32)> = Vec::new();
    for step in steps {
        match joined.last_mut() {
            Some((last, times)) if *last == step => *times += 1,
            _ => joined.push((step, 1)),
        }
    }
    for ((x, y), times) in joined {
        text.push_str(&format!("l{} {}", x * times, y * times));
    }
    text.push('z');
}

/// The borders between a mask and the rest.
struct Rim<'a> {
    mask: &'a [u8],
    height: i32,
    width: i32,
}

impl Rim<'_> {
    fn index(&self, x: i32, y: i32) -> usize {
        y as usize * self.width as usize + x as usize
    }

    fn inside(&self, x: i32, y: i32) -> bool {
        (0..self.width).contains(&x) && (0..self.height).contains(&y) && self.mask[self.index(x, y)] != 0
    }

    /// Whether a border leaves the corner (x, y) that way, the mask on its right hand.
    fn has(&self, (x, y): (i32, i32), way: usize) -> bool {
        let (right, left) = match way {
            0 => ((x, y), (x, y - 1)),
            1 => ((x - 1, y), (x, y)),
            2 => ((x - 1, y - 1), (x - 1, y)),
            _ => ((x, y - 1), (x - 1, y - 1)),
        };
        self.inside(right.0, right.1) && !self.inside(left.0, left.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // One pixel is a diamond through the middles of its four borders.
        assert_eq!(path(&[1], 1, 1), "M1 0l1 1l-1 1l-1 -1z");
        // Two in a row: the long borders are one step.
        assert_eq!(path(&[1, 2], 1, 2), "M1 0l2 0l1 1l-1 1l-2 0l-1 -1z");
        assert_eq!(path(&[0; 6], 2, 3), "");
    }

    #[test]
    fn corners_part_and_holes_have_a_line_of_their_own() {
        assert_eq!(path(&[1, 0, 0, 1], 2, 2), "M1 0l1 1l-1 1l-1 -1zM3 2l1 1l-1 1l-1 -1z");
        let ring = path(&[1, 1, 1, 1, 0, 1, 1, 1, 1], 3, 3);
        // The hole runs against the clock: from the border above the pixel below it, to the left.
        assert_eq!(ring.matches('M').count(), 2, "{ring}");
        assert!(ring.ends_with("M3 4l1 -1l-1 -1l-1 1z"), "{ring}");
    }
}
