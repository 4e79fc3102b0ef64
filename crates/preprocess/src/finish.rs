//! The end of the line for a series: masks, their quality, the decision on each slice, and the outputs.

use std::collections::BTreeSet;
use std::path::Path;

use contract::config::Config;
use contract::id;
use contract::layout::{EXCLUDED, LESIONS, SHEETS, SLICES};
use contract::schema::flag;
use ndarray::Array2;

use crate::choice::OTHER_SERIES;
use crate::error::Error;
use crate::inputs::{Absent, Inputs, Series};
use crate::lesions::LesionTable;
use crate::lungs::{self, Frame};
use crate::model::LungModel;
use crate::patients::{self, NO_CT};
use crate::pipeline::Reduced;
use crate::preflight::{self, Clue, Finding, Scope};
use crate::quality::{self, SeriesQuality, SliceQuality};
use crate::second_choice::REPLACED;
use crate::sheet::{self, Sheets, Tile};
use crate::slices::{self, Excluded, Row, SliceTable};
use crate::window;

/// Reason for a slice with fewer lung pixels than the study asks for.
const LITTLE_LUNG: &str = "little_lung";

/// A series when all is done.
pub struct Finished {
    description: String,
    rows: Vec<Row>,
    excluded: Vec<Excluded>,
    quality: SeriesQuality,
    tiles: Vec<Tile>,
    clues: Vec<Clue>,
    /// What is wrong with the arrangement of the lungs.
    arrangement: Option<Finding>,
}

/// What is written of a slice, (size, size) each.
struct Pictures {
    image: Array2<u8>,
    mask: Array2<u8>,
    lesion: Option<Array2<u8>>,
}

/// Masks of a series, remarks, and the decision on each slice. `trims`: see [`lungs::trim`].
pub fn series(
    config: &Config,
    trims: bool,
    series: &Series,
    (reduced, labels): (Vec<Reduced>, Vec<Array2<u8>>),
) -> Finished {
    let frames: Vec<Frame> = reduced.iter().map(|slice| slice.frame.clone()).collect();
    let mut masks = lungs::masks(&labels, &frames);
    drop(labels);
    // Pictures are often cut so close that they show no whole body.
    if trims && !series.is_picture() {
        masks.iter_mut().zip(&reduced).for_each(|(mask, slice)| lungs::trim(mask, &slice.survey));
    }
    let clues = match series.is_picture() {
        // A picture in the lung window shows no bone.
        true => Vec::new(),
        false => reduced.iter().filter_map(|slice| preflight::clue(&slice.survey)).collect(),
    };
    let mut finished = Finished {
        description: series.describe(),
        rows: Vec::new(),
        excluded: Vec::new(),
        quality: SeriesQuality {
            patient_id: series.patient_id.clone(),
            series_id: series.series_id.clone(),
            label: series.label,
            slices: Vec::new(),
            remarks: remarks(series, &reduced),
        },
        tiles: Vec::new(),
        clues,
        arrangement: arrangement(series, &reduced),
    };
    let shown = sheet::shown(series.slices.len());
    for (index, (slice, mask)) in reduced.into_iter().zip(&masks).enumerate() {
        let small = window::picture_mask(mask, config.preprocess.size as usize);
        let quality = slice_quality(config, series, index, &slice, mask);
        if shown.binary_search(&index).is_ok() {
            finished.tiles.push(Tile::new(&slice.picture, &small, &quality.flags));
        }
        finished.decide(series, index, quality, Pictures { image: slice.picture, mask: small, lesion: slice.lesion });
    }
    finished.rows.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
    finished
}

/// What is wrong with the arrangement of the lungs; nothing in pictures, which may be of any part.
fn arrangement(series: &Series, reduced: &[Reduced]) -> Option<Finding> {
    let shape = reduced.first().map(|slice| slice.frame.shape).filter(|_| !series.is_picture())?;
    preflight::arrangement(reduced.iter().map(|slice| &slice.survey), shape)
}

/// What is remarkable of a series' geometry and of its values.
fn remarks(series: &Series, reduced: &[Reduced]) -> Vec<&'static str> {
    let values = preflight::remarks(reduced.iter().map(|slice| &slice.survey));
    series.remarks.iter().copied().chain(values.into_keys()).collect()
}

