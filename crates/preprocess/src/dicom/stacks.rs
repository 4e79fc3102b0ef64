//! The stacks of one SeriesInstanceUID: slices of one size, orientation, spacing, kind and acquisition. The largest is the series, the others
//! are left out by name: two reconstructions, phases or a stray capture in one volume would be a wrong volume.

use std::collections::BTreeMap;

use super::header::Header;
use super::places::{Places, median, usual_step};
use super::{SEVERAL_ACQUISITIONS, Skipped};
use crate::geometry::dot;

/// Reason for slices of another size, orientation or spacing than the series' largest stack.
const OTHER_STACK: &str = "other_stack_of_series";
/// Reason for slices of another acquisition than the one that is taken.
const OTHER_ACQUISITION: &str = "other_acquisition";
/// Reason for a slice that lies elsewhere than the stack.
const STRAY: &str = "stray_position";
/// Reason for derived images among original ones.
pub(super) const DERIVED: &str = "derived";

/// Directions of one stack agree to this cosine, 5 degrees: digits differ from slice to slice.
const SAME_DIRECTION: f64 = 0.9962;
/// Spacings of one stack agree to this part.
const SAME_SPACING: f64 = 0.01;
/// A slice whose corner lies further than this from the line of the others is no part of the stack, mm.
const OFF_LINE_MM: f64 = 5.0;
/// Slices beyond a gap of so many usual steps are no part of the volume.
const FAR_STEPS: f64 = 10.0;
/// Fewer slices than this are no acquisition of their own.
const LEAST_ACQUISITION: usize = 3;
/// Acquisitions that share more than so many steps of their way lie in each other; fewer are neighbours along the table.
const SHARED_STEPS: f64 = 2.5;

