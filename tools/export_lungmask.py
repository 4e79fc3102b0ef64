#!/usr/bin/env python3
"""Turn weights of lungmask's U-Net into the TorchScript that chumoku-preprocess runs, with its card.

usage: export_lungmask.py WEIGHTS OUT.pt [--name R231]
WEIGHTS is a state dict (.pth): one of lungmask's releases (unet_r231-d5d2fc3d.pth is R231, unet_r231covid-0de78a7e.pth is
R231CovidWeb), or weights of your own for the same network, of any width. A name instead of a file, R231 or
R231CovidWeb, lets lungmask's own code download it. Beside OUT.pt appears OUT.md, the card, with the sha256 that
chumoku-preprocess asks for. Bytes and sha256 depend on OUT's base name.

Needs lungmask 0.2.22 and torch 2.11.0: pip install -r tools/lungmask_requirements.txt
exit codes: 0 done; 2 usage; 4 not the state dict of this network; 6 the versions are others, or the export is not exact
"""
import argparse
import importlib.metadata
import pathlib
import tempfile

import torch
from lungmask.mask import MODEL_URLS
from lungmask.resunet import UNet

from state_dict import check_tensors, check_versions, fail, load, sha256

VERSIONS = {"lungmask": "0.2.22", "torch": "2.11.0"}
SIDE = 256
CLASSES = ["background", "right lung", "left lung"]
FIRST, LAST = "down_path.0.block.0.weight", "last.weight"


def read(weights):
    """The state dict, and what the card says about where it came from."""
    if weights in MODEL_URLS:
        url, _ = MODEL_URLS[weights]
        try:
            state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True)
        except OSError as error:
            fail(6, f"{weights} could not be downloaded from {url} ({error}); fetch the file by other means and name it")
        file = pathlib.Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
        return state, f"{url}, sha256 `{sha256(file)}`"
    path = pathlib.Path(weights)
    if not path.is_file():
        fail(4, f"{weights} is no file and no model of lungmask; expected a state dict or one of {', '.join(MODEL_URLS)}")
    state = load(path)
    return state, f"`{path.name}`, sha256 `{sha256(path)}`"


def shape(state):
    """Classes, depth and width exponent of the network that a state dict is of."""
    absent = [name for name in (FIRST, LAST) if name not in state]
    if absent:
        fail(4, f"not lungmask's U-Net: {' and '.join(absent)} missing; it has {', '.join(list(state)[:3]) or 'nothing'}, ...")
    channels, classes = state[FIRST].shape[0], state[LAST].shape[0]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("down_path."))
    if channels & (channels - 1):
        fail(4, f"{FIRST} has {channels} output channels, expected a power of two")
    if classes != len(CLASSES):
        fail(4, f"{LAST} has {classes} classes, expected 3 ({', '.join(CLASSES)}); a model of lobes cannot be used here")
    return classes, depth, channels.bit_length() - 1


def network(state):
    classes, depth, exponent = shape(state)
    model = UNet(n_classes=classes, padding=True, depth=depth, wf=exponent, up_mode="upsample", batch_norm=True,
                 residual=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_tensors(state, shapes, "this network")
    model.load_state_dict(state)
    return model.eval(), {"classes": classes, "depth": depth, "width": 2**exponent}


def export(model, out):
    """Traces and freezes the network; the log-softmax at its end stays, since its rounding can make ties that decide."""
    with torch.inference_mode():
        example = torch.zeros(1, 1, SIDE, SIDE)
        # Sizes are constants in the trace: the slice is always 256x256, the batch is free.
        traced = torch.jit.trace(model, example, check_trace=False)
        frozen = torch.jit.freeze(traced.eval())
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as aside:
        part = pathlib.Path(aside) / out.name  # the name is written into the file
        frozen.save(str(part))
        compare(model, part)
        part.replace(out)


def compare(model, path):
    """Runs both on random inputs and stops unless the outputs are the same numbers."""
    loaded, generator = torch.jit.load(str(path)), torch.Generator().manual_seed(1)
    with torch.inference_mode():
        for batch in (1, 3):
            inputs = torch.rand(batch, 1, SIDE, SIDE, generator=generator)
            expected, found = model(inputs), loaded(inputs)
            if found.shape != (batch, len(CLASSES), SIDE, SIDE) or not torch.isfinite(found).all():
                fail(6, f"the exported module gives {tuple(found.shape)} or numbers that are not finite")
            if not torch.equal(expected, found):
                fail(6, f"outputs differ by up to {(expected - found).abs().max().item():g}")


CARD = """# {file}

{name}: lungmask's U-Net, for chumoku-preprocess. Not made by this project; licence and terms are those of the weights.

| | |
|---|---|
| file | `{file}`, TorchScript, {megabytes:.1f} MB |
| sha256 | `{digest}` |
| weights | {source} |
| network | `lungmask.resunet.UNet`, {depth} resolutions, {width} to {widest} channels, batch normalisation, bilinear upsampling |
| input | (N, 1, 256, 256) f32 in 0..1: HU clipped to -1024..600, `(HU + 1024) / 1624`, cropped to the body and resized |
| output | (N, 3, 256, 256) f32, log-softmax: {classes}; the largest one wins |
| exact | equal to the network in Python on four random inputs, to the last bit |
| versions | {versions} |

    chumoku-preprocess segment CT MASK.nii.gz --model {file} --model-sha256 {digest}

In a study: `preprocess.model: {file}` and `preprocess.model_sha256: {digest}`.
"""


def write_card(out, name, source, about):
    digest = sha256(out)
    meaning = ", ".join(f"{label} {text}" for label, text in enumerate(CLASSES))
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in VERSIONS)
    text = CARD.format(file=out.name, name=name, megabytes=out.stat().st_size / 1e6, digest=digest, source=source,
                       depth=about["depth"], width=about["width"], widest=about["width"] << (about["depth"] - 1),
                       classes=meaning, versions=versions)
    out.with_suffix(".md").write_text(text)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("out", metavar="OUT.pt", type=pathlib.Path)
    parser.add_argument("--name", help="the name on the card; the weights' name if left out")
    arguments = parser.parse_args()
    if arguments.out.suffix != ".pt":
        parser.error(f"the output must end in .pt, got {arguments.out}")
    check_versions(VERSIONS)
    state, source = read(arguments.weights)
    model, about = network(state)
    export(model, arguments.out)
    print(write_card(arguments.out, arguments.name or pathlib.Path(arguments.weights).stem, source, about), end="")


if __name__ == "__main__":
    main()
