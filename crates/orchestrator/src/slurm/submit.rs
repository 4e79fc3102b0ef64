//! From tasks that would run to jobs that wait for each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::plan::{Stage, Task};
use contract::{atomic, hash, interrupt};

use super::error::Error;
use super::options::CPUS;
use super::record::{self, Record, Submitted};
use super::script;
use super::verdict::EARLY;
use super::{Slurm, client};
use crate::estimate::span;
use crate::graph::Forecast;

/// Time that a job has to stop in order before its limit: one may be writing a checkpoint.
pub const NOTICE: Duration = Duration::from_secs(90);
/// The part of a short time limit that is notice, if that is less than [`NOTICE`].
const PART: u32 = 6;
/// Elements of an array, if Slurm allows more: it takes scripts of up to 4 MB, and an element has a kilobyte or two.
const LONGEST: usize = 1000;

/// Tasks that are one job: elements of an array, or a single one.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    stage: Stage,
    /// Indices of the tasks.
    tasks: Vec<usize>,
    /// Indices of the jobs it waits for.
    needs: BTreeSet<usize>,
    /// Cores of each task, where the study says.
    cores: Option<u64>,
}

/// Submits every task that is not up to date.
///
/// # Errors
/// Slurm refuses one, or the run is interrupted: those before it are cancelled. A file cannot be written.
pub fn all(slurm: &Slurm<'_>, forecasts: &[Forecast]) -> Result<Record, crate::Error> {
    let name = name(slurm.study, &slurm.layout.data);
    // Does Slurm answer at all? Nothing is written before.
    client::states(&name)?;
    let top = record::folder(slurm.layout);
    let folder = top.join(&name);
    let failed = |source| crate::Error::Io { path: folder.clone(), source };
    // Scripts and messages of earlier submissions, none of which runs any more.
    if top.exists() {
        std::fs::remove_dir_all(&top).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut record = Record { name, plan: slurm.plan(), complete: false, tasks: Vec::new() };
    record.write(slurm.layout)?;
    let submitted = each(slurm, forecasts, &folder, &mut record);
    if let Err(error) = submitted {
        // If they cannot be cancelled, the next run finds the record and tries again.
        if client::cancel(&record.name, false).is_ok() {
            record::remove(slurm.layout)?;
        }
        return Err(error);
    }
    record.complete = true;
    record.write(slurm.layout)?;
    Ok(record)
}

fn each(slurm: &Slurm<'_>, forecasts: &[Forecast], folder: &Path, record: &mut Record) -> Result<(), crate::Error> {
    let run = |at: &usize| forecasts[*at] != Forecast::UpToDate;
    let tasks: Vec<usize> = (0..forecasts.len()).filter(run).collect();
    let limit = client::array_limit().min(LONGEST);
    let jobs = jobs(slurm.graph.tasks(), |at| slurm.graph.needs(at), &tasks, limit);
    warn_of_short_limits(slurm, &jobs);
    let mut ids: Vec<String> = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        if interrupt::requested() {
            return Err(Error::Cancelled(record.summary()).into());
        }
        let path = folder.join(format!("{at}-{}.sh", job.stage.name()));
        atomic::write(&path, script::text(slurm, folder, &job.tasks).as_bytes())
            .map_err(|source| crate::Error::Io { path: path.clone(), source })?;
        slurm.display.remark(format!("submits job {} of {}", at + 1, jobs.len()));
        let at_a_time = slurm.jobs.filter(|_| job.is_array()).map(|most| share(most.into(), job, &jobs));
        let id = client::submit(&arguments(slurm, &record.name, job, at_a_time, &ids, path)?)?;
        for (element, task) in job.tasks.iter().enumerate() {
            let reasons = match &forecasts[*task] {
                Forecast::Run(reasons) => reasons.clone(),
                Forecast::Depends(names) => vec![format!("it depends on {}", contract::cli::summary(names))],
                Forecast::UpToDate => Vec::new(),
            };
            let element = job.is_array().then_some(element);
            let task = slurm.graph.tasks()[*task].id.clone();
            record.tasks.push(Submitted { task, reasons, job: id.clone(), element });
        }
        record.write(slurm.layout)?;
        ids.push(id);
    }
    slurm.display.remark(String::new());
    Ok(())
}

