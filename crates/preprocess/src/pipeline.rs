//! Slices on their way through the stage: three threads, each busy with another batch.
//!
//! ```text
//! read and reduce  ->  network  ->  clean up, judge, write
//! ```
//!
//! A batch is whole series of together some 64 slices. A slice is reduced to what is needed later (the network's input,
//! the windowed picture, a survey), so memory holds a few batches of reduced slices and as many slices in HU as there are threads, however
//! many series a study has.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use contract::config::Config;
use contract::progress::Progress;
use contract::{interrupt, plan};
use ndarray::Array2;
use rayon::prelude::*;

use crate::error::Error;
use crate::finish::Finisher;
use crate::inputs::{Opened, Series};
use crate::lesions::Lesions;
use crate::lungs::Frame;
use crate::model::{self, LungModel};
use crate::preflight::{self, Interface};
use crate::second_choice::SecondChoice;
use crate::survey::Survey;
use crate::{protocol, window};

/// Batches end with the series that brings them to this many slices.
const BATCH_SLICES: usize = 64;

/// A slice after reading: everything but its mask.
pub struct Reduced {
    /// What the network sees, (256, 256).
    pub input: Array2<f32>,
    /// Where that was cut out.
    pub frame: Frame,
    /// The windowed slice, (size, size).
    pub picture: Array2<u8>,
    /// The slice at a glance.
    pub survey: Survey,
    /// Its lesions as the picture, if they are known.
    pub lesion: Option<Array2<u8>>,
}

/// What a slice's reduction depends on.
#[derive(Clone, Copy)]
pub struct Reduction<'a> {
    config: &'a Config,
    shipped: bool,
    lesions: &'a Lesions,
}

/// A batch on its way: the series, and their slices one after the other.
struct Batch<'a> {
    series: &'a [Series],
    slices: Vec<Reduced>,
}

/// A batch with the network's labels, (256, 256) each.
struct Labelled<'a> {
    batch: Batch<'a>,
    labels: Vec<Array2<u8>>,
}

/// Takes all series through the stage.
///
/// # Errors
/// A file is damaged or suspect, the model fails, an output cannot be written, or the program was interrupted.
pub fn run<'a>(
    config: &'a Config,
    model: &LungModel,
    (series, lesions): (&[Series], &Lesions),
    threads: usize,
    finisher: Finisher<'a>,
) -> Result<Finisher<'a>, Error> {
    let pool = model::pool(threads)?;
    let slices: usize = series.iter().map(|series| series.slices.len()).sum();
    let progress = Progress::new(&plan::preprocess(config).id, "slices", slices as u64);
    let batches = batches(series);
    let result = std::thread::scope(|scope| {
        // Nothing waits in between: each thread works on one batch, and hands it on when the next one is free.
        let (to_network, read) = sync_channel(0);
        let (to_finisher, labelled) = sync_channel(0);
        let (batches, pool) = (&batches, &pool);
        let reduction = Reduction { config, shipped: model.is_shipped(), lesions };
        scope.spawn(move || read_ahead(batches, reduction, pool, &to_network));
        let second = SecondChoice { config, reduction, model, pool };
        let finishing = scope.spawn(move || finish(finisher, labelled, second));
        let network = label(model, config, read, &to_finisher, (pool, &progress));
        drop(to_finisher);
        let finished = finishing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The finisher's error comes first: the network only noticed that nobody listens.
        finished.and_then(|finished| network.map(|()| finished))
    });
    progress.finish();
    result
}

/// Series in batches of some 64 slices. Where another series of a study may take the place of one, the patient's series stay together, so
/// that rows can be sorted.
fn batches(series: &[Series]) -> Vec<&[Series]> {
    let mut batches = Vec::new();
    let (mut start, mut slices) = (0, 0);
    for (index, one) in series.iter().enumerate() {
        slices += one.slices.len();
        let has_choice = |other: &Series| !other.alternatives.is_empty();
        let goes_on = series
            .get(index + 1)
            .is_some_and(|next| next.patient_id == one.patient_id && (has_choice(one) || has_choice(next)));
        if (slices >= BATCH_SLICES && !goes_on) || index + 1 == series.len() {
            batches.push(&series[start..=index]);
            (start, slices) = (index + 1, 0);
        }
    }
    batches
}

/// Reads batches ahead of the network. Ends when all are sent, at the first error, or when nobody listens any more.
fn read_ahead<'a>(
    batches: &[&'a [Series]],
    reduction: Reduction,
    pool: &rayon::ThreadPool,
    to: &SyncSender<Result<Batch<'a>, Error>>,
) {
    for series in batches {
        // Waiting to send happens outside the pool, whose threads the finisher needs, too.
        let slices = pool.install(|| read(series, reduction));
        let batch = slices.map(|slices| Batch { series, slices });
        let failed = batch.is_err();
        if to.send(batch).is_err() || failed {
            return;
        }
    }
}

