//! Synthetic chest CT with known lungs and lesions.
//!
//! A patient is drawn once from (seed, index) and cut into slices at any level; a slice is a pure function of patient and level. The
//! same functions make the phantom study (DICOM series with labels and truth) and the training data of the lung U-Net.

mod abdomen;
mod body;
mod bones;
pub mod cohort;
pub mod dicom;
mod disease;
mod error;
mod field;
mod patient;
pub mod preview;
mod section;
mod shape;
mod slice;
pub mod study;
mod surroundings;
mod tissue;
mod vessels;

pub use body::{Body, Padding, Pose};
pub use disease::{Disease, Lesion, Traits};
pub use error::Error;
pub use patient::{Patient, PatientSpec, generate};
pub use section::{LEFT, RIGHT, Section};
pub use slice::{Slice, slice};
pub use vessels::Segment;
