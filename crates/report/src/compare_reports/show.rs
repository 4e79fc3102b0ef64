//! A comparison of reports as text and as JSON.

use serde_json::{Value, json};

use crate::format::fixed;
use crate::measure::Measure;
use crate::metrics::Metric;
use crate::quantity::Quantity;
use crate::render;

use super::drift::{Audit, Drift};
use super::judge::{Judged, Pair};
use super::side::{Number, Place, Side};

/// The metric or measure of a key; None for a class's name, or a key of another version.
fn quantity(place: &Place) -> Option<Quantity> {
    let metric = Metric::ALL.into_iter().find(|metric| metric.key() == place.metric).map(Quantity::from);
    metric.or_else(|| Measure::ALL.into_iter().find(|measure| measure.key() == place.metric).map(Quantity::from))
}

/// Decimals of a value: one more than the tables have, since small differences are the subject.
const DECIMALS: usize = 4;

fn value(place: &Place, number: Option<&Number>) -> String {
    let percent = quantity(place).is_some_and(Quantity::is_percent);
    match number.map(|number| &number.value) {
        Some(Ok(value)) if percent => fixed(value * 100.0, DECIMALS - 2),
        Some(Ok(value)) => fixed(*value, DECIMALS),
        Some(Err(_)) => crate::format::UNDEFINED.to_owned(),
        None => "-".to_owned(),
    }
}

/// With its sign; in powers of ten where the decimals would not show it.
fn difference(pair: &Pair) -> String {
    let percent = quantity(&pair.place).is_some_and(Quantity::is_percent);
    let (scale, decimals) = if percent { (100.0, DECIMALS - 2) } else { (1.0, DECIMALS) };
    match pair.difference.map(|difference| difference * scale) {
        None => String::new(),
        Some(0.0) => "0".to_owned(),
        Some(small) if small.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) => format!("{small:+.0e}"),
        Some(difference) => format!("{difference:+.decimals$}"),
    }
}

fn name(place: &Place) -> String {
    quantity(place).map_or_else(|| place.metric.clone(), crate::format::head)
}

/// Level and owner: what a section of the text is of.
fn heading(place: &Place) -> String {
    if place.is_comparison {
        format!("{}: {}", place.level, place.of)
    } else {
        format!("{}: {}", place.of, place.level)
    }
}

/// The pairs by heading, in the order of their first.
fn sections(pairs: &[Pair]) -> Vec<(String, Vec<&Pair>)> {
    let mut sections: Vec<(String, Vec<&Pair>)> = Vec::new();
    for pair in pairs {
        let heading = heading(&pair.place);
        match sections.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, members)) => members.push(pair),
            None => sections.push((heading, vec![pair])),
        }
    }
    sections
}

fn section((heading, pairs): &(String, Vec<&Pair>)) -> String {
    let row = |pair: &&Pair| {
        let (place, of) = (&pair.place, |number: &Option<Number>| value(&pair.place, number.as_ref()));
        vec![name(place), of(&pair.a), of(&pair.b), difference(pair), pair.verdict.clone()]
    };
    if pairs.iter().all(|pair| pair.is_equal()) {
        return format!("{heading}: no difference in {}\n\n", crate::format::plural(pairs.len() as u64, "number"));
    }
    let rows: Vec<Vec<String>> = pairs.iter().map(row).collect();
    format!("{heading}\n\n{}\n", render::aligned(&["metric", "A", "B", "B - A", "verdict"], &rows))
}

/// What goes to stdout.
pub fn text(a: &Side, b: &Side, judged: &Judged, audit: Option<&Audit>) -> String {
    let mut text = String::new();
    for (name, side) in [("A", a), ("B", b)] {
        text.push_str(&format!("{name}: {} (study {})\n", side.path.display(), side.study.name));
    }
    text.push('\n');
    if judged.is_identical {
        text.push_str(&format!("No difference: all {} numbers, and all else, are the same.\n", judged.pairs.len()));
    } else {
        let lines = judged.remarks.iter().flat_map(|remark| render::wrap(remark, render::WIDTH));
        lines.for_each(|line| text.push_str(&format!("{line}\n")));
        text.push('\n');
        sections(&judged.pairs).iter().for_each(|one| text.push_str(&section(one)));
        text.push_str(&format!("{}\n", sum(judged)));
    }
    if let Some(audit) = audit {
        text.push_str(&verdict(audit));
    }
    text
}

/// How many numbers are the same.
fn sum(judged: &Judged) -> String {
    let equal = judged.pairs.iter().filter(|pair| pair.is_equal()).count();
    match (judged.pairs.len(), equal) {
        (0, _) => "No number could be compared.".to_owned(),
        (all, equal) if all == equal => {
            format!(
                "No difference in the {all} numbers with their intervals; what differs is said above, or is in p, in counts or in parts by fold and seed."
            )
        }
        (all, equal) => format!("{equal} of {all} numbers are the same with their intervals, {} are not.", all - equal),
    }
}

fn verdict(audit: &Audit) -> String {
    let line = |drift: &Drift| format!("  {}: expected {}, got {}\n", drift.key, drift.a, drift.b);
    let (held, tolerance, furthest) = (audit.held, audit.tolerance, audit.furthest);
    let within =
        format!("Tolerance {tolerance}: {held} numbers and conditions held; the furthest number is {furthest:.2e} off");
    match audit.drifts.len() {
        0 => format!("{within}; all are within.\n"),
        count => format!("{within}; {count} are not within:\n{}", audit.drifts.iter().map(line).collect::<String>()),
    }
}

fn number_json(number: Option<&Number>) -> Value {
    let Some(number) = number else { return Value::Null };
    let mut out = json!({"value": number.value.as_ref().ok(), "low": number.ends.map(|ends| ends.0), "high": number.ends.map(|ends| ends.1)});
    if let Err(reason) = &number.value {
        out["undefined"] = json!(reason);
    }
    out
}

/// The same for programs: one object a number, in the units of metrics.json.
pub fn json(a: &Side, b: &Side, judged: &Judged, audit: Option<&Audit>) -> String {
    let side = |side: &Side| json!({"path": side.path, "study": side.study.name});
    let entry = |pair: &Pair| {
        json!({
            "of": pair.place.of, "level": pair.place.level, "metric": pair.place.metric, "a": number_json(pair.a.as_ref()),
            "b": number_json(pair.b.as_ref()), "difference": pair.difference, "z": pair.test.map(|(z, _)| z),
            "p": pair.test.map(|(_, p)| p), "verdict": pair.verdict,
        })
    };
    let drift = |drift: &Drift| json!({"key": drift.key, "a": drift.a, "b": drift.b, "distance": drift.distance});
    let audit = audit.map(|audit| {
        let drifts: Vec<Value> = audit.drifts.iter().map(drift).collect();
        json!({"tolerance": audit.tolerance, "held": audit.held, "furthest": audit.furthest, "passed": drifts.is_empty(), "drifts": drifts})
    });
    let all = json!({
        "a": side(a), "b": side(b), "identical": judged.is_identical, "same_patients": judged.same_patients,
        "remarks": judged.remarks, "numbers": judged.pairs.iter().map(entry).collect::<Vec<_>>(), "audit": audit,
    });
    format!("{all:#}\n")
}
