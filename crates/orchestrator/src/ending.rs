//! What a finished run says: how much it did, where the report is, and both tables.

use std::time::Duration;

use contract::Config;
use contract::layout::Layout;

use crate::schedule::Outcome;

/// The last lines of `chumoku run`.
pub fn text(config: &Config, outcome: &Outcome, elapsed: Duration) -> String {
    let (study, seconds) = (&config.study, elapsed.as_secs_f64());
    let total = outcome.ran + outcome.up_to_date;
    let mut text = if outcome.ran == 0 {
        format!("{study}: nothing to do, all {total} tasks are up to date ({seconds:.1} s)\n")
    } else {
        let up_to_date = outcome.up_to_date;
        format!("{study}: ran {} of {total} tasks, {up_to_date} were up to date ({seconds:.1} s)\n", outcome.ran)
    };
    let folder = Layout::new(config).reports;
    text.push_str(&format!("report: {}\n", folder.join("report.html").display()));
    if let Ok(tables) = std::fs::read_to_string(folder.join("tables.md")) {
        text.push_str(&format!("\n{}\n", tables.trim_end()));
    }
    text
}
