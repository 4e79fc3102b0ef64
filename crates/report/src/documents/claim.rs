//! CLAIM 2024, the Checklist for Artificial Intelligence in Medical Imaging: 44 items.
//!
//! Numbers and subjects after Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300; the words are ours.

use super::checklist::{Answer, Item, List, Section, ask, item, tell};
use super::{Run, data, evaluation, training};
use crate::format::plural;

/// The checklist.
pub(super) const LIST: List = List {
    file: "claim-2024.md",
    title: "CLAIM 2024",
    source: "Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology: Artificial Intelligence \
             2024;6(4):e240300, doi 10.1148/ryai.240300",
    sections: &[
        Section { title: "Title, abstract, introduction", items: INTRODUCTION },
        Section { title: "Methods: study design", items: DESIGN },
        Section { title: "Methods: data", items: DATA },
        Section { title: "Methods: reference standard", items: REFERENCE },
        Section { title: "Methods: data partitions and testing data", items: PARTITIONS },
        Section { title: "Methods: model", items: MODEL },
        Section { title: "Methods: training", items: TRAINING },
        Section { title: "Methods: evaluation", items: EVALUATION },
        Section { title: "Results", items: RESULTS },
        Section { title: "Discussion and other information", items: DISCUSSION },
    ],
};

const INTRODUCTION: &[Item] = &[
    item("1", "Title or abstract names the kind of AI", |run| {
        tell([training::by_method(run, "Deep learning:", |train| training::kind(train).to_owned())])
            .ask("does the title or the abstract say so?")
    }),
    item("2", "Summary of design, methods, results and conclusions", |_| {
        ask("the abstract; items 5 to 41 have its facts.")
    }),
    item("3", "Background, intended use and role", |_| {
        ask(
            "the clinical background, and what the method is for and in whose hands; the model cards say what it is not for.",
        )
    }),
    item("4", "Aims and hypotheses", aims),
];

fn aims(run: &Run) -> Answer {
    let compared =
        run.assessment.first_pair().map(|(a, b)| format!("The run compares {b} with {a} on the same patients."));
    tell(compared).ask("the study's aims and hypotheses, and whether they were set down before the results were seen.")
}

const DESIGN: &[Item] = &[
    item("5", "Prospective or retrospective", |run| match run.is_synthetic() {
        true => tell(["Neither: the CT are synthetic.".to_owned()]),
        false => ask("were the data collected before or after the study was planned?"),
    }),
    item("6", "Goal of the study", |run| {
        let folds = run.files.partitions.len() > 1;
        let how = if folds { "cross-validated" } else { "tested on one held-out set" };
        tell([format!("Development of {}, {how}.", plural(run.config.methods.len() as u64, "model"))])
            .ask("the goal beyond this comparison: exploration, feasibility, superiority?")
    }),
];

const DATA: &[Item] = &[
    item("7", "Sources of the data", |run| {
        tell([data::source(run), data::counts(run)]).tell(data::sites(run)).ask_if(
            !run.is_synthetic(),
            "hospitals, scanners, dates, countries; which set if it is public, and whether it was used before.",
        )
    }),
    item("8", "Inclusion and exclusion", |run| {
        tell(data::rules(run)).tell([data::left_out(run)]).ask_if(
            !run.is_synthetic(),
            "how, where and when patients were found, and which were left out before the files reached the program.",
        )
    }),
    item("9", "Preprocessing", |run| tell(data::preprocessing(run)).tell(data::lung_masks(run))),
    item("10", "Choice of parts of the data", |run| {
        tell(data::rules(run).into_iter().take(2))
            .ask_if(!run.is_synthetic(), "were slices or series chosen before the files reached the program?")
    }),
    item("11", "De-identification", |run| {
        tell([data::identities(run)]).ask_if(!run.is_synthetic(), "what was done before the files reached the program?")
    }),
    item("12", "Missing data", |run| {
        tell([data::NOTHING_IMPUTED.to_owned(), data::left_out(run)])
            .ask_if(!run.is_synthetic(), "were scans or labels missing before the files reached the program?")
    }),
    item("13", "Acquisition of the images", |run| match run.is_synthetic() {
        true => tell([data::source(run)]),
        false => ask("scanners, tube voltage and current, kernel, slice thickness, contrast medium, breath-hold."),
    }),
];

const REFERENCE: &[Item] = &[
    item("14", "Definition of the reference standard", |run| {
        tell(data::labels(run)).tell(data::lung_masks(run).into_iter().take(1)).ask_if(
            !run.is_synthetic(),
            "what the label rests on, such as RT-PCR, and how soon before or after the CT.",
        )
    }),
    item("15", "Why this reference standard", |run| match run.is_synthetic() {
        true => tell(["The label is known by construction.".to_owned()]),
        false => ask("why this one, and what may be wrong with it."),
    }),
    item("16", "Who made the annotations", |run| {
        tell(data::annotators(run))
            .ask_if(!run.is_synthetic(), "who gave the labels, with which training and experience?")
    }),
    item("17", "Annotation of the test set", |run| {
        tell(["Labels of the test patients come from the same list as those of the training, and masks from the same program.".to_owned()])
            .ask_if(
                !run.is_synthetic(),
                "were the test patients labelled in another way, or without knowledge of the CT?",
            )
    }),
    item("18", "Variability between and within annotators", |run| match run.is_synthetic() {
        true => tell(["None: nobody annotated.".to_owned()]),
        false => tell(["The lung masks have no annotator: a program makes them, the same each time.".to_owned()])
            .ask("how far do those who gave the labels agree?"),
    }),
];

