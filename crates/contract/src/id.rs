//! Identifiers: keyed pseudonyms of patients and series, and slice ids.

use std::io;
use std::path::Path;

use crate::atomic;

/// Hex digits of a pseudonym: 48 bits, so that 10,000 patients collide with probability 2e-7.
pub const DIGITS: usize = 12;

/// The secret that turns raw ids into pseudonyms: 32 bytes in a file that git ignores.
pub struct Key([u8; 32]);

impl Key {
    /// Reads the key of a study, making a random one the first time.
    ///
    /// # Errors
    /// See [`Self::load`]; or the file cannot be written.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            let mut fresh = [0_u8; 32];
            io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut fresh)?;
            atomic::write(path, blake3::Hash::from_bytes(fresh).to_hex().as_bytes())?;
        }
        Self::load(path)
    }

    /// Reads the key of a study.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold 64 hex digits.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let hash = blake3::Hash::from_hex(text.trim()).map_err(|_| {
            let message = format!("{} is not a key of 64 hex digits", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Self(*hash.as_bytes()))
    }

    /// The pseudonym of the patient whose id is `raw`: the only place that says how a patient is named in the outputs.
    pub fn patient(&self, raw: &str) -> String {
        self.pseudonym("patient", raw)
    }

    /// The pseudonym of `raw`. `kind` keeps patients and series apart.
    pub fn pseudonym(&self, kind: &str, raw: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(kind.as_bytes()).update(&[0]).update(raw.as_bytes());
        hasher.finalize().to_hex()[..DIGITS].to_owned()
    }
}

/// A short unkeyed id, for data whose raw ids are public or synthetic.
pub fn short(raw: &str) -> String {
    blake3::hash(raw.as_bytes()).to_hex()[..DIGITS].to_owned()
}

/// An id without what tables change silently: leading zeros, the case of letters and blanks. Two ids with one folded form may be one
/// patient in two spellings.
pub fn folded(raw: &str) -> String {
    let letters = raw.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase);
    let text: String = letters.collect();
    text.trim_start_matches('0').to_owned()
}

/// The id of a slice: unique in a study, sorts by patient, series, position.
pub fn slice(patient_id: &str, series_id: &str, slice_index: i32) -> String {
    format!("{patient_id}/{series_id}/{slice_index:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_ids_ignore_zeros_case_and_blanks() {
        for (one, other) in [("0007", "7"), ("P 01", "p01"), (" A-1", "a-1")] {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("7", "70"), ("P07", "P7"), ("A-1", "A1")] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
