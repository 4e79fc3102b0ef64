//! Columns and Arrow schemas of the Parquet files between the stages.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// Version of the three schemas, written to every file's metadata.
pub const VERSION: &str = "1";

/// Column names. Every crate spells them through these constants.
pub mod column {
    /// Unique id of a slice.
    pub const SLICE_ID: &str = "slice_id";
    /// Pseudonym of the patient.
    pub const PATIENT_ID: &str = "patient_id";
    /// Id of the series.
    pub const SERIES_ID: &str = "series_id";
    /// Position in the series, from 0, sorted along the slice normal.
    pub const SLICE_INDEX: &str = "slice_index";
    /// Position along the slice normal, mm; null for image files.
    pub const Z_MM: &str = "z_mm";
    /// Class index.
    pub const LABEL: &str = "label";
    /// Path relative to the input root.
    pub const SOURCE: &str = "source";
    /// Rows of the image.
    pub const HEIGHT: &str = "height";
    /// Columns of the image.
    pub const WIDTH: &str = "width";
    /// Windowed slice, u8, row-major.
    pub const IMAGE: &str = "image";
    /// Lung mask, u8, row-major: 0 background, 1 right lung, 2 left lung.
    pub const MASK: &str = "mask";
    /// Share of the slice's pixels that are lung.
    pub const LUNG_FRACTION: &str = "lung_fraction";
    /// Why a slice or file was left out, in excluded.csv.
    pub const REASON: &str = "reason";
    /// Remarks such as `empty_mask` or `one_lung`.
    pub const FLAGS: &str = "flags";
    /// Fold that holds the slice out.
    pub const FOLD: &str = "fold";
    /// Method's name in the study.
    pub const METHOD: &str = "method";
    /// Seed of the run.
    pub const SEED: &str = "seed";
    /// K softmax values of the perception branch.
    pub const PROB: &str = "prob";
    /// K softmax values of the attention branch.
    pub const PROB_ATT: &str = "prob_att";
    /// Attention map, row-major, values in 0..1.
    pub const ATTENTION: &str = "attention";
    /// Share of the map's mass inside the mask.
    pub const ATTENTION_IN_LUNG: &str = "attention_in_lung";
    /// Lesion mask of a slice, u8, row-major, 0 or 1, of the slice's height and width.
    pub const LESION: &str = "lesion";
    /// In a truth file: lung mask, u8, row-major, 0 background, 1 right, 2 left.
    pub const LUNG_MASK: &str = "lung_mask";
    /// In a truth file: lesion mask, u8, row-major, 0 or 1.
    pub const LESION_MASK: &str = "lesion_mask";
    /// Share of the map's mass on lesions.
    pub const ATTENTION_IN_LESION: &str = "attention_in_lesion";
    /// Share of the slice that is lung: what a map that is the same everywhere would score.
    pub const LUNG_SHARE: &str = "lung_share";
    /// Share of the slice that is lesion.
    pub const LESION_SHARE: &str = "lesion_share";
    /// Share of its mass that a map equal to its target would have in the lung, the most that the map loss asks for.
    pub const LUNG_CEILING: &str = "lung_ceiling";
    /// 1 where the map's highest place is lung, else 0.
    pub const POINTING_LUNG: &str = "pointing_lung";
    /// 1 where the map's highest place is lesion, else 0.
    pub const POINTING_LESION: &str = "pointing_lesion";
    /// Entropy of the map over its cells, 0 (one cell) to 1 (the same everywhere).
    pub const ENTROPY: &str = "entropy";
    /// Standard deviation of the map over its cells.
    pub const STD: &str = "std";
    /// Area under the probability of the class as the most attended pixels are taken away.
    pub const DELETION_AUC: &str = "deletion_auc";
    /// Area under the probability of the class as the most attended pixels are given back.
    pub const INSERTION_AUC: &str = "insertion_auc";
    /// Path of an image file, in a manifest.
    pub const PATH: &str = "path";
    /// In labels: folder of a patient's DICOM files, relative to the input, where PatientID does not tell patients apart.
    pub const FOLDER: &str = "folder";
}

/// Label of a slice whose class nobody knows.
pub const NO_LABEL: i32 = -1;

/// Values of the mask. lungmask's convention.
pub mod mask_value {
    /// Not lung.
    pub const BACKGROUND: u8 = 0;
    /// The patient's right lung (on the viewer's left in a slice shown from below).
    pub const RIGHT: u8 = 1;
    /// The patient's left lung.
    pub const LEFT: u8 = 2;
}

/// Values of the `reason` column of excluded.csv that more than one stage knows.
pub mod reason {
    /// A labelled patient of whom the input has no file; the row has no slice and no source.
    pub const NO_CT: &str = "no_ct";
}

/// Values of the `flags` column.
pub mod flag {
    /// No lung pixel at all.
    pub const EMPTY_MASK: &str = "empty_mask";
    /// Only one of the two lungs is in the slice.
    pub const ONE_LUNG: &str = "one_lung";
    /// The lung mask touches the image border.
    pub const TOUCHES_BORDER: &str = "touches_border";
    /// A part of the lung mask lies outside the body.
    pub const OUTSIDE_BODY: &str = "outside_body";
    /// The right lung lies at the patient's left.
    pub const SIDES_SWAPPED: &str = "sides_swapped";

