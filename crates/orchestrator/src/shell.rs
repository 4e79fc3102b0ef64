//! Commands as a shell would have to be given them: what logs say of a program, and what messages tell the user to type.

use std::ffi::OsStr;
use std::path::Path;

use crate::slurm::script;

/// A command line; only words that a shell would take apart are quoted.
pub fn line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// `chumoku NAME STUDY.yaml [--set KEY=VALUE]...`.
pub fn chumoku(name: &str, study: &Path, set: &[String]) -> String {
    let set = set.iter().flat_map(|set| ["--set", set]).map(OsStr::new);
    line([OsStr::new("chumoku"), OsStr::new(name), study.as_os_str()].into_iter().chain(set))
}

fn word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let is_plain = |one: char| one.is_alphanumeric() || "_-./=,:+@%".contains(one);
    if !text.is_empty() && text.chars().all(is_plain) { text.into_owned() } else { script::quoted(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_that_were_given() {
        let words = ["echo", "--set", "train.seeds=[0, 1]", "it's", "", "plain/path-1.yaml", "a=b", "*", "~", "$x"];
        let text = line(words.map(OsStr::new));
        assert!(
            text.starts_with("echo --set 'train.seeds=[0, 1]' ") && text.contains(" plain/path-1.yaml a=b "),
            "{text}"
        );
        let count = format!("set -- {text}; printf '%s\\n' \"$@\"");
        let output = std::process::Command::new("sh").args(["-c", &count]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), words.join("\n") + "\n");
    }
}
