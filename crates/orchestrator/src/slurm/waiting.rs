//! Why jobs wait: in a few words for the line of the whole run, and in a warning where waiting may never end.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Place, Seen};
use super::record;

/// Reasons to wait that pass by themselves.
const USUAL: [&str; 8] =
    ["None", "Priority", "Resources", "Dependency", "JobArrayTaskLimit", "BeginTime", "Cleaning", "(null)"];
/// Of these, those that say nothing.
const PLAIN: [&str; 3] = ["None", "Dependency", "(null)"];

/// A reason without what follows it in detail, so that it is the same for all jobs: `ReqNodeNotAvail`.
fn short(reason: &str) -> &str {
    let reason = reason.trim_matches(['(', ')']);
    reason.split(',').next().unwrap_or_default()
}

/// `5 queued (Priority, Resources)`; empty if none wait.
pub fn remark(seen: &BTreeMap<Place, Seen>) -> String {
    let waiting: Vec<&str> = seen.values().filter(|one| one.is_waiting()).map(|one| short(&one.reason)).collect();
    let why: BTreeSet<&str> = waiting.iter().copied().filter(|reason| !PLAIN.contains(reason)).collect();
    let why: Vec<&str> = why.into_iter().collect();
    match (waiting.len(), why.is_empty()) {
        (0, _) => String::new(),
        (count, true) => format!("{count} queued"),
        (count, false) => format!("{count} queued ({})", why.join(", ")),
    }
}

/// Reasons that may never pass, by how they begin, and what to do. The words are those of squeue(1), "JOB REASON CODES", and of slurmctld's
/// own remarks.
const KINDS: [(&[&str], &str); 4] = [
    (
        &["PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig", "BadConstraints"],
        "more time, memory or nodes are asked for than the partition gives (`scontrol show partition`); stop this and give other options, such as --slurm time=HOURS:MINUTES:SECONDS, or another partition",
    ),
    (
        &["PartitionDown", "PartitionInactive"],
        "the partition starts no jobs now (`sinfo`); wait, or stop this and give another with --slurm partition=NAME",
    ),
    (
        &["ReqNodeNotAvail", "Nodes required for job", "NodeDown"],
        "the nodes they could have are down, drained or kept for others (`sinfo -R` says why); they go on once one is back",
    ),
    (
        &["QOS", "Assoc", "MaxQOS", "MaxAssoc", "InvalidAccount", "InvalidQOS"],
        "a limit of your account or quality of service; they go on when other jobs end, unless they ask for more than the limit itself",
    ),
];

/// What is known of a reason: a word for it and others of its kind, and what to do.
fn known(reason: &str) -> Option<(&'static str, &'static str)> {
    let kind = KINDS.iter().find(|(words, _)| words.iter().any(|word| reason.starts_with(word)));
    kind.map(|(words, advice)| (words[0], *advice))
}

/// A warning for each kind of reason that may never pass and is not in `said`, to which it is added. All jobs are called `name`.
pub fn warnings(name: &str, seen: &BTreeMap<Place, Seen>, said: &mut BTreeSet<String>) -> Vec<String> {
    let mut new: BTreeMap<&str, (&str, Vec<String>)> = BTreeMap::new();
    for (place, one) in seen.iter().filter(|(_, one)| one.is_waiting()) {
        let reason = short(&one.reason);
        let kind = known(reason).map_or(reason, |(kind, _)| kind);
        if !USUAL.contains(&reason) && !said.contains(kind) {
            new.entry(kind).or_insert((reason, Vec::new())).1.push(record::shown(place));
        }
    }
    said.extend(new.keys().map(|kind| (*kind).to_owned()));
    new.into_values().map(|(reason, jobs)| warning(name, reason, &jobs)).collect()
}

fn warning(name: &str, reason: &str, jobs: &[String]) -> String {
    let (who, which) = match jobs {
        [only] => (format!("job {only} waits"), only.clone()),
        all => (format!("{} jobs wait", all.len()), format!("jobname={name}")),
    };
    let advice = match known(reason) {
        Some((_, advice)) => advice.to_owned(),
        None if reason.to_ascii_lowercase().contains("held") => {
            format!("held until somebody says `scontrol release {which}`")
        }
        None => "if that does not pass, stop this and give other --slurm options".to_owned(),
    };
    format!("warning: {who} ({reason}): {advice}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(of: &[(usize, &str, &str)]) -> BTreeMap<Place, Seen> {
        let one = |(element, state, reason): &(usize, &str, &str)| {
            let (state, reason) = ((*state).to_owned(), (*reason).to_owned());
            let seen = Seen { state, reason, ran: Duration::ZERO, limit: None, nodes: String::new() };
            (("3".to_owned(), Some(*element)), seen)
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn reasons_are_said_once_and_those_that_pass_not_at_all() {
        let mut said = BTreeSet::new();
        let waiting = seen(&[
            (0, "RUNNING", "None"),
            (1, "PENDING", "Priority"),
            (2, "PENDING", "(ReqNodeNotAvail, UnavailableNodes:n1)"),
            (4, "PENDING", "(ReqNodeNotAvail, UnavailableNodes:n2)"),
            (5, "PENDING", "Dependency"),
        ]);
        assert_eq!(remark(&waiting), "4 queued (Priority, ReqNodeNotAvail)");
        let warned = warnings("name", &waiting, &mut said);
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(warned[0].starts_with("warning: 2 jobs wait (ReqNodeNotAvail): the nodes"), "{warned:?}");
        assert!(warnings("name", &waiting, &mut said).is_empty());
        let down = seen(&[(1, "PENDING", "Nodes required for job are DOWN, DRAINED or reserved")]);
        assert!(warnings("name", &down, &mut said).is_empty(), "said in other words");
        let held = warnings("name", &seen(&[(7, "PENDING", "job requeued in held state")]), &mut said);
        assert_eq!(
            held,
            ["warning: job 3_7 waits (job requeued in held state): held until somebody says `scontrol release 3_7`"]
        );
        let both = warnings("name", &seen(&[(7, "PENDING", "JobHeldUser"), (8, "PENDING", "JobHeldUser")]), &mut said);
        assert!(
            both[0].contains("2 jobs wait (JobHeldUser): held until somebody says `scontrol release jobname=name`"),
            "{both:?}"
        );
        assert_eq!(remark(&seen(&[(0, "RUNNING", "None")])), "");
        assert_eq!(remark(&seen(&[(0, "PENDING", "None")])), "1 queued");
    }
}
