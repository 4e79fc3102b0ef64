//! What is told of the evaluation: metrics, statistics, results, robustness, attention, failures, limits.

use super::markdown::{join, plain};
use super::{Run, data, training};
use crate::assess::{Assessment, MethodResult, Part};
use crate::clustered::OBUCHOWSKI;
use crate::compare::DELONG;
use crate::comparison::{BOOTSTRAP, Comparison, Level, MCNEMAR};
use crate::estimate::Estimate;
use crate::format;
use crate::measure::Measure;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::patients;
use crate::quantity::Quantity;
use crate::spread::Spread;
use crate::tables;

/// Keys of the metrics that say how good the probabilities are.
const CALIBRATION: [&str; 2] = ["brier", "ece"];

/// Patients of a class below which a study is called small: at least 100 with the outcome are advised for a validation (Collins,
/// Ogundimu and Altman, Stat Med 2016;35:214-226).
const FEW_PATIENTS: u64 = 100;

/// Side of a map below which where it looks is called coarse, cells.
const COARSE_MAP: u32 = 7;

/// A value with its unit and interval.
pub(super) fn value(quantity: impl Into<Quantity>, estimate: &Estimate) -> String {
    let quantity = quantity.into();
    let unit =
        if quantity.is_percent() && estimate.fraction.is_none() && estimate.defined().is_some() { " %" } else { "" };
    format!("{}{unit}", format::result(quantity, estimate))
}

/// "accuracy 66.4 (59.9 to 72.4) %, ..." of those of `metrics` that there are.
fn values(of: &Ordered<Estimate>, metrics: &[Metric]) -> String {
    let one = |metric: &Metric| Some(format!("{} {}", metric.title(), value(*metric, of.get(metric.key())?)));
    metrics.iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

/// The positive class in words.
fn positive(run: &Run) -> String {
    plain(&run.assessment.classes[run.assessment.positive])
}

/// The metrics and how a decision is made.
pub(super) fn metrics(run: &Run) -> Vec<String> {
    let several = run.assessment.classes.len() > 2;
    let rest = if several { "the rest" } else { "the other class" };
    let is_other = |metric: &Metric| !Metric::TABLE.contains(metric) && *metric != Metric::MacroAuc;
    let others: Vec<String> =
        Metric::ALL.into_iter().filter(is_other).map(|metric| metric.title().to_owned()).collect();
    let mut told = vec![
        format!(
            "By slice: accuracy, sensitivity (recall of {}), specificity (recall of {rest}), AUC of {0} against {rest}; also {}.",
            positive(run),
            join(&others)
        ),
        format!(
            "By patient: accuracy, sensitivity and specificity as fractions of patients, and AUC. {}",
            patient_rule(run)
        ),
    ];
    told.extend(several.then(|| "AUC of each class against the rest and their mean are given, too.".to_owned()));
    told
}

/// How the slices of a patient come together.
pub(super) fn patient_rule(run: &Run) -> &'static str {
    let several = run.assessment.methods.0.iter().any(|(_, result)| result.seeds.len() > 1);
    patients::sentence(run.assessment.patient_rule, several)
}

/// How probabilities become decisions.
pub(super) fn decision(run: &Run) -> String {
    format!(
        "Output: softmax of the {} classes (of the perception branch, if there is an attention branch). Decision on a slice: the class with the largest value, a \
         tie going to {} where it takes part; for two classes that is a threshold of 0.5, which no data chose. Decision on a patient: {}",
        run.assessment.classes.len(),
        positive(run),
        patient_rule(run)
    )
}

/// Intervals and tests.
pub(super) fn statistics(run: &Run) -> Vec<String> {
    let assessment = run.assessment;
    let level = format::level(assessment.confidence);
    let mut told = vec![format!(
        "{level} intervals: for slices the percentile bootstrap over patients within class, {} resamples, seed {}; for fractions of patients \
         Wilson's; for AUC by patient DeLong's. The AUC of slices has Obuchowski's for clustered data besides. They cover the choice of patients, not the chance in training.",
        assessment.bootstrap, run.config.report.seed
    )];
    if !assessment.comparisons.is_empty() {
        told.push(format!("Differences are paired by patient; tests: {BOOTSTRAP} (slices), {OBUCHOWSKI} (AUC of slices, besides), {MCNEMAR} (fractions of patients), {DELONG} (AUC by patient)."));
    }
    let family = assessment.family(Level::Slice, Metric::Auc).len();
    if family > 1 {
        told.push(format!("p is corrected by Holm for {family} methods compared with the same one, metric by metric."));
    }
    told
}

