//! The lung U-Net: which file may run, and how it runs.
//!
//! A TorchScript file is a program. The shipped model is known by its SHA-256; any other runs only if the study, or the
//! command line, states the file's SHA-256.

use std::path::Path;

use contract::interrupt;
use ndarray::Array2;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tch::{CModule, Kind, Tensor};

use crate::error::Error;
use crate::protocol::SIDE;

/// SHA-256 of the models shipped as `data/models/lung-unet.pt`, in lower-case hex.
pub const SHIPPED_SHA256: &[&str] = &["42b2fe8de78ed7e669e5833beafcbe10ee6799c62a1541319892db7f6b59645f"];

/// Classes of the model: background, right lung, left lung.
const CLASSES: i64 = 3;

/// The version of libtorch this crate is built for.
pub const LIBTORCH: &str = "2.11.0";

/// What to say where a SHA-256 has to be set.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// `preprocess.model_sha256` of a study.
    Study(Option<&'a str>),
    /// `--model-sha256` of a command.
    Command(Option<&'a str>),
}

/// A loaded lung model.
#[derive(Debug)]
pub struct LungModel {
    module: CModule,
    sha256: String,
    path: std::path::PathBuf,
}

impl LungModel {
    /// Loads `path` if it is trusted.
    ///
    /// # Errors
    /// The file is missing, not TorchScript, or neither the shipped model nor the one whose SHA-256 was stated.
    pub fn load(path: &Path, trust: Trust) -> Result<Self, Error> {
        let failed = |message: String| Error::Model { path: path.to_owned(), message };
        let bytes = std::fs::read(path).map_err(|error| {
            failed(format!("{error}; expected a TorchScript file, data/models/README.md says how to make one"))
        })?;
        check_format(&bytes).map_err(failed)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        check_trust(&sha256, trust).map_err(failed)?;
        let mut module = CModule::load_data(&mut bytes.as_slice()).map_err(|error| failed(not_loadable(&error)))?;
        module.f_set_eval().map_err(|error| failed(not_loadable(&error)))?;
        tch::set_num_threads(1);
        Ok(Self { module, sha256, path: path.to_owned() })
    }

    /// SHA-256 of the model's file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// True for a model that this project trained and ships. Its masks end at the body ([`crate::lungs::trim`]) and its crop of a
    /// picture is checked ([`crate::protocol::prepare_picture`]); others are treated as lungmask treats its own.
    pub fn is_shipped(&self) -> bool {
        SHIPPED_SHA256.contains(&self.sha256.as_str())
    }

    /// Labels 0, 1, 2 of prepared slices, (256, 256) each, in forward passes of at most `batch`. `done` hears how many
    /// more are ready.
    ///
    /// Passes run side by side on the calling thread's rayon pool, each on one thread of libtorch ([`LungModel::load`] sees to that): nothing waits for the
    /// slowest thread of a layer, and the labels do not depend on the number of threads. One slice a pass is fastest on
    /// CPU: its numbers stay in the caches, and its memory is used again.
    ///
    /// # Errors
    /// The model does not give (N, 3, 256, 256), or the program was interrupted.
    pub fn labels<'a>(
        &self,
        slices: impl IntoIterator<Item = &'a Array2<f32>>,
        batch: usize,
        done: impl Fn(usize) + Sync,
    ) -> Result<Vec<Array2<u8>>, Error> {
        let slices: Vec<_> = slices.into_iter().collect();
        let pass = |chunk: &[&Array2<f32>]| {
            if interrupt::requested() {
                return Err(Error::Interrupted);
            }
            let labels = self.forward(chunk)?;
            done(chunk.len());
            Ok(labels)
        };
        let passes: Vec<Result<Vec<Array2<u8>>, Error>> = slices.par_chunks(batch.max(1)).map(pass).collect();
        Ok(passes.into_iter().collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
    }

    fn forward(&self, slices: &[&Array2<f32>]) -> Result<Vec<Array2<u8>>, Error> {
        let failed = |message: String| Error::Model { path: self.path.clone(), message };
        let (count, side) = (slices.len() as i64, SIDE as i64);
        let mut values: Vec<f32> = Vec::with_capacity(slices.len() * SIDE * SIDE);
        slices.iter().for_each(|slice| values.extend(slice.iter()));
        let logits = self.run(&values, count).map_err(|error| failed(cannot_run(&error)))?;
        let (expected, got) = ([count, CLASSES, side, side], logits.size());
        if got != expected {
            return Err(failed(format!("expected an output of shape {expected:?}, got {got:?}; it is no lung model")));
        }
        let mut values = vec![0.0_f32; slices.len() * SIDE * SIDE * CLASSES as usize];
        let length = values.len();
        // (N, 256, 256, 3), which is how channels-last numbers lie already.
        let pixels = logits.permute([0, 2, 3, 1]).to_kind(Kind::Float).contiguous();
        pixels.f_copy_data(&mut values, length).map_err(|error| failed(cannot_run(&error)))?;
        let label = |logits: &[f32]| {
            (1..logits.len()).fold(0, |best, next| if logits[next] > logits[best] { next } else { best })
        };
        let image = |logits: &[f32]| logits.chunks_exact(CLASSES as usize).map(|pixel| label(pixel) as u8).collect();
        let images = values.chunks_exact(SIDE * SIDE * CLASSES as usize);
        Ok(images.map(|logits| Array2::from_shape_vec((SIDE, SIDE), image(logits)).expect("256x256 pixels")).collect())
    }

    /// Logits of `count` images. The input is handed over as channels-last, which the convolutions then keep: on CPU up to
    /// twice as fast as channels-first, the same up to rounding.
    fn run(&self, values: &[f32], count: i64) -> Result<Tensor, tch::TchError> {
        let side = SIDE as i64;
        // With one channel both layouts are the same bytes; the strides tell them apart.
        let input = Tensor::from_slice(values).f_as_strided([count, 1, side, side], [side * side, 1, side, 1], None)?;
        tch::no_grad(|| self.module.forward_ts(&[input]))
    }
}

/// The number of CPU threads that a setting means; 0 is all cores.
pub fn threads(setting: u32) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        fixed => fixed as usize,
    }
}

