//! Slices as the page shows them: the picture, the outlines of lung and lesions, and each method's attention as layers of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contract::config::Config;
use contract::layout::{Layout, PREDICTIONS};

use crate::error::Error;
use crate::measure::Measure;
use crate::predictions::{Fault, Method, Predictions};
use crate::read::{Picture, Place};
use crate::{outline, overlay, read};

/// A slice with its layers.
pub struct View {
    /// Id of the slice.
    pub slice_id: String,
    /// Rows and columns of the picture as shown, which the outlines refer to.
    pub size: (usize, usize),
    /// The slice in grey, as a `data:` address.
    pub picture: String,
    /// Outline of the lung mask, see [`outline::path`].
    pub lung: String,
    /// Outline of the lesions; None where nobody knows them or the slice has none.
    pub lesion: Option<String>,
    /// For each method shown: what it said and where it looked.
    pub verdicts: Vec<Verdict>,
}

/// What one method said of a slice.
pub struct Verdict {
    /// Probability of the positive class.
    pub probability: f64,
    /// Share of the attention inside the lung.
    pub in_lung: Option<f64>,
    /// The attention as a grey picture, one pixel a value, as a `data:` address; None without an attention branch.
    pub map: Option<String>,
}

/// A slice as it was read.
pub struct Raw {
    /// Index of the slice.
    pub slice: usize,
    /// Picture and lung mask.
    pub picture: Picture,
    /// Lesions, of the picture's shape.
    pub lesion: Option<Vec<u8>>,
    /// Square attention map of each method shown.
    pub maps: Vec<Option<Vec<f32>>>,
}

/// Rows of the slices in one file, by id.
type Index = BTreeMap<String, usize>;

/// Reads slices with everything that is shown of them; the rows of each file are looked up once.
pub struct Viewer<'a> {
    layout: Layout,
    predictions: &'a Predictions,
    positive: usize,
    /// The methods shown, by their first seed.
    pub methods: Vec<&'a Method>,
    slices: Index,
    lesions: Index,
    runs: BTreeMap<PathBuf, Index>,
}

impl<'a> Viewer<'a> {
    /// Looks up the slices.
    ///
    /// # Errors
    /// The slices or the lesions cannot be read.
    pub fn new(config: &Config, predictions: &'a Predictions, shown: &[String]) -> Result<Self, Error> {
        let layout = Layout::new(config);
        let methods = shown.iter().filter_map(|name| predictions.method(name)).collect();
        let (slices, lesions) = (read::places(&layout.slices())?, read::places(&layout.lesions())?);
        let positive = config.report.positive as usize;
        Ok(Self { layout, predictions, positive, methods, slices, lesions, runs: BTreeMap::new() })
    }

