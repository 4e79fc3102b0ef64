//! ROC curves by slice and by patient, precision-recall curves, calibration.

use super::{Drawn, Figure, Material, Section, calibration};
use crate::assess::MethodResult;
use crate::auc::Ranking;
use crate::charts::plane::{Chance, Cross, Trace, plane};
use crate::curves::{Curve, Scored};
use crate::error::Error;
use crate::estimate::Estimate;
use crate::format;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::patients::{self, PatientScores};
use crate::predictions::{Method, Run};

/// The curves of one method's slices.
struct Slices {
    roc: Curve,
    precision: Curve,
    average_precision: Estimate,
}

/// One of each method, or why there is none.
type Each<T> = Result<Vec<T>, &'static str>;

/// The two sections.
pub(super) fn sections(material: &Material) -> Result<[Section; 2], Error> {
    let (slices, patients) = (by_slice(material), by_patient(material));
    let roc = vec![roc_slices(material, &slices)?, roc_patients(material, &patients)?];
    let precision = vec![precision(material, &slices)?, calibration::drawn(material)?];
    let section = |anchor, name, title, drawn| Section {
        anchor,
        name,
        title,
        words: against_rest(material),
        leads: false,
        drawn,
    };
    Ok([
        section("roc", "ROC", "ROC curves", roc),
        section("precision", "Precision", "Precision and recall, calibration", precision),
    ])
}

/// What is said where there are more classes than two.
fn against_rest(material: &Material) -> String {
    if material.predictions.classes == 2 {
        return String::new();
    }
    format!("The positive class, {}, against all others.", material.class())
}

/// The curves of slices of every method: runs thin, their mean thick.
fn by_slice(material: &Material) -> Each<Slices> {
    let predictions = material.predictions;
    let units: Vec<usize> = predictions.slices.iter().map(|slice| slice.patient).collect();
    let ranking = |run: &Run| {
        let scores = run.prob.iter().skip(material.assessment.positive).step_by(predictions.classes);
        Ranking::new(&scores.copied().collect::<Vec<_>>(), &units)
    };
    let of = |(method, _): &(&Method, &MethodResult)| -> Result<Slices, &'static str> {
        let runs: Vec<Ranking> = method.runs.iter().map(ranking).collect();
        let scored = Scored::new(&runs, &runs, &material.positive, &material.resamples)?;
        let average_precision = scored.average_precision(predictions.slices.len() as u64);
        Ok(Slices { roc: scored.roc(), precision: scored.precision(), average_precision })
    };
    material.methods.iter().map(of).collect()
}

/// The curves of patients: each seed's scores thin, their mean over the seeds thick.
fn by_patient(material: &Material) -> Each<Curve> {
    let units: Vec<usize> = (0..material.positive.len()).collect();
    let (rule, positive) = (material.assessment.patient_rule, material.assessment.positive);
    let ranking = |runs: &[&Run]| {
        let scores = PatientScores::new(material.predictions, runs, rule, positive).score(positive);
        Ranking::new(&scores, &units)
    };
    let of = |(method, _): &(&Method, &MethodResult)| -> Result<Curve, &'static str> {
        let each: Vec<Ranking> = method.runs.iter().map(|run| ranking(&[run])).collect();
        let all = [ranking(&method.runs.iter().collect::<Vec<_>>())];
        Ok(Scored::new(&each, &all, &material.positive, &material.resamples)?.roc())
    };
    material.methods.iter().map(of).collect()
}

fn named(results: &Ordered<Estimate>, metric: Metric) -> Option<&Estimate> {
    results.get(metric.key())
}

fn told(results: &Ordered<Estimate>, metric: Metric) -> String {
    named(results, metric).map_or(format::UNDEFINED.to_owned(), |of| format::result(metric, of))
}

/// Where two metrics put the decisions; `x` may be turned round, for 1 - specificity.
fn cross(results: &Ordered<Estimate>, (x, y): (Metric, Metric), turned: bool) -> Option<Cross> {
    let (x, y) = (named(results, x)?, named(results, y)?);
    let turn = |value: f64| if turned { 1.0 - value } else { value };
    let ends = x.ends().map(|(low, high)| if turned { (turn(high), turn(low)) } else { (low, high) });
    Some(Cross { at: (turn(x.defined()?), y.defined()?), x: ends, y: y.ends() })
}

/// "conventional: AUC 0.7 (0.6 to 0.8); sensitivity, % 61.9 (...); ..." for each method.
fn words(
    material: &Material,
    label: impl Fn(usize) -> String,
    of: fn(&MethodResult) -> &Ordered<Estimate>,
    told_of: [Metric; 2],
) -> String {
    let one = |(place, (_, result)): (usize, &(&Method, &MethodResult))| {
        let metrics = told_of.map(|metric| format!("{} {}", format::head(metric), told(of(result), metric)));
        format!("{}; decisions at {}.", label(place), metrics.join(" and "))
    };
    material.methods.iter().enumerate().map(one).collect::<Vec<_>>().join(" ")
}

fn traces(
    material: &Material,
    label: impl Fn(usize) -> String,
    curve: impl Fn(usize) -> Curve,
    cross: impl Fn(&MethodResult) -> Option<Cross>,
) -> Vec<Trace> {
    let one = |(place, (_, result)): (usize, &(&Method, &MethodResult))| Trace {
        label: label(place),
        colour: place,
        curve: curve(place),
        operating: cross(result),
    };
    material.methods.iter().enumerate().map(one).collect()
}

