//! Attention maps of prepared slices, back in the CT they came from: a volume in its geometry, and pictures.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::datatypes::{Int32Type, UInt32Type};
use contract::config::Config;
use contract::layout::{ATTENTION_VOLUME, OVERLAYS, PREDICTIONS, SLICES};
use contract::schema::{self, column};
use contract::table::{TableError, TableReader, binary, float_lists, numbers, text};
use contract::{attention, interrupt};
use ndarray::{Array2, Array3, Axis, ShapeBuilder};
use rayon::prelude::*;

use crate::error::Error;
use crate::prepare::{self, CtArgs};
use crate::source::Source;
use crate::{model, nifti_io, overlay, window};

/// Rows of a table in memory at a time.
const BATCH_ROWS: usize = 64;
/// Slices enlarged together.
const CHUNK: usize = 32;

/// Writes `attention.nii.gz`, where the networks have attention, and a picture of each prepared slice.
///
/// # Errors
/// The study or the CT is not usable, the tables are missing, damaged or of another CT, or an output cannot be written.
pub fn run(args: &CtArgs) -> Result<(), Error> {
    let config = args.stage.load()?;
    let slices = prepared(&args.out.join(SLICES), &args.out.join(PREDICTIONS))?;
    let source = args.open(&config, slices.first().map_or(0, |slice| slice.rank))?;
    if let Some(slice) = slices.iter().find(|slice| slice.index >= source.count()) {
        let (index, count) = (slice.index, source.count());
        let message = format!("it has slice {index} of a CT that has {count} slices; prepare this CT first");
        return Err(Error::File { path: args.out.join(SLICES), message });
    }
    let pool = model::pool(model::threads(config.preprocess.threads))?;
    let mut volume = Array3::<f32>::zeros(source.shape.f());
    let axial = source.affine.axial();
    let mut view = axial.view_mut(&mut volume);
    for chunk in slices.chunks(CHUNK) {
        let one = |slice: &Prepared| slice.paint(&config, &source, &args.out.join(OVERLAYS));
        let painted: Vec<Result<_, Error>> = pool.install(|| chunk.par_iter().map(one).collect());
        for (slice, map) in chunk.iter().zip(painted) {
            if let Some(map) = map? {
                view.index_axis_mut(Axis(0), slice.index).assign(&map);
            }
        }
    }
    if slices.iter().any(|slice| slice.map.is_some()) {
        nifti_io::write_values(&args.out.join(ATTENTION_VOLUME), &volume, &source.header)?;
    }
    contract::tell!("paint: {} slices, {}", slices.len(), args.out.display());
    Ok(())
}

/// A square map, row-major, and the cells of its side; `None` for networks without attention.
type Map = Option<(Vec<f32>, usize)>;

/// A slice that was prepared, and what the networks said of it.
struct Prepared {
    /// The place of its series in the order of preference.
    rank: usize,
    /// Position in the CT, from the feet.
    index: usize,
    /// Lung mask as the networks saw it, square.
    mask: Array2<u8>,
    /// What they attended to.
    map: Map,
}

impl Prepared {
    /// Draws the slice, and hands out its attention at its own pixels.
    fn paint(&self, config: &Config, source: &Source, folder: &Path) -> Result<Option<Array2<f32>>, Error> {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let grey = window::window(&source.slice(self.index)?.hu, config.preprocess.window_hu());
        let map = self.map.as_ref().map(|(map, cells)| window::map_at(map, *cells, grey.dim()));
        let picture = overlay::draw_attention(&grey, &window::mask_at(&self.mask, grey.dim()), map.as_ref());
        overlay::write_png(&folder.join(overlay::name(self.index)), &picture)?;
        Ok(map)
    }
}

fn unusable(error: TableError) -> Error {
    Error::unusable(error, "run prepare, and chumoku-train predict on its slices, first")
}

/// Both tables of a folder joined.
fn prepared(slices: &Path, predictions: &Path) -> Result<Vec<Prepared>, Error> {
    let mut maps = maps(predictions)?;
    let failed = |path: &Path, message: String| Error::File { path: path.to_owned(), message };
    let columns =
        [column::SLICE_ID, column::SERIES_ID, column::SLICE_INDEX, column::HEIGHT, column::WIDTH, column::MASK];
    let reader = TableReader::open(slices, &schema::slices()).map_err(unusable)?.select(&columns);
    let mut all = Vec::new();
    for batch in reader.batches(BATCH_ROWS).map_err(unusable)? {
        let batch = batch.map_err(unusable)?;
        let side = |name| numbers::<UInt32Type>(&batch, name).map(|length| length.unwrap_or_default() as usize);
        let indices = numbers::<Int32Type>(&batch, column::SLICE_INDEX).zip(text(&batch, column::SERIES_ID));
        let masks = side(column::HEIGHT).zip(side(column::WIDTH)).zip(binary(&batch, column::MASK));
        for ((id, (index, series)), (shape, mask)) in text(&batch, column::SLICE_ID).zip(indices).zip(masks) {
            let map = maps.remove(id).ok_or_else(|| {
                failed(
                    predictions,
                    format!("no row of slice {id}; predict these slices with chumoku-train predict first"),
                )
            })?;
            let square = shape.0 == shape.1 && shape.0 > 0;
            let mask = Array2::from_shape_vec(shape, mask.to_vec()).ok().filter(|_| square);
            let mask =
                mask.ok_or_else(|| failed(slices, format!("the mask of slice {id} is no square of {shape:?}")))?;
            let index = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            all.push(Prepared { rank: prepare::rank(series), index, mask, map });
        }
    }
    Ok(all)
}

/// The map of each slice.
fn maps(path: &Path) -> Result<BTreeMap<String, Map>, Error> {
    let columns = [column::SLICE_ID, column::ATTENTION];
    let reader = TableReader::open(path, &schema::predictions()).map_err(unusable)?.select(&columns);
    let mut maps = BTreeMap::new();
    for batch in reader.batches(BATCH_ROWS).map_err(unusable)? {
        let batch = batch.map_err(unusable)?;
        for (id, map) in text(&batch, column::SLICE_ID).zip(float_lists(&batch, column::ATTENTION)) {
            let square = |map: Vec<f32>| match attention::side(&map) {
                Some(side) => Ok((map, side)),
                None => {
                    let message = format!("the attention of slice {id} has {} values, no square", map.len());
                    Err(Error::File { path: path.to_owned(), message })
                }
            };
            maps.insert(id.to_owned(), map.map(square).transpose()?);
        }
    }
    Ok(maps)
}
