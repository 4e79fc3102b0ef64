//! What a slice must show, whoever the patient is.

use ndarray::Array2;
use phantom::{Disease, Padding, Patient, PatientSpec, Slice, generate, slice};

fn spec(index: u64) -> PatientSpec {
    PatientSpec {
        seed: 11,
        index,
        disease: Disease::Healthy,
        difficulty: 0.3,
        load: 1.0,
        confounder: false,
        noise_hu: 0.0,
        size: 192,
        variety: 1.0,
    }
}

fn patients(count: u64, change: impl Fn(&mut PatientSpec)) -> Vec<Patient> {
    let one = |index| {
        let mut spec = spec(index);
        change(&mut spec);
        generate(&spec)
    };
    (1..=count).map(one).collect()
}

fn mean(slice: &Slice, inside: impl Fn((usize, usize)) -> bool) -> Option<f32> {
    let values: Vec<f32> = slice.hu.indexed_iter().filter(|(at, _)| inside(*at)).map(|(_, hu)| *hu).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32)
}

/// Pixels of a mask that have only mask around them, `steps` pixels deep.
fn core(mask: &Array2<u8>, steps: usize) -> Array2<bool> {
    let (rows, columns) = mask.dim();
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let mut near = (row.saturating_sub(steps)..=(row + steps).min(rows - 1))
            .flat_map(|r| (column.saturating_sub(steps)..=(column + steps).min(columns - 1)).map(move |c| (r, c)));
        near.all(|at| mask[at] > 0)
    })
}

#[test]
fn a_slice_is_a_function_of_patient_and_level() {
    let noisy = |spec: &mut PatientSpec| spec.noise_hu = 30.0;
    let (one, other) = (patients(2, noisy), patients(2, noisy));
    assert_eq!(slice(&one[0], 0.5).hu, slice(&other[0], 0.5).hu);
    assert_ne!(slice(&one[0], 0.5).hu, slice(&one[1], 0.5).hu);
    assert_ne!(slice(&one[0], 0.5).hu, slice(&one[0], 0.51).hu);
}

#[test]
fn tissues_have_their_densities() {
    for patient in patients(8, |_| ()) {
        let cut = slice(&patient, 0.5);
        let core = core(&cut.lungs, 2);
        // Normal lung: about -700 to -900 HU; vessels raise the mean (Best et al., Radiology 2003: mean lung about -830).
        let lung = mean(&cut, |at| core[at]).expect("there is lung in the middle of the chest");
        assert!((-930.0..-740.0).contains(&lung), "lung {lung}");
        let count = |low: f32, high: f32| cut.hu.iter().filter(|hu| (low..high).contains(*hu)).count();
        // Fat -120..-80, muscle and blood without contrast 30..70, cortical bone above 500.
        assert!(count(-130.0, -70.0) > 300, "fat");
        assert!(count(30.0, 75.0) > 800, "soft tissue");
        assert!(count(450.0, 1500.0) > 50, "bone");
        assert!(count(-1024.0, -960.0) > 300, "air");
        let outside = patient.pose.padding.hu();
        assert_eq!(cut.hu[(0, 0)], outside.unwrap_or(cut.hu[(0, 0)]));
        assert_eq!(
            outside,
            match patient.pose.padding {
                Padding::Marked => Some(-3024.0),
                Padding::Air => Some(-1024.0),
                Padding::Square => None,
            }
        );
    }
}

#[test]
fn the_right_lung_is_on_the_left_of_the_image() {
    for patient in patients(8, |_| ()) {
        let lungs = slice(&patient, 0.5).lungs;
        let column = |label: u8| {
            let columns = lungs.indexed_iter().filter(|(_, found)| **found == label).map(|((_, column), _)| column);
            let (sum, count) = columns.fold((0, 0), |(sum, count), column| (sum + column, count + 1));
            assert!(count > 1000, "lung {label}: {count} pixels");
            sum / count
        };
        assert!(column(1) + 30 < column(2));
    }
}

