//! Training and prediction in images/s, end to end: augmentation, batches, network, optimiser. Random slices, all cores.
//!
//! `cargo bench --profile release -p train` prints one line an input size.

use std::time::Instant;

use contract::config::Config;
use contract::progress::Mode;
use contract::random;
use rand::RngExt;
use train::batch::Pixels;
use train::data::{Slice, Slices, Split};
use train::run::Run;
use train::{device, predict};

const BATCHES: usize = 12;

fn slices(side: usize, count: usize) -> Slices {
    let slice = |index: usize| {
        let mut rng = random::stream(0, "bench", &[index as u64]);
        let mut pixels = |top: u8| (0..side * side).map(|_| rng.random_range(0..=top)).collect::<Vec<u8>>();
        let (image, lung) = (pixels(255), pixels(1));
        Slice {
            slice_id: format!("{index:04}"),
            patient_id: index.to_string(),
            label: (index % 2) as i32,
            image,
            lung,
            lesion: None,
        }
    };
    Slices { side, rows: (0..count).map(slice).collect() }
}

fn measure(side: usize, config: &Config, folder: &std::path::Path) -> Result<(f64, f64), train::Error> {
    let method = &config.methods[0];
    let device = device::open("cpu", std::env::var("T").map_or(0, |t| t.parse().unwrap()))?;
    let count = BATCHES * method.train.batch_size as usize;
    let slices = slices(side, count);
    let split = Split { train: (0..count).collect(), test: Vec::new() };
    let checkpoint = folder.join(format!("{side}.safetensors"));
    let run = Run {
        id: "bench",
        task: side.to_string(),
        method,
        seed: 0,
        classes: 2,
        slices: &slices,
        split: &split,
        device,
        checkpoint: &checkpoint,
    };
    let mut trained = run.train()?;
    // The first epoch warms up.
    let training = trained.timing.last().map_or(0.0, |timing| timing.images_per_second);
    let started = Instant::now();
    let pixels = Pixels::new(&method.train);
    let question = predict::Question { slices: &slices, positions: &split.train, pixels, curves: 0, id: "bench" };
    predict::predict(&mut trained.model, question)?;
    Ok((training, count as f64 / started.elapsed().as_secs_f64()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Mode::None.install();
    if std::env::var_os("KEEP").is_none() {
        train::memory::keep();
    }
    let folder = tempfile::tempdir()?;
    let study = folder.path().join("bench.yaml");
    std::fs::write(
        &study,
        format!(
            "study: bench\ntrain: {{epochs: 3, batch_size: {}, precision: {}}}\n",
            std::env::var("B").unwrap_or("16".into()),
            std::env::var("P").unwrap_or("f32".into())
        ),
    )?;
    let config = Config::load(&study, &[])?;
    println!("{:>6} {:>18} {:>20}", "side", "training images/s", "prediction images/s");
    for side in [std::env::var("S").map_or(64, |t| t.parse().unwrap())] {
        let (training, prediction) = measure(side, &config, folder.path())?;
        println!("{side:>6} {training:>18.1} {prediction:>20.1}");
    }
    Ok(())
}
