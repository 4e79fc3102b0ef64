//! The one-shot mask of a volume: a DICOM folder, a DICOM file, a NIfTI or an image in, a NIfTI mask out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use contract::interrupt;
use contract::progress::{Mode, Progress};
use ndarray::{Array2, Array3, Axis, ShapeBuilder};
use rayon::prelude::*;

use crate::error::Error;
use crate::lungs::{self, Frame};
use crate::model::{self, LungModel, Trust};
use crate::preflight::{self, Finding, Scope};
use crate::protocol::Crop;
use crate::source::{Request, Source};
use crate::survey::Survey;
use crate::timing::{Part, Timing};
use crate::{nifti_io, overlay, protocol};

/// Slices of one forward pass.
const BATCH: usize = 1;

/// Slices read and prepared together, a few batches.
const CHUNK: usize = 16;

/// Arguments of `segment`.
#[derive(Debug, clap::Args)]
pub struct SegmentArgs {
    /// A folder of DICOM files, one DICOM file, a NIfTI volume (.nii, .nii.gz) or an image (PNG, JPEG)
    pub input: PathBuf,
    /// The mask to write: 0 background, 1 right lung, 2 left lung (.nii or .nii.gz)
    pub output: PathBuf,
    /// TorchScript lung U-Net
    #[arg(long, default_value = "data/models/lung-unet.pt", value_name = "M.pt")]
    pub model: PathBuf,
    /// SHA-256 of the model, required for any but the shipped one
    #[arg(long, value_name = "HEX")]
    pub model_sha256: Option<String>,
    /// Of several series in a folder take this one: SeriesInstanceUID or SeriesNumber
    #[arg(long, value_name = "UID|NUMBER")]
    pub series: Option<String>,
    /// HU that black and white mean in an image file
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [-1350.0, 150.0], allow_negative_numbers = true)]
    pub image_hu: Vec<f64>,
    /// Do not stop at values that cannot be HU
    #[arg(long)]
    pub no_check_units: bool,
    /// Do not stop at a volume that looks flipped
    #[arg(long)]
    pub no_check_orientation: bool,
    /// Also write a PNG of each slice with its mask to this folder
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<PathBuf>,
    /// CPU threads; 0 is all cores
    #[arg(long, default_value_t = 0)]
    pub threads: u32,
    /// Say on stderr how many seconds each part took
    #[arg(long)]
    pub timing: bool,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Mode,
}

/// Segments one volume, and prints the volume of each lung.
///
/// # Errors
/// The input or the model is not usable, or an output cannot be written.
pub fn run(args: &SegmentArgs) -> Result<(), Error> {
    args.progress.install();
    if !nifti_io::is_nifti(&args.output) {
        let name = args.output.display();
        return Err(Error::Usage(format!("the output must end in .nii or .nii.gz, got {name}")));
    }
    let [low, high] = args.image_hu[..] else { unreachable!("clap takes two values") };
    if low >= high {
        return Err(Error::Usage(format!("--image-hu: expected LOW < HIGH, got {low} {high}")));
    }
    let timing = Timing::start();
    let model =
        timing.of(Part::Model, || LungModel::load(&args.model, Trust::Command(args.model_sha256.as_deref())))?;
    let request = Request { input: &args.input, series: args.series.as_deref(), image_hu: (low, high) };
    let source = timing.of(Part::Read, || Source::open(&request))?;
    let pool = model::pool(model::threads(args.threads))?;
    let (labels, slices) = label(&model, &source, &pool, &timing)?;
    // An image shows no whole body.
    let trims = model.is_shipped() && !source.is_picture;
    drop(model);
    check(args, &source, &slices)?;
    let frames: Vec<Frame> = slices.iter().map(|slice| slice.frame.clone()).collect();
    let clean = || {
        let mut masks = lungs::masks(&labels, &frames);
        if trims {
            masks.par_iter_mut().zip(&slices).for_each(|(mask, slice)| lungs::trim(mask, &slice.survey));
        }
        masks
    };
    let masks = timing.of(Part::Clean, || pool.install(clean));
    drop(labels);
    if let Some(folder) = &args.overlay {
        draw(folder, &source, &masks, &pool)?;
    }
    timing.of(Part::Write, || write(&args.output, &source, &masks))?;
    report(&masks, &source);
    if args.timing {
        eprintln!("{timing}");
    }
    Ok(())
}

/// What is kept of a slice while the network works.
struct Kept {
    frame: Frame,
    survey: Survey,
}

