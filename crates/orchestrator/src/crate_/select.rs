//! Which files of a study a crate holds, and why not the others.

use std::path::Path;

use contract::layout::{LESIONS, PREDICTIONS, PREDICTIONS_REVERSED, SHEETS, SLICES, TENSORBOARD, WEIGHTS};

use super::CrateArgs;
use super::scrub::Scrubber;

/// Kinds of files that hold numbers and words.
const KNOWN: [&str; 8] = ["csv", "json", "md", "tex", "svg", "yaml", "txt", "parquet"];
/// Kinds that are pictures, or hold them.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "html"];
/// How a picture begins that lies inside a text.
const EMBEDDED: &[u8] = b"data:image";

/// Why synthetic CT is not in a crate.
pub const CT: &str = "synthetic CT, which the phantom stage makes again from the settings";
const IMAGES: &str = "shows patients; --with-images";
const WEIGHTS_OUT: &str = "large; --with-weights";
const CLOCK: &str = "holds the clock; the same figures are in log.csv and timing.json";
const UNKNOWN: &str = "a kind of file of which nobody knows that it shows no patient; --with-images";
const TELLS: &str = "names a folder or a person of the machine that made it";

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is copied.
    Held,
    /// It is copied without the maps.
    WithoutAttention,
    /// It is not copied, for this reason.
    LeftOut(&'static str),
}

/// Decides on a file of an output by its path there; [`refused`] looks inside.
pub fn fate(file: &str, args: &CrateArgs) -> Fate {
    let path = Path::new(file);
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let asked = |has: bool, reason| if has { Fate::Held } else { Fate::LeftOut(reason) };
    match file {
        WEIGHTS => asked(args.with_weights, WEIGHTS_OUT),
        PREDICTIONS | PREDICTIONS_REVERSED if !args.with_attention => Fate::WithoutAttention,
        SLICES | LESIONS => asked(args.with_images, IMAGES),
        _ if path.starts_with(TENSORBOARD) => Fate::LeftOut(CLOCK),
        _ if path.starts_with(SHEETS) || PICTURES.contains(&ending.as_str()) => asked(args.with_images, IMAGES),
        _ => asked(args.with_images || KNOWN.contains(&ending.as_str()), UNKNOWN),
    }
}

/// Why a file is not shared although its name would allow it.
pub fn refused(bytes: &[u8], args: &CrateArgs, scrubber: &Scrubber) -> Option<&'static str> {
    let shows = || bytes.windows(EMBEDDED.len()).any(|window| window == EMBEDDED);
    if !args.with_images && shows() {
        return Some(IMAGES);
    }
    scrubber.tells(bytes).then_some(TELLS)
}
