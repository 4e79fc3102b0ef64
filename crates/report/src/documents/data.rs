//! What is told of the data: source, counts, what was left out, preprocessing, masks, partitions.

use contract::config::{Method, Phantom, Pseudonyms, SeriesChoice, SplitVal};
use contract::layout::{Layout, WEIGHTS};

use super::files::Counts;
use super::markdown::{join, plain};
use super::{Run, training};
use crate::format::{fixed, plural};

/// Hex digits of a hash that a document shows.
pub(super) const SHORT_HASH: usize = 12;

/// The first digits of a hash.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take(SHORT_HASH).collect()
}

/// Where the CT come from.
pub(super) fn source(run: &Run) -> String {
    if run.is_synthetic() {
        return synthetic(&run.config.phantom);
    }
    let from = match run.config.preprocess.manifest {
        Some(_) => "Image files or NIfTI volumes named by a manifest, which gives each its patient and label.",
        None => "DICOM series of chest CT, with a list of labels by patient.",
    };
    from.to_owned()
}

fn synthetic(phantom: &Phantom) -> String {
    format!(
        "Synthetic chest CT, drawn by Chumoku's phantom from seed {}: no patient was imaged. {} of each class, {} a series, \
         {4} x {4} pixels, difficulty {5} (0: the diseases look different; 1: the same), noise {3} HU.",
        phantom.seed,
        plural(phantom.patients_per_class.into(), "patient"),
        plural(phantom.slices.into(), "axial slice"),
        phantom.noise_hu,
        phantom.size,
        phantom.difficulty
    )
}

/// The sites of synthetic CT and how their confounder comes with the label.
pub(super) fn sites(run: &Run) -> Option<String> {
    let site = |site: &contract::config::Site| {
        format!("{} (weight {}, correlation {})", site.name, site.weight, site.correlation)
    };
    let sites: Vec<String> = run.config.phantom.sites.iter().map(site).collect();
    run.is_synthetic().then(|| {
        format!(
            "Synthetic sites: {}. Correlation: how often a confounder outside the lungs comes with the label, from -1 to 1.",
            join(&sites)
        )
    })
}

/// "36 patients and 250 slices of common_pneumonia, ...".
fn by_class(run: &Run, counts: &Counts) -> String {
    let of = |(label, class): (usize, &String)| {
        let (patients, slices) = (plural(counts.patients[label], "patient"), plural(counts.slices[label], "slice"));
        format!("{patients} and {slices} of {}", plain(class))
    };
    join(&run.config.classes.iter().enumerate().map(of).collect::<Vec<_>>())
}

/// Patients and slices by class.
pub(super) fn counts(run: &Run) -> String {
    let all = &run.files.all;
    format!(
        "{} with {} after what was left out: {}.",
        plural(all.patients.iter().sum(), "patient"),
        plural(all.slices.iter().sum(), "slice"),
        by_class(run, all)
    )
}

/// What was left out, by reason.
pub(super) fn left_out(run: &Run) -> String {
    let total: usize = run.files.excluded.values().sum();
    let without_ct = match run.files.without_ct {
        0 => String::new(),
        count => format!(" The input has no CT of {} in the labels.", plural(count as u64, "patient")),
    };
    if total == 0 {
        return format!("Preprocessing left nothing out.{without_ct}");
    }
    let reasons: Vec<String> =
        run.files.excluded.iter().map(|(reason, count)| format!("{count} for {}", plain(reason))).collect();
    format!(
        "Preprocessing left out {}: {}; excluded.csv, beside the slices, names each.{without_ct}",
        plural(total as u64, "slice or file").replace("slice or files", "slices or files"),
        join(&reasons)
    )
}

/// The rules by which slices and series are left out.
pub(super) fn rules(run: &Run) -> Vec<String> {
    let preprocess = &run.config.preprocess;
    let mut rules = vec![format!(
        "A slice is left out where less than {} % of it is lung (little_lung).",
        fixed(preprocess.min_lung_fraction * 100.0, 1)
    )];
    if preprocess.manifest.is_none() {
        rules.push(match preprocess.series {
            SeriesChoice::Largest => {
                "Of several axial series in one study of a patient the one with the most slices counts.".to_owned()
            }
            SeriesChoice::All => "All axial series of a patient count.".to_owned(),
        });
    }
    let empty = if preprocess.allow_empty_series { "is left out" } else { "ends the run" };
    rules.push(format!("A series in which no lung is found {empty}."));
    rules
}

