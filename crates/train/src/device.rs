//! Which device and how many threads a run uses, and what to record of them.

use std::collections::BTreeMap;

use tch::{Cuda, Device};

use crate::Error;

/// The libtorch that tch 0.24 binds.
pub const LIBTORCH: &str = "2.11.0";

/// Turns `cpu`, `cuda` or `cuda:N` into a device that is there, and sets the number of CPU threads (0: all cores).
///
/// # Errors
/// The device does not exist, or this libtorch has no CUDA.
pub fn open(name: &str, threads: u32) -> Result<Device, Error> {
    let threads = if threads == 0 { cores() } else { i32::try_from(threads).unwrap_or(i32::MAX) };
    tch::set_num_threads(threads);
    let problem = |problem: &str| Error::Device { device: name.to_owned(), problem: problem.to_owned() };
    let index = match name.split_once(':') {
        _ if name == "cpu" => return Ok(Device::Cpu),
        None => 0,
        Some((_, index)) => index.parse().map_err(|_| problem("expected cuda:N with a number N"))?,
    };
    if !Cuda::is_available() {
        return Err(problem("this libtorch has no CUDA, or no GPU is visible"));
    }
    if i64::try_from(index).unwrap_or(i64::MAX) >= Cuda::device_count() {
        return Err(problem(&format!("{} GPU(s) are visible", Cuda::device_count())));
    }
    Ok(Device::Cuda(index))
}

fn cores() -> i32 {
    std::thread::available_parallelism().map_or(1, |count| i32::try_from(count.get()).unwrap_or(i32::MAX))
}

/// The conditions that a receipt records.
pub fn environment(device: Device) -> BTreeMap<String, String> {
    let pairs = [
        ("device", format!("{device:?}").to_lowercase()),
        ("threads", tch::get_num_threads().to_string()),
        ("libtorch", LIBTORCH.to_owned()),
        ("chumoku", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}