/// What is said of lines where a method has several seeds.
fn lines(material: &Material, thick: &str) -> String {
    if material.several_seeds() { format!(" Thin: each seed; thick: {thick}.") } else { String::new() }
}

const ROC_AXES: (&str, &str) = ("1 - specificity", "sensitivity");
const ROC_CHANCE: Chance = Chance { label: "chance", ends: [(0.0, 0.0), (1.0, 1.0)] };

fn undefined(title: &str, what: &str, reason: &str) -> Drawn {
    Drawn { title: title.to_owned(), figure: Err(format!("Undefined: {what} of {reason}.")) }
}

fn roc_slices(material: &Material, curves: &Each<Slices>) -> Result<Drawn, Error> {
    let title = "By slice".to_owned();
    let curves = match curves {
        Ok(curves) => curves,
        Err(reason) => return Ok(undefined(&title, "slices", reason)),
    };
    let label = |place: usize| {
        let (method, result) = material.methods[place];
        format!("{}: AUC {}", method.name, told(&result.slice, Metric::Auc))
    };
    let turned = (Metric::Specificity, Metric::Sensitivity);
    let traces =
        traces(material, label, |place| curves[place].roc.clone(), |result| cross(&result.slice, turned, true));
    let bands = material.bootstrap();
    let caption = format!(
        "{}. In brackets: interval of the AUC. Band: at each specificity, {bands}. Dot and cross: the decision at the largest \
         probability, as in Table 1, with the intervals of its sensitivity and specificity.{}",
        material.slices(),
        lines(material, "their mean at each specificity")
    );
    let told_of = words(material, label, |result| &result.slice, [Metric::Sensitivity, Metric::Specificity]);
    let svg = plane("the ROC curves of slices", ROC_AXES, &traces, &ROC_CHANCE)?;
    Ok(Drawn {
        title,
        figure: Ok(Figure { file: "roc".to_owned(), svg, label: format!("ROC curves by slice. {told_of}"), caption }),
    })
}

fn roc_patients(material: &Material, curves: &Each<Curve>) -> Result<Drawn, Error> {
    let title = "By patient".to_owned();
    let curves = match curves {
        Ok(curves) => curves,
        Err(reason) => return Ok(undefined(&title, "patients", reason)),
    };
    let label = |place: usize| {
        let (method, result) = material.methods[place];
        format!("{}: AUC {}", method.name, told(&result.patient, Metric::Auc))
    };
    let turned = (Metric::Specificity, Metric::Sensitivity);
    let traces = traces(material, label, |place| curves[place].clone(), |result| cross(&result.patient, turned, true));
    let caption = format!(
        "{}{}. {} In brackets: DeLong's interval of the AUC. Band: at each \
         specificity, {}. Dot and cross: the decision of Table 2 with Wilson's intervals.{}",
        format::plural(material.positive.len() as u64, "patient"),
        material.folds(),
        patients::sentence(material.assessment.patient_rule, material.several_seeds()),
        material.bootstrap(),
        lines(material, "their mean score over the seeds")
    );
    let told_of = words(material, label, |result| &result.patient, [Metric::Sensitivity, Metric::Specificity]);
    let svg = plane("the ROC curves of patients", ROC_AXES, &traces, &ROC_CHANCE)?;
    let label = format!("ROC curves by patient. {told_of}");
    Ok(Drawn { title, figure: Ok(Figure { file: "roc-patients".to_owned(), svg, label, caption }) })
}

fn precision(material: &Material, curves: &Each<Slices>) -> Result<Drawn, Error> {
    let title = "Precision and recall by slice".to_owned();
    let curves = match curves {
        Ok(curves) => curves,
        Err(reason) => return Ok(undefined(&title, "slices", reason)),
    };
    let label = |place: usize| {
        let value = format::estimate(Metric::Auc, &curves[place].average_precision);
        format!("{}: AP {value}", material.methods[place].0.name)
    };
    let metrics = (Metric::Sensitivity, Metric::Ppv);
    let traces =
        traces(material, label, |place| curves[place].precision.clone(), |result| cross(&result.slice, metrics, false));
    let count = material.predictions.slices.iter().filter(|slice| material.positive[slice.patient]).count();
    let prevalence = count as f64 / material.predictions.slices.len() as f64;
    let skill = format!("no skill: {} of the slices", format::fixed(prevalence, 3));
    let chance = Chance { label: &skill, ends: [(0.0, prevalence), (1.0, prevalence)] };
    let caption = format!(
        "{}, {count} of {}. AP: average precision, the area under the steps. In brackets and band (at each recall): {}. Dot and \
         cross: the decision of Table 1 with the intervals of recall (sensitivity) and precision (PPV). The grey line is the share of \
         {}.{}",
        material.slices(),
        material.class(),
        material.bootstrap(),
        material.class(),
        lines(material, "their mean at each recall")
    );
    let told_of = words(material, label, |result| &result.slice, [Metric::Sensitivity, Metric::Ppv]);
    let svg = plane("the precision-recall curves", ("recall (sensitivity)", "precision (PPV)"), &traces, &chance)?;
    let label = format!(
        "Precision-recall curves by slice. {told_of} Share of {}: {}.",
        material.class(),
        format::fixed(prevalence, 3)
    );
    Ok(Drawn { title, figure: Ok(Figure { file: "precision-recall".to_owned(), svg, label, caption }) })
}
