//! Whatever is reported as a number, a metric or a measure of attention: its key in files, its name, its unit.

use crate::measure::Measure;
use crate::metrics::Metric;

/// A number's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Of decisions and probabilities.
    Metric(Metric),
    /// Of attention maps.
    Measure(Measure),
}

impl From<Metric> for Quantity {
    fn from(metric: Metric) -> Self {
        Self::Metric(metric)
    }
}

impl From<Measure> for Quantity {
    fn from(measure: Measure) -> Self {
        Self::Measure(measure)
    }
}

impl Quantity {
    /// Key in metrics.json and in CSV files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.key(),
            Self::Measure(measure) => measure.key(),
        }
    }

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.title(),
            Self::Measure(measure) => measure.title(),
        }
    }

    /// Whether readers expect it in percent (one decimal) rather than as a number (three).
    pub fn is_percent(self) -> bool {
        match self {
            Self::Metric(metric) => metric.is_percent(),
            Self::Measure(measure) => measure.is_percent(),
        }
    }
}
