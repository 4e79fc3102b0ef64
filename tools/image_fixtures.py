#!/usr/bin/env python3
"""Makes crates/preprocess/tests/fixtures/images: small pictures of the kinds that the `image` crate does not write.

    python3 -m venv .venv && .venv/bin/pip install numpy==2.4.6 pillow==13.0.0
    .venv/bin/python tools/image_fixtures.py crates/preprocess/tests/fixtures/images

Grey is 16 x + 3 y at column x, row y; in 16 bits 4000 x + 7 y. Pillow does not write interlaced PNG, so this does
(ISO/IEC 15948 section 8.2), and Pillow reads it back.
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ROWS, COLUMNS = 12, 14
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def interlaced(grey: np.ndarray) -> bytes:
    bits = grey.dtype.itemsize * 8
    lines = b"".join(
        b"\0" + line.tobytes()
        for top, left, down, right in PASSES
        for line in grey[top::down, left::right]
        if line.size
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", COLUMNS, ROWS, bits, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    grey, wide = (16 * x + 3 * y).astype(np.uint8), (4000 * x + 7 * y).astype(">u2")
    palette = Image.fromarray(255 - grey).convert("P")
    palette.putpalette([255 - value // 3 for value in range(768)])
    palette.save(folder / "palette.png")
    (folder / "interlaced.png").write_bytes(interlaced(grey))
    (folder / "interlaced-16.png").write_bytes(interlaced(wide))
    Image.fromarray(grey).save(folder / "grey.jpg", quality=100)
    Image.fromarray(grey).convert("CMYK").save(folder / "cmyk.jpg")
    assert np.array_equal(np.array(Image.open(folder / "palette.png").convert("L")), grey)
    assert np.array_equal(np.array(Image.open(folder / "interlaced.png")), grey)
    assert np.array_equal(np.array(Image.open(folder / "interlaced-16.png")), wide)
    assert np.abs(np.array(Image.open(folder / "grey.jpg")).astype(int) - grey).max() < 3
