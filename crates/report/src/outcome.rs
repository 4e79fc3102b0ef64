//! What the test of a difference says, in words. Every sentence about a difference takes its words from here, so that prose and
//! tables agree: the test decides (after Holm's correction where there is one), and the interval only where no p is defined.

use crate::comparison::Comparison;
use crate::format;
use crate::metrics::Metric;
use crate::quantity::Quantity;

/// Rounding in 1 - confidence: a p of exactly 0.05 does not pass at 95 %.
const ROUNDING: f64 = 1e-12;

/// What the test of a difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// b is significantly higher.
    Higher,
    /// b is significantly lower.
    Lower,
    /// Significant as a single comparison, not after Holm's correction.
    OnlyAlone,
    /// Not significant.
    None,
    /// The difference, or its test, is undefined.
    Untested,
}

impl Outcome {
    /// The outcome of a comparison at a level such as 0.95.
    pub fn of(entry: &Comparison, confidence: f64) -> Self {
        let passes = |p: f64| p < 1.0 - confidence - ROUNDING;
        let Ok(difference) = entry.difference else { return Self::Untested };
        let significant = match (entry.p_holm.or(entry.p), &entry.interval) {
            (Some(p), _) => passes(p),
            (None, Ok(ends)) => excludes_zero(*ends),
            (None, Err(_)) => return Self::Untested,
        };
        match significant {
            true if difference > 0.0 => Self::Higher,
            true if difference < 0.0 => Self::Lower,
            false if entry.p_holm.is_some() && entry.p.is_some_and(passes) => Self::OnlyAlone,
            _ => Self::None,
        }
    }

    /// True if b differs significantly.
    pub fn is_significant(self) -> bool {
        matches!(self, Self::Higher | Self::Lower)
    }
}

fn excludes_zero((low, high): (f64, f64)) -> bool {
    low > 0.0 || high < 0.0
}

/// The p that decides, in brackets, or what decides instead; and whether the interval says otherwise.
fn evidence(entry: &Comparison, outcome: Outcome) -> String {
    let p = match (entry.p, entry.p_holm) {
        (_, Some(holm)) => format!("{} after Holm's correction", format::p_words(Some(holm))),
        (Some(p), None) => format::p_words(Some(p)),
        (None, None) => "no p is defined; by its interval".to_owned(),
    };
    let odd = match (outcome, &entry.interval) {
        (Outcome::None, Ok(ends)) if excludes_zero(*ends) => ", although the interval excludes 0",
        (Outcome::Higher | Outcome::Lower, Ok(ends)) if !excludes_zero(*ends) => ", although the interval includes 0",
        _ => "",
    };
    format!("{p}{odd}")
}

/// What the test of one difference says: "b is significantly higher (p = 0.012)".
pub fn sentence(entry: &Comparison, confidence: f64) -> String {
    let outcome = Outcome::of(entry, confidence);
    let evidence = evidence(entry, outcome);
    match outcome {
        Outcome::Higher => format!("{} is significantly higher ({evidence})", entry.b),
        Outcome::Lower => format!("{} is significantly higher ({evidence})", entry.a),
        Outcome::OnlyAlone => {
            let holm = format::p_words(entry.p_holm);
            format!(
                "significant as a single comparison ({}), not after Holm's correction ({holm})",
                format::p_words(entry.p)
            )
        }
        Outcome::None => format!("no significant difference ({evidence})"),
        Outcome::Untested => format!("the difference is not tested: {}", reason(entry)),
    }
}

/// Why there is no test.
fn reason(entry: &Comparison) -> &str {
    entry.difference.as_ref().err().or(entry.interval.as_ref().err()).map_or("no p is defined", String::as_str)
}

/// A quantity in a sentence.
fn name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Metric(Metric::AucClustered) => "clustered AUC",
        other => other.title(),
    }
}

