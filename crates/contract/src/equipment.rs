//! What a machine has to compute with: found by the training program, which links libtorch, shown by `chumoku doctor`, which does not.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What to do where a GPU cannot be used because of `problem`, behind it: another remedy where it names one already.
pub fn cpu(problem: &str) -> &'static str {
    if problem.contains("; install ") { ", or set train.device=cpu" } else { "; set train.device=cpu" }
}

/// What was found; travels as JSON on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equipment {
    /// Folder of the libtorch that was loaded.
    pub folder: PathBuf,
    /// Its version, where it is stated.
    pub version: Option<String>,
    /// The version that the programs are built for.
    pub expected: String,
    /// Threads that a run with `threads: 0` takes.
    pub threads: i32,
    /// GPUs that libtorch sees.
    pub gpus: i64,
    /// Why CUDA cannot be used.
    pub cuda_problem: Option<String>,
}
