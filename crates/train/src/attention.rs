//! Where attention lies: its mass in lung and lesions, its highest place, its entropy, and what the diagnosis owes to it.
//!
//! Shapes: map (N, 1, m, m) in (0, 1); lung and lesion (N, 1, S, S) in [0, 1]. Every measure is (N), f64, NaN where undefined.
//!
//! - mass: `sum(M R) / sum(M)`, with the region R area-averaged to the map's cells. A map that is the same everywhere scores the region's
//!   share of the slice; a map that equals its target scores `sum(R R) / sum(R)`, the ceiling, which coarse cells keep below 1.
//! - pointing game: whether the highest cell's middle is in the region (Zhang et al., arXiv:1608.00507, without tolerance).
//! - entropy of `M / sum(M)` over the cells, divided by `ln(m m)`: 0 one cell, 1 the same everywhere.
//! - deletion and insertion: Petsiuk et al., arXiv:1806.07421; see [`curves`].

use contract::schema::column;
use tch::{Kind, Tensor};

use crate::loss::mask_to_map;

/// Standard deviation over its cells below which a map says nothing of where: the collapse alarm.
pub const COLLAPSED_STD: f64 = 0.01;
/// Steps from the whole slice to none of it in a deletion or insertion curve.
pub const CURVE_STEPS: i64 = 10;
/// Side of the blur that an insertion curve starts from, as a share of the slice's side.
const BLUR_SHARE: i64 = 8;

/// What is measured on a batch of maps.
pub struct Measures {
    /// Share of the mass in the lung.
    pub in_lung: Tensor,
    /// Share of the mass on lesions.
    pub in_lesion: Tensor,
    /// Share of the slice that is lung.
    pub lung_share: Tensor,
    /// Share of the slice that is lesion.
    pub lesion_share: Tensor,
    /// Share of the mass in the lung if the map were its target.
    pub lung_ceiling: Tensor,
    /// 1 where the highest cell's middle is lung.
    pub pointing_lung: Tensor,
    /// 1 where the highest cell's middle is lesion.
    pub pointing_lesion: Tensor,
    /// Entropy, 0..1.
    pub entropy: Tensor,
    /// Standard deviation over the cells.
    pub std: Tensor,
    /// Mean over the cells.
    pub mean: Tensor,
}

impl Measures {
    /// The measures by their column in `attention.parquet`.
    pub fn columns(&self) -> [(&'static str, &Tensor); 9] {
        [
            (column::ATTENTION_IN_LUNG, &self.in_lung),
            (column::ATTENTION_IN_LESION, &self.in_lesion),
            (column::LUNG_SHARE, &self.lung_share),
            (column::LESION_SHARE, &self.lesion_share),
            (column::LUNG_CEILING, &self.lung_ceiling),
            (column::POINTING_LUNG, &self.pointing_lung),
            (column::POINTING_LESION, &self.pointing_lesion),
            (column::ENTROPY, &self.entropy),
            (column::STD, &self.std),
        ]
    }
}

/// (N, 1, h, w) to (N, h w), f64.
fn rows(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Double).flatten(1, -1)
}

fn sum(x: &Tensor) -> Tensor {
    x.sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)
}

/// `values` where `defined`, else NaN.
fn or_nan(values: &Tensor, defined: &Tensor) -> Tensor {
    values.where_self(defined, &Tensor::from(f64::NAN).to_device(values.device()))
}

/// A region of the slice.
struct Region {
    /// (N, m m) area averages.
    cells: Tensor,
    /// (N, m m) values in the middle of each cell.
    middles: Tensor,
    /// (N) whether there is any of it.
    any: Tensor,
    /// (N) share of the slice.
    share: Tensor,
}

impl Region {
    fn new(region: &Tensor, side: i64) -> Self {
        let pixels = region.size()[3];
        let middle: Vec<i64> = (0..side).map(|cell| (2 * cell + 1) * pixels / (2 * side)).collect();
        let at = Tensor::from_slice(&middle).to_device(region.device());
        let cells = rows(&mask_to_map(region, side));
        let share = rows(region).mean_dim([1_i64].as_slice(), false, None::<Kind>);
        let any = share.gt(0.0);
        Self { cells, middles: rows(&region.index_select(2, &at).index_select(3, &at)), any, share }
    }

