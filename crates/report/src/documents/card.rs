//! A model card for a method: what it is, for what it is not, on what it was trained and tested, how it did, where its files are.
//!
//! The headings after Mitchell et al., Model Cards for Model Reporting, FAT* 2019 (arXiv:1810.03993); the words are ours.

use contract::config::Method;

use super::markdown::{list, plain, table};
use super::{Document, Run, data, evaluation, training};
use crate::assess::{MethodResult, Part};
use crate::estimate::Estimate;
use crate::format::{self, UNDEFINED};
use crate::measure::Measure;
use crate::metrics::Metric;

/// Writes one section of a card.
type Writer = fn(&Run, &Method, &MethodResult) -> String;

/// The sections of a card, in order.
const SECTIONS: [(&str, Writer); 11] = [
    ("What it is", model),
    ("What it is for, and what not", purpose),
    ("Training data", training_data),
    ("Training", how_trained),
    ("Evaluation", evaluation),
    ("Results", results),
    ("Results by class", by_class),
    ("Results by fold and seed", by_run),
    ("Attention", attention),
    ("Limits", limits),
    ("Files and use", files),
];

/// The card of a method.
pub(super) fn document(run: &Run, method: &Method, result: &MethodResult) -> Document {
    let section =
        |(title, write): (&str, Writer)| format!("# {title}\n\n{}\n\n", write(run, method, result).trim_end());
    let head = "After Mitchell et al., Model Cards for Model Reporting, FAT\\* 2019 (arXiv:1810.03993). Written from the files of the run.\n\n";
    Document {
        file: format!("model-card-{}.md", method.name),
        title: format!("Model card: {}, {}", method.name, run.assessment.study),
        markdown: std::iter::once(head.to_owned())
            .chain(SECTIONS.map(section))
            .collect::<String>()
            .trim_end()
            .to_owned()
            + "\n",
    }
}

fn model(run: &Run, method: &Method, _: &MethodResult) -> String {
    let train = &method.train;
    let mut told = vec![
        format!("Task: {}.", evaluation::task(run)),
        format!("Network: {}.", training::network(run, train)),
        format!("Loss: {}.", training::loss_and_schedule(train)),
    ];
    told.extend(training::terms(train));
    told.push(evaluation::decision(run));
    told.push("Licence: left to the author.".to_owned());
    list(told)
}

fn purpose(run: &Run, method: &Method, _: &MethodResult) -> String {
    let mut told = vec![
        "For research: to compare ways of teaching attention, and to look at where a network looked.".to_owned(),
        "Not a medical device. Not for diagnosis, triage or any decision about a patient.".to_owned(),
        "Not for other images than axial chest CT prepared as below, and not for other classes: it always names one of its own."
            .to_owned(),
    ];
    let is_naive = run.is_synthetic() && method.train.init.is_none();
    told.extend(is_naive.then(|| "Not for CT of patients: it was trained on synthetic CT alone.".to_owned()));
    list(told)
}

fn training_data(run: &Run, _: &Method, _: &MethodResult) -> String {
    let told = [data::source(run), data::counts(run), data::left_out(run)].into_iter().chain(data::sites(run));
    list(told.chain(data::labels(run)).chain(data::preprocessing(run)).chain(data::lung_masks(run)))
}

fn how_trained(run: &Run, method: &Method, _: &MethodResult) -> String {
    let start = format!("Initial weights: {}.", training::start(run, &method.name, &method.train));
    let seeds = format!("Seeds: {}.", format::list(&method.seeds));
    let conditions = training::software(run).into_iter().chain(training::hardware(run));
    list(
        training::details_of(&method.train)
            .into_iter()
            .chain([start, seeds])
            .chain(conditions)
            .chain([data::settings(run)]),
    )
}

fn evaluation(run: &Run, _: &Method, _: &MethodResult) -> String {
    let told = data::assignment(run).into_iter().chain([data::AUDIT.to_owned(), training::SELECTION.to_owned()]);
    list(told.chain(evaluation::metrics(run)).chain(evaluation::statistics(run)))
}

fn results(run: &Run, method: &Method, result: &MethodResult) -> String {
    let cell = |estimate: Option<&Estimate>, metric: Metric| {
        estimate.map_or(String::new(), |estimate| evaluation::value(metric, estimate))
    };
    let row = |metric: Metric| {
        let (slice, patient) = (result.slice.get(metric.key()), result.patient.get(metric.key()));
        (slice.is_some() || patient.is_some())
            .then(|| vec![metric.title().to_owned(), cell(slice, metric), cell(patient, metric)])
    };
    let rows: Vec<Vec<String>> = Metric::ALL.into_iter().filter_map(row).collect();
    let level = format::level(run.assessment.confidence);
    let against = run.assessment.first_pair().filter(|(a, _)| *a != method.name);
    let difference = against.and_then(|(a, _)| evaluation::differences(run, (a, &method.name)));
    format!(
        "In brackets: {level} interval.\n\n{}\n{}",
        table(&["metric", "by slice", "by patient"], &rows),
        list(
            difference
                .into_iter()
                .chain(evaluation::fall(&method.name, result))
                .chain(evaluation::calibration(&method.name, result))
        )
    )
}

