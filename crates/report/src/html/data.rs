//! What the numbers rest on, and what they do not say.

use maud::{Markup, html};

use crate::assess::Assessment;
use crate::provenance::{Facts, Provenance};
use crate::study::Study;

pub(super) fn data(study: &Study) -> Markup {
    let assessment = &study.assessment;
    let total = |counts: &crate::ordered::Ordered<u64>| counts.0.iter().map(|(_, count)| count).sum::<u64>();
    let excluded: usize = study.excluded.values().sum();
    html! {
        section id="data" {
            h2 { "Patients, slices, exclusions" }
            div.scroll { table {
                thead { tr { th scope="col" { "class" } th scope="col" { "patients" } th scope="col" { "slices" } } }
                tbody {
                    @for (name, patients) in &assessment.patients.0 {
                        @let slices = assessment.slices.get(name).copied().unwrap_or(0);
                        tr { th scope="row" { (name) } td { (patients) } td { (slices) } }
                    }
                    tr { th scope="row" { "all" } td { (total(&assessment.patients)) } td { (total(&assessment.slices)) } }
                }
            } }
            p { "Each slice was tested once for each method and seed, by a network that saw no slice of its patient." }
            @if study.excluded.is_empty() {
                p { "Preprocessing left nothing out." }
            } @else {
                p { "Preprocessing left out " (excluded) " slices or series:" }
                ul { @for (reason, count) in &study.excluded { li { (count) ": " (reason) } } }
            }
            p { "The lung masks of all series are on the contact sheets in the folder sheets beside this page." }
        }
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
