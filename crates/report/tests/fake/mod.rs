//! A study folder as the stages before the report leave it: made-up slices, folds, predictions, logs and receipts'
//! absence.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float32Array, Int32Array, Int64Array, ListArray, StringArray, UInt32Array};
use arrow::datatypes::{Float32Type, SchemaRef};
use contract::layout::{ATTENTION, PREDICTIONS, PREDICTIONS_REVERSED};
use contract::random;
use contract::schema;
use contract::table::TableWriter;
use rand::RngExt;

/// Side of the slices and of the attention maps.
pub const SIZE: usize = 64;
const MAP: usize = 7;
const EPOCHS: usize = 6;

/// A slice of the fake study.
pub struct Slice {
    pub id: String,
    pub patient: String,
    pub label: i32,
    pub fold: i32,
}

/// What the study holds.
pub struct Fake {
    pub patients_per_class: usize,
    pub slices_per_patient: usize,
    pub folds: i32,
    pub seeds: Vec<i64>,
    pub methods: Vec<(&'static str, &'static str)>,
    /// Seeds of methods that have others than `seeds`.
    pub own_seeds: Vec<(&'static str, Vec<i64>)>,
    pub classes: usize,
    /// Whether the study has the second set of CT.
    pub reversed: bool,
}

impl Default for Fake {
    fn default() -> Self {
        let methods = vec![("conventional", "gamma"), ("proposed", "alpha")];
        let (own_seeds, classes, reversed) = (Vec::new(), 2, false);
        Self {
            patients_per_class: 8,
            slices_per_patient: 4,
            folds: 2,
            seeds: vec![0],
            methods,
            own_seeds,
            classes,
            reversed,
        }
    }
}

impl Fake {
    pub fn slices(&self) -> Vec<Slice> {
        let patients = (0..self.classes * self.patients_per_class)
            .flat_map(|patient| (0..self.slices_per_patient).map(move |slice| (patient, slice)));
        let slice = |(patient, slice): (usize, usize)| Slice {
            id: format!("p{patient:03}/s/{slice:04}"),
            patient: format!("p{patient:03}"),
            label: (patient % self.classes) as i32,
            fold: (patient / self.classes) as i32 % self.folds,
        };
        patients.map(slice).collect()
    }

    fn seeds_of(&self, method: &str) -> &[i64] {
        self.own_seeds.iter().find(|(name, _)| *name == method).map_or(&self.seeds, |(_, seeds)| seeds)
    }

    fn yaml(&self) -> String {
        let list = |seeds: &[i64]| seeds.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let method = |(name, loss): &(&str, &str)| {
            format!("    {name}: {{loss: {loss}, seeds: [{}]}}\n", list(self.seeds_of(name)))
        };
        let methods = self.methods.iter().map(method).collect::<String>();
        let classes = ["common_pneumonia", "covid19", "healthy"][..self.classes].join(", ");
        let phantom = if self.reversed { "phantom: {enabled: true, reversed: true}\n" } else { "" };
        format!(
            "study: fake\nclasses: [{classes}]\n{phantom}dataset: {{folds: {}}}\ntrain:\n  epochs: {EPOCHS}\n  seeds: [{}]\n  \
             methods:\n{methods}report: {{bootstrap: 200, gallery: 8}}\n",
            self.folds,
            list(&self.seeds)
        )
    }

