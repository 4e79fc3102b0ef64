//! One run of a study at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use contract::layout::Layout;

use crate::error::Error;

/// Name of the lock in `data/<study>`; the dot keeps it out of content hashes.
const NAME: &str = ".lock";

/// Holds a study until it is dropped, or the process ends however it ends.
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
    /// Takes the study, leaving a line that says who has it.
    ///
    /// # Errors
    /// Another process has it, or the file cannot be written.
    pub fn acquire(study: &str, layout: &Layout) -> Result<Self, Error> {
        let path: PathBuf = layout.data.join(NAME);
        let failed = |source| Error::Io { path: path.clone(), source };
        std::fs::create_dir_all(&layout.data).map_err(failed)?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                return Err(Error::Locked { study: study.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let command: Vec<String> = std::env::args().collect();
        let holder = format!("process {} ({})", std::process::id(), command.join(" "));
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

/// Who holds the study, in the words it left.
pub fn holder(layout: &Layout) -> Option<String> {
    let path = layout.data.join(NAME);
    crate::logs::is_running(&path).then(|| std::fs::read_to_string(&path).unwrap_or_default())
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
}
