//! The loss: `w_att * L_att + w_per * L_per + w_map * L_map`, weights from [`crate::schedule`].
//!
//! - `L_att`, `L_per`: cross-entropy of raw logits (N, K) against labels (N) in `0..K`, mean over the batch; with class
//!   weights the weighted mean, as in PyTorch. Fukui et al., CVPR 2019; equation (1) of the paper.
//! - `L_map`: distance between the attention map M (N, 1, m, m) in (0, 1) and the lung mask M' of the same shape in
//!   [0, 1], equation (2). The mask is area-averaged to the map's size ([`mask_to_map`]); the map is never upsampled.
//!
//! The paper says "mean squared error" and prints a norm. Default is the words, `mse`: the mean over batch and map of
//! (M' - M)^2. `l2` is the formula: the mean over the batch of a sample's Euclidean norm (Mitsuhara et al., arXiv:1905.03540).
//! An empty mask is a legal target.

use contract::config::MapLoss;
use tch::{Kind, Reduction, Tensor};

use crate::abn::Output;
use crate::schedule::Weights;

/// Added under the root of `l2`, whose gradient is undefined where map and mask agree everywhere.
const NORM_EPSILON: f64 = 1e-12;
/// Keeps Dice defined when map and mask are both empty.
const DICE_EPSILON: f64 = 1e-6;

/// The three terms and their weighted sum, all scalars.
pub struct Terms {
    /// Weighted sum, the one to differentiate.
    pub total: Tensor,
    /// Cross-entropy of the attention branch.
    pub att: Option<Tensor>,
    /// Cross-entropy of the perception branch.
    pub per: Tensor,
    /// Map loss.
    pub map: Option<Tensor>,
}

/// Mean cross-entropy of raw logits, `class_weights` (K) or none.
fn cross_entropy(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> Tensor {
    const NO_IGNORED_LABEL: i64 = -100;
    logits.cross_entropy_loss(labels, class_weights, Reduction::Mean, NO_IGNORED_LABEL, 0.0)
}

/// Area average of a mask (N, 1, S, S) to the map's side: fractions at the border.
pub fn mask_to_map(mask: &Tensor, side: i64) -> Tensor {
    mask.adaptive_avg_pool2d([side, side])
}

/// Distance between map and mask, both (N, 1, m, m).
pub fn map_loss(kind: MapLoss, map: &Tensor, mask: &Tensor) -> Tensor {
    const SAMPLE: [i64; 3] = [1, 2, 3];
    let sample = SAMPLE.as_slice();
    match kind {
        MapLoss::Mse => map.mse_loss(mask, Reduction::Mean),
        MapLoss::L2 => {
            let squares = (map - mask).square().sum_dim_intlist(sample, false, None::<Kind>);
            let squares = squares + NORM_EPSILON;
            // x / sqrt(x): not the tensor's sqrt, see contract::instructions.
            (&squares * squares.rsqrt()).mean(None::<Kind>)
        }
        MapLoss::Bce => map.binary_cross_entropy(mask, None::<&Tensor>, Reduction::Mean),
        MapLoss::Dice => {
            let overlap = (map * mask).sum_dim_intlist(sample, false, None::<Kind>);
            let sizes = (map + mask).sum_dim_intlist(sample, false, None::<Kind>);
            let dice: Tensor = (overlap * 2.0 + DICE_EPSILON) / (sizes + DICE_EPSILON);
            let distance: Tensor = 1.0 - dice;
            distance.mean(None::<Kind>)
        }
    }
}

/// All terms for one batch. `mask` is (N, 1, m, m), already at the map's size.
pub fn terms(
    output: &Output,
    labels: &Tensor,
    mask: &Tensor,
    weights: Weights,
    kind: MapLoss,
    class_weights: Option<&Tensor>,
) -> Terms {
    let per = cross_entropy(&output.per_logits, labels, class_weights);
    let Some(attention) = &output.attention else {
        return Terms { total: &per * weights.per, att: None, per, map: None };
    };
    let att = cross_entropy(&attention.logits, labels, class_weights);
    let map = map_loss(kind, &attention.map, mask);
    let total = &att * weights.att + &per * weights.per + &map * weights.map;
    Terms { total, att: Some(att), per, map: Some(map) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Two maps of 1x2: squared differences 0.01, 0.04, 0.09 and 0.16 in turn.
    fn example() -> (Tensor, Tensor) {
        let map = Tensor::from_slice(&[0.9_f64, 0.2, 0.7, 0.4]).view([2, 1, 1, 2]);
        (map, Tensor::from_slice(&[1.0_f64, 0.0, 1.0, 0.0]).view([2, 1, 1, 2]))
    }

    fn assert_close(got: &Tensor, expected: f64) {
        let got = got.double_value(&[]);
        assert!((got - expected).abs() < 1e-6, "got {got}, expected {expected}");
    }

    #[test]
    fn map_losses_of_a_worked_example() {
        let (map, mask) = example();
        assert_close(&map_loss(MapLoss::Mse, &map, &mask), 0.30 / 4.0);
        assert_close(&map_loss(MapLoss::L2, &map, &mask), (0.05_f64.sqrt() + 0.25_f64.sqrt()) / 2.0);
        let bce = -(0.9_f64.ln() + 0.8_f64.ln() + 0.7_f64.ln() + 0.6_f64.ln()) / 4.0;
        assert_close(&map_loss(MapLoss::Bce, &map, &mask), bce);
        assert_close(&map_loss(MapLoss::Dice, &map, &mask), 1.0 - (1.8 / 2.1 + 1.4 / 2.1) / 2.0);
    }

    #[test]
    fn equal_or_empty_maps_have_finite_gradients() {
        for kind in [MapLoss::Mse, MapLoss::L2, MapLoss::Dice] {
            let map = Tensor::zeros([2, 1, 3, 3], (Kind::Double, Device::Cpu)).set_requires_grad(true);
            map_loss(kind, &map, &map.zeros_like()).backward();
            assert!(map.grad().isfinite().all().double_value(&[]) == 1.0, "{kind:?}");
        }
    }

    #[test]
    fn class_weights_average_as_pytorch_does() {
        // torch.nn.CrossEntropyLoss(weight=w): sum of w[y] * l over sum of w[y].
        let logits = Tensor::from_slice(&[2.0_f64, 0.0, 0.0, 1.0]).view([2, 2]);
        let labels = Tensor::from_slice(&[0_i64, 0]);
        let (first, second) = ((1.0 + (-2.0_f64).exp()).ln(), (1.0 + 1.0_f64.exp()).ln());
        let weights = Tensor::from_slice(&[3.0_f64, 1.0]);
        assert_close(&cross_entropy(&logits, &labels, Some(&weights)), (first + second) / 2.0);
        let labels = Tensor::from_slice(&[0_i64, 1]);
        let second = (1.0 + (-1.0_f64).exp()).ln();
        assert_close(&cross_entropy(&logits, &labels, Some(&weights)), (3.0 * first + second) / 4.0);
    }

    #[test]
    fn masks_are_averaged_by_area() {
        let mask = Tensor::from_slice(&[1.0_f64, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]).view([1, 1, 2, 4]);
        let got = Vec::<f64>::try_from(mask.adaptive_avg_pool2d([1, 2]).view(-1)).unwrap();
        assert_eq!(got, [0.75, 0.0]);
        assert_eq!(mask_to_map(&Tensor::ones([1, 1, 98, 98], (Kind::Float, Device::Cpu)), 7).size(), [1, 1, 7, 7]);
    }
}
