//! The one-shot mask of a volume: a DICOM folder, a DICOM file, a NIfTI or an image in, a NIfTI mask out.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use contract::atomic;
use contract::progress::Mode;
use ndarray::{Array2, Array3, Axis, ShapeBuilder};
use rayon::prelude::*;

use crate::error::Error;
use crate::model::{self, LungModel, Trust};
use crate::preflight::Interface;
use crate::source::{Request, Source};
use crate::timing::{Part, Timing};
use crate::volume::Rules;
use crate::{lung_series, lungs, nifti_io, overlay};

/// Arguments of `segment`.
#[derive(Debug, clap::Args)]
pub struct SegmentArgs {
    /// A folder of DICOM files, one DICOM file, a NIfTI volume (.nii, .nii.gz, or .hdr with .img) or an image (PNG, JPEG)
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
    /// Added to all values of CT to give HU, such as -1024 for a volume that stores HU + 1024; not of image files
    #[arg(long, value_name = "HU", default_value_t = 0.0, allow_negative_numbers = true)]
    pub hu_offset: f64,
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
/// The input or the model is not usable, an output cannot be written, or there is no lung in any slice; the mask is written then, too.
pub fn run(args: &SegmentArgs) -> Result<(), Error> {
    args.progress.install();
    if !nifti_io::is_nifti(&args.output) {
        let name = args.output.display();
        return Err(Error::Usage(format!("the output must end in .nii or .nii.gz, got {name}")));
    }
    if let Some(message) = atomic::is_input(&args.output, [args.input.as_path()]) {
        return Err(Error::Usage(message));
    }
    let [low, high] = args.image_hu[..] else { unreachable!("clap takes two values") };
    if low >= high {
        return Err(Error::Usage(format!("--image-hu: expected LOW < HIGH, got {low} {high}")));
    }
    if !args.hu_offset.is_finite() {
        return Err(Error::Usage(format!("--hu-offset: expected a number of HU, got {}", args.hu_offset)));
    }
    let timing = Timing::start();
    let load = || timing.of(Part::Model, || LungModel::load(&args.model, Trust::Command(args.model_sha256.as_deref())));
    // At once, so that a model that cannot be used is found before the input is read.
    let first = Cell::new(Some(load()?));
    let request = Request {
        input: &args.input,
        series: args.series.as_deref(),
        image_hu: (low, high),
        hu_offset: args.hu_offset,
        rank: 0,
    };
    let source = timing.of(Part::Read, || Source::open(&request))?;
    let pool = model::pool(model::threads(args.threads))?;
    let rules = Rules {
        command: "segment",
        what: args.input.display().to_string(),
        units: (!args.no_check_units).then_some(Interface::Options { hu_offset: args.hu_offset }),
        image_hu: (low, high),
        orientation: (!args.no_check_orientation).then_some("give --no-check-orientation"),
        splits: false,
    };
    let load = || first.take().map_or_else(load, Ok);
    let (source, masks) = lung_series::masks(load, source, &rules, &pool, &timing)?;
    let masks: Vec<Array2<u8>> = masks.into_iter().map(|slice| slice.mask).collect();
    if let Some(folder) = &args.overlay {
        draw(folder, &source, &masks, &pool)?;
    }
    timing.of(Part::Write, || write(&args.output, &source, &masks))?;
    report(&masks, &source);
    if args.timing {
        contract::say!("{timing}");
    }
    match masks.iter().all(|mask| lungs::fraction(mask) == 0.0) {
        true => Err(Error::EmptyMask { input: args.input.clone(), output: args.output.clone(), slices: masks.len() }),
        false => Ok(()),
    }
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
        overlay::write(&folder.join(overlay::name(index)), &source.slice(index)?.hu, mask)
    };
    pool.install(|| masks.par_iter().enumerate().map(one).collect())
}

/// Prints the volume of each lung, in pixels where pixels have no size.
fn report(masks: &[Array2<u8>], source: &Source) {
    let counts = masks.iter().map(lungs::counts).fold([0, 0], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
    for (name, count) in ["right lung", "left lung"].into_iter().zip(counts) {
        match source.has_size {
            true => contract::tell!("{name:<11} {:8.1} ml", count as f64 * source.affine.voxel_mm3() / 1000.0),
            false => contract::tell!("{name:<11} {count:8} pixels"),
        }
    }
}
