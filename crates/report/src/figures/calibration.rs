//! Reliability of the probabilities of slices.

use super::{Drawn, Figure, Material};
use crate::assess::MethodResult;
use crate::calibration::BINS;
use crate::charts::calibration::{Reliability, calibration};
use crate::curves::ONE_CLASS;
use crate::error::Error;
use crate::format;
use crate::predictions::Method;
use crate::reliability::{Bin, ENOUGH, bins};

/// The diagram.
pub(super) fn drawn(material: &Material) -> Result<Drawn, Error> {
    let title = "Calibration by slice".to_owned();
    if material.positive.iter().all(|is| *is) || material.positive.iter().all(|is| !is) {
        return Ok(Drawn { title, figure: Err(format!("Undefined: slices of {ONE_CLASS}.")) });
    }
    let class = material.assessment.positive;
    let one = |(colour, (method, _)): (usize, &(&Method, &MethodResult))| Reliability {
        label: method.name.clone(),
        colour,
        bins: bins(material.predictions, &method.runs, class, &material.positive, &material.resamples),
    };
    let methods: Vec<Reliability> = material.methods.iter().enumerate().map(one).collect();
    let seeds = if material.several_seeds() { ", every seed's predictions" } else { "" };
    let caption = format!(
        "{}{seeds}. Above: of the predictions in each of {BINS} bins of equal width, the share that is of {}, against their mean \
         probability; bars: {} (none where fewer than {} % of the resamples have predictions in the bin, or all give the same). Below: \
         percent of the predictions in each bin.",
        material.slices(),
        material.class(),
        material.bootstrap(),
        format::fixed(100.0 * ENOUGH, 0)
    );
    let label = format!("Calibration of the probability of {}. {}", material.class(), words(&methods));
    let svg = calibration(&methods, material.class())?;
    Ok(Drawn { title, figure: Ok(Figure { file: "calibration".to_owned(), svg, label, caption }) })
}

/// The lowest, fullest and highest bin of each method.
fn words(methods: &[Reliability]) -> String {
    let told = |bin: &Bin| {
        format!(
            "{} predicted, {} observed (n = {})",
            format::fixed(bin.predicted, 2),
            format::fixed(bin.observed, 2),
            bin.count
        )
    };
    let one = |method: &Reliability| {
        let ends = [method.bins.first(), method.bins.iter().max_by_key(|bin| bin.count), method.bins.last()];
        let words = ["lowest bin", "fullest", "highest"].into_iter().zip(ends);
        let all = words.filter_map(|(name, bin)| Some(format!("{name} {}", told(bin?)))).collect::<Vec<_>>();
        format!("{}: {}.", method.label, all.join("; "))
    };
    methods.iter().map(one).collect::<Vec<_>>().join(" ")
}
