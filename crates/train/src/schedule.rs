//! The weights of the loss terms and the learning rate, as functions of the epoch.
//!
//! Equation (5) of the paper: alpha = 0.9 if n < E/2, else 0.1, with n = 1, 2, ... the epoch as printed and E the number
//! of epochs. E=100: n=49 is early, n=50 late; E=5: n=1,2 early; E=2: both late. `index_base: 0` counts from 0.

use contract::config::{Loss, LrSchedule, Schedule, Train};

/// Weights of one epoch in `w_att * L_att + w_per * L_per + w_map * L_map`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the attention branch's cross-entropy.
    pub att: f64,
    /// Of the perception branch's cross-entropy.
    pub per: f64,
    /// Of the map loss.
    pub map: f64,
}

/// Sum that `normalize_weights` scales the three weights to: that of `gamma` with gamma = 1.
const NORMALIZED_SUM: f64 = 3.0;

/// Alpha of the `epoch`-th epoch (0-based), or `None` for a loss without alpha.
pub fn alpha(train: &Train, epoch: u32) -> Option<f64> {
    if matches!(train.loss, Loss::Gamma | Loss::Abn | Loss::Resnet18) {
        return None;
    }
    let n = f64::from(epoch + train.index_base);
    let epochs = f64::from(train.epochs);
    // Share of the way from early to late: 0 in the first epoch, 1 in the last.
    let way = if train.epochs > 1 { f64::from(epoch) / (epochs - 1.0) } else { 1.0 };
    let share = match train.schedule {
        Schedule::Step => f64::from(u8::from(n >= epochs / 2.0)),
        Schedule::Linear => way,
        Schedule::Cosine => (1.0 - (std::f64::consts::PI * way).cos()) / 2.0,
        Schedule::Constant => 0.0,
    };
    // Exact at both ends, so that 0.9 and 0.1 are the very numbers of the configuration.
    Some(match share {
        0.0 => train.alpha_early,
        1.0 => train.alpha_late,
        share => train.alpha_early + (train.alpha_late - train.alpha_early) * share,
    })
}

/// Loss weights of the `epoch`-th epoch (0-based). The table of presets is in README.
pub fn weights(train: &Train, epoch: u32) -> Weights {
    let alpha = alpha(train, epoch).unwrap_or(0.0);
    let (att, per, map) = match train.loss {
        Loss::Gamma => (1.0, 1.0, train.gamma),
        Loss::Alpha => (alpha, 1.0 - alpha, alpha),
        Loss::AlphaKeepAtt => (1.0, 1.0 - alpha, alpha),
        Loss::AlphaMapOnly => (0.0, 1.0 - alpha, alpha),
        Loss::AlphaMapVsCls => (1.0 - alpha, 1.0 - alpha, alpha),
        Loss::Abn => (1.0, 1.0, 0.0),
        Loss::Resnet18 => (0.0, 1.0, 0.0),
    };
    let scale = if train.normalize_weights { NORMALIZED_SUM / (att + per + map) } else { 1.0 };
    Weights { att: att * scale, per: per * scale, map: map * scale }
}

/// Learning rate of step `step` (0-based) of `steps_per_epoch` in the `epoch`-th epoch (0-based).
pub fn learning_rate(train: &Train, epoch: u32, step: usize, steps_per_epoch: usize) -> f64 {
    let done = f64::from(epoch) + step as f64 / steps_per_epoch.max(1) as f64;
    let (warmup, total) = (f64::from(train.warmup_epochs.min(train.epochs - 1)), f64::from(train.epochs));
    if done < warmup {
        return train.lr * (done + 1.0 / steps_per_epoch.max(1) as f64) / warmup;
    }
    let way = (done - warmup) / (total - warmup);
    train.lr
        * match train.lr_schedule {
            LrSchedule::Constant => 1.0,
            LrSchedule::Cosine => (1.0 + (std::f64::consts::PI * way).cos()) / 2.0,
            LrSchedule::Step if way < 0.5 => 1.0,
            LrSchedule::Step if way < 0.75 => 0.1,
            LrSchedule::Step => 0.01,
        }
}
