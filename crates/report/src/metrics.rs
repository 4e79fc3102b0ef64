//! Metrics of slices, from counts.
//!
//! One positive class against the rest: TP, FN, FP, TN. Decision: the class of the largest probability; a tie goes to
//! the positive class if it takes part in it, else to the smaller label. For two classes that is `prob[positive] >=
//! 0.5`.
//!
//! | metric | formula |
//! |---|---|
//! | accuracy | correct / all (all classes) |
//! | sensitivity, specificity | TP / (TP + FN), TN / (TN + FP) |
//! | PPV, NPV | TP / (TP + FP), TN / (TN + FN) |
//! | F1 | 2 TP / (2 TP + FP + FN) |
//! | balanced accuracy | mean of the classes' recalls |
//! | MCC | the multi-class R_K of Gorodkin 2004, which is Matthews' for two classes |
//! | Brier | two classes: mean of (p - y)^2 of the positive class, 0..1; more: mean over slices of the sum over classes, 0..2 |
//! | ECE | expected calibration error, [`crate::calibration`] |
//! | AUC | Mann-Whitney, positive against rest; macro AUC: mean over classes of one against rest |
//!
//! A ratio with denominator 0 is undefined: never 0, never left out of a mean in silence.

use crate::calibration::{self, BINS};

/// A metric of slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Correct slices of all.
    Accuracy,
    /// Recall of the positive class.
    Sensitivity,
    /// Recall of the rest.
    Specificity,
    /// Area under the ROC curve.
    Auc,
    /// The same area with Obuchowski's interval and test ([`crate::clustered`]) instead of the bootstrap's.
    AucClustered,
    /// Positive predictive value.
    Ppv,
    /// Negative predictive value.
    Npv,
    /// Harmonic mean of PPV and sensitivity.
    F1,
    /// Mean recall of the classes.
    BalancedAccuracy,
    /// Matthews' correlation.
    Mcc,
    /// Mean squared error of the probability; lower is better.
    Brier,
    /// Expected calibration error; lower is better.
    Ece,
    /// Mean AUC of each class against the rest; more than two classes only.
    MacroAuc,
}

impl Metric {
    /// The metrics of the paper's Table 1, in its order.
    pub const TABLE: [Self; 4] = [Self::Accuracy, Self::Sensitivity, Self::Specificity, Self::Auc];
    /// All metrics, in the order of the outputs.
    pub const ALL: [Self; 13] = [
        Self::Accuracy,
        Self::Sensitivity,
        Self::Specificity,
        Self::Auc,
        Self::AucClustered,
        Self::Ppv,
        Self::Npv,
        Self::F1,
        Self::BalancedAccuracy,
        Self::Mcc,
        Self::Brier,
        Self::Ece,
        Self::MacroAuc,
    ];

