//! The masks of one CT, of another series of the folder where the preferred one shows hardly any lung: for `segment` and `prepare`.

use crate::error::Error;
use crate::lungs;
use crate::model::LungModel;
use crate::patients::FEW;
use crate::source::Source;
use crate::timing::Timing;
use crate::volume::{self, Masked, Rules};

/// Segments the source; where fewer than [`FEW`] of its slices show lung, the folder's other series, too, in the order of preference. Hands
/// out the one with most slices that show lung, of equal ones the first. `load` loads the model, which is freed after each series.
///
/// # Errors
/// As [`volume::masks`], of the preferred series; another one that cannot be used is passed over with a note.
pub fn masks(
    load: impl Fn() -> Result<LungModel, Error>,
    mut source: Source,
    rules: &Rules,
    pool: &rayon::ThreadPool,
    timing: &Timing,
) -> Result<(Source, Vec<Masked>), Error> {
    let masks = volume::masks(load()?, &source, rules, pool, timing)?;
    let others = source.take_others();
    let (with_lung, all) = (count(&masks), masks.len());
    let mut best = (source, masks);
    if with_lung as f64 >= FEW * all as f64 || others.is_empty() {
        return Ok(best);
    }
    contract::say!("note: {with_lung} of {all} slices show lung; the other series are tried");
    for other in others {
        let name = other.describe();
        let segmented = other.open().and_then(|source| {
            let masks = volume::masks(load()?, &source, rules, pool, timing)?;
            Ok((source, masks))
        });
        match segmented {
            Ok(found) if count(&found.1) > count(&best.1) => {
                contract::say!(
                    "note: {} of {} slices of {name} show lung; it is taken",
                    count(&found.1),
                    found.1.len()
                );
                best = found;
            }
            Ok(found) => contract::say!("note: {} of {} slices of {name} show lung", count(&found.1), found.1.len()),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => contract::say!("note: {name} cannot be used: {}", contract::cli::chain(&error)),
        }
    }
    Ok(best)
}

/// Slices that show lung.
fn count(masks: &[Masked]) -> usize {
    masks.iter().filter(|slice| lungs::fraction(&slice.mask) > 0.0).count()
}
