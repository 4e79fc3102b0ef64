//! Which class was taken for which, and for several classes each one's AUC.

use super::{Block, Place, Table};
use crate::assess::{Assessment, MethodResult};
use crate::estimate::Estimate;
use crate::format;
use crate::metrics::Metric;
use crate::ordered::Ordered;

/// Confusion of slices and of patients for the methods of the paper's form.
pub(super) fn confusion(assessment: &Assessment) -> Table {
    let classes = &assessment.classes;
    let several = classes.len() > 2;
    let rows = |counts: &[Vec<u64>], auc: Option<&Ordered<Estimate>>| {
        let row = |(label, counts): (usize, &Vec<u64>)| {
            let total: u64 = counts.iter().sum();
            let recall = |total: u64| format::number(Metric::Accuracy, counts[label] as f64 / total as f64);
            let recall = if total > 0 { recall(total) } else { format::UNDEFINED.to_owned() };
            let auc = auc.and_then(|auc| auc.get(&classes[label])).map(|auc| format::estimate(Metric::Auc, auc));
            let counts = counts.iter().map(u64::to_string);
            [classes[label].clone()].into_iter().chain(counts).chain([recall]).chain(auc).collect::<Vec<String>>()
        };
        counts.iter().enumerate().map(row).collect::<Vec<_>>()
    };
    let blocks = |(name, result): &(String, MethodResult)| {
        let seeds = if result.seeds.len() > 1 { ", all seeds" } else { "" };
        let auc = result.auc_by_class.as_ref();
        [
            Block { title: format!("{name}: slices{seeds}"), rows: rows(&result.confusion, auc.map(|auc| &auc.slice)) },
            Block {
                title: format!("{name}: patients"),
                rows: rows(&result.patient_confusion, auc.map(|auc| &auc.patient)),
            },
        ]
    };
    let called = classes.iter().map(|class| format!("called {class}"));
    let auc = several.then(|| "AUC against the rest".to_owned());
    let mut notes = vec!["Rows: true class; columns: decision, the class of the largest probability.".to_owned()];
    if several {
        let of = |(name, result): &(String, MethodResult)| {
            let [slice, patient] = [&result.slice, &result.patient].map(|values| {
                let found = values.get(Metric::MacroAuc.key());
                found.map_or(String::new(), |value| format::estimate(Metric::MacroAuc, value))
            });
            format!("{name}: {slice} by slice, {patient} by patient")
        };
        let all = assessment.shown().map(of).collect::<Vec<_>>().join("; ");
        notes.push(format!("Mean of the classes' AUC (auc_macro). {all}."));
    }
    Table {
        id: "confusion",
        place: Place::Decisions,
        title: format!("Decisions: {}", assessment.study),
        head: ["true class".to_owned()].into_iter().chain(called).chain(["recall, %".to_owned()]).chain(auc).collect(),
        blocks: assessment.shown().flat_map(blocks).collect(),
        notes,
    }
}
