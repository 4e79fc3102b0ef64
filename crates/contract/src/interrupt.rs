//! Ctrl-C and SIGTERM ask for a stop; loops look at [`requested`] and end at the next safe point.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

type Speak = Box<dyn Fn(&str) + Send + Sync>;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static SPEAK: OnceLock<Speak> = OnceLock::new();

/// Has a display print the handler's one line, which would otherwise land in the middle of what moves. The first one stays.
pub fn speak_through(speak: impl Fn(&str) + Send + Sync + 'static) {
    let _ = SPEAK.set(Box::new(speak));
}

/// Installs the handler. A second signal ends the program at once.
pub fn install() {
    // An error means that a handler exists already, which is what we want.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(crate::Exit::Interrupted as i32);
        }
        let text = "stopping at the next safe point; press Ctrl-C again to stop at once";
        SPEAK.get().map_or_else(|| crate::say!("{text}"), |speak| speak(text));
    });
}

/// True once a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