/// Why a slice with this share of lung is not written; `None` if it is.
pub fn left_out(config: &Config, lung_fraction: f32) -> Option<&'static str> {
    let too_small = f64::from(lung_fraction) < config.preprocess.min_lung_fraction;
    too_small.then_some(if lung_fraction > 0.0 { LITTLE_LUNG } else { flag::EMPTY_MASK })
}

fn slice_quality(config: &Config, series: &Series, index: usize, slice: &Reduced, mask: &Array2<u8>) -> SliceQuality {
    let slice_index = i32::try_from(index).unwrap_or(i32::MAX);
    let pixels = lungs::counts(mask);
    let lung_fraction = lungs::fraction(mask);
    SliceQuality {
        slice_id: id::slice(&series.patient_id, &series.series_id, slice_index),
        z_mm: slice.frame.z_mm,
        lung_fraction,
        pixels,
        ml: quality::ml(pixels, series),
        flags: quality::flags(mask, (!series.is_picture()).then_some(&slice.survey)),
        left_out: left_out(config, lung_fraction),
    }
}

impl Finished {
    /// Slices that are written, and all.
    pub fn kept(&self) -> (usize, usize) {
        (self.quality.kept(), self.quality.slices.len())
    }

    /// Adds a remark on the series.
    pub fn remark(&mut self, remark: &'static str) {
        self.quality.remarks.push(remark);
    }

    /// Leaves all slices of the series out, those with lung for `reason`.
    pub fn leave_out(&mut self, reason: &'static str) {
        let rows = std::mem::take(&mut self.rows);
        self.excluded.extend(rows.into_iter().map(|row| Excluded {
            slice_id: Some(row.slice_id),
            patient_id: row.patient_id,
            source: row.source,
            lung_fraction: Some(row.lung_fraction),
            reason,
        }));
        self.quality.slices.iter_mut().for_each(|slice| slice.left_out = slice.left_out.or(Some(reason)));
    }

    /// Writes the slice down, or why it is left out.
    fn decide(&mut self, series: &Series, index: usize, quality: SliceQuality, pictures: Pictures) {
        let (patient_id, source) = (series.patient_id.clone(), series.slices[index].source.clone());
        if let Some(reason) = quality.left_out {
            let (slice_id, lung_fraction) = (Some(quality.slice_id.clone()), Some(quality.lung_fraction));
            self.excluded.push(Excluded { slice_id, patient_id, source, lung_fraction, reason });
        } else {
            let bytes = |picture: Array2<u8>| picture.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
            self.rows.push(Row {
                slice_id: quality.slice_id.clone(),
                patient_id,
                series_id: series.series_id.clone(),
                slice_index: i32::try_from(index).unwrap_or(i32::MAX),
                z_mm: quality.z_mm,
                label: i32::try_from(series.label).unwrap_or(i32::MAX),
                source,
                image: bytes(pictures.image),
                mask: bytes(pictures.mask),
                lesion: pictures.lesion.map(bytes),
                lung_fraction: quality.lung_fraction,
                flags: quality.flags.clone(),
            });
        }
        self.quality.slices.push(quality);
    }
}

/// The row of `excluded.csv` of a labelled patient of whom the input has no file at all.
fn without_ct(absent: &Absent) -> Option<Excluded> {
    (absent.reason == NO_CT).then(|| Excluded {
        slice_id: None,
        patient_id: absent.patient_id.clone(),
        source: String::new(),
        lung_fraction: None,
        reason: NO_CT,
    })
}

/// What becomes of the finished series, in their order.
pub struct Finisher<'a> {
    config: &'a Config,
    trims: bool,
    table: SliceTable,
    lesions: LesionTable,
    sheets: Sheets,
    quality: Vec<SeriesQuality>,
    excluded: Vec<Excluded>,
    clues: Vec<Clue>,
    empty: Vec<String>,
    absent: Vec<Absent>,
}

