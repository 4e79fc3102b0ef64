//! Whether B repeats A: every value, difference and end of an interval within a tolerance.
//!
//! A is what is expected: what it has, B must have, and B may have more. Conditions (seeds, folds, numbers of slices and
//! patients, level, resamples, classes) must be the same. Not held are counts of decisions and p, which follow from the values in
//! steps, and the parts by fold and seed, which are coarser than what they are parts of.

use std::path::Path;

use serde_json::Value;

use crate::error::Error;

use super::side::{Number, Place, Side};

/// A number that is not what was expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Where it stands.
    pub key: String,
    /// In A.
    pub a: String,
    /// In B.
    pub b: String,
    /// |b - a|, where both are numbers.
    pub distance: Option<f64>,
}

/// What the audit found.
#[derive(Debug)]
pub struct Audit {
    /// How far a number may be off.
    pub tolerance: f64,
    /// Numbers held.
    pub held: usize,
    /// The furthest that any number is off; 0 if none is.
    pub furthest: f64,
    /// Those beyond the tolerance.
    pub drifts: Vec<Drift>,
}

/// How many drifts an error names.
const NAMED: usize = 5;
/// The condition that may differ: the study's name.
const NAME: &str = "study";

impl Audit {
    /// The error, if anything drifted.
    pub fn failure(&self, path: &Path) -> Option<Error> {
        let one = |drift: &Drift| {
            let distance = drift.distance.map_or(String::new(), |distance| format!(" ({distance:.2e} off)"));
            format!("{}: expected {}, got {}{distance}", drift.key, drift.a, drift.b)
        };
        let named = self.drifts.iter().take(NAMED).map(one).collect::<Vec<_>>().join("; ");
        let more = self.drifts.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("; and {more} more, above") } else { String::new() };
        let (path, tolerance, count) = (path.to_owned(), self.tolerance, self.drifts.len());
        (count > 0).then(|| Error::Drift { path, tolerance, count, named: format!("{named}{more}") })
    }
}

/// Holds B against A.
pub fn audit(a: &Side, b: &Side, tolerance: f64) -> Audit {
    let mut audit = Audit { tolerance, held: 0, furthest: 0.0, drifts: Vec::new() };
    for (key, expected) in a.conditions.iter().filter(|(key, _)| *key != NAME) {
        audit.held += 1;
        let found = b.conditions.get(key);
        if found != Some(expected) {
            let found = found.map_or("nothing".to_owned(), Value::to_string);
            audit.drifts.push(Drift { key: key.clone(), a: expected.to_string(), b: found, distance: None });
        }
    }
    for (place, expected) in &a.numbers {
        let found = b.numbers.iter().find(|(known, _)| known == place).map(|(_, number)| number);
        audit.number(place, expected, found);
    }
    audit
}

impl Audit {
    fn number(&mut self, place: &Place, expected: &Number, found: Option<&Number>) {
        let of = |number: &Number| {
            let (low, high) = number.ends.map_or((None, None), |(low, high)| (Some(low), Some(high)));
            [number.value.as_ref().ok().copied(), low, high]
        };
        let values = found.map_or([None; 3], of);
        for ((part, a), b) in ["", ", low", ", high"].into_iter().zip(of(expected)).zip(values) {
            let key = || format!("{}, {}, {}{part}", place.of, place.level, place.metric);
            self.held += 1;
            match (a, b) {
                (Some(a), Some(b)) => {
                    let distance = (b - a).abs();
                    self.furthest = self.furthest.max(distance);
                    if distance > self.tolerance {
                        self.drifts.push(Drift {
                            key: key(),
                            a: a.to_string(),
                            b: b.to_string(),
                            distance: Some(distance),
                        });
                    }
                }
                (None, None) if found.is_some() => self.held -= usize::from(!part.is_empty()),
                (a, b) => {
                    let show = |value: Option<f64>, number: Option<&Number>| match (value, number) {
                        (Some(value), _) => value.to_string(),
                        (None, Some(_)) => "null".to_owned(),
                        (None, None) => "nothing".to_owned(),
                    };
                    let (a, b) = (show(a, Some(expected)), show(b, found));
                    self.drifts.push(Drift { key: key(), a, b, distance: None });
                    // A number that is missing is said once, not once an end.
                    if found.is_none() {
                        return;
                    }
                }
            }
        }
    }
}
