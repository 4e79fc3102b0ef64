"""Measures lung masks on real CT slices: Dice, lung in abdominal slices, and how many images get a plausible mask.

    pip install numpy==2.3.5 scipy==1.17.0 scikit-image==0.26.0 pydicom==3.0.2 pillow==13.0.0 nibabel==5.4.2
    python tools/measure_lungs.py --data $CHUMOKU_SHARED/data --out build/lungs [--model M.pt] [--network] [--sample N]

It runs `chumoku-preprocess segment` on every slice alone, so a mask is what a user gets after the clean-up. With --network it
also runs the TorchScript file without the clean-up (that needs torch). Three sets, none of which any training sees:

- luna-png: 40 slices exported in a window of -1000..400 HU. The reference is made here, from densities alone.
- ct-dicom: 20 slices in HU. The same reference where the lungs are aerated.
- covid-ct: images without densities and without a reference; counted are masks with two lungs, one, little or none.

The reference: air (below -500 HU) inside the body, without windpipe and specks, closed by a disc of 4 pixels, holes filled. It
is right for clear lungs and wrong where the lung is dense or where bowel holds gas, so only the slices listed as aerated
count; the lists below were made by eye from the contact sheets that this script writes.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image
from scipy import ndimage
from skimage import measure, morphology

# What black and white are in luna-png, HU; and what `segment` takes them to be in an image.
LUNA_HU = (-1000.0, 400.0)
IMAGE_HU = (-1350.0, 150.0)
AIR_HU = -500.0
# A mask with less lung than this share of the image is "small"; a lung below it in half is not there.
SMALL = 0.02
# Right and left lung in the contact sheets, and the reference.
COLOURS = {1: (80, 200, 255), 2: (255, 190, 60)}
REFERENCE = (90, 230, 90)
TILE = 256
# By eye: no lung, or none but the thinnest rim; the set's own note names the patients.
ABDOMEN = {
    "758082619196_26",
    "A027284-19000925-116",
    "A027284-19001231-131",
    "A058062-19001231-084",
    "A058062-19010108-078",
    "A062055-19001127-136",
    "A062055-19001228-131",
}
# By eye: a lung collapsed, consolidated or under fluid, which densities do not find.
DENSE = {
    "280013275227_215",
    "551970425757_95",
    "A002304-19010112-135",
    "A056642-19001229-053",
    "A072894-19001203-066",
    "A072894-19010103-40",
    "A098752-19001231-32",
    "A098752-19010127-128",
}


def body(hu):
    """The patient without table: the largest thing denser than air after an opening, its holes filled."""
    solid = ndimage.binary_opening(hu > AIR_HU, iterations=2)
    labels = measure.label(solid, connectivity=1)
    if labels.max() == 0:
        return np.zeros(hu.shape, bool)
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    closed = morphology.closing(np.pad(largest, 20), morphology.disk(10))[20:-20, 20:-20]
    return ndimage.binary_fill_holes(closed | largest)


def reference(hu):
    """Aerated lung by density: (rows, columns) of bool."""
    whole = body(hu)
    inside = ndimage.binary_erosion(whole, iterations=2)
    air = ndimage.binary_opening((ndimage.gaussian_filter(hu, 0.7) < AIR_HU) & inside)
    labels = measure.label(air, connectivity=1)
    keep = np.zeros(hu.shape, bool)
    regions = measure.regionprops(labels)
    body_area = max(1, whole.sum())
    largest = max((region.area for region in regions), default=0)
    centre = np.mean(np.nonzero(whole)[1]) if whole.any() else hu.shape[1] / 2
    width = np.ptp(np.nonzero(whole)[1]) if whole.any() else hu.shape[1]
    for region in regions:
        central = abs(region.centroid[1] - centre) < 0.09 * width
        windpipe = central and region.area < 0.012 * body_area and region.eccentricity < 0.9
        if region.area >= max(0.0015 * body_area, 0.01 * largest) and not windpipe:
            keep |= labels == region.label
    closed = morphology.closing(np.pad(keep, 10), morphology.disk(4))[10:-10, 10:-10]
    holes = ndimage.binary_fill_holes(closed) & ~closed
    # Vessels are filled, the dome of the liver is not.
    small = morphology.remove_small_objects(holes, max_size=400)
    return closed | (holes & ~small)


def dice(found, truth):
    total = found.sum() + truth.sum()
    return 1.0 if total == 0 else 2.0 * (found & truth).sum() / total


def grey(path):
    """The image over black in 0..1, as the program reads it."""
    rgba = np.asarray(Image.open(path).convert("RGBA"), float) / 255.0
    same = (rgba[..., 0] == rgba[..., 1]) & (rgba[..., 1] == rgba[..., 2])
    mixed = rgba[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(same, rgba[..., 0], mixed) * rgba[..., 3]


def between(values, window):
    return window[0] + values * (window[1] - window[0])


def luna(folder):
    for path in sorted(folder.glob("*.png")):
        yield path.stem.split(".")[-2][-12:] + "_" + path.stem.split("_")[-1], None, between(grey(path), LUNA_HU)


def dicom(folder):
    for path in sorted(folder.rglob("*.dcm")):
        file = pydicom.dcmread(path)
        hu = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
        yield f"{path.relative_to(folder).parts[0]}-{path.stem}", path, hu.astype(float)


def covid(folder, sample):
    with open(folder / "slices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    step = max(1, len(rows) // sample) if sample else 1
    for row in rows[::step]:
        path = folder / row["path"]
        yield row["path"], path, between(grey(path), IMAGE_HU)


def segment(program, model, source, hu):
    """The program's mask of one slice."""
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            source = Path(folder) / "in.nii"
            # Columns run to the patient's left and rows to the back.
            volume = np.ascontiguousarray(hu.T[:, :, None], np.float32)
            nibabel.save(nibabel.Nifti1Image(volume, np.diag([-1.0, -1.0, 1.0, 1.0])), source)
        output = Path(folder) / "out.nii"
        trust = hashlib.sha256(Path(model).read_bytes()).hexdigest()
        command = [program, "segment", source, output, "--model", model, "--model-sha256", trust, "--threads", "1"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{source}: {done.stderr.strip()}")
        mask = np.asarray(nibabel.load(output).dataobj)[:, :, 0].T
    return mask


def crop(hu):
    """The box around the body that the network sees, as in crates/preprocess/src/protocol.rs."""
    zoom = [128 / side for side in hu.shape]
    small = ndimage.zoom(hu, zoom, order=0) > AIR_HU
    full = np.ones((3, 3))
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(small), full)
    eroded = ndimage.binary_erosion(filled, iterations=2)
    labels = measure.label(eroded, connectivity=1)
    if labels.max() == 0:
        return slice(None), slice(None)
    grown = ndimage.binary_dilation(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]), iterations=2)
    grown = ndimage.zoom(grown.astype(np.uint8), [n / 128 for n in hu.shape], order=0)
    return measure.regionprops(grown)[0].slice


