//! Training: the attention of the methods in question, losses and shares of every method.

use contract::config::Config;
use contract::layout::{LOG, Layout};
use contract::plan;
use contract::schema::column;

use super::{Drawn, Figure, Material, Section};
use crate::charts::training::{self, Alpha, Series};
use crate::error::Error;
use crate::estimate::Estimate;
use crate::format;
use crate::measure::Measure;
use crate::read::{self, Log};

/// Columns of log.csv drawn above (losses) and below (shares), with their names.
const LOSSES: [(&str, &str); 4] = [
    ("loss", "total (weighted)"),
    ("loss_per", "perception branch"),
    ("loss_att", "attention branch"),
    ("loss_map", "map against mask"),
];
const SHARES: [(&str, &str); 3] = [
    ("accuracy", "training accuracy"),
    (column::ATTENTION_IN_LUNG, "attention in lung"),
    (column::ATTENTION_IN_LESION, "attention on lesions"),
];
const ALPHA: &str = "alpha";
/// Why there is no curve.
const ONE_EPOCH: &str = "one epoch only";

/// The logs of a method's runs.
struct Logs {
    method: String,
    runs: Vec<Log>,
}

/// The section.
pub(super) fn section(config: &Config, folds: usize, material: &Material) -> Result<Section, Error> {
    let logs = read_logs(config, folds)?;
    let mut drawn = vec![attention(material, &logs)?];
    for of in &logs {
        drawn.push(of_method(of)?);
    }
    let words = "On the training folds, with augmentation. Nothing here chose anything: the last epoch's weights are the ones tested. The \
                 total follows the weights, so it jumps where alpha does.";
    Ok(Section { anchor: "training", name: "Training", title: "Training", words: words.to_owned(), leads: true, drawn })
}

fn read_logs(config: &Config, folds: usize) -> Result<Vec<Logs>, Error> {
    let layout = Layout::new(config);
    let of = |method: &contract::config::Method| Logs { method: method.name.clone(), runs: Vec::new() };
    let mut logs: Vec<Logs> = config.methods.iter().map(of).collect();
    let wanted: Vec<&str> = LOSSES.iter().chain(&SHARES).map(|(column, _)| *column).chain([ALPHA]).collect();
    for (method, fold, seed) in plan::runs(config, folds) {
        let log = read::log(&layout.run(&method, fold, seed).join(LOG), &wanted)?;
        if let Some(of) = logs.iter_mut().find(|logs| logs.method == method) {
            of.runs.push(log);
        }
    }
    Ok(logs)
}

impl Logs {
    /// Values of a column by epoch, of every run; only epochs in which every run has a finite one.
    fn by_epoch(&self, column: &str) -> Vec<(f64, Vec<f64>)> {
        let epochs = self.runs.iter().map(|log| log.get(read::EPOCH).map_or(0, Vec::len)).min().unwrap_or(0);
        let value = |log: &Log, epoch: usize| log.get(column)?.get(epoch).copied().flatten().filter(|v| v.is_finite());
        let values = |epoch: usize| {
            let all: Option<Vec<f64>> = self.runs.iter().map(|log| value(log, epoch)).collect();
            Some(((epoch + 1) as f64, all?))
        };
        (0..epochs).filter_map(values).collect()
    }

    fn mean(&self, column: &str) -> Vec<(f64, f64)> {
        let mean = |(epoch, values): (f64, Vec<f64>)| (epoch, values.iter().sum::<f64>() / values.len() as f64);
        self.by_epoch(column).into_iter().map(mean).collect()
    }

    fn range(&self, column: &str) -> Vec<(f64, f64, f64)> {
        let ends = |(epoch, values): (f64, Vec<f64>)| {
            let (low, high) =
                values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            (epoch, low, high)
        };
        self.by_epoch(column).into_iter().map(ends).collect()
    }

    fn epochs(&self) -> usize {
        self.by_epoch(read::EPOCH).len()
    }
}

