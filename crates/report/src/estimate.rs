//! A number with its uncertainty, or the reason why there is none.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::compare::{DELONG, DeLong};
use crate::intervals::{wilson, z};

/// Low and high end, or why there is no interval.
pub type Interval = Result<(f64, f64), String>;

/// Why a variance over patients is undefined.
pub const FEW_PATIENTS: &str = "fewer than 2 patients in a class";

/// A variance below this is rounding.
const NO_VARIANCE: f64 = 1e-15;

/// The interval of an estimate that is normal with this variance; `method` made it of `what`.
///
/// # Errors
/// The variance is 0.
pub fn normal_interval(value: f64, variance: f64, confidence: f64, method: &str, what: &str) -> Interval {
    if variance <= NO_VARIANCE {
        return Err(format!("{method}'s variance of the {what} is 0, so it cannot say how uncertain it is"));
    }
    let half = z(confidence) * variance.sqrt();
    Ok((value - half, value + half))
}

/// A metric's value with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value, or why it is undefined.
    pub value: Result<f64, String>,
    /// The interval; None where none is asked for (folds and seeds at slice level).
    pub interval: Option<Interval>,
    /// Slices or patients it rests on.
    pub n: u64,
    /// Correct and total, for fractions of patients.
    pub fraction: Option<(u64, u64)>,
}

impl Estimate {
    /// A fraction of patients with Wilson's interval; `reason` is why it is undefined if `total` is 0.
    pub fn fraction(correct: u64, total: u64, confidence: f64, reason: &str) -> Self {
        let defined = total > 0;
        let value = if defined { Ok(correct as f64 / total as f64) } else { Err(reason.to_owned()) };
        let interval = if defined { Ok(wilson(correct, total, confidence)) } else { Err(reason.to_owned()) };
        Self { value, interval: Some(interval), n: total, fraction: Some((correct, total)) }
    }

    /// The AUC of patients with DeLong's interval, cut at 0 and 1.
    pub fn patient_auc(score: &[f64], positive: &[bool], confidence: f64) -> Self {
        let value = crate::auc::auc(score, positive).ok_or_else(|| "patients of one class only".to_owned());
        let interval = match (&value, DeLong::new(&[score.to_vec()], positive)) {
            (Err(reason), _) => Err(reason.clone()),
            (Ok(_), None) => Err(FEW_PATIENTS.to_owned()),
            (Ok(auc), Some(delong)) => Self::area(*auc, delong.variance(0), confidence, DELONG),
        };
        Self { value, interval: Some(interval), n: score.len() as u64, fraction: None }
    }

    /// The interval of an area with this variance, cut at 0 and 1.
    pub fn area(auc: f64, variance: f64, confidence: f64, method: &str) -> Interval {
        let ends = normal_interval(auc, variance, confidence, method, "AUC");
        ends.map(|(low, high)| (low.max(0.0), high.min(1.0)))
    }

    /// The value if it is defined.
    pub fn defined(&self) -> Option<f64> {
        self.value.as_ref().ok().copied()
    }

    /// The interval if there is one.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.interval.as_ref()?.as_ref().ok().copied()
    }
}

/// Puts `low` and `high` into `map`, null with the reason beside them if there is no interval.
pub fn put_interval(map: &mut Map<String, Value>, interval: &Interval) {
    let ends = interval.as_ref().ok();
    map.insert("low".into(), json!(ends.map(|ends| ends.0)));
    map.insert("high".into(), json!(ends.map(|ends| ends.1)));
}

/// Puts the reasons for nulls into `map`: `undefined` for the value, `no_interval` where only the interval is missing.
pub fn put_reasons(map: &mut Map<String, Value>, value: &Result<f64, String>, interval: Option<&Interval>) {
    match (value, interval) {
        (Err(reason), _) => map.insert("undefined".into(), json!(reason)),
        (Ok(_), Some(Err(reason))) => map.insert("no_interval".into(), json!(reason)),
        _ => None,
    };
}

impl Serialize for Estimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Map::new();
        map.insert("value".into(), json!(self.defined()));
        if let Some((correct, total)) = self.fraction {
            map.insert("correct".into(), json!(correct));
            map.insert("total".into(), json!(total));
        }
        if let Some(interval) = &self.interval {
            put_interval(&mut map, interval);
        }
        if self.fraction.is_none() {
            map.insert("n".into(), json!(self.n));
        }
        put_reasons(&mut map, &self.value, self.interval.as_ref());
        map.serialize(serializer)
    }
}
