//! The libtorch that this process runs on, and how CUDA gets into it.
//!
//! The programs are linked against the CPU part alone. `libtorch_cuda.so` makes itself known to that part when it is loaded, so that one
//! program serves both: it is loaded when a GPU is asked for. It must come from the same folder as `libtorch_cpu.so`. A CUDA libtorch that
//! `LIBTORCH` names instead of the one built with is reached by starting the program again with `LD_LIBRARY_PATH`, which the dynamic linker
//! looks at before the path in the program (DT_RUNPATH; ld.so(8)).
//!
//! Repeating on a GPU: cuDNN does not try algorithms against each other, and cuBLAS gets a fixed workspace
//! (`CUBLAS_WORKSPACE_CONFIG`, docs.nvidia.com/cuda/cublas, "Results reproducibility"), which must be set before the program starts. torch-sys
//! 0.24 offers no switch for deterministic cuDNN algorithms, so that runs repeat to rounding, not to the bit. Not tested on a GPU.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::Cuda;

/// The libtorch that tch 0.24 binds.
pub const VERSION: &str = "2.11.0";
const CPU: &str = "libtorch_cpu.so";
const CUDA: &str = "libtorch_cuda.so";
/// Names a folder with `lib/`, as torch-sys reads it.
const LIBTORCH: &str = "LIBTORCH";
const SEARCH: &str = "LD_LIBRARY_PATH";
/// cuBLAS's workspace and the value that makes its results repeat.
const WORKSPACE: (&str, &str) = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8");
/// Says that the program was started again already.
const RESTARTED: &str = "CHUMOKU_RESTARTED";
const ADVICE: &str = "install a CUDA libtorch 2.11.0, for example with `pip install torch==2.11.0`, and set LIBTORCH to its folder \
                      (.../site-packages/torch)";

/// The folder of the `libtorch_cpu.so` in this process.
pub fn folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(mapped).map(Path::to_owned)
}

/// The folder of `libtorch_cpu.so` if this line of `/proc/self/maps` is about it.
fn mapped(line: &str) -> Option<&Path> {
    let path = Path::new(&line[line.find('/')?..]);
    (path.file_name()? == CPU).then(|| path.parent())?
}

/// The version of the libtorch whose libraries are in `folder`: what `build-version` or Python's `version.py` above it says.
pub fn version(folder: &Path) -> Option<String> {
    let root = folder.parent()?;
    let stated = std::fs::read_to_string(root.join("build-version")).or_else(|_| {
        let python = std::fs::read_to_string(root.join("version.py"))?;
        let value = python.lines().find_map(|line| line.strip_prefix("__version__ = "));
        Ok::<_, std::io::Error>(value.unwrap_or_default().trim_matches(['\'', '"']).to_owned())
    });
    let number = stated.ok()?.trim().split('+').next()?.to_owned(); // 2.11.0+cu130
    (!number.is_empty()).then_some(number)
}

/// Starts the program again where CUDA needs another environment than it has. To be called before the program says anything; that there
/// is no CUDA is for [`load_cuda`] to say.
pub fn prepare_cuda() {
    let _ = chosen();
}

/// The folder whose CUDA library to use, once the environment is as CUDA needs it. May start the program again.
fn chosen() -> Result<PathBuf, String> {
    let own = folder().ok_or_else(|| format!("no {CPU} in this process"))?;
    let chosen = choose(&own, std::env::var_os(LIBTORCH).map(PathBuf::from))?;
    check_version(&chosen)?;
    let mut changes = Vec::new();
    if !same(&chosen, &own) {
        let before = std::env::var_os(SEARCH).unwrap_or_default();
        changes.push((SEARCH, join(&chosen, before)));
    }
    if std::env::var_os(WORKSPACE.0).is_none() {
        changes.push((WORKSPACE.0, WORKSPACE.1.into()));
    }
    if changes.is_empty() { Ok(chosen) } else { Err(restart(changes, &own)) }
}

/// Makes CUDA known to libtorch. To be called before libtorch is first asked about CUDA, since it remembers the answer. May start the
/// program again.
///
/// # Errors
/// What was found instead, and what to do.
pub fn load_cuda() -> Result<(), String> {
    let chosen = chosen()?;
    let path = chosen.join(CUDA);
    // SAFETY: this runs the initialisers of PyTorch's own library, of the version checked above, which register its kernels.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| format!("{} cannot be loaded: {error}", path.display()))?;
    std::mem::forget(library); // its kernels stay in use to the end
    Cuda::cudnn_set_benchmark(false);
    if Cuda::is_available() {
        return Ok(());
    }
    let reason = match Path::new("/dev/nvidia0").exists() {
        true => "/dev/nvidia0 is there: see what nvidia-smi and CUDA_VISIBLE_DEVICES say",
        false => "/dev/nvidia0 does not exist: this machine has none, or its driver is not loaded",
    };
    Err(format!("{} is loaded, but no GPU is visible; {reason}", path.display()))
}

