//! The slices of one fold in memory: images and masks as u8, who trains and who is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::datatypes::{Int32Type, UInt32Type};
use contract::schema::{self, column, metadata};
use contract::table::{TableReader, binary, numbers, text};
use serde_json::Value;

use crate::{Error, origins};

/// Rows read at a time.
const BATCH_ROWS: usize = 256;

/// One slice. Images of a study share one side, `Slices::side`.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Unique id.
    pub slice_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Class index.
    pub label: i32,
    /// Windowed image, side x side, row-major.
    pub image: Vec<u8>,
    /// Lung mask: 1 where there is lung, else 0.
    pub lung: Vec<u8>,
    /// Lesion mask: 1 where there is lesion, else 0; `None` where nobody knows.
    pub lesion: Option<Vec<u8>>,
}

/// Slices of a study, sorted by id.
#[derive(Debug, Default)]
pub struct Slices {
    /// Pixels a side.
    pub side: usize,
    /// Names of the classes by label, where the file has them.
    pub classes: Option<Vec<String>>,
    /// HU of black and white, where the file has them.
    pub window_hu: Option<[f64; 2]>,
    /// The slices.
    pub rows: Vec<Slice>,
}

/// Reads `slices.parquet`.
///
/// # Errors
/// Not a slices file, or a slice whose image is not a square of the others' size.
pub fn read_slices(path: &Path) -> Result<Slices, Error> {
    let reader = TableReader::open(path, &schema::slices())?;
    let json = |key: &str| reader.metadata(key).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let mut slices = Slices {
        classes: json(metadata::CLASSES).as_ref().and_then(origins::names),
        window_hu: json(metadata::WINDOW_HU).and_then(|window| serde_json::from_value(window).ok()),
        ..Slices::default()
    };
    for batch in reader.batches(BATCH_ROWS)? {
        let batch = batch?;
        let sides = numbers::<UInt32Type>(&batch, column::HEIGHT).zip(numbers::<UInt32Type>(&batch, column::WIDTH));
        let pixels = binary(&batch, column::IMAGE).zip(binary(&batch, column::MASK));
        let ids = text(&batch, column::SLICE_ID).zip(text(&batch, column::PATIENT_ID));
        let labels = numbers::<Int32Type>(&batch, column::LABEL);
        for (((ids, label), pixels), sides) in ids.zip(labels).zip(pixels).zip(sides) {
            let side = square(path, ids.0, sides, pixels, slices.side)?;
            slices.side = side;
            slices.rows.push(Slice {
                slice_id: ids.0.to_owned(),
                patient_id: ids.1.to_owned(),
                label: label.unwrap_or_default(),
                image: pixels.0.to_vec(),
                lung: pixels.1.iter().map(|value| u8::from(*value != schema::mask_value::BACKGROUND)).collect(),
                lesion: None,
            });
        }
    }
    slices.rows.sort_by(|a, b| a.slice_id.cmp(&b.slice_id));
    Ok(slices)
}

/// Gives the slices their lesion masks from `lesions.parquet`, where it has one.
///
/// # Errors
/// Not a lesions file, or a mask that is not of its slice's size.
pub fn read_lesions(path: &Path, slices: &mut Slices) -> Result<(), Error> {
    let area = slices.side * slices.side;
    for batch in TableReader::open(path, &schema::lesions())?.batches(BATCH_ROWS)? {
        let batch = batch?;
        for (slice_id, lesion) in text(&batch, column::SLICE_ID).zip(binary(&batch, column::LESION)) {
            let found = slices.rows.binary_search_by(|slice| slice.slice_id.as_str().cmp(slice_id));
            let Ok(index) = found else { continue };
            if lesion.len() != area {
                let problem = format!("{area} pixels, but {} bytes of lesion mask", lesion.len());
                return Err(Error::Slice { path: path.to_owned(), slice_id: slice_id.to_owned(), problem });
            }
            slices.rows[index].lesion = Some(lesion.iter().map(|value| u8::from(*value != 0)).collect());
        }
    }
    Ok(())
}

