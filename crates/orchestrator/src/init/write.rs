//! The YAML of a new study, with the comments that its owner wants next.

use std::path::Path;

use contract::config::schema;

use super::seen::Seen;
use super::table::Labelled;

/// The text of the study in the file `out`. `converted` is the table that was made for it.
pub(super) fn yaml(
    study: &str,
    seen: &Seen,
    labelled: &Labelled,
    positive: usize,
    (out, converted): (&Path, Option<&Path>),
) -> String {
    let classes: Vec<String> = labelled.classes.iter().map(|class| quoted(class)).collect();
    let mut text = editors(out);
    text.push_str(&format!(
        "# Made by chumoku init. Every key is described in pipelines/defaults.yaml; a study names only what it changes.\n\
         # chumoku check says what is missing, chumoku run does the rest.\n\
         study: {}\n\
         classes: [{}]   # {}{}\n",
        quoted(study),
        classes.join(", "),
        if contract::label::are_numbers(&labelled.classes) { "labels are these names" } else { "the index is the label" },
        counts(labelled),
    ));
    text.push_str(&input(seen, converted));
    let usual = schema::default("dataset.folds").as_u64().unwrap_or_default();
    if let Some(few) = labelled.patients.iter().min().filter(|few| (**few as u64) < usual) {
        let folds = (*few).max(2);
        text.push_str(&format!("dataset:\n  folds: {folds}              # the smallest class has {few} patients\n"));
    }
    text.push_str(&format!(
        "train:\n  \
           seeds: [0]            # [0, 1, 2] shows how much the seed matters, in three times the time\n  \
           # epochs: {}          # more with few slices\n  \
           # device: cuda        # with a GPU\n",
        schema::default("train.epochs"),
    ));
    text.push_str(&format!(
        "report:\n  positive: {positive}           # {}: its recall is the sensitivity\n",
        quoted(&labelled.classes[positive])
    ));
    text
}

/// The line that editors complete by, where the schema lies beside the study or in `pipelines` below.
fn editors(out: &Path) -> String {
    let folder = out.parent().unwrap_or(Path::new(""));
    let places = [schema::FILE.to_owned(), format!("pipelines/{}", schema::FILE)];
    let found = places.into_iter().find(|place| folder.join(place).is_file());
    found.map_or_else(String::new, |place| format!("# yaml-language-server: $schema={place}\n"))
}

fn counts(labelled: &Labelled) -> String {
    let counts: Vec<String> = labelled.patients.iter().map(usize::to_string).collect();
    if counts.is_empty() { String::new() } else { format!("; patients: {}", counts.join(", ")) }
}

/// The section that says where the CT is.
fn input(seen: &Seen, converted: Option<&Path>) -> String {
    match seen {
        Seen::Synthetic => "phantom:\n  \
               enabled: true\n  \
               patients_per_class: 30\n  \
               difficulty: 0.15      # 0 easy to 1 impossible\n\
             preprocess:\n  \
               size: 64              # pixels; 224 takes nine times as long\n  \
               pseudonyms: keep      # synthetic patients have no privacy to keep\n"
            .to_owned(),
        Seen::Dicom { folder, labels, .. } => format!(
            "preprocess:\n  \
               input: {}\n  \
               labels: {}\n  \
               # size: 64            # pixels; a ninth of the time of 224, the default\n",
            path(folder),
            path(converted.unwrap_or(labels.path())),
        ),
        Seen::Manifest { table } => format!(
            "preprocess:\n  \
               manifest: {}\n  \
               # size: 64            # pixels; a ninth of the time of 224, the default\n  \
               # image_low_hu: {}    # of PNG and JPEG: HU that black means\n  \
               # image_high_hu: {}     # and white\n  \
               # allow_empty_series: true # where some images show no lung\n",
            path(converted.unwrap_or(table.path())),
            schema::default("preprocess.image_low_hu"),
            schema::default("preprocess.image_high_hu"),
        ),
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A JSON string, which is a YAML one too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
