//! Values of a data set as images need them: trimmed, of the type asked for, or absent.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::{StandardDataDictionary, tags};
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

    /// An integer string (VR IS), also where it is written as `16.0`.
    fn integer(&self, tag: Tag) -> Option<i32> {
        let text = self.text(tag)?;
        text.parse().ok().or_else(|| decimal(&text).and_then(whole))
    }

    /// The finite numbers of a decimal string (VR DS), also with decimal commas; `None` if it is absent or empty.
    ///
    /// # Errors
    /// It has something else than as many numbers as expected.
    fn numbers<const N: usize>(&self, tag: Tag) -> Result<Option<[f64; N]>, String> {
        let Some(text) = self.text(tag) else { return Ok(None) };
        if text.split('\\').all(|part| part.trim_matches(is_padding).is_empty()) {
            return Ok(None);
        }
        let values: Option<Vec<f64>> = text.split('\\').map(decimal).collect();
        let values = values.and_then(|values| values.try_into().ok()).map(Some);
        let expected =
            if N == 1 { "a number".to_owned() } else { format!("{N} numbers with backslashes between them") };
        values.ok_or_else(|| format!("{} is \"{}\", expected {expected}", name(tag), shown(&text)))
    }

    /// As [`Self::numbers`], where what cannot be read counts as absent.
    fn decimals<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        self.numbers(tag).ok().flatten()
    }
}

/// Most letters of a value that a message shows.
const SHOWN: usize = 60;

/// The keyword of an element, such as `PixelSpacing`.
pub fn name(tag: Tag) -> String {
    StandardDataDictionary.by_tag(tag).map_or_else(|| tag.to_string(), |entry| entry.alias().to_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

fn is_padding(letter: char) -> bool {
    letter.is_whitespace() || letter == '\0'
}

/// A finite number. A single comma can only be a decimal point here, since values have backslashes between them.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_padding);
    let has_point = text.contains('.');
    let number = match text.matches(',').count() {
        0 => text.parse(),
        1 if !has_point => text.replace(',', ".").parse(),
        _ => return None,
    };
    number.ok().filter(|number: &f64| number.is_finite())
}

fn whole(number: f64) -> Option<i32> {
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    (number.fract() == 0.0 && range.contains(&number)).then_some(number as i32)
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
        let text = text.trim_matches(is_padding);
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

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR};

    fn with(value: &str) -> InMemDicomObject {
        let mut data = InMemDicomObject::new_empty();
        data.put(DataElement::new(tags::PIXEL_SPACING, VR::DS, PrimitiveValue::from(value)));
        data
    }

    #[test]
    fn a_comma_is_a_decimal_point() {
        let read = |value: &str| with(value).numbers::<2>(tags::PIXEL_SPACING);
        for value in ["0.7\\0.7", "0,7\\0,7 ", " 7e-1\\+.7\0"] {
            assert_eq!(read(value), Ok(Some([0.7, 0.7])), "{value}");
        }
        assert_eq!((read(""), read(" \\ "), with("5,0").integer(tags::PIXEL_SPACING)), (Ok(None), Ok(None), Some(5)));
    }

    #[test]
    fn what_is_no_number_is_shown() {
        for value in ["abc", "0.7", "0,7,0,7", "1.000,5\\1", "nan\\nan", "0.7\\inf", "0.7mm\\0.7mm", "\\0.7"] {
            let error = with(value).numbers::<2>(tags::PIXEL_SPACING).expect_err(value);
            let shown = value.trim().replace('\\', "\\\\");
            assert!(error.contains(&format!("PixelSpacing is \"{shown}\", expected 2 numbers")), "{error}");
        }
        assert_eq!(with("5,5").integer(tags::PIXEL_SPACING), None);
    }
}