/// The task in a few words.
pub(super) fn task(run: &Run) -> String {
    let classes: Vec<String> = run.assessment.classes.iter().map(|class| plain(class)).collect();
    format!("chest CT is told apart into {}", join(&classes))
}

/// Results of the methods in question by slice.
pub(super) fn slices(run: &Run) -> Vec<String> {
    let of = |(name, result): &(String, MethodResult)| {
        format!("{name}, by slice: {}.", values(&result.slice, &Metric::TABLE))
    };
    let mut told: Vec<String> = run.assessment.shown().map(of).collect();
    let hidden = run.assessment.methods.0.len() - told.len();
    if hidden > 0 {
        told.push(format!("Other methods ({hidden}): tables.md and their model cards."));
    }
    told
}

/// Results of the methods in question by patient.
pub(super) fn patients(run: &Run) -> Vec<String> {
    let metrics = [Metric::Accuracy, Metric::Sensitivity, Metric::Specificity, Metric::Auc];
    let of =
        |(name, result): &(String, MethodResult)| format!("{name}, by patient: {}.", values(&result.patient, &metrics));
    run.assessment.shown().map(of).collect()
}

/// "AUC -0.006 (-0.088 to +0.083), p = 0.890".
fn difference(entry: &Comparison) -> String {
    let points = if entry.quantity.is_percent() && entry.difference.is_ok() { " points" } else { "" };
    let holm = entry.p_holm.map_or(String::new(), |p| format!(", after Holm {}", format::p_words(Some(p))));
    format!("{} {}{points}, {}{holm}", entry.quantity.title(), format::difference(entry), format::p_words(entry.p))
}

/// What a method differs in from the one compared with.
pub(super) fn differences(run: &Run, (a, b): (&str, &str)) -> Option<String> {
    let assessment = run.assessment;
    let found = |level: Level, metrics: &[Metric]| -> Vec<String> {
        metrics.iter().filter_map(|metric| assessment.comparison((a, b), level, *metric)).map(difference).collect()
    };
    let (slices, patients) =
        (found(Level::Slice, &Metric::TABLE), found(Level::Patient, &[Metric::Accuracy, Metric::Auc]));
    let seeds = &assessment.comparison((a, b), Level::Slice, Metric::Auc)?.seeds;
    Some(format!(
        "{b} minus {a}, over seed {}: by slice {}; by patient {}.",
        format::list(seeds),
        slices.join("; "),
        patients.join("; ")
    ))
}

/// The difference that answers the question.
pub(super) fn first_difference(run: &Run) -> Option<String> {
    differences(run, run.assessment.first_pair()?)
}

/// How far the folds of a method lie apart.
pub(super) fn fold_spread(name: &str, result: &MethodResult) -> Option<String> {
    let auc = |part: &Part| part.slice.get(Metric::Auc.key()).and_then(Estimate::defined);
    let folds: Vec<f64> = result.per_fold.iter().map(auc).collect::<Option<_>>()?;
    let ends = [folds.iter().copied().fold(f64::INFINITY, f64::min), folds.iter().copied().fold(0.0, f64::max)];
    let [low, high] = ends.map(|auc| format::number(Metric::Auc, auc));
    (folds.len() > 1).then(|| format!("{name}: slice AUC of single folds and seeds {low} to {high}."))
}

/// How far the seeds of a method lie apart.
pub(super) fn seed_spread(name: &str, result: &MethodResult) -> Vec<String> {
    let Some(spread) = &result.seed_spread else { return Vec::new() };
    let seeds = |what: &str, metric: Metric, spread: &Option<Spread>| {
        let spread = spread.as_ref()?;
        let [sd, low, high] = [spread.sd, spread.min, spread.max].map(|value| format::number(metric, value));
        let unit = if metric.is_percent() { " %" } else { "" };
        Some(format!("{name}: {what} over {} seeds {low} to {high}{unit}, standard deviation {sd}.", spread.seeds))
    };
    let slices = seeds("slice AUC", Metric::Auc, &spread.slice_auc);
    slices
        .into_iter()
        .chain(seeds("patients diagnosed correctly", Metric::Accuracy, &spread.patient_accuracy))
        .collect()
}

