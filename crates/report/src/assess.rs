//! All results of a set of predictions: what metrics.json holds and every table shows.
//!
//! Slice level: for each seed the slices of all folds are pooled (each is tested once), the metric is computed, and the
//! seeds are averaged. Patient level: the scores of a patient, by the rule of the settings (the softmax averaged over all
//! slices if nothing else is said), are averaged over the seeds, and the mean decides, so that a fraction stays a fraction;
//! single seeds are in `per_seed`. The bootstrap draws patients and
//! keeps folds and seeds as they are, so its intervals cover the choice of patients and not the chance in training.
//! A method's results rest on all its seeds, a comparison on the seeds that both methods have.

use contract::config::PatientRule;
use serde::Serialize;

use crate::clustered::OBUCHOWSKI;
use crate::comparison::{Comparison, Level, comparisons};
use crate::estimate::Estimate;
use crate::measure::{COLLAPSED_STD, Measure};
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::patients::{self, PatientScores, RULES};
use crate::pool::{Evidence, FRACTIONS, Pool, REVERSED_PATIENTS, REVERSED_SLICES, Settings, Statistic};
use crate::predictions::Run;
use crate::quantity::Quantity;
use crate::sample::Sample;
use crate::spread::{Spread, spread};

/// All results.
#[derive(Debug, Clone, Serialize)]
pub struct Assessment {
    /// Name of the study.
    pub study: String,
    /// Class names; the index is the label.
    pub classes: Vec<String>,
    /// The positive class.
    pub positive: usize,
    /// How the slices of a patient become one decision, in all that is of patients but [`MethodResult::patient_rules`].
    pub patient_rule: PatientRule,
    /// Level of the intervals.
    pub confidence: f64,
    /// Number of resamples.
    pub bootstrap: usize,
    /// Seeds of any run.
    pub seeds: Vec<i64>,
    /// Folds.
    pub folds: Vec<i64>,
    /// Slices of each class.
    pub slices: Ordered<u64>,
    /// Patients of each class.
    pub patients: Ordered<u64>,
    /// Results by method.
    pub methods: Ordered<MethodResult>,
    /// Paired comparisons, the one that answers the question first.
    pub comparisons: Vec<Comparison>,
    /// The methods that the tables of the paper's form show.
    #[serde(skip)]
    pub shown: Vec<String>,
}

/// Results of one method.
#[derive(Debug, Clone, Serialize)]
pub struct MethodResult {
    /// Seeds of its runs.
    pub seeds: Vec<i64>,
    /// Slice level, pooled over folds, mean over seeds.
    pub slice: Ordered<Estimate>,
    /// Patient level, by the rule of the settings.
    pub patient: Ordered<Estimate>,
    /// Patient level by each of the rules.
    pub patient_rules: Ordered<Ordered<Estimate>>,
    /// AUC of each class against the rest; absent for two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc_by_class: Option<ByClass>,
    /// Slices by true class (row) and decision (column), summed over the seeds.
    pub confusion: Vec<Vec<u64>>,
    /// Patients by true class (row) and decision (column).
    pub patient_confusion: Vec<Vec<u64>>,
    /// What was measured on the attention maps, mean over slices and seeds; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<Ordered<Estimate>>,
    /// Seeds whose maps have collapsed: the mean of their standard deviations is below [`COLLAPSED_STD`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collapsed_seeds: Vec<i64>,
    /// Results with the confounder reversed; absent if not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversed: Option<Reversed>,
    /// Spread over the seeds; absent for one seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_spread: Option<SeedSpread>,
    /// One entry for each fold and seed.
    pub per_fold: Vec<Part>,
    /// One entry for each seed, folds pooled.
    pub per_seed: Vec<Part>,
}

/// AUC of each class against the rest.
#[derive(Debug, Clone, Serialize)]
pub struct ByClass {
    /// Slices.
    pub slice: Ordered<Estimate>,
    /// Patients.
    pub patient: Ordered<Estimate>,
}

/// Results on the same patients with the confounder reversed.
#[derive(Debug, Clone, Serialize)]
pub struct Reversed {
    /// Slices.
    pub slice: Ordered<Estimate>,
    /// Patients.
    pub patient: Ordered<Estimate>,
    /// Standard minus reversed, slices.
    pub fall_slice: Ordered<Estimate>,
    /// Standard minus reversed, patients.
    pub fall_patient: Ordered<Estimate>,
}

