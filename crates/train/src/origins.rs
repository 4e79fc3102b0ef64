//! What a network was trained on: classes, pixels and their normalisation. The run's `config.yaml` beside the weights has it; a network
//! is never used on slices of another kind without a word.

use std::path::Path;

use contract::config::{self, Train};
use contract::layout::CONFIG;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::batch::Pixels;
use crate::data::Slices;

/// Section of `config.yaml` on the slices.
const SLICES: &str = "slices";
/// Its keys.
const SIDE: &str = "side";
const WINDOW_HU: &str = "window_hu";

/// What stands beside weights, as far as it is known.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Origins {
    /// Names of the classes in the order of the outputs.
    pub classes: Option<Vec<String>>,
    /// Pixels a side.
    pub side: Option<usize>,
    /// HU of black and white.
    pub window_hu: Option<[f64; 2]>,
    /// Mean and standard deviation by which pixels are normalised.
    pub normalisation: Option<(f64, f64)>,
    /// The method, and the fold and seed of the run.
    pub run: Option<(String, i32, i64)>,
}

impl Origins {
    /// What is known of the network in `weights`; nothing where no `config.yaml` is beside it.
    ///
    /// # Errors
    /// A `config.yaml` is there and cannot be read.
    pub fn beside(weights: &Path) -> Result<Option<Self>, Error> {
        let path = weights.with_file_name(CONFIG);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::at(&path))?;
        let values = config::from_yaml(&text);
        let number = |pointer: &str| values.pointer(pointer).and_then(Value::as_f64);
        let integer = |key: &str| values.get(key).and_then(Value::as_i64).unwrap_or(-1);
        let method = values.get("method").and_then(Value::as_str);
        let window = |at: usize| number(&format!("/{SLICES}/{WINDOW_HU}/{at}"));
        Ok(Some(Self {
            classes: values.get("classes").and_then(names),
            side: values.pointer(&format!("/{SLICES}/{SIDE}")).and_then(Value::as_u64).map(|side| side as usize),
            window_hu: window(0).zip(window(1)).map(|(low, high)| [low, high]),
            normalisation: number("/train/mean").zip(number("/train/std")),
            run: method.map(|name| (name.to_owned(), i32::try_from(integer("fold")).unwrap_or(-1), integer("seed"))),
        }))
    }

    /// How the outputs are put into the order of the classes `wanted`: of each of these the place among the outputs. `None` where the
    /// names of one of the two are not known, or nothing moves.
    ///
    /// # Errors
    /// The names are not the same.
    pub fn order(&self, wanted: Option<&[String]>, weights: &Path) -> Result<Option<Vec<usize>>, Error> {
        let (Some(own), Some(wanted)) = (&self.classes, wanted) else { return Ok(None) };
        let place = |name: &String| own.iter().position(|own| own == name);
        let order: Option<Vec<usize>> = wanted.iter().map(place).collect();
        match order.filter(|_| own.len() == wanted.len()) {
            Some(order) if order.iter().enumerate().all(|(to, from)| to == *from) => Ok(None),
            Some(order) => Ok(Some(order)),
            None => Err(misfit(
                weights,
                &format!("it tells the classes {} apart, expected {}", own.join(", "), wanted.join(", ")),
                "use a network of these classes",
            )),
        }
    }

    /// Checks that the slices are of the size and window of those that the network was trained on, as far as both are known.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self, slices: &Slices, weights: &Path) -> Result<(), Error> {
        const REMEDY: &str = "make the slices with the settings of its study, preprocess.size and the window";
        if let Some(side) = self.side.filter(|side| *side != slices.side) {
            let problem =
                format!("it was trained on slices of {side} x {side} pixels, these have {0} x {0}", slices.side);
            return Err(misfit(weights, &problem, REMEDY));
        }
        if let (Some(own), Some(found)) = (self.window_hu, slices.window_hu)
            && own != found
        {
            let problem = format!(
                "it was trained on slices in the window {} to {} HU, these are in {} to {} HU",
                own[0], own[1], found[0], found[1]
            );
            return Err(misfit(weights, &problem, REMEDY));
        }
        Ok(())
    }

    /// A class that the network and the study both have, at different places: its output would start as another class's.
    fn moved_class(&self, study: Option<&[String]>) -> Option<&str> {
        let (own, study) = (self.classes.as_deref()?, study?);
        let is_moved =
            |at: usize, name: &String| study.iter().position(|other| other == name).is_some_and(|place| place != at);
        own.iter().enumerate().find(|(at, name)| is_moved(*at, name)).map(|(_, name)| name.as_str())
    }

    /// Checks that training may start from the network: all of the above, the classes in their order, and the normalisation.
    ///
    /// # Errors
    /// The network was trained on something else.
    pub fn check_start(&self, slices: &Slices, train: &Train, weights: &Path) -> Result<(), Error> {
        self.check(slices, weights).map_err(or_copy)?;
        // Of other classes the network's last layer means nothing, but all before it does.
        if let Ok(Some(_)) = self.order(slices.classes.as_deref(), weights) {
            let own = self.classes.as_deref().unwrap_or_default().join(", ");
            let problem = format!("its classes are in another order: {own}");
            return Err(or_copy(misfit(weights, &problem, "write classes in that order")));
        }
        if let Some(name) = self.moved_class(slices.classes.as_deref()) {
            let problem = format!("its class {name} stands at another place among the classes than the study's");
            return Err(or_copy(misfit(weights, &problem, "write the classes that both have at the same places")));
        }
        let pixels = Pixels::new(train);
        match self.normalisation {
            Some((mean, std)) if (mean, std) != (pixels.mean, pixels.std) => {
                let problem = format!(
                    "its pixels were normalised by mean {mean} and standard deviation {std}, the study's are by {} and {}",
                    pixels.mean, pixels.std
                );
                let remedy = format!("set train.mean: {mean} and train.std: {std}");
                Err(or_copy(misfit(weights, &problem, &remedy)))
            }
            _ => Ok(()),
        }
    }
}

/// Puts outputs into an order of [`Origins::order`].
pub fn reordered(values: &[f32], order: &[usize]) -> Vec<f32> {
    order.iter().filter_map(|from| values.get(*from).copied()).collect()
}

/// The run's settings with what its slices are, for `config.yaml`.
pub fn with_slices(settings: &Value, slices: &Slices) -> Value {
    let mut values = settings.clone();
    let mut section = Map::from_iter([(SIDE.to_owned(), json!(slices.side))]);
    section.extend(slices.window_hu.map(|window| (WINDOW_HU.to_owned(), json!(window))));
    if let Value::Object(values) = &mut values {
        values.insert(SLICES.to_owned(), Value::Object(section));
    }
    values
}

/// Names of a JSON list.
pub fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn misfit(weights: &Path, problem: &str, remedy: &str) -> Error {
    Error::WrongWeights { path: weights.to_owned(), problem: format!("{problem}; {remedy}") }
}

/// What else may be done where training is to start from a network of other slices.
fn or_copy(error: Error) -> Error {
    match error {
        Error::WrongWeights { path, problem } => {
            let problem =
                format!("{problem}, or start from a copy without {CONFIG} beside it, of which nothing is known");
            Error::WrongWeights { path, problem }
        }
        other => other,
    }
}
