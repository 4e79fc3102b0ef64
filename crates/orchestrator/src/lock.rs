//! One run of a study at a time, orphans of a killed one included.
//!
//! Stage programs inherit the lock's open file, so the study stays locked until the last of them has ended, however this
//! program ended. A run that finds only orphans waits for them: the kernel has told them to stop (see [`crate::stage`]).

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contract::layout::Layout;
use contract::{cli, interrupt};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::error::Error;
use crate::shell;

/// Name of the lock in `data/<study>`; the dot keeps it out of content hashes.
const NAME: &str = ".lock";
/// How long a run waits for the orphans of a killed one: a checkpoint is written in seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at the lock.
const POLL: Duration = Duration::from_millis(50);

/// Holds a study until it is dropped, or this process and all programs that it started have ended.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started holds a copy of the file until it is on its way.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the study, leaving a line that says who has it. Waits for orphans, up to a minute.
    ///
    /// # Errors
    /// Another process has it, orphans do not end, the wait was interrupted, or the file cannot be written.
    pub fn acquire(study: &str, layout: &Layout) -> Result<Self, Error> {
        let path: PathBuf = layout.data.join(NAME);
        let failed = |source| Error::Io { path: path.clone(), source };
        std::fs::create_dir_all(&layout.data).map_err(failed)?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let (started, mut told) = (Instant::now(), false);
        while !taken(&file).map_err(failed)? {
            let holder = read(&mut file);
            if !is_gone(&holder) {
                return Err(held(study, holder));
            }
            if interrupt::requested() {
                return Err(Error::Interrupted);
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::Orphan { study: study.to_owned(), holder });
            }
            if !told {
                told = true;
                cli::say(format_args!("{study}: waiting for a stage program that {holder} left when it was killed"));
            }
            std::thread::sleep(POLL);
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(own().as_bytes()))
            .and_then(|()| let_children_hold(&file))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

/// Who holds the study, in the words it left.
pub fn holder(layout: &Layout) -> Option<String> {
    let path = layout.data.join(NAME);
    crate::logs::is_running(&path).then(|| std::fs::read_to_string(&path).unwrap_or_default())
}

/// Lets nobody vouch for a study of which a run may be writing any file.
///
/// # Errors
/// A run holds it, or a program that a killed one left.
pub fn refuse_if_held(study: &str, layout: &Layout) -> Result<(), Error> {
    holder(layout).map_or(Ok(()), |holder| Err(held(study, holder)))
}

fn held(study: &str, holder: String) -> Error {
    let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
    Error::Locked { study: study.to_owned(), holder }
}

fn taken(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(source),
    }
}

fn read(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
    holder
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// What the holder writes: `process 12 on node7 (chumoku run study.yaml)`.
fn own() -> String {
    let command: Vec<OsString> = std::env::args_os().collect();
    let command = shell::line(command.iter().map(OsString::as_os_str));
    format!("process {} on {} ({command})", std::process::id(), host())
}

/// True if the process that wrote `holder` ran on this machine and does not any more.
fn is_gone(holder: &str) -> bool {
    let mut words = holder.split(' ');
    let (Some("process"), Some(id), Some("on"), Some(machine)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    machine == host() && id.parse().is_ok_and(|id| kill(Pid::from_raw(id), None) == Err(Errno::ESRCH))
}

/// Rust closes its files in the programs that it starts; this one stays open in them, and the lock with it.
fn let_children_hold(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and no memory is involved.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("study.yaml");
        std::fs::write(&study, "study: s").unwrap();
        let set = format!("paths.data={}", folder.path().display());
        let layout = Layout::new(&contract::Config::load(&study, &[set]).unwrap());
        let first = Lock::acquire("s", &layout).unwrap();
        let error = Lock::acquire("s", &layout).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("already being run by process {}", std::process::id())), "{text}");
        assert_eq!(contract::Coded::exit(&error), contract::Exit::Unexpected);
        drop(first);
        assert!(Lock::acquire("s", &layout).is_ok());
    }

    #[test]
    fn only_a_process_of_this_machine_can_be_known_to_be_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        assert!(is_gone(&format!("process {id} on {} (chumoku)", host())));
        assert!(!is_gone(&own()));
        assert!(!is_gone(&format!("process {id} on another-machine (chumoku)")));
        assert!(!is_gone(""));
    }
}
