//! Which DICOM files are slices of CT, and what the others are.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::groups::Groups;
use super::rescale;
use super::values::Values;

/// Remark: nothing says which modality the files are of; they were taken for CT.
pub const MODALITY_MISSING: &str = "modality_missing_taken_as_ct";

/// Reason: the file is of another modality.
const NOT_CT: &str = "not_ct";

/// SOP classes of CT (PS3.4 table B.5-1).
pub const CT_CLASSES: [&str; 3] =
    [uids::CT_IMAGE_STORAGE, uids::ENHANCED_CT_IMAGE_STORAGE, uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE];

/// SOP classes of anything that was captured or converted (PS3.4 table B.5-1).
const CAPTURES: [&str; 5] = [
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
];

/// Start of the standard's SOP classes; others are private.
const STANDARD: &str = "1.2.840.10008.";

/// Names of SOP classes that often lie beside CT, for messages (PS3.6 table A-1).
const NAMES: [(&str, &str); 24] = [
    ("1.2.840.10008.1.3.10", "DICOMDIR"),
    ("1.2.840.10008.5.1.4.1.1.1", "CR Image"),
    ("1.2.840.10008.5.1.4.1.1.1.1", "Digital X-Ray Image"),
    ("1.2.840.10008.5.1.4.1.1.2", "CT Image"),
    ("1.2.840.10008.5.1.4.1.1.2.1", "Enhanced CT Image"),
    ("1.2.840.10008.5.1.4.1.1.4", "MR Image"),
    ("1.2.840.10008.5.1.4.1.1.4.1", "Enhanced MR Image"),
    ("1.2.840.10008.5.1.4.1.1.6.1", "Ultrasound Image"),
    ("1.2.840.10008.5.1.4.1.1.7", "Secondary Capture Image"),
    ("1.2.840.10008.5.1.4.1.1.7.2", "Multi-frame Grayscale Byte Secondary Capture Image"),
    ("1.2.840.10008.5.1.4.1.1.7.3", "Multi-frame Grayscale Word Secondary Capture Image"),
    ("1.2.840.10008.5.1.4.1.1.11.1", "Presentation State"),
    ("1.2.840.10008.5.1.4.1.1.12.1", "X-Ray Angiographic Image"),
    ("1.2.840.10008.5.1.4.1.1.20", "NM Image"),
    ("1.2.840.10008.5.1.4.1.1.66", "Raw Data"),
    ("1.2.840.10008.5.1.4.1.1.66.1", "Spatial Registration"),
    ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection Document"),
    ("1.2.840.10008.5.1.4.1.1.88.67", "Radiation Dose SR"),
    ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
    ("1.2.840.10008.5.1.4.1.1.128", "PET Image"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "RT Dose"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "RT Plan"),
];

/// What a CT slice says of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// ImageType, or FrameType of an enhanced one.
    pub image_type: Vec<String>,
    /// What is remarkable of it.
    pub remark: Option<&'static str>,
}

/// Why a file is no CT slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason's name, such as `localizer`.
    pub reason: &'static str,
    /// What was found, for a message; empty if the reason says it all.
    pub found: String,
    /// True for an image whose Modality is the only thing against it.
    pub may_be_ct: bool,
}

/// What kind of file a data set of this SOP class is. `rows` and `columns` are those of the image.
pub fn of(
    data: &InMemDicomObject,
    groups: Groups,
    class: &str,
    (rows, columns): (usize, usize),
) -> Result<Accepted, Refused> {
    let frame_type = groups.item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE).text(tags::FRAME_TYPE);
    let image_type = frame_type.or_else(|| data.text(tags::IMAGE_TYPE)).unwrap_or_default();
    let image_type: Vec<String> = image_type.split('\\').map(|part| part.trim().to_owned()).collect();
    let refused = |reason, found| Refused { reason, found, may_be_ct: false };
    let remark = modality(data, class, rows * columns > 0)?;
    if rows * columns == 0 {
        return Err(refused("no_image", class_name(class)));
    }
    if let Some(colour) = colour(data) {
        return Err(refused("not_grey", colour));
    }
    if image_type.iter().any(|part| part.eq_ignore_ascii_case("LOCALIZER")) {
        return Err(refused("localizer", String::new()));
    }
    if !rescale::may_be_hu(groups) {
        return Err(refused(rescale::NOT_HU, String::new()));
    }
    Ok(Accepted { image_type, remark })
}

/// Holds what the file says of its modality against CT. A file that says nothing is CT by its SOP class, or for want of any.
fn modality(data: &InMemDicomObject, class: &str, is_image: bool) -> Result<Option<&'static str>, Refused> {
    let stated = data.text(tags::MODALITY).map(|modality| modality.to_ascii_uppercase());
    let is_capture = class.is_empty() || CAPTURES.contains(&class) || !class.starts_with(STANDARD);
    let (is_ct, may_be_ct) = match stated.as_deref() {
        Some("CT") => (true, false),
        Some("OT" | "SC" | "DD") => (false, is_capture || CT_CLASSES.contains(&class)),
        Some(_) => (false, false),
        None if CT_CLASSES.contains(&class) || !is_image => (true, false),
        None if class.is_empty() || !class.starts_with(STANDARD) => return Ok(Some(MODALITY_MISSING)),
        None => (false, is_capture),
    };
    if is_ct {
        return Ok(None);
    }
    let stated = stated.map_or_else(|| "no Modality".to_owned(), |modality| format!("Modality {}", shown(&modality)));
    let class = class_name(class);
    let found = if class.is_empty() { stated } else { format!("{stated}, SOP class {class}") };
    Err(Refused { reason: NOT_CT, found, may_be_ct: is_image && may_be_ct })
}

/// A code string as it may be shown: 16 letters at most (PS3.5 section 6.2), so no text of another kind.
fn shown(code: &str) -> String {
    code.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(16).collect()
}

fn class_name(class: &str) -> String {
    let known = NAMES.iter().find(|(uid, _)| *uid == class);
    known.map_or_else(|| class.to_owned(), |(_, name)| (*name).to_owned())
}

/// The PhotometricInterpretation of pixels that are not grey.
fn colour(data: &InMemDicomObject) -> Option<String> {
    let stated = data.text(tags::PHOTOMETRIC_INTERPRETATION);
    let has_colours = stated.as_deref().is_some_and(|stated| !stated.to_ascii_uppercase().starts_with("MONOCHROME"));
    let samples = data.short(tags::SAMPLES_PER_PIXEL).filter(|samples| *samples != 1);
    let stated = stated.map_or_else(String::new, |stated| shown(&stated));
    match samples {
        Some(samples) if !has_colours => Some(format!("SamplesPerPixel {samples}")),
        _ => has_colours.then_some(stated),
    }
}
