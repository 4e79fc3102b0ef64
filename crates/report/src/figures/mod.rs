//! What the page's charts are drawn from, and the charts themselves, as SVG with what is said of them.

mod calibration;
mod curves;
mod patients;
mod training;

use contract::config::Config;

use crate::assess::{Assessment, MethodResult};
use crate::charts;
use crate::curves::Resamples;
use crate::error::Error;
use crate::flow::{self, Flow, FoldCount};
use crate::format;
use crate::predictions::{Method, Predictions};

/// A chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Name of its file, without the extension.
    pub file: String,
    /// The chart.
    pub svg: String,
    /// What it shows, in words, with the main numbers: for those who do not see it.
    pub label: String,
    /// What it shows, of how many, and how its intervals are made.
    pub caption: String,
}

/// A chart under its title, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Title.
    pub title: String,
    /// The chart.
    pub figure: Result<Figure, String>,
}

/// Charts that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its anchor on the page.
    pub anchor: &'static str,
    /// Its name in the contents.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is said of all of them; empty for nothing.
    pub words: String,
    /// Whether the first chart stands in a row of its own.
    pub leads: bool,
    /// The charts.
    pub drawn: Vec<Drawn>,
}

/// All charts of a study.
pub struct Figures {
    /// Charts by section, in the order of the page.
    pub sections: Vec<Section>,
    /// The way of the patients and slices.
    pub flow: Flow,
    /// The same as a diagram.
    pub flow_svg: String,
    /// What each fold tests.
    pub folds: Vec<FoldCount>,
}

/// What charts are drawn from.
struct Material<'a> {
    predictions: &'a Predictions,
    assessment: &'a Assessment,
    resamples: Resamples,
    /// Whether each patient is of the positive class.
    positive: Vec<bool>,
    /// The methods of the question with their results.
    methods: Vec<(&'a Method, &'a MethodResult)>,
}

impl<'a> Material<'a> {
    fn new(config: &Config, predictions: &'a Predictions, assessment: &'a Assessment) -> Self {
        let of = |(name, result): &'a (String, MethodResult)| Some((predictions.method(name)?, result));
        let count = config.report.bootstrap as usize;
        Self {
            predictions,
            assessment,
            resamples: Resamples::new(predictions, count, config.report.seed, config.report.confidence),
            positive: predictions.patients.iter().map(|patient| patient.label == assessment.positive).collect(),
            methods: assessment.shown().filter_map(of).collect(),
        }
    }

    /// Name of the positive class.
    fn class(&self) -> &str {
        &self.assessment.classes[self.assessment.positive]
    }

    /// "554 slices of 72 patients in 3 folds".
    fn slices(&self) -> String {
        let (slices, patients) = (self.predictions.slices.len() as u64, self.predictions.patients.len() as u64);
        format!("{} of {}{}", format::plural(slices, "slice"), format::plural(patients, "patient"), self.folds())
    }

    /// " in 3 folds, taken together".
    fn folds(&self) -> String {
        let folds = self.assessment.folds.len();
        if folds > 1 { format!(" in {folds} folds, taken together") } else { String::new() }
    }

    /// "95 % intervals by bootstrap over patients within class, 2000 resamples".
    fn bootstrap(&self) -> String {
        format!(
            "{} interval by bootstrap over patients within class, {} resamples",
            format::level(self.assessment.confidence),
            self.assessment.bootstrap
        )
    }

    /// Whether a method shown has several seeds.
    fn several_seeds(&self) -> bool {
        self.assessment.several_seeds()
    }
}

impl Figures {
    /// Draws them.
    ///
    /// # Errors
    /// A log or a file of the stages before cannot be read; plotters refuses.
    pub fn new(
        config: &Config,
        folds: usize,
        predictions: &Predictions,
        assessment: &Assessment,
    ) -> Result<Self, Error> {
        let material = Material::new(config, predictions, assessment);
        let flow = flow::collect(config, folds, predictions)?;
        let [roc, precision] = curves::sections(&material)?;
        let sections =
            vec![roc, precision, patients::section(&material)?, training::section(config, folds, &material)?];
        Ok(Self { sections, flow_svg: charts::flow::flow(&flow)?, flow, folds: flow::folds(predictions) })
    }

    /// Files of the folder `figures`: name and content.
    pub fn files(&self) -> Vec<(String, &str)> {
        let drawn = self.sections.iter().flat_map(|section| &section.drawn);
        let figures = drawn.filter_map(|drawn| drawn.figure.as_ref().ok());
        let all = figures.map(|figure| (figure.file.as_str(), figure.svg.as_str()));
        all.chain([("flow", self.flow_svg.as_str())]).map(|(name, svg)| (format!("{name}.svg"), svg)).collect()
    }
}