/// A name that no other jobs have, those of another study with the same name in another folder included: a run looks its jobs up by it,
/// and cancels them by it.
fn name(study: &str, data: &Path) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let folder = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let unique = format!("{} {} {}", now.as_nanos(), std::process::id(), folder.display());
    format!("chumoku-{study}-{}", &hash::bytes(unique.as_bytes())[..8])
}

/// How long before its limit a job is told to stop: less than [`NOTICE`] if little time would be left to work.
pub fn notice(limit: Option<Duration>) -> Duration {
    limit.map_or(NOTICE, |limit| (limit / PART).min(NOTICE))
}

/// Says how little some jobs may work.
fn warn_of_short_limits(slurm: &Slurm<'_>, jobs: &[Job]) {
    let stages: BTreeSet<Stage> = jobs.iter().map(|job| job.stage).collect();
    for stage in stages {
        let Some(limit) = slurm.options.limit(stage).filter(|limit| notice(Some(*limit)) < NOTICE) else { continue };
        let least = limit.saturating_sub(notice(Some(limit)) + EARLY);
        slurm.display.say(&format!(
            "warning: jobs of {} have {}, and Slurm may tell them to stop after {}; give them more with --slurm {0}:time=HOURS:MINUTES:SECONDS",
            stage.name(),
            span(limit),
            span(least)
        ));
    }
}

/// How many elements of `job` may run at a time so that all arrays together have `most`, and each at least one.
fn share(most: usize, job: &Job, jobs: &[Job]) -> usize {
    let all: usize = jobs.iter().filter(|job| job.is_array()).map(|job| job.tasks.len()).sum();
    (most * job.tasks.len() / all.max(1)).max(1)
}

impl Job {
    fn is_array(&self) -> bool {
        self.stage == Stage::Train
    }
}

/// The jobs of `tasks`, each after those it needs. Training runs that need the same and get the same cores share arrays of at most
/// `limit` elements.
fn jobs<'a>(all: &[Task], needs: impl Fn(usize) -> &'a [usize], tasks: &[usize], limit: usize) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for at in tasks {
        let task = &all[*at];
        let needed = |job: &Job| job.tasks.iter().any(|other| needs(*at).contains(other));
        let needs = (0..jobs.len()).filter(|other| needed(&jobs[*other])).collect();
        let new = Job { stage: task.stage, tasks: vec![*at], needs, cores: cores(task) };
        let joins = |job: &&mut Job| {
            new.is_array()
                && (job.stage, &job.needs, job.cores) == (new.stage, &new.needs, new.cores)
                && job.tasks.len() < limit
        };
        match jobs.iter_mut().find(joins) {
            Some(job) => job.tasks.push(*at),
            None => jobs.push(new),
        }
    }
    jobs
}

/// As many cores as the study gives the task threads; none where it says "all", or nothing.
pub fn cores(task: &Task) -> Option<u64> {
    let section = match task.stage {
        Stage::Train => "train",
        Stage::Preprocess => "preprocess",
        _ => return None,
    };
    task.config[section]["threads"].as_u64().filter(|threads| *threads > 0)
}

