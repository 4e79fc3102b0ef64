//! What two numbers of two reports say of each other.
//!
//! Reports on the same patients are not independent: their intervals share the choice of patients, so they do not give the
//! interval of the difference, and all that is said is whether each value lies in the other's interval. Reports on other
//! patients are: their standard errors follow from the intervals' widths, as if these were normal, and an approximate z test
//! of the difference from those, z = (b - a) / sqrt(se_a^2 + se_b^2).

use crate::intervals::{two_sided_p, z};
use crate::metrics::Metric;

use super::side::{Number, Place, Side, Study};

/// Whether two reports rest on the same patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Patients {
    /// The same if their numbers by class are the same
    Auto,
    /// The same, or some of them
    Same,
    /// Others
    Different,
}

/// A number of A beside that of B.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Where it stands.
    pub place: Place,
    /// In A; None where A lacks it.
    pub a: Option<Number>,
    /// In B; None where B lacks it.
    pub b: Option<Number>,
    /// b - a, where both are defined.
    pub difference: Option<f64>,
    /// z and two-sided p of the approximate test.
    pub test: Option<(f64, f64)>,
    /// In words.
    pub verdict: String,
}

impl Pair {
    /// Whether both say the same, to the last digit.
    pub fn is_equal(&self) -> bool {
        self.a.is_some() && self.a == self.b
    }
}

/// Two reports side by side.
#[derive(Debug)]
pub struct Judged {
    /// Whether the reports are taken to rest on the same patients.
    pub same_patients: bool,
    /// What has to be said before the numbers.
    pub remarks: Vec<String>,
    /// All numbers of A, and then those that B has besides.
    pub pairs: Vec<Pair>,
    /// Whether the files say the same, name of the schema aside.
    pub is_identical: bool,
}

/// Values closer than this are the same but for the order of a sum.
const ROUNDING: f64 = 1e-12;

/// Sets two reports side by side.
pub fn judge(a: &Side, b: &Side, patients: Patients) -> Judged {
    let same_counts = a.study.patients == b.study.patients && a.study.classes == b.study.classes;
    let same_patients = match patients {
        Patients::Auto => same_counts,
        Patients::Same => true,
        Patients::Different => false,
    };
    let judge = |place: &Place, of_a: Option<&Number>, of_b: Option<&Number>| {
        let levels = [a.study.confidence, b.study.confidence];
        pair(place, of_a, of_b, same_patients, levels)
    };
    let find = |side: &'_ Side, place: &Place| {
        side.numbers.iter().find(|(known, _)| known == place).map(|(_, number)| number.clone())
    };
    let comparable = |place: &Place| is_comparable(&a.study, &b.study, place);
    let of_a = a.numbers.iter().filter(|(place, _)| comparable(place));
    let mut pairs: Vec<Pair> =
        of_a.map(|(place, number)| judge(place, Some(number), find(b, place).as_ref())).collect();
    let only_b = b.numbers.iter().filter(|(place, _)| comparable(place) && find(a, place).is_none());
    pairs.extend(only_b.map(|(place, number)| judge(place, None, Some(number))));
    let is_identical =
        a.conditions == b.conditions && ["methods", "comparisons"].iter().all(|key| a.value[*key] == b.value[*key]);
    Judged { same_patients, remarks: remarks(a, b, same_patients, patients), pairs, is_identical }
}

/// Whether a number means the same in both: none does with other classes, few with another positive class.
fn is_comparable(a: &Study, b: &Study, place: &Place) -> bool {
    let of_all = [Metric::Accuracy, Metric::BalancedAccuracy, Metric::Mcc, Metric::MacroAuc];
    let any_positive = place.level.ends_with("attention")
        || place.level.starts_with("auc_by_class")
        || of_all.iter().any(|metric| metric.key() == place.metric);
    a.classes == b.classes && (a.positive == b.positive || any_positive)
}

