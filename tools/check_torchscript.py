#!/usr/bin/env python3
"""Hold an exported network, run by PyTorch, against the predictions that chumoku-train wrote with the same weights.

usage: check_torchscript.py MODEL.pt SLICES.parquet PREDICTIONS.parquet [--batch 7] [--most 1e-5]
MODEL.pt is what `chumoku-train export` made of a run's weights, PREDICTIONS.parquet that run's, SLICES.parquet its slices.
Prints the largest difference of each output. Needs torch 2.11.0 and pyarrow: pip install -r tools/lungmask_requirements.txt
exit codes: 0 equal; 1 not; 2 usage
"""
import argparse
import json
import pathlib
import sys

import numpy
import pyarrow.parquet
import torch


def images(path, wanted):
    """Slices by id as (S, S) arrays of u8."""
    table = pyarrow.parquet.read_table(path, columns=["slice_id", "height", "width", "image"])
    rows = zip(*(table[name].to_pylist() for name in table.column_names))
    return {name: numpy.frombuffer(image, numpy.uint8).reshape(height, width) for name, height, width, image in rows
            if name in wanted}


def run(module, pictures, batch):
    """The module's outputs for all pictures, each output in one array (N, ...)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            grey = numpy.stack(pictures[start:start + batch])[:, None].astype(numpy.float32) / 255
            outputs = module(torch.from_numpy(grey))
            parts.append(outputs if isinstance(outputs, tuple) else (outputs,))
    return [torch.cat(output).flatten(1).numpy() for output in zip(*parts)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.pt", type=pathlib.Path)
    parser.add_argument("slices", metavar="SLICES.parquet", type=pathlib.Path)
    parser.add_argument("predictions", metavar="PREDICTIONS.parquet", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=7, help="slices of a pass; chumoku-train has others")
    parser.add_argument("--most", type=float, default=1e-5, help="largest difference that counts as equal")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = [output["name"] for output in json.loads(arguments.model.with_suffix(".json").read_text())["outputs"]]
    predictions = pyarrow.parquet.read_table(arguments.predictions)
    ids = predictions["slice_id"].to_pylist()
    pictures = images(arguments.slices, set(ids))
    found = run(torch.jit.load(str(arguments.model)), [pictures[name] for name in ids], arguments.batch)
    if len(found) != len(names):
        sys.exit(f"check_torchscript: {arguments.model} returns {len(found)} tensors, its description names {', '.join(names)}")
    worst = 0.0
    for name, values in zip(names, found):
        expected = numpy.array(predictions[name].to_pylist(), numpy.float32)
        difference = float(abs(values - expected).max()) if values.shape == expected.shape else float("inf")
        worst = max(worst, difference)
        print(f"{name}: {values.shape[0]} slices x {values.shape[1]} values, largest difference {difference:.1e}")
    if not worst <= arguments.most:
        sys.exit(f"check_torchscript: the outputs differ by {worst:.1e}, expected at most {arguments.most:g}")


if __name__ == "__main__":
    main()
