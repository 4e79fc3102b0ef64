//! `log.csv`: a row an epoch. What depends on the clock is kept apart in `timing.json`, so that the log's bytes repeat.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::abn::Output;
use crate::loss::Terms;
use crate::schedule::Weights;

/// One row of `log.csv`. Losses are means over the epoch's training slices, before weighting but for `loss`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Alpha, empty for a loss without it.
    pub alpha: Option<f64>,
    /// Weight of the attention branch's cross-entropy.
    pub w_att: f64,
    /// Weight of the perception branch's cross-entropy.
    pub w_per: f64,
    /// Weight of the map loss.
    pub w_map: f64,
    /// Learning rate of the epoch's last step.
    pub lr: f64,
    /// Weighted sum.
    pub loss: f64,
    /// Cross-entropy of the attention branch.
    pub loss_att: Option<f64>,
    /// Cross-entropy of the perception branch.
    pub loss_per: f64,
    /// Map loss.
    pub loss_map: Option<f64>,
    /// Share of training slices diagnosed right, in training mode.
    pub accuracy: f64,
    /// Mean of the attention maps.
    pub attention_mean: Option<f64>,
    /// Standard deviation within a map, mean over the slices; near 0 the attention has collapsed.
    pub attention_std: Option<f64>,
    /// Share of the maps' mass inside the lung mask.
    pub attention_in_lung: Option<f64>,
}

/// One epoch's wall-clock figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timing {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Seconds.
    pub seconds: f64,
    /// Training slices a second.
    pub images_per_second: f64,
}

/// Sums over an epoch's batches, each weighted by its number of slices.
#[derive(Debug, Default)]
pub struct Sums {
    slices: f64,
    total: f64,
    att: f64,
    per: f64,
    map: f64,
    right: f64,
    attention_mean: f64,
    attention_std: f64,
    in_lung: f64,
    mass: f64,
    has_attention: bool,
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.double_value(&[])
}

impl Sums {
    /// Adds a batch whose total loss is `total`; `mask` is (N, 1, m, m).
    pub fn add(&mut self, total: f64, terms: &Terms, output: &Output, labels: &Tensor, mask: &Tensor) {
        let n = labels.size()[0] as f64;
        self.slices += n;
        self.total += total * n;
        self.per += scalar(&terms.per) * n;
        let right = output.per_logits.argmax(-1, false).eq_tensor(labels).sum(Kind::Int64);
        self.right += scalar(&right);
        if let (Some(attention), Some(att), Some(map_loss)) = (&output.attention, &terms.att, &terms.map) {
            self.has_attention = true;
            self.att += scalar(att) * n;
            self.map += scalar(map_loss) * n;
            let map = attention.map.detach();
            self.attention_mean += scalar(&map.mean(Kind::Float)) * n;
            let within = map.flatten(1, -1).std_dim([1_i64].as_slice(), false, false);
            self.attention_std += scalar(&within.sum(Kind::Float));
            self.in_lung += scalar(&(&map * mask).sum(Kind::Double));
            self.mass += scalar(&map.sum(Kind::Double));
        }
    }

    /// The epoch's row.
    pub fn row(&self, epoch: u32, alpha: Option<f64>, weights: Weights, lr: f64) -> Row {
        let mean = |sum: f64| sum / self.slices;
        let attention = |value: f64| self.has_attention.then_some(value);
        Row {
            epoch,
            alpha,
            w_att: weights.att,
            w_per: weights.per,
            w_map: weights.map,
            lr,
            loss: mean(self.total),
            loss_att: attention(mean(self.att)),
            loss_per: mean(self.per),
            loss_map: attention(mean(self.map)),
            accuracy: mean(self.right),
            attention_mean: attention(mean(self.attention_mean)),
            attention_std: attention(mean(self.attention_std)),
            attention_in_lung: attention(self.in_lung / self.mass),
        }
    }
}

/// The rows as CSV.
pub fn to_csv(rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}