def network(module, hu):
    """The network's labels without the clean-up."""
    import torch

    clipped = np.clip(hu, -1024.0, 600.0)
    box = crop(clipped)
    part = clipped[box]
    inner = ndimage.zoom(part, [256 / side for side in part.shape], order=1)
    batch = torch.from_numpy(((inner + 1024.0) / 1624.0).astype(np.float32))[None, None]
    with torch.no_grad():
        labels = module(batch)[0].argmax(0).numpy().astype(np.uint8)
    mask = np.zeros(hu.shape, np.uint8)
    mask[box] = ndimage.zoom(labels, [side / 256 for side in part.shape], order=0)[: part.shape[0], : part.shape[1]]
    return mask


def edge(mask):
    return mask & ~ndimage.binary_erosion(mask)


def tile(hu, mask, truth, window):
    """A slice with outlines, TILE x TILE."""
    grey = np.clip((hu - window[0]) / (window[1] - window[0]), 0.0, 1.0) * 255.0
    scale = TILE / max(hu.shape)
    size = [max(1, int(side * scale)) for side in hu.shape]
    at = np.ix_(*[np.minimum((np.arange(n) / scale).astype(int), side - 1) for n, side in zip(size, hu.shape)])
    picture = np.repeat(grey[at][..., None], 3, axis=2).astype(np.uint8)
    if truth is not None:
        picture[edge(truth[at])] = REFERENCE
    for label, colour in COLOURS.items():
        picture[edge(mask[at] == label)] = colour
    out = np.zeros((TILE, TILE, 3), np.uint8)
    out[: size[0], : size[1]] = picture
    return out