fn remarks(a: &Side, b: &Side, same_patients: bool, patients: Patients) -> Vec<String> {
    let mut remarks = Vec::new();
    let (left, right) = (&a.study, &b.study);
    if left.classes != right.classes {
        let names = |study: &Study| study.classes.join(", ");
        remarks.push(format!(
            "The classes differ (A: {}; B: {}), so no number of one has its like in the other: nothing is compared.",
            names(left),
            names(right)
        ));
    } else if left.positive != right.positive {
        remarks.push(format!(
            "The positive class differs (A: {}, B: {}); compared is only what does not depend on it.",
            left.positive, right.positive
        ));
    }
    for key in a.conditions.keys().chain(b.conditions.keys().filter(|key| !a.conditions.contains_key(*key))) {
        let (of_a, of_b) = (a.conditions.get(key), b.conditions.get(key));
        if of_a != of_b && !["classes", "positive"].contains(&key.as_str()) {
            let show = |value: Option<&serde_json::Value>| value.map_or("not said".to_owned(), ToString::to_string);
            remarks.push(format!("{key} differs. A: {}; B: {}.", show(of_a), show(of_b)));
        }
    }
    let lacks = |name: &str, there: &Study, here: &Study| {
        let missing: Vec<&str> =
            there.methods.iter().filter(|method| !here.methods.contains(method)).map(String::as_str).collect();
        (!missing.is_empty()).then(|| format!("{name} has no method {}.", missing.join(", ")))
    };
    remarks.extend(lacks("B", left, right));
    remarks.extend(lacks("A", right, left));
    remarks.push(match (same_patients, patients) {
        (true, Patients::Auto) => {
            "Both have the same number of patients of each class, so they are taken for the same patients; \
                                   --patients different if they are not."
                .to_owned()
        }
        (false, Patients::Auto) => {
            "Their numbers of patients differ, so they are taken for different patients; --patients same \
                                    if some are in both."
                .to_owned()
        }
        (true, _) => "The patients are the same, as --patients says.".to_owned(),
        (false, _) => "The patients are different, as --patients says.".to_owned(),
    });
    remarks.push(if same_patients {
        "Reports on the same patients are not independent: the intervals of each do not give the interval of the difference. \
         Said is only whether a value lies inside the other's interval."
            .to_owned()
    } else {
        "The test is approximate: a standard error is the width of an interval over twice its normal quantile; p is not \
         corrected for the number of rows."
            .to_owned()
    });
    remarks
}

fn pair(place: &Place, a: Option<&Number>, b: Option<&Number>, same: bool, levels: [f64; 2]) -> Pair {
    let value = |number: Option<&Number>| number.and_then(|number| number.value.as_ref().ok().copied());
    let difference = value(a).zip(value(b)).map(|(a, b)| b - a);
    let mut test = None;
    let verdict = match (a, b) {
        (None, _) => "not in A".to_owned(),
        (_, None) => "not in B".to_owned(),
        (Some(Number { value: Err(of_a), .. }), Some(Number { value: Err(of_b), .. })) if of_a == of_b => {
            format!("n/a in both: {of_a}")
        }
        (Some(Number { value: Err(of_a), .. }), Some(Number { value: Err(of_b), .. })) => {
            format!("n/a in A: {of_a}; n/a in B: {of_b}")
        }
        (Some(Number { value: Err(reason), .. }), _) => format!("n/a in A: {reason}"),
        (_, Some(Number { value: Err(reason), .. })) => format!("n/a in B: {reason}"),
        (Some(a), Some(b)) => {
            let difference = difference.unwrap_or(0.0);
            let conclusion = if place.is_comparison { conclusions(a, b) } else { None };
            let words = match (difference.abs() <= ROUNDING, a.ends, b.ends) {
                (true, ends_a, ends_b) => equal(ends_a, ends_b),
                (false, Some(ends_a), Some(ends_b)) if same => inside([(a, ends_a), (b, ends_b)]),
                (false, Some(ends_a), Some(ends_b)) => {
                    test = z_test(difference, [ends_a, ends_b], levels);
                    tested(test, 1.0 - levels[0])
                }
                _ => "no interval to judge by".to_owned(),
            };
            [Some(words), conclusion].into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
    };
    Pair { place: place.clone(), a: a.cloned(), b: b.cloned(), difference, test, verdict }
}

fn equal(a: Option<(f64, f64)>, b: Option<(f64, f64)>) -> String {
    let close = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() <= ROUNDING && (a.1 - b.1).abs() <= ROUNDING;
    match (a, b) {
        (Some(a), Some(b)) if !close(a, b) => "equal, with another interval".to_owned(),
        (Some(_), None) | (None, Some(_)) => "equal, with an interval on one side".to_owned(),
        _ => "equal".to_owned(),
    }
}

/// Whether each value lies in the other's interval.
fn inside([(a, ends_a), (b, ends_b)]: [(&Number, (f64, f64)); 2]) -> String {
    let is_in = |number: &Number, (low, high): (f64, f64)| {
        number.value.as_ref().is_ok_and(|value| (low..=high).contains(value))
    };
    match (is_in(b, ends_a), is_in(a, ends_b)) {
        (true, true) => "inside each other's interval",
        (true, false) => "A outside B's interval",
        (false, true) => "B outside A's interval",
        (false, false) => "outside each other's interval",
    }
    .to_owned()
}

/// z and p of a difference between independent values; None if neither has any width.
fn z_test(difference: f64, ends: [(f64, f64); 2], levels: [f64; 2]) -> Option<(f64, f64)> {
    let variance = |((low, high), level): ((f64, f64), f64)| ((high - low) / (2.0 * z(level))).powi(2);
    let error = ends.into_iter().zip(levels).map(variance).sum::<f64>().sqrt();
    (error > 0.0).then(|| (difference / error, two_sided_p(difference / error)))
}

fn tested(test: Option<(f64, f64)>, alpha: f64) -> String {
    let Some((z, p)) = test else { return "the intervals have no width to judge by".to_owned() };
    let words = if p < alpha { "more than noise" } else { "may be noise" };
    let (z, p) = (crate::format::fixed(z, 2), crate::format::p_words(Some(p)));
    format!("{words} (approximate z = {z}, {p})")
}

/// What a paired difference comes to: the sign of its interval.
fn conclusion(number: &Number) -> &'static str {
    match number.ends {
        Some((low, _)) if low > 0.0 => "b higher",
        Some((_, high)) if high < 0.0 => "b lower",
        Some(_) => "no significant difference",
        None => "no interval",
    }
}