/// From HU to what the network sees.
pub(super) fn preprocessing(run: &Run) -> Vec<String> {
    let preprocess = &run.config.preprocess;
    let (low, high) = preprocess.window_hu();
    let mut steps = Vec::new();
    if preprocess.manifest.is_some() {
        let (black, white) = (preprocess.image_low_hu, preprocess.image_high_hu);
        steps.push(format!("In an image file black is read as {black} HU and white as {white} HU."));
    }
    if preprocess.hu_offset != 0.0 {
        steps.push(format!("{} is added to every stored CT value to give HU.", preprocess.hu_offset));
    }
    steps.push(format!(
        "Each axial slice is cut at the window {low} to {high} HU, resized to {0} x {0} pixels and kept with 8 bits.",
        preprocess.size
    ));
    steps.push(training::by_method(run, "The network sees", |train| {
        format!(
            "(x - {}) / {} of a pixel x in 0 to 1, in {}",
            train.mean,
            train.std,
            plural(train.channels.into(), "channel")
        )
    }));
    steps.extend(checks(run));
    steps
}

/// What ends a run before masking.
pub(super) fn checks(run: &Run) -> Option<String> {
    let checks = match (run.config.preprocess.check_units, run.config.preprocess.check_orientation) {
        (true, true) => "values that cannot be HU, and series that look flipped,",
        (true, false) => "values that cannot be HU",
        (false, true) => "series that look flipped",
        (false, false) => return None,
    };
    let pictures = if run.config.preprocess.manifest.is_some() { " (image files are not checked)" } else { "" };
    Some(format!("Before masking, {checks} end the run{pictures}."))
}

/// Who made the lung masks.
pub(super) fn lung_masks(run: &Run) -> Vec<String> {
    let sha = run.condition("preprocess: model_sha256").map_or(String::new(), |sha| format!(" (sha256 {sha})"));
    let model = match run.config.preprocess.model_sha256 {
        None => format!(
            "the U-Net shipped with Chumoku{sha}, trained on synthetic CT alone; data/models/README.md is its card"
        ),
        Some(_) => format!("a U-Net named by the study{sha}"),
    };
    let mut told =
        vec![format!("Lung masks, the teacher of the attention map, are made by {model}. They are used as made.")];
    told.extend(quality(run));
    told
}

/// What preprocess found of the masks.
fn quality(run: &Run) -> Option<String> {
    let quality = run.files.quality.as_ref()?;
    let flags: Vec<String> = quality.flags.iter().map(|(flag, count)| format!("{flag} {count}")).collect();
    let remarks = if flags.is_empty() { "none has a remark".to_owned() } else { format!("remarks: {}", join(&flags)) };
    Some(format!(
        "Of {} in {} series {} are kept; {remarks}. Contact sheets of all series are in the folder sheets.",
        plural(quality.slices, "slice"),
        quality.series,
        quality.kept
    ))
}

/// How patients become pseudonyms.
pub(super) fn identities(run: &Run) -> String {
    if run.is_synthetic() {
        return "The patients are synthetic: there is no identity to protect.".to_owned();
    }
    match run.config.preprocess.pseudonyms {
        Pseudonyms::Keyed => "Patient ids become a keyed hash, whose key stays with the study's data; names, dates of birth and raw ids \
                              are in no output.",
        Pseudonyms::Keep => "The study keeps patient ids as they are (preprocess.pseudonyms: keep), which is for public or synthetic ids.",
    }
    .to_owned()
}

/// What happens to missing data.
pub(super) const NOTHING_IMPUTED: &str =
    "Nothing is imputed: a slice or series is used as it is or left out with a reason.";

/// What the label is and where it comes from.
pub(super) fn labels(run: &Run) -> Vec<String> {
    let classes: Vec<String> = run.config.classes.iter().map(|class| plain(class)).collect();
    let from = match (&run.config.preprocess.manifest, run.is_synthetic()) {
        (_, true) => "known by construction",
        (Some(_), _) => "given by the manifest",
        (None, _) => "given by a list of labels",
    };
    vec![format!("Label of a patient and of all its slices, {from}: {}.", join(&classes))]
}

/// Who made labels and masks.
pub(super) fn annotators(run: &Run) -> Vec<String> {
    let labels = run.is_synthetic().then(|| "Nobody gave the labels: they are known by construction.".to_owned());
    labels.into_iter().chain(["Nobody drew the lung masks: a U-Net made them.".to_owned()]).collect()
}

