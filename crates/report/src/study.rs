//! A study's report: reads what the stages before wrote, checks it, assesses it and fills the folder of the report.

use std::collections::BTreeMap;
use std::path::Path;

use contract::cli::{Start, run_task};
use contract::config::Config;
use contract::layout::{Layout, METRICS, REPORT, SHEETS, SUMMARY};
use contract::receipt::TaskError;
use contract::{atomic, interrupt, owner, plan};

use crate::answer::Answer;
use crate::assess::{Assessment, assess};
use crate::browser::{self, Browsed};
use crate::documents::{self, Document};
use crate::error::Error;
use crate::exhibits::{self, Exhibit};
use crate::figures::Figures;
use crate::pool::{Evidence, Settings};
use crate::provenance::{self, Provenance};
use crate::tables::{Place, Table, tables};
use crate::views::Viewer;
use crate::{csv_files, html, inputs, paper, render, schema};

/// Everything the page shows.
pub struct Study {
    /// Results.
    pub assessment: Assessment,
    /// The answer in words.
    pub answer: Answer,
    /// All tables.
    pub tables: Vec<Table>,
    /// Charts.
    pub figures: Figures,
    /// Names of the methods whose attention the gallery shows.
    pub shown: Vec<String>,
    /// Slices of the gallery.
    pub gallery: Vec<Exhibit>,
    /// Patients of the slice browser.
    pub browser: Vec<Browsed>,
    /// Data, settings, versions, devices.
    pub provenance: Provenance,
    /// Checklists and model cards.
    pub documents: Vec<Document>,
}

/// Runs the stage. Returns what goes to stdout; nothing if the report was up to date.
///
/// # Errors
/// See [`Error`].
pub fn run(config: &Config, force: bool) -> Result<Option<String>, Error> {
    let folds = plan::fold_count(config)?;
    owner::claim_report(config).map_err(TaskError::Owned)?;
    let task = plan::report(config, folds);
    let mut text = None;
    run_task(&task, force, Start::Fresh, |folder| {
        let study = read_study(config, folds)?;
        write(folder.path(), &study)?;
        copy_sheets(&Layout::new(config).sheets(), &folder.path().join(SHEETS))?;
        text = Some(format!("{}\n{}\n", summary(&study), task.output.join(REPORT).display()));
        Ok::<_, Error>(BTreeMap::new())
    })?;
    Ok(text)
}

/// What a reader sees first: both tables, the methods' rows beside the paper's, and the answer; summary.txt.
fn summary(study: &Study) -> String {
    let both = study.tables.iter().filter(|table| table.place == Place::Paper);
    let tables: String = both.map(|table| render::text(&without_parts(table)) + "\n").collect();
    tables + &render::paragraphs(&study.answer)
}

/// A table of the paper's form without its rows by fold and by seed.
fn without_parts(table: &Table) -> Table {
    let blocks = table.blocks.iter().enumerate();
    let kept = blocks.filter(|(place, block)| *place == 0 || block.title == paper::BLOCK);
    Table { blocks: kept.map(|(_, block)| block.clone()).collect(), ..table.clone() }
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
        rule: config.report.patient_rule,
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
    let settings = settings(config);
    let predictions = inputs::predictions(config, folds)?;
    let reversed = inputs::reversed(config, folds, &predictions)?;
    stop_if_asked()?;
    let assessment = assess(Evidence { predictions: &predictions, reversed: reversed.as_ref() }, &settings);
    stop_if_asked()?;
    let shown = shown(config);
    let mut viewer = Viewer::new(config, &predictions, &shown)?;
    let provenance = provenance::collect(config, folds);
    let study = Study {
        answer: Answer::new(&assessment),
        tables: tables(&assessment),
        figures: Figures::new(config, folds, &predictions, &assessment)?,
        gallery: exhibits::gallery(config, &predictions, &mut viewer)?,
        browser: browser::browser(config, &predictions, &mut viewer)?,
        shown,
        documents: documents::documents(config, &assessment, &provenance, &documents::Files::read(config, folds)?),
        provenance,
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

/// metrics.json of an assessment; [`schema`] describes it.
pub fn metrics_json(assessment: &Assessment) -> String {
    let text = serde_json::to_string_pretty(&schema::Document::new(assessment));
    text.expect("an assessment has string keys and finite numbers") + "\n"
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
    let put_bytes = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        atomic::write(&path, bytes).map_err(|source| Error::Write { path, source })
    };
    let put = |name: &str, text: &str| put_bytes(name, text.as_bytes());
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
    put("tables.json", &csv_files::tables_json(&study.assessment))?;
    put(SUMMARY, &summary(study))?;
    put(METRICS, &metrics_json(&study.assessment))?;
    for (name, chart) in study.figures.files() {
        put(&format!("figures/{name}"), chart)?;
    }
    for (place, exhibit) in study.gallery.iter().enumerate() {
        put_bytes(&exhibit.file(place), &exhibit.figure)?;
    }
    for document in &study.documents {
        put(&document.file, &document.text())?;
    }
    put(REPORT, &html::page(study))
}