fn arguments(
    slurm: &Slurm<'_>,
    name: &str,
    job: &Job,
    at_a_time: Option<usize>,
    ids: &[String],
    script: PathBuf,
) -> Result<Vec<String>, crate::Error> {
    let here = std::env::current_dir().map_err(|source| crate::Error::Io { path: PathBuf::from("."), source })?;
    // In this one path a `%` begins a word of sbatch's.
    let folder = script.parent().unwrap_or(Path::new(".")).display().to_string().replace('%', "%%");
    let (stage, number) = (job.stage.name(), if job.is_array() { "%A_%a" } else { "%j" });
    let mut words = vec![
        format!("--job-name={name}"),
        format!("--chdir={}", here.display()),
        format!("--output={folder}/{stage}-{number}.out"),
        "--open-mode=append".to_owned(),
        "--kill-on-invalid-dep=yes".to_owned(),
        // A stage that starts again goes on, whatever its cluster does by default when a node fails.
        "--requeue".to_owned(),
        format!("--signal=B:USR1@{}", notice(slurm.options.limit(job.stage)).as_secs()),
    ];
    if job.is_array() {
        let at_a_time = at_a_time.map_or_else(String::new, |jobs| format!("%{jobs}"));
        words.push(format!("--array=0-{}{at_a_time}", job.tasks.len() - 1));
    }
    if !job.needs.is_empty() {
        let needs: Vec<&str> = job.needs.iter().map(|other| ids[*other].as_str()).collect();
        words.push(format!("--dependency=afterok:{}", needs.join(":")));
    }
    words.extend(job.cores.map(|cores| format!("--{CPUS}={cores}")));
    words.extend(slurm.options.arguments(job.stage));
    words.push(script.display().to_string());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(stage: Stage, threads: u64) -> Task {
        let config = serde_json::json!({ stage.name(): { "threads": threads } });
        Task { stage, id: String::new(), inputs: vec![], config, output: PathBuf::new(), arguments: vec![] }
    }

    #[test]
    fn a_short_limit_is_not_all_notice() {
        let of = |limit: Option<u64>| notice(limit.map(Duration::from_secs)).as_secs();
        assert_eq!([None, Some(86_400), Some(600), Some(120), Some(60)].map(of), [90, 90, 90, 20, 10]);
    }

    #[test]
    fn arrays_share_what_may_run_at_a_time() {
        let job = |stage, tasks: usize| Job { stage, tasks: (0..tasks).collect(), needs: BTreeSet::new(), cores: None };
        let jobs = [job(Stage::Dataset, 1), job(Stage::Train, 1000), job(Stage::Train, 500)];
        assert_eq!((share(30, &jobs[1], &jobs), share(30, &jobs[2], &jobs)), (20, 10));
        assert_eq!((share(1, &jobs[1], &jobs), share(1, &jobs[2], &jobs)), (1, 1));
        assert_eq!(share(4, &jobs[1], &jobs[..2]), 4);
    }

    #[test]
    fn the_same_study_in_two_folders_has_two_names() {
        let names = ["a/data/s", "b/data/s", "a/data/s"].map(|data| name("s", Path::new(data)));
        assert!(names.iter().all(|name| name.starts_with("chumoku-s-")), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3, "{names:?}");
    }

    #[test]
    fn training_runs_share_arrays_and_all_wait_for_what_runs() {
        let all = [
            task(Stage::Preprocess, 0),
            task(Stage::Dataset, 0),
            task(Stage::Train, 1),
            task(Stage::Train, 1),
            task(Stage::Train, 4),
            task(Stage::Train, 1),
            task(Stage::Report, 0),
        ];
        let needs: [&[usize]; 7] = [&[], &[0], &[0, 1], &[0, 1], &[0, 1], &[0, 1], &[0, 1, 2, 3, 4, 5]];
        let made = |tasks: &[usize], limit| {
            let jobs = jobs(&all, |at| needs[at], tasks, limit);
            jobs.into_iter().map(|job| (job.tasks, job.needs.into_iter().collect(), job.cores)).collect::<Vec<_>>()
        };
        let expected: [(Vec<usize>, Vec<usize>, Option<u64>); 5] = [
            (vec![0], vec![], None),
            (vec![1], vec![0], None),
            (vec![2, 3, 5], vec![0, 1], Some(1)),
            (vec![4], vec![0, 1], Some(4)),
            (vec![6], vec![0, 1, 2, 3], None),
        ];
        assert_eq!(made(&[0, 1, 2, 3, 4, 5, 6], 1001), expected);
        // What is up to date is waited for by nobody; arrays are no longer than allowed.
        let expected = [(vec![3, 5], vec![], Some(1)), (vec![6], vec![0], None)];
        assert_eq!(made(&[3, 5, 6], 1001), expected);
        assert_eq!(made(&[2, 3, 5], 2).len(), 2);
    }
}
