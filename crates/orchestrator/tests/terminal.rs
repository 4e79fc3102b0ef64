//! What a terminal shows, through a pseudo-terminal (`script` of util-linux; skipped where that is missing).

mod fake;

use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use fake::{Study, programs};

/// Columns of the terminal: no line here is longer.
const COLUMNS: usize = 160;
/// A run of two tasks at a time.
const RUN: &str = "exec chumoku run study.yaml --jobs 2";

/// These words of a shell on a terminal, which is recorded in the file `screen` of the study.
fn on_a_terminal(study: &Study, fake: &str, words: &str) -> Option<Child> {
    let run = format!("stty cols {COLUMNS} rows 40; PATH={}:$PATH; {words}", programs().display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--flush", "--command", &run, "screen"]).current_dir(study.path());
    command.env("FAKE", fake).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        eprintln!("skipped: no program script (util-linux)");
    }
    started.ok()
}

/// The lines that are left on a terminal of [`COLUMNS`] which has shown `text`: carriage return, line feed, cursor up and down, and
/// clearing a line; colours are left out.
fn screen(text: &str) -> Vec<String> {
    let (mut lines, mut row, mut column): (Vec<Vec<char>>, usize, usize) = (vec![Vec::new()], 0, 0);
    // The first line is script's own and was never on the terminal.
    let mut rest = text.split_once('\n').map_or("", |(_, shown)| shown).chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                let mut number = String::new();
                while let Some(digit) = rest.next_if(|next| !next.is_ascii_alphabetic()) {
                    number.push(digit);
                }
                let count = number.parse().unwrap_or(1);
                match rest.next() {
                    Some('A') => row = row.saturating_sub(count),
                    Some('B') => row += count,
                    Some('K') if number == "2" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('G') => column = count - 1,
                    _ => {}
                }
            }
            _ => {
                // A line that is full goes on in the next, once something follows.
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                let length = lines[row].len().max(column + 1);
                lines[row].resize(length, ' ');
                lines[row][column] = one;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let text = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned();
    lines.iter().map(text).filter(|line| !line.is_empty()).collect()
}

#[test]
fn lines_move_below_and_leave_only_what_was_said() {
    let study = Study::new();
    let Some(mut child) = on_a_terminal(&study, "slow train", RUN) else { return };
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", study.file("screen"));
    let shown = study.file("screen");
    let running = "2 of 7 tasks done, 2 running, eta more than";
    assert!(shown.contains(running), "a line for the whole: {shown:?}");
    assert!(shown.contains("1/4 images (25 %)"), "a line for each task: {shown:?}");
    let left = screen(&shown);
    let counted = |part: &str| left.iter().filter(|line| line.contains(part)).count();
    assert_eq!((counted("runs because no output"), counted(": done after ")), (7, 7), "{left:#?}");
    assert_eq!(
        (counted("tasks done"), counted("images"), counted("eta")),
        (0, 0, 0),
        "nothing that moved is left: {left:#?}"
    );
    for line in left.iter().filter(|line| line.contains("[3/7]")) {
        assert!(line.starts_with("[3/7] train/conventional/fold-0/seed-0: "), "nothing is printed over it: {left:#?}");
    }
    assert!(
        left.iter().any(|line| line == "s: ran 7 of 7 tasks, 0 were up to date" || line.starts_with("s: ran 7 of 7 "))
    );
}

#[test]
fn ctrl_c_reaches_each_stage_once() {
    let study = Study::new();
    let Some(mut child) = on_a_terminal(&study, "hang train", RUN) else { return };
    study.wait_for("--method conventional --fold 1");
    study.wait_for("--method conventional --fold 0");
    // Both have noted their calls; their traps follow in the next line.
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", study.file("screen"));
    assert_eq!(study.file("calls").matches("told once").count(), 2);
    let left = screen(&study.file("screen"));
    let whole = |text: &str| left.iter().any(|line| line.trim_start_matches("^C") == text);
    assert!(whole("stopping at the next safe point; press Ctrl-C again to stop at once"), "{left:#?}");
    assert!(left.iter().any(|line| line.starts_with("error: stopped; the same command goes on")), "{left:#?}");
}

#[test]
fn questions_end_with_ctrl_d_and_with_one_ctrl_c() {
    for (key, sentence) in [(b"\x04", "error: stopped; nothing was written"), (b"\x03", "")] {
        let study = Study::new();
        let Some(mut child) = on_a_terminal(&study, "", "exec chumoku init") else { return };
        let started = std::time::Instant::now();
        while !study.file("screen").contains("name of the study [synthetic]: ") {
            assert!(started.elapsed() < std::time::Duration::from_secs(20), "{}", study.file("screen"));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.stdin.as_mut().unwrap().write_all(key).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{}", study.file("screen"));
        let shown = study.file("screen");
        assert!(
            shown.contains(sentence) && !shown.contains("positive class") && !shown.contains("safe point"),
            "{shown}"
        );
        assert!(!study.path().join("synthetic.yaml").exists());
    }
}

/// Both ends of a new terminal, the one that shows and the one that is written to.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut shows, mut written, none) = (0, 0, std::ptr::null_mut());
    // SAFETY: two places for descriptors, and no more is asked for.
    let done = unsafe { libc::openpty(&mut shows, &mut written, none, std::ptr::null(), std::ptr::null()) };
    assert_eq!(done, 0);
    // SAFETY: a flag of an open descriptor. What is started must not hold the end that shows, which is to be closed.
    assert_eq!(unsafe { libc::fcntl(shows, libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
    // SAFETY: nobody else has them.
    unsafe { (OwnedFd::from_raw_fd(shows), OwnedFd::from_raw_fd(written)) }
}

#[test]
fn a_terminal_that_is_closed_ends_no_run_and_what_is_stopped_ends_in_order() {
    for (fake, code) in [("wait train", 0), ("linger train", 130)] {
        let study = Study::new();
        let (shows, written) = terminal();
        let mut command = study.command(fake, &["run", "study.yaml", "--jobs", "2", "--progress", "bar"]);
        command.env("TERM", "xterm").stdout(written.try_clone().unwrap()).stderr(written);
        let mut child = command.spawn().unwrap();
        drop(command);
        study.wait_for("--method conventional --fold 0");
        study.wait_for("--method conventional --fold 1");
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(shows);
        match code {
            0 => std::fs::write(study.path().join("go"), "").unwrap(),
            _ => fake::terminate(&child),
        }
        assert_eq!(child.wait().unwrap().code(), Some(code), "{fake}");
        assert_eq!(study.path().join("reports/s/summary.txt").exists(), code == 0);
    }
}
