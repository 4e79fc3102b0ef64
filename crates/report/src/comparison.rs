//! Differences between two methods over the seeds both have, paired by patient, with tests, and Holm's correction where
//! several methods are compared with the same one.

use serde::Serialize;

use crate::clustered::OBUCHOWSKI;
use crate::compare::{DELONG, DeLong, Discordant, holm};
use crate::estimate::{self, FEW_PATIENTS, Interval, normal_interval};
use crate::intervals::{bootstrap_p, two_sided_p};
use crate::metrics::Metric;
use crate::pool::{FRACTIONS, Pair, Pool, REVERSED_PATIENTS, REVERSED_SLICES, Statistic, differences};
use crate::quantity::Quantity;

/// What a difference is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Slices.
    Slice,
    /// Patients.
    Patient,
    /// Attention maps.
    Attention,
    /// How much is lost by slice with the confounder reversed.
    FallSlice,
    /// How much is lost by patient with the confounder reversed.
    FallPatient,
}

impl Level {
    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Slice => "slice",
            Self::Patient => "patient",
            Self::Attention => "attention",
            Self::FallSlice => "slice, fall",
            Self::FallPatient => "patient, fall",
        }
    }
}

/// Of the seeds both methods have, how many each won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wins {
    /// Seeds in which b is higher.
    pub b: usize,
    /// Seeds in which they are equal.
    pub ties: usize,
    /// Seeds in which a is higher.
    pub a: usize,
}

impl Wins {
    /// Counts pairs of values (a, b).
    pub fn count(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        pairs.into_iter().fold(Self::default(), |wins, (a, b)| match b.total_cmp(&a) {
            _ if a == b => Self { ties: wins.ties + 1, ..wins },
            std::cmp::Ordering::Greater => Self { b: wins.b + 1, ..wins },
            _ => Self { a: wins.a + 1, ..wins },
        })
    }
}

/// A difference between two methods, b - a.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "serde_json::Map<String, serde_json::Value>")]
pub struct Comparison {
    /// The method compared against.
    pub a: String,
    /// The method in question.
    pub b: String,
    /// The seeds it rests on: those that both have.
    pub seeds: Vec<i64>,
    /// What it is of.
    pub level: Level,
    /// The metric or measure.
    pub quantity: Quantity,
    /// b - a, or why it is undefined.
    pub difference: Result<f64, String>,
    /// Its interval.
    pub interval: Interval,
    /// Two-sided p; None if undefined.
    pub p: Option<f64>,
    /// p after Holm's correction over the methods compared with a in this quantity; None if there is one such method.
    pub p_holm: Option<f64>,
    /// The test p comes from.
    pub test: &'static str,
    /// How the interval was made.
    pub interval_method: &'static str,
    /// For McNemar: patients only a, and only b, got right.
    pub discordant: Option<Discordant>,
    /// Seed by seed; for the AUC of slices and the accuracy of patients.
    pub wins: Option<Wins>,
}

impl From<Comparison> for serde_json::Map<String, serde_json::Value> {
    fn from(entry: Comparison) -> Self {
        use serde_json::json;
        let mut map = Self::new();
        map.insert("a".into(), json!(entry.a));
        map.insert("b".into(), json!(entry.b));
        map.insert("seeds".into(), json!(entry.seeds));
        map.insert("level".into(), json!(entry.level));
        map.insert("metric".into(), json!(entry.quantity.key()));
        map.insert("difference".into(), json!(entry.difference.as_ref().ok()));
        estimate::put_interval(&mut map, &entry.interval);
        map.insert("p".into(), json!(entry.p));
        if let Some(p) = entry.p_holm {
            map.insert("p_holm".into(), json!(p));
        }
        map.insert("test".into(), json!(entry.test));
        map.insert("interval".into(), json!(entry.interval_method));
        if let Some(discordant) = entry.discordant {
            map.insert("only_a_right".into(), json!(discordant.first));
            map.insert("only_b_right".into(), json!(discordant.second));
        }
        if let Some(wins) = entry.wins {
            map.insert("seeds_b_higher".into(), json!(wins.b));
            map.insert("seeds_equal".into(), json!(wins.ties));
            map.insert("seeds_a_higher".into(), json!(wins.a));
        }
        estimate::put_reasons(&mut map, &entry.difference, Some(&entry.interval));
        map
    }
}