    /// Writes study.yaml and everything the report reads below `root`.
    pub fn write(&self, root: &Path) {
        fs::write(root.join("study.yaml"), self.yaml()).unwrap();
        let data = root.join("data/fake");
        let slices = self.slices();
        write_slices(&data.join("1_masks/slices.parquet"), &slices);
        write_lesions(&data.join("1_masks/lesions.parquet"), &slices);
        fs::write(
            data.join("1_masks/excluded.csv"),
            "slice_id,patient_id,source,lung_fraction,reason\nx/s/0000,x,x.dcm,0.001,too little lung\n",
        )
        .unwrap();
        fs::create_dir_all(data.join("1_masks/sheets")).unwrap();
        fs::write(data.join("1_masks/sheets/sheet-0001.png"), "a picture").unwrap();
        write_folds(&data.join("2_folds/folds.parquet"), &slices);
        for (skill, (method, loss)) in self.methods.iter().enumerate() {
            let seeds = self.seeds_of(method);
            for (fold, seed) in (0..self.folds).flat_map(|fold| seeds.iter().map(move |seed| (fold, *seed))) {
                let run = Run { method, fold, seed, skill, attention: *loss != "resnet18", classes: self.classes };
                let folder = data.join(format!("3_runs/{method}/fold-{fold}/seed-{seed}"));
                let tested: Vec<&Slice> = slices.iter().filter(|slice| slice.fold == fold).collect();
                write_predictions(&folder.join(PREDICTIONS), &tested, &run);
                write_attention(&folder.join(ATTENTION), &tested, &run);
                if self.reversed {
                    // One slice of each patient had too little lung; the second method leans on the confounder.
                    let fewer: Vec<&Slice> =
                        tested.iter().copied().filter(|slice| !slice.id.ends_with("/0000")).collect();
                    let misled = Run { skill: 0, ..run };
                    write_predictions(&folder.join(PREDICTIONS_REVERSED), &fewer, &misled);
                }
                fs::write(folder.join("log.csv"), log(loss, seed as u64 + skill as u64)).unwrap();
            }
        }
    }
}

/// One run of the fake study: better for a higher `skill`.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub method: &'a str,
    pub fold: i32,
    pub seed: i64,
    pub skill: usize,
    pub attention: bool,
    pub classes: usize,
}

fn write(path: &Path, schema: &SchemaRef, columns: Vec<ArrayRef>) {
    let mut writer = TableWriter::create(path, Arc::clone(schema), &[]).unwrap();
    writer.write(schema, columns).unwrap();
    writer.commit().unwrap();
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn lists(values: Vec<Option<Vec<f32>>>) -> ArrayRef {
    let row = |values: Option<Vec<f32>>| values.map(|values| values.into_iter().map(Some).collect::<Vec<_>>());
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(values.into_iter().map(row)))
}

/// Image and mask: two ellipses in a body, brighter where the label says so.
pub fn picture(index: usize, label: i32) -> (Vec<u8>, Vec<u8>) {
    let mut draw = random::stream(1, "picture", &[index as u64]);
    let inside =
        |x: f64, y: f64, cx: f64, cy: f64, rx: f64, ry: f64| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0;
    let (mut image, mut mask) = (Vec::new(), Vec::new());
    for pixel in 0..SIZE * SIZE {
        let (x, y) = ((pixel % SIZE) as f64 / SIZE as f64, (pixel / SIZE) as f64 / SIZE as f64);
        let side = if inside(x, y, 0.3, 0.5, 0.15, 0.28) {
            1
        } else if inside(x, y, 0.7, 0.5, 0.15, 0.28) {
            2
        } else {
            0
        };
        let body = inside(x, y, 0.5, 0.5, 0.46, 0.4);
        let grey = if is_lesion(side, label, pixel) {
            130.0
        } else if side > 0 {
            50.0
        } else if body {
            190.0
        } else {
            5.0
        };
        image.push((grey + draw.random_range(-12.0..12.0_f64)).clamp(0.0, 255.0) as u8);
        mask.push(side);
    }
    (image, mask)
}

/// The lower part of the lungs of label 1.
fn is_lesion(side: u8, label: i32, pixel: usize) -> bool {
    side > 0 && label == 1 && (pixel / SIZE) as f64 / SIZE as f64 > 0.6
}

/// Lesions of the slices of label 1.
fn write_lesions(path: &Path, slices: &[Slice]) {
    let ill = || slices.iter().enumerate().filter(|(_, slice)| slice.label == 1);
    let lesion = |(index, slice): (usize, &Slice)| {
        let mask = picture(index, slice.label).1;
        let pixel = |(pixel, side): (usize, &u8)| u8::from(is_lesion(*side, slice.label, pixel));
        mask.iter().enumerate().map(pixel).collect::<Vec<_>>()
    };
    let columns: Vec<ArrayRef> = vec![
        texts(ill().map(|(_, slice)| slice.id.as_str())),
        Arc::new(BinaryArray::from_iter_values(ill().map(lesion))),
    ];
    write(path, &schema::lesions(), columns);
}

