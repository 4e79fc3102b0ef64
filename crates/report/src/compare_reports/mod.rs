//! `chumoku-report compare A B`: what changed between two reports, by how much, and whether it is more than noise.
//!
//! `side` reads a metrics.json into numbers with their places, `judge` sets two of them side by side, `show` writes
//! it for readers and programs, and `drift` holds B against A to a tolerance.

mod drift;
mod judge;
mod show;
mod side;

use std::path::{Path, PathBuf};

use crate::error::Error;

pub use judge::Patients;

/// What `chumoku-report compare` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// A report's folder, or its metrics.json: what was, or what is expected
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Another: what is
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Also write the comparison as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Fail (exit code 5) if a value, difference or end of an interval of B is further than this from A's, in the units of
    /// metrics.json (shares, not percent), or if B lacks one
    #[arg(long, value_name = "NUMBER")]
    pub tolerance: Option<f64>,
    /// Whether both reports rest on the same patients; auto: the same if their numbers by class are
    #[arg(long, value_enum, default_value = "auto")]
    pub patients: Patients,
}

/// What is said, and whether B is within the tolerance.
#[derive(Debug)]
pub struct Said {
    /// For stdout.
    pub text: String,
    /// The audit, if it failed.
    pub failed: Option<Error>,
}

/// Compares two reports.
///
/// # Errors
/// A file cannot be read, or is no metrics.json; the tolerance is no number from 0.
pub fn run(args: &CompareArgs) -> Result<Said, Error> {
    if let Some(tolerance) = args.tolerance
        && !(tolerance.is_finite() && tolerance >= 0.0)
    {
        return Err(Error::Usage(format!("--tolerance: expected a number from 0, got {tolerance}")));
    }
    let [a, b] = [side::read(&args.a)?, side::read(&args.b)?];
    let judged = judge::judge(&a, &b, args.patients);
    let audit = args.tolerance.map(|tolerance| drift::audit(&a, &b, tolerance));
    if let Some(path) = &args.json {
        write(path, &show::json(&a, &b, &judged, audit.as_ref()))?;
    }
    let text = show::text(&a, &b, &judged, audit.as_ref());
    let failed = audit.and_then(|audit| audit.failure(&b.path));
    Ok(Said { text, failed })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    contract::atomic::write(path, text.as_bytes()).map_err(|source| Error::Write { path: path.to_owned(), source })
}