/// How far the folds of the methods in question lie apart.
pub(super) fn fold_spreads(run: &Run) -> Vec<String> {
    run.assessment.shown().filter_map(|(name, result)| fold_spread(name, result)).collect()
}

/// Whether any method has more than one seed.
pub(super) fn several_seeds(run: &Run) -> bool {
    run.assessment.methods.0.iter().any(|(_, result)| result.seeds.len() > 1)
}

/// What a method loses when the confounder is reversed.
pub(super) fn fall(name: &str, result: &MethodResult) -> Option<String> {
    let reversed = result.reversed.as_ref()?;
    let fall = |of: &Ordered<Estimate>, metric: Metric| Some(format::change(metric, of.get(metric.key())?));
    Some(format!(
        "{name}, with the confounder of every test patient reversed: slice AUC falls by {}, patients diagnosed correctly by {} points.",
        fall(&reversed.fall_slice, Metric::Auc)?,
        fall(&reversed.fall_patient, Metric::Accuracy)?
    ))
}

/// Checks of robustness: the confounder reversed, seeds, other methods.
pub(super) fn robustness(run: &Run) -> Vec<String> {
    let mut told: Vec<String> = run.assessment.shown().filter_map(|(name, result)| fall(name, result)).collect();
    told.extend(run.assessment.shown().flat_map(|(name, result)| seed_spread(name, result)));
    let others = run.assessment.methods.0.len() - run.assessment.shown().count();
    if others > 0 {
        told.push(format!("Other methods trained and tested on the same folds: {others}."));
    }
    told
}

/// What was measured on the maps of a method.
pub(super) fn attention(name: &str, result: &MethodResult) -> Option<String> {
    let all = result.attention.as_ref()?;
    let one = |measure: Measure, words: &str| {
        let found = all.get(measure.key())?;
        found.defined()?;
        let uniform = measure.uniform().and_then(|uniform| all.get(uniform.key())?.defined());
        let uniform =
            uniform.map_or(String::new(), |share| format!(", a uniform map {} %", format::number(measure, share)));
        Some(format!("{} % {words}{uniform}", format::estimate(measure, found)))
    };
    let shares = [one(Measure::InLung, "of its mass in the lungs"), one(Measure::InLesion, "on lesions")];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    (!shares.is_empty()).then(|| format!("Attention of {name}: {}.", shares.join("; ")))
}

/// How decisions are explained.
pub(super) fn explained(run: &Run) -> Vec<String> {
    if !run.config.methods.iter().any(|method| training::has_attention(&method.train)) {
        return Vec::new();
    }
    let mut told = vec![
        "Each network with an attention branch gives a map of where it looked; tables.md has its share in the lungs, the pointing game, entropy, \
         deletion and insertion."
            .to_owned(),
    ];
    told.extend(run.assessment.shown().filter_map(|(name, result)| attention(name, result)));
    told.extend(tables::collapsed(run.assessment));
    told
}

/// How good a method's probabilities are.
pub(super) fn calibration(name: &str, result: &MethodResult) -> Option<String> {
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(|metric| CALIBRATION.contains(&metric.key())).collect();
    let said = values(&result.slice, &metrics);
    (!said.is_empty()).then(|| format!("{name}, by slice: {said}."))
}

/// How good the probabilities of the methods in question are.
pub(super) fn calibrations(run: &Run) -> Vec<String> {
    run.assessment.shown().filter_map(|(name, result)| calibration(name, result)).collect()
}