/// The training curves of one method.
fn of_method(logs: &Logs) -> Result<Drawn, Error> {
    let title = logs.method.clone();
    if logs.epochs() < 2 {
        return Ok(Drawn { title, figure: Err(format!("No curves: {ONE_EPOCH}.")) });
    }
    let series = |columns: &[(&str, &str)]| {
        let one = |(colour, (column, label)): (usize, &(&str, &str))| {
            let points = logs.mean(column);
            (!points.is_empty()).then(|| Series { label: (*label).to_owned(), colour, points, band: Vec::new() })
        };
        columns.iter().enumerate().filter_map(one).collect::<Vec<_>>()
    };
    let (losses, shares, alpha) = (series(&LOSSES), series(&SHARES), Alpha(logs.mean(ALPHA)));
    let last = |one: &Series| one.points.last().map(|(_, value)| format!("{} {}", one.label, format::fixed(*value, 3)));
    let ends = losses.iter().chain(&shares).filter_map(last).collect::<Vec<_>>().join(", ");
    let schedule = alpha.words().map_or(String::new(), |words| format!(" Alpha: {words}."));
    let n = format::plural(logs.runs.len() as u64, "run");
    let figure = Figure {
        file: format!("training-{}", logs.method),
        svg: training::training(&losses, &shares, &alpha)?,
        label: format!("Training curves of {}, {} epochs. At the end: {ends}.{schedule}", logs.method, logs.epochs()),
        caption: format!("Mean over {n} (folds and seeds).{schedule}"),
    };
    Ok(Drawn { title, figure: Ok(figure) })
}

/// The attention inside the lung of the methods in question, epoch by epoch.
fn attention(material: &Material, logs: &[Logs]) -> Result<Drawn, Error> {
    let title = "Attention inside the lung, by method".to_owned();
    let shown = material.methods.iter().filter_map(|(method, _)| logs.iter().find(|of| of.method == method.name));
    let one = |(colour, logs): (usize, &Logs)| {
        let points: Vec<_> = logs.mean(column::ATTENTION_IN_LUNG).iter().map(|(x, y)| (*x, 100.0 * y)).collect();
        let range = logs.range(column::ATTENTION_IN_LUNG).iter().map(|(x, l, h)| (*x, 100.0 * l, 100.0 * h)).collect();
        let label = format!("{}, {}", logs.method, format::plural(logs.runs.len() as u64, "run"));
        (!points.is_empty()).then_some(Series { label, colour, points, band: range })
    };
    let methods: Vec<Series> = shown.enumerate().filter_map(one).collect();
    let none = |reason: &str| Ok(Drawn { title: title.clone(), figure: Err(format!("No curves: {reason}.")) });
    let Some(epochs) = methods.iter().map(|one| one.points.len()).max() else {
        return none("no method shown has an attention branch");
    };
    if epochs < 2 {
        return none(ONE_EPOCH);
    }
    let levels = levels(material);
    let percent = |value: f64| format!("{} %", format::fixed(value, 1));
    let ends = |one: &Series| {
        let (first, last) = (one.points.first().map_or(0.0, |p| p.1), one.points.last().map_or(0.0, |p| p.1));
        format!("{}: {} after the first epoch, {} after the last.", one.label, percent(first), percent(last))
    };
    let told = levels.iter().map(|(label, _)| format!("{label}.")).collect::<Vec<_>>().join(" ");
    let label = methods.iter().map(ends).collect::<Vec<_>>().join(" ");
    let figure = Figure {
        file: "attention-in-lung".to_owned(),
        svg: training::methods("attention in the lung, %", &methods, &levels)?,
        label: format!("Attention inside the lung by epoch. {label} {told}"),
        caption: "Share of the attention map's mass inside the lung mask, on the training folds. Line: mean over the runs (folds and seeds); \
                  band: from the lowest to the highest run. Grey: on the tested slices, what a map that is the same everywhere would have, \
                  and one equal to its target."
            .to_owned(),
    };
    Ok(Drawn { title, figure: Ok(figure) })
}

/// What maps are held against, in percent.
fn levels(material: &Material) -> Vec<(String, f64)> {
    let attention = material.methods.iter().find_map(|(_, result)| result.attention.as_ref());
    let level = |(measure, words): (Measure, &str)| {
        let value = 100.0 * attention?.get(measure.key()).and_then(Estimate::defined)?;
        Some((format!("{words}: {} %", format::fixed(value, 1)), value))
    };
    [(Measure::LungShare, "the same everywhere"), (Measure::LungCeiling, "equal to its target")]
        .into_iter()
        .filter_map(level)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_ranges_over_the_runs_by_hand() {
        let log = |values: &[Option<f64>]| -> Log {
            let epochs = (1..=values.len()).map(|epoch| Some(epoch as f64)).collect();
            [(read::EPOCH.to_owned(), epochs), ("x".to_owned(), values.to_vec())].into()
        };
        let runs = vec![log(&[Some(1.0), Some(2.0), None]), log(&[Some(3.0), Some(6.0), Some(1.0)])];
        let logs = Logs { method: "m".into(), runs };
        // The third epoch has no value in one run.
        assert_eq!(logs.mean("x"), [(1.0, 2.0), (2.0, 4.0)]);
        assert_eq!(logs.range("x"), [(1.0, 1.0, 3.0), (2.0, 2.0, 6.0)]);
        assert!(logs.mean("y").is_empty());
        assert_eq!(logs.epochs(), 3);
    }
}
