//! The lung masks of one volume, for `segment` and `prepare`: slices are read and prepared while the network works.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use contract::interrupt;
use contract::progress::Progress;
use ndarray::Array2;
use rayon::prelude::*;

use crate::ct_slice::CtSlice;
use crate::error::Error;
use crate::lungs::{self, Frame};
use crate::model::LungModel;
use crate::preflight::{self, Finding, Interface, Scope};
use crate::protocol::{self, Crop};
use crate::source::Source;
use crate::survey::Survey;
use crate::timing::{Part, Timing};

/// Slices of one forward pass.
const BATCH: usize = 1;

/// Slices read and prepared together, a few batches.
const CHUNK: usize = 16;

/// How a volume is segmented.
#[derive(Debug)]
pub struct Rules {
    /// The command, in the progress.
    pub command: &'static str,
    /// The volume, in messages.
    pub what: String,
    /// How the caller sets what the check that its values are HU names; `None` if the check is overridden.
    pub units: Option<Interface>,
    /// HU of black and white in an image file.
    pub image_hu: (f64, f64),
    /// The same of the check that it is not flipped.
    pub orientation: Option<&'static str>,
    /// Whether slices with a far gap between them are cleaned up apart, as in a study. Otherwise a volume is cleaned up as a whole,
    /// whatever its gaps, as lungmask does.
    pub splits: bool,
}

/// A slice after the network.
#[derive(Debug)]
pub struct Masked {
    /// Its lung mask, (rows, columns) of the slice in the usual view.
    pub mask: Array2<u8>,
    /// The slice at a glance.
    pub survey: Survey,
}

/// The lung masks of all slices, from the feet.
///
/// # Errors
/// A slice is damaged, the volume can be no CT, the model fails, or the program was interrupted.
pub fn masks(
    model: LungModel,
    source: &Source,
    rules: &Rules,
    pool: &rayon::ThreadPool,
    timing: &Timing,
) -> Result<Vec<Masked>, Error> {
    let (labels, slices) = label(&model, source, rules, pool, timing)?;
    // An image shows no whole body.
    let trims = model.is_shipped() && !source.is_picture;
    drop(model);
    check(rules, source, &slices)?;
    tell(&slices);
    let (frames, surveys): (Vec<Frame>, Vec<Survey>) = slices.into_iter().unzip();
    let clean = || {
        let mut masks = lungs::masks(&labels, &frames);
        if trims {
            masks.par_iter_mut().zip(&surveys).for_each(|(mask, survey)| lungs::trim(mask, survey));
        }
        masks
    };
    let masks = timing.of(Part::Clean, || pool.install(clean));
    Ok(masks.into_iter().zip(surveys).map(|(mask, survey)| Masked { mask, survey }).collect())
}

/// What is kept of a slice while the network works.
type Kept = (Frame, Survey);

/// A chunk on its way to the network.
type Chunk = (Vec<Array2<f32>>, Vec<Kept>);

/// The network's labels of all slices, (256, 256) each; slices are read while it works.
fn label(
    model: &LungModel,
    source: &Source,
    rules: &Rules,
    pool: &rayon::ThreadPool,
    timing: &Timing,
) -> Result<(Vec<Array2<u8>>, Vec<Kept>), Error> {
    let progress = Progress::new(rules.command, "slices", source.count() as u64);
    let result = std::thread::scope(|scope| {
        let (to, from) = sync_channel(1);
        let crop = if model.is_shipped() && source.is_picture { protocol::prepare_picture } else { protocol::prepare };
        let reader = Reader { source, crop, splits: rules.splits, timing };
        scope.spawn(move || reader.read_ahead(pool, &to));
        network(model, from, pool, timing, &progress)
    });
    progress.finish();
    result
}