const PARTITIONS: &[Item] = &[
    item("19", "Assignment to partitions", |run| tell(data::assignment(run))),
    item("20", "Level at which partitions are disjoint", |_| tell([data::AUDIT.to_owned()])),
    item("21", "Intended size of the test set", |run| {
        tell([data::size(run)]).ask("how was this number chosen, and which difference was it meant to show?")
    }),
];

const MODEL: &[Item] = &[
    item("22", "The model in detail", |run| tell(training::model(run)).tell([evaluation::decision(run)])),
    item("23", "Software and hardware", |run| {
        tell(training::software(run))
            .tell(training::hardware(run))
            .ask("the processor or GPU by name, and the operating system.")
    }),
    item("24", "Initial weights", |run| {
        let pretrained = run.config.methods.iter().any(|method| method.train.init.is_some());
        tell([training::initial(run)]).ask_if(pretrained, "what the file of initial weights was trained on.")
    }),
];

const TRAINING: &[Item] = &[
    item("25", "Training", |run| {
        tell(training::details(run))
            .tell([training::networks(run)])
            .ask("how these settings were chosen, and on which data.")
    }),
    item("26", "Choice of the final model", |_| {
        tell([training::SELECTION.to_owned()])
            .ask("did anyone choose a setting, such as the learning rate, by results on slices that are tested here?")
    }),
    item("27", "Ensembles", |run| tell([training::ensembles(run)])),
];

const EVALUATION: &[Item] = &[
    item("28", "Metrics", |run| {
        tell(evaluation::metrics(run)).ask("which of them is the primary one, and was it chosen beforehand?")
    }),
    item("29", "Significance and uncertainty", |run| tell(evaluation::statistics(run))),
    item("30", "Robustness", |run| {
        tell(evaluation::robustness(run))
            .ask_if(
                !evaluation::several_seeds(run),
                "one seed was run: how much does the chance in training matter? train.seeds adds runs.",
            )
            .ask_if(!run.is_synthetic(), "results by scanner, sex, age and severity.")
    }),
    item("31", "Explanations", |run| {
        tell(evaluation::explained(run)).ask_if(
            evaluation::explained(run).is_empty(),
            "no network of the run has an attention branch: was another explanation made?",
        )
    }),
    item("32", "Testing on internal data", |run| {
        let folds = run.files.partitions.len();
        let how = match folds {
            1 => "One held-out test set of the study's own data.".to_owned(),
            _ => format!(
                "{folds}-fold cross-validation on the study's own data: each slice is tested once for each method and seed."
            ),
        };
        tell([how])
    }),
    item("33", "Testing on external data", |run| match data::is_drawn(run) {
        true => tell(["None in this run.".to_owned()])
            .ask("if other data were tested, their results; `chumoku-train predict` takes any slices.parquet."),
        false => ask("the partitions were given: do test and training patients come from different sources?"),
    }),
    item("34", "Registration of a clinical trial", |run| match run.is_synthetic() {
        true => tell(["No patient took part, so there was no trial to register.".to_owned()]),
        false => ask("was the study a trial, and where is it registered?"),
    }),
];

const RESULTS: &[Item] = &[
    item("35", "Numbers included and excluded", |run| {
        tell([data::counts(run), data::left_out(run)])
            .ask_if(!run.is_synthetic(), "numbers before the files reached the program.")
    }),
    item("36", "Characteristics of the cases in each partition", |run| {
        let synthetic = run.is_synthetic().then(|| "Synthetic patients have no age and no sex.".to_owned());
        tell(data::partitions(run))
            .tell(synthetic)
            .ask_if(!run.is_synthetic(), "age, sex, severity and scanner by partition: the run does not know them.")
    }),
    item("37", "Performance with its uncertainty", |run| {
        tell(evaluation::slices(run))
            .tell(evaluation::first_difference(run))
            .tell(evaluation::calibrations(run))
            .ask_if(
                evaluation::first_difference(run).is_none(),
                "one method was run, so nothing is compared: what is it to be held against?",
            )
    }),
    item("38", "Diagnostic performance and its precision", |run| tell(evaluation::patients(run))),
    item("39", "Failures", |run| tell(evaluation::failures(run)).ask("why: what the wrongly called cases show.")),
];

const DISCUSSION: &[Item] = &[
    item("40", "Limitations", |run| {
        let general = evaluation::GENERAL_LIMITS.map(str::to_owned);
        tell(evaluation::limits(run, None))
            .tell(general)
            .ask("limits of the data and the labels that the run cannot see.")
    }),
    item("41", "Implications for practice", |_| {
        tell([evaluation::GENERAL_LIMITS[0].to_owned()]).ask("what follows for whom, and what has to be shown first.")
    }),
    item("42", "Protocol and technical details", |run| {
        tell([data::settings(run)]).ask("is there a protocol, and where?")
    }),
    item("43", "Availability of software, models and data", |run| {
        tell(data::available(run)).ask("where software, weights and data can be had, and under which licence.")
    }),
    item("44", "Funding, and the role of the funders", |_| ask("who paid, and did they take part?")),
];
