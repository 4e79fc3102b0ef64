//! Files that hold one slice twice. They are the same only if patient, series, place and pixels agree: exporters give one SOPInstanceUID to
//! many slices, and converters one to slices of two patients.

use std::collections::BTreeMap;
use std::path::Path;

use dicom_dictionary_std::tags;
use rayon::prelude::*;

use super::file::File;
use super::header::Header;
use super::{REPEATED_POSITIONS, SHARED_INSTANCE_UID, Skipped};

/// Reason for a file that holds the same slice as another.
const DUPLICATE: &str = "duplicate";
/// Reason for another slice at the same place.
pub(super) const DUPLICATE_POSITION: &str = "duplicate_position";

/// What a file says it holds: SOPInstanceUID and frame.
type Instance = (String, Option<u32>);
/// What it holds: a hash of its pixels, and where the slice is.
type Content = (String, [f64; 3]);

/// Takes out the copies among the slices of one series of one patient, and remarks where different slices share a SOPInstanceUID.
pub(super) fn take_copies(
    folder: &Path,
    slices: Vec<Header>,
    skipped: &mut Vec<Skipped>,
) -> (Vec<Header>, Option<&'static str>) {
    let mut by_uid: BTreeMap<Instance, Vec<usize>> = BTreeMap::new();
    for (at, slice) in slices.iter().enumerate().filter(|(_, slice)| !slice.instance_uid.is_empty()) {
        by_uid.entry((slice.instance_uid.clone(), slice.frame)).or_default().push(at);
    }
    let shared: Vec<usize> = by_uid.into_values().filter(|places| places.len() > 1).flatten().collect();
    if shared.is_empty() {
        return (slices, None);
    }
    let hashes: BTreeMap<usize, Option<String>> =
        shared.par_iter().map(|at| (*at, pixels(&folder.join(&slices[*at].file)))).collect();
    let mut kept: Vec<Header> = Vec::new();
    let mut seen: BTreeMap<Instance, Vec<Content>> = BTreeMap::new();
    let mut remark = None;
    for (at, slice) in slices.into_iter().enumerate() {
        let Some(hash) = hashes.get(&at) else {
            kept.push(slice);
            continue;
        };
        // A file that cannot be read is no copy of anything; reading it for good names what is wrong.
        let hash = hash.clone().unwrap_or_else(|| format!("unreadable {at}"));
        let others = seen.entry((slice.instance_uid.clone(), slice.frame)).or_default();
        let this = (hash, slice.plane.position);
        if others.contains(&this) {
            skipped.push(slice.into_skipped(DUPLICATE));
            continue;
        }
        if !others.is_empty() {
            remark = Some(SHARED_INSTANCE_UID);
        }
        others.push(this);
        kept.push(slice);
    }
    (kept, remark)
}

/// A remark if a slice left out for its place shows something else than the one that is kept there.
pub(super) fn remark_repeated(folder: &Path, pairs: &[(Header, Header)]) -> Option<&'static str> {
    let differ = |(kept, double): &(Header, Header)| {
        let [kept, double] = [kept, double].map(|slice| pixels(&folder.join(&slice.file)));
        kept.is_some() && kept != double
    };
    pairs.par_iter().any(differ).then_some(REPEATED_POSITIONS)
}

/// A hash of the coded pixels of a file; `None` if they cannot be read.
fn pixels(path: &Path) -> Option<String> {
    let file = File::whole(path).ok()?;
    let value = file.data.get(tags::PIXEL_DATA)?.value();
    let bytes = match value.primitive() {
        Some(values) => contract::hash::bytes(&values.to_bytes()),
        None => {
            let fragments = value.fragments()?;
            contract::hash::bytes(&fragments.iter().flatten().copied().collect::<Vec<u8>>())
        }
    };
    Some(bytes)
}
