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

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Config;

    fn train(set: &[&str]) -> Train {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("study.yaml");
        std::fs::write(&study, "study: schedule\n").unwrap();
        let set: Vec<String> = set.iter().map(|pair| format!("train.{pair}")).collect();
        Config::load(&study, &set).unwrap().methods.pop().unwrap().train // the last method is the proposed one
    }

    #[test]
    fn alpha_steps_where_the_paper_says() {
        // PAPER, "Losses": n is 1-based; E=100: 49 early, 50 late; E=5: 1 and 2 early; E=2: both late; n=E late.
        let cases =
            [(100, 48, 0.9), (100, 49, 0.1), (5, 1, 0.9), (5, 2, 0.1), (2, 0, 0.1), (2, 1, 0.1), (100, 99, 0.1)];
        for (epochs, epoch, expected) in cases {
            let train = train(&[&format!("epochs={epochs}")]);
            assert_eq!(alpha(&train, epoch), Some(expected), "E={epochs} n={}", epoch + 1);
        }
        assert_eq!(alpha(&train(&["epochs=100", "index_base=0"]), 49), Some(0.9));
        assert_eq!(alpha(&train(&["epochs=2", "index_base=0"]), 0), Some(0.9));
    }

    #[test]
    fn presets_are_the_papers_table() {
        // alpha = 0.9 in the first epoch of 10.
        let expected = [
            ("gamma", (1.0, 1.0, 1.0)),
            ("alpha", (0.9, 0.1, 0.9)),
            ("alpha-keep-att", (1.0, 0.1, 0.9)),
            ("alpha-map-only", (0.0, 0.1, 0.9)),
            ("alpha-map-vs-cls", (0.1, 0.1, 0.9)),
            ("abn", (1.0, 1.0, 0.0)),
        ];
        for (loss, (att, per, map)) in expected {
            let got = weights(&train(&[&format!("methods.proposed.loss={loss}"), "epochs=10"]), 0);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(close(got.att, att) && close(got.per, per) && close(got.map, map), "{loss}: {got:?}");
        }
    }

    #[test]
    fn normalized_weights_sum_to_three() {
        for epoch in 0..10 {
            let got = weights(&train(&["normalize_weights=true", "epochs=10"]), epoch);
            assert!((got.att + got.per + got.map - 3.0).abs() < 1e-12);
        }
    }

    #[test]
    fn linear_and_cosine_meet_both_ends_and_the_middle() {
        for schedule in ["linear", "cosine"] {
            let train = train(&[&format!("schedule={schedule}"), "epochs=11"]);
            assert_eq!((alpha(&train, 0), alpha(&train, 10)), (Some(0.9), Some(0.1)));
            assert!((alpha(&train, 5).unwrap() - 0.5).abs() < 1e-12);
        }
        assert_eq!(alpha(&train(&["schedule=constant", "epochs=11"]), 10), Some(0.9));
    }

    #[test]
    fn learning_rate_warms_up_and_falls() {
        let train = train(&["lr=0.1", "warmup_epochs=2", "epochs=10"]);
        assert!((learning_rate(&train, 0, 0, 10) - 0.005).abs() < 1e-12); // first of 20 warm-up steps
        assert!((learning_rate(&train, 2, 0, 10) - 0.1).abs() < 1e-12);
        assert!((learning_rate(&train, 6, 0, 10) - 0.05).abs() < 1e-12); // half of the cosine
        assert!(learning_rate(&train, 9, 9, 10) < 1e-3);
    }
}