    fn mass(&self, map: &Tensor) -> Tensor {
        let total = sum(map);
        or_nan(&(sum(&(map * &self.cells)) / &total), &self.any.logical_and(&total.gt(0.0)))
    }

    fn pointing(&self, highest: &Tensor) -> Tensor {
        let hit = self.middles.gather(1, highest, false).squeeze_dim(1).ge(0.5).to_kind(Kind::Double);
        or_nan(&hit, &self.any)
    }

    fn ceiling(&self) -> Tensor {
        self.mass(&self.cells)
    }
}

/// Measures a batch of maps. Without `lesion` nothing is known of lesions.
pub fn measure(map: &Tensor, lung: &Tensor, lesion: Option<&Tensor>) -> Measures {
    let side = map.size()[3];
    let (lung, lesion) = (Region::new(lung, side), lesion.map(|lesion| Region::new(lesion, side)));
    let map = rows(&map.detach());
    let highest = map.argmax(1, true);
    let unknown = lung.share.full_like(f64::NAN);
    let of = |value: &dyn Fn(&Region) -> Tensor| lesion.as_ref().map_or_else(|| unknown.shallow_clone(), value);
    let share = &map / sum(&map).unsqueeze(1);
    let cells = (side * side) as f64;
    Measures {
        in_lung: lung.mass(&map),
        in_lesion: of(&|lesion| lesion.mass(&map)),
        lung_ceiling: lung.ceiling(),
        pointing_lung: lung.pointing(&highest),
        pointing_lesion: of(&|lesion| lesion.pointing(&highest)),
        lesion_share: of(&|lesion| lesion.share.shallow_clone()),
        lung_share: lung.share,
        entropy: -sum(&share.xlogy(&share)) / cells.ln(),
        std: map.std_dim([1_i64].as_slice(), false, false),
        mean: map.mean_dim([1_i64].as_slice(), false, None::<Kind>),
    }
}

/// Deletion and insertion of one slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curves {
    /// Area under the class's probability while the most attended pixels give way to the slice's mean; low is good.
    pub deletion_auc: f32,
    /// Area under it while the most attended pixels return to a blurred slice; high is good.
    pub insertion_auc: f32,
}

/// The curves of one slice `image` (1, C, S, S) with its map (1, 1, m, m), for the class that `classify` gives the whole slice:
/// (N, C, S, S) to softmax (N, K). The map is enlarged bilinearly; pixels of equal attention go in the order of memory. Areas by the
/// trapezoid rule over `CURVE_STEPS` equal steps.
///
/// # Errors
/// libtorch's.
pub fn curves(classify: impl Fn(&Tensor) -> Tensor, image: &Tensor, map: &Tensor) -> Result<Curves, tch::TchError> {
    let side = image.size()[3];
    let enlarged = map.upsample_bilinear2d([side, side], false, None, None);
    let order = enlarged.flatten(0, -1).f_argsort_stable(true, 0, true)?;
    let pixels = side * side;
    let rank = order.zeros_like().scatter(0, &order, &Tensor::arange(pixels, (Kind::Int64, image.device())));
    let rank = rank.view([1, 1, side, side]);
    let mean = image.mean_dim([2_i64, 3].as_slice(), true, None::<Kind>).expand_as(image);
    let window = (side / BLUR_SHARE) | 1;
    let blurred = image.avg_pool2d([window, window], [1, 1], [window / 2, window / 2], false, false, None);
    let touched = |step: i64| rank.lt(step * pixels / CURVE_STEPS);
    let deleted = (0..=CURVE_STEPS).map(|step| mean.where_self(&touched(step), image));
    let inserted = (0..=CURVE_STEPS).map(|step| image.where_self(&touched(step), &blurred));
    let batch = Tensor::cat(&deleted.chain(inserted).collect::<Vec<_>>(), 0); // (2 (steps + 1), C, S, S)
    let prob = classify(&batch).to_kind(Kind::Double);
    let class = prob.get(0).argmax(0, false).int64_value(&[]); // nothing is deleted in the first
    let of_class = Vec::<f64>::try_from(prob.select(1, class).to_device(tch::Device::Cpu).contiguous())?;
    let (deleted, inserted) = of_class.split_at(CURVE_STEPS as usize + 1);
    Ok(Curves { deletion_auc: area(deleted) as f32, insertion_auc: area(inserted) as f32 })
}