/// "a", "a and b", "a, b and c".
pub fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What the tests of several quantities of one pair say, every one of them named.
pub fn of_quantities(entries: &[&Comparison], confidence: f64) -> String {
    let with = |wanted: Outcome| entries.iter().copied().filter(move |entry| Outcome::of(entry, confidence) == wanted);
    let listed = |wanted: Outcome| {
        let one = |entry: &Comparison| format!("{} ({})", name(entry.quantity), evidence(entry, wanted));
        with(wanted).map(one).collect::<Vec<_>>()
    };
    let alone: Vec<String> = with(Outcome::OnlyAlone)
        .map(|entry| {
            format!("{} ({}, {})", name(entry.quantity), format::p_words(entry.p), evidence(entry, Outcome::OnlyAlone))
        })
        .collect();
    let untested = with(Outcome::Untested).map(|entry| name(entry.quantity).to_owned()).collect::<Vec<_>>();
    let part = |words: &str, names: &[String]| (!names.is_empty()).then(|| format!("{words} {}", join(names)));
    [
        part("significantly higher", &listed(Outcome::Higher)),
        part("significantly lower", &listed(Outcome::Lower)),
        part("significant as a single comparison only:", &alone),
        part("no significant difference in", &listed(Outcome::None)),
        part("not tested:", &untested),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("; ")
}

/// How many methods a sentence names one by one where nothing sets them apart.
const NAMED: usize = 4;

/// What the tests of one quantity say of several methods against `against`: `words` for those higher and for those lower.
pub fn of_methods(entries: &[&Comparison], confidence: f64, against: &str, words: [&str; 2]) -> String {
    let with = |wanted: Outcome| -> Vec<&Comparison> {
        entries.iter().copied().filter(|entry| Outcome::of(entry, confidence) == wanted).collect()
    };
    let names = |wanted: Outcome| with(wanted).into_iter().map(|entry| entry.b.clone()).collect::<Vec<_>>();
    let part = |words: &str, names: &[String]| (!names.is_empty()).then(|| format!("{words} {}", join(names)));
    let alone: Vec<String> = with(Outcome::OnlyAlone)
        .into_iter()
        .map(|entry| format!("{} ({}, {})", entry.b, format::p_words(entry.p), evidence(entry, Outcome::OnlyAlone)))
        .collect();
    let (none, rest) = (names(Outcome::None), entries.len() - with(Outcome::None).len());
    let none = match &none[..] {
        [] => None,
        [_, _, ..] if rest == 0 => Some("any of them".to_owned()),
        names if names.len() <= NAMED => Some(join(names)),
        names => Some(format!("the other {}", names.len())),
    };
    [
        part(&format!("significantly {}", words[0]), &names(Outcome::Higher)),
        part(&format!("significantly {}", words[1]), &names(Outcome::Lower)),
        part("significant as a single comparison only:", &alone),
        none.map(|names| format!("no significant difference from {against} for {names}")),
        part("not tested:", &names(Outcome::Untested)),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{BOOTSTRAP, Level};

    fn entry(
        difference: Result<f64, &str>,
        interval: Result<(f64, f64), &str>,
        p: Option<f64>,
        holm: Option<f64>,
    ) -> Comparison {
        Comparison {
            a: "old".to_owned(),
            b: "new".to_owned(),
            seeds: vec![0],
            level: Level::Slice,
            quantity: Metric::Auc.into(),
            difference: difference.map_err(str::to_owned),
            interval: interval.map_err(str::to_owned),
            p,
            p_holm: holm,
            test: BOOTSTRAP,
            interval_method: BOOTSTRAP,
            discordant: None,
            wins: None,
        }
    }

    #[test]
    fn the_words_of_each_case_follow_from_its_test() {
        // Decided by hand, at 95 %.
        let none = "few";
        let cases = [
            (entry(Ok(0.1), Ok((0.05, 0.2)), Some(0.01), None), "new is significantly higher (p = 0.010)"),
            (entry(Ok(-0.1), Ok((-0.2, -0.05)), Some(0.01), None), "old is significantly higher (p = 0.010)"),
            (entry(Ok(0.1), Ok((-0.05, 0.2)), Some(0.3), None), "no significant difference (p = 0.300)"),
            (entry(Ok(0.0), Ok((0.0, 0.0)), Some(1.0), None), "no significant difference (p = 1.000)"),
            // A p of 0.05 is not below 0.05, whatever 1 - 0.95 is in binary.
            (entry(Ok(0.1), Ok((-0.01, 0.2)), Some(0.05), None), "no significant difference (p = 0.050)"),
            // 0 of 40 against 40 of 40: an interval without width.
            (entry(Ok(1.0), Ok((1.0, 1.0)), Some(2e-12), None), "new is significantly higher (p < 0.001)"),
            (
                entry(Ok(-1.0), Ok((-1.0, -1.0)), None, None),
                "old is significantly higher (no p is defined; by its interval)",
            ),
            (entry(Ok(1.0), Err(none), Some(2e-12), None), "new is significantly higher (p < 0.001)"),
            // Test and interval that disagree: the test decides, the interval is told.
            (
                entry(Ok(0.1), Ok((0.01, 0.2)), Some(0.07), None),
                "no significant difference (p = 0.070, although the interval excludes 0)",
            ),
            (
                entry(Ok(0.1), Ok((-0.01, 0.2)), Some(0.04), None),
                "new is significantly higher (p = 0.040, although the interval includes 0)",
            ),
            (
                entry(Ok(0.1), Ok((0.01, 0.2)), Some(0.03), Some(0.12)),
                "significant as a single comparison (p = 0.030), not after Holm's correction (p = 0.120)",
            ),
            (
                entry(Ok(0.1), Ok((0.01, 0.2)), Some(0.01), Some(0.04)),
                "new is significantly higher (p = 0.040 after Holm's correction)",
            ),
            (entry(Ok(0.1), Err(none), None, None), "the difference is not tested: few"),
            (entry(Err("one class"), Err("one class"), None, None), "the difference is not tested: one class"),
        ];
        for (entry, expected) in cases {
            assert_eq!(sentence(&entry, 0.95), expected);
        }
    }

    #[test]
    fn every_quantity_is_named_with_its_result() {
        let of = |metric: Metric, entry: Comparison| Comparison { quantity: metric.into(), ..entry };
        let entries = [
            of(Metric::Accuracy, entry(Ok(1.0), Ok((1.0, 1.0)), Some(0.0001), None)),
            of(Metric::Sensitivity, entry(Ok(-0.2), Ok((-0.3, -0.1)), Some(0.02), None)),
            of(Metric::AucClustered, entry(Ok(0.0), Ok((-0.1, 0.1)), Some(0.9), None)),
            of(Metric::Auc, entry(Ok(0.1), Ok((0.0, 0.1)), Some(0.03), Some(0.06))),
            of(Metric::Ppv, entry(Err("no"), Err("no"), None, None)),
        ];
        let expected = "significantly higher accuracy (p < 0.001); significantly lower sensitivity (p = 0.020); significant as a \
                        single comparison only: AUC (p = 0.030, p = 0.060 after Holm's correction); no significant difference in clustered \
                        AUC (p = 0.900); not tested: PPV";
        assert_eq!(of_quantities(&entries.iter().collect::<Vec<_>>(), 0.95), expected);
    }

    #[test]
    fn every_method_is_named_with_its_result() {
        let of = |b: &str, entry: Comparison| Comparison { b: b.to_owned(), ..entry };
        let none = || entry(Ok(0.1), Ok((-0.1, 0.2)), Some(0.4), Some(0.8));
        let said = |entries: &[Comparison]| {
            of_methods(&entries.iter().collect::<Vec<_>>(), 0.95, "old", ["higher for", "lower for"])
        };
        let some = [
            of("u", entry(Ok(0.1), Ok((0.1, 0.2)), Some(0.001), Some(0.004))),
            of("v", entry(Ok(-0.1), Ok((-0.2, -0.1)), Some(0.002), Some(0.006))),
            of("w", entry(Ok(0.1), Ok((0.1, 0.2)), Some(0.03), Some(0.06))),
            of("x", none()),
            of("y", entry(Err("no"), Err("no"), None, None)),
        ];
        let expected = "significantly higher for u; significantly lower for v; significant as a single comparison only: w (p = 0.030, \
                        p = 0.060 after Holm's correction); no significant difference from old for x; not tested: y";
        assert_eq!(said(&some), expected);
        assert_eq!(said(&[of("x", none()), of("z", none())]), "no significant difference from old for any of them");
        assert_eq!(said(&[of("x", none())]), "no significant difference from old for x");
    }
}
