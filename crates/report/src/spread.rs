//! How far the seeds of a method lie apart.

use serde::Serialize;

use crate::compare::mean;

/// Spread of a metric over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Number of seeds, at least 2.
    pub seeds: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of a sample: the sum of squares over the number of seeds less one.
    pub sd: f64,
    /// Lowest.
    pub min: f64,
    /// Highest.
    pub max: f64,
}

/// The spread of at least two values.
pub fn spread(values: &[f64]) -> Option<Spread> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(Spread {
        seeds: values.len(),
        mean,
        sd: (squares / (values.len() - 1) as f64).sqrt(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_deviation_is_that_of_a_sample() {
        // statistics.stdev([0.75, 0.8, 0.85, 0.9]) of Python 3.12.
        let found = spread(&[0.75, 0.85, 0.9, 0.8]).unwrap();
        assert!((found.sd - 0.064_549_722_436_790_28).abs() < 1e-12 && (found.mean - 0.825).abs() < 1e-12);
        assert_eq!((found.min, found.max, found.seeds), (0.75, 0.9, 4));
        assert_eq!(spread(&[0.5]), None);
    }
}
