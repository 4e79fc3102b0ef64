//! The answer in one sentence, made from the numbers and their uncertainty, and the sentences that stand behind it.

use crate::assess::{Assessment, Comparison};
use crate::format;
use crate::metrics::Metric;

/// What the study says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The one sentence.
    pub sentence: String,
    /// Further sentences: trade-off, patients, attention.
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
    /// Writes the answer for the first pair of methods compared.
    pub fn new(assessment: &Assessment) -> Self {
        let Some(first) = assessment.comparisons.first() else { return Self::without_comparison(assessment) };
        let find = |level: &str, metric: Metric| {
            let fits = |entry: &&Comparison| {
                entry.level == level && entry.metric == metric.key() && entry.a == first.a && entry.b == first.b
            };
            assessment.comparisons.iter().find(fits)
        };
        let sentence = find("slice", Metric::Auc).map_or_else(String::new, |entry| headline(assessment, entry));
        let trade = find("slice", Metric::Sensitivity).zip(find("slice", Metric::Specificity));
        let mut details: Vec<String> =
            trade.map(|(sensitivity, specificity)| trade_off(sensitivity, specificity)).into_iter().collect();
        details.extend(find("patient", Metric::Accuracy).and_then(|entry| patients(assessment, entry)));
        details.extend(find("slice", Metric::AttentionInLung).and_then(|entry| attention(assessment, entry)));
        details.push(caution(assessment));
        Self { sentence, details }
    }

    fn without_comparison(assessment: &Assessment) -> Self {
        let level = format::level(assessment.confidence);
        let one = |(name, result): &(String, crate::assess::MethodResult)| {
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
    let show = |name: &str| auc(name).map_or(format::UNDEFINED.to_owned(), |value| format::number(Metric::Auc, value));
    let interval = entry.interval.as_ref().map_or_else(
        |_| String::new(),
        |(low, high)| {
            let ends = [*low, *high].map(|end| format::signed(Metric::Auc, end));
            format!(", {} interval {} to {}", format::level(assessment.confidence), ends[0], ends[1])
        },
    );
    format!(
        "On {} the slice AUC of {} is {} against {} of {} (difference {}{interval}): {}.",
        assessment.study,
        entry.b,
        show(&entry.b),
        show(&entry.a),
        entry.a,
        format::signed(Metric::Auc, difference),
        verdict(entry, false)
    )
}

fn trade_off(sensitivity: &Comparison, specificity: &Comparison) -> String {
    let show = |metric, entry: &Comparison| {
        let text = format::difference(metric, entry);
        if entry.difference.is_ok() { format!("{text} points") } else { text }
    };
    format!(
        "By slice, {} minus {}: sensitivity {}, specificity {}.",
        sensitivity.b,
        sensitivity.a,
        show(Metric::Sensitivity, sensitivity),
        show(Metric::Specificity, specificity)
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

fn attention(assessment: &Assessment, entry: &Comparison) -> Option<String> {
    let share = |name: &str| assessment.methods.get(name)?.slice.get(entry.metric)?.defined();
    let (a, b) = (share(&entry.a)?, share(&entry.b)?);
    let percent = |value| format::number(Metric::AttentionInLung, value);
    Some(format!(
        "Share of the attention inside the lung: {} % for {}, {} % for {}.",
        percent(b),
        entry.b,
        percent(a),
        entry.a
    ))
}

fn caution(assessment: &Assessment) -> String {
    let seeds = assessment.seeds.len();
    if seeds > 1 {
        return format!(
            "Means over {seeds} seeds; the intervals cover the choice of patients, and the rows by seed show the chance \
             in training."
        );
    }
    "One training run for each method and fold. The intervals cover the choice of patients and not the chance in \
     training, so a difference may come from the seed; train.seeds adds runs."
        .to_owned()
}
