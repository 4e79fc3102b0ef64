//! Folds to weights, predictions and attention maps: Attention Branch Networks with the gamma or the alpha loss.
//!
//! The science is in [`abn`], [`loss`], [`schedule`], [`optimizer`] and [`augment`]; [`run`] is the training loop, [`predict`] what
//! follows it, [`stage`] the frame of one task. Reads `slices.parquet` and `folds.parquet`, writes a folder a run.

pub mod abn;
mod archive;
pub mod attention;
pub mod augment;
pub mod batch;
pub mod checkpoint;
pub mod data;
pub mod device;
mod error;
pub mod export;
pub mod fused;
pub mod init;
pub mod libtorch;
pub mod log;
pub mod loss;
pub mod memory;
pub mod optimizer;
pub mod origins;
pub mod predict;
pub mod predict_command;
pub mod run;
pub mod schedule;
pub mod stage;
pub mod tensorboard;
pub mod weights;

pub use error::Error;
