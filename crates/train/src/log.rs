//! `log.csv`: a row an epoch. What depends on the clock is kept apart in `timing.json`, so that the log's bytes repeat.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::abn::Output;
use crate::attention::{COLLAPSED_STD, Measures};
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
    /// Share of the maps' mass inside the lung mask, mean over the slices that show lung.
    pub attention_in_lung: Option<f64>,
    /// Share of it on lesions, mean over the slices that are known to show one.
    pub attention_in_lesion: Option<f64>,
    /// Share of the maps whose highest place is lung.
    pub pointing_lung: Option<f64>,
    /// Entropy of the maps, 0 (one cell) to 1 (the same everywhere).
    pub attention_entropy: Option<f64>,
    /// Share of the maps that are almost the same everywhere: standard deviation below 0.01. The alarm for a dead attention branch.
    pub attention_collapsed: Option<f64>,
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

/// What is summed over an epoch's slices, in the order of [`Sums::totals`].
#[derive(Clone, Copy)]
enum Sum {
    Slices,
    Total,
    Per,
    Right,
    Att,
    Map,
    Mean,
    Std,
    Entropy,
    Collapsed,
    InLung,
    WithLung,
    InLesion,
    WithLesion,
    Pointing,
}

const SUMS: usize = Sum::Pointing as usize + 1;

/// [`Sums`] in a checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Partial {
    totals: Vec<f64>,
    has_attention: bool,
}

/// Sums over an epoch's batches, each weighted by its number of slices. They stay on the device until the epoch's end, so that no step
/// waits for them.
#[derive(Debug)]
pub struct Sums {
    /// ([`SUMS`]) f64.
    totals: Tensor,
    has_attention: bool,
}

impl Sums {
    /// Nothing yet.
    pub fn new(device: Device) -> Self {
        Self { totals: Tensor::zeros([SUMS as i64], (Kind::Double, device)), has_attention: false }
    }

    /// For a checkpoint.
    ///
    /// # Errors
    /// libtorch's.
    pub fn partial(&self) -> Result<Partial, tch::TchError> {
        let totals = Vec::<f64>::try_from(self.totals.to_device(Device::Cpu))?;
        Ok(Partial { totals, has_attention: self.has_attention })
    }

    /// From a checkpoint.
    pub fn restored(partial: &Partial, device: Device) -> Self {
        Self { totals: Tensor::from_slice(&partial.totals).to_device(device), has_attention: partial.has_attention }
    }

    /// Adds a batch. `measures` are those of its attention maps.
    pub fn add(&mut self, terms: &Terms, output: &Output, labels: &Tensor, measures: Option<&Measures>) {
        let n = labels.size()[0] as f64;
        let zero = || self.totals.get(0).zeros_like();
        let scaled = |x: &Tensor| x.detach().to_kind(Kind::Double) * n;
        let sum = |x: &Tensor| x.to_kind(Kind::Double).sum(None::<Kind>);
        let mut batch: Vec<Tensor> = (0..SUMS).map(|_| zero()).collect();
        let mut set = |at: Sum, value: Tensor| batch[at as usize] = value;
        set(Sum::Slices, zero() + n);
        set(Sum::Total, scaled(&terms.total));
        set(Sum::Per, scaled(&terms.per));
        set(Sum::Right, sum(&output.per_logits.argmax(-1, false).eq_tensor(labels)));
        if let (Some(att), Some(map), Some(measures)) = (&terms.att, &terms.map, measures) {
            self.has_attention = true;
            let defined = |x: &Tensor| (x.nan_to_num(0.0, None, None).sum(None::<Kind>), sum(&x.isfinite()));
            let (in_lung, with_lung) = defined(&measures.in_lung);
            let (in_lesion, with_lesion) = defined(&measures.in_lesion);
            set(Sum::Att, scaled(att));
            set(Sum::Map, scaled(map));
            set(Sum::Mean, sum(&measures.mean));
            set(Sum::Std, sum(&measures.std));
            set(Sum::Entropy, sum(&measures.entropy));
            set(Sum::Collapsed, sum(&measures.std.lt(COLLAPSED_STD)));
            set(Sum::InLung, in_lung);
            set(Sum::WithLung, with_lung);
            set(Sum::InLesion, in_lesion);
            set(Sum::WithLesion, with_lesion);
            set(Sum::Pointing, defined(&measures.pointing_lung).0);
        }
        self.totals += Tensor::stack(&batch, 0);
    }

    /// The epoch's row.
    ///
    /// # Errors
    /// libtorch's.
    pub fn row(&self, epoch: u32, alpha: Option<f64>, weights: Weights, lr: f64) -> Result<Row, tch::TchError> {
        let totals = Vec::<f64>::try_from(self.totals.to_device(Device::Cpu))?;
        let ratio = |sum: Sum, of: Sum| totals[sum as usize] / totals[of as usize];
        let mean = |sum: Sum| ratio(sum, Sum::Slices);
        let attention = |value: f64| (self.has_attention && value.is_finite()).then_some(value);
        Ok(Row {
            epoch,
            alpha,
            w_att: weights.att,
            w_per: weights.per,
            w_map: weights.map,
            lr,
            loss: mean(Sum::Total),
            loss_att: attention(mean(Sum::Att)),
            loss_per: mean(Sum::Per),
            loss_map: attention(mean(Sum::Map)),
            accuracy: mean(Sum::Right),
            attention_mean: attention(mean(Sum::Mean)),
            attention_std: attention(mean(Sum::Std)),
            attention_in_lung: attention(ratio(Sum::InLung, Sum::WithLung)),
            attention_in_lesion: attention(ratio(Sum::InLesion, Sum::WithLesion)),
            pointing_lung: attention(ratio(Sum::Pointing, Sum::WithLung)),
            attention_entropy: attention(mean(Sum::Entropy)),
            attention_collapsed: attention(mean(Sum::Collapsed)),
        })
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
