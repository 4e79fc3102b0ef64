//! What decoders that others wrote may do: how many pixels they are given memory for, and that their panics, which are caught
//! by [`panics`] and nowhere else, end in an error with the file's name.

pub use contract::contain::panics;

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
