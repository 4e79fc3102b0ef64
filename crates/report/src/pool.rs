//! Every run folded up by patient, and every statistic of it in every resample.
//!
//! A side is a method with some of its seeds: all of them for the method's own results, those that both methods have for a
//! comparison. What is of slices is computed run by run and averaged over the side's seeds; what is of patients follows
//! from one score a patient, of all its slices and seeds. All statistics see the same resampled patients, so differences are
//! paired.

use contract::config::PatientRule;

use crate::clustered::Clustered;
use crate::estimate::Interval;
use crate::intervals::{self, Draw, percentile};
use crate::measure::Measure;
use crate::metrics::{Metric, Tally};
use crate::patients::PatientScores;
use crate::predictions::{Predictions, Run};
use crate::sample::{Sample, Sums};

/// What is assessed.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The predictions.
    pub predictions: &'a Predictions,
    /// The same runs on the same patients with the confounder reversed: the same patients, methods and seeds.
    pub reversed: Option<&'a Predictions>,
}

/// What to assess and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the study, or of the file.
    pub study: String,
    /// Class names.
    pub classes: Vec<String>,
    /// The positive class.
    pub positive: usize,
    /// How the slices of a patient become one decision.
    pub rule: PatientRule,
    /// Level of the intervals, 0..1.
    pub confidence: f64,
    /// Number of resamples.
    pub bootstrap: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// Pairs of methods to compare, (a, b): differences are b - a. All have the same a; the first answers the question.
    pub pairs: Vec<(String, String)>,
    /// The methods that the tables of the paper's form show.
    pub shown: Vec<String>,
}

/// A number that the bootstrap resamples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Of slices.
    Slice(Metric),
    /// Of slices: AUC of a class against the rest.
    ClassAuc(usize),
    /// Of attention maps.
    Attention(Measure),
    /// Of slices with the confounder reversed.
    ReversedSlice(Metric),
    /// A fraction of patients.
    Patient(Metric),
    /// A fraction of patients with the confounder reversed.
    ReversedPatient(Metric),
    /// How much lower a metric of slices is with the confounder reversed.
    FallSlice(Metric),
    /// How much lower a fraction of patients is with the confounder reversed.
    FallPatient(Metric),
}

impl Statistic {
    /// What a fall is the difference of: the standard and the reversed set.
    fn parts(self) -> Option<(Self, Self)> {
        match self {
            Self::FallSlice(metric) => Some((Self::Slice(metric), Self::ReversedSlice(metric))),
            Self::FallPatient(metric) => Some((Self::Patient(metric), Self::ReversedPatient(metric))),
            _ => None,
        }
    }
}

/// The fractions of the patient level, in their order.
pub const FRACTIONS: [Metric; 3] = [Metric::Accuracy, Metric::Sensitivity, Metric::Specificity];
/// What is assessed of slices with the confounder reversed.
pub const REVERSED_SLICES: [Metric; 2] = [Metric::Auc, Metric::Accuracy];
/// What is assessed of patients with the confounder reversed.
pub const REVERSED_PATIENTS: [Metric; 1] = [Metric::Accuracy];

/// One run, folded up.
pub struct Folded<'a> {
    /// The run.
    pub source: &'a Run,
    /// Its slices.
    pub sample: Sample,
    reversed: Option<Sample>,
    /// Its decisions on patients, by itself.
    pub decisions: Vec<usize>,
    /// Its slices with every patient once.
    everyone: Tallied,
    clustered: Result<Clustered, String>,
}

/// A run's slices under one weighting of the patients.
struct Tallied {
    slices: Tally,
    attention: Sums,
    reversed: Option<Tally>,
}

impl Tallied {
    fn value(&self, statistic: Statistic) -> Result<f64, &'static str> {
        match statistic {
            Statistic::Slice(metric) => self.slices.value(metric).map_err(|undefined| undefined.0),
            Statistic::ClassAuc(class) => self.slices.auc[class].ok_or("a class without slices, or with no others"),
            Statistic::Attention(measure) => match self.attention[measure as usize] {
                (_, 0) => Err("no slice in which it is defined"),
                (sum, count) => Ok(sum / count as f64),
            },
            Statistic::ReversedSlice(metric) => {
                let tally = self.reversed.as_ref().ok_or("no predictions with the confounder reversed")?;
                tally.value(metric).map_err(|undefined| undefined.0)
            }
            _ => Err("not of one run's slices"),
        }
    }

    fn n(&self, statistic: Statistic) -> u64 {
        match statistic {
            Statistic::Slice(metric) => self.slices.n(metric),
            Statistic::Attention(measure) => self.attention[measure as usize].1,
            Statistic::ReversedSlice(metric) => self.reversed.as_ref().map_or(0, |tally| tally.n(metric)),
            _ => self.slices.slices(),
        }
    }
}

