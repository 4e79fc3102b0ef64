//! Expected calibration error: how far probabilities are from the frequencies they promise.
//!
//! Formula (Naeini et al. 2015; Guo et al. 2017): the slices are put into bins by probability; ECE = sum over bins of
//! (slices of the bin / all slices) |mean probability - share of the class|, which is the sum over bins of
//! |sum of (y - p)| over the number of all slices. So a patient adds [`BINS`] sums, and a resample is a pass over patients.
//!
//! The probability is the positive class's and not that of the class decided for: what a reader of a diagnosis wants to
//! trust is the probability of the disease, and a network sure of both classes for the wrong patients must not look calibrated. For more
//! than two classes it is the mean over classes of each against the rest (Kull et al. 2019, class-wise), which for two
//! is the same number. Range 0..1; lower is better.
//!
//! Few slices in a bin make its gap larger than the truth's, more so in a resample: the error is biased upwards, and so is its interval.

/// Bins of equal width. Ten: edges that readers can name, as in Naeini et al. 2015 and scikit-learn's examples; each
/// further bin would add to the upward bias, and a study of some hundred patients cannot fill many.
pub const BINS: usize = 10;

/// The bin of a probability: (b / 10, (b + 1) / 10], and 0 in the first, as Guo et al. and scikit-learn close them.
pub fn bin(probability: f64) -> usize {
    // The cast cuts nothing: probabilities may be a tolerance outside 0..1, so the ends are held.
    ((probability * BINS as f64).ceil() - 1.0).clamp(0.0, (BINS - 1) as f64) as usize
}

/// The error of one class from its bins' sums of (y - p) over `slices` slices, at least 1.
pub fn error(sums: &[f64], slices: u64) -> f64 {
    sums.iter().map(|sum| sum.abs()).sum::<f64>() / slices as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_above() {
        let edges = (1..=BINS).map(|edge| edge as f64 / BINS as f64);
        assert!(edges.enumerate().all(|(place, edge)| bin(edge) == place && bin(edge - 1e-9) == place));
        assert_eq!([0.0, -0.0005, 0.1 + 1e-9, 1.0005].map(bin), [0, 0, 1, 9]);
    }

    #[test]
    fn by_hand() {
        // Bin (0.6, 0.7]: 0.7, 0.7, 0.7 of which one is positive: |1 - 2.1|; bin (0.1, 0.2]: 0.2, negative: |0 - 0.2|; over 4.
        let mut sums = [0.0; BINS];
        for (p, y) in [(0.7, 1.0), (0.7, 0.0), (0.7, 0.0), (0.2, 0.0)] {
            sums[bin(p)] += y - p;
        }
        assert!((error(&sums, 4) - 0.325).abs() < 1e-12);
    }
}
