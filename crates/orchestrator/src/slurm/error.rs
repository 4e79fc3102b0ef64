//! What can go wrong between a study and its cluster.

use std::path::PathBuf;

use contract::{Coded, Exit};

/// Why a study did not finish on its cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Slurm is not installed here.
    #[error(
        "no program {0} on this machine; run this where Slurm's commands work (a login node), or use --executor local"
    )]
    NoProgram(&'static str),
    /// One of Slurm's commands failed.
    #[error("{command} failed: {said}{advice}", advice = advice(said))]
    Command {
        /// Its name.
        command: &'static str,
        /// Its own words.
        said: String,
    },
    /// A word of `--slurm`.
    #[error("--slurm {given}: {why}")]
    Option {
        /// The word.
        given: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Jobs of the same study, submitted with other settings or programs.
    #[error(
        "study \"{study}\" has {jobs} of an earlier run with other settings or programs; wait for them, or stop them \
         with `scancel --name {name}`"
    )]
    Others {
        /// The study.
        study: String,
        /// The jobs.
        jobs: String,
        /// Their name.
        name: String,
    },
    /// Jobs run while a run on this machine is asked for.
    #[error(
        "study \"{study}\" has {jobs} on the cluster; follow them with --executor slurm, or stop them with \
         `scancel --name {name}`"
    )]
    Running {
        /// The study.
        study: String,
        /// The jobs.
        jobs: String,
        /// Their name.
        name: String,
    },
    /// Jobs may run, and Slurm cannot be asked.
    #[error(
        "study \"{study}\" had {jobs} on a cluster that cannot be asked from here; run this on the cluster, or remove \
         {file} if you know that they have ended"
    )]
    Unknown {
        /// The study.
        study: String,
        /// The jobs.
        jobs: String,
        /// The record.
        file: PathBuf,
    },
    /// The record of what was submitted.
    #[error("{path}: {said}; remove it if no jobs of this study run any more")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        said: String,
    },
    /// Slurm ended a task.
    #[error("task {task}, job {job}: {how}; log: {log}\n{advice}")]
    Job {
        /// The task.
        task: String,
        /// Its job, or element of an array.
        job: String,
        /// What happened.
        how: String,
        /// Where to read more.
        log: PathBuf,
        /// What to do.
        advice: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error(
        "stopped, and cancelled {0}; the same command goes on from where they were (a training run from its last checkpoint)"
    )]
    Cancelled(String),
}

/// What to do about Slurm's most usual words.
fn advice(said: &str) -> &'static str {
    const KNOWN: [(&str, &str); 6] = [
        ("temporarily unavailable", "; Slurm holds as many jobs as it may (MaxJobCount), or you do: try again later"),
        ("Unable to contact", "; its controller is down or starts anew"),
        ("invalid partition", "; `sinfo` lists those there are: --slurm partition=NAME"),
        ("Requested node configuration", "; no node has that much: ask for less with --slurm"),
        ("time limit", "; `sinfo -o '%P %l'` lists those of the partitions: --slurm time=HOURS:MINUTES:SECONDS"),
        ("Invalid account", "; `sacctmgr show assoc user=$USER` lists yours: --slurm account=NAME"),
    ];
    KNOWN.into_iter().find(|(words, _)| said.contains(words)).map_or("", |(_, advice)| advice)
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::NoProgram(_) => Exit::Missing,
            Self::Option { .. } => Exit::Usage,
            Self::Cancelled(_) => Exit::Interrupted,
            _ => Exit::Unexpected,
        }
    }
}
