//! What decoders that others wrote may do: how many pixels they are given memory for, and that their panics, which are caught
//! here and nowhere else, end in an error with the file's name.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Pictures of up to this many pixels (1448 x 1448) are decoded whatever their compressed size, larger ones if there is a byte
/// for each so many.
const PIXELS: (usize, usize) = (1 << 21, 64);

/// Checks that a picture is not larger than its `bytes` of compressed data can mean, before memory is taken for it.
///
/// # Errors
/// It is.
pub fn pixels(rows: usize, columns: usize, bytes: usize) -> Result<(), String> {
    if rows.saturating_mul(columns) > PIXELS.0.max(bytes.saturating_mul(PIXELS.1)) {
        return Err(format!("{rows} x {columns} pixels in {bytes} bytes; the file is truncated or corrupt"));
    }
    Ok(())
}

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
