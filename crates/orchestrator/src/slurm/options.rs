//! `--slurm [STAGE:]KEY=VALUE,...`: what sbatch is told besides what Chumoku tells it.

use std::time::Duration;

use contract::plan::Stage;

use super::error::Error;

/// Short words, and the option of sbatch that each stands for. Every other key is an option of sbatch as it is.
const WORDS: [(&str, &str); 2] = [("memory", "mem"), ("cpus", CPUS)];
/// The option that sets a task's cores; without it, a task gets as many as it has threads.
pub const CPUS: &str = "cpus-per-task";
/// The option that sets a job's time limit.
const TIME: &str = "time";
/// Options that Chumoku gives itself, or that would keep it from following.
const OURS: [&str; 15] = [
    "array",
    "chdir",
    "dependency",
    "error",
    "help",
    "hold",
    "job-name",
    "kill-on-invalid-dep",
    "open-mode",
    "output",
    "parsable",
    "signal",
    "test-only",
    "wait",
    "wrap",
];

/// Options of sbatch, of one stage or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(Option<Stage>, String, Option<String>)>);

impl Options {
    /// Reads the words of all `--slurm`. A piece after a comma that has no `=` belongs to the value before it: `gres=gpu:1,tmp:2`.
    ///
    /// # Errors
    /// A key is not one of sbatch's form, or is Chumoku's own.
    pub fn parse(given: &[String]) -> Result<Self, Error> {
        let mut options = Self::default();
        for words in given {
            let stage = |stage: &Stage| words.strip_prefix(stage.name()).is_some_and(|rest| rest.starts_with(':'));
            let stage = Stage::ALL.into_iter().find(stage);
            let rest = stage.map_or(words.as_str(), |stage| &words[stage.name().len() + 1..]);
            options.add(stage, rest, words)?;
        }
        Ok(options)
    }

    fn add(&mut self, stage: Option<Stage>, words: &str, given: &str) -> Result<(), Error> {
        let first = self.0.len();
        for piece in words.split(',') {
            match (piece.split_once('='), self.0[first..].last_mut()) {
                (Some((key, value)), _) => self.0.push((stage, checked(key, given)?, Some(value.to_owned()))),
                (None, Some((_, _, Some(value)))) => value.push_str(&format!(",{piece}")),
                (None, _) => self.0.push((stage, checked(piece, given)?, None)),
            }
        }
        Ok(())
    }

    /// The arguments for a job of `stage`. What is said of the stage itself comes last, and so wins.
    pub fn arguments(&self, stage: Stage) -> Vec<String> {
        let of = |wanted: Option<Stage>| self.0.iter().filter(move |(of, _, _)| *of == wanted);
        let text = |(_, key, value): &(Option<Stage>, String, Option<String>)| match value {
            Some(value) => format!("--{key}={value}"),
            None => format!("--{key}"),
        };
        of(None).chain(of(Some(stage))).map(text).collect()
    }

    /// The time limit of a job of `stage`, if one is given.
    pub fn limit(&self, stage: Stage) -> Option<Duration> {
        let of = |wanted: Option<Stage>| {
            let mut found = self.0.iter().rev().filter(move |(of, key, _)| *of == wanted && key == TIME);
            found.next().and_then(|(_, _, value)| value.as_deref())
        };
        limit(of(Some(stage)).or_else(|| of(None))?)
    }
}

/// A time limit in sbatch's words: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, `days-hours:minutes` or
/// `days-hours:minutes:seconds`. None for others, such as UNLIMITED, and for zero, which means the same.
fn limit(text: &str) -> Option<Duration> {
    let (days, clock) = text.split_once('-').map_or((None, text), |(days, clock)| (Some(days), clock));
    let parts = clock.split(':').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (None, [minutes]) => (0, *minutes, 0),
        (None, [minutes, seconds]) => (0, *minutes, *seconds),
        (Some(_), [hours]) => (*hours, 0, 0),
        (Some(_), [hours, minutes]) => (*hours, *minutes, 0),
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let days = days.map_or(Some(0), |days| days.parse::<u64>().ok())?;
    let seconds = seconds.checked_add(minutes.checked_mul(60)?)?.checked_add(hours.checked_mul(3600)?)?;
    let seconds = seconds.checked_add(days.checked_mul(86_400)?)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn checked(key: &str, given: &str) -> Result<String, Error> {
    let wrong = |why: String| Err(Error::Option { given: given.to_owned(), why });
    let is_word = |key: &str| !key.is_empty() && key.chars().all(|one| one.is_ascii_lowercase() || one == '-');
    if !is_word(key) || key.starts_with('-') {
        return wrong(format!(
            "\"{key}\" is no option of sbatch; expected [STAGE:]KEY=VALUE,... such as partition=gpu or train:time=04:00:00"
        ));
    }
    if OURS.contains(&key) {
        return wrong(format!("chumoku sets {key} itself; leave it out"));
    }
    let known = WORDS.into_iter().find(|(word, _)| *word == key);
    Ok(known.map_or(key, |(_, option)| option).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, Error> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_options_of_a_stage_or_of_all() {
        let options =
            parse(&["train:gres=gpu:1,tmp:2,time=04:00:00", "partition=gpu,memory=8G,time=10", "exclusive", "cpus=2"])
                .unwrap();
        let all = ["--partition=gpu", "--mem=8G", "--time=10", "--exclusive", "--cpus-per-task=2"];
        assert_eq!(options.arguments(Stage::Report), all);
        let train = [&all[..], &["--gres=gpu:1,tmp:2", "--time=04:00:00"]].concat();
        assert_eq!(options.arguments(Stage::Train), train);
    }

    #[test]
    fn the_limit_of_a_stage_wins_in_any_form_of_sbatch() {
        let options = parse(&["time=30", "train:time=1-02:03", "train:time=2:30", "report:time=UNLIMITED"]).unwrap();
        let seconds = |stage| options.limit(stage).map(|limit| limit.as_secs());
        assert_eq!([Stage::Dataset, Stage::Train, Stage::Report].map(seconds), [Some(1800), Some(150), None]);
        // The forms that the manual of sbatch lists under --time.
        let forms =
            [("5", 300), ("5:10", 310), ("1:00:00", 3600), ("1-1", 90_000), ("1-1:1", 90_060), ("1-1:1:1", 90_061)];
        for (text, seconds) in forms {
            assert_eq!(limit(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert!(["", "0", "x", "1:2:3:4", "1-", "99999999999999999999"].iter().all(|text| limit(text).is_none()));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for (words, part) in [
            ("array=1-3", "chumoku sets array itself"),
            ("trian:time=3", "\"trian:time\" is no option"),
            ("", "\"\" is no option"),
            ("time=3,", "--slurm"),
            ("--mem=3", "is no option"),
            ("x y", "is no option"),
        ] {
            match parse(&[words]) {
                Err(error) => assert!(error.to_string().contains(part), "{words}: {error}"),
                Ok(options) => {
                    assert_eq!((words, options.arguments(Stage::Train)), ("time=3,", vec!["--time=3,".to_owned()]))
                }
            }
        }
    }
}
