//! All results of a set of predictions: what metrics.json holds and every table shows.
//!
//! Slice level: for each seed the slices of all folds are pooled (each is tested once), the metric is computed, and the
//! seeds are averaged. Patient level: the softmax is averaged over all slices of a patient and over the seeds, and the
//! mean decides, so that a fraction stays a fraction; single seeds are in `per_seed`. The bootstrap draws patients and
//! keeps folds and seeds as they are, so its intervals cover the choice of patients and not the chance in training.

use serde::Serialize;

use crate::compare::{DeLong, Discordant};
use crate::estimate::{Estimate, Interval};
use crate::intervals::{self, Draw, bootstrap_p, percentile, two_sided_p, z};
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::predictions::{Method, Predictions, Run};
use crate::sample::{PatientScores, Sample};

/// What to assess and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the study, or of the file.
    pub study: String,
    /// Class names.
    pub classes: Vec<String>,
    /// The positive class.
    pub positive: usize,
    /// Level of the intervals, 0..1.
    pub confidence: f64,
    /// Number of resamples.
    pub bootstrap: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// Pairs of methods to compare, (a, b): differences are b - a.
    pub pairs: Vec<(String, String)>,
}

/// All results.
#[derive(Debug, Clone, Serialize)]
pub struct Assessment {
    /// Name of the study.
    pub study: String,
    /// Class names; the index is the label.
    pub classes: Vec<String>,
    /// The positive class.
    pub positive: usize,
    /// Level of the intervals.
    pub confidence: f64,
    /// Number of resamples.
    pub bootstrap: usize,
    /// Seeds of the runs.
    pub seeds: Vec<i64>,
    /// Folds.
    pub folds: Vec<i64>,
    /// Slices of each class.
    pub slices: Ordered<u64>,
    /// Patients of each class.
    pub patients: Ordered<u64>,
    /// Results by method.
    pub methods: Ordered<MethodResult>,
    /// Paired comparisons.
    pub comparisons: Vec<Comparison>,
}

/// Results of one method.
#[derive(Debug, Clone, Serialize)]
pub struct MethodResult {
    /// Slice level, pooled over folds, mean over seeds.
    pub slice: Ordered<Estimate>,
    /// Patient level, mean softmax over slices and seeds.
    pub patient: Ordered<Estimate>,
    /// Slices by true class (row) and decision (column), summed over the seeds.
    pub confusion: Vec<Vec<u64>>,
    /// One entry for each fold and seed.
    pub per_fold: Vec<Part>,
    /// One entry for each seed, folds pooled.
    pub per_seed: Vec<Part>,
}

/// Results of a part of a method's predictions.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// The fold; absent if the folds are pooled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<i64>,
    /// The seed.
    pub seed: i64,
    /// Slices tested.
    pub slices: u64,
    /// Patients tested.
    pub patients: u64,
    /// Slice level.
    pub slice: Ordered<Estimate>,
    /// Patient level.
    pub patient: Ordered<Estimate>,
}

/// A difference between two methods, b - a.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "serde_json::Map<String, serde_json::Value>")]
pub struct Comparison {
    /// The method compared against.
    pub a: String,
    /// The method in question.
    pub b: String,
    /// `slice` or `patient`.
    pub level: &'static str,
    /// Key of the metric.
    pub metric: &'static str,
    /// b - a, or why it is undefined.
    pub difference: Result<f64, String>,
    /// Its interval.
    pub interval: Interval,
    /// Two-sided p; None if undefined.
    pub p: Option<f64>,
    /// The test p comes from.
    pub test: &'static str,
    /// How the interval was made.
    pub interval_method: &'static str,
    /// For McNemar: patients only a, and only b, got right.
    pub discordant: Option<Discordant>,
}