/// A method with some of its seeds.
pub struct Side {
    /// Index of the method.
    pub method: usize,
    /// Indices of the runs, by ascending seed; at least one.
    pub runs: Vec<usize>,
    /// Scores by patient.
    pub scores: PatientScores,
    /// The decision for each patient.
    pub decisions: Vec<usize>,
    reversed_decisions: Option<Vec<usize>>,
}

/// Two methods to compare.
pub struct Pair {
    /// The method compared against.
    pub a: String,
    /// The method in question.
    pub b: String,
    /// The seeds both have.
    pub seeds: Vec<i64>,
    /// Their sides; None if they have no seed in common.
    pub sides: Option<[usize; 2]>,
}

/// All runs and resamples.
pub struct Pool<'a> {
    /// What is assessed.
    pub evidence: Evidence<'a>,
    /// How.
    pub settings: &'a Settings,
    /// Class of each patient.
    pub labels: Vec<usize>,
    /// Metrics of slices that apply and are resampled.
    pub metrics: Vec<Metric>,
    /// Measures of attention that some slice has.
    pub measures: Vec<Measure>,
    /// All runs, method by method.
    pub runs: Vec<Folded<'a>>,
    /// First each method with all its seeds, in the order of the methods; then what comparisons need.
    pub sides: Vec<Side>,
    /// The comparisons.
    pub pairs: Vec<Pair>,
    of_runs: Vec<Statistic>,
    of_sides: Vec<Statistic>,
    too_few: Option<String>,
    draws: Vec<Draw>,
}

impl<'a> Pool<'a> {
    /// Folds up all runs and draws the resamples.
    pub fn new(evidence: Evidence<'a>, settings: &'a Settings) -> Self {
        let predictions = evidence.predictions;
        let rows = || predictions.runs().flat_map(|run| &run.attention);
        let measured = |measure: &Measure| rows().any(|measures| measures[*measure as usize].is_some());
        let several = predictions.classes > 2;
        let applies = |metric: &Metric| metric.is_resampled() && (several || *metric != Metric::MacroAuc);
        let mut pool = Self {
            evidence,
            settings,
            labels: predictions.patients.iter().map(|patient| patient.label).collect(),
            metrics: Metric::ALL.into_iter().filter(applies).collect(),
            measures: Measure::ALL.into_iter().filter(measured).collect(),
            runs: folded(evidence, settings),
            sides: Vec::new(),
            pairs: Vec::new(),
            of_runs: Vec::new(),
            of_sides: FRACTIONS.map(Statistic::Patient).to_vec(),
            too_few: intervals::too_few(&predictions.strata()),
            draws: Vec::new(),
        };
        pool.of_runs.extend(pool.metrics.iter().copied().map(Statistic::Slice));
        pool.of_runs.extend((0..predictions.classes).filter(|_| several).map(Statistic::ClassAuc));
        pool.of_runs.extend(pool.measures.iter().copied().map(Statistic::Attention));
        if evidence.reversed.is_some() {
            pool.of_runs.extend(REVERSED_SLICES.map(Statistic::ReversedSlice));
            pool.of_sides.extend(REVERSED_PATIENTS.map(Statistic::ReversedPatient));
        }
        pool.add_sides();
        pool.draw();
        pool
    }

    fn add_sides(&mut self) {
        let methods = &self.evidence.predictions.methods;
        let mut next = 0;
        let mut runs_of = Vec::new();
        for method in methods {
            runs_of.push((next..next + method.runs.len()).collect::<Vec<_>>());
            next += method.runs.len();
        }
        for (method, runs) in runs_of.iter().enumerate() {
            self.side(method, runs.clone());
        }
        for (a, b) in &self.settings.pairs {
            let place = |name: &String| methods.iter().position(|method| method.name == *name);
            let (Some(first), Some(second)) = (place(a), place(b)) else { continue };
            let seeds: Vec<i64> = {
                let has = |seed: &i64| methods[second].runs.iter().any(|run| run.seed == *seed);
                methods[first].runs.iter().map(|run| run.seed).filter(has).collect()
            };
            let common = |method: usize, pool: &Self| -> Vec<usize> {
                let is_common = |run: &usize| seeds.contains(&pool.runs[*run].source.seed);
                runs_of[method].iter().copied().filter(is_common).collect()
            };
            let chosen = [first, second].map(|method| (method, common(method, self)));
            let sides = (!seeds.is_empty()).then(|| chosen.map(|(method, runs)| self.side(method, runs)));
            self.pairs.push(Pair { a: a.clone(), b: b.clone(), seeds, sides });
        }
    }

