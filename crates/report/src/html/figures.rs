//! Sections of charts.

use maud::{Markup, PreEscaped, html};

use crate::study::Study;

fn figure(svg: &str, label: &str, caption: &str) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(label) { (PreEscaped(svg)) }
            figcaption { (caption) }
        }
    }
}

pub(super) fn curves(study: &Study) -> Markup {
    let Some(svg) = &study.figures.roc else {
        return html! { section id="roc" { h2 { "ROC curves" } p { "Undefined: slices of one class only." } } };
    };
    let caption = "Slices of all folds pooled; one line for each seed of the methods in question. The dot is the decision at the largest \
                   probability, which Table 1 reports.";
    html! { section id="roc" { h2 { "ROC curves" } div.one { (figure(svg, "ROC curves of the methods", caption)) } } }
}

pub(super) fn training(study: &Study) -> Markup {
    html! {
        section id="training" {
            h2 { "Training curves" }
            p {
                "Means over folds and seeds, on the training folds. Nothing here chose anything: the last epoch's weights are "
                "the ones tested. The total follows the weights, so it jumps where alpha does."
            }
            div.two {
                @for (method, svg) in &study.figures.training { (figure(svg, &format!("Training curves of {method}"), method)) }
            }
        }
    }
}