    /// Key in metrics.json and in CSV heads.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Auc => "auc",
            Self::AucClustered => "auc_clustered",
            Self::Ppv => "ppv",
            Self::Npv => "npv",
            Self::F1 => "f1",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Mcc => "mcc",
            Self::Brier => "brier",
            Self::Ece => "ece",
            Self::MacroAuc => "auc_macro",
        }
    }

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Auc => "AUC",
            Self::AucClustered => "AUC, clustered",
            Self::Ppv => "PPV",
            Self::Npv => "NPV",
            Self::F1 => "F1",
            Self::BalancedAccuracy => "balanced accuracy",
            Self::Mcc => "MCC",
            Self::Brier => "Brier score",
            Self::Ece => "calibration error",
            Self::MacroAuc => "macro AUC",
        }
    }

    /// Whether the bootstrap makes its interval; if not, a formula does.
    pub fn is_resampled(self) -> bool {
        self != Self::AucClustered
    }

    /// Whether readers expect it in percent (one decimal) rather than as a number (three).
    pub fn is_percent(self) -> bool {
        use Metric::{Accuracy, BalancedAccuracy, Npv, Ppv, Sensitivity, Specificity};
        matches!(self, Accuracy | Sensitivity | Specificity | Ppv | Npv | BalancedAccuracy)
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undefined(pub &'static str);

/// Counts and sums of a set of slices, from which every metric follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Number of classes, K.
    pub classes: usize,
    /// The positive class.
    pub positive: usize,
    /// (K, K) row-major: true class by row, decision by column.
    pub confusion: Vec<u64>,
    /// Sum of the Brier terms.
    pub brier: f64,
    /// Sums of (y - p) by bin of p: of the positive class, or of each class if there are more than two.
    pub calibration: Vec<[f64; BINS]>,
    /// AUC of each class against the rest; where it was not asked for, or has one side only, None.
    pub auc: Vec<Option<f64>>,
}

fn ratio(part: u64, whole: u64, reason: &'static str) -> Result<f64, Undefined> {
    if whole == 0 { Err(Undefined(reason)) } else { Ok(part as f64 / whole as f64) }
}

const NO_SLICES: &str = "no slices";
const NO_POSITIVES: &str = "no slices of the positive class";
const NO_NEGATIVES: &str = "no slices of the negative class";
const ONE_CLASS: &str = "slices of one class only";

impl Tally {
    /// Slices in all.
    pub fn slices(&self) -> u64 {
        self.confusion.iter().sum()
    }

    fn of_class(&self, class: usize) -> u64 {
        self.confusion[class * self.classes..(class + 1) * self.classes].iter().sum()
    }

    fn decided(&self, class: usize) -> u64 {
        (0..self.classes).map(|row| self.confusion[row * self.classes + class]).sum()
    }

    fn correct(&self, class: usize) -> u64 {
        self.confusion[class * (self.classes + 1)]
    }

    /// TP, FN, FP, TN of the positive class against the rest.
    pub fn outcomes(&self) -> [u64; 4] {
        let tp = self.correct(self.positive);
        let (missed, alarms) = (self.of_class(self.positive) - tp, self.decided(self.positive) - tp);
        [tp, missed, alarms, self.slices() - tp - missed - alarms]
    }

    /// Number of slices a metric rests on: the denominator of a ratio.
    pub fn n(&self, metric: Metric) -> u64 {
        let [tp, missed, alarms, tn] = self.outcomes();
        match metric {
            Metric::Sensitivity => tp + missed,
            Metric::Specificity => tn + alarms,
            Metric::Ppv => tp + alarms,
            Metric::Npv => tn + missed,
            _ => self.slices(),
        }
    }

    /// The metric's value, or why there is none.
    ///
    /// # Errors
    /// The denominator is 0, or the set lacks a class.
    pub fn value(&self, metric: Metric) -> Result<f64, Undefined> {
        let [tp, missed, alarms, tn] = self.outcomes();
        match metric {
            Metric::Accuracy => ratio((0..self.classes).map(|c| self.correct(c)).sum(), self.slices(), NO_SLICES),
            Metric::Sensitivity => ratio(tp, tp + missed, NO_POSITIVES),
            Metric::Specificity => ratio(tn, tn + alarms, NO_NEGATIVES),
            Metric::Ppv => ratio(tp, tp + alarms, "no slice was called positive"),
            Metric::Npv => ratio(tn, tn + missed, "no slice was called negative"),
            Metric::F1 => ratio(2 * tp, 2 * tp + alarms + missed, "no positive slice, and none called positive"),
            Metric::BalancedAccuracy => self.balanced_accuracy(),
            Metric::Mcc => self.mcc(),
            Metric::Brier | Metric::Ece if self.slices() == 0 => Err(Undefined(NO_SLICES)),
            Metric::Brier => Ok(self.brier / self.slices() as f64),
            Metric::Ece => Ok(self.calibration_error()),
            Metric::Auc | Metric::AucClustered => self.auc[self.positive].ok_or(Undefined(ONE_CLASS)),
            Metric::MacroAuc => self.macro_auc(),
        }
    }

    fn balanced_accuracy(&self) -> Result<f64, Undefined> {
        let recall = |class| ratio(self.correct(class), self.of_class(class), "a class without slices");
        let recalls = (0..self.classes).map(recall).collect::<Result<Vec<_>, _>>()?;
        Ok(recalls.iter().sum::<f64>() / self.classes as f64)
    }

    fn calibration_error(&self) -> f64 {
        let each = self.calibration.iter().map(|sums| calibration::error(sums, self.slices()));
        each.sum::<f64>() / self.calibration.len() as f64
    }

    fn macro_auc(&self) -> Result<f64, Undefined> {
        let all: Option<Vec<f64>> = self.auc.iter().copied().collect();
        let all = all.ok_or(Undefined("a class without slices, or with no others"))?;
        Ok(all.iter().sum::<f64>() / all.len() as f64)
    }

    fn mcc(&self) -> Result<f64, Undefined> {
        let all = self.slices() as f64;
        let correct = (0..self.classes).map(|class| self.correct(class) as f64).sum::<f64>();
        let pairs = (0..self.classes).map(|class| (self.of_class(class) as f64, self.decided(class) as f64));
        let sums = pairs.fold((0.0, 0.0, 0.0), |(tt, dd, td), (t, d)| (tt + t * t, dd + d * d, td + t * d));
        let (truth, decided) = (all * all - sums.0, all * all - sums.1);
        if truth <= 0.0 {
            return Err(Undefined(ONE_CLASS));
        }
        if decided <= 0.0 {
            return Err(Undefined("one class only was decided for"));
        }
        Ok((correct * all - sums.2) / (truth.sqrt() * decided.sqrt()))
    }
}

/// The decision for one distribution over the classes; see the module's head for ties.
pub fn decide(prob: &[f64], positive: usize) -> usize {
    // Starting from the positive class with a strict comparison lets it keep a tie, and then the smaller label.
    (0..prob.len()).fold(positive, |best, class| if prob[class] > prob[best] { class } else { best })
}

/// The Brier term of one slice.
pub fn brier_term(prob: &[f64], label: usize, positive: usize) -> f64 {
    let square = |class: usize| (prob[class] - f64::from(u8::from(class == label))).powi(2);
    if prob.len() == 2 { square(positive) } else { (0..prob.len()).map(square).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(confusion: &[u64], auc: Vec<Option<f64>>) -> Tally {
        let classes = auc.len();
        let confusion = confusion.to_vec();
        Tally { classes, positive: 1, confusion, brier: 0.0, calibration: vec![[0.0; BINS]], auc }
    }

    #[test]
    fn the_papers_patients() {
        // Table 2 of the paper, conventional: 115 of 119 and 184 of 227, hence 299 of 346.
        let tally = tally(&[184, 43, 4, 115], vec![None, None]);
        assert_eq!(tally.outcomes(), [115, 4, 43, 184]);
        assert_eq!(tally.value(Metric::Accuracy), Ok(299.0 / 346.0));
        assert_eq!(tally.value(Metric::Sensitivity), Ok(115.0 / 119.0));
        assert_eq!(tally.value(Metric::Specificity), Ok(184.0 / 227.0));
        assert_eq!(tally.n(Metric::Specificity), 227);
    }

    #[test]
    fn undefined_is_a_result() {
        let none = tally(&[0, 0, 0, 0], vec![None, None]);
        assert!(Metric::ALL.iter().all(|metric| none.value(*metric).is_err()));
        let negatives = tally(&[5, 0, 0, 0], vec![None, None]);
        let undefined =
            [Metric::Sensitivity, Metric::Auc, Metric::Ppv, Metric::F1, Metric::Mcc, Metric::BalancedAccuracy];
        assert!(undefined.iter().all(|metric| negatives.value(*metric).is_err()));
        assert_eq!(negatives.value(Metric::Specificity), Ok(1.0));
    }

    #[test]
    fn ties_go_to_the_positive_class() {
        assert_eq!(decide(&[0.5, 0.5], 1), 1);
        assert_eq!(decide(&[0.5, 0.5], 0), 0);
        assert_eq!(decide(&[0.4, 0.2, 0.4], 1), 0);
        assert_eq!(decide(&[0.4, 0.2, 0.4], 2), 2);
        assert_eq!(decide(&[0.51, 0.49], 1), 0);
    }
}
