//! Which libtorch the real binary takes, on folders that only look like one.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use contract::equipment::Equipment;

/// `chumoku-train doctor` with `LIBTORCH` set to `root`.
fn doctor(root: &Path) -> Equipment {
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.arg("doctor").env("LIBTORCH", root).env_remove("CUBLAS_WORKSPACE_CONFIG").env_remove("CHUMOKU_RESTARTED");
    serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
}

/// A folder with a CUDA library that is none, of a stated version.
fn fake(folder: &Path, version: &str) -> PathBuf {
    let root = folder.join(version);
    std::fs::create_dir_all(root.join("lib")).unwrap();
    std::fs::write(root.join("build-version"), version).unwrap();
    std::fs::write(root.join("lib/libtorch_cuda.so"), "no library").unwrap();
    root
}

#[test]
fn another_version_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let found = doctor(&fake(folder.path(), "2.10.0"));
    assert_eq!(found.gpus, 0);
    let problem = found.cuda_problem.unwrap();
    assert!(problem.contains("2.10.0/lib is libtorch 2.10.0, expected 2.11.0; install"), "{problem}");
    assert_eq!(found.version.as_deref(), Some("2.11.0"), "of the libtorch in use");
}

#[test]
fn the_program_starts_again_once() {
    // There is no libtorch_cpu.so in the folder, so that LD_LIBRARY_PATH cannot lead to it.
    let folder = tempfile::tempdir().unwrap();
    let problem = doctor(&fake(folder.path(), "2.11.0")).cuda_problem.unwrap();
    assert!(problem.contains("although LD_LIBRARY_PATH names another"), "{problem}");
}

#[test]
fn a_cuda_library_that_cannot_be_loaded_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = fake(folder.path(), "2.11.0");
    let own = train::libtorch::folder().unwrap();
    std::os::unix::fs::symlink(own.join("libtorch_cpu.so"), root.join("lib/libtorch_cpu.so")).unwrap();
    let problem = doctor(&root).cuda_problem.unwrap();
    assert!(problem.contains("2.11.0/lib/libtorch_cuda.so cannot be loaded"), "{problem}");
}