/// A pool of so many threads for reading, the network and cleaning.
///
/// # Errors
/// The threads cannot be started.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool, Error> {
    let failed = |error: rayon::ThreadPoolBuildError| Error::Usage(format!("cannot start {threads} threads: {error}"));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(failed)
}

/// A TorchScript file is a zip archive with a `code` folder; PyTorch's own weight files are archives without one.
fn check_format(bytes: &[u8]) -> Result<(), String> {
    let advice = "export one with torch.jit.save, or use the shipped data/models/lung-unet.pt";
    // From the end, where an archive keeps its table of contents: a large file need not be searched through.
    let holds = |name: &[u8]| bytes.windows(name.len()).rev().any(|window| window == name);
    if !bytes.starts_with(b"PK\x03\x04") {
        let found = match bytes {
            [] => "an empty file".to_owned(),
            [0x80, ..] => "a pickle, probably PyTorch weights".to_owned(),
            _ if holds(b"\"dtype\"") => "probably a safetensors file, which has weights and no program".to_owned(),
            _ => format!(
                "a file that starts with \"{}\"",
                String::from_utf8_lossy(&bytes[..bytes.len().min(8)]).escape_debug()
            ),
        };
        return Err(format!("expected TorchScript (a zip archive), found {found}; {advice}"));
    }
    if holds(b"/code/") {
        Ok(())
    } else {
        Err(format!("expected TorchScript, found a zip archive without code; {advice}"))
    }
}

fn check_trust(sha256: &str, trust: Trust) -> Result<(), String> {
    let (stated, key) = match trust {
        Trust::Study(stated) => (stated, "preprocess.model_sha256"),
        Trust::Command(stated) => (stated, "--model-sha256"),
    };
    match stated {
        Some(stated) if stated.eq_ignore_ascii_case(sha256) => Ok(()),
        Some(stated) => {
            Err(format!("its SHA-256 is {sha256}, but {key} is {stated}; the file is not the one expected"))
        }
        None if SHIPPED_SHA256.contains(&sha256) => Ok(()),
        None => Err(format!(
            "it is not the shipped model, and a TorchScript file is a program; if you trust it, set {key} to {sha256}"
        )),
    }
}

fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn not_loadable(error: &tch::TchError) -> String {
    format!("libtorch {LIBTORCH} cannot load it: {}", first_line(error))
}

fn cannot_run(error: &tch::TchError) -> String {
    format!("it cannot run on an input of shape (N, 1, {SIDE}, {SIDE}): {}", first_line(error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_torchscript_is_named() {
        let found = |bytes: &[u8]| check_format(bytes).expect_err("not TorchScript");
        assert!(found(b"hello world").contains("starts with \"hello wo\""));
        assert!(found(b"").contains("empty"));
        assert!(found(b"\x80\x02}q").contains("pickle"));
        assert!(found(b"PK\x03\x04archive/data.pkl").contains("without code"));
        assert!(check_format(b"PK\x03\x04m/code/__torch__.py").is_ok());
    }

    #[test]
    fn a_foreign_model_needs_its_hash() {
        let asked = check_trust("abc", Trust::Study(None)).expect_err("not trusted");
        assert!(asked.contains("set preprocess.model_sha256 to abc"), "{asked}");
        assert!(check_trust("abc", Trust::Command(Some("abd"))).expect_err("another file").contains("--model-sha256"));
        assert_eq!(check_trust("abc", Trust::Command(Some("ABC"))), Ok(()));
    }

    #[test]
    fn sha256_of_abc() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(hex(&Sha256::digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