    /// All of them, in the order in which they are written.
    pub const ALL: [&str; 5] = [EMPTY_MASK, ONE_LUNG, TOUCHES_BORDER, OUTSIDE_BODY, SIDES_SWAPPED];
}

/// Keys of the Parquet files' metadata.
pub mod metadata {
    /// [`super::VERSION`].
    pub const SCHEMA_VERSION: &str = "chumoku.schema_version";
    /// Class names, JSON list.
    pub const CLASSES: &str = "chumoku.classes";
    /// Window in HU, JSON list of low and high.
    pub const WINDOW_HU: &str = "chumoku.window_hu";
    /// SHA-256 of the lung model.
    pub const MODEL_SHA256: &str = "chumoku.model_sha256";
    /// Hash of the stage's configuration.
    pub const CONFIG_HASH: &str = "chumoku.config_hash";
}

fn field(name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable)
}

fn list(name: &str, item: DataType, nullable: bool) -> Field {
    // Item fields are nullable in every writer's default; keep to it so that polars and arrow agree.
    field(name, DataType::List(Arc::new(Field::new("item", item, true))), nullable)
}

/// Schema of `slices.parquet`: a row a slice, sorted by `slice_id`.
pub fn slices() -> SchemaRef {
    use column::*;
    Arc::new(Schema::new(vec![
        field(SLICE_ID, DataType::Utf8, false),
        field(PATIENT_ID, DataType::Utf8, false),
        field(SERIES_ID, DataType::Utf8, false),
        field(SLICE_INDEX, DataType::Int32, false),
        field(Z_MM, DataType::Float32, true),
        field(LABEL, DataType::Int32, false),
        field(SOURCE, DataType::Utf8, false),
        field(HEIGHT, DataType::UInt32, false),
        field(WIDTH, DataType::UInt32, false),
        field(IMAGE, DataType::Binary, false),
        field(MASK, DataType::Binary, false),
        field(LUNG_FRACTION, DataType::Float32, false),
        list(FLAGS, DataType::Utf8, false),
    ]))
}

/// Schema of `folds.parquet`: a row a slice, sorted by `slice_id`.
pub fn folds() -> SchemaRef {
    use column::*;
    Arc::new(Schema::new(vec![
        field(SLICE_ID, DataType::Utf8, false),
        field(PATIENT_ID, DataType::Utf8, false),
        field(LABEL, DataType::Int32, false),
        field(FOLD, DataType::Int32, false),
    ]))
}

/// Schema of `predictions.parquet`: a row a test slice, sorted by `slice_id`.
pub fn predictions() -> SchemaRef {
    use column::*;
    Arc::new(Schema::new(vec![
        field(SLICE_ID, DataType::Utf8, false),
        field(PATIENT_ID, DataType::Utf8, false),
        field(LABEL, DataType::Int32, false),
        field(METHOD, DataType::Utf8, false),
        field(FOLD, DataType::Int32, false),
        field(SEED, DataType::Int64, false),
        list(PROB, DataType::Float32, false),
        list(PROB_ATT, DataType::Float32, true),
        list(ATTENTION, DataType::Float32, true),
        field(ATTENTION_IN_LUNG, DataType::Float32, true),
    ]))
}

/// Schema of `lesions.parquet`: a row a slice whose lesions are known, sorted by `slice_id`.
pub fn lesions() -> SchemaRef {
    use column::*;
    Arc::new(Schema::new(vec![field(SLICE_ID, DataType::Utf8, false), field(LESION, DataType::Binary, false)]))
}

/// Schema of a file of true masks by source, sorted by `source`: what the phantom writes, and what `preprocess.lesions` names. Other
/// columns may be there.
pub fn truth() -> SchemaRef {
    use column::*;
    Arc::new(Schema::new(vec![
        field(SOURCE, DataType::Utf8, false),
        field(HEIGHT, DataType::UInt32, false),
        field(WIDTH, DataType::UInt32, false),
        field(LESION_MASK, DataType::Binary, false),
    ]))
}

/// Schema of `attention.parquet`: a row a test slice, sorted by `slice_id`; no rows for a network without attention. A value is null
/// where it is undefined: nothing of the region in the slice, no mass, or a slice without curves.
pub fn attention() -> SchemaRef {
    use column::*;
    let measured = [
        ATTENTION_IN_LUNG,
        ATTENTION_IN_LESION,
        LUNG_SHARE,
        LESION_SHARE,
        LUNG_CEILING,
        POINTING_LUNG,
        POINTING_LESION,
        ENTROPY,
        STD,
        DELETION_AUC,
        INSERTION_AUC,
    ];
    let id = std::iter::once(field(SLICE_ID, DataType::Utf8, false));
    Arc::new(Schema::new(id.chain(measured.map(|name| field(name, DataType::Float32, true))).collect::<Vec<_>>()))
}
