//! Prediction: softmax of both branches and the attention map of each slice, into `predictions.parquet`; what was measured on the maps,
//! into `attention.parquet`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, StringArray};
use arrow::datatypes::Float32Type;
use contract::interrupt;
use contract::progress::Progress;
use contract::schema::{self, column};
use contract::table::TableWriter;
use tch::{Kind, Tensor};

use crate::attention::{self, Curves};
use crate::augment::Draw;
use crate::batch::{self, Batch, Pixels};
use crate::data::Slices;
use crate::run::Model;
use crate::{Error, origins};

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
    /// What was measured on the map, by its column; absent where undefined.
    pub measured: BTreeMap<&'static str, f32>,
}

/// What to predict.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The slices.
    pub slices: &'a Slices,
    /// Positions in them, in the order of the answers.
    pub positions: &'a [usize],
    /// How pixels become numbers.
    pub pixels: Pixels,
    /// How many of the slices get deletion and insertion curves, evenly spaced.
    pub curves: usize,
    /// Name for the progress.
    pub id: &'a str,
}

impl Question<'_> {
    /// Whether the `index`-th slice gets curves.
    fn has_curves(&self, index: usize) -> bool {
        let (all, some) = (self.positions.len(), self.curves);
        // True `some` times for the indices 0..all.
        some >= all || (index + 1) * some / all > index * some / all
    }
}

/// Predicts without augmentation. The network's batch norms are folded first, see [`crate::abn::Network::fold`].
///
/// # Errors
/// An interrupt.
pub fn predict(model: &mut Model, question: Question) -> Result<Vec<Prediction>, Error> {
    let Question { slices, positions, pixels, id, .. } = question;
    model.network.fold();
    let model = &*model;
    let progress = Progress::new(&format!("{id}: prediction"), "images", positions.len() as u64);
    let batches = positions.chunks(BATCH).map(<[usize]>::to_vec).collect();
    let mut all = Vec::with_capacity(positions.len());
    std::thread::scope(|scope| {
        for batch in batch::prefetch(scope, slices, batches, pixels, |_| Draw::IDENTITY).iter() {
            if interrupt::requested() {
                return Err(Error::Interrupted);
            }
            tch::no_grad(|| predict_batch(model, &batch, question, &mut all))?;
            progress.advance(batch.positions.len() as u64);
        }
        Ok(())
    })?;
    progress.finish();
    Ok(all)
}

fn rows(tensor: &Tensor) -> Result<Vec<Vec<f32>>, Error> {
    let flat = tensor.flatten(1, -1).to_kind(Kind::Float).to_device(tch::Device::Cpu).contiguous();
    Ok(Vec::<Vec<f32>>::try_from(&flat)?)
}

fn predict_batch(model: &Model, batch: &Batch, question: Question, all: &mut Vec<Prediction>) -> Result<(), Error> {
    let tensors = batch.tensors(model.device);
    let output = model.network.forward(&tensors.image, false);
    let prob = rows(&output.per_logits.softmax(-1, Kind::Float))?;
    if let Some(at) = prob.iter().position(|row| row.iter().any(|value| !value.is_finite())) {
        return Err(Error::NoPrediction { slice_id: question.slices.rows[batch.positions[at]].slice_id.clone() });
    }
    let start = all.len();
    let joined = batch.positions.iter().zip(prob);
    all.extend(joined.map(|(position, prob)| Prediction { position: *position, prob, attention: None }));
    let Some(attention) = &output.attention else { return Ok(()) };
    let probs = rows(&attention.logits.softmax(-1, Kind::Float))?;
    let maps = rows(&attention.map)?;
    let measures = attention::measure(&attention.map, &tensors.lung, tensors.lesion.as_ref());
    let mut columns = Vec::new();
    for (name, values) in measures.columns() {
        columns.push((name, Vec::<f64>::try_from(values.to_device(tch::Device::Cpu))?));
    }
    for (index, (prob, map)) in probs.into_iter().zip(maps).enumerate() {
        // Curves are twenty passes each: too long to wait for a batch of them.
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        let defined = columns.iter().filter(|(_, values)| values[index].is_finite());
        let mut measured: BTreeMap<_, _> = defined.map(|(name, values)| (*name, values[index] as f32)).collect();
        if question.has_curves(start + index) {
            let at = index as i64;
            let classify = |x: &Tensor| model.network.forward(x, false).per_logits.softmax(-1, Kind::Double);
            let (image, map) = (tensors.image.narrow(0, at, 1), attention.map.narrow(0, at, 1));
            let Curves { deletion_auc, insertion_auc } = attention::curves(classify, &image, &map)?;
            measured.extend([(column::DELETION_AUC, deletion_auc), (column::INSERTION_AUC, insertion_auc)]);
        }
        all[start + index].attention = Some(AttentionPart { prob, map, measured });
    }
    Ok(())
}

