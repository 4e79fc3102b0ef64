//! Predictions to metrics, tests, tables and one HTML page: the conventional method against the proposed one.

pub mod assess;
pub mod auc;
pub mod compare;
pub mod error;
pub mod estimate;
pub mod intervals;
pub mod metrics;
pub mod ordered;
pub mod predictions;
pub mod sample;

pub use error::Error;