/// Area under a curve over 0..1 given at equal steps.
fn area(values: &[f64]) -> f64 {
    let pairs = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    pairs.sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32], side: i64) -> Tensor {
        Tensor::from_slice(values).view([1, 1, side, side])
    }

    fn one(x: &Tensor) -> f64 {
        x.double_value(&[0])
    }

    fn assert_close(got: &Tensor, expected: f64) {
        assert!((one(got) - expected).abs() < 1e-6, "got {}, expected {expected}", one(got));
    }

    /// A 2x2 map over 4x4 pixels whose left half is lung and whose upper right pixel is lesion.
    #[test]
    fn a_worked_example() {
        let map = tensor(&[0.5, 0.1, 0.3, 0.1], 2);
        let lung = tensor(&[1., 1., 0., 0., 1., 1., 0., 0., 1., 1., 0., 0., 1., 1., 0., 0.], 4);
        let lesion = tensor(&[0., 0., 0., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.], 4);
        let got = measure(&map, &lung, Some(&lesion));
        assert_close(&got.in_lung, 0.8); // 0.5 + 0.3 of a mass of 1
        assert_close(&got.in_lesion, 0.025); // a quarter of the cell of 0.1
        assert_close(&got.lung_share, 0.5);
        assert_close(&got.lesion_share, 1.0 / 16.0);
        assert_close(&got.lung_ceiling, 1.0); // cells are all lung or none
        assert_close(&got.pointing_lung, 1.0);
        assert_close(&got.pointing_lesion, 0.0);
        assert_close(&got.mean, 0.25);
        assert_close(&got.std, (0.11_f64 / 4.0).sqrt()); // deviations 0.25, 0.15, 0.05, 0.15
        // scipy.stats.entropy([0.5, 0.1, 0.3, 0.1]) / numpy.log(4)
        assert_close(&got.entropy, 1.168_282_450_2 / 4.0_f64.ln());
    }

    #[test]
    fn a_coarse_map_cannot_reach_all_of_a_border_region() {
        // One column of four is lung: cells of 2x2 pixels are half lung, so a map equal to its target puts half of its mass there.
        let lung: Vec<f32> = (0..16).map(|pixel| f32::from(u8::from(pixel % 4 == 0))).collect();
        let got = measure(&tensor(&[0.5; 4], 2), &tensor(&lung, 4), None);
        assert_close(&got.lung_ceiling, 0.5);
        assert_close(&got.in_lung, 0.25); // the same everywhere: the share of the slice
        assert_close(&got.entropy, 1.0);
        assert!(one(&got.in_lesion).is_nan() && one(&got.pointing_lesion).is_nan());
    }

    #[test]
    fn nothing_of_a_region_is_undefined_not_zero() {
        let got = measure(&tensor(&[0.1, 0.2, 0.3, 0.4], 2), &tensor(&[0.0; 16], 4), None);
        assert!([&got.in_lung, &got.pointing_lung, &got.lung_ceiling].iter().all(|x| one(x).is_nan()));
        assert_close(&got.lung_share, 0.0);
    }

    /// The class's probability is the value of the one bright pixel, which the map points at. Deletion replaces it in the first of ten steps
    /// by the slice's mean, 1/400; insertion begins with its blur over 3x3 pixels, 1/9, and gives it back in the first step.
    #[test]
    fn curves_of_one_bright_pixel() {
        let (side, bright) = (20_i64, 8 * 20 + 11);
        let at = |value: f32| {
            let mut all = vec![0.0_f32; (side * side) as usize];
            all[bright as usize] = value;
            tensor(&all, side)
        };
        let classify = |x: &Tensor| {
            let value = x.flatten(1, -1).select(1, bright);
            Tensor::stack(&[&value, &(value.ones_like() - &value)], 1)
        };
        let got = curves(classify, &at(1.0), &at(0.9)).unwrap();
        let expected = |start: f64, after: f64| ((start + after) / 2.0 * 0.1 + 0.9 * after) as f32;
        assert!((got.deletion_auc - expected(1.0, 1.0 / 400.0)).abs() < 1e-6, "{got:?}");
        assert!((got.insertion_auc - expected(1.0 / 9.0, 1.0)).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn areas_by_the_trapezoid_rule() {
        // numpy.trapezoid([1, 0.5, 0], dx=0.5)
        assert!((area(&[1.0, 0.5, 0.0]) - 0.5).abs() < 1e-12);
        assert!((area(&[1.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
    }
}
