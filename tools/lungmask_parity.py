#!/usr/bin/env python3
"""Masks of the Python package lungmask 0.2.22 and of chumoku-preprocess, with the same weights, on the same NIfTI files.

usage: lungmask_parity.py WEIGHTS.pth MODEL.pt [--phantom FOLDER] [--shared FOLDER] [--program FILE] [--threads 1] [--json OUT]
WEIGHTS is a state dict of lungmask's network, MODEL what export_lungmask.py made of it. FOLDER of --phantom is a raw folder of
chumoku-phantom: each of its series becomes a volume, in five orientations by turns. FOLDER of --shared holds ct-dicom,
luna-png and covid-ct: each slice is a volume of one slice. Values are whole HU (int16).
Printed for each set: files, share of equal voxels, lowest share, Dice of each lung (all voxels pooled, and the worst file), and
every file that differs. Exit code 1 if a set has less than 99.9 % equal voxels or a Dice below 0.999.
Needs what tools/lungmask_requirements.txt pins.
"""
import argparse
import csv
import hashlib
import json
import logging
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pydicom
import SimpleITK as sitk
import torch
from lungmask import LMInferer
from PIL import Image

from export_lungmask import network

LUNA_HU = (-1000, 400)
COVID_CT_HU = (-1350, 150)
ENOUGH_EQUAL, ENOUGH_DICE = 0.999, 0.999
# Turns by quarters and mirrors as orientation codes of ITK, and one by 15 degrees: the patient leans in the scanner.
ORIENTATIONS = ["LPS", "RAI", "PSL", "oblique", "ASR"]


def inferer(weights, batch=20):
    """lungmask with these weights; its own loader is for R231's width only."""
    LMInferer.__init__.__globals__["get_model"] = lambda *_: network(torch.load(weights, weights_only=True))[0]
    return LMInferer(force_cpu=True, batch_size=batch, tqdm_disable=True)


def dicom_hu(path):
    image = pydicom.dcmread(path)
    return image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept), image


def series(folder):
    """A DICOM folder as an image in its place."""
    slices = sorted((dicom_hu(path) for path in sorted(folder.glob("*.dcm"))),
                    key=lambda pair: float(pair[1].ImagePositionPatient[2]))
    volume = sitk.GetImageFromArray(np.rint(np.stack([hu for hu, _ in slices])).astype(np.int16))
    first, second = slices[0][1], slices[1][1]
    rows, columns = map(float, first.PixelSpacing)
    step = float(second.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])
    volume.SetSpacing((columns, rows, step))
    volume.SetOrigin([float(part) for part in first.ImagePositionPatient])
    return volume


def turned(volume, orientation):
    if orientation != "oblique":
        return sitk.DICOMOrient(volume, orientation)
    angle = np.deg2rad(15)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    volume = sitk.Image(volume)
    volume.SetDirection(turn.flatten().tolist())
    return volume


def phantoms(folder):
    for index, patient in enumerate(sorted(folder.glob("PH-*"))):
        orientation = ORIENTATIONS[index % len(ORIENTATIONS)]
        yield f"{patient.name} {orientation}", turned(series(patient / "CT-1"), orientation)


def one_slice(hu):
    return sitk.GetImageFromArray(np.rint(hu).astype(np.int16)[None])


def grey_hu(path, low_high):
    image = Image.open(path)
    grey = np.asarray(image.convert("RGBA").convert("L"), float) / 255
    return low_high[0] + grey * (low_high[1] - low_high[0])


def real_sets(shared):
    dicoms = sorted((shared / "ct-dicom").rglob("*.dcm"))
    yield "ct-dicom", ((path.stem, one_slice(dicom_hu(path)[0])) for path in dicoms)
    pictures = sorted((shared / "luna-png").glob("*.png"))
    yield "luna-png", ((path.stem, one_slice(grey_hu(path, LUNA_HU))) for path in pictures)
    with open(shared / "covid-ct" / "slices.csv") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    yield "covid-ct", ((path, one_slice(grey_hu(shared / "covid-ct" / path, COVID_CT_HU))) for path in paths)


class Both:
    """The two programs, and a folder for their files."""

    def __init__(self, arguments, folder):
        self.python, self.folder = inferer(arguments.weights), pathlib.Path(folder)
        digest = hashlib.sha256(arguments.model.read_bytes()).hexdigest()
        # Pictures are no CT, and lungmask asks no questions.
        self.command = [arguments.program, "segment", self.folder / "ct.nii", self.folder / "mask.nii", "--model",
                        arguments.model, "--model-sha256", digest, f"--threads={arguments.threads}", "--progress=none",
                        "--no-check-units", "--no-check-orientation"]

    def masks(self, image):
        sitk.WriteImage(image, str(self.folder / "ct.nii"))
        theirs = self.python.apply(sitk.ReadImage(str(self.folder / "ct.nii")))
        ended = subprocess.run([str(part) for part in self.command], capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit(f"segment failed: {ended.stderr}")
        return theirs, sitk.GetArrayFromImage(sitk.ReadImage(str(self.folder / "mask.nii")))


def compare(name, theirs, ours):
    counts = {"name": name, "voxels": theirs.size, "equal": int((theirs == ours).sum())}
    for label, lung in ((1, "right"), (2, "left")):
        one, other = theirs == label, ours == label
        counts[lung] = [int((one & other).sum()), int(one.sum()), int(other.sum())]
    return counts


def dice(rows, lung):
    both, one, other = np.sum([row[lung] for row in rows], axis=0)
    return 1.0 if one + other == 0 else 2 * both / (one + other)


def summary(name, rows):
    """Prints a set's numbers; true if they are good enough."""
    equal = sum(row["equal"] for row in rows) / sum(row["voxels"] for row in rows)
    lowest = min(row["equal"] / row["voxels"] for row in rows)
    differing = [row for row in rows if row["equal"] < row["voxels"]]
    lungs = sum(row["right"][1] + row["left"][1] > 0 for row in rows)
    print(f"{name}: {len(rows)} files, {lungs} with lung; equal voxels {equal:.6%}, lowest {lowest:.6%}; {len(differing)} differ")
    good = equal >= ENOUGH_EQUAL
    for lung in ("right", "left"):
        pooled, worst = dice(rows, lung), min(dice([row], lung) for row in rows)
        good = good and pooled >= ENOUGH_DICE
        print(f"  Dice of the {lung} lung {pooled:.6f}, worst file {worst:.6f}")
    for row in sorted(differing, key=lambda row: row["equal"] / row["voxels"])[:10]:
        print(f"  {row['name']}: {row['voxels'] - row['equal']} of {row['voxels']} voxels differ, right {row['right']}, "
              f"left {row['left']} (both, lungmask, ours)")
    sys.stdout.flush()
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--phantom", type=pathlib.Path)
    parser.add_argument("--shared", type=pathlib.Path)
    parser.add_argument("--program", default="target/release/chumoku-preprocess")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="every file's counts")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(arguments.threads)
    sets = [("phantom", phantoms(arguments.phantom))] if arguments.phantom else []
    sets += real_sets(arguments.shared) if arguments.shared else []
    good, found = True, {}
    with tempfile.TemporaryDirectory() as folder:
        both = Both(arguments, folder)
        for name, images in sets:
            found[name] = [compare(file, *both.masks(image)) for file, image in images]
            good = summary(name, found[name]) and good
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
