//! What a finished run says: how much it did, where the report is, and both tables.

use std::time::Duration;

use contract::Config;
use contract::layout::{Layout, REPORT, SUMMARY};

use crate::schedule::Outcome;

/// The last lines of `chumoku run`: what the report says in short, how much was done, where the report is.
pub fn text(config: &Config, outcome: &Outcome, elapsed: Duration) -> String {
    let (study, seconds) = (&config.study, elapsed.as_secs_f64());
    let folder = Layout::new(config).reports;
    let mut text = String::new();
    if let Ok(summary) = std::fs::read_to_string(folder.join(SUMMARY)) {
        text.push_str(&format!("{}\n\n", summary.trim_end()));
    }
    let total = outcome.ran + outcome.up_to_date;
    text.push_str(&if outcome.ran == 0 {
        format!("{study}: nothing to do, all {total} tasks are up to date ({seconds:.1} s)\n")
    } else {
        let up_to_date = outcome.up_to_date;
        format!("{study}: ran {} of {total} tasks, {up_to_date} were up to date ({seconds:.1} s)\n", outcome.ran)
    });
    text.push_str(&format!("report: {}\n", folder.join(REPORT).display()));
    text
}
