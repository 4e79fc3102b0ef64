//! The answer in one sentence, made from the numbers and their uncertainty, and the sentences that stand behind it.

use crate::assess::{Assessment, MethodResult, Reversed};
use crate::comparison::{Comparison, Level};
use crate::format;
use crate::measure::Measure;
use crate::metrics::Metric;
use crate::outcome::{self, Outcome};
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
        details.extend(tests(assessment, pair));
        details.extend(find(Level::Slice, Metric::Auc).and_then(seed_by_seed));
        details.extend(all_methods(assessment, Level::Slice, Metric::Auc, "Slice AUC"));
        details.extend(all_methods(assessment, Level::Patient, Metric::Accuracy, "Patients diagnosed correctly"));
        details.extend(too_few_resamples(assessment));
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
        verdict(assessment, entry)
    )
}

/// What the test of the slice AUC says; where it finds nothing, whether another test does.
fn verdict(assessment: &Assessment, entry: &Comparison) -> String {
    let confidence = assessment.confidence;
    let said = outcome::sentence(entry, confidence);
    let is_other =
        |other: &&Comparison| (&other.a, &other.b) == (&entry.a, &entry.b) && IN_TABLES.contains(&other.level);
    let mut others = assessment.comparisons.iter().filter(is_other);
    let others_differ = others.any(|other| Outcome::of(other, confidence).is_significant());
    match Outcome::of(entry, confidence).is_significant() {
        false if others_differ => format!("{said}, but the two differ significantly in other measures, named below"),
        _ => said,
    }
}

/// Levels of tables 1, 2 and 4.
const IN_TABLES: [Level; 2] = [Level::Slice, Level::Patient];

/// The result of every test of the two methods, by slice and by patient.
fn tests(assessment: &Assessment, (a, b): (&str, &str)) -> Vec<String> {
    let of = |level: Level| {
        let fits = |entry: &&Comparison| entry.a == a && entry.b == b && entry.level == level;
        let entries: Vec<&Comparison> = assessment.comparisons.iter().filter(fits).collect();
        let said = outcome::of_quantities(&entries, assessment.confidence);
        (!entries.is_empty()).then(|| format!("Tests by {}, {b} against {a}: {said}.", level.title()))
    };
    let mut all: Vec<String> = IN_TABLES.into_iter().filter_map(of).collect();
    if !all.is_empty() {
        all.push("These p are not corrected for the number of measures.".to_owned());
    }
    all
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
        "Patients diagnosed correctly: {b} by {}, {a} by {}; {} only by {} and {} only by {} ({}): {}.",
        entry.b,
        entry.a,
        discordant.second,
        entry.b,
        discordant.first,
        entry.a,
        entry.test,
        outcome::sentence(entry, assessment.confidence)
    ))
}

fn correct_of(assessment: &Assessment, name: &str) -> Option<String> {
    let (correct, total) = assessment.methods.get(name)?.patient.get(Metric::Accuracy.key())?.fraction?;
    Some(format!("{correct}/{total}"))
}

/// How many methods a sentence names one by one.
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

/// What the tests of one quantity say of all methods compared with `a`.
fn said(assessment: &Assessment, a: &str, level: Level, quantity: impl Into<Quantity>, words: [&str; 2]) -> String {
    outcome::of_methods(&assessment.family(level, quantity), assessment.confidence, a, words)
}

fn all_methods(assessment: &Assessment, level: Level, metric: Metric, title: &str) -> Option<String> {
    let (a, _) = assessment.first_pair()?;
    let methods = assessment.family(level, metric).len();
    (methods > 1).then(|| {
        let said = said(assessment, a, level, metric, ["higher for", "lower for"]);
        format!("{title}, {methods} methods against {a}, after Holm's correction: {said}.")
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
        let more = said(assessment, a, Level::Attention, measure, ["more for", "less for"]);
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
    let words = ["more is lost by", "less is lost by"];
    let by_slice = said(assessment, a, Level::FallSlice, Metric::Auc, words);
    let by_patient = said(assessment, a, Level::FallPatient, Metric::Accuracy, words);
    Some(format!(
        "With the confounder reversed the slice AUC falls by {named}. Against {a}: {by_slice}. Of the patients diagnosed correctly: \
         {by_patient}."
    ))
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
