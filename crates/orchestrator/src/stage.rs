//! One stage program as a child process: its lines to the log and the display, signals to it, its end to a result.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::layout::Layout;
use contract::plan::{Stage, Task};
use contract::{Exit, interrupt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::display::Display;
use crate::error::{Error, Failure};
use crate::logs;
use crate::programs::Programs;
use crate::schedule::Executor;

/// Lines of stderr that a failure repeats.
const TAIL: usize = 8;
/// Begins the line of a log that says which command follows.
pub const CALL: &str = "$ ";
/// Time between two looks at a child that has not ended.
const POLL: Duration = Duration::from_millis(20);

/// Runs stages as processes on this machine.
pub struct Local<'a> {
    programs: &'a Programs,
    layout: &'a Layout,
    study: &'a Path,
    set: &'a [String],
    display: &'a Display,
}

impl<'a> Local<'a> {
    /// Stages of the study at `study` with the overrides `set`.
    pub fn new(
        programs: &'a Programs,
        layout: &'a Layout,
        study: &'a Path,
        set: &'a [String],
        display: &'a Display,
    ) -> Self {
        Self { programs, layout, study, set, display }
    }
}

/// The arguments of a task's program: `--config STUDY [--set k=v]... --progress plain [ARGUMENTS]`. The same wherever it runs.
pub fn arguments(study: &Path, set: &[String], task: &Task) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--config".into(), study.into()];
    words.extend(set.iter().flat_map(|set| ["--set".into(), set.into()]));
    words.extend(["--progress", "plain"].map(OsString::from));
    words.extend(task.arguments.iter().map(OsString::from));
    words
}

impl Executor for Local<'_> {
    fn execute(&self, at: usize, task: &Task, reasons: &[String]) -> Result<(), Error> {
        let log = self.layout.log(&task.id);
        let line = self.display.start(at, reasons, Instant::now());
        // The program gives its reasons too; said once is enough.
        let said = format!("{}: runs because", task.id);
        let show = |text: &str| {
            if !text.starts_with(&said) {
                line.update(text);
            }
        };
        let mut command = Command::new(self.programs.path(task.stage));
        command.args(arguments(self.study, self.set, task));
        let ended = run(command, Some(&log), &show);
        line.finish(ended.as_ref().is_ok_and(|ended| ended.status.success()));
        let ended = ended?;
        // The report's tables are the last words of every run, so they are not printed here as well.
        if task.stage != Stage::Report {
            self.display.stdout(&ended.stdout);
        }
        if ended.status.success() {
            return Ok(());
        }
        Err(ended.failure(task.stage, &task.id, Some(log)).map_or(Error::Interrupted, Error::Stage))
    }

    fn skip(&self, at: usize) {
        self.display.skip(at);
    }
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Code or signal.
    pub status: ExitStatus,
    /// All it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The last lines of its stderr.
    pub tail: Vec<String>,
}

impl Ended {
    /// How it failed, given that it did; `None` if it was asked to stop.
    pub fn failure(self, stage: Stage, task: &str, log: Option<PathBuf>) -> Option<Failure> {
        let (code, signal) = (self.status.code(), self.status.signal());
        let stopped = interrupt::requested() || code == Some(Exit::Interrupted as i32);
        (!stopped).then(|| Failure { stage, task: task.to_owned(), code, signal, log, tail: self.tail })
    }
}

/// Runs `command` to its end. Everything it writes goes to `log`, if there is one; each line of stderr goes to `show` as well.
///
/// The child gets a process group of its own and, once this program is asked to stop, one SIGTERM: a Ctrl-C that reached
/// both directly and through us would count as two, and two mean "at once, without a checkpoint". If this program dies
/// without a word (SIGKILL), the kernel sends the child that SIGTERM.
///
/// # Errors
/// The log cannot be opened or the program cannot be started.
pub fn run(mut command: Command, log: Option<&Path>, show: &(dyn Fn(&str) + Sync)) -> Result<Ended, Error> {
    let open = |path: &Path| logs::start(path, &command).map_err(|source| Error::Io { path: path.to_owned(), source });
    let log = Mutex::new(log.map(open).transpose()?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    ends_with_this_program(&mut command);
    let program = PathBuf::from(command.get_program());
    let start_failed = |source| Error::Start { program: program.clone(), source };
    let mut child = command.spawn().map_err(start_failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(|| collect(stdout, &log));
        let err = scope.spawn(|| follow(stderr, &log, show));
        let status = wait(&mut child).map_err(start_failed)?;
        Ok(Ended { status, stdout: out.join().unwrap_or_default(), tail: err.join().unwrap_or_default() })
    })
}