/// Name of the slice-level test.
pub const BOOTSTRAP: &str = "bootstrap over patients";
/// Name of the test of patient fractions.
pub const MCNEMAR: &str = "exact McNemar";

/// All comparisons of a pool, pair by pair.
pub fn comparisons(pool: &Pool) -> Vec<Comparison> {
    let mut entries: Vec<Comparison> = pool.pairs.iter().flat_map(|pair| compare(pool, pair)).collect();
    correct(&mut entries);
    entries
}

/// Holm's correction over the comparisons with the same method in the same quantity.
fn correct(entries: &mut [Comparison]) {
    let kind = |entry: &Comparison| (entry.a.clone(), entry.level, entry.quantity);
    let mut seen = Vec::new();
    for first in 0..entries.len() {
        let family = kind(&entries[first]);
        if seen.contains(&family) {
            continue;
        }
        let members: Vec<usize> = (first..entries.len()).filter(|place| kind(&entries[*place]) == family).collect();
        seen.push(family);
        if members.len() < 2 {
            continue;
        }
        let tested: Vec<(usize, f64)> = members.iter().filter_map(|place| Some((*place, entries[*place].p?))).collect();
        let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        tested.iter().zip(adjusted).for_each(|((place, _), p)| entries[*place].p_holm = Some(p));
    }
}

fn compare(pool: &Pool, pair: &Pair) -> Vec<Comparison> {
    let blank = |level: Level, quantity: Quantity, test: &'static str| Comparison {
        a: pair.a.clone(),
        b: pair.b.clone(),
        seeds: pair.seeds.clone(),
        level,
        quantity,
        difference: Err("the two have no seed in common".to_owned()),
        interval: Err("the two have no seed in common".to_owned()),
        p: None,
        p_holm: None,
        test,
        interval_method: BOOTSTRAP,
        discordant: None,
        wins: None,
    };
    let measures = pool.measures.iter().copied().filter(|measure| !measure.is_of_the_slice());
    let falls = pool.evidence.reversed.is_some();
    let mut resampled: Vec<(Level, Quantity, Statistic)> = Vec::new();
    resampled.extend(pool.metrics.iter().map(|metric| (Level::Slice, (*metric).into(), Statistic::Slice(*metric))));
    resampled.extend(measures.map(|measure| (Level::Attention, measure.into(), Statistic::Attention(measure))));
    let by_slice = REVERSED_SLICES.map(|metric| (Level::FallSlice, metric.into(), Statistic::FallSlice(metric)));
    let by_patient =
        REVERSED_PATIENTS.map(|metric| (Level::FallPatient, metric.into(), Statistic::FallPatient(metric)));
    resampled.extend(by_slice.into_iter().chain(by_patient).filter(|_| falls));
    let bootstrapped = resampled.into_iter().map(|(level, quantity, statistic)| {
        let entry = blank(level, quantity, BOOTSTRAP);
        bootstrap(pool, pair, entry, statistic)
    });
    let fractions = FRACTIONS
        .into_iter()
        .map(|metric| mcnemar(pool, pair, blank(Level::Patient, metric.into(), MCNEMAR), metric))
        .chain([delong(pool, pair, blank(Level::Patient, Metric::Auc.into(), DELONG))]);
    // Slices, patients, then the rest: the order of the question; both intervals of the slice AUC side by side.
    let clustered = obuchowski(pool, pair, blank(Level::Slice, Metric::AucClustered.into(), OBUCHOWSKI));
    let mut entries: Vec<Comparison> = bootstrapped.collect();
    let auc = entries.iter().position(|entry| entry.quantity == Metric::Auc.into());
    entries.insert(auc.map_or(0, |place| place + 1), clustered);
    let after = entries.iter().position(|entry| entry.level != Level::Slice).unwrap_or(entries.len());
    entries.splice(after..after, fractions);
    entries
}

fn bootstrap(pool: &Pool, pair: &Pair, entry: Comparison, statistic: Statistic) -> Comparison {
    let Some([a, b]) = pair.sides else { return entry };
    let difference = pool.value(a, statistic).and_then(|a| pool.value(b, statistic).map(|b| b - a));
    let resampled = differences(&pool.resampled(a, statistic), &pool.resampled(b, statistic));
    let interval = difference.clone().and_then(|_| pool.interval(&resampled));
    let p = interval.is_ok().then(|| bootstrap_p(&resampled)).flatten();
    let by_seed = |side: usize| {
        let runs = pool.sides[side].runs.iter();
        runs.map(|run| pool.of_run(*run, statistic).ok()).collect::<Option<Vec<f64>>>()
    };
    let wins = (statistic == Statistic::Slice(Metric::Auc)).then(|| by_seed(a).zip(by_seed(b))).flatten();
    let wins = wins.map(|(a, b)| Wins::count(a.into_iter().zip(b)));
    Comparison { difference, interval, p, wins, ..entry }
}