fn network(
    model: &LungModel,
    from: Receiver<Result<Chunk, Error>>,
    pool: &rayon::ThreadPool,
    timing: &Timing,
    progress: &Progress,
) -> Result<(Vec<Array2<u8>>, Vec<Kept>), Error> {
    let (mut labels, mut kept) = (Vec::new(), Vec::new());
    for chunk in from {
        let (inputs, slices) = chunk?;
        let labelled = || model.labels(&inputs, BATCH, |done| progress.advance(done as u64));
        let found = timing.of(Part::Network, || pool.install(labelled))?;
        labels.extend(found);
        kept.extend(slices);
    }
    Ok((labels, kept))
}

/// Reads slices and makes the network's inputs of them.
struct Reader<'a> {
    source: &'a Source,
    crop: fn(&Array2<f32>) -> (Array2<f32>, Crop),
    splits: bool,
    timing: &'a Timing,
}

impl Reader<'_> {
    fn read_ahead(&self, pool: &rayon::ThreadPool, to: &SyncSender<Result<Chunk, Error>>) {
        let count = self.source.count();
        for start in (0..count).step_by(CHUNK) {
            let chunk = pool.install(|| self.read_chunk(start..(start + CHUNK).min(count)));
            let failed = chunk.is_err();
            if to.send(chunk).is_err() || failed {
                return;
            }
        }
    }

    fn read_chunk(&self, range: std::ops::Range<usize>) -> Result<Chunk, Error> {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let read = |index: usize| Ok((index, self.source.slice(index)?));
        let slices: Vec<Result<(usize, CtSlice), Error>> =
            self.timing.of(Part::Read, || range.into_par_iter().map(read).collect());
        let slices = slices.into_iter().collect::<Result<Vec<_>, _>>()?;
        let prepare = |(index, slice): (usize, CtSlice)| {
            let (input, crop) = (self.crop)(&slice.hu);
            let z_mm = self.source.z_mm(index).filter(|_| self.splits);
            (input, (Frame { crop, shape: slice.hu.dim(), z_mm }, Survey::of(slice)))
        };
        Ok(self.timing.of(Part::Prepare, || slices.into_par_iter().map(prepare).unzip()))
    }
}

/// Whether the volume can be CT, seen as it says. An image has the values that were declared for it, and shows no bone.
fn check(rules: &Rules, source: &Source, slices: &[Kept]) -> Result<(), Error> {
    check_units(rules, source, slices)?;
    if source.is_picture {
        return Ok(());
    }
    let refuse = |finding: Option<Finding>, advice: &'static str| match finding {
        None => Ok(()),
        Some(finding) => Err(Error::Suspect { what: rules.what.clone(), finding, advice }),
    };
    if let Some(advice) = rules.orientation {
        let shape = slices.first().map_or((1, 1), |(frame, _)| frame.shape);
        refuse(preflight::arrangement(slices.iter().map(|(_, survey)| survey), shape), advice)?;
        let clues: Vec<_> = slices.iter().filter_map(|(_, survey)| preflight::clue(survey)).collect();
        refuse(preflight::orientation(&clues, Scope::Series), advice)?;
    }
    Ok(())
}

fn check_units(rules: &Rules, source: &Source, slices: &[Kept]) -> Result<(), Error> {
    let surveys: Vec<&Survey> = slices.iter().map(|(_, survey)| survey).collect();
    let Some(interface) = rules.units else { return Ok(()) };
    let finding = if source.is_picture {
        surveys.iter().find_map(|slice| preflight::grey(slice, rules.image_hu))
    } else {
        preflight::units(&surveys, &|index| source.file(index).map(|file| file.display().to_string()))
    };
    let Some(finding) = finding else { return Ok(()) };
    let remedy = interface.remedy(&finding);
    Err(Error::Units { what: rules.what.clone(), finding, remedy })
}

/// Says what is remarkable of the values, each thing once.
fn tell(slices: &[Kept]) {
    for (remark, slices) in preflight::remarks(slices.iter().map(|(_, survey)| survey)) {
        contract::say!("note: {slices} slices have a remark: {remark}");
    }
}