fn by_class(run: &Run, _: &Method, result: &MethodResult) -> String {
    let assessment = run.assessment;
    let several = result.auc_by_class.as_ref();
    let row = |(label, class): (usize, &String)| {
        let recall = |counts: &[Vec<u64>]| (counts[label][label], counts[label].iter().sum::<u64>());
        let ((right, slices), (of_patients, patients)) = (recall(&result.confusion), recall(&result.patient_confusion));
        // No interval from slices: those of one patient resemble each other.
        let share = Estimate::fraction(right, slices, assessment.confidence, UNDEFINED).value;
        let share =
            share.map_or(UNDEFINED.to_owned(), |share| format!("{} %", format::number(Metric::Accuracy, share)));
        let by_patient = Estimate::fraction(of_patients, patients, assessment.confidence, UNDEFINED);
        let auc =
            several.map(|auc| auc.slice.get(class).map_or(String::new(), |auc| format::estimate(Metric::Auc, auc)));
        let cells = [plain(class), format!("{right}/{slices} ({share})"), format::fraction(&by_patient)];
        cells.into_iter().chain(auc).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> = assessment.classes.iter().enumerate().map(row).collect();
    let slices = if result.seeds.len() > 1 { "slices right, all seeds" } else { "slices right" };
    let head = ["true class", slices, "patients right", "slice AUC against the rest"];
    table(&head[..if several.is_some() { 4 } else { 3 }], &rows)
}

fn by_run(run: &Run, method: &Method, result: &MethodResult) -> String {
    let row = |part: &Part| {
        let fold = part.fold.unwrap_or_default();
        let auc = part.slice.get(Metric::Auc.key()).map_or(String::new(), |auc| format::estimate(Metric::Auc, auc));
        let patients = part.patient.get(Metric::Accuracy.key()).map_or(String::new(), format::fraction);
        let key = (
            method.name.clone(),
            usize::try_from(fold).unwrap_or_default(),
            u64::try_from(part.seed).unwrap_or_default(),
        );
        let weights = run.files.weights.get(&key).map_or(UNDEFINED.to_owned(), |hash| data::short(hash));
        vec![fold.to_string(), part.seed.to_string(), part.slices.to_string(), auc, patients, weights]
    };
    let rows: Vec<Vec<String>> = result.per_fold.iter().map(row).collect();
    let head = ["fold", "seed", "slices", "slice AUC", "patients right", "BLAKE3 of the weights"];
    format!("{}\n{}", table(&head, &rows), list(evaluation::seed_spread(&method.name, result)))
}

fn attention(run: &Run, method: &Method, result: &MethodResult) -> String {
    if !training::has_attention(&method.train) {
        return "None: this network has no attention branch.\n".to_owned();
    }
    let all = result.attention.as_ref();
    let row = |measure: Measure| {
        let found = all?.get(measure.key())?;
        found.defined()?;
        let of = |other: Option<Measure>| {
            let value = other.and_then(|other| all?.get(other.key())?.defined());
            value.map_or(String::new(), |value| format::number(measure, value))
        };
        let own = [format::head(measure), format::estimate(measure, found)];
        Some(own.into_iter().chain([of(measure.uniform()), of(measure.ceiling()), found.n.to_string()]).collect())
    };
    let rows: Vec<Vec<String>> =
        Measure::ALL.into_iter().filter(|measure| !measure.is_of_the_slice()).filter_map(row).collect();
    if rows.is_empty() {
        return "Nothing was measured on its maps.\n".to_owned();
    }
    let taught = if training::is_taught(&method.train) {
        "Taught by the lung masks."
    } else {
        "Not taught: its loss has no map term."
    };
    let level = format::level(run.assessment.confidence);
    format!(
        "{taught} In brackets: {level} interval. Uniform map: what a map that is the same everywhere scores; map as taught: one equal to its \
         target.\n\n{}",
        table(&["measure", "mean", "uniform map", "map as taught", "slices"], &rows)
    )
}

fn limits(run: &Run, method: &Method, result: &MethodResult) -> String {
    let own = evaluation::limits(run, Some((&method.name, result)));
    list(own.into_iter().chain(evaluation::GENERAL_LIMITS.map(str::to_owned)))
}

fn files(run: &Run, method: &Method, _: &MethodResult) -> String {
    let (first, name) = (data::weights(run, method), &method.name);
    let (folds, seeds) = (run.files.partitions.len(), method.seeds.len());
    let others = match folds * seeds {
        1 => "the only network".to_owned(),
        networks => format!("the first of {networks} networks, one for each fold and seed"),
    };
    list([
        format!("Weights, below the study's folder: {first}, {others}; config.yaml and receipt.yaml beside it have its settings and hashes."),
        format!("One CT: `chumoku predict STUDY.yaml CT --method {name}`."),
        "Slices of other studies: `chumoku-train predict --weights WEIGHTS --slices slices.parquet --out predictions.parquet`.".to_owned(),
        "TorchScript, for PyTorch: `chumoku-train export --weights WEIGHTS --out model.pt`.".to_owned(),
    ])
}
