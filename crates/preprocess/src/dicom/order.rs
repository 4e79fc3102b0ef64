//! The order of the slices of a stack along the patient: by ImagePositionPatient, else by SliceLocation, else by InstanceNumber (PS3.3
//! C.7.6.2.1, C.7.6.1). Anything but the first is a guess and has a remark.

use super::header::Header;
use super::places::{Places, distinct};
use super::{BY_INSTANCE_NUMBER, BY_SLICE_LOCATION, NUMBERS_OUT_OF_STEP, Skipped};
use crate::geometry::dot;

/// Fewer slices than this say nothing of whether two orders agree.
const LEAST_TO_COMPARE: usize = 4;

/// Up to this part of the slices, or one, may lack a position and be left out.
const WITHOUT_POSITION: f64 = 0.1;

/// Reason for a slice without a position among slices that have one.
const NO_POSITION: &str = "no_position";

/// A stack in order.
pub(super) struct Ordered {
    /// The slices. Where SliceLocation gave the order their positions are made of it; where InstanceNumber did they have none.
    pub slices: Vec<Header>,
    /// [`BY_SLICE_LOCATION`], [`BY_INSTANCE_NUMBER`], or nothing to remark.
    pub remark: Option<&'static str>,
}

/// What gives the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Position,
    Location,
    Number,
}

