//! What the numbers rest on, and what they do not say.

use maud::{Markup, html};

use crate::assess::Assessment;
use crate::flow::{Flow, Words};
use crate::provenance::{Facts, Provenance};
use crate::study::Study;

pub(super) fn data(study: &Study) -> Markup {
    html! {
        section id="data" {
            h2 { "Patients, slices, exclusions" }
            p { "From the input to the analysis. The same slices were tested by every method. File: figures/flow.svg." }
            (flow(&study.figures.flow))
            (folds(study))
            p { "Each slice was tested once for each method and seed, by a network that saw no slice of its patient." }
            p { "The lung masks of all series are on the contact sheets in the folder sheets beside this page." }
        }
    }
}

/// The way of the patients and slices: a list, so that it is read in its order.
fn flow(flow: &Flow) -> Markup {
    let words = |words: &Words| html! { p { b { (words.title) } } @for line in &words.lines { p { (line) } } };
    html! {
        ol.flow {
            @for step in &flow.steps {
                li {
                    div { (words(&step.words)) }
                    @if let Some(out) = &step.out { div.out { (words(out)) } }
                }
            }
            li { @for class in &flow.classes { div { (words(class)) } } }
        }
    }
}

/// What each fold tests, by class.
fn folds(study: &Study) -> Markup {
    let classes = &study.assessment.classes;
    let row = |name: &str, counts: &[(u64, u64)]| {
        let all = counts.iter().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        html! { tr { th scope="row" { (name) } @for (patients, slices) in counts.iter().chain([&all]) { td { (patients) } td { (slices) } } } }
    };
    let folds = &study.figures.folds;
    let add =
        |class: usize| folds.iter().fold((0, 0), |sum, of| (sum.0 + of.classes[class].0, sum.1 + of.classes[class].1));
    let total: Vec<(u64, u64)> = (0..classes.len()).map(add).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Folds" { table {
            caption { "Tested patients and slices by fold and class" }
            thead {
                tr { td {} @for class in classes { th scope="colgroup" colspan="2" { (class) } } th scope="colgroup" colspan="2" { "all" } }
                tr { th scope="col" { "fold" } @for _ in 0..=classes.len() { th scope="col" { "patients" } th scope="col" { "slices" } } }
            }
            tbody {
                @for fold in folds { (row(&fold.fold.to_string(), &fold.classes)) }
                (row("all", &total))
            }
        } }
    }
}

fn facts(facts: &Facts) -> Markup {
    html! { dl { @for (name, value) in facts { dt { (name) } dd { (value) } } } }
}

pub(super) fn provenance(provenance: &Provenance, assessment: &Assessment) -> Markup {
    html! {
        section id="provenance" {
            h2 { "Data, settings, versions, devices" }
            (facts(&provenance.settings))
            @if !provenance.differences.is_empty() {
                h3 { "What the methods differ in" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "key of train" }
                        @for (name, _) in &assessment.methods.0 { th scope="col" { (name) } }
                    } }
                    tbody { @for (key, values) in &provenance.differences {
                        tr { th scope="row" { code { (key) } } @for value in values { td { (value) } } }
                    } }
                } }
            }
            h3 { "Conditions" }
            (facts(&provenance.conditions))
        }
    }
}

pub(super) fn limits() -> Markup {
    html! {
        section id="limits" {
            h2 { "Limits of the claim" }
            ul {
                li { "Research use only. A result on these patients says nothing about other scanners, hospitals or diseases." }
                li {
                    "The first term of the paper's equation (4) is unreadable in the copy this project was made from. The loss "
                    "named alpha follows our reading, alpha (L_att + L_map) + (1 - alpha) L_per; other readings can be selected "
                    "by name and may give other numbers."
                }
                li {
                    "What the paper does not state (input size, epochs, optimiser, gamma, windowing and more) was chosen here; "
                    "pipelines/defaults.yaml gives the reasons."
                }
                li { "The paper's numbers come from other patients. Compare the pattern between its two methods, not the level." }
                li { "Intervals cover the choice of patients. They take the folds, the training and the labels as given." }
                li { "An attention map shows what the network was taught to weight, not why it decided." }
            }
        }
    }
}