/// Asks the kernel for a SIGTERM to the child when this program is gone. (It comes when the *thread* that started the child ends; ours
/// waits for the child.)
fn ends_with_this_program(command: &mut Command) {
    let parent = std::process::id();
    let ask = move || {
        // SAFETY: prctl and getppid are safe to call between fork and exec.
        let (asked, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM), libc::getppid()) };
        if asked != 0 {
            return Err(io::Error::last_os_error());
        }
        // Gone before it could be asked for.
        if u32::try_from(now) != Ok(parent) { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// The lines that a failure repeats of a log to which an earlier process wrote: the last ones of its last call.
pub fn tail(log: &Path) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().rev().take_while(|line| !line.starts_with(CALL)).filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = lines.take(TAIL).map(|line| line.trim_end().to_owned()).collect();
    lines.reverse();
    lines
}

/// A log that cannot be written (a full disk) does not end the stage: the stage will say so itself.
fn append(log: &Mutex<Option<File>>, bytes: &[u8]) {
    if let Some(log) = log.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        let _ = log.write_all(bytes);
    }
}

fn collect(stdout: Option<impl Read>, log: &Mutex<Option<File>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stdout) = stdout {
        let _ = stdout.read_to_end(&mut bytes);
    }
    append(log, &bytes);
    bytes
}

fn follow(stderr: Option<impl Read>, log: &Mutex<Option<File>>, show: &(dyn Fn(&str) + Sync)) -> Vec<String> {
    let mut tail = VecDeque::new();
    let mut reader = BufReader::new(match stderr {
        Some(stderr) => stderr,
        None => return Vec::new(),
    });
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        append(log, &line);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if text.is_empty() {
            continue;
        }
        show(&text);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(text);
    }
    tail.into()
}

fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() && !told {
            told = true;
            if let Ok(id) = i32::try_from(child.id()) {
                // It may have ended since; then there is nobody to tell.
                let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            }
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Ended, Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/x.log");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let shown = Mutex::new(Vec::new());
        let ended = run(command, Some(&log), &|line| shown.lock().unwrap().push(line.to_owned())).unwrap();
        (ended, shown.into_inner().unwrap(), std::fs::read_to_string(&log).unwrap())
    }

    #[test]
    fn lines_go_to_the_display_the_log_and_the_tail() {
        let (ended, shown, log) = shell("echo result; echo one >&2; echo >&2; printf 'error: two' >&2; exit 4");
        assert_eq!(ended.status.code(), Some(4));
        assert_eq!(ended.stdout, b"result\n");
        assert_eq!(ended.tail, ["one", "error: two"]);
        assert_eq!(shown, ended.tail);
        assert!(log.starts_with("$ sh -c 'echo result"), "{log}");
        assert!(log.contains("result\n") && log.contains("error: two"), "{log}");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let (ended, shown, _) = shell("for i in $(seq 100); do echo line $i >&2; done");
        assert!(ended.status.success());
        assert_eq!((shown.len(), ended.tail.len()), (100, TAIL));
        assert_eq!(ended.tail[TAIL - 1], "line 100");
    }

    #[test]
    fn much_output_on_both_sides_does_not_block() {
        let (ended, shown, _) = shell("seq 20000; seq 20000 >&2");
        assert_eq!((ended.stdout.len(), shown.len()), (108_894, 20_000));
    }

    #[test]
    fn a_signal_is_told_apart_from_a_code() {
        let (ended, _, _) = shell("kill -9 $$");
        assert_eq!((ended.status.code(), ended.status.signal()), (None, Some(9)));
    }

    #[test]
    fn a_program_that_does_not_start_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(Command::new("/no/such/program"), Some(&folder.path().join("x.log")), &|_| ()).unwrap_err();
        assert!(error.to_string().contains("cannot start /no/such/program"), "{error}");
    }

    #[test]
    fn the_tail_of_a_log_is_that_of_its_last_call() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let long: String = (0..20).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, format!("$ a\nerror: old\n$ b\n{long}\nerror: new\n")).unwrap();
        let tail_now = tail(&log);
        assert_eq!(
            (tail_now.len(), tail_now[0].as_str(), tail_now[TAIL - 1].as_str()),
            (TAIL, "line 13", "error: new")
        );
        std::fs::write(&log, "$ a\nerror: old\n$ b\n").unwrap();
        assert!(tail(&log).is_empty() && tail(Path::new("/no/such/log")).is_empty());
    }
}