/// A chunk on its way to the network.
type Chunk = (Vec<Array2<f32>>, Vec<Kept>);

/// The network's labels of all slices, (256, 256) each; slices are read while it works.
fn label(
    model: &LungModel,
    source: &Source,
    pool: &rayon::ThreadPool,
    timing: &Timing,
) -> Result<(Vec<Array2<u8>>, Vec<Kept>), Error> {
    let progress = Progress::new("segment", "slices", source.count() as u64);
    let result = std::thread::scope(|scope| {
        let (to, from) = sync_channel(1);
        let prepare =
            if model.is_shipped() && source.is_picture { protocol::prepare_picture } else { protocol::prepare };
        scope.spawn(move || read_ahead((source, prepare), pool, timing, &to));
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

/// How a slice becomes the network's input.
type Prepare = fn(&Array2<f32>) -> (Array2<f32>, Crop);

fn read_ahead(
    (source, prepare): (&Source, Prepare),
    pool: &rayon::ThreadPool,
    timing: &Timing,
    to: &SyncSender<Result<Chunk, Error>>,
) {
    for start in (0..source.count()).step_by(CHUNK) {
        let chunk = pool.install(|| read_chunk(source, start..(start + CHUNK).min(source.count()), prepare, timing));
        let failed = chunk.is_err();
        if to.send(chunk).is_err() || failed {
            return;
        }
    }
}

fn read_chunk(source: &Source, range: std::ops::Range<usize>, crop: Prepare, timing: &Timing) -> Result<Chunk, Error> {
    if interrupt::requested() {
        return Err(Error::Interrupted);
    }
    let slices: Vec<Result<Array2<f32>, Error>> =
        timing.of(Part::Read, || range.into_par_iter().map(|index| source.slice(index)).collect());
    let slices = slices.into_iter().collect::<Result<Vec<_>, _>>()?;
    let prepare = |hu: Array2<f32>| {
        let (input, crop) = crop(&hu);
        // Without positions a volume is cleaned up as a whole, whatever its gaps, as lungmask does.
        let frame = Frame { crop, shape: hu.dim(), z_mm: None };
        (input, Kept { frame, survey: Survey::new(&hu) })
    };
    Ok(timing.of(Part::Prepare, || slices.into_par_iter().map(prepare).unzip()))
}

/// Whether the volume can be CT, seen as it says. An image has the values that were declared for it, and shows no bone.
fn check(args: &SegmentArgs, source: &Source, slices: &[Kept]) -> Result<(), Error> {
    if source.is_picture {
        return Ok(());
    }
    let refuse = |finding: Option<Finding>, advice: &'static str| match finding {
        None => Ok(()),
        Some(finding) => Err(Error::Suspect { what: args.input.display().to_string(), finding, advice }),
    };
    if !args.no_check_units {
        refuse(preflight::units(slices.iter().map(|slice| &slice.survey)), "give --no-check-units")?;
    }
    if !args.no_check_orientation {
        let clues: Vec<_> = slices.iter().filter_map(|slice| preflight::clue(&slice.survey)).collect();
        refuse(preflight::orientation(&clues, Scope::Series), "give --no-check-orientation")?;
    }
    Ok(())
}

fn write(path: &Path, source: &Source, masks: &[Array2<u8>]) -> Result<(), Error> {
    let mut volume = Array3::zeros(source.shape.f());
    let axial = source.affine.axial();
    for (mut slice, mask) in axial.view_mut(&mut volume).axis_iter_mut(Axis(0)).zip(masks) {
        slice.assign(mask);
    }
    nifti_io::write(path, &volume, &source.header)
}

fn draw(folder: &Path, source: &Source, masks: &[Array2<u8>], pool: &rayon::ThreadPool) -> Result<(), Error> {
    let one = |(index, mask): (usize, &Array2<u8>)| {
        overlay::write(&folder.join(format!("slice-{index:04}.png")), &source.slice(index)?, mask)
    };
    pool.install(|| masks.par_iter().enumerate().map(one).collect())
}

/// Prints the volume of each lung, in pixels where pixels have no size.
fn report(masks: &[Array2<u8>], source: &Source) {
    let counts = masks.iter().map(lungs::counts).fold([0, 0], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
    for (name, count) in ["right lung", "left lung"].into_iter().zip(counts) {
        match source.has_size {
            true => println!("{name:<11} {:8.1} ml", count as f64 * source.affine.voxel_mm3() / 1000.0),
            false => println!("{name:<11} {count:8} pixels"),
        }
    }
}
