//! Which device and how many threads a run uses, and what to record of them.

use std::collections::BTreeMap;

use contract::config::Instructions;
use contract::equipment::Equipment;
use contract::instructions;
use tch::{Cuda, Device};

use crate::{Error, libtorch};

/// Turns `cpu`, `cuda` or `cuda:N` into a device that is there, and sets the number of CPU threads (0: all cores), for libtorch
/// and for what is done around it: batches and updates. A process decides once; later calls change libtorch's number only.
/// For CUDA the program may start again, see [`libtorch`]; so this comes before any work.
///
/// # Errors
/// The device does not exist, or no libtorch with CUDA was found.
pub fn open(name: &str, threads: u32) -> Result<Device, Error> {
    let threads = if threads == 0 { cores() } else { i32::try_from(threads).unwrap_or(i32::MAX) };
    tch::set_num_threads(threads);
    let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::try_from(threads).unwrap_or(1)).build_global();
    let problem = |problem: String| Error::Device { device: name.to_owned(), problem };
    let index = match name.split_once(':') {
        _ if name == "cpu" => return Ok(Device::Cpu),
        None => 0,
        Some((_, index)) => index.parse().map_err(|_| problem("expected cuda:N with a number N".to_owned()))?,
    };
    libtorch::load_cuda().map_err(problem)?;
    if i64::try_from(index).unwrap_or(i64::MAX) >= Cuda::device_count() {
        return Err(problem(format!("{} GPU(s) are visible", Cuda::device_count())));
    }
    Ok(Device::Cuda(index))
}

fn cores() -> i32 {
    std::thread::available_parallelism().map_or(1, |count| i32::try_from(count.get()).unwrap_or(i32::MAX))
}

/// The conditions that a receipt records.
pub fn environment(device: Device, instructions: Instructions) -> BTreeMap<String, String> {
    let pairs = [
        ("instructions", instructions::describe(instructions)),
        ("device", format!("{device:?}").to_lowercase()),
        ("threads", tch::get_num_threads().to_string()),
        ("libtorch", libtorch::VERSION.to_owned()),
        ("chumoku", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

/// What there is to compute with, for `chumoku doctor`. May start the program again.
pub fn equipment() -> Equipment {
    // First, because libtorch remembers its first answer about CUDA.
    let cuda = libtorch::load_cuda();
    let folder = libtorch::folder().unwrap_or_default();
    Equipment {
        version: libtorch::version(&folder),
        folder,
        expected: libtorch::VERSION.to_owned(),
        threads: cores(),
        gpus: if cuda.is_ok() { Cuda::device_count() } else { 0 },
        cuda_problem: cuda.err(),
    }
}