fn write_slices(path: &Path, slices: &[Slice]) {
    let pictures: Vec<_> = slices.iter().enumerate().map(|(index, slice)| picture(index, slice.label)).collect();
    let rows = slices.len();
    let side = || Arc::new(UInt32Array::from(vec![SIZE as u32; rows])) as ArrayRef;
    let flags = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    let flags = (0..rows).fold(flags, |mut flags, _| {
        flags.append(true);
        flags
    });
    let columns: Vec<ArrayRef> = vec![
        texts(slices.iter().map(|slice| slice.id.as_str())),
        texts(slices.iter().map(|slice| slice.patient.as_str())),
        texts(slices.iter().map(|_| "s")),
        Arc::new(Int32Array::from_iter_values(0..rows as i32)),
        Arc::new(Float32Array::from(vec![None::<f32>; rows])),
        Arc::new(Int32Array::from_iter_values(slices.iter().map(|slice| slice.label))),
        texts(slices.iter().map(|slice| slice.id.as_str())),
        side(),
        side(),
        Arc::new(BinaryArray::from_iter_values(pictures.iter().map(|(image, _)| image))),
        Arc::new(BinaryArray::from_iter_values(pictures.iter().map(|(_, mask)| mask))),
        Arc::new(Float32Array::from(vec![0.2_f32; rows])),
        {
            let mut flags = flags;
            Arc::new(flags.finish())
        },
    ];
    write(path, &schema::slices(), columns);
}

fn write_folds(path: &Path, slices: &[Slice]) {
    let columns: Vec<ArrayRef> = vec![
        texts(slices.iter().map(|slice| slice.id.as_str())),
        texts(slices.iter().map(|slice| slice.patient.as_str())),
        Arc::new(Int32Array::from_iter_values(slices.iter().map(|slice| slice.label))),
        Arc::new(Int32Array::from_iter_values(slices.iter().map(|slice| slice.fold))),
    ];
    write(path, &schema::folds(), columns);
}

/// A distribution over the classes: a score of the patient plus one of the slice, better for a higher skill.
fn probabilities(slice: &Slice, run: &Run) -> Vec<f32> {
    let key =
        |text: &str| text.bytes().map(u64::from).fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte));
    let mut of_patient = random::stream(3, "patient", &[key(&slice.patient)]);
    let mut of_slice = random::stream(run.seed as u64, run.method, &[key(&slice.id)]);
    let logits: Vec<f64> = (1..run.classes as i32)
        .map(|class| {
            let sign = if slice.label == class { 1.0 } else { -1.0 };
            sign * (1.0 + 0.3 * run.skill as f64)
                + of_patient.random_range(-2.5..2.5)
                + of_slice.random_range(-1.5..1.5)
        })
        .collect();
    let total: f64 = 1.0 + logits.iter().map(|logit| logit.exp()).sum::<f64>();
    std::iter::once(1.0).chain(logits.iter().map(|logit| logit.exp())).map(|odds| (odds / total) as f32).collect()
}

/// The attention map of every slice: two lungs.
pub fn map() -> Vec<f32> {
    let cell = |cell: usize| {
        let (x, y) = ((cell % MAP) as f64 / 6.0 - 0.5, (cell / MAP) as f64 / 6.0 - 0.5);
        let lungs = (-((x.abs() - 0.2) / 0.15).powi(2) - (y / 0.3).powi(2)).exp();
        (lungs * 0.9).min(1.0) as f32
    };
    (0..MAP * MAP).map(cell).collect()
}

