//! What the page's charts are drawn from, and the charts themselves, as SVG.

use contract::config::Config;
use contract::layout::{LOG, Layout};
use contract::plan;
use contract::schema::column;

use crate::assess::Assessment;
use crate::auc;
use crate::charts::{self, Curve, Series};
use crate::error::Error;
use crate::metrics::{Metric, decide};
use crate::predictions::Predictions;
use crate::read::{self, Log};

/// All charts of a study.
pub struct Figures {
    /// ROC curves; None for a one-class study.
    pub roc: Option<String>,
    /// Training curves by method.
    pub training: Vec<(String, String)>,
}

impl Figures {
    /// Draws them.
    ///
    /// # Errors
    /// A log cannot be read; plotters refuses.
    pub fn new(
        config: &Config,
        folds: usize,
        predictions: &Predictions,
        assessment: &Assessment,
    ) -> Result<Self, Error> {
        Ok(Self { roc: roc(predictions, assessment)?, training: training(config, folds)? })
    }

    /// Files of the folder `figures`: name and content.
    pub fn files(&self) -> Vec<(String, &str)> {
        let roc = self.roc.iter().map(|svg| ("roc.svg".to_owned(), svg.as_str()));
        let training = self.training.iter().map(|(method, svg)| (format!("training-{method}.svg"), svg.as_str()));
        roc.chain(training).collect()
    }
}

/// ROC curves of the methods in question and all their seeds, positive class against the rest.
fn roc(predictions: &Predictions, assessment: &Assessment) -> Result<Option<String>, Error> {
    let positive = assessment.positive;
    let truth: Vec<bool> =
        predictions.slices.iter().map(|slice| predictions.patients[slice.patient].label == positive).collect();
    let mut curves = Vec::new();
    let shown = predictions.methods.iter().filter(|method| assessment.shown.contains(&method.name));
    for (index, method) in shown.enumerate() {
        let result = assessment.methods.get(&method.name).and_then(|result| result.slice.get(Metric::Auc.key()));
        let value = result.map_or(String::new(), |estimate| crate::format::estimate(Metric::Auc, estimate));
        for (seed, run) in method.runs.iter().enumerate() {
            let scores: Vec<f64> = run.prob.iter().skip(positive).step_by(predictions.classes).copied().collect();
            let Some(points) = auc::roc(&scores, &truth) else { return Ok(None) };
            let called = run.prob.chunks_exact(predictions.classes).map(|prob| decide(prob, positive) == positive);
            let label = if seed == 0 { format!("{}: AUC {value}", method.name) } else { String::new() };
            curves.push(Curve { label, colour: index, points, operating: Some(rates(called, &truth)) });
        }
    }
    charts::roc(&curves).map(Some)
}

/// (1 - specificity, sensitivity) of decisions. Both classes must occur.
fn rates(called: impl Iterator<Item = bool>, truth: &[bool]) -> (f64, f64) {
    let (mut counts, mut hits) = ([0_u32; 2], [0_u32; 2]);
    for (called, is) in called.zip(truth) {
        counts[usize::from(*is)] += 1;
        hits[usize::from(*is)] += u32::from(called);
    }
    let rate = |side: usize| f64::from(hits[side]) / f64::from(counts[side]);
    (rate(0), rate(1))
}

/// Columns of log.csv drawn above (losses) and below (shares), with their names.
const LOSSES: [(&str, &str); 4] = [
    ("loss", "total (weighted)"),
    ("loss_per", "perception cross-entropy"),
    ("loss_att", "attention cross-entropy"),
    ("loss_map", "map against lung mask"),
];
const SHARES: [(&str, &str); 4] = [
    ("accuracy", "training accuracy"),
    (column::ATTENTION_IN_LUNG, "attention inside the lung"),
    (column::ATTENTION_IN_LESION, "attention on lesions"),
    ("alpha", "alpha"),
];

fn training(config: &Config, folds: usize) -> Result<Vec<(String, String)>, Error> {
    let layout = Layout::new(config);
    let mut logs: Vec<(String, Vec<Log>)> =
        config.methods.iter().map(|method| (method.name.clone(), Vec::new())).collect();
    let wanted: Vec<&str> = LOSSES.iter().chain(&SHARES).map(|(column, _)| *column).collect();
    for (method, fold, seed) in plan::runs(config, folds) {
        let log = read::log(&layout.run(&method, fold, seed).join(LOG), &wanted)?;
        logs.iter_mut().filter(|(name, _)| *name == method).for_each(|(_, logs)| logs.push(log.clone()));
    }
    let draw = |(name, logs): (String, Vec<Log>)| {
        let series = |columns: &[(&'static str, &'static str)]| {
            let one = |(colour, (column, label)): (usize, &(&str, &'static str))| {
                let means = mean_by_epoch(&logs, column);
                Series { label, colour, points: if *column == "alpha" { steps(&means) } else { means } }
            };
            columns.iter().enumerate().map(one).filter(|series| !series.points.is_empty()).collect::<Vec<_>>()
        };
        Ok((name, charts::training(&series(&LOSSES), &series(&SHARES))?))
    };
    logs.into_iter().map(draw).collect()
}

/// A schedule as the steps it is made of: its value holds from half an epoch before to half an epoch after.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let last = points.last().map_or(1.0, |point| point.0);
    let step = |(epoch, value): &(f64, f64)| [((epoch - 0.5).max(1.0), *value), ((epoch + 0.5).min(last), *value)];
    points.iter().flat_map(step).collect()
}

/// Mean of a column over the runs, epoch by epoch, where every run has a finite value.
fn mean_by_epoch(logs: &[Log], column: &str) -> Vec<(f64, f64)> {
    let epochs = logs.iter().map(|log| log.get(read::EPOCH).map_or(0, Vec::len)).min().unwrap_or(0);
    let value =
        |log: &Log, epoch: usize| log.get(column)?.get(epoch).copied().flatten().filter(|value| value.is_finite());
    let mean = |epoch: usize| {
        let values: Option<Vec<f64>> = logs.iter().map(|log| value(log, epoch)).collect();
        values.map(|values| ((epoch + 1) as f64, values.iter().sum::<f64>() / values.len() as f64))
    };
    (0..epochs).filter_map(mean).collect()
}
