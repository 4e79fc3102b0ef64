//! Every method against the one compared with, and how far its seeds lie apart.

use super::{Block, Place, Table, against, against_head, against_notes};
use crate::assess::{Assessment, MethodResult};
use crate::comparison::Level;
use crate::format;
use crate::metrics::Metric;
use crate::spread::Spread;

/// What the table has a block of: level, metric, and the block's title.
const BLOCKS: [(Level, Metric, &str); 8] = [
    (Level::Slice, Metric::Auc, "slices: AUC"),
    (Level::Slice, Metric::Accuracy, "slices: accuracy, %"),
    (Level::Slice, Metric::Sensitivity, "slices: sensitivity, %"),
    (Level::Slice, Metric::Specificity, "slices: specificity, %"),
    (Level::Patient, Metric::Accuracy, "patients: diagnosis"),
    (Level::Patient, Metric::Sensitivity, "patients: sensitivity"),
    (Level::Patient, Metric::Specificity, "patients: specificity"),
    (Level::Patient, Metric::Auc, "patients: AUC"),
];

/// Every method; None where the tables of the paper's form show all there is.
pub(super) fn all(assessment: &Assessment) -> Option<Table> {
    if assessment.first_pair().is_none() || assessment.shown().count() == assessment.methods.0.len() {
        return None;
    }
    let row = |(name, result): &(String, MethodResult), level: Level, metric: Metric| {
        let values = if level == Level::Patient { &result.patient } else { &result.slice };
        let value = values.get(metric.key()).map_or(String::new(), |value| format::result(metric, value));
        let own = vec![name.clone(), result.seeds.len().to_string(), value];
        [own, against(assessment, name, level, metric)].concat()
    };
    let block = |(level, metric, title): (Level, Metric, &str)| {
        let rows = assessment.methods.0.iter().map(|method| row(method, level, metric)).collect();
        Block { title: title.to_owned(), rows }
    };
    let mut notes = against_notes(assessment);
    notes.push(
        "Patients: Wilson interval of a fraction, exact McNemar; AUC of patients: DeLong. Slices: bootstrap for both."
            .to_owned(),
    );
    let own = ["method", "seeds", "value"].map(str::to_owned).to_vec();
    Some(Table {
        id: "methods",
        place: Place::Methods,
        title: format!("All methods: {}", assessment.study),
        head: [own, against_head(assessment, "difference")].concat(),
        blocks: BLOCKS.map(block).to_vec(),
        notes,
    })
}

/// Spread over the seeds, and seed by seed how often each method won; None where no method has several seeds.
pub(super) fn seeds(assessment: &Assessment) -> Option<Table> {
    let several = |(_, result): &&(String, MethodResult)| result.seed_spread.is_some();
    assessment.methods.0.iter().find(several)?;
    let first = assessment.first_pair().map(|(a, _)| a);
    let row = |(name, result): &(String, MethodResult), level: Level, metric: Metric| {
        let spread = result.seed_spread.as_ref();
        let spread = spread.and_then(|of| if level == Level::Slice { of.slice_auc } else { of.patient_accuracy });
        let cell = |of: fn(&Spread) -> f64| {
            spread.map_or(format::UNDEFINED.to_owned(), |spread| format::number(metric, of(&spread)))
        };
        let cells = [cell(|s| s.mean), cell(|s| s.sd), cell(|s| s.min), cell(|s| s.max)];
        let wins = first.map(|a| {
            let wins = assessment.comparison((a, name), level, metric).and_then(|entry| entry.wins);
            wins.map_or(String::new(), |wins| format!("{} / {} / {}", wins.b, wins.ties, wins.a))
        });
        let seeds = format::list(&result.seeds);
        [name.clone(), seeds].into_iter().chain(cells).chain(wins).collect::<Vec<String>>()
    };
    let block = |(level, metric, title): (Level, Metric, &str)| {
        let rows = assessment.methods.0.iter().map(|method| row(method, level, metric)).collect();
        Block { title: title.to_owned(), rows }
    };
    let blocks = [
        (Level::Slice, Metric::Auc, "AUC of the slices"),
        (Level::Patient, Metric::Accuracy, "patients diagnosed correctly, %"),
    ];
    let own = ["method", "seeds", "mean", "sd", "lowest", "highest"].map(str::to_owned);
    let wins = first.map(|a| format!("seeds higher / equal / lower than {a}"));
    Some(Table {
        id: "seeds",
        place: Place::Methods,
        title: format!("Seeds: {}", assessment.study),
        head: own.into_iter().chain(wins).collect(),
        blocks: blocks.map(block).to_vec(),
        notes: vec![
            "Each seed by itself, all folds: the chance in training. The sd is that of a sample (number of seeds less one). \
             The mean over seeds of the patients diagnosed is not Table 2's, where the seeds vote together."
                .to_owned(),
        ],
    })
}
