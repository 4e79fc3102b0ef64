//! What was measured on the attention maps.

use super::{Block, Place, Table, against, against_head, against_notes};
use crate::assess::{Assessment, MethodResult};
use crate::comparison::Level;
use crate::format;
use crate::measure::{COLLAPSED_STD, Measure};

/// Whether a method has maps of which anything was measured.
fn has_maps(result: &MethodResult) -> bool {
    result.attention.as_ref().is_some_and(|all| all.0.iter().any(|(_, estimate)| estimate.defined().is_some()))
}

/// The table; None if nothing was measured.
pub(super) fn measures(assessment: &Assessment) -> Option<Table> {
    let (_, first) = assessment.methods.0.iter().find(|(_, result)| has_maps(result))?;
    let is_measured = |measure: Measure| first.attention.as_ref().is_some_and(|all| all.get(measure.key()).is_some());
    let shown: Vec<Measure> =
        Measure::ALL.into_iter().filter(|measure| is_measured(*measure) && !measure.is_of_the_slice()).collect();
    let has_uniform = shown.iter().any(|measure| measure.uniform().is_some_and(is_measured));
    let row = |(name, result): &(String, MethodResult), measure: Measure| {
        let found = result.attention.as_ref()?.get(measure.key())?;
        let of = |other: Option<Measure>| {
            let estimate = other.and_then(|other| result.attention.as_ref()?.get(other.key())?.defined());
            estimate.map_or(String::new(), |value| format::number(measure, value))
        };
        let references = [of(measure.uniform()), of(measure.ceiling())].into_iter().filter(|_| has_uniform);
        let own = [name.clone(), format::estimate(measure, found)].into_iter().chain(references);
        let own = own.chain([found.n.to_string()]).collect::<Vec<_>>();
        Some([own, against(assessment, name, Level::Attention, measure)].concat())
    };
    let with_maps = || assessment.methods.0.iter().filter(|(_, result)| has_maps(result));
    let block = |measure: &Measure| Block {
        title: format::head(*measure),
        rows: with_maps().filter_map(|method| row(method, *measure)).collect(),
    };
    let references = ["uniform map", "map as taught"].map(str::to_owned).into_iter().filter(|_| has_uniform);
    let own = ["method", "mean"].map(str::to_owned).into_iter().chain(references).chain(["slices".to_owned()]);
    Some(Table {
        id: "attention",
        place: Place::Attention,
        title: format!("Attention: {}", assessment.study),
        head: own.chain(against_head(assessment, "difference")).collect(),
        blocks: shown.iter().map(block).collect(),
        notes: notes(assessment, has_uniform),
    })
}

fn notes(assessment: &Assessment, has_uniform: bool) -> Vec<String> {
    let mut notes = collapsed(assessment);
    let without = assessment.methods.0.iter().filter(|(_, result)| !has_maps(result));
    let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
    if !without.is_empty() {
        notes.push(format!("No attention map: {}.", without.join(", ")));
    }
    notes.push(
        "Mean over the slices in which a measure is defined, each counting the same, then over the seeds.".to_owned(),
    );
    if has_uniform {
        notes.push(
            "Uniform map: what a map that is the same everywhere scores. Map as taught: what a map equal to its target \
             scores, the most that the map loss asks for."
                .to_owned(),
        );
        notes.push(
            "Entropy: 1 for a map that is the same everywhere. Deletion AUC: lower, and insertion AUC: higher, means that the \
             attended pixels carry the decision."
                .to_owned(),
        );
    }
    notes.extend(against_notes(assessment));
    notes
}

/// A remark for each method whose maps have collapsed, wholly or in some seeds.
pub fn collapsed(assessment: &Assessment) -> Vec<String> {
    let remark = |(name, result): &(String, MethodResult)| {
        let which = match (result.has_collapsed(), result.collapsed_seeds.len()) {
            (true, _) => String::new(),
            (false, 0) => return None,
            (false, _) => format!(" in seed {}", format::list(&result.collapsed_seeds)),
        };
        Some(format!(
            "The attention maps of {name} have collapsed{which}: their standard deviation is below {COLLAPSED_STD}, so a map is \
             nearly the same everywhere and where it is highest means nothing."
        ))
    };
    assessment.methods.0.iter().filter_map(remark).collect()
}
