//! A study's report: reads what the stages before wrote, checks it, assesses it and fills the folder of the report.

use std::collections::BTreeMap;
use std::path::Path;

use contract::cli::{Start, run_task};
use contract::config::Config;
use contract::layout::{EXCLUDED, LOG, Layout, PREDICTIONS, SHEETS};
use contract::progress::Progress;
use contract::schema::column;
use contract::{atomic, interrupt, plan};

use crate::answer::Answer;
use crate::assess::{Assessment, assess};
use crate::charts::{self, Curve, Series};
use crate::error::Error;
use crate::gallery::{Choice, choose};
use crate::measure::Measure;
use crate::metrics::{Metric, decide};
use crate::pool::{Evidence, Settings};
use crate::predictions::{Fault, Method, Predictions};
use crate::provenance::{self, Provenance};
use crate::read::{self, Log};
use crate::tables::{Place, Table, tables};
use crate::{auc, csv_files, html, inputs, overlay, render};

/// Everything the page shows.
pub struct Study {
    /// Results.
    pub assessment: Assessment,
    /// The answer in words.
    pub answer: Answer,
    /// All tables.
    pub tables: Vec<Table>,
    /// ROC curves, SVG; None for a one-class study.
    pub roc: Option<String>,
    /// Training curves by method, SVG.
    pub training: Vec<(String, String)>,
    /// Names of the methods whose attention the gallery shows.
    pub shown: Vec<String>,
    /// Slices of the gallery.
    pub gallery: Vec<Exhibit>,
    /// Slices and series left out, by reason.
    pub excluded: BTreeMap<String, usize>,
    /// Data, settings, versions, devices.
    pub provenance: Provenance,
}

/// A slice of the gallery.
pub struct Exhibit {
    /// Why it was chosen.
    pub choice: Choice,
    /// Id of the slice.
    pub slice_id: String,
    /// Name of the true class.
    pub class: String,
    /// The slice with its lung outline, as a `data:` address.
    pub picture: String,
    /// For each method shown: what it said, and its attention over the slice (None without an attention branch).
    pub methods: Vec<Verdict>,
}

/// What one method said of a slice.
pub struct Verdict {
    /// Probability of the positive class.
    pub probability: f64,
    /// Share of the attention inside the lung.
    pub in_lung: Option<f64>,
    /// The attention over the slice, as a `data:` address.
    pub picture: Option<String>,
}

/// Runs the stage. Returns what goes to stdout; nothing if the report was up to date.
///
/// # Errors
/// See [`Error`].
pub fn run(config: &Config, force: bool) -> Result<Option<String>, Error> {
    let folds = plan::fold_count(config).map_err(Error::Folds)?;
    let task = plan::report(config, folds);
    let mut text = None;
    run_task(&task, force, Start::Fresh, |folder| {
        let study = read_study(config, folds)?;
        write(folder.path(), &study)?;
        copy_sheets(&Layout::new(config).sheets(), &folder.path().join(SHEETS))?;
        text = Some(stdout(&study, &task.output));
        Ok::<_, Error>(BTreeMap::new())
    })?;
    Ok(text)
}

fn stdout(study: &Study, folder: &Path) -> String {
    let shown = study.tables.iter().filter(|table| table.place != Place::Reference);
    let tables: String = shown.map(|table| render::text(table) + "\n").collect();
    format!("{tables}{}{}\n", study.answer.text(), folder.join("report.html").display())
}

/// What to assess in a study.
pub fn settings(config: &Config) -> Settings {
    let (a, proposed) = (&config.report.conventional, &config.report.proposed);
    // The pair in question first, then every other method in the study's order.
    let mut others: Vec<&String> = config.methods.iter().map(|method| &method.name).filter(|name| *name != a).collect();
    others.sort_by_key(|name| *name != proposed);
    Settings {
        study: config.study.clone(),
        classes: config.classes.clone(),
        positive: config.report.positive as usize,
        confidence: config.report.confidence,
        bootstrap: config.report.bootstrap as usize,
        seed: config.report.seed,
        pairs: others.into_iter().map(|other| (a.clone(), other.clone())).collect(),
        shown: shown(config),
    }
}

/// Stops between two steps.
pub(crate) fn stop_if_asked() -> Result<(), Error> {
    if interrupt::requested() { Err(Error::Interrupted) } else { Ok(()) }
}

fn read_study(config: &Config, folds: usize) -> Result<Study, Error> {
    let layout = Layout::new(config);
    let settings = settings(config);
    let predictions = inputs::predictions(config, folds)?;
    let reversed = inputs::reversed(config, folds, &predictions)?;
    stop_if_asked()?;
    let assessment = assess(Evidence { predictions: &predictions, reversed: reversed.as_ref() }, &settings);
    stop_if_asked()?;
    let shown = shown(config);
    let study = Study {
        answer: Answer::new(&assessment),
        tables: tables(&assessment),
        roc: roc(&predictions, &assessment)?,
        training: training(config, folds)?,
        gallery: gallery(config, &predictions, &shown)?,
        shown,
        excluded: read::excluded(&layout.masks().join(EXCLUDED))?,
        provenance: provenance::collect(config, folds),
        assessment,
    };
    stop_if_asked()?;
    Ok(study)
}

