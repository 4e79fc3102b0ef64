//! What the stages of Chumoku share, and nothing else: file names, columns, configuration, receipts, exit codes.
//!
//! Stage crates never import each other; what one writes and the next reads is defined here once.
//! This crate links neither libtorch nor polars, so everything may depend on it.

pub mod atomic;
pub mod attention;
pub mod cli;
pub mod config;
pub mod equipment;
pub mod exit;
pub mod hash;
pub mod id;
pub mod inspection;
pub mod instructions;
pub mod interrupt;
pub mod layout;
pub mod manifest;
pub mod owner;
pub mod plan;
pub mod progress;
pub mod random;
pub mod receipt;
pub mod redact;
pub mod restart;
pub mod schema;
pub mod splits;
pub mod table;
mod task_error;
pub mod walk;

pub use config::Config;
pub use exit::{Coded, Exit};
