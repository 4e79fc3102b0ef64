//! Questions on the terminal.

use std::io::{BufRead, IsTerminal, Write};

use contract::cli;

use crate::error::Error;

/// Asks, or takes defaults where nobody can answer.
pub(super) struct Asker {
    is_silent: bool,
}

impl Asker {
    /// Silent with `--yes` and where stdin is no terminal.
    pub fn new(yes: bool) -> Self {
        Self { is_silent: yes || !std::io::stdin().is_terminal() }
    }

    /// The flag's value, or the answer, or the default.
    ///
    /// # Errors
    /// There is none of them; the error names the flag. Ctrl-D ended the questions.
    pub fn ask(&self, question: &str, given: Option<&str>, default: Option<&str>, flag: &str) -> Result<String, Error> {
        let answer = match given {
            Some(given) => Some(given.to_owned()),
            None if self.is_silent => None,
            None => {
                let default = default.map_or_else(String::new, |default| format!(" [{default}]"));
                let _ = write!(std::io::stderr(), "{question}{default}: ");
                let mut line = String::new();
                // No line at all, not even an empty one, is Ctrl-D: whoever wants no more is asked no more.
                if !std::io::stdin().lock().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    cli::say("");
                    return Err(Error::Stopped);
                }
                let line = line.trim().to_owned();
                (!line.is_empty()).then_some(line)
            }
        };
        answer
            .or_else(|| default.map(str::to_owned))
            .ok_or_else(|| Error::Usage(format!("the {question} cannot be seen; give {flag}")))
    }

    /// As [`Self::ask`], of one of `choices`; its index.
    ///
    /// # Errors
    /// As [`Self::ask`], and for an answer that is no choice.
    pub fn choose(
        &self,
        question: &str,
        given: Option<&str>,
        default: Option<&str>,
        choices: &[String],
        flag: &str,
    ) -> Result<usize, Error> {
        let question = format!("{question} ({})", choices.join(", "));
        let answer = self.ask(&question, given, default, flag)?;
        choices.iter().position(|choice| *choice == answer).ok_or_else(|| {
            Error::Usage(format!("{question}: expected one of {}, got \"{answer}\"; give {flag}", choices.join(", ")))
        })
    }
}
