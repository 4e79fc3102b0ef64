//! Decoders that others wrote may panic; what panics here is caught and becomes an error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder; a panic within becomes an error and prints nothing.
///
/// # Errors
/// That of `decode`, or that it panicked.
pub fn panics<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |information| {
            if !QUIET.get() {
                usual(information);
            }
        }));
    });
    let before = QUIET.replace(true);
    // What `decode` leaves half done is dropped with it.
    let result = panic::catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(before);
    result.unwrap_or_else(|_| Err("the decoder gave up; the data are corrupt".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(panics(|| Ok(1)), Ok(1));
        assert_eq!(panics::<()>(|| Err("no".to_owned())), Err("no".to_owned()));
        let empty: [u8; 0] = [];
        let index = empty.len();
        assert!(panics(|| Ok(empty[index])).is_err_and(|message| message.contains("corrupt")));
        assert!(!QUIET.get());
    }
}
