//! Exit codes: part of the command line's interface, read by the orchestrator and by scripts.

/// Why a program ended. The numbers are fixed (see README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done, or nothing to do.
    Ok = 0,
    /// A failure nobody foresaw (a full disk, a bug).
    Unexpected = 1,
    /// Wrong command-line arguments. clap uses the same number.
    Usage = 2,
    /// The configuration is missing a key, has an unknown one, or a value out of range.
    Config = 3,
    /// An input is missing, truncated, or not what it claims to be.
    Input = 4,
    /// An audit found what must not be: leakage between folds, empty masks.
    Audit = 5,
    /// A model, weights or a device is missing.
    Missing = 6,
    /// Stopped by Ctrl-C or SIGTERM after a checkpoint.
    Interrupted = 130,
}

/// An error that knows its exit code.
pub trait Coded: std::error::Error {
    /// The exit code that this error ends the program with.
    fn exit(&self) -> Exit;
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
