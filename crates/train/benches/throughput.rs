//! Training and prediction in images/s and peak memory, end to end: augmentation, batches, network, optimiser. Random slices.
//!
//! `cargo bench --profile release --workspace --bench throughput` measures every size and number of threads, each in a process of its own,
//! and prints a JSON object a line. `-- --side 64 --threads 1 [--batches N]` measures one; `-- --write FOLDER --side 64` writes the slices
//! for others to be measured on (`tools/bench_pytorch.py`): images.u8 and masks.u8, side x side bytes a slice; the labels are 0, 1, 0, 1, ...

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use contract::config::Config;
use contract::progress::Mode;
use contract::random;
use rand::RngExt;
use train::batch::Pixels;
use train::data::{Slice, Slices, Split};
use train::run::Run;
use train::{device, predict};

const SIDES: [usize; 2] = [64, 224];
const THREADS: [u32; 2] = [1, 2];
/// Batches of an epoch, for about equal seconds at 64 and 224 pixels.
const BATCHES: [usize; 2] = [24, 4];
/// One epoch warms up, the better of the others counts.
const EPOCHS: u32 = 3;

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
    Slices { side, rows: (0..count).map(slice).collect(), ..Slices::default() }
}

/// What one process measures.
struct Measurement {
    training: f64,
    prediction: f64,
    memory_mib: f64,
}

fn measure(slices: &Slices, config: &Config, folder: &Path) -> Result<Measurement, Box<dyn Error>> {
    let method = &config.methods[0];
    let device = device::open("cpu", method.train.threads)?;
    let count = slices.rows.len();
    let split = Split { train: (0..count).collect(), test: Vec::new() };
    let checkpoint = folder.join("checkpoint.safetensors");
    let run = Run {
        id: "bench",
        task: "bench".to_owned(),
        method,
        seed: 0,
        classes: 2,
        slices,
        split: &split,
        device,
        checkpoint: &checkpoint,
    };
    let mut trained = run.train()?;
    let memory_mib = peak_mib()?;
    let training = trained.timing.iter().skip(1).map(|timing| timing.images_per_second).fold(0.0, f64::max);
    let started = Instant::now();
    let pixels = Pixels::new(&method.train);
    let question = predict::Question { slices, positions: &split.train, pixels, curves: 0, id: "bench" };
    predict::predict(&mut trained.model, question)?;
    Ok(Measurement { training, prediction: count as f64 / started.elapsed().as_secs_f64(), memory_mib })
}

/// Largest resident size of this process so far, `VmHWM` of proc(5).
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.split_whitespace().next().ok_or("VmHWM is empty")?.parse::<f64>()? / 1024.0)
}

/// The value behind a flag.
fn flag(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn write(folder: &Path, slices: &Slices) -> std::io::Result<()> {
    let all = |pick: fn(&Slice) -> &[u8]| slices.rows.iter().flat_map(pick).copied().collect::<Vec<u8>>();
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("images.u8"), all(|slice| &slice.image))?;
    std::fs::write(folder.join("masks.u8"), all(|slice| &slice.lung))
}

fn main() -> Result<(), Box<dyn Error>> {
    Mode::None.install();
    train::memory::keep();
    let Some(side) = flag("--side") else {
        for (side, threads) in SIDES.into_iter().flat_map(|side| THREADS.map(|threads| (side, threads))) {
            let mut command = std::process::Command::new(std::env::current_exe()?);
            command.args(["--side", &side.to_string(), "--threads", &threads.to_string()]).status()?;
        }
        return Ok(());
    };
    let side: usize = side.parse()?;
    let threads: u32 = flag("--threads").map_or(Ok(THREADS[0]), |text| text.parse())?;
    let batches = flag("--batches").map_or(Ok(BATCHES[usize::from(side > SIDES[0])]), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let study = folder.path().join("bench.yaml");
    std::fs::write(
        &study,
        format!(
            "study: bench\ntrain: {{epochs: {EPOCHS}, checkpoint_epochs: {EPOCHS}, threads: {threads}, precision: {}}}\n",
            flag("--precision").unwrap_or_else(|| "f32".to_owned())
        ),
    )?;
    let config = Config::load(&study, &[])?;
    let train = &config.methods[0].train;
    let slices = slices(side, batches * train.batch_size as usize);
    if let Some(folder) = flag("--write") {
        return Ok(write(Path::new(&folder), &slices)?);
    }
    let Measurement { training, prediction, memory_mib } = measure(&slices, &config, folder.path())?;
    // What a comparison has to do alike goes with the numbers.
    let settings = &config.methods[0].values;
    let line = serde_json::json!({
        "side": side, "threads": threads, "slices": slices.rows.len(), "epochs": EPOCHS, "training": training,
        "prediction": prediction, "memory": memory_mib, "settings": settings,
    });
    println!("{line}");
    Ok(())
}
