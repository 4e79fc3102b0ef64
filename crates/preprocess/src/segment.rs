//! The one-shot mask of a volume: a DICOM folder, a DICOM file, a NIfTI or an image in, a NIfTI mask out.

use std::path::{Path, PathBuf};

use contract::progress::{Mode, Progress};
use ndarray::{Array2, Array3, ArrayView2, Axis, stack};
use nifti::NiftiHeader;

use crate::error::Error;
use crate::geometry::Affine;
use crate::lungs::{self, Frame};
use crate::model::{self, LungModel, Trust};
use crate::{dicom, hounsfield, images, nifti_io, overlay, protocol};

/// HU that black and white mean in an image file: the lung window, as in `pipelines/defaults.yaml`.
const IMAGE_HU: (f64, f64) = (-1350.0, 150.0);

/// Slices of one forward pass.
const BATCH: usize = 8;

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
    /// Also write a PNG of each slice with its mask to this folder
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<PathBuf>,
    /// CPU threads; 0 is all cores
    #[arg(long, default_value_t = 0)]
    pub threads: u32,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Mode,
}

/// A volume and where it is in the patient.
struct Source {
    /// Values in HU, indexed (i, j, k).
    hu: Array3<f32>,
    affine: Affine,
    header: NiftiHeader,
    /// False for images, whose pixels have no size.
    has_size: bool,
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
    tch::set_num_threads(i32::try_from(model::threads(args.threads)).unwrap_or(1));
    let model = LungModel::load(&args.model, Trust::Command(args.model_sha256.as_deref()))?;
    let source = read(&args.input)?;
    let slices = source.affine.axial().turn(&source.hu);
    let masks = segment(&model, &slices, &source.affine)?;
    if let Some(folder) = &args.overlay {
        draw(folder, &slices, &masks)?;
    }
    let views: Vec<ArrayView2<u8>> = masks.iter().map(|mask| mask.view()).collect();
    let stacked = stack(Axis(0), &views).expect("all slices of a volume have one shape");
    nifti_io::write(&args.output, &source.affine.axial().turn_back(&stacked), &source.header)?;
    report(&masks, &source);
    Ok(())
}

/// Masks of axial slices, (slice, row, column) in HU.
fn segment(model: &LungModel, slices: &Array3<f32>, affine: &Affine) -> Result<Vec<Array2<u8>>, Error> {
    let axial = affine.axial();
    let step = affine.step(axial.slice_axis());
    let step_mm = step.iter().map(|part| part * part).sum::<f64>().sqrt();
    let (mut inputs, mut frames) = (Vec::new(), Vec::new());
    for (index, slice) in slices.outer_iter().enumerate() {
        let slice = slice.mapv(|hu| if hu.is_finite() { hu } else { hounsfield::AIR_HU });
        let (input, crop) = protocol::prepare(&slice);
        inputs.push(input);
        frames.push(Frame { crop, shape: slice.dim(), z_mm: Some((index as f64 * step_mm) as f32) });
    }
    let progress = Progress::new("segment", "slices", inputs.len() as u64);
    let labels = model.labels(&inputs, BATCH, |done| progress.advance(done as u64))?;
    progress.finish();
    Ok(lungs::masks(&labels, &frames))
}

fn read(input: &Path) -> Result<Source, Error> {
    let unreadable = |source| Error::Read { path: input.to_owned(), source };
    let kind = std::fs::metadata(input).map_err(unreadable)?;
    if kind.is_dir() {
        return read_series(input, &largest(input, dicom::scan(input)?.series));
    }
    if nifti_io::is_nifti(input) {
        let volume = nifti_io::read(input)?;
        return Ok(Source { hu: volume.values, affine: volume.affine, header: volume.header, has_size: true });
    }
    if dicom::is_dicom(input).map_err(unreadable)? {
        let series = largest(input, dicom::scan_file(input)?.series);
        return read_series(input.parent().unwrap_or(Path::new("")), &series);
    }
    let picture = images::read(input, IMAGE_HU)?;
    let affine = Affine::of_picture([1.0; 3]);
    let hu = picture.reversed_axes().insert_axis(Axis(2)).as_standard_layout().into_owned();
    Ok(Source { hu, affine, header: nifti_io::header(&affine), has_size: false })
}

/// The series with the most slices; names the others.
fn largest(input: &Path, mut found: Vec<dicom::Series>) -> dicom::Series {
    // Stable: of equal ones the first by patient and UID.
    found.sort_by_key(|series| std::cmp::Reverse(series.slices.len()));
    if found.len() > 1 {
        eprintln!("note: {} holds {} series; taking the largest", input.display(), found.len());
        for (index, series) in found.iter().enumerate() {
            let (mark, count) = (if index == 0 { "taken" } else { "other" }, series.slices.len());
            eprintln!("note:   {mark}: series {} with {count} slices", series.uid);
        }
    }
    found.swap_remove(0)
}

fn read_series(folder: &Path, series: &dicom::Series) -> Result<Source, Error> {
    use rayon::prelude::*;
    // Frames of one file are decoded from it rather than each from a reading of its own.
    let shared = match &series.slices[..] {
        [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|slice| slice.file == first.file) => {
            Some(hounsfield::Opened::open(&folder.join(&first.file))?)
        }
        _ => None,
    };
    let read = |slice: &dicom::Header| match (&shared, slice.frame) {
        (Some(opened), Some(frame)) => opened.frame(frame),
        _ => hounsfield::read(&folder.join(&slice.file), slice.frame),
    };
    let slices: Vec<Result<Array2<f32>, Error>> = series.slices.par_iter().map(read).collect();
    let slices = slices.into_iter().collect::<Result<Vec<_>, _>>()?;
    let views: Vec<ArrayView2<f32>> = slices.iter().map(|slice| slice.view()).collect();
    let stacked = stack(Axis(0), &views).map_err(|_| Error::File {
        path: folder.to_owned(),
        message: "the decoded slices of the series differ in size".to_owned(),
    })?;
    let affine = series.affine();
    // (k, j, i) to (i, j, k).
    let hu = stacked.reversed_axes();
    Ok(Source { hu, affine, header: nifti_io::header(&affine), has_size: series.voxel_mm3().is_some() })
}

fn draw(folder: &Path, slices: &Array3<f32>, masks: &[Array2<u8>]) -> Result<(), Error> {
    for (index, (slice, mask)) in slices.outer_iter().zip(masks).enumerate() {
        overlay::write(&folder.join(format!("slice-{index:04}.png")), &slice.to_owned(), mask)?;
    }
    Ok(())
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
