//! Predictions to metrics, tests, tables and one HTML page: the conventional method against the proposed one.
//!
//! What is pure (no files): [`metrics`], [`auc`], [`intervals`], [`compare`], [`sample`], [`assess`] compute;
//! [`tables`], [`render`], [`answer`], [`charts`], [`overlay`], [`html`] show. [`read`] reads, [`study`] ties a study
//! together, [`anyone`] does so for a single file of predictions.

pub mod answer;
pub mod anyone;
pub mod assess;
pub mod auc;
pub mod charts;
pub mod compare;
pub mod error;
pub mod estimate;
pub mod folds;
pub mod format;
pub mod gallery;
pub mod html;
pub mod intervals;
pub mod metrics;
pub mod ordered;
pub mod overlay;
pub mod paper;
pub mod predictions;
pub mod provenance;
pub mod read;
pub mod render;
pub mod sample;
pub mod study;
pub mod tables;

pub use error::Error;
