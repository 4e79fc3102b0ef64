//! What is lost on the same patients with the confounder reversed.

use super::{Block, Place, Table, against, against_head, against_notes};
use crate::assess::{Assessment, MethodResult};
use crate::comparison::Level;
use crate::format;
use crate::metrics::Metric;
use crate::pool::{REVERSED_PATIENTS, REVERSED_SLICES};

/// The table; None if no study asked for it.
pub(super) fn falls(assessment: &Assessment) -> Option<Table> {
    assessment.methods.0.iter().find(|(_, result)| result.reversed.is_some())?;
    let row = |(name, result): &(String, MethodResult), level: Level, metric: Metric| {
        let reversed = result.reversed.as_ref()?;
        let is_slice = level == Level::FallSlice;
        let (standard, other, fall) = if is_slice {
            (&result.slice, &reversed.slice, &reversed.fall_slice)
        } else {
            (&result.patient, &reversed.patient, &reversed.fall_patient)
        };
        let [standard, other, fall] = [standard, other, fall].map(|values| values.get(metric.key()));
        let show = |estimate| format::result(metric, estimate);
        let own = vec![name.clone(), show(standard?), show(other?), format::change(metric, fall?)];
        Some([own, against(assessment, name, level, metric)].concat())
    };
    let block = |(level, metric, title): (Level, Metric, String)| Block {
        title,
        rows: assessment.methods.0.iter().filter_map(|method| row(method, level, metric)).collect(),
    };
    let slices = REVERSED_SLICES.map(|metric| (Level::FallSlice, metric, format!("slices: {}", format::head(metric))));
    let patients =
        REVERSED_PATIENTS.map(|metric| (Level::FallPatient, metric, "patients diagnosed correctly".to_owned()));
    let own = ["method", "as it was", "reversed", "fall"].map(str::to_owned).to_vec();
    let mut notes = vec![
        "Reversed: the same networks on the same test patients, each with the confounder where it was not, and without it \
         where it was. A fall above 0 means that the network had relied on it. Falls of percent are in points."
            .to_owned(),
    ];
    notes.extend(against_notes(assessment));
    Some(Table {
        id: "reversed",
        place: Place::Reversed,
        title: format!("Confounder reversed: {}", assessment.study),
        head: [own, against_head(assessment, "fall compared")].concat(),
        blocks: slices.into_iter().chain(patients).map(block).collect(),
        notes,
    })
}