/// Spread over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedSpread {
    /// AUC of slices.
    pub slice_auc: Option<Spread>,
    /// Share of the patients diagnosed correctly.
    pub patient_accuracy: Option<Spread>,
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

impl Assessment {
    /// The comparison of (a, b) in one quantity.
    pub fn comparison(&self, pair: (&str, &str), level: Level, quantity: impl Into<Quantity>) -> Option<&Comparison> {
        let quantity = quantity.into();
        let fits = |entry: &&Comparison| (entry.a.as_str(), entry.b.as_str()) == pair && entry.level == level;
        self.comparisons.iter().filter(fits).find(|entry| entry.quantity == quantity)
    }

    /// The pair that answers the question.
    pub fn first_pair(&self) -> Option<(&str, &str)> {
        self.comparisons.first().map(|entry| (entry.a.as_str(), entry.b.as_str()))
    }

    /// Comparisons of every method in one quantity.
    pub fn family(&self, level: Level, quantity: impl Into<Quantity>) -> Vec<&Comparison> {
        let quantity = quantity.into();
        self.comparisons.iter().filter(|entry| entry.level == level && entry.quantity == quantity).collect()
    }

    /// The methods that the tables of the paper's form show, with their results.
    pub fn shown(&self) -> impl Iterator<Item = &(String, MethodResult)> {
        self.methods.0.iter().filter(|(name, _)| self.shown.contains(name))
    }

    /// Whether the methods of the paper's form have more than one seed.
    pub fn several_seeds(&self) -> bool {
        self.shown().any(|(_, result)| result.seeds.len() > 1)
    }
}

impl MethodResult {
    /// Whether the maps of all seeds together have collapsed.
    pub fn has_collapsed(&self) -> bool {
        let std = self.attention.as_ref().and_then(|attention| attention.get(Measure::Std.key()));
        std.and_then(Estimate::defined).is_some_and(|std| std < COLLAPSED_STD)
    }
}

/// Assesses predictions. `settings.classes` has one name for each class.
pub fn assess(evidence: Evidence, settings: &Settings) -> Assessment {
    let pool = Pool::new(evidence, settings);
    let predictions = evidence.predictions;
    let methods = predictions.methods.iter().enumerate();
    let by_class = |counts: Vec<u64>| settings.classes.iter().cloned().zip(counts).collect();
    let strata = predictions.strata();
    let mut slices = vec![0; predictions.classes];
    predictions.slices.iter().for_each(|slice| slices[predictions.patients[slice.patient].label] += 1);
    Assessment {
        study: settings.study.clone(),
        classes: settings.classes.clone(),
        positive: settings.positive,
        patient_rule: settings.rule,
        confidence: settings.confidence,
        bootstrap: settings.bootstrap,
        seeds: predictions.seeds(),
        folds: predictions.folds(),
        slices: by_class(slices),
        patients: by_class(strata.iter().map(|members| members.len() as u64).collect()),
        methods: methods.map(|(place, method)| (method.name.clone(), pool.method(place))).collect(),
        comparisons: comparisons(&pool),
        shown: settings.shown.clone(),
    }
}

