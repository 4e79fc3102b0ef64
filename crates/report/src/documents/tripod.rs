//! TRIPOD+AI, reporting of prediction models made with regression or machine learning: 27 items, 52 with their letters.
//!
//! Numbers and subjects after Collins et al., BMJ 2024;385:e078378; the words are ours.

use super::checklist::{Answer, Item, List, Section, ask, item, tell};
use super::{Run, data, evaluation, training};

/// The checklist.
pub(super) const LIST: List = List {
    file: "tripod-ai.md",
    title: "TRIPOD+AI",
    source: "Collins et al., TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or machine \
             learning methods, BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378",
    sections: &[
        Section { title: "Title, abstract, introduction", items: INTRODUCTION },
        Section { title: "Methods: data and participants", items: DATA },
        Section { title: "Methods: preparation, outcome, predictors", items: VARIABLES },
        Section { title: "Methods: size, missing data, analysis", items: ANALYSIS },
        Section { title: "Methods: imbalance, fairness, output, ethics", items: MODEL },
        Section { title: "Open science and involvement", items: OPEN },
        Section { title: "Results", items: RESULTS },
        Section { title: "Discussion", items: DISCUSSION },
    ],
};

/// A question, or for synthetic CT the reason why there is none.
fn unless_synthetic(run: &Run, reason: &str, question: &str) -> Answer {
    if run.is_synthetic() { tell([reason.to_owned()]) } else { ask(question) }
}

const INTRODUCTION: &[Item] = &[
    item("1", "Title: prediction model, population, outcome", |_| ask("the title.")),
    item("2", "Abstract", |_| ask("the abstract, with the items of TRIPOD+AI for Abstracts.")),
    item("3a", "Medical context and existing models", |run| {
        tell([format!("Diagnostic, not prognostic: {}.", evaluation::task(run))])
            .ask("the context, why a model is wanted, and which exist.")
    }),
    item("3b", "Population, place in care, users", |_| {
        ask("for whom, where in the care of a patient, and who would use it.")
    }),
    item("3c", "Known inequalities between groups", |_| {
        ask("inequalities in health that are known for this question.")
    }),
    item("4", "Objectives", |run| {
        let pair = run.assessment.first_pair();
        let compared = pair.map(|(a, b)| format!("Development and internal evaluation; {b} is compared with {a}."));
        tell(compared).ask("the study's objectives.")
    }),
];

const DATA: &[Item] = &[
    item("5a", "Sources of the data", |run| {
        tell([data::source(run)])
            .tell(data::sites(run))
            .ask_if(!run.is_synthetic(), "why these data, and how well they stand for the population.")
    }),
    item("5b", "Dates", |run| {
        unless_synthetic(run, "None: the CT are synthetic.", "first and last date of the scans.")
    }),
    item("6a", "Setting and centres", |run| match data::sites(run) {
        Some(sites) => tell([sites]),
        None => ask("kind, number and place of the centres."),
    }),
    item("6b", "Eligibility", |run| {
        tell(data::rules(run)).ask_if(!run.is_synthetic(), "who was eligible before the files reached the program.")
    }),
    item("6c", "Treatments", |run| {
        unless_synthetic(run, "None: the CT are synthetic.", "treatments before the CT, if they matter.")
    }),
];

const VARIABLES: &[Item] = &[
    item("7", "Preparation and quality checks", |run| {
        tell(data::preprocessing(run))
            .tell(data::lung_masks(run))
            .ask_if(!run.is_synthetic(), "did preparation go alike in all groups of patients?")
    }),
    item("8a", "Outcome: definition and assessment", |run| {
        tell(data::labels(run)).ask_if(!run.is_synthetic(), "what the label rests on, and when it was taken.")
    }),
    item("8b", "Outcome: who judged it", |run| {
        unless_synthetic(
            run,
            "Nobody: the label is known by construction.",
            "who gave the labels, if that took judgement.",
        )
    }),
    item("8c", "Outcome: blinding", |run| {
        unless_synthetic(
            run,
            "Nobody judged: the label is known by construction.",
            "did those who gave the labels know the CT?",
        )
    }),
    item("9a", "Predictors: choice", |_| {
        tell(["The pixels of one axial slice; no other variable is used.".to_owned()])
    }),
    item("9b", "Predictors: definition and measurement", |run| {
        tell(data::preprocessing(run)).ask_if(!run.is_synthetic(), "scanners and protocols.")
    }),
    item("9c", "Predictors: who judged them", |_| {
        tell(["Nobody: pixels are measured, and a program makes the lung masks that teach attention.".to_owned()])
    }),
];