/// The slices of a batch, reduced. The first error in order, whatever the threads do.
pub fn read(series: &[Series], reduction: Reduction) -> Result<Vec<Reduced>, Error> {
    let opened: Vec<Result<Opened, Error>> = series.par_iter().map(Series::open).collect();
    let opened = opened.into_iter().collect::<Result<Vec<Opened>, Error>>()?;
    let places: Vec<(usize, usize)> = series
        .iter()
        .enumerate()
        .flat_map(|(number, series)| (0..series.slices.len()).map(move |index| (number, index)))
        .collect();
    let one = |(number, index): &(usize, usize)| reduction.reduce(&opened[*number], *index, &series[*number]);
    let reduced: Vec<Result<Reduced, Error>> = places.par_iter().map(one).collect();
    let reduced = reduced.into_iter().collect::<Result<Vec<Reduced>, Error>>()?;
    let mut rest = reduced.as_slice();
    for one in series {
        let (own, others) = rest.split_at(one.slices.len());
        rest = others;
        check_units(reduction.config, one, own)?;
    }
    Ok(reduced)
}

impl Reduction<'_> {
    fn reduce(self, opened: &Opened, index: usize, series: &Series) -> Result<Reduced, Error> {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let slice = opened.slice(index)?;
        let pictured = self.shipped && series.is_picture();
        let prepare = if pictured { protocol::prepare_picture } else { protocol::prepare };
        let (input, crop) = prepare(&slice.hu);
        let size = self.config.preprocess.size as usize;
        Ok(Reduced {
            input,
            frame: Frame { crop, shape: slice.hu.dim(), z_mm: series.slices[index].z_mm },
            picture: window::picture(&slice.hu, self.config.preprocess.window_hu(), size),
            lesion: self.lesions.picture(series, index, slice.hu.dim(), size)?,
            survey: Survey::of(slice),
        })
    }
}

/// Compares values with HU; those of image files have the range that was declared for them.
fn check_units(config: &Config, series: &Series, slices: &[Reduced]) -> Result<(), Error> {
    let settings = &config.preprocess;
    if !settings.check_units {
        return Ok(());
    }
    let surveys: Vec<&Survey> = slices.iter().map(|slice| &slice.survey).collect();
    let finding = if series.is_picture() {
        surveys.iter().find_map(|slice| preflight::grey(slice, (settings.image_low_hu, settings.image_high_hu)))
    } else {
        let name = |index: usize| series.has_slice_files().then(|| series.slices[index].source.clone());
        preflight::units(&surveys, &name)
    };
    let Some(finding) = finding else { return Ok(()) };
    let remedy = Interface::Study { hu_offset: settings.hu_offset, dicom: series.is_dicom() }.remedy(&finding);
    Err(Error::Units { what: series.describe(), finding, remedy })
}

/// The network.
fn label<'a>(
    model: &LungModel,
    config: &Config,
    from: Receiver<Result<Batch<'a>, Error>>,
    to: &SyncSender<Labelled<'a>>,
    (pool, progress): (&rayon::ThreadPool, &Progress),
) -> Result<(), Error> {
    for batch in from {
        let mut batch = batch?;
        let inputs = batch.slices.iter().map(|slice| &slice.input);
        let size = config.preprocess.batch_size as usize;
        let labels = pool.install(|| model.labels(inputs, size, |done| progress.advance(done as u64)))?;
        // Nobody needs the inputs any more, and they are the largest part.
        batch.slices.iter_mut().for_each(|slice| slice.input = Array2::default((0, 0)));
        if to.send(Labelled { batch, labels }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Masks, quality and rows of the batches. Everything for one series at a time, so the order of batches is that of the rows.
fn finish<'a>(
    mut finisher: Finisher<'a>,
    from: Receiver<Labelled>,
    second: SecondChoice,
) -> Result<Finisher<'a>, Error> {
    let (config, trims) = finisher.settings();
    for Labelled { batch, labels } in from {
        let (mut slices, mut labels) = (batch.slices.into_iter(), labels.into_iter());
        let per_series: Vec<_> = batch
            .series
            .iter()
            .map(|series| {
                let count = series.slices.len();
                (
                    series,
                    slices.by_ref().take(count).collect::<Vec<_>>(),
                    labels.by_ref().take(count).collect::<Vec<_>>(),
                )
            })
            .collect();
        let finished: Vec<_> = second.pool.install(|| {
            let one = |(series, slices, labels)| crate::finish::series(config, trims, series, (slices, labels));
            per_series.into_par_iter().map(one).collect()
        });
        let mut all = Vec::new();
        for (series, one) in batch.series.iter().zip(finished) {
            all.extend(second.replace(series, one, &mut finisher)?);
        }
        finisher.take(all)?;
    }
    Ok(finisher)
}
