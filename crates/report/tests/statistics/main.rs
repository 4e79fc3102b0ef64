//! The statistics against published numbers, against known truths, and against what must not change them.

#[path = "../cohort/mod.rs"]
mod cohort;

mod asah;
mod coverage;
mod invariances;
mod simulated;
mod undefined;
