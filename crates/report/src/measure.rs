//! What is measured on the attention maps, slice by slice: the columns of `attention.parquet`.

use contract::schema::column;

/// Number of measures.
pub const COUNT: usize = 11;

/// The measures of one slice, in the order of [`Measure::ALL`]; None where one is undefined.
pub type Measures = [Option<f64>; COUNT];

/// A slice of which nothing was measured.
pub const NOTHING: Measures = [None; COUNT];

/// Maps whose standard deviation is below this on average have collapsed: they are nearly the same everywhere.
pub const COLLAPSED_STD: f64 = 0.01;

/// A measure of attention maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Share of the map's mass in the lung.
    InLung,
    /// Share of the map's mass on lesions.
    InLesion,
    /// Share of the slice that is lung.
    LungShare,
    /// Share of the slice that is lesion.
    LesionShare,
    /// Share in the lung of a map equal to its target.
    LungCeiling,
    /// Whether the map's highest place is lung.
    PointingLung,
    /// Whether the map's highest place is lesion.
    PointingLesion,
    /// Entropy over the map's cells, 0..1.
    Entropy,
    /// Standard deviation over the map's cells.
    Std,
    /// Area under the deletion curve.
    Deletion,
    /// Area under the insertion curve.
    Insertion,
}

impl Measure {
    /// All measures, in the order of the outputs.
    pub const ALL: [Self; COUNT] = [
        Self::InLung,
        Self::InLesion,
        Self::LungShare,
        Self::LesionShare,
        Self::LungCeiling,
        Self::PointingLung,
        Self::PointingLesion,
        Self::Entropy,
        Self::Std,
        Self::Deletion,
        Self::Insertion,
    ];

    /// Column in attention.parquet, and key in metrics.json.
    pub fn key(self) -> &'static str {
        match self {
            Self::InLung => column::ATTENTION_IN_LUNG,
            Self::InLesion => column::ATTENTION_IN_LESION,
            Self::LungShare => column::LUNG_SHARE,
            Self::LesionShare => column::LESION_SHARE,
            Self::LungCeiling => column::LUNG_CEILING,
            Self::PointingLung => column::POINTING_LUNG,
            Self::PointingLesion => column::POINTING_LESION,
            Self::Entropy => column::ENTROPY,
            Self::Std => column::STD,
            Self::Deletion => column::DELETION_AUC,
            Self::Insertion => column::INSERTION_AUC,
        }
    }

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::InLung => "attention in the lungs",
            Self::InLesion => "attention in lesions",
            Self::LungShare => "lung in the slice",
            Self::LesionShare => "lesion in the slice",
            Self::LungCeiling => "most in the lungs",
            Self::PointingLung => "highest place in a lung",
            Self::PointingLesion => "highest place in a lesion",
            Self::Entropy => "entropy",
            Self::Std => "standard deviation",
            Self::Deletion => "deletion AUC",
            Self::Insertion => "insertion AUC",
        }
    }

    /// Whether readers expect it in percent.
    pub fn is_percent(self) -> bool {
        !matches!(self, Self::Entropy | Self::Std | Self::Deletion | Self::Insertion)
    }

    /// What a map that is the same everywhere scores on average.
    pub fn uniform(self) -> Option<Self> {
        match self {
            Self::InLung | Self::PointingLung => Some(Self::LungShare),
            Self::InLesion | Self::PointingLesion => Some(Self::LesionShare),
            _ => None,
        }
    }

    /// What a map equal to its target scores.
    pub fn ceiling(self) -> Option<Self> {
        (self == Self::InLung).then_some(Self::LungCeiling)
    }

    /// Whether the slice alone decides it, so that methods cannot differ in it.
    pub fn is_of_the_slice(self) -> bool {
        matches!(self, Self::LungShare | Self::LesionShare | Self::LungCeiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_the_columns_of_the_schema_in_their_order() {
        let schema = contract::schema::attention();
        let columns: Vec<&str> = schema.fields().iter().skip(1).map(|field| field.name().as_str()).collect();
        assert_eq!(columns, Measure::ALL.map(Measure::key));
        // A measure's place in a slice's row is its discriminant.
        assert!(Measure::ALL.iter().enumerate().all(|(place, measure)| *measure as usize == place));
    }
}