/// The mean of several models' predictions of the same slices, in the same order: softmax values and maps cell by cell. Of what
/// was measured on single maps only the share in the lung is kept, as its mean.
pub fn mean(models: &[Vec<Prediction>]) -> Vec<Prediction> {
    let Some(first) = models.first() else { return Vec::new() };
    let of = |index: usize| -> Prediction {
        let each: Vec<&Prediction> = models.iter().map(|model| &model[index]).collect();
        let parts: Option<Vec<&AttentionPart>> = each.iter().map(|prediction| prediction.attention.as_ref()).collect();
        let attention = parts.map(|parts| {
            let lung = column::ATTENTION_IN_LUNG;
            let shares: Option<Vec<[f32; 1]>> =
                parts.iter().map(|part| part.measured.get(lung).map(|v| [*v])).collect();
            AttentionPart {
                prob: mean_of(parts.iter().map(|part| part.prob.as_slice())),
                map: mean_of(parts.iter().map(|part| part.map.as_slice())),
                measured: shares
                    .map(|all| (lung, mean_of(all.iter().map(<[f32; 1]>::as_slice))[0]))
                    .into_iter()
                    .collect(),
            }
        });
        let prob = mean_of(each.iter().map(|prediction| prediction.prob.as_slice()));
        Prediction { position: first[index].position, prob, attention }
    };
    (0..first.len()).map(of).collect()
}

/// Puts the classes of predictions into an order: of each class the place where it is now.
pub fn reorder(predictions: &mut [Prediction], order: &[usize]) {
    for prediction in predictions {
        prediction.prob = origins::reordered(&prediction.prob, order);
        if let Some(part) = &mut prediction.attention {
            part.prob = origins::reordered(&part.prob, order);
        }
    }
}

/// Mean of vectors of one length, summed in f64.
fn mean_of<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sums: Vec<f64> = Vec::new();
    let mut count = 0.0;
    for vector in vectors {
        sums.resize(vector.len(), 0.0);
        sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(*value));
        count += 1.0;
    }
    sums.iter().map(|sum| (sum / count) as f32).collect()
}

/// Which run the predictions belong to.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Method's name.
    pub method: String,
    /// Held-out fold; -1 for a mean over several.
    pub fold: i32,
    /// Seed; -1 for a mean over several.
    pub seed: i64,
}

/// Predictions by ascending slice id, the order of every file.
fn sorted<'a>(slices: &Slices, predictions: &'a [Prediction]) -> Vec<&'a Prediction> {
    let mut sorted: Vec<&Prediction> = predictions.iter().collect();
    sorted.sort_by_key(|prediction| &slices.rows[prediction.position].slice_id);
    sorted
}

fn text(values: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// Writes `predictions.parquet`, sorted by slice.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, slices: &Slices, predictions: &[Prediction], origin: &Origin) -> Result<(), Error> {
    let sorted = sorted(slices, predictions);
    let row = |prediction: &&Prediction| &slices.rows[prediction.position];
    let count = sorted.len();
    let part = |pick: fn(&AttentionPart) -> &[f32]| {
        float_lists(sorted.iter().map(|prediction| prediction.attention.as_ref().map(pick)))
    };
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
        measured(&sorted, column::ATTENTION_IN_LUNG),
    ];
    write_table(path, &schema::predictions(), columns)
}

/// Writes `attention.parquet`: what was measured on the maps, sorted by slice; no rows for a network without attention.
///
/// # Errors
/// The file cannot be written.
pub fn write_attention(path: &Path, slices: &Slices, predictions: &[Prediction]) -> Result<(), Error> {
    let mut sorted = sorted(slices, predictions);
    sorted.retain(|prediction| prediction.attention.is_some());
    let schema = schema::attention();
    let ids = sorted.iter().map(|prediction| slices.rows[prediction.position].slice_id.as_str()).collect();
    let mut columns = vec![text(ids)];
    columns.extend(schema.fields().iter().skip(1).map(|field| measured(&sorted, field.name())));
    write_table(path, &schema, columns)
}

fn measured(sorted: &[&Prediction], name: &str) -> ArrayRef {
    let value = |prediction: &&Prediction| prediction.attention.as_ref()?.measured.get(name).copied();
    Arc::new(sorted.iter().map(value).collect::<Float32Array>())
}

fn write_table(path: &Path, schema: &arrow::datatypes::SchemaRef, columns: Vec<ArrayRef>) -> Result<(), Error> {
    let mut writer = TableWriter::create(path, Arc::clone(schema), &[])?;
    writer.write(schema, columns)?;
    Ok(writer.commit()?)
}

fn float_lists<'a>(lists: impl Iterator<Item = Option<&'a [f32]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
    for list in lists {
        builder.append_option(list.map(|values| values.iter().map(|value| Some(*value))));
    }
    Arc::new(builder.finish())
}
