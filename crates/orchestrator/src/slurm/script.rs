//! The script of a job: which program each element runs, and how its end is told.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Slurm;
use crate::stage::{self, CALL};

/// Seconds before the end of its time in which a job may still write a checkpoint.
pub const NOTICE_SECONDS: u32 = 90;

/// What follows the choice of the task. `$@` is the program with its arguments.
///
/// A SIGTERM from Slurm (scancel, preemption) reaches the program as well as this script, which only has to stay for the exit code.
/// The notice before the time limit, USR1, reaches the script alone, which makes a SIGTERM of it. `wait` ends early when a signal is
/// trapped, so it is repeated while the program lives.
const BODY: &str = r#"rm -f "$code"
mkdir -p "$(dirname "$log")"
printf '%s%s\n' "$call" "$*" >> "$log"
trap : TERM
"$@" >> "$log" 2>&1 &
program=$!
trap 'kill -TERM "$program" 2> /dev/null' USR1
wait "$program"
status=$?
while kill -0 "$program" 2> /dev/null; do
  wait "$program"
  status=$?
done
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
    text.push_str(&format!("call={}\ncase ${{SLURM_ARRAY_TASK_ID:-0}} in\n", quoted(OsStr::new(CALL))));
    for (element, at) in tasks.iter().enumerate() {
        let task = &slurm.graph.tasks()[*at];
        let program = slurm.programs.path(task.stage).as_os_str();
        let arguments = stage::arguments(slurm.file, slurm.set, task);
        let inside = slurm.inside.split_whitespace().map(OsStr::new);
        let words: Vec<String> =
            inside.chain([program]).chain(arguments.iter().map(|word| word.as_os_str())).map(quoted).collect();
        let log = quoted(slurm.layout.log(&task.id).as_os_str());
        let code = quoted(code_file(folder, &task.id).as_os_str());
        text.push_str(&format!("{element}) log={log} code={code}\n  set -- {} ;;\n", words.join(" ")));
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
