#!/usr/bin/env python3
"""Weights for lungmask's own network, trained for some minutes on phantom CT.

They stand in for R231 where its weights cannot be had: what is compared with them (crop, resizing, clean-up, speed) does not
depend on who trained the network. The network has 2**4 channels in its first layer where R231 has 2**6; `--widen 6` writes a
second file of R231's size that computes the same function, its further channels being zero.

usage: lungmask_train.py STUDY_FOLDER OUT.pth [--minutes 8] [--threads 1] [--seed 1] [--widen 6]
STUDY_FOLDER is what chumoku-phantom made (data/<study>/0_raw). Needs what tools/lungmask_requirements.txt pins.
"""
import argparse
import math
import pathlib
import time

import numpy as np
import pyarrow.parquet
import pydicom
import torch
from lungmask import utils
from lungmask.resunet import UNet
from scipy import ndimage

SIDE = 256
WIDTH_EXPONENT = 4
BATCH = 4


def network(width_exponent):
    return UNet(n_classes=3, padding=True, depth=5, wf=width_exponent, up_mode="upsample", batch_norm=True)


def samples(folder):
    """Inputs (N, 1, 256, 256) in 0..1 and targets (N, 256, 256), cut and resized as lungmask does."""
    inputs, targets = [], []
    for row in pyarrow.parquet.read_table(folder / "truth.parquet").to_pylist():
        image = pydicom.dcmread(folder / row["source"])
        hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        cut, box = utils.crop_and_resize(np.clip(np.rint(hu).astype(np.int16), -1024, 600), SIDE, SIDE)
        truth = np.frombuffer(row["lung_mask"], np.uint8).reshape(row["height"], row["width"])
        truth = truth[box[0] : box[2], box[1] : box[3]]
        inputs.append(((cut + 1024) / 1624).astype(np.float32))
        targets.append(ndimage.zoom(truth, SIDE / np.array(truth.shape), order=0))
    return torch.from_numpy(np.stack(inputs))[:, None], torch.from_numpy(np.stack(targets)).long()


def train(inputs, targets, minutes, seed):
    torch.manual_seed(seed)
    model = network(WIDTH_EXPONENT)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    started, step, order = time.monotonic(), 0, torch.empty(0, dtype=torch.long)
    while (spent := (time.monotonic() - started) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (0.5 + 0.5 * math.cos(math.pi * spent))
        if len(order) < BATCH:
            order = torch.randperm(len(inputs))
        chosen, order = order[:BATCH], order[BATCH:]
        gain, shift = 1 + 0.1 * torch.randn(BATCH, 1, 1, 1), 0.05 * torch.randn(BATCH, 1, 1, 1)
        loss = torch.nn.functional.nll_loss(model(inputs[chosen] * gain + shift), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 25 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return model.eval()


def widened(state, width_exponent):
    """The same function with more channels: the further ones are zero, and no weight reads them."""
    wide = network(width_exponent).state_dict()
    narrow_channels = {name: tensor.shape for name, tensor in state.items()}
    for name, tensor in wide.items():
        small = state[name]
        if tensor.ndim == 0:
            tensor.copy_(small)
            continue
        tensor.fill_(1.0 if name.endswith("running_var") else 0.0)
        if ".conv_block.block.0.weight" in name:
            # The up path reads the upsampled channels first, then the bridge's: two blocks of inputs.
            half_wide, half = tensor.shape[1] // 2, narrow_channels[name][1] // 2
            for source, target in ((0, 0), (half, half_wide)):
                tensor[: small.shape[0], target : target + half] = small[:, source : source + half]
        else:
            tensor[tuple(slice(0, size) for size in small.shape)] = small
    return wide


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--widen", type=int, metavar="EXPONENT")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    inputs, targets = samples(arguments.folder)
    model = train(inputs, targets, arguments.minutes, arguments.seed)
    torch.save(model.state_dict(), arguments.out)
    with torch.inference_mode():
        found = torch.cat([model(part).argmax(1) for part in inputs[:64].split(8)])
    for label, name in ((1, "right"), (2, "left")):
        ours, truth = found == label, targets[:64] == label
        print(f"{name} lung: Dice {2 * (ours & truth).sum() / (ours.sum() + truth.sum()):.4f} on 64 training slices")
    if arguments.widen:
        wide = network(arguments.widen).eval()
        wide.load_state_dict(widened(model.state_dict(), arguments.widen))
        with torch.inference_mode():
            difference = (wide(inputs[:2]) - model(inputs[:2])).abs().max().item()
        print(f"widened to 2**{arguments.widen} channels: outputs differ by at most {difference:.2g}")
        torch.save(wide.state_dict(), arguments.out.with_stem(f"{arguments.out.stem}-wide"))


if __name__ == "__main__":
    main()
