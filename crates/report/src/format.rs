//! Numbers as readers see them: percent with one decimal, AUC and the like with three, n/a where undefined.

use crate::comparison::Comparison;
use crate::estimate::{Estimate, Interval};
use crate::quantity::Quantity;

/// What stands where a value is undefined.
pub const UNDEFINED: &str = "n/a";

/// A number with `decimals`, never "-0.0".
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// A number without its unit.
pub fn number(quantity: impl Into<Quantity>, value: f64) -> String {
    if quantity.into().is_percent() { fixed(value * 100.0, 1) } else { fixed(value, 3) }
}

/// With its sign, for differences.
pub fn signed(quantity: impl Into<Quantity>, value: f64) -> String {
    let text = number(quantity, value);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

/// The name with its unit, for a column's head.
pub fn head(quantity: impl Into<Quantity>) -> String {
    let quantity = quantity.into();
    if quantity.is_percent() { format!("{}, %", quantity.title()) } else { quantity.title().to_owned() }
}

/// A value with its interval in brackets, if there is one.
pub fn estimate(quantity: impl Into<Quantity>, estimate: &Estimate) -> String {
    let quantity = quantity.into();
    let Some(value) = estimate.defined() else { return UNDEFINED.to_owned() };
    match estimate.ends() {
        Some((low, high)) => {
            format!("{} ({} to {})", number(quantity, value), number(quantity, low), number(quantity, high))
        }
        None => number(quantity, value),
    }
}

/// A fraction of patients with its interval in percent.
pub fn fraction(estimate: &Estimate) -> String {
    let (Some((correct, total)), Some(_)) = (estimate.fraction, estimate.defined()) else {
        return UNDEFINED.to_owned();
    };
    match estimate.ends() {
        Some((low, high)) => format!("{correct}/{total} ({} to {} %)", fixed(low * 100.0, 1), fixed(high * 100.0, 1)),
        None => format!("{correct}/{total}"),
    }
}

/// A fraction of patients as such, anything else as a value; with its interval.
pub fn result(quantity: impl Into<Quantity>, of: &Estimate) -> String {
    if of.fraction.is_some() { fraction(of) } else { estimate(quantity, of) }
}

/// A difference with its interval in brackets.
pub fn difference(entry: &Comparison) -> String {
    signed_interval(entry.quantity, &entry.difference, &entry.interval)
}

/// A difference of a method with itself, such as a fall, with its interval in brackets.
pub fn change(quantity: impl Into<Quantity>, estimate: &Estimate) -> String {
    let none = Err(String::new());
    signed_interval(quantity.into(), &estimate.value, estimate.interval.as_ref().unwrap_or(&none))
}

fn signed_interval(quantity: Quantity, value: &Result<f64, String>, interval: &Interval) -> String {
    match (value, interval) {
        (Err(_), _) => UNDEFINED.to_owned(),
        (Ok(value), Err(_)) => signed(quantity, *value),
        (Ok(value), Ok((low, high))) => {
            format!("{} ({} to {})", signed(quantity, *value), signed(quantity, *low), signed(quantity, *high))
        }
    }
}

/// A p value: three decimals, "< 0.001" below.
pub fn p(value: Option<f64>) -> String {
    match value {
        None => UNDEFINED.to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => fixed(p, 3),
    }
}

/// The same in a sentence: "p = 0.125", "p < 0.001".
pub fn p_words(value: Option<f64>) -> String {
    let text = p(value);
    if text.starts_with('<') { format!("p {text}") } else { format!("p = {text}") }
}

/// The level of the intervals, such as "95 %".
pub fn level(confidence: f64) -> String {
    let text = fixed(confidence * 100.0, 1);
    format!("{} %", text.trim_end_matches(".0"))
}

/// "0, 1, 2".
pub fn list(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Names with their values, those of one value together: "0, 1 (a, b); 0 (c)"; the value alone if all have the same.
pub fn grouped<'a>(values: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, value) in values {
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, names)) => names.push(name),
            None => groups.push((value, vec![name])),
        }
    }
    match &groups[..] {
        [(value, _)] => value.clone(),
        _ => {
            let group = |(value, names): &(String, Vec<&str>)| format!("{value} ({})", names.join(", "));
            groups.iter().map(group).collect::<Vec<_>>().join("; ")
        }
    }
}

/// "1 patient", "2 patients".
pub fn plural(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn zero_has_no_minus() {
        assert_eq!(fixed(-0.0001, 3), "0.000");
        assert_eq!(signed(Metric::Auc, -0.0001), "+0.000");
        assert_eq!(signed(Metric::Accuracy, -0.021), "-2.1");
        assert_eq!(level(0.95), "95 %");
        assert_eq!(level(0.999), "99.9 %");
        assert_eq!(p_words(Some(0.0004)), "p < 0.001");
        assert_eq!(p_words(Some(0.125)), "p = 0.125");
    }

    #[test]
    fn names_of_one_value_stand_together() {
        let one = |name, value: &str| (name, value.to_owned());
        assert_eq!(grouped([one("a", "0, 1"), one("c", "0"), one("b", "0, 1")]), "0, 1 (a, b); 0 (c)");
        assert_eq!(grouped([one("a", "0"), one("b", "0")]), "0");
    }

    #[test]
    fn the_papers_form() {
        let fraction_of = |correct, total| fraction(&Estimate::fraction(correct, total, 0.95, ""));
        assert!(fraction_of(299, 346).starts_with("299/346 (82.4 to 89.6 %)"), "{}", fraction_of(299, 346));
        assert_eq!(fraction_of(0, 0), UNDEFINED);
    }
}