/// Puts a stack in order. Slices without a position among many that have one are left out.
///
/// # Errors
/// Nothing tells the order; the slices come back with what was found.
pub(super) fn order(slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Result<Ordered, (Vec<Header>, String)> {
    let slices = without_the_unplaced(slices, skipped);
    let places = Places::of(&slices);
    let Some(by) = choose(&places, &slices) else {
        let found = found(&places, &slices);
        return Err((slices, found));
    };
    let (mut slices, remark) = match by {
        By::Position => {
            // The frames of a file are numbered by their place in it, which says nothing.
            let stated = slices.iter().all(|slice| slice.frame.is_none());
            (slices, (stated && numbers_disagree(&places)).then_some(NUMBERS_OUT_OF_STEP))
        }
        By::Location => {
            let corner = slices.iter().find(|slice| slice.has_position).map(|slice| slice.plane.position);
            let corner = corner.unwrap_or_default();
            (slices.into_iter().map(|slice| placed_by_location(slice, corner)).collect(), Some(BY_SLICE_LOCATION))
        }
        By::Number => {
            let without = |slice: Header| Header { has_position: false, ..slice };
            (slices.into_iter().map(without).collect(), Some(BY_INSTANCE_NUMBER))
        }
    };
    sort(&mut slices, by);
    Ok(Ordered { slices, remark })
}

/// Leaves out the few slices that have no position where all others have one and SliceLocation cannot replace it.
fn without_the_unplaced(slices: Vec<Header>, skipped: &mut Vec<Skipped>) -> Vec<Header> {
    let missing = slices.iter().filter(|slice| !slice.has_position).count();
    let few = (WITHOUT_POSITION * slices.len() as f64).max(1.0);
    let all_located = slices.iter().all(|slice| slice.location.is_some());
    if missing == 0 || all_located || missing == slices.len() || missing as f64 > few || slices.len() < LEAST_TO_COMPARE
    {
        return slices;
    }
    let (placed, others): (Vec<Header>, Vec<Header>) = slices.into_iter().partition(|slice| slice.has_position);
    skipped.extend(others.into_iter().map(|slice| slice.into_skipped(NO_POSITION)));
    placed
}

fn choose(places: &Places, slices: &[Header]) -> Option<By> {
    if slices.len() < 2 {
        return Some(By::Position);
    }
    let all = slices.len();
    let [positions, locations] = [&places.depths, &places.locations].map(|values| values.as_deref().map(distinct));
    let numbers = places.numbers.as_deref().map(distinct);
    match (positions, locations) {
        (Some(1), Some(located)) if located > 1 => Some(By::Location),
        // Measured again and again at one place, as bolus tracking is, or a volume whose places are lost: nothing says which.
        (Some(1), Some(_)) => None,
        (Some(1) | None, None) => numbers.filter(|numbers| *numbers == all).map(|_| By::Number),
        (None, Some(located)) if located > 1 => Some(By::Location),
        (None, Some(_)) => numbers.filter(|numbers| *numbers == all).map(|_| By::Number),
        (Some(positions), Some(located)) if located == all && positions < all => Some(By::Location),
        (Some(_), Some(_)) if out_of_step(places) => Some(By::Location),
        (Some(_), _) => Some(By::Position),
    }
}

/// True if SliceLocation and InstanceNumber agree on an order and the positions have another.
fn out_of_step(places: &Places) -> bool {
    let (Some(depths), Some(locations), Some(numbers)) = (&places.depths, &places.locations, &places.numbers) else {
        return false;
    };
    let known =
        depths.len() >= LEAST_TO_COMPARE && distinct(locations) == depths.len() && distinct(numbers) == depths.len();
    known && agree(locations, numbers) && !agree(locations, depths)
}

/// True if both rise together, or one rises while the other falls.
fn agree(a: &[f64], b: &[f64]) -> bool {
    let mut order: Vec<usize> = (0..a.len()).collect();
    order.sort_by(|x, y| a[*x].total_cmp(&a[*y]));
    let steps: Vec<f64> = order.windows(2).map(|pair| b[pair[1]] - b[pair[0]]).collect();
    steps.iter().all(|step| *step >= 0.0) || steps.iter().all(|step| *step <= 0.0)
}

/// True if the InstanceNumbers of many slices have neither the order of the positions nor the reverse.
fn numbers_disagree(places: &Places) -> bool {
    let (Some(depths), Some(numbers)) = (&places.depths, &places.numbers) else { return false };
    let all_differ = distinct(depths) == depths.len() && distinct(numbers) == numbers.len();
    depths.len() >= LEAST_TO_COMPARE && all_differ && !agree(depths, numbers)
}

/// The slice at the height that SliceLocation names: toward the head where it is larger. A slice without a position of its own takes the
/// `corner` of another.
fn placed_by_location(slice: Header, corner: [f64; 3]) -> Header {
    let normal = slice.plane.normal();
    let up = if normal[2] < 0.0 { -1.0 } else { 1.0 };
    let mut plane = slice.plane;
    if !slice.has_position {
        plane.position = corner;
    }
    let move_by = slice.location.unwrap_or_default() * up - dot(plane.position, normal);
    [0, 1, 2].into_iter().for_each(|axis| plane.position[axis] += normal[axis] * move_by);
    Header { plane, has_position: true, ..slice }
}

/// By depth along the normal, where that counts, then by InstanceNumber, then by the file's name.
fn sort(slices: &mut [Header], by: By) {
    let normal = slices.first().map_or([0.0, 0.0, 1.0], |slice| slice.plane.normal());
    let depth = |slice: &Header| if by == By::Number { 0.0 } else { dot(slice.plane.position, normal) };
    slices.sort_by(|a, b| {
        let places = depth(a).total_cmp(&depth(b)).then(a.number.cmp(&b.number));
        places.then_with(|| a.file.cmp(&b.file)).then(a.frame.cmp(&b.frame))
    });
}

/// What the three elements say, for an error.
fn found(places: &Places, slices: &[Header]) -> String {
    let state = |values: Option<&[f64]>, present: usize| match values.map(distinct) {
        Some(1) => "the same in all".to_owned(),
        Some(different) => format!("{different} different values"),
        None if present == 0 => "missing".to_owned(),
        None => format!("missing in {}", slices.len() - present),
    };
    let count = |has: fn(&Header) -> bool| slices.iter().filter(|slice| has(slice)).count();
    format!(
        "ImagePositionPatient {}, SliceLocation {}, InstanceNumber {}",
        state(places.depths.as_deref(), count(|slice| slice.has_position)),
        state(places.locations.as_deref(), count(|slice| slice.location.is_some())),
        state(places.numbers.as_deref(), count(|slice| slice.number.is_some())),
    )
}
