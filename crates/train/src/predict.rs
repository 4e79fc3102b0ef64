//! Prediction: softmax of both branches and the attention map of each slice, into `predictions.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, StringArray};
use arrow::datatypes::Float32Type;
use contract::interrupt;
use contract::progress::Progress;
use contract::schema;
use contract::table::TableWriter;
use tch::{Kind, Tensor};

use crate::Error;
use crate::abn::map_side;
use crate::augment::Draw;
use crate::batch::{Batch, Pixels};
use crate::data::Slices;
use crate::loss;
use crate::run::Model;

/// Slices of one forward pass. Fixed, because another number would change the last digits.
const BATCH: usize = 32;

/// What the network says of one slice.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Position in the slices.
    pub position: usize,
    /// K softmax values of the perception branch.
    pub prob: Vec<f32>,
    /// The attention branch's part.
    pub attention: Option<AttentionPart>,
}

/// What the attention branch says of one slice.
#[derive(Debug, Clone)]
pub struct AttentionPart {
    /// K softmax values.
    pub prob: Vec<f32>,
    /// Map, row-major, (m, m).
    pub map: Vec<f32>,
    /// Share of the map's mass inside the mask; none where the map has no mass.
    pub in_lung: Option<f32>,
}

/// Predicts the slices at `positions`, in that order, without augmentation.
///
/// # Errors
/// An interrupt.
pub fn predict(
    model: &Model,
    slices: &Slices,
    positions: &[usize],
    pixels: Pixels,
    id: &str,
) -> Result<Vec<Prediction>, Error> {
    let progress = Progress::new(&format!("{id}: prediction"), "images", positions.len() as u64);
    let mut all = Vec::with_capacity(positions.len());
    for chunk in positions.chunks(BATCH) {
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let batch = Batch::new(slices, chunk.to_vec(), pixels, |_| Draw::IDENTITY);
        all.extend(tch::no_grad(|| predict_batch(model, &batch, slices.side))?);
        progress.advance(chunk.len() as u64);
    }
    progress.finish();
    Ok(all)
}

fn rows(tensor: &Tensor) -> Result<Vec<Vec<f32>>, Error> {
    let flat = tensor.flatten(1, -1).to_kind(Kind::Float).to_device(tch::Device::Cpu).contiguous();
    Ok(Vec::<Vec<f32>>::try_from(&flat)?)
}

fn predict_batch(model: &Model, batch: &Batch, side: usize) -> Result<Vec<Prediction>, Error> {
    let tensors = batch.tensors(model.device);
    let output = model.network.forward(&tensors.image, false);
    let prob = rows(&output.per_logits.softmax(-1, Kind::Float))?;
    let mut parts: Vec<Option<AttentionPart>> = vec![None; prob.len()];
    if let Some(attention) = &output.attention {
        let probs = rows(&attention.logits.softmax(-1, Kind::Float))?;
        let maps = rows(&attention.map)?;
        let masks = rows(&loss::mask_to_map(&tensors.mask, map_side(side as i64)))?;
        for (part, ((prob, map), mask)) in parts.iter_mut().zip(probs.into_iter().zip(maps).zip(masks)) {
            let in_lung = in_lung(&map, &mask);
            *part = Some(AttentionPart { prob, map, in_lung });
        }
    }
    let joined = batch.positions.iter().zip(prob).zip(parts);
    Ok(joined.map(|((position, prob), attention)| Prediction { position: *position, prob, attention }).collect())
}

/// Share of the map's mass inside the mask (values in 0..1), in f64 for a stable sum.
fn in_lung(map: &[f32], mask: &[f32]) -> Option<f32> {
    let mass: f64 = map.iter().map(|value| f64::from(*value)).sum();
    let inside: f64 = map.iter().zip(mask).map(|(value, lung)| f64::from(*value) * f64::from(*lung)).sum();
    (mass > 0.0).then(|| (inside / mass) as f32)
}

/// Which run the predictions belong to.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Method's name.
    pub method: String,
    /// Held-out fold.
    pub fold: i32,
    /// Seed.
    pub seed: i64,
}

/// Writes `predictions.parquet`, sorted by slice.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, slices: &Slices, predictions: &[Prediction], origin: &Origin) -> Result<(), Error> {
    let mut sorted: Vec<&Prediction> = predictions.iter().collect();
    sorted.sort_by_key(|prediction| &slices.rows[prediction.position].slice_id);
    let row = |prediction: &&Prediction| &slices.rows[prediction.position];
    let count = sorted.len();
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let part = |pick: fn(&AttentionPart) -> &[f32]| {
        float_lists(sorted.iter().map(|prediction| prediction.attention.as_ref().map(pick)))
    };
    let in_lung = sorted.iter().map(|prediction| prediction.attention.as_ref().and_then(|part| part.in_lung));
    let columns: Vec<ArrayRef> = vec![
        text(sorted.iter().map(|p| row(p).slice_id.as_str()).collect()),
        text(sorted.iter().map(|p| row(p).patient_id.as_str()).collect()),
        Arc::new(Int32Array::from_iter_values(sorted.iter().map(|p| row(p).label))),
        text(vec![origin.method.as_str(); count]),
        Arc::new(Int32Array::from(vec![origin.fold; count])),
        Arc::new(Int64Array::from(vec![origin.seed; count])),
        float_lists(sorted.iter().map(|prediction| Some(prediction.prob.as_slice()))),
        part(|part| &part.prob),
        part(|part| &part.map),
        Arc::new(in_lung.collect::<Float32Array>()),
    ];
    let schema = schema::predictions();
    let mut writer = TableWriter::create(path, Arc::clone(&schema), &[])?;
    writer.write(&schema, columns)?;
    Ok(writer.commit()?)
}

fn float_lists<'a>(lists: impl Iterator<Item = Option<&'a [f32]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
    for list in lists {
        builder.append_option(list.map(|values| values.iter().map(|value| Some(*value))));
    }
    Arc::new(builder.finish())
}
