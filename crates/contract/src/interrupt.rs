//! Ctrl-C and SIGTERM ask for a stop; loops look at [`requested`] and end at the next safe point.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler. A second signal ends the program at once.
pub fn install() {
    // An error means that a handler exists already, which is what we want.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(crate::Exit::Interrupted as i32);
        }
        eprintln!("stopping at the next safe point; press Ctrl-C again to stop at once");
    });
}

/// True once a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
