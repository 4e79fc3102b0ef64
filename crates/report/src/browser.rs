//! The slice browser: a few patients, chosen by rule and not by hand, with all their slices in order.
//!
//! The proposed method's first seed chooses, by the mean softmax over a patient's slices, as in Table 2: for each class the patient
//! that was most surely right, the one most surely wrong, the least sure; then the second of each, and so on.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use contract::config::Config;
use contract::progress::Progress;

use crate::error::Error;
use crate::metrics::decide;
use crate::overlay;
use crate::predictions::{Predictions, Run};
use crate::read::Place;
use crate::study::stop_if_asked;
use crate::views::{View, Viewer, class};

/// The rule in words for readers, after the name of the method.
pub const RULE: &str = "for each class the patient it was most surely right about, the one it was most surely wrong about, and the one it \
                        was least sure of, by the mean probability over the patient's slices";

/// Pixels of all pictures together, so that the page stays at a few megabytes: a pixel takes about a quarter of a byte.
const PIXELS: usize = 6_000_000;
/// Largest and smallest side of a picture, pixels.
const SIDES: (usize, usize) = (224, 96);

/// Why a patient was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Decided as it is, with the highest probability.
    Right,
    /// Decided as it is not, with the highest probability.
    Wrong,
    /// The two likeliest classes were closest.
    Unsure,
}

impl Reason {
    const ALL: [Self; 3] = [Self::Right, Self::Wrong, Self::Unsure];

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Right => "surely right",
            Self::Wrong => "surely wrong",
            Self::Unsure => "least sure",
        }
    }
}

/// A patient to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Index of the patient.
    pub patient: usize,
    /// Why.
    pub reason: Reason,
    /// Mean softmax over its slices.
    pub mean: Vec<f64>,
}

/// A patient with all slices.
pub struct Browsed {
    /// Pseudonym.
    pub id: String,
    /// Name of the true class.
    pub class: String,
    /// Name of the class that was decided.
    pub decided: String,
    /// Probability of the decided class.
    pub probability: f64,
    /// Why it was chosen.
    pub reason: Reason,
    /// Slices in the order of series and position.
    pub frames: Vec<Frame>,
}

/// One slice of a patient.
pub struct Frame {
    /// Where it lies.
    pub place: Place,
    /// The slice as the page shows it.
    pub view: View,
}

/// Chooses up to `count` patients by the rule of the module's head, class by class (the positive one first).
pub fn choose(predictions: &Predictions, run: &Run, positive: usize, count: usize) -> Vec<Choice> {
    let means = means(predictions, run);
    let classes: Vec<usize> =
        std::iter::once(positive).chain((0..predictions.classes).filter(|class| *class != positive)).collect();
    let of = |reason: Reason| classes.iter().map(move |class| (reason, *class));
    let queue = |(reason, class): (Reason, usize)| (reason, queue(predictions, &means, positive, reason, class));
    let mut queues: Vec<_> = Reason::ALL.into_iter().flat_map(of).map(queue).collect();
    let (mut chosen, mut seen, mut left) = (Vec::new(), BTreeSet::new(), true);
    while left && chosen.len() < count {
        left = false;
        for (reason, queue) in &mut queues {
            if chosen.len() == count {
                break;
            }
            if let Some(patient) = queue.find(|patient| seen.insert(*patient)) {
                chosen.push(Choice { patient, reason: *reason, mean: means[patient].clone() });
                left = true;
            }
        }
    }
    let place = |choice: &Choice| classes.iter().position(|class| *class == predictions.patients[choice.patient].label);
    chosen.sort_by_key(|choice| (place(choice), choice.reason));
    chosen
}

/// Mean softmax over each patient's slices.
fn means(predictions: &Predictions, run: &Run) -> Vec<Vec<f64>> {
    let mut sums = vec![(vec![0.0; predictions.classes], 0.0); predictions.patients.len()];
    for (slice, prob) in predictions.slices.iter().zip(run.prob.chunks_exact(predictions.classes)) {
        let (sum, count) = &mut sums[slice.patient];
        sum.iter_mut().zip(prob).for_each(|(sum, p)| *sum += p);
        *count += 1.0;
    }
    sums.into_iter().map(|(sum, count)| sum.into_iter().map(|sum| sum / count).collect()).collect()
}

/// Patients of one class and reason, the best example first (ties by id).
fn queue(
    predictions: &Predictions,
    means: &[Vec<f64>],
    positive: usize,
    reason: Reason,
    class: usize,
) -> std::vec::IntoIter<usize> {
    let decided = |patient: usize| decide(&means[patient], positive);
    let fits = |patient: &usize| {
        let is_right = decided(*patient) == class;
        predictions.patients[*patient].label == class
            && match reason {
                Reason::Right => is_right,
                Reason::Wrong => !is_right,
                Reason::Unsure => true,
            }
    };
    // How far the decision is from the class that comes next.
    let margin = |patient: usize| {
        let best = decided(patient);
        let next = (0..means[patient].len()).filter(|class| *class != best).map(|class| means[patient][class]);
        means[patient][best] - next.fold(0.0, f64::max)
    };
    let by = |a: &usize, b: &usize| -> Ordering {
        match reason {
            Reason::Unsure => margin(*a).total_cmp(&margin(*b)),
            _ => means[*b][decided(*b)].total_cmp(&means[*a][decided(*a)]),
        }
    };
    let mut patients: Vec<usize> = (0..predictions.patients.len()).filter(fits).collect();
    patients.sort_by(by);
    patients.into_iter()
}

