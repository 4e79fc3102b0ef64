//! What the stages of Chumoku share, and nothing else: file names, columns, configuration, receipts, exit codes.
//!
//! Stage crates never import each other; what one writes and the next reads is defined here once.
//! This crate links neither libtorch nor polars, so everything may depend on it.

pub mod atomic;
pub mod attention;
pub mod cli;
pub mod config;
pub mod contain;
pub mod equipment;
pub mod exit;
pub mod hash;
pub mod id;
pub mod inspection;
pub mod instructions;
pub mod interrupt;
pub mod label;
pub mod layout;
pub mod plan;
pub mod progress;
pub mod random;
pub mod receipt;
pub mod redact;
pub mod restart;
pub mod schema;
pub mod table;
pub mod user_table;

pub use config::Config;
pub use exit::{Coded, Exit};