impl Pool<'_> {
    /// The results of a method: of the side that has all its seeds.
    fn method(&self, side: usize) -> MethodResult {
        let runs = &self.sides[side].runs;
        let per_seed: Vec<Part> = runs.iter().map(|run| self.part(*run, None)).collect();
        let folds = |run: &Run| run.patient_fold.iter().copied().collect::<std::collections::BTreeSet<_>>();
        let of_folds = |run: &usize| {
            let all = folds(self.runs[*run].source).into_iter();
            all.map(|fold| self.part(*run, Some(fold))).collect::<Vec<_>>()
        };
        let everyone = vec![1; self.labels.len()];
        MethodResult {
            seeds: runs.iter().map(|run| self.runs[*run].source.seed).collect(),
            slice: self.slices(side),
            patient: self.patient_level(&self.sides[side].scores, &everyone),
            patient_rules: self.patient_rules(side),
            auc_by_class: (self.settings.classes.len() > 2).then(|| self.by_class(side)),
            confusion: self.slice_confusion(runs),
            patient_confusion: self.patient_confusion(&self.sides[side].decisions),
            attention: (!self.measures.is_empty()).then(|| self.attention(side)),
            collapsed_seeds: self.collapsed(runs),
            reversed: self.evidence.reversed.map(|_| self.reversed(side)),
            seed_spread: (runs.len() > 1).then(|| seed_spread(&per_seed)),
            per_fold: runs.iter().flat_map(of_folds).collect(),
            per_seed,
        }
    }

    /// Every metric of slices.
    fn slices(&self, side: usize) -> Ordered<Estimate> {
        let entry = |metric: &Metric| {
            let clustered = (*metric == Metric::Auc).then(|| self.clustered_entry(side));
            [self.resampled_entry(side, Statistic::Slice(*metric), *metric)].into_iter().chain(clustered)
        };
        self.metrics.iter().flat_map(entry).collect()
    }

    /// The AUC of slices with Obuchowski's interval.
    fn clustered_entry(&self, side: usize) -> (String, Estimate) {
        let statistic = Statistic::Slice(Metric::AucClustered);
        let value = self.value(side, statistic);
        let confidence = self.settings.confidence;
        let interval = value.clone().and_then(|auc| {
            let variance = self.clustered(side)?.variance();
            Estimate::area(auc, variance, confidence, OBUCHOWSKI)
        });
        let estimate = Estimate { value, interval: Some(interval), n: self.n(side, statistic), fraction: None };
        (Metric::AucClustered.key().to_owned(), estimate)
    }

    /// Patient level by each of the rules.
    fn patient_rules(&self, side: usize) -> Ordered<Ordered<Estimate>> {
        let everyone = vec![1; self.labels.len()];
        let sources: Vec<&Run> = self.sides[side].runs.iter().map(|run| self.runs[*run].source).collect();
        let by = |rule: PatientRule| {
            let scores = PatientScores::new(self.evidence.predictions, &sources, rule, self.settings.positive);
            (patients::key(rule).to_owned(), self.patient_level(&scores, &everyone))
        };
        RULES.into_iter().map(by).collect()
    }

    /// A statistic with its bootstrap interval.
    fn estimate(&self, side: usize, statistic: Statistic) -> Estimate {
        let value = self.value(side, statistic);
        let interval = value.clone().and_then(|_| self.interval(&self.resampled(side, statistic)));
        Estimate { value, interval: Some(interval), n: self.n(side, statistic), fraction: None }
    }

    fn resampled_entry(&self, side: usize, statistic: Statistic, of: impl Into<Quantity>) -> (String, Estimate) {
        (of.into().key().to_owned(), self.estimate(side, statistic))
    }

    fn attention(&self, side: usize) -> Ordered<Estimate> {
        let entry = |measure: &Measure| self.resampled_entry(side, Statistic::Attention(*measure), *measure);
        self.measures.iter().map(entry).collect()
    }

    fn collapsed(&self, runs: &[usize]) -> Vec<i64> {
        let std = |run: &usize| self.of_run(*run, Statistic::Attention(Measure::Std));
        let collapsed = runs.iter().filter(|run| std(run).is_ok_and(|std| std < COLLAPSED_STD));
        collapsed.map(|run| self.runs[*run].source.seed).collect()
    }

    fn reversed(&self, side: usize) -> Reversed {
        let slices = |of: fn(Metric) -> Statistic| {
            REVERSED_SLICES.iter().map(|metric| self.resampled_entry(side, of(*metric), *metric)).collect()
        };
        let patient = |metric: &Metric| {
            let (right, total) = self.counts(side, Statistic::ReversedPatient(*metric));
            let fraction = Estimate::fraction(right, total, self.settings.confidence, "no patients");
            (metric.key().to_owned(), fraction)
        };
        let fall = |metric: &Metric| {
            let estimate = self.estimate(side, Statistic::FallPatient(*metric));
            (metric.key().to_owned(), Estimate { n: self.labels.len() as u64, ..estimate })
        };
        Reversed {
            slice: slices(Statistic::ReversedSlice),
            patient: REVERSED_PATIENTS.iter().map(patient).collect(),
            fall_slice: slices(Statistic::FallSlice),
            fall_patient: REVERSED_PATIENTS.iter().map(fall).collect(),
        }
    }

    fn by_class(&self, side: usize) -> ByClass {
        let classes = || self.settings.classes.iter().cloned().enumerate();
        let slice = |(class, name)| (name, self.estimate(side, Statistic::ClassAuc(class)));
        let everyone = vec![1; self.labels.len()];
        let scores = &self.sides[side].scores;
        let patient = |(class, name)| (name, self.patient_auc(scores, class, &everyone));
        ByClass { slice: classes().map(slice).collect(), patient: classes().map(patient).collect() }
    }

    fn slice_confusion(&self, runs: &[usize]) -> Vec<Vec<u64>> {
        let k = self.settings.classes.len();
        let everyone = vec![1; self.labels.len()];
        let mut confusion = vec![vec![0; k]; k];
        for tally in runs.iter().map(|run| self.runs[*run].sample.tally(&everyone)) {
            tally.confusion.iter().enumerate().for_each(|(cell, count)| confusion[cell / k][cell % k] += count);
        }
        confusion
    }

    fn patient_confusion(&self, decisions: &[usize]) -> Vec<Vec<u64>> {
        let k = self.settings.classes.len();
        let mut confusion = vec![vec![0; k]; k];
        self.labels.iter().zip(decisions).for_each(|(label, decision)| confusion[*label][*decision] += 1);
        confusion
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
        let fraction = |metric: Metric| {
            let (right, total) = self.right_of(metric, &decisions, weights);
            let reason = match metric {
                Metric::Sensitivity => "no patients of the positive class",
                Metric::Specificity => "no patients of the negative class",
                _ => "no patients",
            };
            (metric.key().to_owned(), Estimate::fraction(right, total, confidence, reason))
        };
        let auc = (Metric::Auc.key().to_owned(), self.patient_auc(scores, self.settings.positive, weights));
        let several = self.metrics.contains(&Metric::MacroAuc);
        let mean = || {
            let each = (0..scores.classes).map(|class| self.patient_auc(scores, class, weights));
            let n = each.clone().next().map_or(0, |first| first.n);
            let values = each.map(|estimate| estimate.value).collect::<Result<Vec<f64>, String>>();
            let value = values.map(|values| crate::compare::mean(&values));
            (Metric::MacroAuc.key().to_owned(), Estimate { value, interval: None, n, fraction: None })
        };
        FRACTIONS.into_iter().map(fraction).chain([auc]).chain(several.then(mean)).collect()
    }

    /// The AUC of a class against the rest over the patients that have a weight.
    fn patient_auc(&self, scores: &PatientScores, class: usize, weights: &[u32]) -> Estimate {
        let all = scores.score(class);
        let members = || (0..weights.len()).filter(|patient| weights[*patient] > 0);
        let score: Vec<f64> = members().map(|patient| all[patient]).collect();
        let is: Vec<bool> = members().map(|patient| self.labels[patient] == class).collect();
        Estimate::patient_auc(&score, &is, self.settings.confidence)
    }

    fn scores_of(&self, source: &Run) -> PatientScores {
        PatientScores::new(self.evidence.predictions, &[source], self.settings.rule, self.settings.positive)
    }

    fn part(&self, run: usize, fold: Option<i64>) -> Part {
        let (source, sample) = (self.runs[run].source, &self.runs[run].sample);
        let predictions = self.evidence.predictions;
        let inside = |held_out: &i64| u32::from(fold.is_none_or(|fold| fold == *held_out));
        let weights: Vec<u32> = source.patient_fold.iter().map(inside).collect();
        let tested = |slice: &&crate::predictions::Slice| weights[slice.patient] > 0;
        Part {
            fold,
            seed: source.seed,
            slices: predictions.slices.iter().filter(tested).count() as u64,
            patients: weights.iter().map(|weight| u64::from(*weight)).sum(),
            slice: self.slice_level(sample, &weights),
            patient: self.patient_level(&self.scores_of(source), &weights),
        }
    }
}

fn seed_spread(parts: &[Part]) -> SeedSpread {
    let over = |level: fn(&Part) -> &Ordered<Estimate>, metric: Metric| {
        let values = parts.iter().map(|part| level(part).get(metric.key())?.defined());
        spread(&values.collect::<Option<Vec<f64>>>()?)
    };
    SeedSpread {
        slice_auc: over(|part| &part.slice, Metric::Auc),
        patient_accuracy: over(|part| &part.patient, Metric::Accuracy),
    }
}
