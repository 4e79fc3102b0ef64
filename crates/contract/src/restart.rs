//! Starts a program again in its own place, since libraries read some variables of the environment only once.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts this program again, with its arguments and with `changes` in the environment. The process stays the same, and with it its
/// number, its parent and the locks it holds.
///
/// Returns only if that fails: why.
pub fn with<'a>(changes: impl IntoIterator<Item = (&'a str, OsString)>) -> io::Error {
    match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).envs(changes).exec(),
        Err(error) => error,
    }
}
