//! One CT for the networks of a trained study: masked, windowed and left out as the study's own slices were, without a label.

use std::cell::Cell;
use std::path::PathBuf;

use contract::cli::StageArgs;
use contract::config::Config;
use contract::id;
use contract::layout::{EXCLUDED, SLICES};
use contract::schema::{NO_LABEL, flag};
use rayon::prelude::*;

use crate::error::Error;
use crate::model::{self, LungModel, Trust};
use crate::preflight::Interface;
use crate::slices::{self, Excluded, Row, SliceTable};
use crate::source::{Request, Source};
use crate::timing::Timing;
use crate::volume::{Masked, Rules};
use crate::{finish, lung_series, lungs, quality, window};

/// What patient, series and file are called in the outputs: nobody's name.
const PATIENT: &str = "patient";
const SERIES: &str = "series";
const SOURCE: &str = "input";

/// Arguments of `prepare` and `paint`.
#[derive(Debug, clap::Args)]
pub struct CtArgs {
    /// A folder of DICOM files, one DICOM file, a NIfTI volume (.nii, .nii.gz, or .hdr with .img) or an image (PNG, JPEG)
    pub input: PathBuf,
    /// The folder to write to
    pub out: PathBuf,
    /// Of several series in a folder take this one: SeriesInstanceUID or SeriesNumber
    #[arg(long, value_name = "UID|NUMBER")]
    pub series: Option<String>,
    /// The study, whose settings count
    #[command(flatten)]
    pub stage: StageArgs,
}

impl CtArgs {
    /// Opens the CT, an image with the range of grey values that the study says; of several series that of place `rank`, from 0.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(&self, config: &Config, rank: usize) -> Result<Source, Error> {
        let image_hu = (config.preprocess.image_low_hu, config.preprocess.image_high_hu);
        let hu_offset = config.preprocess.hu_offset;
        Source::open(&Request { input: &self.input, series: self.series.as_deref(), image_hu, hu_offset, rank })
    }
}

/// Writes `slices.parquet` and `excluded.csv` of the CT, and prints how many slices are in each.
///
/// # Errors
/// The study, the CT or the model is not usable, no slice shows enough lung, or an output cannot be written.
pub fn run(args: &CtArgs) -> Result<(), Error> {
    let config = args.stage.load()?;
    let settings = &config.preprocess;
    let model = LungModel::load(&settings.model, Trust::Study(settings.model_sha256.as_deref()))?;
    let model_sha256 = model.sha256().to_owned();
    let source = args.open(&config, 0)?;
    let pool = model::pool(model::threads(settings.threads))?;
    let rules = Rules {
        command: "prepare",
        what: args.input.display().to_string(),
        units: settings.check_units.then_some(Interface::Keys { hu_offset: settings.hu_offset }),
        image_hu: (settings.image_low_hu, settings.image_high_hu),
        orientation: settings.check_orientation.then_some("set preprocess.check_orientation: false"),
        splits: true,
    };
    let first = Cell::new(Some(model));
    let again = || LungModel::load(&settings.model, Trust::Study(settings.model_sha256.as_deref()));
    let load = || first.take().map_or_else(again, Ok);
    let (source, masked) = lung_series::masks(load, source, &rules, &pool, &Timing::start())?;
    let (kept, left_out): (Vec<_>, Vec<_>) =
        masked.iter().enumerate().partition(|(_, slice)| reason(&config, slice).is_none());
    if kept.is_empty() {
        let empty = left_out.iter().filter(|(_, slice)| lungs::fraction(&slice.mask) == 0.0).count();
        return Err(finish::nothing_left(&config, masked.len(), empty));
    }
    let row = |(index, slice): (usize, &Masked)| row(&config, &source, index, slice);
    let rows: Vec<Result<Row, Error>> = pool.install(|| kept.into_par_iter().map(row).collect());
    let rows = rows.into_iter().collect::<Result<Vec<Row>, Error>>()?;
    let mut table = SliceTable::create(&args.out.join(SLICES), &config, &model_sha256)?;
    table.write(&rows)?;
    table.commit()?;
    let excluded = left_out.iter().map(|(index, slice)| excluded(&config, &source, *index, slice)).collect();
    slices::write_excluded(&args.out.join(EXCLUDED), excluded)?;
    contract::tell!("prepare: {} of {} slices, {}", rows.len(), masked.len(), args.out.display());
    Ok(())
}

fn reason(config: &Config, slice: &Masked) -> Option<&'static str> {
    finish::left_out(config, lungs::fraction(&slice.mask))
}

fn slice_index(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn slice_id(source: &Source, index: usize) -> String {
    id::slice(PATIENT, &series_id(source.rank), slice_index(index))
}

/// The name of the series at a place in the order of preference: `series`, `series-2` and so on.
fn series_id(rank: usize) -> String {
    if rank == 0 { SERIES.to_owned() } else { format!("{SERIES}-{}", rank + 1) }
}

/// The place of a series with this name.
pub fn rank(series_id: &str) -> usize {
    let number = series_id.strip_prefix(SERIES).and_then(|rest| rest.strip_prefix('-')?.parse::<usize>().ok());
    number.map_or(0, |number| number.saturating_sub(1))
}

fn row(config: &Config, source: &Source, index: usize, slice: &Masked) -> Result<Row, Error> {
    let settings = &config.preprocess;
    let side = settings.size as usize;
    let bytes = |picture: ndarray::Array2<u8>| picture.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
    Ok(Row {
        slice_id: slice_id(source, index),
        patient_id: PATIENT.to_owned(),
        series_id: series_id(source.rank),
        slice_index: slice_index(index),
        z_mm: source.z_mm(index),
        label: NO_LABEL,
        source: SOURCE.to_owned(),
        image: bytes(window::picture(&source.slice(index)?.hu, settings.window_hu(), side)),
        mask: bytes(window::picture_mask(&slice.mask, side)),
        lesion: None,
        lung_fraction: lungs::fraction(&slice.mask),
        flags: quality::flags(&slice.mask, (!source.is_picture).then_some(&slice.survey)),
    })
}

fn excluded(config: &Config, source: &Source, index: usize, slice: &Masked) -> Excluded {
    Excluded {
        slice_id: Some(slice_id(source, index)),
        patient_id: PATIENT.to_owned(),
        source: SOURCE.to_owned(),
        lung_fraction: Some(lungs::fraction(&slice.mask)),
        reason: reason(config, slice).unwrap_or(flag::EMPTY_MASK),
    }
}