/// The side of a slice, after checking it against its pixels and the other slices.
fn square(
    path: &Path,
    slice_id: &str,
    (height, width): (Option<u32>, Option<u32>),
    (image, mask): (&[u8], &[u8]),
    others: usize,
) -> Result<usize, Error> {
    let (height, width) = (height.unwrap_or_default() as usize, width.unwrap_or_default() as usize);
    let problem = if height != width || (others != 0 && height != others) {
        format!(
            "expected {0}x{0} pixels like the others, got {height}x{width}",
            if others == 0 { height } else { others }
        )
    } else if image.len() != height * width || mask.len() != image.len() {
        format!("{height}x{width} pixels, but {} bytes of image and {} of mask", image.len(), mask.len())
    } else {
        return Ok(height);
    };
    Err(Error::Slice { path: path.to_owned(), slice_id: slice_id.to_owned(), problem })
}

/// Who trains and who is tested when a fold is held out: positions in [`Slices::rows`].
#[derive(Debug)]
pub struct Split {
    /// Slices to train on.
    pub train: Vec<usize>,
    /// Slices held out.
    pub test: Vec<usize>,
}

impl Split {
    /// The patients held out.
    pub fn test_patients<'a>(&self, slices: &'a Slices) -> BTreeSet<&'a str> {
        self.test.iter().map(|position| slices.rows[*position].patient_id.as_str()).collect()
    }
}

/// The fold of each slice, from `folds.parquet`.
///
/// # Errors
/// Not a folds file.
pub fn read_folds(path: &Path) -> Result<BTreeMap<String, (String, i32)>, Error> {
    let mut folds = BTreeMap::new();
    for batch in TableReader::open(path, &schema::folds())?.batches(BATCH_ROWS * 64)? {
        let batch = batch?;
        let ids = text(&batch, column::SLICE_ID).zip(text(&batch, column::PATIENT_ID));
        for ((slice, patient), fold) in ids.zip(numbers::<Int32Type>(&batch, column::FOLD)) {
            folds.insert(slice.to_owned(), (patient.to_owned(), fold.unwrap_or_default()));
        }
    }
    Ok(folds)
}

/// Holds out `fold`; everything else in the folds file trains.
///
/// # Errors
/// The fold does not exist, a patient is on both sides, a slice is missing, or nothing is left to train on.
pub fn split(slices: &Slices, slices_path: &Path, folds_path: &Path, fold: usize) -> Result<Split, Error> {
    let folds = read_folds(folds_path)?;
    let position: BTreeMap<&str, usize> =
        slices.rows.iter().enumerate().map(|(index, slice)| (slice.slice_id.as_str(), index)).collect();
    let mut split = Split { train: Vec::new(), test: Vec::new() };
    let mut sides: BTreeMap<&str, bool> = BTreeMap::new();
    for (slice_id, (patient, of)) in &folds {
        let Some(&index) = position.get(slice_id.as_str()) else {
            let (folds, slices) = (folds_path.to_owned(), slices_path.to_owned());
            return Err(Error::SliceMissing { slice_id: slice_id.clone(), folds, slices });
        };
        let held_out = usize::try_from(*of) == Ok(fold);
        if *sides.entry(patient).or_insert(held_out) != held_out {
            return Err(Error::Leak { patient_id: patient.clone(), fold, path: folds_path.to_owned() });
        }
        if held_out { split.test.push(index) } else { split.train.push(index) }
    }
    if split.test.is_empty() {
        let found: BTreeSet<String> = folds.values().map(|(_, fold)| fold.to_string()).collect();
        let found = found.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Error::NoSuchFold { fold, path: folds_path.to_owned(), found });
    }
    if split.train.is_empty() {
        return Err(Error::NothingToTrain { fold, path: folds_path.to_owned() });
    }
    Ok(split)
}