#[test]
fn lungs_have_body_on_both_sides() {
    for patient in patients(6, |spec| spec.disease = Disease::Covid19) {
        for level in [0.08, 0.3, 0.55, 0.8, 0.95] {
            let cut = slice(&patient, level);
            for (row, lungs) in cut.lungs.rows().into_iter().enumerate() {
                let found: Vec<usize> = (0..lungs.len()).filter(|column| lungs[*column] > 0).collect();
                let (Some(first), Some(last)) = (found.first(), found.last()) else { continue };
                let body =
                    |columns: std::ops::Range<usize>| columns.into_iter().any(|column| cut.hu[(row, column)] > -300.0);
                assert!(body(0..*first) && body(last + 1..lungs.len()), "row {row} at level {level}");
            }
        }
    }
}

#[test]
fn there_is_no_lung_in_neck_and_abdomen() {
    for patient in patients(6, |_| ()) {
        for level in [-0.25, -0.1, 1.05, 1.4] {
            assert!(slice(&patient, level).lungs.iter().all(|lung| *lung == 0));
        }
    }
}

#[test]
fn lesions_are_inside_the_lungs_and_denser() {
    for disease in [Disease::Covid19, Disease::CommonPneumonia] {
        let mut seen = 0;
        for patient in patients(5, |spec| spec.disease = disease) {
            for level in [0.35, 0.5, 0.65] {
                let cut = slice(&patient, level);
                assert!(cut.lesions.indexed_iter().all(|(at, lesion)| *lesion == 0 || cut.lungs[at] > 0));
                let ill = mean(&cut, |at| cut.lesions[at] > 0);
                let well = mean(&cut, |at| cut.lesions[at] == 0 && cut.lungs[at] > 0);
                if let (Some(ill), Some(well)) = (ill, well) {
                    assert!(ill > well + 60.0, "{ill} {well}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 5);
    }
}

#[test]
fn the_healthy_have_no_lesions() {
    let cut = slice(&patients(1, |_| ())[0], 0.5);
    assert!(cut.lesions.iter().all(|lesion| *lesion == 0));
}

#[test]
fn the_confounder_changes_nothing_in_the_body() {
    let without = patients(5, |_| ());
    let with = patients(5, |spec| spec.confounder = true);
    for (without, with) in without.iter().zip(&with) {
        let (plain, marked) = (slice(without, 0.5), slice(with, 0.5));
        assert_eq!(plain.lungs, marked.lungs);
        let core = core(&plain.lungs, 0);
        assert!(plain.hu.indexed_iter().all(|(at, hu)| !core[at] || *hu == marked.hu[at]));
        let changed = plain.hu.iter().zip(&marked.hu).filter(|(a, b)| (**a - **b).abs() > 500.0).count();
        assert!(changed > 40, "{changed}");
    }
}

#[test]
fn the_disease_changes_nothing_outside_the_lungs() {
    let healthy = patients(3, |_| ());
    let ill = patients(3, |spec| spec.disease = Disease::CommonPneumonia);
    for (healthy, ill) in healthy.iter().zip(&ill) {
        let (healthy, ill) = (slice(healthy, 0.5), slice(ill, 0.5));
        assert_eq!(healthy.lungs, ill.lungs);
        // The scanner's blur carries a lesion one pixel over the edge of the lung.
        let far = |(row, column): (usize, usize)| {
            let near = (row.saturating_sub(1)..=row + 1)
                .flat_map(|r| (column.saturating_sub(1)..=column + 1).map(move |c| (r, c)));
            near.into_iter().all(|at| healthy.lungs.get(at).is_none_or(|lung| *lung == 0))
        };
        let differs = healthy.hu.indexed_iter().filter(|(at, hu)| far(*at) && **hu != ill.hu[*at]).count();
        // Partial lung in a pixel that counts as background.
        assert!(differs < 60, "{differs}");
    }
}
