//! The stage: every slice of a study is read, segmented, windowed and written.
//!
//! Slices go through in batches of whole series. While the network works on one batch, the next is read and reduced to
//! what is needed later (network input, picture, crop), so memory holds two batches of reduced slices and a few slices in HU.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use contract::config::Config;
use contract::layout::{EXCLUDED, SLICES};
use contract::progress::Progress;
use contract::schema::flag;
use contract::{id, interrupt};
use ndarray::Array2;
use rayon::prelude::*;

use crate::error::Error;
use crate::inputs::{self, Inputs, Series, SliceFile};
use crate::lungs::{self, Frame};
use crate::model::{self, LIBTORCH, LungModel, Trust};
use crate::protocol;
use crate::slices::{self, Excluded, Quality, Row, SliceTable};
use crate::window;

/// Batches end with the series that brings them to this many slices.
const BATCH_SLICES: usize = 64;

/// What is known of each series, beside `slices.parquet`.
pub const QUALITY: &str = "qa.csv";

/// What a run of the stage did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Patients with a slice written, by class.
    pub patients: BTreeMap<String, usize>,
    /// What is known of each series.
    pub series: Vec<Quality>,
    /// Slices or files left out, by reason.
    pub excluded: BTreeMap<&'static str, usize>,
    /// Conditions for the receipt.
    pub environment: BTreeMap<String, String>,
}

/// Fills `folder` with the outputs of the stage.
///
/// # Errors
/// An input or the model is not usable, nothing is left, an output cannot be written, or the program was interrupted.
pub fn process(config: &Config, folder: &Path) -> Result<Summary, Error> {
    let settings = &config.preprocess;
    let threads = model::threads(settings.threads);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
    let model = LungModel::load(&settings.model, Trust::Study(settings.model_sha256.as_deref()))?;
    let inputs = inputs::collect(config)?;
    inputs.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let mut run = Run::new(config, &model, &inputs, SliceTable::create(&folder.join(SLICES), config, model.sha256())?);
    run.all(&inputs.series, threads)?;
    run.progress.finish();
    let kept: usize = run.quality.iter().map(|series| series.kept).sum();
    if kept == 0 {
        return Err(nothing_left(config, &run.quality));
    }
    run.table.commit()?;
    let mut excluded: BTreeMap<&'static str, usize> = BTreeMap::new();
    run.excluded.iter().for_each(|row| *excluded.entry(row.reason).or_default() += 1);
    slices::write_excluded(&folder.join(EXCLUDED), run.excluded)?;
    slices::write_quality(&folder.join(QUALITY), &run.quality)?;
    let environment = [
        ("device", "cpu".to_owned()),
        ("threads", threads.to_string()),
        ("libtorch", LIBTORCH.to_owned()),
        ("model_sha256", model.sha256().to_owned()),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(Summary { patients: patients(config, &run.quality), series: run.quality, excluded, environment })
}

fn nothing_left(config: &Config, series: &[Quality]) -> Error {
    let slices: usize = series.iter().map(|series| series.slices).sum();
    let empty: usize = series.iter().map(|series| series.flags[0]).sum();
    let (minimum, model) = (config.preprocess.min_lung_fraction, config.preprocess.model.display());
    let message = format!(
        "the lung masks are empty in {empty} and below preprocess.min_lung_fraction ({minimum}) in the others; check that the \
         input is chest CT in HU (for images: preprocess.image_low_hu and image_high_hu) and that {model} is a lung model"
    );
    Error::NoLungs { slices, message }
}

fn patients(config: &Config, series: &[Quality]) -> BTreeMap<String, usize> {
    let with_slices = series.iter().filter(|series| series.kept > 0);
    let found: BTreeSet<(usize, &str)> = with_slices.map(|series| (series.label, series.patient_id.as_str())).collect();
    let count = |label: usize| found.iter().filter(|(other, _)| *other == label).count();
    config.classes.iter().enumerate().map(|(label, name)| (name.clone(), count(label))).collect()
}

/// A slice after reading: everything but its mask.
struct Reduced {
    input: Array2<f32>,
    frame: Frame,
    picture: Vec<u8>,
}

fn reduce(file: &SliceFile, window_hu: (f64, f64), size: usize) -> Result<Reduced, Error> {
    if interrupt::requested() {
        return Err(Error::Interrupted);
    }
    let hu = file.read()?;
    let (input, crop) = protocol::prepare(&hu);
    let picture = window::picture(&hu, window_hu, size).into_raw_vec_and_offset().0;
    Ok(Reduced { input, frame: Frame { crop, shape: hu.dim(), z_mm: file.z_mm }, picture })
}

/// Series in batches of about [`BATCH_SLICES`] slices.
fn batches(series: &[Series]) -> Vec<&[Series]> {
    let mut batches = Vec::new();
    let (mut start, mut slices) = (0, 0);
    for (index, one) in series.iter().enumerate() {
        slices += one.slices.len();
        if slices >= BATCH_SLICES || index + 1 == series.len() {
            batches.push(&series[start..=index]);
            (start, slices) = (index + 1, 0);
        }
    }
    batches
}

/// A batch on its way from the reader to the network: the series, and their slices one after the other.
type Batch<'a> = (&'a [Series], Vec<Reduced>);

