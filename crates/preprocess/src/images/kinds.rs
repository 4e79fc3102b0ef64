//! Image formats that are not read, known by how their files begin, so that an error can name them and say what to do.

/// Start of a file, where it stands, the format's name, and whether its pixels may have 16 bits.
const FOREIGN: [(&[u8], usize, &str, bool); 10] = [
    (b"II*\0", 0, "a TIFF", true),
    (b"MM\0*", 0, "a TIFF", true),
    (b"II+\0", 0, "a BigTIFF", true),
    (b"MM\0+", 0, "a BigTIFF", true),
    (b"BM", 0, "a BMP", false),
    (b"WEBP", 8, "a WebP", false),
    (b"GIF8", 0, "a GIF", false),
    (b"ftypavif", 4, "an AVIF", false),
    (b"ftyphei", 4, "a HEIF", false),
    (b"\0\0\0\x0CjP  ", 0, "a JPEG 2000", true),
];

/// What a file is that is neither PNG nor JPEG, and what to do; `None` if it is not known either.
pub(super) fn foreign(bytes: &[u8]) -> Option<String> {
    let is = |start: &[u8], at: usize| bytes.get(at..).is_some_and(|rest| rest.starts_with(start));
    let (_, _, name, wide) = FOREIGN.iter().find(|(start, at, ..)| is(start, *at))?;
    let bits = if *wide { "; 16-bit grey stays 16-bit grey there, negative values do not" } else { "" };
    Some(format!("it is {name}, which is not read; convert it to PNG, for example with ImageMagick or ImageJ{bits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_by_their_first_bytes() {
        for (bytes, name) in [
            (&b"II*\0\x08\0\0\0"[..], "a TIFF"),
            (b"MM\0*", "a TIFF"),
            (b"BM6", "a BMP"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP"),
        ] {
            assert!(
                foreign(bytes).is_some_and(|message| message.contains(name) && message.contains("to PNG")),
                "{name}"
            );
        }
        assert!(foreign(b"\x89PNG\r\n\x1a\n").is_none() && foreign(b"").is_none());
    }
}
