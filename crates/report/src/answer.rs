//! The answer in one sentence, made from the numbers and their uncertainty, and the sentences that stand behind it.

use crate::assess::{Assessment, MethodResult, Reversed};
use crate::comparison::{Comparison, Level};
use crate::format;
use crate::measure::Measure;
use crate::metrics::Metric;
use crate::quantity::Quantity;
use crate::tables::{collapsed, too_few_resamples};

/// What the study says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The one sentence.
    pub sentence: String,
    /// Further sentences: trade-off, patients, the other methods, attention, the confounder reversed.
    pub details: Vec<String>,
}

/// Words for what a difference's interval says.
fn verdict(entry: &Comparison, lower_is_better: bool) -> String {
    match &entry.interval {
        Err(reason) => format!("no interval can be given ({reason}), so nothing can be concluded"),
        Ok((low, high)) if *low > 0.0 || *high < 0.0 => {
            let better = (*low > 0.0) != lower_is_better;
            let winner = if better { &entry.b } else { &entry.a };
            format!("{winner} is better by more than the choice of patients explains")
        }
        Ok(_) => "the data do not tell them apart".to_owned(),
    }
}

impl Answer {
    /// Writes the answer: the first pair of methods in full, then what is to be said of all.
    pub fn new(assessment: &Assessment) -> Self {
        let Some(pair) = assessment.first_pair() else { return Self::without_comparison(assessment) };
        let find = |level: Level, metric: Metric| assessment.comparison(pair, level, metric);
        let sentence = find(Level::Slice, Metric::Auc).map_or_else(String::new, |entry| headline(assessment, entry));
        let trade = find(Level::Slice, Metric::Sensitivity).zip(find(Level::Slice, Metric::Specificity));
        let mut details: Vec<String> =
            trade.map(|(sensitivity, specificity)| trade_off(sensitivity, specificity)).into_iter().collect();
        details.extend(find(Level::Patient, Metric::Accuracy).and_then(|entry| patients(assessment, entry)));
        details.extend(find(Level::Slice, Metric::Auc).and_then(seed_by_seed));
        details.extend(all_methods(assessment));
        details.extend(attention(assessment, pair));
        details.extend(collapsed(assessment));
        details.extend(reversed(assessment));
        details.push(caution(assessment));
        Self { sentence, details }
    }

    /// All sentences, a line each.
    pub fn text(&self) -> String {
        std::iter::once(&self.sentence).chain(&self.details).map(|sentence| format!("{sentence}\n")).collect()
    }

    fn without_comparison(assessment: &Assessment) -> Self {
        let level = format::level(assessment.confidence);
        let one = |(name, result): &(String, MethodResult)| {
            let auc = result.slice.get(Metric::Auc.key())?;
            Some(format!("{name}: slice AUC {} ({level} interval)", format::estimate(Metric::Auc, auc)))
        };
        let all: Vec<String> = assessment.methods.0.iter().filter_map(one).collect();
        let sentence = format!("No two methods were compared on {}; {}.", assessment.study, all.join("; "));
        Self { sentence, details: Vec::new() }
    }
}

fn headline(assessment: &Assessment, entry: &Comparison) -> String {
    let auc = |name: &str| assessment.methods.get(name)?.slice.get(Metric::Auc.key())?.defined();
    let difference = match &entry.difference {
        Ok(difference) => *difference,
        Err(reason) => {
            return format!(
                "On {} the slice AUC of {} and {} cannot be compared: {reason}.",
                assessment.study, entry.b, entry.a
            );
        }
    };
    let positive = &assessment.classes[assessment.positive];
    let show = |name: &str| auc(name).map_or(format::UNDEFINED.to_owned(), |value| format::number(Metric::Auc, value));
    let interval = entry.interval.as_ref().map_or_else(
        |_| String::new(),
        |(low, high)| {
            let ends = [*low, *high].map(|end| format::signed(Metric::Auc, end));
            format!(", {} interval {} to {}", format::level(assessment.confidence), ends[0], ends[1])
        },
    );
    format!(
        "On {} the slice AUC{} of {} is {} against {} of {} (difference {}{interval}): {}.",
        assessment.study,
        if assessment.classes.len() > 2 { format!(" ({positive} against the rest)") } else { String::new() },
        entry.b,
        show(&entry.b),
        show(&entry.a),
        entry.a,
        format::signed(Metric::Auc, difference),
        verdict(entry, false)
    )
}

