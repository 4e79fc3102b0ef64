//! `chumoku init`: a study's YAML from what is there. It asks only what it cannot see, each question with a default and a flag.

mod ask;
mod seen;
mod table;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};

use contract::atomic::FileWriter;
use contract::cli;
use contract::config::Config;

use crate::error::Error;
use crate::say;
use ask::Asker;
use seen::Seen;
use table::Labelled;

/// Arguments of `chumoku init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// A folder of DICOM series, a folder with a manifest in it, or a manifest CSV; without it a study of synthetic CT
    pub input: Option<PathBuf>,
    /// The file to write; STUDY.yaml in the working directory without it
    #[arg(long, value_name = "STUDY.yaml")]
    pub out: Option<PathBuf>,
    /// Name of the study
    #[arg(long, value_name = "NAME")]
    pub study: Option<String>,
    /// CSV with the patients' labels, for DICOM; labels.csv in the folder without it
    #[arg(long, value_name = "CSV")]
    pub labels: Option<PathBuf>,
    /// Column with the label
    #[arg(long, value_name = "COLUMN")]
    pub label_column: Option<String>,
    /// Column with the patient
    #[arg(long, value_name = "COLUMN")]
    pub patient_column: Option<String>,
    /// Column with the file, relative to the CSV
    #[arg(long, value_name = "COLUMN")]
    pub path_column: Option<String>,
    /// Names of the classes, in the order of the labels' values
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    /// The class whose recall is the sensitivity
    #[arg(long, value_name = "CLASS")]
    pub positive: Option<String>,
    /// Ask nothing, take the defaults
    #[arg(long)]
    pub yes: bool,
    /// Write over a study that is there
    #[arg(long)]
    pub force: bool,
}

/// Writes a study, and says what was seen and what to type next. `programs` is the folder of the stage programs.
///
/// # Errors
/// Nothing usable is there, an answer is needed that no flag gives, or the study exists.
pub fn run(args: &InitArgs, programs: &Path) -> Result<(), Error> {
    let refuse = |file: &Path| refuse_to_replace(file, args.force);
    // What can be known to be in the way is said before anything is asked.
    args.out.as_deref().map_or(Ok(()), refuse)?;
    let seen = Seen::look(args, programs)?;
    cli::say(seen.words().trim_end());
    table::converted(&seen).as_deref().map_or(Ok(()), refuse)?;
    let asker = Asker::new(args.yes);
    let study = name(args, &seen, &asker)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{study}.yaml")));
    refuse(&out)?;
    let labelled = Labelled::of(args, &seen, &asker)?;
    let positive = positive(args, &labelled.classes, &asker)?;
    let converted = labelled.place(&seen, &out);
    converted.as_deref().map_or(Ok(()), refuse)?;
    let text = write::yaml(&study, &seen, &labelled, positive, (&out, converted.as_deref()));
    store(&out, &text)?;
    say(&format!("wrote {}\n", out.display()));
    if let Some(csv) = converted {
        labelled.write(&seen, &csv)?;
        say(&format!("wrote {}, the table with the columns that Chumoku reads\n", csv.display()));
    }
    say(&format!("next: chumoku check {}\n", out.display()));
    Ok(())
}

/// Nothing is written over without `--force`.
fn refuse_to_replace(file: &Path, force: bool) -> Result<(), Error> {
    if force || !file.exists() {
        return Ok(());
    }
    let is_table = file.to_string_lossy().ends_with(table::CONVERTED);
    let what = if is_table { "move it, or give --force" } else { "give --out another file, or --force" };
    Err(Error::Usage(format!("{} exists; {what} to write over it", file.display())))
}

/// The study's name: asked, with the file's or the input's own as default.
fn name(args: &InitArgs, seen: &Seen, asker: &Asker) -> Result<String, Error> {
    let source = args.out.as_deref().or(args.input.as_deref()).and_then(Path::file_stem);
    let guess: String =
        source.map_or_else(|| seen.default_name().to_owned(), |stem| stem.to_string_lossy().into_owned());
    let letters = guess.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' });
    let guess: String = letters.take(64).collect();
    asker.ask("name of the study", args.study.as_deref(), Some(&guess), "--study")
}

/// Words that a positive class is called by.
const POSITIVE: [&str; 7] = ["covid", "pos", "disease", "malign", "cancer", "tumo", "abnormal"];

/// Index of the positive class: asked, with a likely one or the last as default.
fn positive(args: &InitArgs, classes: &[String], asker: &Asker) -> Result<usize, Error> {
    let likely = |class: &&String| {
        let class = class.to_lowercase();
        !class.starts_with("non") && POSITIVE.iter().any(|word| class.contains(word))
    };
    let guess = classes.iter().find(likely).or(classes.last());
    asker.choose("positive class", args.positive.as_deref(), guess.map(String::as_str), classes, "--positive")
}

/// Writes the study once it is known to be one.
fn store(out: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { path: out.to_owned(), source };
    let mut file = FileWriter::create(out).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Config::load(file.temporary(), &[])?;
    file.commit().map_err(failed)
}
