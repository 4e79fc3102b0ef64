//! Predictions to metrics, tests, tables and one HTML page: the conventional method against the proposed one.
//!
//! What is pure (no files): [`metrics`], [`calibration`], [`measure`], [`auc`], [`clustered`], [`intervals`], [`compare`], [`spread`], [`sample`],
//! [`patients`] compute;
//! [`pool`] holds every statistic of every run in every resample, from which [`assess`] and [`comparison`] take theirs;
//! [`curves`], [`reliability`], [`flow`] compute what [`figures`] draws with [`charts`];
//! [`tables`], [`render`], [`answer`], [`charts`], [`figures`], [`outline`], [`overlay`], [`views`], [`exhibits`], [`browser`], [`documents`], [`html`] show. [`read`] reads, [`inputs`] and [`study`] tie
//! a study together, [`anyone`] does so for a single file of predictions. [`schema`] describes metrics.json, [`compare_reports`] sets two of them side by
//! side.

pub mod answer;
pub mod anyone;
pub mod assess;
pub mod auc;
pub mod browser;
pub mod calibration;
pub mod charts;
pub mod clustered;
pub mod compare;
pub mod compare_reports;
pub mod comparison;
pub mod csv_files;
pub mod curves;
pub mod documents;
pub mod error;
pub mod estimate;
pub mod exhibits;
pub mod figures;
pub mod flow;
pub mod folds;
pub mod format;
pub mod gallery;
pub mod html;
pub mod inputs;
pub mod intervals;
pub mod measure;
pub mod metrics;
pub mod ordered;
pub mod outcome;
pub mod outline;
pub mod overlay;
pub mod paper;
pub mod patients;
pub mod pool;
pub mod predictions;
pub mod provenance;
pub mod quantity;
pub mod read;
pub mod reliability;
pub mod render;
pub mod sample;
pub mod schema;
pub mod spread;
pub mod study;
pub mod tables;
pub mod views;

pub use error::Error;
