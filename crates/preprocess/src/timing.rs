//! How long each part of `segment` was busy. Parts overlap, so their sum may be more than the whole.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Loading the model.
    Model,
    /// Reading and decoding.
    Read,
    /// Body crop and resizing.
    Prepare,
    /// Forward passes.
    Network,
    /// Clean-up and the way back to the slices.
    Clean,
    /// Writing the mask.
    Write,
}

const NAMES: [&str; 6] = ["model", "read", "prepare", "network", "clean", "write"];

/// A clock for each part.
#[derive(Debug)]
pub struct Timing {
    started: Instant,
    busy: Mutex<[Duration; NAMES.len()]>,
}

impl Timing {
    /// Starts the clock of the whole.
    pub fn start() -> Self {
        Self { started: Instant::now(), busy: Mutex::default() }
    }

    /// Does a piece of a part.
    pub fn of<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        let took = started.elapsed();
        if let Ok(mut busy) = self.busy.lock() {
            busy[part as usize] += took;
        }
        result
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "timing, s:")?;
        if let Ok(busy) = self.busy.lock() {
            for (name, busy) in NAMES.iter().zip(busy.iter()) {
                write!(out, " {name} {:.3}", busy.as_secs_f64())?;
            }
        }
        write!(out, " whole {:.3}", self.started.elapsed().as_secs_f64())
    }
}