const ANALYSIS: &[Item] = &[
    item("10", "Size of the study", |run| tell([data::size(run)]).ask("how it was chosen, and whether it suffices.")),
    item("11", "Missing data", |run| {
        tell([data::NOTHING_IMPUTED.to_owned(), data::left_out(run)])
            .ask_if(!run.is_synthetic(), "were scans or labels missing before the files reached the program?")
    }),
    item("12a", "Use of the data: partitions", |run| tell(data::assignment(run)).tell([data::AUDIT.to_owned()])),
    item("12b", "Handling of the predictors", |run| tell(data::preprocessing(run))),
    item("12c", "Model, building steps, internal validation", |run| {
        tell(training::model(run))
            .tell([training::initial(run)])
            .tell(training::details(run))
            .tell([training::networks(run), training::SELECTION.to_owned()])
            .ask("how the settings were chosen, and on which data.")
    }),
    item("12d", "Heterogeneity between clusters", |run| match data::sites(run) {
        Some(sites) => tell([sites, "Results are not split by site.".to_owned()]),
        None => tell([
            "Slices of a patient are kept together in partitions and in resampling; centres are not known to the run."
                .to_owned(),
        ])
        .ask("differences between hospitals or scanners."),
    }),
    item("12e", "Measures of performance, comparison of models", |run| {
        tell(evaluation::metrics(run))
            .tell(evaluation::statistics(run))
            .ask("was clinical usefulness, such as net benefit, measured? The run does not.")
    }),
    item("12f", "Updating of the model", |_| {
        tell(["None in this run: no model was recalibrated or updated after testing.".to_owned()])
    }),
    item("12g", "How predictions were calculated", |run| tell([evaluation::decision(run), training::ensembles(run)])),
];

const MODEL: &[Item] = &[
    item("13", "Class imbalance", |run| tell([data::balance(run), training::class_weights(run)])),
    item("14", "Fairness", |run| {
        unless_synthetic(
            run,
            "Synthetic patients belong to no group.",
            "results by sex, age and origin: the run does not know them.",
        )
    }),
    item("15", "Output and threshold", |run| tell([evaluation::decision(run)])),
    item("16", "Differences between development and evaluation data", |run| {
        tell(["Both went through the same steps.".to_owned()])
            .tell(data::is_drawn(run).then(|| {
                "Who is tested was drawn by chance within class, so both are alike but for chance.".to_owned()
            }))
            .ask_if(!data::is_drawn(run), "the partitions were given: how do test and training patients differ?")
    }),
    item("17", "Ethical approval and consent", |run| {
        unless_synthetic(
            run,
            "No patient took part: the CT are synthetic.",
            "which committee approved, and consent or its waiver.",
        )
    }),
];

const OPEN: &[Item] = &[
    item("18a", "Funding", |_| ask("who paid, and did they take part?")),
    item("18b", "Conflicts of interest", |_| ask("of all authors.")),
    item("18c", "Protocol", |run| tell([data::settings(run)]).ask("is there a protocol, and where?")),
    item("18d", "Registration", |run| {
        unless_synthetic(
            run,
            "No patient took part, so there was nothing to register.",
            "is the study registered, and where?",
        )
    }),
    item("18e", "Sharing of data", |run| match run.is_synthetic() {
        true => {
            tell(
                ["Anyone can draw the same CT from the study's YAML file with the same version of Chumoku.".to_owned()],
            )
        }
        false => ask("can the data be had, and how?"),
    }),
    item("18f", "Sharing of code", |run| {
        tell(training::software(run)).ask("where code and settings of this study can be had.")
    }),
    item("19", "Involvement of patients and the public", |_| {
        ask("who took part in planning, doing or reporting the study, or that nobody did.")
    }),
];

const RESULTS: &[Item] = &[
    item("20a", "Flow of participants", |run| {
        tell([data::counts(run), data::left_out(run)])
            .ask_if(!run.is_synthetic(), "numbers before the files reached the program.")
    }),
    item("20b", "Characteristics", |run| {
        let synthetic = run.is_synthetic().then(|| "Synthetic patients have no age and no sex.".to_owned());
        tell([data::counts(run)])
            .tell(synthetic)
            .ask_if(!run.is_synthetic(), "age, sex, severity and treatment: the run does not know them.")
    }),
    item("20c", "Development against evaluation data", |run| {
        tell(data::partitions(run)).ask_if(!run.is_synthetic(), "differences in age, sex and severity between the two.")
    }),
    item("21", "Participants and events in each analysis", |run| tell(data::partitions(run))),
    item("22", "The full model", |run| {
        tell(training::model(run)).tell(data::available(run)).ask("where the weights can be had.")
    }),
    item("23a", "Performance with intervals", |run| {
        tell(evaluation::slices(run))
            .tell(evaluation::patients(run))
            .tell(evaluation::first_difference(run))
            .tell(evaluation::calibrations(run))
            .ask_if(!run.is_synthetic(), "results in groups of patients.")
    }),
    item("23b", "Heterogeneity of performance", |run| {
        tell(evaluation::fold_spreads(run)).ask_if(!run.is_synthetic(), "results by hospital or scanner.")
    }),
    item("24", "Results of updating", |_| tell(["None in this run.".to_owned()])),
];

const DISCUSSION: &[Item] = &[
    item("25", "Interpretation", |run| {
        tell(evaluation::first_difference(run)).ask("what it means beside other studies, fairness included.")
    }),
    item("26", "Limitations", |run| tell(evaluation::limits(run, None)).ask("limits that the run cannot see.")),
    item("27a", "Poor or missing input", |run| {
        tell(data::rules(run)).tell(data::checks(run)).ask("what a user should do then.")
    }),
    item("27b", "What it takes to use the model", |_| {
        tell([
            "One command takes a CT to class probabilities and pictures of attention: `chumoku predict STUDY.yaml CT`."
                .to_owned(),
        ])
        .ask("which knowledge its users need.")
    }),
    item("27c", "Next steps", |_| ask("further research, such as a test elsewhere.")),
];
