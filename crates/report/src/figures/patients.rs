//! Scores of patients, and decisions on slices and patients.

use super::{Drawn, Figure, Material, Section};
use crate::assess::MethodResult;
use crate::charts::confusion::confusion;
use crate::charts::scores::{Strip, scores};
use crate::error::Error;
use crate::format;
use crate::patients::{self, PatientScores};
use crate::predictions::{Method, Run};

/// The section.
pub(super) fn section(material: &Material) -> Result<Section, Error> {
    let mut drawn = vec![strips(material)?];
    for (place, (method, result)) in material.methods.iter().enumerate() {
        let seeds = result.seeds.len();
        for (what, counts, seeds) in [("slices", &result.confusion, seeds), ("patients", &result.patient_confusion, 1)]
        {
            drawn.push(matrix(material, (&method.name, place), (what, seeds), counts)?);
        }
    }
    let (anchor, name, title) = ("scores", "Scores", "Patients' scores, decisions");
    Ok(Section { anchor, name, title, words: String::new(), leads: true, drawn })
}

/// A strip for each class, the positive one first, and method.
fn strips(material: &Material) -> Result<Drawn, Error> {
    let (predictions, positive) = (material.predictions, material.assessment.positive);
    let rule = material.assessment.patient_rule;
    let scored = |(place, (method, _)): (usize, &(&Method, &MethodResult))| {
        let scores = PatientScores::new(predictions, &method.runs.iter().collect::<Vec<&Run>>(), rule, positive);
        (place, method.name.clone(), scores.score(positive), scores.decisions(positive))
    };
    let methods: Vec<_> = material.methods.iter().enumerate().map(scored).collect();
    let mut order: Vec<usize> = (0..predictions.classes).collect();
    order.sort_by_key(|class| *class != positive);
    let mut strips = Vec::new();
    for class in order {
        for (colour, name, scores, decisions) in &methods {
            let of_class = predictions.patients.iter().enumerate().filter(|(_, patient)| patient.label == class);
            let patients: Vec<(f64, bool)> =
                of_class.map(|(place, _)| (scores[place], decisions[place] == class)).collect();
            let right = patients.iter().filter(|(_, right)| *right).count();
            let label = format!("{}, {name}: {right} of {} right", material.assessment.classes[class], patients.len());
            strips.push(Strip { label, colour: *colour, patients });
        }
    }
    let threshold = (predictions.classes == 2).then_some(0.5);
    let decision = match threshold {
        Some(at) => format!("A patient at {at} or above is called {}.", material.class()),
        None => "The class of the largest score decides, so no one threshold is drawn.".to_owned(),
    };
    let caption = format!(
        "{}{}, one mark each, by true class and method: their score for {}. {} {decision} No intervals: these are the patients \
         themselves.",
        format::plural(predictions.patients.len() as u64, "patient"),
        material.folds(),
        material.class(),
        patients::sentence(rule, material.several_seeds())
    );
    let median = |strip: &Strip| {
        let mut scores: Vec<f64> = strip.patients.iter().map(|(score, _)| *score).collect();
        scores.sort_by(f64::total_cmp);
        let middle = if scores.is_empty() {
            format::UNDEFINED.to_owned()
        } else {
            format::fixed(crate::intervals::quantile(&scores, 0.5), 2)
        };
        format!("{}, median score {middle}.", strip.label)
    };
    let label = format!("Scores of patients. {}", strips.iter().map(median).collect::<Vec<_>>().join(" "));
    let svg = scores(&strips, material.class(), threshold)?;
    let figure = Figure { file: "scores".to_owned(), svg, label, caption };
    Ok(Drawn { title: "Scores of patients".to_owned(), figure: Ok(figure) })
}

/// Decisions on slices or patients (`what`), each decided by so many seeds.
fn matrix(
    material: &Material,
    (method, colour): (&str, usize),
    (what, seeds): (&str, usize),
    counts: &[Vec<u64>],
) -> Result<Drawn, Error> {
    let classes = &material.assessment.classes;
    let title = format!("Decisions on {what}: {method}");
    let total: u64 = counts.iter().flatten().sum();
    if total == 0 {
        return Ok(Drawn { title, figure: Err(format!("Undefined: no {what}.")) });
    }
    let cell =
        |row: usize, column: usize| format!("{} called {}: {}", classes[row], classes[column], counts[row][column]);
    let cells = (0..classes.len()).flat_map(|row| (0..classes.len()).map(move |column| (row, column)));
    let all = cells.map(|(row, column)| cell(row, column)).collect::<Vec<_>>();
    let n = match seeds {
        0 | 1 => format!("{total} {what}"),
        _ => format!("{total} decisions, {} {what} by {seeds} seeds", total / seeds as u64),
    };
    let figure = Figure {
        file: format!("confusion-{what}-{method}"),
        svg: confusion(classes, counts, colour)?,
        label: format!("{title}. {}.", all.join("; ")),
        caption: format!("{n}. Rows: true class; columns: decision. Percent and shade: of the row."),
    };
    Ok(Drawn { title, figure: Ok(figure) })
}
