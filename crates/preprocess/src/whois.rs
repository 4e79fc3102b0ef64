//! The one command that prints raw ids, for who holds the study's key and input: the patient of a pseudonym, the file of an error, or the
//! patients of the CT who have no label.

use std::path::{Path, PathBuf};

use contract::cli::StageArgs;
use contract::config::Config;
use contract::layout::Layout;
use contract::plan;

use crate::error::Error;
use crate::inputs::unlabelled;
use crate::labels::Patients;
use crate::privacy::{Naming, UNKNOWN_FILE};
use crate::{dicom, images, labels};

/// Arguments of `whois`.
#[derive(Debug, clap::Args)]
pub struct WhoisArgs {
    /// A patient_id of the outputs, or a file-... of an error
    #[arg(required_unless_present = "unlabelled", conflicts_with = "unlabelled")]
    pub pseudonym: Option<String>,
    /// Print the PatientID, slices and folder of each patient of the CT who has no label, as CSV
    #[arg(long)]
    pub unlabelled: bool,
    #[command(flatten)]
    stage: StageArgs,
}

/// Prints the raw id or path that has this pseudonym, or the patients without a label.
///
/// # Errors
/// The study, its key or its input cannot be read, or nothing has the pseudonym.
pub fn run(args: &WhoisArgs) -> Result<(), Error> {
    let config = args.stage.load()?;
    let Some(pseudonym) = &args.pseudonym else { return print_unlabelled(&config) };
    let naming = Naming::new(&config)?;
    let input = Layout::new(&config).preprocess_input(&config);
    let found = match pseudonym.starts_with(UNKNOWN_FILE) {
        true => file(&naming, &input, pseudonym)?.map(|path| path.display().to_string()),
        false => patient(&config, &naming, &input, pseudonym)?,
    };
    let found = found.ok_or_else(|| Error::Patient {
        patient: pseudonym.clone(),
        message: format!(
            "nothing in the labels or in {} has this pseudonym under the key of this study",
            config.preprocess.manifest.as_ref().unwrap_or(&input).display()
        ),
    })?;
    contract::tell!("{found}");
    Ok(())
}

/// The patient of the labels, of the manifest, or of the CT.
fn patient(config: &Config, naming: &Naming, input: &Path, pseudonym: &str) -> Result<Option<String>, Error> {
    let is_it = |raw: &str| naming.patient(raw).is_ok_and(|found| found == pseudonym);
    if let Some(manifest) = &config.preprocess.manifest {
        let manifest = images::read_manifest(manifest, &config.classes)?;
        return Ok(manifest.entries.into_iter().map(|entry| entry.patient).find(|raw| is_it(raw)));
    }
    // Labels that cannot be read are no reason to leave a patient of the CT without an answer.
    let labels = labels::read(&plan::labels_file(config), &config.classes).unwrap_or_default();
    if let Some(raw) = labels.names().find(|raw| is_it(raw)) {
        return Ok(Some(raw.to_owned()));
    }
    let files = walk(input)?;
    let ids = files.iter().flat_map(|file| dicom::headers(input, file).unwrap_or_default());
    Ok(ids.map(|header| header.patient).find(|raw| is_it(raw)))
}

/// The file of the input, with its folder.
fn file(naming: &Naming, input: &Path, pseudonym: &str) -> Result<Option<PathBuf>, Error> {
    let found = walk(input)?.into_iter().find(|file| naming.unknown_file(file) == pseudonym);
    Ok(found.map(|file| input.join(file)))
}

fn walk(input: &Path) -> Result<Vec<PathBuf>, Error> {
    contract::hash::walk(input).map_err(|source| Error::Read { path: input.to_owned(), source })
}

fn print_unlabelled(config: &Config) -> Result<(), Error> {
    if config.preprocess.manifest.is_some() {
        return Err(Error::Usage("--unlabelled: every row of a manifest has a label".to_owned()));
    }
    let input = Layout::new(config).preprocess_input(config);
    let labels = labels::read(&plan::labels_file(config), &config.classes)?;
    let without_label = |one: &dicom::Series| labels.label(&one.patient).is_none();
    let series: Vec<dicom::Series> =
        dicom::scan_as(&input, |file| labels.of_file(file))?.series.into_iter().filter(without_label).collect();
    print_table(&unlabelled::patients(&series, &labels), &labels)
}

fn print_table(patients: &[unlabelled::Patient], labels: &Patients) -> Result<(), Error> {
    if patients.is_empty() {
        contract::say!("note: all patients of the CT are among the {} of the labels", labels.names().count());
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::Usage(error.to_string());
    table.write_record(["patient_id", "slices", "folder", "alike_in_labels"]).map_err(failed)?;
    for patient in patients {
        let folder = patient.folder.to_string_lossy();
        let alike = patient.alike.as_deref().unwrap_or_default();
        table.write_record([&patient.raw, &patient.slices.to_string(), &*folder, alike]).map_err(failed)?;
    }
    let bytes = table.into_inner().unwrap_or_default();
    contract::tell!("{}", String::from_utf8_lossy(&bytes).trim_end());
    Ok(())
}