fn mcnemar(pool: &Pool, pair: &Pair, entry: Comparison, metric: Metric) -> Comparison {
    let Some(sides) = pair.sides else { return entry };
    let counted: Vec<usize> = (0..pool.labels.len()).filter(|p| pool.counts_for(metric, *p)).collect();
    let right = |side: usize, p: usize| pool.is_right(metric, p, pool.sides[side].decisions[p]);
    let discordant = Discordant::count(counted.iter().map(|p| (right(sides[0], *p), right(sides[1], *p))));
    if counted.is_empty() {
        let reason = "no patients to compare".to_owned();
        return Comparison { difference: Err(reason.clone()), interval: Err(reason), ..entry };
    }
    let [a, b] = sides.map(|side| pool.resampled(side, Statistic::Patient(metric)));
    let by_seed = |side: usize| {
        let right = |run: &usize| {
            let decisions = &pool.runs[*run].decisions;
            counted.iter().filter(|p| pool.is_right(metric, **p, decisions[**p])).count() as f64
        };
        pool.sides[side].runs.iter().map(right).collect::<Vec<f64>>()
    };
    let wins = || Wins::count(by_seed(sides[0]).into_iter().zip(by_seed(sides[1])));
    Comparison {
        difference: Ok((discordant.second as f64 - discordant.first as f64) / counted.len() as f64),
        interval: pool.interval(&differences(&a, &b)),
        p: Some(discordant.mcnemar()),
        discordant: Some(discordant),
        wins: (metric == Metric::Accuracy).then(wins),
        ..entry
    }
}

fn delong(pool: &Pool, pair: &Pair, entry: Comparison) -> Comparison {
    let Some(sides) = pair.sides else { return entry };
    let positive: Vec<bool> = pool.labels.iter().map(|label| *label == pool.settings.positive).collect();
    let scores = sides.map(|side| pool.sides[side].scores.score(pool.settings.positive));
    let Some(delong) = DeLong::new(&scores, &positive) else {
        let reason = FEW_PATIENTS.to_owned();
        return Comparison { difference: Err(reason.clone()), interval: Err(reason), ..entry };
    };
    by_variance(pool, entry, delong.difference(0, 1), DELONG)
}

/// The slice AUCs of both methods, each the mean over the seeds, with the variance of their difference over patients.
fn obuchowski(pool: &Pool, pair: &Pair, entry: Comparison) -> Comparison {
    let Some([a, b]) = pair.sides else { return entry };
    let value = |side: usize| pool.value(side, Statistic::Slice(Metric::AucClustered));
    let difference = value(a).and_then(|a| value(b).map(|b| b - a));
    let moments = pool.clustered(a).and_then(|a| pool.clustered(b).map(|b| b.difference(&a)));
    match (difference, moments) {
        (Ok(_), Ok(moments)) => by_variance(pool, entry, moments, OBUCHOWSKI),
        (difference, Err(reason)) => {
            let interval = Err(difference.clone().err().unwrap_or(reason));
            Comparison { difference, interval, interval_method: OBUCHOWSKI, ..entry }
        }
        (Err(reason), Ok(_)) => Comparison { difference: Err(reason.clone()), interval: Err(reason), ..entry },
    }
}

/// The interval and the z test of a difference with a known variance.
fn by_variance(pool: &Pool, entry: Comparison, moments: (f64, f64), method: &'static str) -> Comparison {
    let (difference, variance) = moments;
    let interval = normal_interval(difference, variance, pool.settings.confidence, method, "difference");
    let p = interval.is_ok().then(|| two_sided_p(difference / variance.sqrt()));
    Comparison { difference: Ok(difference), interval, p, interval_method: method, ..entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_is_won_once() {
        let wins = Wins::count([(0.5, 0.75), (0.5, 0.5), (0.25, 0.5), (0.75, 0.5)]);
        assert_eq!(wins, Wins { b: 2, ties: 1, a: 1 });
    }
}
