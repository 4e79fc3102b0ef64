//! Whose pseudonym it is: the one command that says a raw id, for whoever holds the study's key and input.

use contract::cli::StageArgs;
use contract::plan;

use crate::error::Error;
use crate::privacy::Naming;
use crate::{images, labels};

/// Arguments of `whois`.
#[derive(Debug, clap::Args)]
pub struct WhoisArgs {
    /// A patient_id of the outputs
    pub pseudonym: String,
    #[command(flatten)]
    stage: StageArgs,
}

/// Prints the id in the labels or the manifest that has this pseudonym.
///
/// # Errors
/// The study, its key or its list of patients cannot be read, or no patient has the pseudonym.
pub fn run(args: &WhoisArgs) -> Result<(), Error> {
    let config = args.stage.load()?;
    let naming = Naming::existing(&config)?;
    let (list, ids): (_, Vec<String>) = match &config.preprocess.manifest {
        Some(manifest) => {
            let entries = images::read_manifest(manifest, &config.classes)?.entries;
            (manifest.clone(), entries.into_iter().map(|entry| entry.patient).collect())
        }
        None => {
            let file = plan::labels_file(&config);
            let labels = labels::read(&file, &config.classes)?;
            (file, labels.names().map(str::to_owned).collect())
        }
    };
    let found = ids.iter().find(|id| naming.patient(id).is_ok_and(|pseudonym| pseudonym == args.pseudonym));
    let found = found.ok_or_else(|| Error::Patient {
        patient: args.pseudonym.clone(),
        message: format!("nobody in {} has this pseudonym under the key of this study", list.display()),
    })?;
    contract::tell!("{found}");
    Ok(())
}