impl<'a> Finisher<'a> {
    /// Opens the outputs in `folder`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(config: &'a Config, folder: &Path, model: &LungModel, inputs: &Inputs) -> Result<Self, Error> {
        let excluded = inputs.left_out.iter().map(|file| Excluded {
            slice_id: None,
            patient_id: file.patient_id.clone(),
            source: file.source.clone(),
            lung_fraction: None,
            reason: file.reason,
        });
        Ok(Self {
            config,
            trims: model.is_shipped(),
            table: SliceTable::create(&folder.join(SLICES), config, model.sha256())?,
            lesions: LesionTable::create(&folder.join(LESIONS))?,
            sheets: Sheets::new(&folder.join(SHEETS)),
            quality: Vec::new(),
            excluded: excluded.chain(inputs.absent.iter().filter_map(without_ct)).collect(),
            clues: Vec::new(),
            empty: Vec::new(),
            absent: inputs.absent.clone(),
        })
    }

    /// The study's configuration, and whether masks are trimmed to the body.
    pub fn settings(&self) -> (&'a Config, bool) {
        (self.config, self.trims)
    }

    /// Takes the next series, which come in the order of their slices' ids.
    ///
    /// # Errors
    /// A series looks flipped, or an output cannot be written.
    pub fn take(&mut self, finished: Vec<Finished>) -> Result<(), Error> {
        let mut rows = Vec::new();
        for mut one in finished {
            let is_used = !one.quality.remarks.contains(&REPLACED);
            let finding = one.arrangement.take().or_else(|| preflight::orientation(&one.clues, Scope::Series));
            if let Some(finding) = finding.filter(|_| is_used) {
                self.flipped(&one.description, finding)?;
                one.quality.remarks.push("orientation");
            }
            if is_used && one.quality.is_empty() {
                self.empty.push(one.description);
            }
            self.sheets.add(&one.tiles)?;
            rows.extend(one.rows);
            self.excluded.extend(one.excluded);
            self.quality.push(one.quality);
            self.clues.extend(one.clues.into_iter().filter(|_| is_used));
        }
        // A series that was taken in place of another stands where that one stood.
        rows.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
        self.table.write(&rows)?;
        self.lesions.write(&rows)
    }

    /// Takes files off the list of what was left out, since their series is used after all.
    pub fn use_after_all(&mut self, series: &Series) {
        let used: BTreeSet<&str> = series.slices.iter().map(|slice| slice.source.as_str()).collect();
        let is_used = |row: &Excluded| row.reason == OTHER_SERIES && used.contains(row.source.as_str());
        self.excluded.retain(|row| !is_used(row));
    }

    fn flipped(&self, what: &str, finding: Finding) -> Result<(), Error> {
        if !self.config.preprocess.check_orientation {
            return Ok(());
        }
        let advice = "set preprocess.check_orientation: false";
        Err(Error::Suspect { what: what.to_owned(), finding, advice })
    }

    /// Writes what is left, and hands out what is known of the series and the slices and files left out.
    ///
    /// # Errors
    /// The study as a whole looks flipped, a series has no lung at all, nothing is left, or an output cannot be written.
    pub fn finish(mut self, folder: &Path) -> Result<(Vec<SeriesQuality>, Vec<Excluded>), Error> {
        if let Some(finding) = preflight::orientation(&self.clues, Scope::Study) {
            self.flipped("the study as a whole", finding)?;
        }
        if self.quality.iter().all(|series| series.kept() == 0) {
            let slices = self.quality.iter().map(|series| series.slices.len()).sum();
            let empty = self.quality.iter().map(|series| series.flagged(flag::EMPTY_MASK)).sum();
            return Err(nothing_left(self.config, slices, empty));
        }
        if !self.empty.is_empty() && !self.config.preprocess.allow_empty_series {
            return Err(Error::EmptySeries { series: self.empty });
        }
        patients::remark(&mut self.quality);
        self.table.commit()?;
        self.lesions.commit()?;
        self.sheets.finish()?;
        slices::write_excluded(&folder.join(EXCLUDED), self.excluded.clone())?;
        quality::write(folder, &self.quality, &self.absent)?;
        Ok((self.quality, self.excluded))
    }
}

/// Not one of `slices` is written, `empty` of them because they show no lung at all.
pub fn nothing_left(config: &Config, slices: usize, empty: usize) -> Error {
    let (minimum, model) = (config.preprocess.min_lung_fraction, config.preprocess.model.display());
    let small = slices - empty.min(slices);
    let mut message =
        format!("the lung masks are empty in {empty} and below preprocess.min_lung_fraction ({minimum}) in {small}; ");
    if small > 0 {
        message.push_str("lower preprocess.min_lung_fraction if such slices are wanted; ");
    }
    message.push_str(&format!(
        "check that the input is chest CT in HU (for images: preprocess.image_low_hu and image_high_hu) and that {model} is a lung model"
    ));
    Error::NoLungs { slices, message }
}
