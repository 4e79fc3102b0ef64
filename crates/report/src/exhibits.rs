//! The slices that the page shows, with what each method said of them and where it looked.

use std::collections::BTreeMap;

use contract::config::Config;
use contract::layout::{Layout, PREDICTIONS};
use contract::progress::Progress;

use crate::error::Error;
use crate::gallery::{Choice, choose};
use crate::measure::Measure;
use crate::predictions::{Fault, Method, Predictions};
use crate::study::stop_if_asked;
use crate::{overlay, read};

/// A slice of the gallery.
pub struct Exhibit {
    /// Why it was chosen.
    pub choice: Choice,
    /// Id of the slice.
    pub slice_id: String,
    /// Name of the true class.
    pub class: String,
    /// The slice with its lung outline, as a `data:` address.
    pub picture: String,
    /// For each method shown: what it said, and its attention over the slice (None without an attention branch).
    pub methods: Vec<Verdict>,
}

/// What one method said of a slice.
pub struct Verdict {
    /// Probability of the positive class.
    pub probability: f64,
    /// Share of the attention inside the lung.
    pub in_lung: Option<f64>,
    /// The attention over the slice, as a `data:` address.
    pub picture: Option<String>,
}

/// Chooses the slices by the proposed method's first seed and renders them.
///
/// # Errors
/// A slice or a map cannot be read.
pub fn gallery(config: &Config, predictions: &Predictions, shown: &[String]) -> Result<Vec<Exhibit>, Error> {
    let methods: Vec<&Method> = shown.iter().filter_map(|name| predictions.method(name)).collect();
    let Some(judge) = methods.last() else { return Ok(Vec::new()) };
    let positive = config.report.positive as usize;
    let chosen = choose(predictions, &judge.runs[0], positive, config.report.gallery as usize);
    let layout = Layout::new(config);
    let pictures = if chosen.is_empty() { BTreeMap::new() } else { read::places(&layout.slices())? };
    let mut places = Places::default();
    let mut exhibits = Vec::new();
    let progress = Progress::new("report: gallery", "slices", chosen.len() as u64);
    for choice in chosen {
        let slice = &predictions.slices[choice.slice];
        let Some(place) = pictures.get(&slice.id) else {
            let fault = Fault::Unequal {
                slice: slice.id.clone(),
                present: "the predictions".to_owned(),
                absent: "the slices".to_owned(),
            };
            return Err(Error::Predictions { origin: layout.slices().display().to_string(), fault });
        };
        let picture = overlay::shrink(&read::picture(&layout.slices(), *place)?);
        let verdict =
            |method: &&Method| verdict(&layout, predictions, method, choice.slice, positive, &picture, &mut places);
        let methods = methods.iter().map(verdict).collect::<Result<_, _>>()?;
        exhibits.push(Exhibit {
            choice,
            slice_id: slice.id.clone(),
            class: config.classes[predictions.patients[slice.patient].label].clone(),
            picture: encode(&picture, None)?,
            methods,
        });
        progress.advance(1);
        stop_if_asked()?;
    }
    progress.finish();
    Ok(exhibits)
}

fn encode(picture: &read::Picture, attention: Option<&[f32]>) -> Result<String, Error> {
    overlay::png(&overlay::blend(picture, attention), picture.height, picture.width)
        .map_err(|error| Error::Draw { what: "a slice of the gallery".to_owned(), message: error.to_string() })
}

/// Places of the slices in each predictions file, read once.
type Places = BTreeMap<std::path::PathBuf, BTreeMap<String, usize>>;

fn verdict(
    layout: &Layout,
    predictions: &Predictions,
    method: &Method,
    slice: usize,
    positive: usize,
    picture: &read::Picture,
    places: &mut Places,
) -> Result<Verdict, Error> {
    let run = &method.runs[0];
    let fold = run.patient_fold[predictions.slices[slice].patient];
    let path = layout.run(&method.name, fold as usize, run.seed as u64).join(PREDICTIONS);
    if !places.contains_key(&path) {
        places.insert(path.clone(), read::places(&path)?);
    }
    let place = places.get(&path).and_then(|places| places.get(&predictions.slices[slice].id));
    let map = place.map_or(Ok(None), |place| read::attention(&path, *place))?;
    let square = map.filter(|map| overlay::side(map).is_some());
    Ok(Verdict {
        probability: run.prob[slice * predictions.classes + positive],
        in_lung: run.attention[slice][Measure::InLung as usize],
        picture: square.map(|map| encode(picture, Some(&map))).transpose()?,
    })
}