    /// The method whose results choose what is shown: the last, which is the proposed one.
    pub fn judge(&self) -> Option<&'a Method> {
        self.methods.last().copied()
    }

    /// Where all slices lie, by their row in slices.parquet.
    ///
    /// # Errors
    /// The slices cannot be read.
    pub fn positions(&self) -> Result<Vec<Place>, Error> {
        read::positions(&self.layout.slices())
    }

    /// The row of a slice in slices.parquet.
    ///
    /// # Errors
    /// It is not there.
    pub fn row(&self, slice: usize) -> Result<usize, Error> {
        let id = &self.predictions.slices[slice].id;
        self.slices.get(id).copied().ok_or_else(|| {
            let (present, absent) = ("the predictions".to_owned(), "the slices".to_owned());
            let fault = Fault::Unequal { slice: id.clone(), present, absent };
            Error::Predictions { origin: self.layout.slices().display().to_string(), fault }
        })
    }

    /// Reads some slices of one patient.
    ///
    /// # Errors
    /// A slice or a map cannot be read.
    pub fn read(&mut self, slices: &[usize]) -> Result<Vec<Raw>, Error> {
        let rows = slices.iter().map(|slice| self.row(*slice).map(Some)).collect::<Result<Vec<_>, _>>()?;
        let pictures = chosen(&rows, |rows| read::pictures(&self.layout.slices(), rows))?;
        let id = |slice: &usize| self.predictions.slices[*slice].id.clone();
        let ids: Vec<String> = slices.iter().map(id).collect();
        let rows: Vec<Option<usize>> = ids.iter().map(|id| self.lesions.get(id).copied()).collect();
        let mut lesions = chosen(&rows, |rows| read::lesions(&self.layout.lesions(), rows))?.into_iter();
        let mut maps: Vec<_> = Vec::new();
        for method in self.methods.clone() {
            maps.push(self.maps(method, slices, &ids)?.into_iter());
        }
        let raw = |(slice, picture): (&usize, Option<Picture>)| {
            let maps = maps.iter_mut().map(|maps| maps.next().flatten()).collect();
            Some(Raw { slice: *slice, picture: picture?, lesion: lesions.next().flatten(), maps })
        };
        Ok(slices.iter().zip(pictures).filter_map(raw).collect())
    }

    /// One method's attention, where it has a square map.
    fn maps(&mut self, method: &Method, slices: &[usize], ids: &[String]) -> Result<Vec<Option<Vec<f32>>>, Error> {
        let run = &method.runs[0];
        let Some(first) = slices.first() else { return Ok(Vec::new()) };
        let fold = run.patient_fold[self.predictions.slices[*first].patient];
        let path = self.layout.run(&method.name, fold as usize, run.seed as u64).join(PREDICTIONS);
        if !self.runs.contains_key(&path) {
            self.runs.insert(path.clone(), read::places(&path)?);
        }
        let index = &self.runs[&path];
        let rows: Vec<Option<usize>> = ids.iter().map(|id| index.get(id).copied()).collect();
        let maps = chosen(&rows, |rows| read::attention(&path, rows))?;
        Ok(maps.into_iter().map(|map| map.flatten().filter(|map| overlay::side(map).is_some())).collect())
    }

    /// A slice as the page shows it, its picture no larger than `largest` a side and written by `encode`.
    ///
    /// # Errors
    /// A picture cannot be encoded.
    pub fn view(&self, raw: &Raw, largest: usize, encode: Encode) -> Result<View, Error> {
        let shown = overlay::shrink(&raw.picture, largest);
        let (height, width) = (shown.height, shown.width);
        let lesion = raw.lesion.as_ref().filter(|lesion| lesion.len() == raw.picture.image.len()).map(|lesion| {
            let lesion = Picture { mask: lesion.clone(), ..raw.picture.clone() };
            outline::path(&overlay::shrink(&lesion, largest).mask, height, width)
        });
        let verdict = |(method, map): (&&Method, &Option<Vec<f32>>)| {
            let run = &method.runs[0];
            Ok::<_, Error>(Verdict {
                probability: run.prob[raw.slice * self.predictions.classes + self.positive],
                in_lung: run.attention[raw.slice][Measure::InLung as usize],
                map: map.as_deref().map(|map| drawn(overlay::map(map))).transpose()?,
            })
        };
        Ok(View {
            slice_id: self.predictions.slices[raw.slice].id.clone(),
            size: (height, width),
            picture: drawn(encode(&shown))?,
            lung: outline::path(&shown.mask, height, width),
            lesion: lesion.filter(|path| !path.is_empty()),
            verdicts: self.methods.iter().zip(&raw.maps).map(verdict).collect::<Result<_, _>>()?,
        })
    }
}

/// Writes a picture as a `data:` address.
pub type Encode = fn(&Picture) -> Result<String, image::ImageError>;

/// A picture that was drawn, or why not.
///
/// # Errors
/// The encoder refused.
pub fn drawn<T>(picture: Result<T, image::ImageError>) -> Result<T, Error> {
    picture.map_err(|error| Error::Draw { what: "a slice".to_owned(), message: error.to_string() })
}

/// What `read` gives for the rows that are there, reading from the first to the last of them at once: slices of a patient stand together.
fn chosen<T>(
    rows: &[Option<usize>],
    read: impl FnOnce(read::Rows) -> Result<Vec<T>, Error>,
) -> Result<Vec<Option<T>>, Error> {
    let there = || rows.iter().flatten().copied();
    let (Some(first), Some(last)) = (there().min(), there().max()) else {
        return Ok(rows.iter().map(|_| None).collect());
    };
    let mut values: Vec<Option<T>> = read((first, last - first + 1))?.into_iter().map(Some).collect();
    Ok(rows.iter().map(|row| values.get_mut((*row)?.checked_sub(first)?)?.take()).collect())
}

/// The class of a patient, for readers.
pub fn class<'a>(config: &'a Config, predictions: &Predictions, patient: usize) -> &'a str {
    &config.classes[predictions.patients[patient].label]
}