/// Which class a method took for which.
pub(super) fn mistakes(run: &Run, name: &str, result: &MethodResult) -> Option<String> {
    let classes = &run.assessment.classes;
    let cells = |counts: &[Vec<u64>]| -> Vec<String> {
        let rows = counts.iter().enumerate();
        let wrong =
            rows.flat_map(|(label, row)| row.iter().enumerate().map(move |(called, count)| (label, called, *count)));
        wrong
            .filter(|(label, called, count)| label != called && *count > 0)
            .map(|(label, called, count)| {
                format!("{count} of {} called {}", plain(&classes[label]), plain(&classes[called]))
            })
            .collect()
    };
    let said = |cells: &[String]| if cells.is_empty() { "none wrong".to_owned() } else { join(cells) };
    let seeds = if result.seeds.len() > 1 { " (all seeds)" } else { "" };
    let (slices, patients) = (cells(&result.confusion), cells(&result.patient_confusion));
    Some(format!("{name}: slices{seeds}: {}; patients: {}.", said(&slices), said(&patients)))
}

/// What went wrong, and where it can be seen.
pub(super) fn failures(run: &Run) -> Vec<String> {
    let mut told: Vec<String> =
        run.assessment.shown().filter_map(|(name, result)| mistakes(run, name, result)).collect();
    if run.config.report.gallery > 0 {
        told.push(
            "The gallery of report.html shows true and false positives and negatives, chosen by a rule that it states."
                .to_owned(),
        );
    }
    told
}

/// Limits of a method that follow from the run; of the whole study where `method` is None.
pub(super) fn limits(run: &Run, method: Option<(&str, &MethodResult)>) -> Vec<String> {
    let mut limits = Vec::new();
    let shown = run.assessment.shown().filter(|_| method.is_none()).map(|(name, result)| (name.as_str(), result));
    let of: Vec<(&str, &MethodResult)> = method.into_iter().chain(shown).collect();
    if run.is_synthetic() {
        limits.push("The CT are synthetic: nothing follows for patients, scanners or hospitals.".to_owned());
    }
    limits.push(if data::is_drawn(run) {
        "Tested on patients of the same source as the training; no external data were tested.".to_owned()
    } else {
        "The partitions were given, not drawn: the run does not know whether test and training patients come from the same source.".to_owned()
    });
    let fewest = data::fewest_patients(run);
    if fewest < FEW_PATIENTS {
        limits.push(format!(
            "Few patients: {fewest} in the smallest class tested, where at least {FEW_PATIENTS} are advised for a validation (Collins et al., Stat Med \
             2016;35:214-226)."
        ));
    }
    if of.iter().any(|(_, result)| result.seeds.len() < 2) {
        limits.push("One seed: how much the chance in training matters is not measured.".to_owned());
    }
    if run.files.partitions.len() == 1 {
        limits.push(
            "One test set instead of folds: how much the choice of the split matters is not measured.".to_owned(),
        );
    }
    limits.extend(of.iter().flat_map(|(name, result)| own_limits(run, name, result)));
    if run.config.preprocess.model_sha256.is_none() {
        limits.push("The lung masks come from a U-Net that saw synthetic CT alone in training.".to_owned());
    }
    limits
}

/// Limits that one method's results show.
fn own_limits(run: &Run, name: &str, result: &MethodResult) -> Vec<String> {
    let only = Assessment { methods: Ordered(vec![(name.to_owned(), result.clone())]), ..run.assessment.clone() };
    let mut limits = tables::collapsed(&only);
    let fall = result.reversed.as_ref().and_then(|reversed| reversed.fall_slice.get(Metric::Auc.key()));
    if fall.and_then(Estimate::ends).is_some_and(|(low, _)| low > 0.0) {
        let fall = fall.map_or(String::new(), |fall| format::change(Metric::Auc, fall));
        limits.push(format!("{name} relies on the confounder: reversed, the slice AUC falls by {fall}."));
    }
    let taught = run.config.method(name).is_some_and(|method| training::has_attention(&method.train));
    let side = training::map_side(run.config.preprocess.size);
    if taught && side < COARSE_MAP {
        limits.push(format!("Maps of {name} have {side} x {side} cells: where it looked is known coarsely."));
    }
    limits
}

/// What holds of every study made here.
pub(super) const GENERAL_LIMITS: [&str; 3] = [
    "Research use only: not a medical device, not for diagnosis.",
    "Intervals take the folds, the training and the labels as given.",
    "An attention map shows what the network was taught to weight, not why it decided.",
];