/// The stack that is taken, unordered, and what is remarkable. All else goes to `skipped`.
pub(super) fn largest(slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> (Vec<Header>, Vec<&'static str>) {
    let slices = keep_first(by_geometry(slices), OTHER_STACK, skipped);
    let slices = without_derived(slices, skipped);
    let slices = without_strays(slices, skipped);
    let (acquisitions, remark) = by_acquisition(slices);
    (keep_first(acquisitions, OTHER_ACQUISITION, skipped), remark.into_iter().collect())
}

fn keep_first(stacks: Vec<Vec<Header>>, reason: &'static str, skipped: &mut Vec<Skipped>) -> Vec<Header> {
    let mut stacks = stacks.into_iter();
    let first = stacks.next().unwrap_or_default();
    skipped.extend(stacks.flatten().map(|slice| slice.into_skipped(reason)));
    first
}

/// Stacks of one size, orientation and spacing; the one with most slices first, of equal ones the one that shows more of the body.
fn by_geometry(slices: Vec<Header>) -> Vec<Vec<Header>> {
    let mut stacks: Vec<Vec<Header>> = Vec::new();
    for slice in slices {
        match stacks.iter_mut().find(|stack| same_geometry(&stack[0], &slice)) {
            Some(stack) => stack.push(slice),
            None => stacks.push(vec![slice]),
        }
    }
    let area = |slice: &Header| {
        let [rows_mm, columns_mm] = slice.plane.spacing_mm;
        (slice.shape.0 as f64 * rows_mm) * (slice.shape.1 as f64 * columns_mm)
    };
    // Stable: of equal ones the first in the order of the files stays first.
    stacks.sort_by(|a, b| b.len().cmp(&a.len()).then(area(&b[0]).total_cmp(&area(&a[0]))));
    stacks
}

fn same_geometry(a: &Header, b: &Header) -> bool {
    let direction =
        |one: [f64; 3], other: [f64; 3]| dot(one, other) >= SAME_DIRECTION * (dot(one, one) * dot(other, other)).sqrt();
    let spacing = |axis: usize| {
        let (one, other) = (a.plane.spacing_mm[axis], b.plane.spacing_mm[axis]);
        (one - other).abs() <= SAME_SPACING * one.abs().max(other.abs())
    };
    a.shape == b.shape
        && a.stack == b.stack
        && direction(a.plane.along_row, b.plane.along_row)
        && direction(a.plane.along_column, b.plane.along_column)
        && spacing(0)
        && spacing(1)
}

/// Leaves out derived images where at least half as many original ones are in the stack.
fn without_derived(slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Vec<Header> {
    let derived = slices.iter().filter(|slice| slice.is_derived()).count();
    if derived == 0 || 2 * (slices.len() - derived) < derived {
        return slices;
    }
    let (others, original): (Vec<Header>, Vec<Header>) = slices.into_iter().partition(Header::is_derived);
    skipped.extend(others.into_iter().map(|slice| slice.into_skipped(DERIVED)));
    original
}

/// Leaves out slices off the line of the others' corners, or alone far beyond either end.
fn without_strays(slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Vec<Header> {
    let Some(depths) = Places::of(&slices).depths else { return slices };
    let (off_line, far) = (off_line(&slices, &depths), far_off(&depths));
    let is_stray = |at: usize| off_line[at] || far[at];
    // Where most are strays there is no line to speak of.
    let strays = (0..slices.len()).filter(|at| is_stray(*at)).count();
    if strays == 0 || 2 * strays > slices.len() || slices.len() - strays < LEAST_ACQUISITION {
        return slices;
    }
    let (kept, others): (Vec<_>, Vec<_>) = slices.into_iter().enumerate().partition(|(at, _)| !is_stray(*at));
    skipped.extend(others.into_iter().map(|(_, slice)| slice.into_skipped(STRAY)));
    kept.into_iter().map(|(_, slice)| slice).collect()
}

/// Whether the corner of each slice lies off the line on which most corners lie: straight along the normal, or leaning with a tilted gantry.
fn off_line(slices: &[Header], depths: &[f64]) -> Vec<bool> {
    let axes = [slices[0].plane.along_row, slices[0].plane.along_column];
    let distances = axes.map(|axis| {
        let across: Vec<f64> = slices.iter().map(|slice| dot(slice.plane.position, axis)).collect();
        let straight = distances(&across, depths, 0.0);
        let leaning = distances(&across, depths, lean(&across, depths));
        let middle = |values: &[f64]| median(values.to_vec()).unwrap_or_default();
        if middle(&leaning) < middle(&straight) { leaning } else { straight }
    });
    (0..slices.len()).map(|at| distances[0][at].hypot(distances[1][at]) > OFF_LINE_MM).collect()
}

/// The usual shift across the slice per mm of depth.
fn lean(across: &[f64], depths: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..depths.len()).collect();
    order.sort_by(|a, b| depths[*a].total_cmp(&depths[*b]));
    let pairs = order.windows(2).filter(|pair| depths[pair[1]] - depths[pair[0]] > super::places::SAME_PLACE.0);
    let leans = pairs.map(|pair| (across[pair[1]] - across[pair[0]]) / (depths[pair[1]] - depths[pair[0]]));
    median(leans.collect()).unwrap_or_default()
}

fn distances(across: &[f64], depths: &[f64], lean: f64) -> Vec<f64> {
    let level: Vec<f64> = across.iter().zip(depths).map(|(across, depth)| across - lean * depth).collect();
    let middle = median(level.clone()).unwrap_or_default();
    level.iter().map(|level| (level - middle).abs()).collect()
}

/// Whether each slice is beyond a gap of many steps from the largest block.
fn far_off(depths: &[f64]) -> Vec<bool> {
    let mut far = vec![false; depths.len()];
    let Some(usual) = usual_step(depths) else { return far };
    let mut order: Vec<usize> = (0..depths.len()).collect();
    order.sort_by(|a, b| depths[*a].total_cmp(&depths[*b]));
    let blocks: Vec<&[usize]> = order.chunk_by(|a, b| depths[*b] - depths[*a] <= FAR_STEPS * usual).collect();
    // Of equal blocks the one nearer to the feet.
    let largest = (0..blocks.len()).max_by_key(|at| (blocks[*at].len(), std::cmp::Reverse(*at))).unwrap_or(0);
    for (_, block) in blocks.iter().enumerate().filter(|(at, _)| *at != largest) {
        block.iter().for_each(|at| far[*at] = true);
    }
    far
}

/// The acquisitions of a stack, if several lie in each other along the patient: by AcquisitionNumber, TemporalPositionIdentifier, kernel,
/// SeriesNumber, SeriesDescription or SliceThickness, else by where the InstanceNumbers begin anew at the other end. The largest first, of
/// equal ones that with the lower number.
fn by_acquisition(slices: Vec<Header>) -> (Vec<Vec<Header>>, Option<&'static str>) {
    let places = Places::of(&slices);
    let Some(along) = places.along().map(<[f64]>::to_vec) else { return (vec![slices], None) };
    let text = |value: Option<i32>| value.map_or_else(String::new, |value| format!("{value:012}"));
    let of = |label: &dyn Fn(&Header) -> String| slices.iter().map(label).collect::<Vec<String>>();
    let labels: [Vec<String>; 7] = [
        of(&|slice| text(slice.acquisition)),
        of(&|slice| text(slice.temporal)),
        of(&|slice| slice.kernel.clone()),
        of(&|slice| text(slice.series_number)),
        of(&|slice| slice.description.clone()),
        of(&|slice| slice.thickness_mm.map_or_else(String::new, |mm| format!("{mm:.3}"))),
        runs(&along, places.numbers.as_deref()),
    ];
    let Some(labels) = labels.into_iter().find(|labels| lie_in_each_other(labels, &along)) else {
        return (vec![slices], None);
    };
    let mut named: BTreeMap<String, Vec<Header>> = BTreeMap::new();
    slices.into_iter().zip(labels).for_each(|(slice, label)| named.entry(label).or_default().push(slice));
    let mut acquisitions: Vec<Vec<Header>> = named.into_values().collect();
    acquisitions.sort_by_key(|slices| std::cmp::Reverse(slices.len()));
    (acquisitions, Some(SEVERAL_ACQUISITIONS))
}

/// True if slices of two labels share more than a little of their way along the patient.
fn lie_in_each_other(labels: &[String], along: &[f64]) -> bool {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    labels.iter().zip(along).for_each(|(label, place)| groups.entry(label).or_default().push(*place));
    let groups: Vec<Vec<f64>> = groups.into_values().filter(|places| places.len() >= LEAST_ACQUISITION).collect();
    let ends = |places: &[f64]| {
        places.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(*place), high.max(*place)))
    };
    let share = |a: &[f64], b: &[f64]| {
        let ((a_low, a_high), (b_low, b_high)) = (ends(a), ends(b));
        let step = usual_step(a).unwrap_or_default().max(usual_step(b).unwrap_or_default());
        a_high.min(b_high) - a_low.max(b_low) > SHARED_STEPS * step
    };
    groups.iter().enumerate().any(|(at, group)| groups[at + 1..].iter().any(|other| share(group, other)))
}

/// Stretches of `order` that go one way along the patient.
fn one_way(order: &[usize], along: &[f64]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut way = 0.0;
    for at in order {
        let Some(group) = groups.last_mut() else {
            groups.push(vec![*at]);
            continue;
        };
        let step = group.last().map_or(0.0, |last| along[*at] - along[*last]);
        if way == 0.0 || step * way > 0.0 {
            way = step;
            group.push(*at);
        } else {
            way = 0.0;
            groups.push(vec![*at]);
        }
    }
    groups
}

/// The run of InstanceNumbers in which each slice is: a new one begins where the way along the patient turns back. One run for all without
/// numbers.
fn runs(along: &[f64], numbers: Option<&[f64]>) -> Vec<String> {
    let mut labels = vec![String::new(); along.len()];
    let Some(numbers) = numbers else { return labels };
    let mut order: Vec<usize> = (0..along.len()).collect();
    order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
    let groups = one_way(&order, along);
    if groups.iter().any(|group| group.len() < LEAST_ACQUISITION) {
        return labels;
    }
    for (number, group) in groups.into_iter().enumerate() {
        group.iter().for_each(|at| labels[*at] = format!("{number:06}"));
    }
    labels
}
