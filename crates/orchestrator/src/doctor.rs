//! `chumoku doctor`: is everything here that a study needs?

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use contract::config::DEFAULTS;
use contract::equipment::Equipment;
use contract::hash;
use contract::plan::Stage;
use serde_json::Value;

use crate::error::Error;
use crate::programs::ADVICE;

/// Below this, a study of a few hundred patients may not fit.
const ENOUGH_DISK_GIB: f64 = 5.0;
/// Below this, training ResNet18 at batch 16 may not fit.
const ENOUGH_MEMORY_GIB: f64 = 4.0;
/// What to do about a libtorch that is missing or another.
const LIBRARIES: &str = "unpack the release's archive again and leave its libraries where they are, or, in the project's sources, \
                         run `make setup` (or set LIBTORCH to that version) and build again";
pub(crate) const GIB: f64 = (1_u64 << 30) as f64;

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
    crate::print(&checks.iter().map(|check| check.line() + "\n").collect::<String>())?;
    let mut problems = checks.iter().filter_map(|check| check.found.as_ref().err());
    match problems.next() {
        None => Ok(()),
        Some(first) => Err(Error::Doctor { problems: 1 + problems.count(), first: first.clone() }),
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
    let equipment = ask(programs, Stage::Train, &[OsStr::new("doctor")]).and_then(|answer| equipment(&answer));
    all.push(Check::new("libtorch", equipment.as_ref().map_err(Clone::clone).and_then(libtorch)));
    let lung = Path::new(path("/preprocess/model"));
    let loaded = ask(programs, Stage::Preprocess, &[OsStr::new("doctor"), OsStr::new("--model"), lung.as_os_str()]);
    all.push(Check::new("lung model", model(lung, loaded)));
    all.extend(equipment.ok().map(|found| Check::new("GPU", Ok(gpu(&found)))));
    all
}

/// Instructions that libtorch has faster code for, as `/proc/cpuinfo` calls them. The last two are for bfloat16.
const INSTRUCTIONS: [&str; 4] = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"];

fn cores() -> Result<String, String> {
    let count = std::thread::available_parallelism().map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string("/proc/cpuinfo").map_err(|error| format!("/proc/cpuinfo: {error}"))?;
    Ok(format!("{count} threads; {}", instructions(&text)))
}

/// What the flags of the first processor in `/proc/cpuinfo` mean for training.
fn instructions(text: &str) -> String {
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let found: Vec<&str> =
        INSTRUCTIONS.into_iter().filter(|name| flags.split_whitespace().any(|flag| flag == *name)).collect();
    let bfloat = match found.iter().any(|name| name.ends_with("_bf16")) {
        true => "train.precision: bf16 is faster",
        false => "no bfloat16, so train.precision: bf16 is slower",
    };
    if found.is_empty() {
        format!("no AVX2, training is slow; {bfloat}")
    } else {
        format!("{}; {bfloat}", found.join(", "))
    }
}

pub(crate) fn memory() -> Result<String, String> {
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
    let free = free(data)?;
    let found = format!("{free:.1} GiB free for {}", data.display());
    if free >= ENOUGH_DISK_GIB {
        Ok(found)
    } else {
        Err(format!("{found}; a study wants about {ENOUGH_DISK_GIB} GiB: make room or set paths.data"))
    }
}