/// Chooses the patients and draws their slices, as large as the page has room for.
///
/// # Errors
/// A slice or a map cannot be read.
pub fn browser(config: &Config, predictions: &Predictions, viewer: &mut Viewer) -> Result<Vec<Browsed>, Error> {
    let (Some(judge), count) = (viewer.judge(), config.report.browser_patients as usize) else { return Ok(Vec::new()) };
    let positive = config.report.positive as usize;
    let chosen = choose(predictions, &judge.runs[0], positive, count);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let positions = viewer.positions()?;
    let mut slices: Vec<Vec<(Place, usize)>> = vec![Vec::new(); predictions.patients.len()];
    for (index, slice) in predictions.slices.iter().enumerate() {
        if chosen.iter().any(|choice| choice.patient == slice.patient) {
            slices[slice.patient].push((positions[viewer.row(index)?].clone(), index));
        }
    }
    let all = slices.iter().map(Vec::len).sum();
    let progress = Progress::new("report: slice browser", "patients", chosen.len() as u64);
    let mut patients = Vec::new();
    for choice in chosen {
        let mut slices = std::mem::take(&mut slices[choice.patient]);
        slices.sort_by(|(a, _), (b, _)| (&a.series, a.index).cmp(&(&b.series, b.index)));
        let indices: Vec<usize> = slices.iter().map(|(_, index)| *index).collect();
        let raws = viewer.read(&indices)?;
        let views = raws.iter().map(|raw| viewer.view(raw, side(all), overlay::jpeg)).collect::<Result<Vec<_>, _>>()?;
        let frame = |((place, _), view)| Frame { place, view };
        let decided = decide(&choice.mean, positive);
        patients.push(Browsed {
            id: predictions.patients[choice.patient].id.clone(),
            class: class(config, predictions, choice.patient).to_owned(),
            decided: config.classes[decided].clone(),
            probability: choice.mean[decided],
            reason: choice.reason,
            frames: slices.into_iter().zip(views).map(frame).collect(),
        });
        progress.advance(1);
        stop_if_asked()?;
    }
    progress.finish();
    Ok(patients)
}

/// Largest side of a picture where there are `slices` of them.
fn side(slices: usize) -> usize {
    (PIXELS / slices.max(1)).isqrt().clamp(SIDES.1, SIDES.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Row;

    fn predictions(slices: &[(&str, i64, f64)]) -> Predictions {
        let row = |(place, (patient, label, p)): (usize, &(&str, i64, f64))| Row {
            slice_id: format!("{patient}{place}"),
            patient_id: (*patient).into(),
            label: *label,
            method: "m".into(),
            fold: 0,
            seed: 0,
            prob: vec![1.0 - p, *p],
            attention: crate::measure::NOTHING,
        };
        Predictions::assemble(slices.iter().enumerate().map(row).collect(), &[]).unwrap()
    }

    #[test]
    fn one_of_each_kind_by_the_mean_over_slices() {
        // Means: a 0.9, b 0.7, c 0.2, d 0.45 of class 1; e 0.1, f 0.8, g 0.6 of class 0.
        let predictions = predictions(&[
            ("a", 1, 0.85),
            ("a", 1, 0.95),
            ("b", 1, 0.99),
            ("b", 1, 0.41),
            ("c", 1, 0.2),
            ("d", 1, 0.45),
            ("e", 0, 0.1),
            ("f", 0, 0.8),
            ("g", 0, 0.6),
        ]);
        let names = |count| {
            let chosen = choose(&predictions, &predictions.methods[0].runs[0], 1, count);
            let name =
                |choice: &Choice| format!("{} {}", predictions.patients[choice.patient].id, choice.reason.title());
            chosen.iter().map(name).collect::<Vec<_>>()
        };
        let six =
            ["a surely right", "c surely wrong", "d least sure", "e surely right", "f surely wrong", "g least sure"];
        assert_eq!(names(6), six);
        // The reasons in turn, the positive class first: with three, both classes' right one and the positive class's wrong one.
        assert_eq!(names(3), [six[0], six[1], six[3]]);
        assert_eq!(names(99).len(), 7);
        assert!(names(0).is_empty());
    }

    #[test]
    fn many_slices_are_small() {
        assert_eq!((side(48), side(360), side(10_000)), (224, 129, 96));
    }
}