def sheet(tiles, path, columns=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    for page in range(0, len(tiles), columns * 5):
        part = tiles[page : page + columns * 5]
        part += [np.zeros((TILE, TILE, 3), np.uint8)] * (-len(part) % columns)
        rows = [np.hstack(part[i : i + columns]) for i in range(0, len(part), columns)]
        Image.fromarray(np.vstack(rows)).save(path.with_name(f"{path.stem}-{page // (columns * 5)}.png"))


def verdict(mask):
    """What a mask without a reference shows: two lungs, one, little, or nothing."""
    shares = [np.mean(mask == label) for label in COLOURS]
    if sum(shares) == 0.0:
        return "empty"
    if sum(shares) < SMALL:
        return "small"
    return "two" if min(shares) >= 0.1 * max(shares) else "one"


def with_reference(slices, name, masks_of, out):
    """Rows of Dice and of body marked for the sets with densities."""
    rows, tiles = [], []
    for ident, source, hu in slices:
        truth, whole = reference(hu), body(hu)
        share = truth.sum() / max(1, whole.sum())
        kind = "abdomen" if ident in ABDOMEN else "aerated" if share >= 0.10 and ident not in DENSE else "other"
        found = masks_of(source, hu)
        for way, mask in found.items():
            marked = (mask > 0).sum() / max(1, whole.sum())
            score = dice(mask > 0, truth)
            rows.append({"set": name, "slice": ident, "kind": kind, "way": way, "dice": score, "marked": marked})
            if way == next(iter(found)):
                tiles.append((kind, score, tile(hu, mask, truth, (-1100.0, 200.0))))
    sheet([picture for *_, picture in sorted(tiles, key=lambda item: (item[0], item[1]))], out / name)
    return rows


def without_reference(slices, masks_of, out):
    """One row for each image of covid-ct; the sheets show every image that is not two lungs, and some that are."""
    rows, tiles = [], {}
    for ident, source, hu in slices:
        masks = masks_of(source, hu)
        for way, mask in masks.items():
            found = verdict(mask)
            rows.append({"set": "covid-ct", "slice": ident, "way": way, "verdict": found, "share": np.mean(mask > 0)})
            if way == next(iter(masks)):
                tiles.setdefault(found, []).append(tile(hu, mask, None, IMAGE_HU))
    for found, pictures in tiles.items():
        sheet(pictures[:: max(1, len(pictures) // 60)] if found == "two" else pictures, out / f"covid-{found}")
    return rows


def summary(rows):
    """Prints what is measured, one line each."""
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        for name in ("luna-png", "ct-dicom"):
            scores = np.array([r["dice"] for r in own if r["set"] == name and r["kind"] == "aerated"])
            if scores.size:
                figures = f"mean {scores.mean():.4f} median {np.median(scores):.4f} worst {scores.min():.4f}"
                print(f"{way}: {name}, {scores.size} aerated slices: Dice {figures}")
        marked = sorted(r["marked"] for r in own if r.get("kind") == "abdomen")
        if marked:
            shares = " ".join(f"{100 * share:.2f}" for share in marked)
            print(f"{way}: {len(marked)} abdominal slices: % of the body marked {shares}")
        found = [r["verdict"] for r in own if r["set"] == "covid-ct"]
        if found:
            counts = ", ".join(f"{kind} {found.count(kind)}" for kind in ("two", "one", "small", "empty"))
            print(f"{way}: covid-ct, {len(found)} images: {counts}; two lungs {100 * found.count('two') / len(found):.1f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with luna-png, ct-dicom and covid-ct")
    parser.add_argument("--out", type=Path, required=True, help="folder for the contact sheets and rows.json")
    parser.add_argument("--program", default="target/release/chumoku-preprocess")
    parser.add_argument("--model", default="data/models/lung-unet.pt")
    parser.add_argument("--network", action="store_true", help="also the network without the clean-up")
    parser.add_argument("--network-only", action="store_true", help="the network alone, quick")
    parser.add_argument("--sample", type=int, default=0, help="images of covid-ct; 0 is all")
    args = parser.parse_args()
    module = None
    if args.network or args.network_only:
        import torch

        torch.set_num_threads(1)
        module = torch.jit.load(args.model).eval()

    def masks_of(source, hu):
        found = {}
        if not args.network_only:
            found["program"] = segment(args.program, args.model, source, hu)
        if module is not None:
            found["network"] = network(module, hu)
        return found

    rows = with_reference(luna(args.data / "luna-png"), "luna-png", masks_of, args.out)
    rows += with_reference(dicom(args.data / "ct-dicom"), "ct-dicom", masks_of, args.out)
    rows += without_reference(covid(args.data / "covid-ct", args.sample), masks_of, args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rows.json").write_text(json.dumps(rows, indent=1, default=float))
    summary(rows)


if __name__ == "__main__":
    main()
