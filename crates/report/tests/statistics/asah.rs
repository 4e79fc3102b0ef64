//! DeLong on published data: 113 patients, `asah.csv`, which names its source. The expected numbers are those that the tests of pROC
//! 1.18.0 hold it to (tests/testthat: test-roc.test.R, test-ci.auc.R); its documentation prints them as AUC 0.8237 (wfns) and
//! 0.7314 (s100b), Z = 2.209, p-value = 0.02718.

use report::auc::Ranking;
use report::clustered::Clustered;
use report::compare::DeLong;
use report::estimate::Estimate;
use report::intervals::{two_sided_p, z};

/// Outcome, and the columns wfns, s100b, ndka.
fn patients() -> (Vec<bool>, [Vec<f64>; 3]) {
    let lines = include_str!("asah.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect()).collect();
    let column = |place: usize| rows.iter().map(|row| row[place]).collect();
    (rows.iter().map(|row| row[0] == 1.0).collect(), [column(1), column(2), column(3)])
}

#[test]
fn delong_is_procs() {
    let (poor, scores) = patients();
    assert_eq!((poor.len(), poor.iter().filter(|is| **is).count()), (113, 41));
    let delong = DeLong::new(&scores, &poor).expect("both outcomes");
    let [wfns, s100b, ndka] = [0, 1, 2];
    assert!((delong.auc[wfns] - 0.8237).abs() < 5e-5 && (delong.auc[s100b] - 0.7314).abs() < 5e-5, "{:?}", delong.auc);
    // First minus second: Z, p, and the 95 % interval.
    let published = [
        (wfns, s100b, 2.20898359144091, 0.0271757822291882, 0.0104061769564846, 0.174214419249478),
        (wfns, ndka, 2.79777591868904, 0.00514557970691098, 0.0634011709339876, 0.3600405634833566),
        (ndka, s100b, -1.39077002573558, 0.164295175223054, -0.2876917446341914, 0.0488706064228094),
    ];
    for (first, second, deviate, p, low, high) in published {
        let (difference, variance) = delong.difference(second, first);
        let half = z(0.95) * variance.sqrt();
        let found = [
            difference / variance.sqrt(),
            two_sided_p(difference / variance.sqrt()),
            difference - half,
            difference + half,
        ];
        for (got, wanted) in found.into_iter().zip([deviate, p, low, high]) {
            assert!((got - wanted).abs() < 1e-9, "{first} - {second}: got {got}, pROC {wanted}");
        }
    }
}

#[test]
fn the_interval_of_one_area_is_procs() {
    let (poor, [_, _, ndka]) = patients();
    let estimate = Estimate::patient_auc(&ndka, &poor, 0.95);
    let found = [
        estimate.ends().expect("an interval").0,
        estimate.defined().expect("defined"),
        estimate.ends().expect("an interval").1,
    ];
    let published = [0.501244999271703, 0.611957994579946, 0.722670989888189];
    assert!(found.iter().zip(published).all(|(got, wanted)| (got - wanted).abs() < 1e-9), "{found:?}");
}

#[test]
fn with_one_slice_a_patient_the_clustered_method_is_delongs() {
    let (poor, scores) = patients();
    let delong = DeLong::new(&scores, &poor).expect("both outcomes");
    let units: Vec<usize> = (0..poor.len()).collect();
    let clustered = scores.map(|score| Clustered::new(&Ranking::new(&score, &units), &poor).expect("both outcomes"));
    for (row, a) in clustered.iter().enumerate() {
        assert!((a.auc - delong.auc[row]).abs() < 1e-12);
        for (column, b) in clustered.iter().enumerate() {
            assert!((a.covariance(b) - delong.covariance[3 * row + column]).abs() < 1e-15);
        }
    }
}
