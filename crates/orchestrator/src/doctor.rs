//! `chumoku doctor`: is everything here that a study needs?

use std::io;
use std::path::Path;
use std::process::Command;

use contract::config::DEFAULTS;
use contract::hash;
use contract::plan::Stage;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Below this, a study of a few hundred patients may not fit.
const ENOUGH_DISK_GIB: f64 = 5.0;
/// Below this, training ResNet18 at batch 16 may not fit.
const ENOUGH_MEMORY_GIB: f64 = 4.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    what: String,
    /// What was found, or what is wrong and what to do.
    found: Result<String, String>,
}

impl Check {
    fn new(what: &str, found: Result<String, String>) -> Self {
        Self { what: what.to_owned(), found }
    }

    fn line(&self) -> String {
        let (state, text) = match &self.found {
            Ok(text) => ("ok", text),
            Err(text) => ("problem", text),
        };
        format!("{state:<8} {:<20} {text}", self.what)
    }
}

/// Prints the checks to stdout. `programs` is the folder of the stage programs.
///
/// # Errors
/// At least one found a problem.
pub fn run(programs: &Path) -> Result<(), Error> {
    let checks = checks(programs);
    for check in &checks {
        println!("{}", check.line());
    }
    match checks.iter().filter(|check| check.found.is_err()).count() {
        0 => Ok(()),
        problems => Err(Error::Doctor { problems }),
    }
}

fn checks(programs: &Path) -> Vec<Check> {
    let defaults: Value = serde_yaml::from_str(DEFAULTS).unwrap_or_default();
    let path = |pointer: &str| defaults.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let system = format!("{} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    let mut all = vec![
        Check::new("chumoku", Ok(system)),
        Check::new("processor", cores()),
        Check::new("memory", memory()),
        Check::new("disk", disk(Path::new(path("/paths/data")))),
    ];
    all.extend(Stage::ALL.iter().map(|stage| Check::new(&stage.program(), program(programs, *stage))));
    all.push(Check::new("libtorch", libtorch(programs)));
    all.push(Check::new("lung model", model(Path::new(path("/preprocess/model")))));
    all.push(Check::new("NVIDIA device", Ok(nvidia())));
    all
}

fn cores() -> Result<String, String> {
    std::thread::available_parallelism().map(|count| format!("{count} threads")).map_err(|error| error.to_string())
}

fn memory() -> Result<String, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|error| format!("/proc/meminfo: {error}"))?;
    let gib = |key| meminfo(&text, key).map(|kib| kib * 1024.0 / GIB).ok_or(format!("/proc/meminfo has no {key}"));
    let (total, free) = (gib("MemTotal")?, gib("MemAvailable")?);
    let found = format!("{total:.1} GiB, {free:.1} GiB available");
    if free >= ENOUGH_MEMORY_GIB {
        Ok(found)
    } else {
        Err(format!("{found}; training wants about {ENOUGH_MEMORY_GIB} GiB: close programs or lower train.batch_size"))
    }
}

/// A value of `/proc/meminfo`, KiB.
fn meminfo(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn disk(data: &Path) -> Result<String, String> {
    let folder = data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let output = Command::new("df").arg("-Pk").arg(folder).output().map_err(|error| format!("df: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let free = available(&text).ok_or_else(|| format!("df says nothing about {}", folder.display()))? * 1024.0 / GIB;
    let found = format!("{free:.1} GiB free for {}", data.display());
    if free >= ENOUGH_DISK_GIB {
        Ok(found)
    } else {
        Err(format!("{found}; a study wants about {ENOUGH_DISK_GIB} GiB: make room or set paths.data"))
    }
}

/// Free KiB in the output of `df -Pk` for one folder. POSIX fixes the columns.
fn available(df: &str) -> Option<f64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn program(folder: &Path, stage: Stage) -> Result<String, String> {
    let path = folder.join(stage.program());
    let hash =
        hash::file(&path).map_err(|error| format!("{}: {error}; run `cargo build --release`", path.display()))?;
    Ok(format!("{} (BLAKE3 {})", path.display(), &hash[..12]))
}

fn libtorch(folder: &Path) -> Result<String, String> {
    let source = match std::env::var("LIBTORCH") {
        Ok(path) => format!("LIBTORCH={path}"),
        Err(_) => "the folder it was built with".to_owned(),
    };
    let program = Stage::Train.program();
    let output = Command::new(folder.join(&program)).arg("--version").output();
    let output = output.map_err(|error| format!("{program} does not start: {error}; run `cargo build --release`"))?;
    if output.status.success() {
        return Ok(format!("{program} loads it from {source}"));
    }
    let words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(format!("{program} does not start: {words}; run `make setup`, or set LIBTORCH and build again"))
}

fn model(path: &Path) -> Result<String, String> {
    let digest = || -> io::Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(std::fs::read(path)?);
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    };
    let advice = "run from the project's folder, or get the file again from the repository";
    digest()
        .map(|hash| format!("{} (SHA-256 {hash})", path.display()))
        .map_err(|error| format!("{}: {error}; {advice}", path.display()))
}

fn nvidia() -> String {
    match Path::new("/dev/nvidia0").exists() {
        true => "present; train.device: cuda needs a CUDA libtorch".to_owned(),
        false => "none; train.device: cpu, the default, needs none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_and_df_are_read_by_column() {
        let text = "MemTotal:       24689764 kB\nMemFree:  1 kB\nMemAvailable:   20971520 kB\n";
        assert_eq!(meminfo(text, "MemAvailable"), Some(20_971_520.0));
        assert_eq!(meminfo(text, "Mem"), None);
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000 400 600 40% /\n";
        assert_eq!(available(df), Some(600.0));
    }

    #[test]
    fn an_empty_folder_is_a_problem_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let all = checks(folder.path());
        let found = |what: &str| all.iter().find(|check| check.what == what).unwrap().found.clone();
        for stage in Stage::ALL {
            assert!(found(&stage.program()).unwrap_err().contains("cargo build --release"));
        }
        assert!(found("libtorch").unwrap_err().contains("does not start"));
        assert!(matches!(run(folder.path()), Err(Error::Doctor { problems }) if problems >= 6));
    }

    #[test]
    fn the_model_is_named_with_its_sha256() {
        // FIPS 180-2, appendix B.1: the SHA-256 of "abc".
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt");
        std::fs::write(&path, "abc").unwrap();
        let found = model(&path).unwrap();
        assert!(found.contains("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{found}");
    }
}
