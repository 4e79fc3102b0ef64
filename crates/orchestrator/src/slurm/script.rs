//! The script of a job: which program each element runs, and how its end is told.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Slurm;
use crate::logs;
use crate::stage::{self, CALL};

/// Begins the line of the job's own output that a start writes.
pub const BEGINS: &str = "starts: ";

/// What follows the choice of the task. `$@` is the program with its arguments.
///
/// A SIGTERM from Slurm (scancel, preemption) reaches the program as well as this script, which only has to stay for the exit code.
/// The notice before the time limit, USR1, reaches the script alone, which makes a SIGTERM of it. `wait` ends early when a signal is
/// trapped, so it is repeated while the program lives.
///
/// Slurm starts a task anew elsewhere when it has not heard of a node for a while. The node may live and go on, so each start leaves its
/// name, and who finds another's there stops and keeps its exit code to itself. The log is locked while the program runs, as on one
/// machine; a new start waits for the one before, but not for ever, since a dead node may hold its lock on some file systems.
const BODY: &str = r#"told=
trap : TERM
trap 'told=yes' USR1
rm -f "$code"
mkdir -p "$(dirname "$log")"
start="$SLURM_JOB_ID ${SLURM_RESTART_COUNT:=0} $SLURMD_NODENAME $$"
echo "$begins$start"
echo "$start" > "$code.start"
is_replaced() {
  last=$(cat "$code.start" 2> /dev/null)
  [ -n "$last" ] && [ "$last" != "$start" ]
}
[ "$SLURM_RESTART_COUNT" -gt 0 ] || [ ! -e "$log" ] || mv -f "$log" "$previous"
exec 9>> "$log"
flock -w 120 9 2> /dev/null
printf '%s%s\n' "$call" "$*" >> "$log"
"$@" >> "$log" 2>&1 &
program=$!
trap 'kill -TERM "$program" 2> /dev/null' USR1
[ -z "$told" ] || kill -TERM "$program"
(
  trap 'kill "$!"; exit' TERM
  until is_replaced; do
    sleep 10 &
    wait "$!"
  done
  kill -USR1 "$$"
) 9>&- > /dev/null 2>&1 &
watch=$!
wait "$program"
status=$?
while kill -0 "$program" 2> /dev/null; do
  wait "$program"
  status=$?
done
kill "$watch" 2> /dev/null
is_replaced && exit "$status"
echo "$status" > "$code.writing" && mv "$code.writing" "$code"
exit "$status"
"#;

/// Where a task leaves its exit code, in the folder of its submission.
pub fn code_file(folder: &Path, task: &str) -> PathBuf {
    folder.join(format!("{}.code", task.replace('/', "-")))
}

/// The script of the tasks with these indices, elements 0, 1, 2 ... of a job.
pub fn text(slurm: &Slurm<'_>, folder: &Path, tasks: &[usize]) -> String {
    let mut text =
        "#!/bin/sh\n# Made by `chumoku run --executor slurm`, which also follows what this starts.\n".to_owned();
    let [call, begins] = [CALL, BEGINS].map(|word| quoted(OsStr::new(word)));
    text.push_str(&format!("call={call} begins={begins}\ncase ${{SLURM_ARRAY_TASK_ID:-0}} in\n"));
    for (element, at) in tasks.iter().enumerate() {
        let task = &slurm.graph.tasks()[*at];
        let program = slurm.programs.path(task.stage).as_os_str();
        let arguments = stage::arguments(slurm.file, slurm.set, task);
        let inside = slurm.inside.split_whitespace().map(OsStr::new);
        let words: Vec<String> =
            inside.chain([program]).chain(arguments.iter().map(|word| word.as_os_str())).map(quoted).collect();
        let log = slurm.layout.log(&task.id);
        let files = [("log", log.clone()), ("previous", logs::previous(&log)), ("code", code_file(folder, &task.id))];
        let files = files.map(|(name, path)| format!("{name}={}", quoted(path.as_os_str())));
        text.push_str(&format!("{element}) {}\n  set -- {} ;;\n", files.join(" "), words.join(" ")));
    }
    text.push_str("*) exit 2 ;;\nesac\n");
    text.push_str(BODY);
    text
}

/// A word for the shell. Paths that are not UTF-8 are as lossy here as they are in the study's own YAML.
pub fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        for word in ["plain", "two words", "it's", "$HOME `x` \"y\" \\ *", ""] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(OsStr::new(word)))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
