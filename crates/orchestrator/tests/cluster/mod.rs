//! A private Slurm (`tools/slurm_local.sh`) for the tests that need one.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use contract::plan::Stage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake::{Answer, Study};

/// Nodes of each.
const NODES: u32 = 2;
/// How long something may take that comes in seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A private Slurm of two nodes with four cores each, stopped when dropped.
pub struct Cluster {
    folder: tempfile::TempDir,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/slurm_local.sh")
}

impl Cluster {
    /// With these lines in its slurm.conf. `None`, and a line that says why, where there is no Slurm.
    pub fn start(extra: &[&str]) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let port = 20_000 + std::process::id() % 1000 * 40 + NEXT.fetch_add(NODES + 1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        // A requeued job waits until the credential of its first start has expired: two minutes, if nothing is said.
        let socket = folder.path().join("run/munge.socket");
        let expires = format!("AuthInfo=socket={},cred_expire=5\n{}", socket.display(), extra.join("\n"));
        let mut command = Command::new(script());
        command.arg("start").arg(folder.path()).env("SLURM_LOCAL_EXTRA", expires);
        for (name, value) in [("PORT", port), ("CPUS", 4), ("NODES", NODES)] {
            command.env(format!("SLURM_LOCAL_{name}"), value.to_string());
        }
        // Its daemons would hold a pipe open.
        let log = folder.path().join("start.log");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        if command.status().is_ok_and(|status| status.success()) {
            return Some(Self { folder });
        }
        eprintln!("skipped: {}", std::fs::read_to_string(log).unwrap_or_default().trim());
        None
    }

    pub fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// `chumoku run` of a study as jobs, not yet started; the stages do what `fake` says.
    pub fn command(&self, study: &Study, fake: &str, arguments: &[&str]) -> Command {
        self.chumoku(study, fake, &[&["run", "study.yaml", "--executor", "slurm"], arguments].concat())
    }

    /// `chumoku` with these arguments, where it finds this Slurm.
    pub fn chumoku(&self, study: &Study, fake: &str, arguments: &[&str]) -> Command {
        let mut command = study.command(fake, arguments);
        command.env("SLURM_CONF", self.conf());
        command
    }

    pub fn run(&self, study: &Study, fake: &str, arguments: &[&str]) -> Answer {
        Answer::of(self.command(study, fake, arguments).output().unwrap())
    }

    /// Starts it, its words going to the file `said` of the study, where they can be read meanwhile.
    pub fn follow(&self, study: &Study, fake: &str, arguments: &[&str]) -> std::process::Child {
        let mut command = self.command(study, fake, arguments);
        command.stdout(Stdio::null()).stderr(std::fs::File::create(study.path().join("said")).unwrap());
        command.spawn().unwrap()
    }

    /// What one of Slurm's commands prints.
    pub fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("SLURM_CONF", self.conf()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn states(&self) -> String {
        self.slurm("squeue", &["-h", "-r", "-t", "all", "-o", "%T"])
    }

    /// Starts one of its daemons again.
    pub fn daemon(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).env("SLURM_CONF", self.conf()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "{program} did not start");
    }

    /// Kills the daemon of this name, `slurmctld` or a node's, without a word.
    pub fn kill(&self, name: &str) {
        let id = std::fs::read_to_string(self.folder.path().join(format!("run/{name}.pid"))).unwrap();
        kill(Pid::from_raw(id.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(self.folder.path()).status();
    }
}

pub fn wait_until(what: &str, is: impl Fn() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `chumoku` beside the real stage programs; `None`, and a line that says why, where they are not built.
pub fn real() -> Option<&'static Path> {
    let chumoku = Path::new(env!("CARGO_BIN_EXE_chumoku"));
    let stages = Stage::ALL.map(|stage| chumoku.with_file_name(stage.program()));
    if let Some(missing) = stages.iter().find(|path| !path.is_file()) {
        eprintln!(
            "skipped: no {}; build all programs with `cargo build --release --workspace --bins`",
            missing.display()
        );
        return None;
    }
    Some(chumoku)
}

/// BLAKE3 of every Parquet, safetensors and CSV file under `folder`.
pub fn sums(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files = contract::hash::walk(folder).unwrap();
    let data = |file: &PathBuf| {
        ["parquet", "safetensors", "csv"].iter().any(|end| file.extension().is_some_and(|is| is == *end))
    };
    files
        .into_iter()
        .filter(data)
        .map(|file| (file.clone(), contract::hash::file(&folder.join(file)).unwrap()))
        .collect()
}