fn trade_off(sensitivity: &Comparison, specificity: &Comparison) -> String {
    let show = |entry: &Comparison| {
        let text = format::difference(entry);
        if entry.difference.is_ok() { format!("{text} points") } else { text }
    };
    format!(
        "By slice, {} minus {}: sensitivity {}, specificity {}.",
        sensitivity.b,
        sensitivity.a,
        show(sensitivity),
        show(specificity)
    )
}

fn patients(assessment: &Assessment, entry: &Comparison) -> Option<String> {
    let (b, a) = (correct_of(assessment, &entry.b)?, correct_of(assessment, &entry.a)?);
    let discordant = entry.discordant?;
    Some(format!(
        "Patients diagnosed correctly: {b} by {}, {a} by {}; {} only by {} and {} only by {} ({} {}).",
        entry.b,
        entry.a,
        discordant.second,
        entry.b,
        discordant.first,
        entry.a,
        entry.test,
        format::p_words(entry.p)
    ))
}

fn correct_of(assessment: &Assessment, name: &str) -> Option<String> {
    let (correct, total) = assessment.methods.get(name)?.patient.get(Metric::Accuracy.key())?.fraction?;
    Some(format!("{correct}/{total}"))
}

/// How many methods a sentence names one by one where nothing sets them apart.
const NAMED: usize = 4;

/// How the seeds of both came out, one by one.
fn seed_by_seed(entry: &Comparison) -> Option<String> {
    let wins = entry.wins.filter(|_| entry.seeds.len() > 1)?;
    let ties = if wins.ties > 0 { format!(", {} equal", wins.ties) } else { String::new() };
    Some(format!(
        "Seed by seed the slice AUC was higher for {} in {} of {}, for {} in {}{ties}.",
        entry.b,
        wins.b,
        format::plural(entry.seeds.len() as u64, "seed"),
        entry.a,
        wins.a
    ))
}

/// The methods that differ from the one compared with by more than the choice of patients explains, after Holm's correction
/// where there are several. Those whose difference is undefined are left out.
struct Split<'a> {
    higher: Vec<&'a str>,
    lower: Vec<&'a str>,
    neither: Vec<&'a str>,
}

fn split(assessment: &Assessment, level: Level, quantity: impl Into<Quantity>) -> Split<'_> {
    let mut split = Split { higher: Vec::new(), lower: Vec::new(), neither: Vec::new() };
    for entry in assessment.family(level, quantity) {
        let tested = match (entry.p_holm, &entry.interval) {
            (Some(p), _) => p < 1.0 - assessment.confidence,
            (None, Ok((low, high))) => *low > 0.0 || *high < 0.0,
            (None, Err(_)) => false,
        };
        match entry.difference {
            Err(_) => {}
            Ok(difference) if tested && difference > 0.0 => split.higher.push(&entry.b),
            Ok(difference) if tested && difference < 0.0 => split.lower.push(&entry.b),
            Ok(_) => split.neither.push(&entry.b),
        }
    }
    split
}

