//! The instructions of the processor that networks are computed with.
//!
//! libtorch and the libraries in it choose their kernels by the processor. Another kernel sums in another order, which gives other last
//! digits, and after some hundred steps of training another network. Held to AVX2, all of them choose the same kernels on every x86-64
//! processor that has it, so that a study repeats to the byte from one machine to another.
//!
//! No variable holds MKL's vector functions, which a tensor's `sqrt` and some others (`log` in f64, `log10`, `asin`, `acos`, `atan`) are in
//! libtorch 2.11: they start from approximations that processors make each in their own way. What a run computes keeps away from them;
//! `rsqrt` is exact. tools/other_processor.sh compares whole runs.

use std::ffi::OsString;
use std::io;

use crate::config::Instructions;
use crate::exit::{Coded, Exit};
use crate::restart;

/// What holds each library to AVX2.
const AVX2: [(&str, &str); 3] = [
    // PyTorch's own kernels: aten/src/ATen/native/DispatchStub.cpp.
    ("ATEN_CPU_CAPABILITY", "avx2"),
    // Convolutions: oneDNN's guide, "CPU dispatcher control".
    ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    // Matrix products: oneMKL's guide, "Conditional numerical reproducibility"; no other branch is promised beyond Intel's processors.
    ("MKL_CBWR", "COMPATIBLE"),
];

/// The instructions asked for cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstructionsError {
    /// The processor does not have them.
    #[error(
        "this processor has no AVX2 and FMA, which the study asks for (instructions: avx2); set instructions to native, and \
         expect other last digits than elsewhere"
    )]
    Lacking,
    /// The program has to start again to be held to them, and could not.
    #[error("the program cannot be started again to compute with AVX2: {0}; set instructions to native")]
    Restart(#[source] io::Error),
}

impl Coded for InstructionsError {
    fn exit(&self) -> Exit {
        match self {
            Self::Lacking => Exit::Missing,
            Self::Restart(_) => Exit::Unexpected,
        }
    }
}

/// Holds libtorch to `instructions`. May start the program again, so it comes before any work and any word.
///
/// # Errors
/// The processor lacks them, or the program cannot be started again.
pub fn hold(instructions: Instructions) -> Result<(), InstructionsError> {
    if instructions == Instructions::Native {
        return Ok(());
    }
    if !has_avx2() {
        return Err(InstructionsError::Lacking);
    }
    let differs = |(name, value): &(&str, &str)| std::env::var_os(name).is_none_or(|is| is != *value);
    let changes: Vec<(&str, OsString)> =
        AVX2.into_iter().filter(differs).map(|(name, value)| (name, value.into())).collect();
    if changes.is_empty() { Ok(()) } else { Err(InstructionsError::Restart(restart::with(changes))) }
}

/// What a receipt records: what was asked for, and for `native` what the processor has and the environment forbids.
pub fn describe(instructions: Instructions) -> String {
    if instructions == Instructions::Avx2 {
        return "avx2".to_owned();
    }
    let held = AVX2.iter().filter_map(|(name, _)| Some(format!(", {name}={}", std::env::var(name).ok()?)));
    format!("native, {}{}", best(), held.collect::<String>())
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// The widest vectors of the processor.
#[cfg(target_arch = "x86_64")]
fn best() -> &'static str {
    match (std::arch::is_x86_feature_detected!("avx512f"), has_avx2()) {
        (true, _) => "avx512",
        (false, true) => "avx2",
        (false, false) => "sse",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> &'static str {
    std::env::consts::ARCH
}