    /// The side of these runs, made if it is not there.
    fn side(&mut self, method: usize, runs: Vec<usize>) -> usize {
        if let Some(found) = self.sides.iter().position(|side| side.runs == runs) {
            return found;
        }
        let Settings { positive, rule, .. } = *self.settings;
        let sources: Vec<&Run> = runs.iter().map(|run| self.runs[*run].source).collect();
        let scores = PatientScores::new(self.evidence.predictions, &sources, rule, positive);
        let reversed_decisions = self.evidence.reversed.map(|reversed| {
            let all = &reversed.methods[method].runs;
            let same: Vec<&Run> = all.iter().filter(|run| sources.iter().any(|one| one.seed == run.seed)).collect();
            PatientScores::new(reversed, &same, rule, positive).decisions(positive)
        });
        let decisions = scores.decisions(positive);
        self.sides.push(Side { method, runs, scores, decisions, reversed_decisions });
        self.sides.len() - 1
    }

    fn draw(&mut self) {
        let count = if self.too_few.is_some() { 0 } else { self.settings.bootstrap };
        let statistics = |weights: &[u32]| {
            let of_run = |run: &Folded| {
                let tallied = run.tallied(weights);
                self.of_runs.iter().map(|statistic| tallied.value(*statistic).ok()).collect::<Vec<_>>()
            };
            let of_side = |side: &Side| {
                self.of_sides.iter().map(|statistic| self.fraction(side, *statistic, weights)).collect::<Vec<_>>()
            };
            self.runs.iter().flat_map(of_run).chain(self.sides.iter().flat_map(of_side)).collect()
        };
        let strata = self.evidence.predictions.strata();
        self.draws = intervals::bootstrap(&strata, self.labels.len(), count, self.settings.seed, statistics);
    }

    /// Whether a patient counts for a fraction.
    pub fn counts_for(&self, metric: Metric, patient: usize) -> bool {
        let positive = self.labels[patient] == self.settings.positive;
        match metric {
            Metric::Sensitivity => positive,
            Metric::Specificity => !positive,
            _ => true,
        }
    }

    /// Whether a decision is right for a fraction: for the specificity of several classes, any negative one is.
    pub fn is_right(&self, metric: Metric, patient: usize, decision: usize) -> bool {
        match metric {
            Metric::Specificity => decision != self.settings.positive,
            _ => decision == self.labels[patient],
        }
    }

    /// Right decisions and decisions that count.
    pub fn right_of(&self, metric: Metric, decisions: &[usize], weights: &[u32]) -> (u64, u64) {
        let counted = weights.iter().enumerate().filter(|(patient, _)| self.counts_for(metric, *patient));
        counted.fold((0, 0), |(right, total), (patient, weight)| {
            let is_right = u64::from(self.is_right(metric, patient, decisions[patient]));
            (right + u64::from(*weight) * is_right, total + u64::from(*weight))
        })
    }

    /// The decisions behind a fraction of patients.
    fn decisions(side: &Side, statistic: Statistic) -> Option<(Metric, &[usize])> {
        match statistic {
            Statistic::Patient(metric) => Some((metric, &side.decisions)),
            Statistic::ReversedPatient(metric) => Some((metric, side.reversed_decisions.as_deref()?)),
            _ => None,
        }
    }

    /// Right and all patients of a statistic, every patient once.
    pub fn counts(&self, side: usize, statistic: Statistic) -> (u64, u64) {
        let everyone = vec![1; self.labels.len()];
        let found = Self::decisions(&self.sides[side], statistic);
        found.map_or((0, 0), |(metric, decisions)| self.right_of(metric, decisions, &everyone))
    }

    fn fraction(&self, side: &Side, statistic: Statistic, weights: &[u32]) -> Option<f64> {
        let (metric, decisions) = Self::decisions(side, statistic)?;
        let (right, total) = self.right_of(metric, decisions, weights);
        (total > 0).then(|| right as f64 / total as f64)
    }