/// "a", "a and b", "a, b and c".
fn join(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What is said of a family: `words` for those higher and for those lower, then who cannot be told apart.
fn said(split: &Split, against: &str, words: [&str; 2]) -> String {
    let part = |names: &[&str], words: &str| (!names.is_empty()).then(|| format!("{words} {}", join(names)));
    let all = split.higher.is_empty() && split.lower.is_empty();
    let rest = match &split.neither[..] {
        [] => None,
        [_, _, ..] if all => Some("any of them".to_owned()),
        names if names.len() <= NAMED => Some(join(names)),
        names => Some(format!("the other {}", names.len())),
    };
    let apart = rest.map(|rest| format!("the data do not tell {rest} apart from {against}"));
    let parts = [part(&split.higher, words[0]), part(&split.lower, words[1]), apart];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn all_methods(assessment: &Assessment) -> Option<String> {
    let (a, _) = assessment.first_pair()?;
    let split = split(assessment, Level::Slice, Metric::Auc);
    let methods = split.higher.len() + split.lower.len() + split.neither.len();
    (methods > 1).then(|| {
        let said = said(&split, a, ["higher for", "lower for"]);
        let few = too_few_resamples(assessment).map_or(String::new(), |few| format!(" {few}"));
        format!("Slice AUC of {methods} methods against {a}, after Holm's correction: {said}.{few}")
    })
}

fn attention(assessment: &Assessment, (a, b): (&str, &str)) -> Vec<String> {
    let value =
        |name: &str, measure: Measure| assessment.methods.get(name)?.attention.as_ref()?.get(measure.key())?.defined();
    let sentence = |measure: Measure, of: &str| {
        let share = |name: &str| {
            let percent = format::number(measure, value(name, measure)?);
            Some(format!("{percent} % for {name}"))
        };
        let shares: Vec<String> = [b, a].into_iter().filter_map(share).collect();
        let uniform = [b, a].into_iter().find_map(|name| value(name, measure.uniform()?));
        let uniform =
            uniform.map_or(String::new(), |share| format!(" (a uniform map: {} %)", format::number(measure, share)));
        let split = split(assessment, Level::Attention, measure);
        let more = said(&split, a, ["more for", "less for"]);
        let more = if more.is_empty() { String::new() } else { format!("; against {a}: {more}") };
        (!shares.is_empty()).then(|| format!("Share of the attention {of}: {}{uniform}{more}.", shares.join(", ")))
    };
    [(Measure::InLung, "inside the lungs"), (Measure::InLesion, "on lesions")]
        .into_iter()
        .filter_map(|(measure, of)| sentence(measure, of))
        .collect()
}

/// How much each loses when the confounder is reversed.
fn reversed(assessment: &Assessment) -> Option<String> {
    let fall = |reversed: &Reversed| reversed.fall_slice.get(Metric::Auc.key())?.defined();
    let of = |(name, result): &'_ (String, MethodResult)| Some((name.clone(), fall(result.reversed.as_ref()?)?));
    let mut falls: Vec<(String, f64)> = assessment.methods.0.iter().filter_map(of).collect();
    let show = |(name, fall): &(String, f64)| format!("{} for {name}", format::number(Metric::Auc, *fall));
    let (a, _) = assessment.first_pair()?;
    let named = match falls.len() {
        0 => return None,
        1..=NAMED => falls.iter().map(show).collect::<Vec<_>>().join(", "),
        _ => {
            falls.sort_by(|x, y| x.1.total_cmp(&y.1));
            let inside = &falls[1..falls.len() - 1];
            let own = inside.iter().find(|(name, _)| name == a).map_or(String::new(), |own| format!(", {}", show(own)));
            format!("{} (least){own}, {} (most)", show(&falls[0]), show(&falls[falls.len() - 1]))
        }
    };
    let against = said(&split(assessment, Level::FallSlice, Metric::Auc), a, ["more is lost by", "less is lost by"]);
    Some(format!("With the confounder reversed the slice AUC falls by {named}. Against {a}: {against}."))
}

fn caution(assessment: &Assessment) -> String {
    let counts = || assessment.methods.0.iter().map(|(_, result)| result.seeds.len());
    let (fewest, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    if most > 1 {
        let seeds = if fewest == most { format!("{most} seeds") } else { format!("{fewest} to {most} seeds a method") };
        return format!(
            "Means over {seeds}; the intervals cover the choice of patients, and the rows by seed show the chance in \
             training."
        );
    }
    "One training run for each method and fold. The intervals cover the choice of patients and not the chance in \
     training, so a difference may come from the seed; train.seeds adds runs."
        .to_owned()
}