/// Reads batches ahead of the network. Ends when all are sent, at the first error, or when nobody listens any more.
fn read_ahead<'a>(
    batches: &[&'a [Series]],
    config: &Config,
    pool: &rayon::ThreadPool,
    to: &SyncSender<Result<Batch<'a>, Error>>,
) {
    let (window_hu, size) = (config.preprocess.window_hu(), config.preprocess.size as usize);
    for batch in batches {
        let files: Vec<&SliceFile> = batch.iter().flat_map(|series| &series.slices).collect();
        // All results first, then the first error in order: the same message whatever the threads do.
        // Waiting to send happens outside the pool, whose threads the receiving side needs, too.
        let reduced: Vec<_> = pool.install(|| files.par_iter().map(|file| reduce(file, window_hu, size)).collect());
        let batch = reduced.into_iter().collect::<Result<Vec<_>, _>>().map(|reduced| (*batch, reduced));
        let failed = batch.is_err();
        if to.send(batch).is_err() || failed {
            return;
        }
    }
}

/// The state of a run.
struct Run<'a> {
    config: &'a Config,
    model: &'a LungModel,
    table: SliceTable,
    progress: Progress,
    quality: Vec<Quality>,
    excluded: Vec<Excluded>,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, model: &'a LungModel, inputs: &Inputs, table: SliceTable) -> Self {
        let left_out = inputs.left_out.iter().map(|file| Excluded {
            slice_id: None,
            patient_id: file.patient_id.clone(),
            source: file.source.clone(),
            lung_fraction: None,
            reason: file.reason,
        });
        let slices = inputs.series.iter().map(|series| series.slices.len()).sum::<usize>();
        let progress = Progress::new("preprocess", "slices", slices as u64);
        Self { config, model, table, progress, quality: Vec::new(), excluded: left_out.collect() }
    }

    fn all(&mut self, series: &[Series], threads: usize) -> Result<(), Error> {
        let failed =
            |error: rayon::ThreadPoolBuildError| Error::Usage(format!("cannot start {threads} threads: {error}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(failed)?;
        let batches = batches(series);
        let config = self.config;
        std::thread::scope(|scope| {
            let (to, from) = sync_channel(1);
            let (batches, pool_of_reader) = (&batches, &pool);
            scope.spawn(move || read_ahead(batches, config, pool_of_reader, &to));
            self.receive(from, &pool)
        })
    }

    fn receive(&mut self, from: Receiver<Result<Batch, Error>>, pool: &rayon::ThreadPool) -> Result<(), Error> {
        for batch in from {
            let (series, reduced) = batch?;
            self.batch(series, reduced, pool)?;
        }
        Ok(())
    }

    fn batch(&mut self, series: &[Series], reduced: Vec<Reduced>, pool: &rayon::ThreadPool) -> Result<(), Error> {
        let inputs = reduced.iter().map(|slice| &slice.input);
        let size = self.config.preprocess.batch_size as usize;
        let mut labels = self.model.labels(inputs, size, |done| self.progress.advance(done as u64))?.into_iter();
        let mut reduced = reduced.into_iter();
        let per_series: Vec<_> = series
            .iter()
            .map(|series| {
                let count = series.slices.len();
                (
                    series,
                    reduced.by_ref().take(count).collect::<Vec<_>>(),
                    labels.by_ref().take(count).collect::<Vec<_>>(),
                )
            })
            .collect();
        let config = self.config;
        let finished: Vec<Finished> = pool.install(|| {
            per_series
                .into_par_iter()
                .map(|(series, reduced, labels)| finish(config, series, reduced, &labels))
                .collect()
        });
        let mut rows = Vec::new();
        for series in finished {
            rows.extend(series.rows);
            self.excluded.extend(series.excluded);
            self.quality.push(series.quality);
        }
        self.table.write(&rows)
    }
}

/// A series when all is done.
struct Finished {
    rows: Vec<Row>,
    excluded: Vec<Excluded>,
    quality: Quality,
}

/// Masks of a series, remarks, and the decision on each slice.
fn finish(config: &Config, series: &Series, reduced: Vec<Reduced>, labels: &[Array2<u8>]) -> Finished {
    let frames: Vec<Frame> = reduced.iter().map(|slice| slice.frame.clone()).collect();
    let masks = lungs::masks(labels, &frames);
    let quality = quality(series, &masks);
    let mut finished = Finished { rows: Vec::new(), excluded: Vec::new(), quality };
    for (index, ((file, slice), mask)) in series.slices.iter().zip(reduced).zip(&masks).enumerate() {
        let slice_index = i32::try_from(index).unwrap_or(i32::MAX);
        let slice_id = id::slice(&series.patient_id, &series.series_id, slice_index);
        let (patient_id, source) = (series.patient_id.clone(), file.source.clone());
        let lung_fraction = lungs::fraction(mask);
        if f64::from(lung_fraction) < config.preprocess.min_lung_fraction {
            let reason = if lung_fraction > 0.0 { "little_lung" } else { flag::EMPTY_MASK };
            let slice_id = Some(slice_id);
            let lung_fraction = Some(lung_fraction);
            finished.excluded.push(Excluded { slice_id, patient_id, source, lung_fraction, reason });
            continue;
        }
        let mask_picture = window::picture_mask(mask, config.preprocess.size as usize);
        finished.rows.push(Row {
            slice_id,
            patient_id,
            series_id: series.series_id.clone(),
            slice_index,
            z_mm: file.z_mm,
            label: i32::try_from(series.label).unwrap_or(i32::MAX),
            source,
            image: slice.picture,
            mask: mask_picture.into_raw_vec_and_offset().0,
            lung_fraction,
            flags: lungs::flags(mask),
        });
    }
    finished.rows.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
    finished.quality.kept = finished.rows.len();
    finished
}

fn quality(series: &Series, masks: &[Array2<u8>]) -> Quality {
    let mut flags = [0; 3];
    let mut voxels = [0; 2];
    for mask in masks {
        let found = lungs::flags(mask);
        for (count, name) in flags.iter_mut().zip([flag::EMPTY_MASK, flag::ONE_LUNG, flag::TOUCHES_BORDER]) {
            *count += usize::from(found.contains(&name));
        }
        voxels.iter_mut().zip(lungs::counts(mask)).for_each(|(sum, count)| *sum += count);
    }
    Quality {
        patient_id: series.patient_id.clone(),
        series_id: series.series_id.clone(),
        label: series.label,
        slices: masks.len(),
        kept: 0,
        lungs_ml: series.voxel_mm3.map(|mm3| voxels.map(|count| count as f64 * mm3 / 1000.0)),
        flags,
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let sum = |value: fn(&Quality) -> usize| self.series.iter().map(value).sum::<usize>();
        let list = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let patients = list(self.patients.iter().map(|(class, count)| format!("{count} {class}")).collect());
        let excluded = list(self.excluded.iter().map(|(reason, count)| format!("{count} {reason}")).collect());
        writeln!(out, "patients     {patients}")?;
        writeln!(out, "series       {}", self.series.len())?;
        writeln!(out, "slices       {} read, {} written", sum(|series| series.slices), sum(|series| series.kept))?;
        writeln!(out, "left out     {excluded}")?;
        let mut volumes: Vec<f64> =
            self.series.iter().filter_map(|series| series.lungs_ml).map(|ml| ml[0] + ml[1]).collect();
        volumes.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (volumes.first(), volumes.last()) {
            let middle = volumes[volumes.len() / 2];
            writeln!(out, "lung volume  median {middle:.0} ml, {least:.0} to {most:.0} ml")?;
        }
        Ok(())
    }
}
