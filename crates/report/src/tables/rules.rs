//! What Table 2 would be under each rule that makes one decision of a patient's slices.

use super::{Block, PATIENT_COLUMNS, Place, Table};
use crate::assess::{Assessment, MethodResult};
use crate::format;
use crate::metrics::Metric;
use crate::patients::{self, RULES};

/// The rules side by side for the methods of the paper's form.
pub(super) fn rules(assessment: &Assessment) -> Table {
    let row = |(name, result): &(String, MethodResult), key: &str| {
        let values = result.patient_rules.get(key);
        let cell = |metric: Metric| {
            let estimate = values.and_then(|values| values.get(metric.key()));
            estimate.map_or(String::new(), |estimate| format::result(metric, estimate))
        };
        let metrics = PATIENT_COLUMNS.map(|(_, metric)| metric).into_iter().chain([Metric::Auc]);
        [name.clone()].into_iter().chain(metrics.map(cell)).collect::<Vec<String>>()
    };
    let block = |rule| {
        let key = patients::key(rule);
        let used = if rule == assessment.patient_rule { " (Table 2)" } else { "" };
        Block { title: format!("{key}{used}"), rows: assessment.shown().map(|method| row(method, key)).collect() }
    };
    let several = assessment.several_seeds();
    let mut notes: Vec<String> =
        RULES.map(|rule| format!("{}: {}", patients::key(rule), patients::sentence(rule, several))).to_vec();
    notes.push(format!(
        "In brackets: {} interval, Wilson for fractions and DeLong for the AUC. A rule chosen after seeing this table has chosen its \
         result: name it in the study beforehand (report.patient_rule).",
        format::level(assessment.confidence)
    ));
    let heads = PATIENT_COLUMNS.map(|(name, _)| name.to_owned()).into_iter().chain([format::head(Metric::Auc)]);
    Table {
        id: "rules",
        place: Place::Reference,
        title: format!("Rules for patients: {}", assessment.study),
        head: ["method".to_owned()].into_iter().chain(heads).collect(),
        blocks: RULES.map(block).to_vec(),
        notes,
    }
}