impl From<Comparison> for serde_json::Map<String, serde_json::Value> {
    fn from(entry: Comparison) -> Self {
        use serde_json::json;
        let mut map = Self::new();
        map.insert("a".into(), json!(entry.a));
        map.insert("b".into(), json!(entry.b));
        map.insert("level".into(), json!(entry.level));
        map.insert("metric".into(), json!(entry.metric));
        map.insert("difference".into(), json!(entry.difference.as_ref().ok()));
        crate::estimate::put_interval(&mut map, &entry.interval);
        map.insert("p".into(), json!(entry.p));
        map.insert("test".into(), json!(entry.test));
        map.insert("interval".into(), json!(entry.interval_method));
        if let Some(discordant) = entry.discordant {
            map.insert("only_a_right".into(), json!(discordant.first));
            map.insert("only_b_right".into(), json!(discordant.second));
        }
        crate::estimate::put_reasons(&mut map, &entry.difference, Some(&entry.interval));
        map
    }
}

/// Name of the slice-level test.
pub const BOOTSTRAP: &str = "bootstrap over patients";
/// Name of the test of patient fractions.
pub const MCNEMAR: &str = "exact McNemar";
/// Name of the test of patient AUCs.
pub const DELONG: &str = "DeLong";

/// The fractions of the patient level, in their order.
const FRACTIONS: [Metric; 3] = [Metric::Accuracy, Metric::Sensitivity, Metric::Specificity];

/// Assesses predictions. `settings.classes` has one name for each class.
pub fn assess(predictions: &Predictions, settings: &Settings) -> Assessment {
    let work = Work::new(predictions, settings);
    let draws = work.draws();
    let methods = work.methods.iter().enumerate().map(|(place, method)| {
        let result = work.method(method, place, &draws);
        (method.source.name.clone(), result)
    });
    let by_class = |counts: Vec<u64>| settings.classes.iter().cloned().zip(counts).collect();
    let strata = predictions.strata();
    let mut slices = vec![0; predictions.classes];
    predictions.slices.iter().for_each(|slice| slices[predictions.patients[slice.patient].label] += 1);
    Assessment {
        study: settings.study.clone(),
        classes: settings.classes.clone(),
        positive: settings.positive,
        confidence: settings.confidence,
        bootstrap: settings.bootstrap,
        seeds: predictions.seeds(),
        folds: predictions.folds(),
        slices: by_class(slices),
        patients: by_class(strata.iter().map(|members| members.len() as u64).collect()),
        methods: methods.collect(),
        comparisons: settings.pairs.iter().flat_map(|pair| work.compare(pair, &draws)).collect(),
    }
}

/// One method, folded up.
struct Folded<'a> {
    source: &'a Method,
    samples: Vec<Sample>,
    scores: PatientScores,
    decisions: Vec<usize>,
}

struct Work<'a> {
    predictions: &'a Predictions,
    settings: &'a Settings,
    labels: Vec<usize>,
    metrics: Vec<Metric>,
    methods: Vec<Folded<'a>>,
    too_few: Option<String>,
}

