//! The stage: every slice of a study is read, segmented, windowed and written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::config::Config;
use contract::instructions;
use contract::schema::flag;

use crate::error::Error;
use crate::finish::Finisher;
use crate::lesions::Lesions;
use crate::model::{self, LIBTORCH, LungModel, Trust};
use crate::patients::{self, Loss};
use crate::privacy::Naming;
use crate::quality::SeriesQuality;
use crate::{inputs, pipeline, splits};

/// What a run of the stage did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Patients with a slice written, by class.
    pub patients: BTreeMap<String, usize>,
    /// What is known of each series.
    pub series: Vec<SeriesQuality>,
    /// Slices or files left out, by reason.
    pub excluded: BTreeMap<&'static str, usize>,
    /// Labelled patients with no slice, or with few.
    pub losses: Vec<Loss>,
    /// Conditions for the receipt.
    pub environment: BTreeMap<String, String>,
}

/// Fills `folder` with the outputs of the stage. No error says more of a patient than the outputs do.
///
/// # Errors
/// An input or the model is not usable, nothing is left, an output cannot be written, or the program was interrupted.
pub fn process(config: &Config, folder: &Path) -> Result<Summary, Error> {
    let mut naming = Naming::new(config)?;
    all(config, folder, &mut naming).map_err(|error| naming.hide_in(error))
}

fn all(config: &Config, folder: &Path, naming: &mut Naming) -> Result<Summary, Error> {
    let settings = &config.preprocess;
    let threads = model::threads(settings.threads);
    let model = LungModel::load(&settings.model, Trust::Study(settings.model_sha256.as_deref()))?;
    let inputs = inputs::collect(config, naming)?;
    splits::check(config, naming, &inputs.series)?;
    inputs.notes.iter().for_each(|note| contract::say!("note: {note}"));
    let lesions = Lesions::load(config, &inputs.series)?;
    let finisher = Finisher::new(config, folder, &model, &inputs)?;
    let finisher = pipeline::run(config, &model, (&inputs.series, &lesions), threads, finisher)?;
    let (series, left_out) = finisher.finish(folder)?;
    let mut excluded: BTreeMap<&'static str, usize> = BTreeMap::new();
    left_out.iter().for_each(|row| *excluded.entry(row.reason).or_default() += 1);
    let environment = [
        ("device", "cpu".to_owned()),
        ("threads", threads.to_string()),
        ("instructions", instructions::describe(config.instructions)),
        ("libtorch", LIBTORCH.to_owned()),
        ("model_sha256", model.sha256().to_owned()),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value)).into();
    let losses = patients::losses(&series, &inputs.absent);
    patients::warning(&losses).into_iter().for_each(|warning| contract::say!("warning: {warning}"));
    Ok(Summary { patients: with_slices(config, &series), series, excluded, losses, environment })
}

fn with_slices(config: &Config, series: &[SeriesQuality]) -> BTreeMap<String, usize> {
    let with_slices = series.iter().filter(|series| series.kept() > 0);
    let found: BTreeSet<(usize, &str)> = with_slices.map(|series| (series.label, series.patient_id.as_str())).collect();
    let count = |label: usize| found.iter().filter(|(other, _)| *other == label).count();
    config.classes.iter().enumerate().map(|(label, name)| (name.clone(), count(label))).collect()
}

fn list(counts: Vec<String>) -> String {
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let sum = |value: fn(&SeriesQuality) -> usize| self.series.iter().map(value).sum::<usize>();
        let counted = |(name, count): (&dyn std::fmt::Display, usize)| format!("{count} {name}");
        let by_class = self.patients.iter().map(|(class, count)| counted((class, *count))).collect();
        let excluded = self.excluded.iter().map(|(reason, count)| counted((reason, *count))).collect();
        let flags = flag::ALL.map(|flag| (flag, self.series.iter().map(|series| series.flagged(flag)).sum::<usize>()));
        let flags =
            flags.into_iter().filter(|(_, count)| *count > 0).map(|(flag, count)| counted((&flag, count))).collect();
        let mut remarks: BTreeMap<&str, usize> = BTreeMap::new();
        self.series
            .iter()
            .flat_map(|series| &series.remarks)
            .for_each(|remark| *remarks.entry(remark).or_default() += 1);
        writeln!(out, "patients     {}", list(by_class))?;
        if !self.losses.is_empty() {
            writeln!(out, "lost         {} (qa.csv)", patients::by_reason(&self.losses).join("; "))?;
        }
        writeln!(out, "series       {}", self.series.len())?;
        if !remarks.is_empty() {
            let remarks = remarks.iter().map(|(remark, count)| counted((remark, *count))).collect();
            writeln!(out, "remarks      {} (qa.csv)", list(remarks))?;
        }
        writeln!(out, "slices       {} read, {} written", sum(|series| series.slices.len()), sum(SeriesQuality::kept))?;
        writeln!(out, "left out     {}", list(excluded))?;
        writeln!(out, "mask flags   {} (qa_slices.csv, sheets/)", list(flags))?;
        let ml = |series: &SeriesQuality| series.lungs_ml().map(|ml| ml[0] + ml[1]);
        let mut volumes: Vec<f64> = self.series.iter().filter_map(ml).collect();
        volumes.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (volumes.first(), volumes.last()) {
            let middle = volumes[volumes.len() / 2];
            writeln!(out, "lung volume  median {middle:.0} ml, {least:.0} to {most:.0} ml")?;
        }
        Ok(())
    }
}