    /// A statistic of a side with every patient once: the mean over its seeds, undefined if it is for one of them.
    ///
    /// # Errors
    /// Why it is undefined.
    pub fn value(&self, side: usize, statistic: Statistic) -> Result<f64, String> {
        if let Some((standard, reversed)) = statistic.parts() {
            return Ok(self.value(side, standard)? - self.value(side, reversed)?);
        }
        let of = &self.sides[side];
        if self.of_sides.contains(&statistic) {
            let everyone = vec![1; self.labels.len()];
            return self.fraction(of, statistic, &everyone).ok_or_else(|| "no patients".to_owned());
        }
        let values = of.runs.iter().map(|run| self.of_run(*run, statistic)).collect::<Result<Vec<_>, _>>()?;
        Ok(crate::compare::mean(&values))
    }

    /// A statistic of one run with every patient once.
    ///
    /// # Errors
    /// Why it is undefined.
    pub fn of_run(&self, run: usize, statistic: Statistic) -> Result<f64, String> {
        self.runs[run].everyone.value(statistic).map_err(str::to_owned)
    }

    /// Obuchowski's variance of a side's AUC of slices: of the mean over its seeds.
    ///
    /// # Errors
    /// Why it is undefined.
    pub fn clustered(&self, side: usize) -> Result<Clustered, String> {
        let seeds = self.sides[side].runs.iter().map(|run| self.runs[*run].clustered.as_ref().map_err(String::clone));
        Ok(Clustered::mean(&seeds.collect::<Result<Vec<_>, _>>()?))
    }

    /// Slices a statistic rests on, in the seed with fewest.
    pub fn n(&self, side: usize, statistic: Statistic) -> u64 {
        self.sides[side].runs.iter().map(|run| self.runs[*run].everyone.n(statistic)).min().unwrap_or(0)
    }

    /// A statistic of a side in each resample.
    pub fn resampled(&self, side: usize, statistic: Statistic) -> Vec<Option<f64>> {
        if let Some((standard, reversed)) = statistic.parts() {
            return differences(&self.resampled(side, reversed), &self.resampled(side, standard));
        }
        let of_runs = self.runs.len() * self.of_runs.len();
        if let Some(place) = self.of_sides.iter().position(|known| *known == statistic) {
            let column = of_runs + side * self.of_sides.len() + place;
            return self.draws.iter().map(|draw| draw[column]).collect();
        }
        let Some(place) = self.of_runs.iter().position(|known| *known == statistic) else {
            return vec![None; self.draws.len()];
        };
        let runs = &self.sides[side].runs;
        let mean = |draw: &Draw| {
            let values: Option<Vec<f64>> = runs.iter().map(|run| draw[run * self.of_runs.len() + place]).collect();
            values.map(|values| crate::compare::mean(&values))
        };
        self.draws.iter().map(mean).collect()
    }

    /// The percentile interval of resampled values.
    ///
    /// # Errors
    /// Why there is none.
    pub fn interval(&self, values: &[Option<f64>]) -> Interval {
        match &self.too_few {
            Some(reason) => Err(reason.clone()),
            None => percentile(values, self.settings.confidence),
        }
    }
}

/// b - a, resample by resample.
pub fn differences(a: &[Option<f64>], b: &[Option<f64>]) -> Vec<Option<f64>> {
    a.iter().zip(b).map(|(a, b)| a.zip(*b).map(|(a, b)| b - a)).collect()
}

fn folded<'a>(evidence: Evidence<'a>, settings: &Settings) -> Vec<Folded<'a>> {
    let Settings { positive, rule, .. } = *settings;
    let (predictions, everyone) = (evidence.predictions, vec![1; evidence.predictions.patients.len()]);
    let is_positive: Vec<bool> = predictions.patients.iter().map(|patient| patient.label == positive).collect();
    let mut all = Vec::new();
    for (place, method) in predictions.methods.iter().enumerate() {
        for (seed, source) in method.runs.iter().enumerate() {
            let sample = Sample::new(predictions, source, positive);
            let reversed =
                evidence.reversed.map(|reversed| Sample::new(reversed, &reversed.methods[place].runs[seed], positive));
            let everyone = tallied(&sample, reversed.as_ref(), &everyone);
            let decisions = PatientScores::new(predictions, &[source], rule, positive).decisions(positive);
            let clustered = Clustered::new(sample.ranking(), &is_positive);
            all.push(Folded { source, sample, reversed, decisions, everyone, clustered });
        }
    }
    all
}

impl Folded<'_> {
    fn tallied(&self, weights: &[u32]) -> Tallied {
        tallied(&self.sample, self.reversed.as_ref(), weights)
    }
}

fn tallied(sample: &Sample, reversed: Option<&Sample>, weights: &[u32]) -> Tallied {
    Tallied {
        slices: sample.tally(weights),
        attention: sample.attention(weights),
        reversed: reversed.map(|sample| sample.tally(weights)),
    }
}