/// Writes predictions of these slices.
pub fn write_predictions(path: &Path, slices: &[&Slice], run: &Run) {
    let map = map();
    let probs: Vec<Option<Vec<f32>>> = slices.iter().map(|slice| Some(probabilities(slice, run))).collect();
    let maps = slices.iter().map(|_| run.attention.then(|| map.clone())).collect();
    let rows = slices.len();
    let columns: Vec<ArrayRef> = vec![
        texts(slices.iter().map(|slice| slice.id.as_str())),
        texts(slices.iter().map(|slice| slice.patient.as_str())),
        Arc::new(Int32Array::from_iter_values(slices.iter().map(|slice| slice.label))),
        texts(slices.iter().map(|_| run.method)),
        Arc::new(Int32Array::from(vec![run.fold; rows])),
        Arc::new(Int64Array::from(vec![run.seed; rows])),
        lists(probs.clone()),
        lists(if run.attention { probs } else { vec![None; rows] }),
        lists(maps),
        Arc::new(Float32Array::from(vec![run.attention.then_some(in_lung(run)); rows])),
    ];
    write(path, &schema::predictions(), columns);
}

/// Share of a run's attention inside the lung, the same in all slices but for the seed.
fn in_lung(run: &Run) -> f32 {
    0.6 + 0.1 * run.skill as f32 + 0.01 * run.seed as f32
}

/// Writes what was measured on the attention of these slices: lesions in slices of label 1 alone, curves in every second
/// slice; the maps of a skill of 3 have collapsed.
pub fn write_attention(path: &Path, slices: &[&Slice], run: &Run) {
    let slices: Vec<&Slice> = slices.iter().copied().filter(|_| run.attention).collect();
    let column = |of: &dyn Fn(usize, &Slice) -> Option<f32>| -> ArrayRef {
        Arc::new(Float32Array::from_iter(slices.iter().enumerate().map(|(place, slice)| of(place, slice))))
    };
    let ill = |value: f32| move |_: usize, slice: &Slice| (slice.label == 1).then_some(value);
    let some = |value: f32| move |_: usize, _: &Slice| Some(value);
    let second = |value: f32| move |place: usize, _: &Slice| place.is_multiple_of(2).then_some(value);
    // A patient's share moves with its name, so that resamples differ.
    let lung = |_: usize, slice: &Slice| {
        Some(
            in_lung(run)
                + 0.01 * f32::from(slice.patient.as_bytes()[slice.patient.len() - 1] - b'0') * run.skill as f32,
        )
    };
    let columns = vec![
        texts(slices.iter().map(|slice| slice.id.as_str())),
        column(&lung),
        column(&ill(0.1)),
        column(&some(0.25)),
        column(&ill(0.04)),
        column(&some(0.9)),
        column(&some(1.0)),
        column(&ill(0.0)),
        column(&some(0.95)),
        column(&some(if run.skill == 3 { 0.001 } else { 0.2 })),
        column(&second(0.4)),
        column(&second(0.7)),
    ];
    write(path, &schema::attention(), columns);
}

/// A training log; a network without attention branch has empty cells.
fn log(loss: &str, seed: u64) -> String {
    let mut draw = random::stream(seed, "log", &[]);
    let mut text = "epoch,alpha,w_att,w_per,w_map,lr,loss,loss_att,loss_per,loss_map,accuracy,attention_mean,attention_std,attention_in_lung,attention_in_lesion,pointing_lung,attention_entropy,attention_collapsed\n".to_owned();
    for epoch in 1..=EPOCHS {
        let t = epoch as f64 / EPOCHS as f64;
        let per = 0.7 * (-1.5 * t).exp() + draw.random_range(0.0..0.05);
        let alpha = if epoch < EPOCHS / 2 { 0.9 } else { 0.1 };
        let row = match loss {
            "resnet18" => format!("{epoch},,,1,,0.01,{per},,{per},,{},,,,,,,\n", 0.5 + 0.4 * t),
            "alpha" => format!(
                "{epoch},{alpha},{alpha},{},{alpha},0.01,{per},{per},{per},{},{},0.4,0.2,{},0.1,1,0.9,false\n",
                1.0 - alpha,
                0.2 * (1.0 - t),
                0.5 + 0.4 * t,
                0.3 + 0.5 * t
            ),
            _ => format!(
                "{epoch},,1,1,1,0.01,{per},{per},{per},{},{},0.4,0.2,{},0.1,1,0.9,false\n",
                0.2 * (1.0 - t),
                0.5 + 0.4 * t,
                0.3 + 0.4 * t
            ),
        };
        text.push_str(&row);
    }
    text
}