/// Room where `data` is or will be, GiB.
pub(crate) fn free(data: &Path) -> Result<f64, String> {
    let folder = data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let output = Command::new("df").arg("-Pk").arg(folder).output().map_err(|error| format!("df: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let free = available(&text).ok_or_else(|| format!("df says nothing about {}", folder.display()))?;
    Ok(free * 1024.0 / GIB)
}

/// Free KiB in the output of `df -Pk` for one folder. POSIX fixes the columns.
fn available(df: &str) -> Option<f64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn program(folder: &Path, stage: Stage) -> Result<String, String> {
    let path = folder.join(stage.program());
    let hash = hash::file(&path).map_err(|error| format!("{}: {error}; {ADVICE}", path.display()))?;
    Ok(format!("{} (BLAKE3 {})", path.display(), &hash[..12]))
}

/// What a stage's program answers.
pub(crate) fn ask(folder: &Path, stage: Stage, arguments: &[&OsStr]) -> Result<String, String> {
    let program = stage.program();
    let output = Command::new(folder.join(&program)).args(arguments).output();
    let output = output.map_err(|error| format!("{program} does not start: {error}; {ADVICE}"))?;
    said(&program, &output)
}

/// Its stdout, or what its stderr begins with.
fn said(program: &str, output: &Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(match words.strip_prefix("error: ") {
        Some(words) => words.to_owned(),
        None => format!("{program} does not run: {words}; {LIBRARIES}"),
    })
}

pub(crate) fn equipment(answer: &str) -> Result<Equipment, String> {
    let program = Stage::Train.program();
    serde_json::from_str(answer).map_err(|error| format!("{program} says {answer:?} ({error}); {ADVICE}"))
}

pub(crate) fn libtorch(found: &Equipment) -> Result<String, String> {
    let Equipment { folder, expected, threads, .. } = found;
    let version = found.version.as_deref();
    let text = format!("{} in {}", version.unwrap_or("of unknown version"), folder.display());
    match version {
        Some(version) if version != expected => Err(format!("{text}, expected {expected}: {LIBRARIES}")),
        _ => Ok(format!("{text}; {threads} threads with train.threads: 0")),
    }
}

fn model(path: &Path, answer: Result<String, String>) -> Result<String, String> {
    match answer {
        Ok(hash) => Ok(format!("{}, as shipped (SHA-256 {hash})", path.display())),
        Err(words) => Err(format!("{words}; run from the project's folder, or get the file again from the repository")),
    }
}

fn gpu(found: &Equipment) -> String {
    match &found.cuda_problem {
        None => format!("{} visible: train.device: cuda", found.gpus),
        Some(problem) => format!("none, which train.device: cpu, the default, does not need ({problem})"),
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
        assert!(matches!(run(folder.path()), Err(Error::Doctor { problems, .. }) if problems >= 6));
    }

    #[test]
    fn instructions_are_whole_words_of_the_flags() {
        let text = "processor : 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nflags : none\n";
        assert_eq!(instructions(text), "avx2, avx512f, avx512_bf16; train.precision: bf16 is faster");
        assert_eq!(
            instructions("flags : avx2x"),
            "no AVX2, training is slow; no bfloat16, so train.precision: bf16 is slower"
        );
    }

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        // wait(2): the exit code is in the second byte.
        let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
        Output { status, stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn what_the_programs_say_becomes_lines_with_advice() {
        let answer = Equipment {
            folder: "/lib".into(),
            version: Some("2.10.0".to_owned()),
            expected: "2.11.0".to_owned(),
            threads: 3,
            gpus: 0,
            cuda_problem: Some("no GPU is visible".to_owned()),
        };
        let printed = serde_json::to_string(&answer).unwrap() + "\n";
        let found = equipment(&said("chumoku-train", &output(0, &printed, "")).unwrap()).unwrap();
        assert_eq!(found, answer);
        assert!(
            libtorch(&found).unwrap_err().contains("2.10.0 in /lib, expected 2.11.0: unpack the release's archive")
        );
        assert!(gpu(&found).contains("no GPU is visible"));
        let right = Equipment { version: Some("2.11.0".to_owned()), gpus: 2, cuda_problem: None, ..found };
        assert_eq!(libtorch(&right).unwrap(), "2.11.0 in /lib; 3 threads with train.threads: 0");
        assert_eq!(gpu(&right), "2 visible: train.device: cuda");
        assert!(equipment("nothing").unwrap_err().contains("cargo build --release"));
        let words =
            said("chumoku-train", &output(127, "", "libtorch_cpu.so: cannot open shared object file\n")).unwrap_err();
        assert!(words.contains("cannot open shared object file; unpack the release's archive"), "{words}");
        let words = model(Path::new("m.pt"), said("chumoku-preprocess", &output(6, "", "error: m.pt is another\n")));
        assert!(words.unwrap_err().starts_with("m.pt is another; run from the project's folder"));
        assert!(model(Path::new("m.pt"), Ok("ab".to_owned())).unwrap().contains("m.pt, as shipped (SHA-256 ab)"));
    }
}
