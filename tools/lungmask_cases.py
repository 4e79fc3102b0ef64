#!/usr/bin/env python3
"""What lungmask 0.2.22 makes of random labels and slices, for crates/preprocess/tests/lungmask.rs.

Both sides draw the same inputs from a seed by integer arithmetic alone; this script writes what comes out, as hashes.

Two things of lungmask are left out, because they are not a rule to follow; the cases that hit them are counted and dropped:
which of two largest pieces of equal size stays (numpy's sort is unstable), and background that fill_voids 2.1.1 fills
although it reaches the edge of the volume (scipy's binary_fill_holes is the judge; seen only in the first row of a volume).

usage: lungmask_cases.py OUT.json [--stacks 24] [--slices 24] [--first 1]
The kept file is crates/preprocess/tests/fixtures/lungmask.json, made with the defaults. For a longer comparison write more
cases elsewhere and run the test with CHUMOKU_LUNGMASK_CASES=FILE.
Needs what tools/lungmask_requirements.txt pins.
"""
import argparse
import hashlib
import json
import logging

import fill_voids
import numpy as np
import skimage.measure
from lungmask import utils
from scipy import ndimage

SIDE = 256


def mix(value):
    """splitmix64 of unsigned 64-bit integers."""
    with np.errstate(over="ignore"):
        value = np.asarray(value, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def draw(seed, purpose, below):
    """A number in 0..below."""
    return int(mix(seed * 1000 + purpose) % np.uint64(below))


def field(seed, purpose, *index):
    """A random number for every voxel of an index grid."""
    flat = np.uint64(0)
    for axis in index:
        flat = flat * np.uint64(4096) + axis.astype(np.uint64)
    return mix(flat + mix(seed * 1000 + purpose))


def labels(seed):
    """A stack of 0, 1, 2: blocks or two ellipsoids, and specks. Every third has one slice."""
    shape = (1 if seed % 3 == 0 else 2 + draw(seed, 0, 12), 8 + draw(seed, 1, 60), 8 + draw(seed, 2, 60))
    z, y, x = np.indices(shape)
    if draw(seed, 3, 2) == 0:
        blocks = [1 + draw(seed, 4 + axis, size) for axis, size in enumerate((3, 10, 10))]
        coarse = field(seed, 7, z // blocks[0], y // blocks[1], x // blocks[2]) % np.uint64(4) % np.uint64(3)
    else:
        half, radius = shape[2] // 2, max(2, min(shape[1], shape[2] // 2) // 2 - 1)
        lung = ((x % max(half, 1)) * 2 - half) ** 2 + (y * 2 - shape[1]) ** 2 < (2 * radius) ** 2
        coarse = np.where(lung, np.where(x < half, 1, 2), 0).astype(np.uint64)
    fine = field(seed, 8, z, y, x)
    specks = fine % np.uint64(100) < np.uint64(draw(seed, 9, 25))
    return np.where(specks, (fine >> np.uint64(8)) % np.uint64(3), coarse).astype(np.uint8)


def slice_hu(seed):
    """A slice with a body, noise, and perhaps a table; every second one has fractions of a HU."""
    low = 1 if seed % 8 == 0 else 60
    shape = low + draw(seed, 20, 500), low + draw(seed, 21, 500)
    y, x = np.indices(shape)
    rows, columns = shape
    # In 1/16 of the slice: centre and half axes.
    centre = 6 + draw(seed, 22, 5), 6 + draw(seed, 23, 5)
    axes = 2 + draw(seed, 24, 8), 2 + draw(seed, 25, 8)
    down, across = y * 16 - centre[0] * rows, x * 16 - centre[1] * columns
    body = (down * axes[1] * columns) ** 2 + (across * axes[0] * rows) ** 2 < (axes[0] * axes[1] * rows * columns) ** 2
    noise = field(seed, 26, y, x)
    quarters = np.where(body, 160, -4000) + (noise % np.uint64(1200)).astype(np.int64) - 600
    dense = draw(seed, 27, 60)
    quarters += np.where((noise >> np.uint64(20)) % np.uint64(100) < np.uint64(dense), 3000, 0)
    if seed % 2 == 0:
        return (quarters // 4).astype(np.int16)
    return (quarters / 4).astype(np.float32)


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def has_rule(mask):
    """False where lungmask's result is an accident; `mask` is what one label has before its largest piece is taken."""
    sizes = np.bincount(skimage.measure.label(mask).ravel())[1:]
    if (sizes == sizes.max()).sum() > 1:
        return False
    largest = utils.keep_largest_connected_component(mask)
    return len(mask) == 1 or np.array_equal(fill_voids.fill(largest), ndimage.binary_fill_holes(largest))


def stack_case(seed):
    """None if the outcome is an accident."""
    before, ruled, keep = labels(seed), [], utils.keep_largest_connected_component

    def watched(mask):
        utils.keep_largest_connected_component = keep
        ruled.append(has_rule(mask))
        utils.keep_largest_connected_component = watched
        return keep(mask)

    utils.keep_largest_connected_component = watched
    after = utils.postprocessing(before, disable_tqdm=True)
    utils.keep_largest_connected_component = keep
    if not all(ruled):
        return None
    counts = [int((after == label).sum()) for label in (1, 2)]
    return {"seed": seed, "shape": before.shape, "before": sha256(before), "after": sha256(after), "voxels": counts}


def slice_case(seed):
    hu = slice_hu(seed)
    cut, box = utils.crop_and_resize(np.clip(hu, -1024, 600), SIDE, SIDE)
    rows, columns = np.indices((SIDE, SIDE))
    marks = (field(seed, 40, rows // 5, columns // 5) % np.uint64(3)).astype(np.uint8)
    back = utils.reshape_mask(marks, np.asarray(box), hu.shape).astype(np.uint8)
    box = [int(edge) for edge in box]
    return {"seed": seed, "shape": hu.shape, "box": box, "input": sha256(((cut + 1024) / 1624).astype(np.float32)),
            "mask": sha256(back)}


def main():
    logging.disable(logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--stacks", type=int, default=24)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    arguments = parser.parse_args()
    seeds = lambda count: range(arguments.first, arguments.first + count)
    stacks = [stack_case(seed) for seed in seeds(arguments.stacks)]
    print(f"{stacks.count(None)} of {len(stacks)} stacks dropped")
    cases = {"stacks": [case for case in stacks if case], "slices": [slice_case(seed) for seed in seeds(arguments.slices)]}
    lines = {name: ",\n  ".join(json.dumps(case) for case in rows) for name, rows in cases.items()}
    with open(arguments.out, "w") as file:
        file.write('{"stacks": [\n  %s],\n "slices": [\n  %s]}\n' % (lines["stacks"], lines["slices"]))


if __name__ == "__main__":
    main()