/// The folder whose CUDA library to use: that of `LIBTORCH` if it has one, or the one in use.
fn choose(own: &Path, named: Option<PathBuf>) -> Result<PathBuf, String> {
    let has_cuda = |folder: &PathBuf| folder.join(CUDA).exists();
    let other = named.map(|root| root.join("lib")).and_then(|lib| lib.canonicalize().ok());
    let own = own.canonicalize().map_err(|error| format!("{}: {error}", own.display()))?;
    let found = other.iter().find(|folder| has_cuda(folder)).or(Some(&own).filter(|own| has_cuda(own)));
    found.cloned().ok_or_else(|| {
        let named =
            other.filter(|other| *other != own).map(|other| format!(", nor has {} of {LIBTORCH}", other.display()));
        format!("the libtorch in use, {}, has no {CUDA}{}; {ADVICE}", own.display(), named.unwrap_or_default())
    })
}

/// Whether two folders lead to one `libtorch_cpu.so`, perhaps by links.
fn same(one: &Path, other: &Path) -> bool {
    let file = |folder: &Path| folder.join(CPU).canonicalize().ok();
    file(one).is_some_and(|path| Some(path) == file(other))
}

fn check_version(folder: &Path) -> Result<(), String> {
    match version(folder) {
        Some(found) if found == VERSION => Ok(()),
        Some(found) => Err(format!("{} is libtorch {found}, expected {VERSION}; {ADVICE}", folder.display())),
        None => Err(format!(
            "the version of {} is unknown: there is no build-version or version.py above it; {ADVICE}",
            folder.display()
        )),
    }
}

/// A search path with `first` in front.
fn join(first: &Path, rest: OsString) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if !rest.is_empty() {
        path.push(":");
        path.push(rest);
    }
    path
}

/// Starts this program again with another environment. Returns only if that fails, or was done before.
fn restart(changes: Vec<(&'static str, OsString)>, own: &Path) -> String {
    if std::env::var_os(RESTARTED).is_some() {
        return format!("{CPU} still comes from {} although {SEARCH} names another; unset {RESTARTED}", own.display());
    }
    let error = contract::restart::with(changes.into_iter().chain([(RESTARTED, "1".into())]));
    format!("the program cannot be started again: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_this_process() {
        let found = folder().unwrap();
        assert!(found.join(CPU).exists());
        let line = "7f00-7f01 r-xp 00000000 08:01 42                  /opt/a folder/lib/libtorch_cpu.so";
        assert_eq!(mapped(line), Some(Path::new("/opt/a folder/lib")));
        assert_eq!(mapped("7f00-7f01 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapped(&line.replace("_cpu", "_python")), None);
    }

    /// A folder that looks like a libtorch: lib/ and a file that states the version.
    fn fake(folder: &Path, name: &str, stated: (&str, &str), libraries: &[&str]) -> PathBuf {
        let root = folder.join(name);
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join(stated.0), stated.1).unwrap();
        libraries.iter().for_each(|library| std::fs::write(root.join("lib").join(library), "").unwrap());
        root
    }

    #[test]
    fn versions_are_read_from_both_kinds_of_folders() {
        let folder = tempfile::tempdir().unwrap();
        // The first lines of torch/version.py of the wheel torch 2.11.0.
        let wheel =
            "from typing import Optional\n\n__all__ = ['__version__']\n__version__ = '2.11.0+cu130'\ndebug = False\n";
        let wheel = fake(folder.path(), "wheel", ("version.py", wheel), &[CUDA]);
        let plain = fake(folder.path(), "plain", ("build-version", "2.10.0+cpu\n"), &[CUDA]);
        let silent = fake(folder.path(), "silent", ("version.py", "nothing"), &[CUDA]);
        assert_eq!(version(&wheel.join("lib")).as_deref(), Some("2.11.0"));
        assert!(check_version(&wheel.join("lib")).is_ok());
        assert!(check_version(&plain.join("lib")).unwrap_err().contains("is libtorch 2.10.0, expected 2.11.0"));
        assert!(check_version(&silent.join("lib")).unwrap_err().contains("is unknown"));
    }

    #[test]
    fn libtorch_of_the_environment_wins_where_it_has_cuda() {
        let folder = tempfile::tempdir().unwrap();
        let stated = ("build-version", "2.11.0");
        let [cpu, cuda, other] = [("cpu", vec![CPU]), ("cuda", vec![CPU, CUDA]), ("other", vec![CPU, CUDA])]
            .map(|(name, libraries)| fake(&folder.path().canonicalize().unwrap(), name, stated, &libraries));
        assert_eq!(choose(&cpu.join("lib"), Some(cuda.clone())), Ok(cuda.join("lib")));
        assert_eq!(choose(&other.join("lib"), Some(cuda.clone())), Ok(cuda.join("lib")));
        assert_eq!(choose(&cuda.join("lib"), Some(cpu.clone())), Ok(cuda.join("lib")));
        assert_eq!(choose(&cuda.join("lib"), None), Ok(cuda.join("lib")));
        let none = choose(&cpu.join("lib"), Some(folder.path().join("nowhere"))).unwrap_err();
        assert!(none.contains("has no libtorch_cuda.so; install a CUDA libtorch 2.11.0"), "{none}");
        assert_eq!(join(Path::new("/a"), "/b:/c".into()), "/a:/b:/c");
        assert_eq!(join(Path::new("/a"), OsString::new()), "/a");
    }
}
