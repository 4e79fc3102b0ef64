//! The slices of the gallery, with what each method said of them and where it looked.

use contract::config::Config;
use contract::progress::Progress;

use crate::error::Error;
use crate::gallery::{Choice, choose};
use crate::overlay;
use crate::predictions::Predictions;
use crate::study::stop_if_asked;
use crate::views::{Raw, View, Viewer, class, drawn};

/// Largest side of a picture of the gallery, pixels.
const LARGEST: usize = 320;

/// A slice of the gallery.
pub struct Exhibit {
    /// Why it was chosen.
    pub choice: Choice,
    /// Name of the true class.
    pub class: String,
    /// The slice as the page shows it.
    pub view: View,
    /// The same side by side in one picture for a paper: slice with lung outline, attention of each method. PNG.
    pub figure: Vec<u8>,
}

impl Exhibit {
    /// Path of its picture in the report's folder; `place` is its place in the gallery, from 0.
    pub fn file(&self, place: usize) -> String {
        let words = format!("{} {}", self.choice.outcome.title(), self.choice.rank.title()).replace(' ', "-");
        format!("figures/gallery/{:02}-{words}.png", place + 1)
    }
}

/// Chooses the slices by the proposed method's first seed and draws them.
///
/// # Errors
/// A slice or a map cannot be read.
pub fn gallery(config: &Config, predictions: &Predictions, viewer: &mut Viewer) -> Result<Vec<Exhibit>, Error> {
    let Some(judge) = viewer.judge() else { return Ok(Vec::new()) };
    let positive = config.report.positive as usize;
    let chosen = choose(predictions, &judge.runs[0], positive, config.report.gallery as usize);
    let mut exhibits = Vec::new();
    let progress = Progress::new("report: gallery", "slices", chosen.len() as u64);
    for choice in chosen {
        let class = class(config, predictions, predictions.slices[choice.slice].patient).to_owned();
        for raw in viewer.read(&[choice.slice])? {
            let view = viewer.view(&raw, LARGEST, overlay::png)?;
            exhibits.push(Exhibit { choice, class: class.clone(), view, figure: figure(&raw)? });
        }
        progress.advance(1);
        stop_if_asked()?;
    }
    progress.finish();
    Ok(exhibits)
}

/// Slice and attention side by side, in the picture's own pixels.
fn figure(raw: &Raw) -> Result<Vec<u8>, Error> {
    let maps = raw.maps.iter().flatten().map(|map| overlay::blend(&raw.picture, Some(map)));
    let panels: Vec<Vec<u8>> = std::iter::once(overlay::blend(&raw.picture, None)).chain(maps).collect();
    drawn(overlay::beside(&panels, raw.picture.height, raw.picture.width))
}
