//! The numbers that turn stored values into HU (PS3.3 C.11.1.1.2), also where some slices of a series have lost them.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::groups::Groups;
use super::values::Values;

/// Remark: slices without a rescale took that of the series' other slices.
pub const MISSING_RESCALE: &str = "missing_rescale_of_other_slices";
/// Remark: slices have a RescaleIntercept alone; the slope was taken as 1.
pub const MISSING_SLOPE: &str = "missing_rescale_slope_is_1";
/// Why a slice is left out: it holds another quantity than HU.
pub const NOT_HU: &str = "not_hu";

/// Values of RescaleType that are other quantities than HU (PS3.3 C.11.1.1.2): optical density, mg/ml, effective atomic number,
/// electron density and percent.
const OTHER_QUANTITIES: [&str; 6] = ["OD", "MGML", "Z_EFF", "ED", "EDW", "PCT"];

/// What a slice states of its rescale.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rescale {
    /// RescaleSlope, other than 0.
    slope: Option<f64>,
    /// RescaleIntercept.
    intercept: Option<f64>,
    /// What is there and is no usable number, for a message.
    unusable: Option<String>,
}

/// What the slices of a series state together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Usual {
    /// No slice states slope and intercept.
    #[default]
    None,
    /// All slices that state them have this slope and intercept.
    One([f64; 2]),
    /// Slices differ.
    Several,
}

impl Rescale {
    /// Reads it from the groups of a slice.
    pub fn of(groups: Groups) -> Self {
        let item = groups.item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let mut rescale = Self::default();
        rescale.slope = rescale.number(item, tags::RESCALE_SLOPE, "RescaleSlope").filter(|slope| *slope != 0.0);
        rescale.intercept = rescale.number(item, tags::RESCALE_INTERCEPT, "RescaleIntercept");
        rescale
    }

    fn number(&mut self, item: &InMemDicomObject, tag: Tag, name: &str) -> Option<f64> {
        let text = item.text(tag)?;
        let number = item.decimals(tag).map(|[number]| number);
        if number.is_none() || (tag == tags::RESCALE_SLOPE && number == Some(0.0)) {
            self.unusable = Some(format!("{name} is \"{text}\""));
        }
        number
    }

    /// Slope and intercept; `None` if the slice does not have both.
    pub fn whole(&self) -> Option<[f64; 2]> {
        Some([self.slope?, self.intercept?])
    }

    /// Slope and intercept for the slice, from the series' own where it lacks them; without any, stored values count as HU.
    ///
    /// # Errors
    /// The slice lacks them and the series has several, or it states something else than its series, or something unusable.
    pub fn completed(&self, usual: Usual) -> Result<[f64; 2], String> {
        if let Some(whole) = self.whole() {
            return Ok(whole);
        }
        let found = self.unusable.clone().unwrap_or_else(|| "it lacks RescaleSlope or RescaleIntercept".to_owned());
        match usual {
            Usual::One(pair) if self.agrees(pair) => Ok(pair),
            Usual::One([slope, intercept]) => Err(format!(
                "{found}, and what it states differs from the series' other slices ({slope} and {intercept}); correct both elements"
            )),
            Usual::Several => Err(format!(
                "{found}, and the series' other slices differ in theirs; give this slice its own RescaleSlope and RescaleIntercept, \
                 or take it out"
            )),
            Usual::None if self.unusable.is_some() => Err(format!("{found}, expected a number; correct the element")),
            Usual::None => Ok([self.slope.unwrap_or(1.0), self.intercept.unwrap_or(0.0)]),
        }
    }

    fn agrees(&self, [slope, intercept]: [f64; 2]) -> bool {
        self.slope.is_none_or(|own| own == slope) && self.intercept.is_none_or(|own| own == intercept)
    }
}

impl Usual {
    /// What the slices of a series state, and what is remarkable of it.
    pub fn of<'a>(slices: impl IntoIterator<Item = &'a Rescale>) -> (Self, Option<&'static str>) {
        let (mut usual, mut lacking, mut half) = (Self::None, false, false);
        for slice in slices {
            let Some(pair) = slice.whole() else {
                lacking = true;
                half |= slice.intercept.is_some() && slice.unusable.is_none();
                continue;
            };
            usual = match usual {
                Self::None => Self::One(pair),
                Self::One(first) if first == pair => usual,
                _ => Self::Several,
            };
        }
        let remark = match usual {
            Self::One(_) if lacking => Some(MISSING_RESCALE),
            Self::None if half => Some(MISSING_SLOPE),
            _ => None,
        };
        (usual, remark)
    }
}

/// False for a slice that says it holds another quantity than HU, as the maps of dual-energy CT do.
pub fn may_be_hu(groups: Groups) -> bool {
    let item = groups.item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    item.text(tags::RESCALE_TYPE).is_none_or(|kind| !OTHER_QUANTITIES.contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(slope: Option<f64>, intercept: Option<f64>) -> Rescale {
        Rescale { slope, intercept, unusable: None }
    }

    #[test]
    fn a_slice_without_rescale_takes_that_of_its_series() {
        let (whole, empty) = (stated(Some(1.0), Some(-1024.0)), Rescale::default());
        let (usual, remark) = Usual::of([&whole, &empty, &whole]);
        assert_eq!((usual, remark), (Usual::One([1.0, -1024.0]), Some(MISSING_RESCALE)));
        assert_eq!(empty.completed(usual), Ok([1.0, -1024.0]));
        assert_eq!(stated(Some(1.0), None).completed(usual), Ok([1.0, -1024.0]));
        let error = stated(None, Some(0.0)).completed(usual).expect_err("another intercept");
        assert!(error.contains("1 and -1024"), "{error}");
    }

    #[test]
    fn slices_that_differ_are_no_source_for_one_that_lacks_its_own() {
        let (first, second) = (stated(Some(1.5), Some(-1024.0)), stated(Some(1.25), Some(-1024.0)));
        let (usual, remark) = Usual::of([&first, &second]);
        assert_eq!((usual, remark, first.completed(usual)), (Usual::Several, None, Ok([1.5, -1024.0])));
        assert!(Rescale::default().completed(usual).is_err_and(|error| error.contains("differ in theirs")));
    }

    #[test]
    fn without_any_rescale_stored_values_count_as_hu() {
        let (usual, remark) = Usual::of([&Rescale::default()]);
        assert_eq!((usual, remark, Rescale::default().completed(usual)), (Usual::None, None, Ok([1.0, 0.0])));
        let half = stated(None, Some(-1024.0));
        assert_eq!(Usual::of([&half]), (Usual::None, Some(MISSING_SLOPE)));
        assert_eq!(half.completed(Usual::None), Ok([1.0, -1024.0]));
        let zero = Rescale { unusable: Some("RescaleSlope is \"0\"".to_owned()), ..half };
        assert!(zero.completed(Usual::None).is_err_and(|error| error.contains("RescaleSlope is \"0\", expected")));
        assert_eq!(zero.completed(Usual::One([1.0, -1024.0])), Ok([1.0, -1024.0]));
    }
}
