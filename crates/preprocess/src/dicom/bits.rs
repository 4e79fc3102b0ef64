//! Which bits of a stored word are the pixel's value (PS3.5 section 8.1.1), also where a file's attributes and words disagree.
//!
//! By the standard the value is the `BitsStored` bits below `HighBit`, and the others may hold overlays (PS3.3 C.9.2, retired). Some
//! writers state fewer bits than their values have, so that metal of 5000 would wrap around to 904; others state a HighBit that
//! their words do not follow.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::values::Values;

/// Remark: stored values have more bits than BitsStored says; all of them were taken.
pub const ABOVE_BITS_STORED: &str = "values_above_bits_stored";

/// Groups of overlay planes, the even ones of 6000 to 601E.
const OVERLAYS: std::ops::RangeInclusive<u16> = 0x6000..=0x601E;
/// OverlayBitsAllocated of a group.
const OVERLAY_BITS: u16 = 0x0100;
/// OverlayBitPosition of a group.
const OVERLAY_POSITION: u16 = 0x0102;

/// The bits of a file's words.
#[derive(Debug, Clone, Copy)]
pub struct Bits {
    /// Bits of a word, 8 or 16.
    pub allocated: u16,
    /// Bits that are the value.
    pub stored: u16,
    /// Place of the highest of them, from 0; `None` if the file does not say.
    pub high: Option<u16>,
    /// The value is signed.
    pub signed: bool,
    /// The other bits hold overlays.
    pub overlays: bool,
}

/// How the words of a frame are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The lowest bits, as many as are stored.
    Lowest,
    /// The highest bits, above so many.
    Above(u16),
    /// All bits.
    Whole,
}

/// True if a file keeps overlays in the bits that its pixels leave free.
pub fn has_overlays(data: &InMemDicomObject) -> bool {
    let number = |group: u16, element: u16| data.short(Tag(group, element)).unwrap_or(0);
    let in_pixels = |group: u16| number(group, OVERLAY_BITS) > 1 && number(group, OVERLAY_POSITION) > 0;
    OVERLAYS.step_by(2).any(in_pixels)
}

impl Bits {
    /// The bits that a file states, for `allocated` bits a word of which `stored` count. A compressed stream with fewer bits than the file
    /// says has its own highest one.
    pub fn of(data: &InMemDicomObject, allocated: u16, stored: u16) -> Self {
        let as_stated = data.short(tags::BITS_STORED) == Some(stored);
        let high = data.short(tags::HIGH_BIT).filter(|_| as_stated);
        let signed = data.short(tags::PIXEL_REPRESENTATION) == Some(1);
        Self { allocated, stored, high, signed, overlays: has_overlays(data) }
    }

    /// The values of a frame's words, and what is remarkable of them.
    ///
    /// # Errors
    /// The words do not follow the file's HighBit, nor do they lie in its lowest bits.
    pub fn values(&self, words: &[u16]) -> Result<(Vec<i32>, Option<&'static str>), String> {
        let reading = self.reading(words)?;
        let remark = (reading == Reading::Whole && self.stored < self.allocated).then_some(ABOVE_BITS_STORED);
        Ok((words.iter().map(|word| self.value(*word, reading)).collect(), remark))
    }

    fn reading(&self, words: &[u16]) -> Result<Reading, String> {
        let unused = self.allocated - self.stored;
        let below = self.high.map_or(0, |high| (high + 1).saturating_sub(self.stored).min(unused));
        let fits_lowest = self.fits_lowest(words);
        if below > 0 {
            let free = self.overlays || words.iter().all(|word| word.trailing_zeros() >= u32::from(below));
            let all_zero = words.iter().all(|word| *word == 0);
            return match (fits_lowest, free) {
                (_, true) if !all_zero => Ok(Reading::Above(below)),
                (true, _) => Ok(Reading::Lowest),
                _ => Err(format!(
                    "BitsStored {} and HighBit {} do not fit its values, which use other bits; correct both",
                    self.stored,
                    self.high.unwrap_or_default()
                )),
            };
        }
        Ok(if fits_lowest || self.overlays { Reading::Lowest } else { Reading::Whole })
    }

    /// True if all words are values of the lowest bits: the bits above are 0, or in all words copies of the sign.
    fn fits_lowest(&self, words: &[u16]) -> bool {
        let clear = |word: &u16| u32::from(*word) >> self.stored == 0;
        let extended = |word: &u16| self.value(*word, Reading::Lowest) == self.value(*word, Reading::Whole);
        words.iter().all(clear) || (self.signed && words.iter().all(extended))
    }

    fn value(&self, word: u16, reading: Reading) -> i32 {
        let (word, bits) = match reading {
            Reading::Lowest => (word, self.stored),
            Reading::Above(below) => (word >> below, self.stored),
            Reading::Whole => (word, self.allocated),
        };
        let unused = u32::BITS - u32::from(bits);
        let raised = u32::from(word) << unused;
        if self.signed { raised.cast_signed() >> unused } else { (raised >> unused).cast_signed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE: Bits = Bits { allocated: 16, stored: 12, high: Some(11), signed: false, overlays: false };
    const SIGNED: Bits = Bits { signed: true, ..TWELVE };

    fn words(values: &[i32]) -> Vec<u16> {
        values.iter().map(|value| (*value as u32 & 0xFFFF) as u16).collect()
    }

    #[test]
    fn values_within_their_bits_follow_the_standard() {
        assert_eq!(TWELVE.values(&[0, 1064, 4095]), Ok((vec![0, 1064, 4095], None)));
        // -2000 with its sign copied to 16 bits, and cut to 12: 0xF830 and 0x0830.
        assert_eq!(SIGNED.values(&[0xF830, 40]), Ok((vec![-2000, 40], None)));
        assert_eq!(SIGNED.values(&[0x0830, 40]), Ok((vec![-2000, 40], None)));
    }

    #[test]
    fn metal_above_its_bits_stays_bright() {
        // 5000 cut to 12 bits is 904, which is fat in HU + 1024.
        assert_eq!(TWELVE.values(&[1064, 5000]), Ok((vec![1064, 5000], Some(ABOVE_BITS_STORED))));
        let metal = SIGNED.values(&words(&[-1000, 40, 3000, -3024]));
        assert_eq!(metal, Ok((vec![-1000, 40, 3000, -3024], Some(ABOVE_BITS_STORED))));
    }

    #[test]
    fn overlays_in_free_bits_are_no_part_of_the_value() {
        let bits = Bits { overlays: true, ..TWELVE };
        assert_eq!(bits.values(&[1064, 0x1000 | 1064]), Ok((vec![1064, 1064], None)));
        let bits = Bits { high: Some(15), ..bits };
        assert_eq!(bits.values(&[1064 << 4, 1064 << 4 | 1]), Ok((vec![1064, 1064], None)));
    }

    #[test]
    fn the_high_bit_is_followed_where_the_words_do() {
        let bits = Bits { high: Some(15), ..TWELVE };
        assert_eq!(bits.values(&[1064 << 4, 24 << 4]), Ok((vec![1064, 24], None)));
        assert_eq!(bits.values(&[1064, 25]), Ok((vec![1064, 25], None)));
        assert_eq!(bits.values(&[0, 0]), Ok((vec![0, 0], None)));
        let bits = Bits { high: Some(15), ..SIGNED };
        assert_eq!(bits.values(&words(&[-1000 * 16, 40 * 16])), Ok((vec![-1000, 40], None)));
        let error = Bits { high: Some(15), ..TWELVE }.values(&[5000, 1065]).expect_err("neither");
        assert!(error.contains("HighBit 15"), "{error}");
    }
}