impl<'a> Work<'a> {
    fn new(predictions: &'a Predictions, settings: &'a Settings) -> Self {
        let positive = settings.positive;
        let folded = |source: &'a Method| {
            let scores = PatientScores::new(predictions, &source.runs);
            let decisions = scores.decisions(positive);
            let samples = source.runs.iter().map(|run| Sample::new(predictions, run, positive)).collect();
            Folded { source, samples, scores, decisions }
        };
        let attention = predictions
            .methods
            .iter()
            .flat_map(|method| &method.runs)
            .any(|run| run.in_lung.iter().any(Option::is_some));
        let shown = |metric: &Metric| match metric {
            Metric::MacroAuc => predictions.classes > 2,
            Metric::AttentionInLung => attention,
            _ => true,
        };
        Self {
            predictions,
            settings,
            labels: predictions.patients.iter().map(|patient| patient.label).collect(),
            metrics: Metric::ALL.into_iter().filter(shown).collect(),
            methods: predictions.methods.iter().map(folded).collect(),
            too_few: intervals::too_few(&predictions.strata()),
        }
    }

    /// All resamples: for each method the slice metrics, then the patient fractions.
    fn draws(&self) -> Vec<Draw> {
        let count = if self.too_few.is_some() { 0 } else { self.settings.bootstrap };
        let statistics = |weights: &[u32]| {
            let one = |method: &Folded| {
                let mut values = self.slice_values(method, weights);
                values.extend(FRACTIONS.map(|metric| self.patient_fraction(method, metric, weights)));
                values
            };
            self.methods.iter().flat_map(one).collect()
        };
        let strata = self.predictions.strata();
        intervals::bootstrap(&strata, self.labels.len(), count, self.settings.seed, statistics)
    }

    /// Mean over the seeds of each slice metric; None if a seed's is undefined.
    fn slice_values(&self, method: &Folded, weights: &[u32]) -> Draw {
        let tallies: Vec<_> = method.samples.iter().map(|sample| sample.tally(weights)).collect();
        let mean = |metric: &Metric| {
            let values: Option<Vec<f64>> = tallies.iter().map(|tally| tally.value(*metric).ok()).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        self.metrics.iter().map(mean).collect()
    }

    /// Whether a patient counts for a fraction.
    fn counts_for(&self, metric: Metric, patient: usize) -> bool {
        let positive = self.labels[patient] == self.settings.positive;
        match metric {
            Metric::Sensitivity => positive,
            Metric::Specificity => !positive,
            _ => true,
        }
    }

    /// Whether a decision is right for a fraction: for the specificity of several classes, any negative one is.
    fn is_right(&self, metric: Metric, patient: usize, decision: usize) -> bool {
        match metric {
            Metric::Specificity => decision != self.settings.positive,
            _ => decision == self.labels[patient],
        }
    }

    fn patient_fraction(&self, method: &Folded, metric: Metric, weights: &[u32]) -> Option<f64> {
        let (mut correct, mut total) = (0_u32, 0_u32);
        for (patient, weight) in weights.iter().enumerate().filter(|(patient, _)| self.counts_for(metric, *patient)) {
            total += weight;
            correct += weight * u32::from(self.is_right(metric, patient, method.decisions[patient]));
        }
        (total > 0).then(|| f64::from(correct) / f64::from(total))
    }

    /// The column of a statistic in the resamples.
    fn column(&self, draws: &[Draw], method: usize, statistic: usize) -> Vec<Option<f64>> {
        let column = method * (self.metrics.len() + FRACTIONS.len()) + statistic;
        draws.iter().map(|draw| draw[column]).collect()
    }

    fn interval(&self, values: &[Option<f64>]) -> Interval {
        match &self.too_few {
            Some(reason) => Err(reason.clone()),
            None => percentile(values, self.settings.confidence),
        }
    }

    fn method(&self, method: &Folded, place: usize, draws: &[Draw]) -> MethodResult {
        let everyone = vec![1; self.labels.len()];
        let mut slice = mean_of(&self.parts_of_slices(method, &everyone));
        for (statistic, (_, estimate)) in slice.0.iter_mut().enumerate() {
            let interval = self.interval(&self.column(draws, place, statistic));
            estimate.interval = Some(estimate.value.clone().and(interval));
        }
        let runs = &method.source.runs;
        let per_seed = runs.iter().enumerate().map(|(seed, run)| self.part(method, seed, run, None)).collect();
        let folds = |run: &Run| run.patient_fold.iter().copied().collect::<std::collections::BTreeSet<_>>();
        let per_fold = runs
            .iter()
            .enumerate()
            .flat_map(|(seed, run)| folds(run).into_iter().map(move |fold| self.part(method, seed, run, Some(fold))));
        let k = self.predictions.classes;
        let mut confusion = vec![vec![0; k]; k];
        for tally in method.samples.iter().map(|sample| sample.tally(&everyone)) {
            tally.confusion.iter().enumerate().for_each(|(cell, count)| confusion[cell / k][cell % k] += count);
        }
        let patient = self.patient_level(&method.scores, &everyone);
        MethodResult { slice, patient, confusion, per_fold: per_fold.collect(), per_seed }
    }

    fn parts_of_slices(&self, method: &Folded, weights: &[u32]) -> Vec<Ordered<Estimate>> {
        method.samples.iter().map(|sample| self.slice_level(sample, weights)).collect()
    }

    fn slice_level(&self, sample: &Sample, weights: &[u32]) -> Ordered<Estimate> {
        let tally = sample.tally(weights);
        let estimate = |metric: &Metric| {
            let value = tally.value(*metric).map_err(|undefined| undefined.0.to_owned());
            (metric.key().to_owned(), Estimate { value, interval: None, n: tally.n(*metric), fraction: None })
        };
        self.metrics.iter().map(estimate).collect()
    }

    fn patient_level(&self, scores: &PatientScores, weights: &[u32]) -> Ordered<Estimate> {
        let confidence = self.settings.confidence;
        let decisions = scores.decisions(self.settings.positive);
        let members: Vec<usize> = (0..weights.len()).filter(|patient| weights[*patient] > 0).collect();
        let fraction = |metric: Metric| {
            let counted: Vec<usize> = members.iter().copied().filter(|p| self.counts_for(metric, *p)).collect();
            let right = counted.iter().filter(|p| self.is_right(metric, **p, decisions[**p])).count();
            let reason = match metric {
                Metric::Sensitivity => "no patients of the positive class",
                Metric::Specificity => "no patients of the negative class",
                _ => "no patients",
            };
            (metric.key().to_owned(), Estimate::fraction(right as u64, counted.len() as u64, confidence, reason))
        };
        let all = scores.score(self.settings.positive);
        let score: Vec<f64> = members.iter().map(|patient| all[*patient]).collect();
        let positive: Vec<bool> = members.iter().map(|p| self.labels[*p] == self.settings.positive).collect();
        let auc = (Metric::Auc.key().to_owned(), Estimate::patient_auc(&score, &positive, confidence));
        FRACTIONS.into_iter().map(fraction).chain([auc]).collect()
    }

    fn part(&self, method: &Folded, seed: usize, run: &Run, fold: Option<i64>) -> Part {
        let inside = |held_out: &i64| u32::from(fold.is_none_or(|fold| fold == *held_out));
        let weights: Vec<u32> = run.patient_fold.iter().map(inside).collect();
        let tested = |slice: &&crate::predictions::Slice| weights[slice.patient] > 0;
        Part {
            fold,
            seed: run.seed,
            slices: self.predictions.slices.iter().filter(tested).count() as u64,
            patients: weights.iter().map(|weight| u64::from(*weight)).sum(),
            slice: self.slice_level(&method.samples[seed], &weights),
            patient: self.patient_level(&PatientScores::new(self.predictions, std::slice::from_ref(run)), &weights),
        }
    }

    fn compare(&self, (a, b): &(String, String), draws: &[Draw]) -> Vec<Comparison> {
        let place = |name: &String| self.methods.iter().position(|method| method.source.name == *name);
        let (Some(first), Some(second)) = (place(a), place(b)) else { return Vec::new() };
        let blank = |level: &'static str, metric: Metric, test: &'static str| Comparison {
            a: a.clone(),
            b: b.clone(),
            level,
            metric: metric.key(),
            difference: Err(String::new()),
            interval: Err(String::new()),
            p: None,
            test,
            interval_method: BOOTSTRAP,
            discordant: None,
        };
        let everyone = vec![1; self.labels.len()];
        let values = [first, second].map(|place| mean_of(&self.parts_of_slices(&self.methods[place], &everyone)));
        let mut entries = Vec::new();
        for (statistic, metric) in self.metrics.iter().enumerate() {
            let mut entry = blank("slice", *metric, BOOTSTRAP);
            let value = |side: usize| values[side].0[statistic].1.value.clone();
            entry.difference = value(0).and_then(|a| value(1).map(|b| b - a));
            let differences = self.differences(draws, first, second, statistic);
            entry.interval = entry.difference.clone().and(self.interval(&differences));
            entry.p = entry.interval.is_ok().then(|| bootstrap_p(&differences)).flatten();
            entries.push(entry);
        }
        for (statistic, metric) in FRACTIONS.into_iter().enumerate() {
            let differences = self.differences(draws, first, second, self.metrics.len() + statistic);
            entries.push(self.mcnemar(blank("patient", metric, MCNEMAR), metric, [first, second], &differences));
        }
        entries.push(self.delong(blank("patient", Metric::Auc, DELONG), [first, second]));
        entries
    }

    fn differences(&self, draws: &[Draw], a: usize, b: usize, statistic: usize) -> Vec<Option<f64>> {
        let (a, b) = (self.column(draws, a, statistic), self.column(draws, b, statistic));
        a.iter().zip(&b).map(|(a, b)| a.zip(*b).map(|(a, b)| b - a)).collect()
    }

    fn mcnemar(&self, entry: Comparison, metric: Metric, places: [usize; 2], draws: &[Option<f64>]) -> Comparison {
        let counted: Vec<usize> = (0..self.labels.len()).filter(|p| self.counts_for(metric, *p)).collect();
        let right = |side: usize, p: usize| self.is_right(metric, p, self.methods[places[side]].decisions[p]);
        let discordant = Discordant::count(counted.iter().map(|p| (right(0, *p), right(1, *p))));
        if counted.is_empty() {
            let reason = "no patients to compare".to_owned();
            return Comparison { difference: Err(reason.clone()), interval: Err(reason), ..entry };
        }
        let difference = (discordant.second as f64 - discordant.first as f64) / counted.len() as f64;
        Comparison {
            difference: Ok(difference),
            interval: self.interval(draws),
            p: Some(discordant.mcnemar()),
            discordant: Some(discordant),
            ..entry
        }
    }

    fn delong(&self, entry: Comparison, places: [usize; 2]) -> Comparison {
        let positive: Vec<bool> = self.labels.iter().map(|label| *label == self.settings.positive).collect();
        let scores = places.map(|place| self.methods[place].scores.score(self.settings.positive));
        let Some(delong) = DeLong::new(&scores, &positive) else {
            let reason = "fewer than 2 patients in a class".to_owned();
            return Comparison { difference: Err(reason.clone()), interval: Err(reason), ..entry };
        };
        let (difference, variance) = delong.difference(0, 1);
        let entry = Comparison { difference: Ok(difference), interval_method: DELONG, ..entry };
        if variance <= 1e-15 {
            let reason = "DeLong's variance of the difference is 0, so it cannot say how uncertain it is".to_owned();
            return Comparison { interval: Err(reason), ..entry };
        }
        let half = z(self.settings.confidence) * variance.sqrt();
        let interval = Ok((difference - half, difference + half));
        Comparison { interval, p: Some(two_sided_p(difference / variance.sqrt())), ..entry }
    }
}

/// Mean over seeds; undefined if it is for one of them.
fn mean_of(seeds: &[Ordered<Estimate>]) -> Ordered<Estimate> {
    let mut mean = seeds[0].clone();
    for (place, (name, estimate)) in mean.0.iter_mut().enumerate() {
        let values: Result<Vec<f64>, String> = seeds.iter().map(|seed| seed.0[place].1.value.clone()).collect();
        debug_assert!(seeds.iter().all(|seed| seed.0[place].0 == *name));
        estimate.value = values.map(|values| values.iter().sum::<f64>() / values.len() as f64);
    }
    mean
}
