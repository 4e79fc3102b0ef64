//! What is in the input, by names and the first bytes; of DICOM what the preprocessing program says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use contract::inspection::Series;
use contract::layout::LABELS;
use contract::plan::Stage;
use contract::schema::column;

use super::InitArgs;
use super::table::{CONVERTED, Table};
use crate::doctor;
use crate::error::Error;

/// What a study can be made of.
pub(super) enum Seen {
    /// No input.
    Synthetic,
    /// A folder of DICOM files and the table of labels.
    Dicom { folder: PathBuf, labels: Table, series: Result<Series, String> },
    /// A table of images or volumes.
    Manifest { table: Table },
}

/// Kinds of files, counted.
#[derive(Default)]
struct Kinds(BTreeMap<&'static str, usize>);

impl Seen {
    /// Looks at the input.
    ///
    /// # Errors
    /// It does not exist, or holds nothing that Chumoku reads.
    pub fn look(args: &InitArgs, programs: &Path) -> Result<Self, Error> {
        let Some(input) = &args.input else { return Ok(Self::Synthetic) };
        let failed = |source| Error::Input { path: input.clone(), source };
        if std::fs::metadata(input).map_err(failed)?.is_file() {
            return Ok(Self::Manifest { table: Table::read(input)? });
        }
        let files = contract::hash::walk(input).map_err(failed)?;
        let kinds = Kinds::of(input, &files);
        if kinds.0.contains_key(DICOM) {
            let labels = args.labels.clone().unwrap_or_else(|| input.join(LABELS));
            if !labels.is_file() {
                return Err(Error::Init(format!(
                    "{0} has {1}, but there is no {2}; make a CSV with the columns {3},{4} ({3} is the DICOM PatientID), or give --labels CSV",
                    input.display(),
                    kinds.words(),
                    labels.display(),
                    column::PATIENT_ID,
                    column::LABEL,
                )));
            }
            let series = doctor::ask(programs, Stage::Preprocess, &[OsStr::new("look"), input.as_os_str()])
                .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
            return Ok(Self::Dicom { folder: input.clone(), labels: Table::read(&labels)?, series });
        }
        let is_table = |name: &str| name.ends_with(".csv") && !name.ends_with(CONVERTED);
        let tables = files.iter().filter(|file| is_table(&file.to_string_lossy()));
        let mut tables: Vec<Table> = tables.filter_map(|file| Table::read(&input.join(file)).ok()).collect();
        tables.retain(|table| table.file_column().is_some());
        match (tables.pop(), tables.is_empty()) {
            (Some(table), true) => Ok(Self::Manifest { table }),
            (Some(_), false) => Err(Error::Init(format!(
                "{} has several CSV files that name files; give one of them instead of the folder",
                input.display()
            ))),
            (None, _) => Err(Error::Init(format!(
                "{} has {} and no CSV that says whose which is; make one with the columns {},{},{} and give it instead of the folder",
                input.display(),
                kinds.words(),
                column::PATH,
                column::PATIENT_ID,
                column::LABEL,
            ))),
        }
    }

    /// A name for the study where neither file nor folder has one.
    pub fn default_name(&self) -> &'static str {
        match self {
            Self::Synthetic => "synthetic",
            Self::Dicom { .. } | Self::Manifest { .. } => "own-data",
        }
    }

    /// The table with patients and labels.
    pub fn table(&self) -> Option<&Table> {
        match self {
            Self::Synthetic => None,
            Self::Dicom { labels, .. } => Some(labels),
            Self::Manifest { table } => Some(table),
        }
    }

    /// What was seen, a line each.
    pub fn words(&self) -> String {
        match self {
            Self::Synthetic => "no input: the study makes synthetic CT of its own\n".to_owned(),
            Self::Dicom { folder, labels, series } => {
                let series = match series {
                    Ok(found) => format!(
                        "{} CT series, {} slices, {} patients, {} other files",
                        found.series, found.slices, found.patients, found.other_files
                    ),
                    Err(words) => format!("DICOM files ({words})"),
                };
                format!("{}: {series}\n{}\n", folder.display(), labels.words())
            }
            Self::Manifest { table } => {
                let names = table.file_column().map(|at| table.values(at)).unwrap_or_default();
                let folder = table.folder();
                let files: Vec<PathBuf> =
                    names.iter().map(PathBuf::from).filter(|file| folder.join(file).is_file()).collect();
                let lost = names.len() - files.len();
                let lost = if lost == 0 { String::new() } else { format!(", {lost} files missing") };
                format!("{}: {}{lost}\n", table.words(), Kinds::of(&folder, &files).words())
            }
        }
    }
}

const DICOM: &str = "DICOM";
/// Endings of names, and what they mean.
const ENDINGS: [(&str, &str); 8] = [
    (".nii", "NIfTI"),
    (".nii.gz", "NIfTI"),
    (".png", "PNG"),
    (".jpg", "JPEG"),
    (".jpeg", "JPEG"),
    (".csv", "CSV"),
    (".nrrd", "NRRD (not read: convert to NIfTI)"),
    (".mha", "MetaImage (not read: convert to NIfTI)"),
];

impl Kinds {
    fn of(folder: &Path, files: &[PathBuf]) -> Self {
        let mut kinds = Self::default();
        for file in files {
            let name = file.to_string_lossy().to_lowercase();
            let kind = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind);
            let kind = kind.unwrap_or_else(|| if is_dicom(&folder.join(file)) { DICOM } else { "other" });
            *kinds.0.entry(kind).or_default() += 1;
        }
        kinds
    }

    fn words(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if words.is_empty() { "no file".to_owned() } else { words.join(", ") }
    }
}

/// Whether the file has DICM after 128 bytes (DICOM PS3.10, 7.1), or begins with an element of group 0002 or 0008, as files without
/// preamble do; whether these are DICOM is found out when they are read.
fn is_dicom(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(132).read_to_end(&mut head));
    let bare = matches!(head[..], [2 | 8, 0, _, 0, _, ..] | [0, 8, 0, _, ..]);
    read.is_ok() && (bare || head.get(128..) == Some(b"DICM"))
}
