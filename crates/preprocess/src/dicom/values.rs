//! Values of a data set as images need them: trimmed, of the type asked for, or absent.

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::InMemDicomObject;

/// OtherPatientIDs, which is retired but still found.
pub const OTHER_PATIENT_IDS: Tag = Tag(0x0010, 0x1000);

/// Elements of a data set or of an item, whatever VR the file gives them (PS3.5 section 6.2).
pub trait Values: Sized {
    /// The items of a sequence; none if it is absent.
    fn items(&self, tag: Tag) -> &[Self];

    /// Trimmed text in the file's character set, several values with `\` between them; `None` if it is absent or empty.
    fn text(&self, tag: Tag) -> Option<String>;

    /// A number of 16 bits (VR US or SS), as stored.
    fn short(&self, tag: Tag) -> Option<u16>;

    /// An integer string (VR IS).
    fn integer(&self, tag: Tag) -> Option<i32> {
        self.text(tag)?.parse().ok()
    }

    /// The finite numbers of a decimal string (VR DS), if there are as many as expected.
    fn decimals<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let text = self.text(tag)?;
        let values: Option<Vec<f64>> = text.split('\\').map(|part| part.trim().parse().ok()).collect();
        let values = values?;
        values.iter().all(|value: &f64| value.is_finite()).then_some(values)?.try_into().ok()
    }
}

impl Values for InMemDicomObject {
    fn items(&self, tag: Tag) -> &[Self] {
        self.get(tag).and_then(|element| element.items()).unwrap_or_default()
    }

    fn text(&self, tag: Tag) -> Option<String> {
        let mut text = match self.get(tag)?.value().primitive()? {
            // The VR is unknown (UN); the tag says that it is text.
            PrimitiveValue::U8(bytes) => String::from_utf8_lossy(bytes),
            value => value.to_str(),
        };
        if let Some(read) = text.contains(ESCAPE).then(|| with_extensions(self, &text)).flatten() {
            text = read.into();
        }
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn short(&self, tag: Tag) -> Option<u16> {
        match self.get(tag)?.value().primitive()? {
            PrimitiveValue::U8(bytes) => Some(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?)),
            PrimitiveValue::I16(values) => values.first().map(|value| value.cast_unsigned()),
            value => value.to_int().ok(),
        }
    }
}

/// What starts a change of the character set within a text (PS3.5 section 6.1.2.5).
const ESCAPE: char = '\u{1b}';

/// Text of a file that names its character set second, after the default that it changes from, where dicom-rs stays with the
/// default: one character for each byte, which the set is given again.
fn with_extensions(data: &InMemDicomObject, text: &str) -> Option<String> {
    let sets = data.text(tags::SPECIFIC_CHARACTER_SET)?;
    let mut others = sets.split('\\').map(str::trim).filter(|set| !set.is_empty() && !set.ends_with("IR 6"));
    let set = others.find_map(SpecificCharacterSet::from_code)?;
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
    let text = set.decode(&bytes?).ok()?;
    // The Korean set, which is told apart by its bytes alone, leaves the escapes.
    Some(text.replace("\u{1b}$)C", "").replace("\u{1b}(B", ""))
}