/// The methods of the gallery and of the tables of the paper's form: the pair in question, once if they are the same.
fn shown(config: &Config) -> Vec<String> {
    let mut names = vec![config.report.conventional.clone(), config.report.proposed.clone()];
    names.dedup();
    names
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

/// Chooses the slices by the proposed method's first seed and renders them.
fn gallery(config: &Config, predictions: &Predictions, shown: &[String]) -> Result<Vec<Exhibit>, Error> {
    let methods: Vec<&Method> = shown.iter().filter_map(|name| predictions.method(name)).collect();
    let Some(judge) = methods.last() else { return Ok(Vec::new()) };
    let positive = config.report.positive as usize;
    let chosen = choose(predictions, &judge.runs[0], positive, config.report.gallery as usize);
    let layout = Layout::new(config);
    let pictures = if chosen.is_empty() { BTreeMap::new() } else { read::places(&layout.slices())? };
    let mut places = Places::default();
    let mut exhibits = Vec::new();
    let progress = Progress::new("report: gallery", "slices", chosen.len() as u64);
    for choice in chosen {
        let slice = &predictions.slices[choice.slice];
        let Some(place) = pictures.get(&slice.id) else {
            let fault = Fault::Unequal {
                slice: slice.id.clone(),
                present: "the predictions".to_owned(),
                absent: "the slices".to_owned(),
            };
            return Err(Error::Predictions { origin: layout.slices().display().to_string(), fault });
        };
        let picture = overlay::shrink(&read::picture(&layout.slices(), *place)?);
        let verdict =
            |method: &&Method| verdict(&layout, predictions, method, choice.slice, positive, &picture, &mut places);
        let methods = methods.iter().map(verdict).collect::<Result<_, _>>()?;
        exhibits.push(Exhibit {
            choice,
            slice_id: slice.id.clone(),
            class: config.classes[predictions.patients[slice.patient].label].clone(),
            picture: encode(&picture, None)?,
            methods,
        });
        progress.advance(1);
        stop_if_asked()?;
    }
    progress.finish();
    Ok(exhibits)
}

fn encode(picture: &read::Picture, attention: Option<&[f32]>) -> Result<String, Error> {
    overlay::png(&overlay::blend(picture, attention), picture.height, picture.width)
        .map_err(|error| Error::Draw { what: "a slice of the gallery".to_owned(), message: error.to_string() })
}

/// Places of the slices in each predictions file, read once.
type Places = BTreeMap<std::path::PathBuf, BTreeMap<String, usize>>;

fn verdict(
    layout: &Layout,
    predictions: &Predictions,
    method: &Method,
    slice: usize,
    positive: usize,
    picture: &read::Picture,
    places: &mut Places,
) -> Result<Verdict, Error> {
    let run = &method.runs[0];
    let fold = run.patient_fold[predictions.slices[slice].patient];
    let path = layout.run(&method.name, fold as usize, run.seed as u64).join(PREDICTIONS);
    if !places.contains_key(&path) {
        places.insert(path.clone(), read::places(&path)?);
    }
    let place = places.get(&path).and_then(|places| places.get(&predictions.slices[slice].id));
    let map = place.map_or(Ok(None), |place| read::attention(&path, *place))?;
    let square = map.filter(|map| overlay::side(map).is_some());
    Ok(Verdict {
        probability: run.prob[slice * predictions.classes + positive],
        in_lung: run.attention[slice][Measure::InLung as usize],
        picture: square.map(|map| encode(picture, Some(&map))).transpose()?,
    })
}

/// metrics.json of an assessment.
pub fn metrics_json(assessment: &Assessment) -> String {
    let text = serde_json::to_string_pretty(assessment).expect("an assessment has string keys and finite numbers");
    text + "\n"
}

/// Copies the contact sheets, so that a report shows its masks wherever it goes.
fn copy_sheets(from: &Path, to: &Path) -> Result<(), Error> {
    let unread = |source| Error::Open { path: from.to_owned(), source, advice: "run preprocess again" };
    for entry in std::fs::read_dir(from).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let bytes = std::fs::read(entry.path()).map_err(unread)?;
        let path = to.join(entry.file_name());
        atomic::write(&path, &bytes).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// Fills the folder of the report.
fn write(folder: &Path, study: &Study) -> Result<(), Error> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        atomic::write(&path, text.as_bytes()).map_err(|source| Error::Write { path, source })
    };
    put("table1.csv", &csv_files::table1(&study.assessment))?;
    put("table2.csv", &csv_files::table2(&study.assessment))?;
    let more = [
        ("attention.csv", csv_files::attention(&study.assessment)),
        ("reversed.csv", csv_files::reversed(&study.assessment)),
        ("comparisons.csv", csv_files::comparisons(&study.assessment)),
    ];
    for (name, text) in more {
        text.map_or(Ok(()), |text| put(name, &text))?;
    }
    put("tables.md", &study.tables.iter().map(render::markdown).collect::<String>())?;
    put("tables.tex", &render::latex(&study.tables))?;
    put("metrics.json", &metrics_json(&study.assessment))?;
    if let Some(roc) = &study.roc {
        put("figures/roc.svg", roc)?;
    }
    for (method, chart) in &study.training {
        put(&format!("figures/training-{method}.svg"), chart)?;
    }
    put("report.html", &html::page(study))
}