fn conclusions(a: &Number, b: &Number) -> Option<String> {
    let (of_a, of_b) = (conclusion(a), conclusion(b));
    (of_a != of_b).then(|| format!("the answer changed from \"{of_a}\" to \"{of_b}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64, low: f64, high: f64) -> Number {
        Number { value: Ok(value), ends: Some((low, high)) }
    }

    fn verdict(a: &Number, b: &Number, same: bool, is_comparison: bool) -> Pair {
        let text = String::new;
        let place = Place { of: text(), level: text(), metric: text(), is_comparison };
        pair(&place, Some(a), Some(b), same, [0.95, 0.95])
    }

    #[test]
    fn the_same_patients_are_not_tested() {
        let a = number(0.5, 0.25, 0.75);
        for (b, words) in [
            (number(0.6, 0.4, 0.8), "inside each other's interval"),
            (number(0.6, 0.55, 0.8), "A outside B's interval"),
            (number(0.8, 0.4, 0.9), "B outside A's interval"),
            (number(0.8, 0.7, 0.9), "outside each other's interval"),
            (number(0.5, 0.25, 0.75), "equal"),
            (number(0.5, 0.25, 0.8), "equal, with another interval"),
        ] {
            let found = verdict(&a, &b, true, false);
            assert_eq!((found.verdict.as_str(), found.test), (words, None));
        }
    }

    #[test]
    fn other_patients_are_tested_by_the_widths() {
        // scipy 1.17: se = 0.2 / (2 * norm.ppf(0.975)) twice; z = 0.2 / (se * sqrt(2)), p = 2 * norm.sf(z).
        let found = verdict(&number(0.5, 0.4, 0.6), &number(0.7, 0.6, 0.8), false, false);
        let (z, p) = found.test.unwrap();
        assert!((z - 2.771_807_648_699_343_6).abs() < 1e-9 && (p - 0.005_574_596_680_784_305).abs() < 1e-9, "{z} {p}");
        assert_eq!(found.verdict, "more than noise (approximate z = 2.77, p = 0.006)");
        let found = verdict(&number(0.5, 0.4, 0.6), &number(0.6, 0.5, 0.7), false, false);
        assert!(found.verdict.starts_with("may be noise"), "{}", found.verdict);
        assert_eq!(verdict(&number(0.5, 0.5, 0.5), &number(0.6, 0.6, 0.6), false, false).test, None);
    }

    #[test]
    fn a_changed_answer_is_said() {
        let found = verdict(&number(0.1, 0.05, 0.2), &number(0.1, -0.05, 0.2), true, true);
        assert_eq!(
            found.verdict,
            "equal, with another interval; the answer changed from \"b higher\" to \"no significant difference\""
        );
    }
}