/// Hashes of settings and data.
pub(super) fn settings(run: &Run) -> String {
    let slices =
        run.condition("slices.parquet, BLAKE3").map_or(String::new(), |hash| format!("; slices.parquet: {hash}"));
    format!(
        "BLAKE3 of all settings of the study (where files are left aside): {}{slices}. Beside each output of the run a receipt.yaml names its \
         settings and the hashes of inputs, program and outputs.",
        short(&run.files.settings)
    )
}

/// Where the weights are, and what repeats the run.
pub(super) fn available(run: &Run) -> Vec<String> {
    let weights: Vec<String> = run.config.methods.iter().map(|method| weights(run, method)).collect();
    let repeat = "The study's YAML file and the same version of Chumoku repeat the run from the same data.";
    vec![format!("Weights are in the study's folder: {}.", join(&weights)), repeat.to_owned()]
}

/// The file of weights of a method's first run, below the study's folder.
pub(super) fn weights(run: &Run, method: &Method) -> String {
    let layout = Layout::new(run.config);
    let folder = layout.run(&method.name, 0, method.seeds.first().copied().unwrap_or(0));
    let folder = folder.strip_prefix(&layout.data).unwrap_or(&folder);
    format!("`{}`", folder.join(WEIGHTS).display())
}

/// Whether the study drew its partitions itself, so that test and training patients are alike but for chance.
pub(super) fn is_drawn(run: &Run) -> bool {
    run.config.dataset.splits.is_none() && run.config.dataset.split_column.is_none()
}

/// How patients were assigned to partitions.
pub(super) fn assignment(run: &Run) -> Vec<String> {
    let dataset = &run.config.dataset;
    let how = match (&dataset.splits, &dataset.split_column) {
        (Some(_), _) => format!("{} as a splits file of the study says", folds(run)),
        (None, Some(column)) => {
            let val = match dataset.split_val {
                SplitVal::Train => "train",
                SplitVal::Drop => "are dropped",
            };
            format!("one test set by the manifest's column {}, held out once; its val rows {val}", plain(column))
        }
        (None, None) => {
            let seed = dataset.seed;
            format!("{}, patients drawn by class with seed {seed}, each held out in turn", folds(run))
        }
    };
    std::iter::once(format!("Partitions: {how}.")).chain(partitions(run)).collect()
}

fn folds(run: &Run) -> String {
    plural(run.files.partitions.len() as u64, "fold")
}

/// The sides of each partition.
pub(super) fn partitions(run: &Run) -> Vec<String> {
    let classes: Vec<String> = run.config.classes.iter().map(|class| plain(class)).collect();
    let numbers = |counts: &[u64]| join(&counts.iter().map(u64::to_string).collect::<Vec<_>>());
    let side =
        |counts: &Counts| format!("{} patients with {} slices", numbers(&counts.patients), numbers(&counts.slices));
    let sides = |partition: &super::files::Partition| {
        format!("Fold {} tests {} and trains on {}.", partition.fold, side(&partition.tested), side(&partition.trained))
    };
    let head = format!("Sides of the partitions by class, in the order {}.", classes.join(", "));
    std::iter::once(head).chain(run.files.partitions.iter().map(sides)).collect()
}

/// How partitions are kept apart.
pub(super) const AUDIT: &str = "Partitions are disjoint by patient. When they were written it was audited that no patient and no image is on \
    two sides, no image has two labels and each class is on both sides; training checks the patients again; this report checks that each \
    test slice was predicted once for each method and seed, by a network of the fold that held its patient out.";

/// Class counts as classes see them in training.
pub(super) fn balance(run: &Run) -> String {
    let all = &run.files.all;
    let of = |(label, class): (usize, &String)| format!("{} {}", plain(class), all.slices[label]);
    format!("Slices by class: {}.", join(&run.config.classes.iter().enumerate().map(of).collect::<Vec<_>>()))
}

/// The fewest patients of a class.
pub(super) fn fewest_patients(run: &Run) -> u64 {
    run.assessment.patients.0.iter().map(|(_, patients)| *patients).min().unwrap_or(0)
}

/// How many patients were tested.
pub(super) fn size(run: &Run) -> String {
    let tested: u64 = run.assessment.patients.0.iter().map(|(_, patients)| patients).sum();
    format!("{} tested; the class with the fewest has {}.", plural(tested, "patient"), fewest_patients(run))
}
