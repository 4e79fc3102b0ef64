#!/usr/bin/env python3
"""Times training and prediction of chumoku-train and of PyTorch on the same slices, network, batch and threads.

usage: bench_pytorch.py FOLDER [--sides 64 224] [--threads 1 2] [--repeat 2] [--batches N] [--out FILE.md]
FOLDER gets the slices that `cargo bench --bench throughput` writes. Each measurement is a process of its own; ours and PyTorch's take
turns, and of each number the best is taken, since other work on the machine can only add to it.
The PyTorch side is what a user writes: eager mode, a DataLoader (0, 1 and 2 workers are tried, the fastest counts), augmentation by
affine_grid and grid_sample, AdamW as it comes; once more with the fused AdamW. Peak memory is VmHWM, summed over its processes.
Two more rows of ours: as many runs side by side as threads, one thread each, which is what `chumoku run` does (images/s and memory of
all); and train.precision bf16, beside PyTorch's autocast to bfloat16.
Needs what tools/lungmask_requirements.txt pins, and cargo.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

from measuring import hardware, measured

WORKERS = (0, 1, 2)
PREDICTION_BATCH = 32  # as in crates/train/src/predict.rs


def network(channels, classes):
    """The ABN of crates/train/src/abn.rs as torch.nn modules, with the same names in its state dict."""
    import torch
    from torch import nn

    def conv(inputs, outputs, kernel, stride=1):
        return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
            self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            changes = stride != 1 or inputs != outputs
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if changes else None

        def forward(self, x):
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            out += x if self.downsample is None else self.downsample(x)
            return self.relu(out)

    def layer(inputs, outputs, stride):
        return nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1))

    class Abn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = conv(channels, 64, 7, 2), nn.BatchNorm2d(64)
            self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
            self.layer1, self.layer2, self.layer3 = layer(64, 64, 1), layer(64, 128, 2), layer(128, 256, 2)
            self.att_layer4, self.bn_att = layer(256, 512, 1), nn.BatchNorm2d(512)
            self.att_conv, self.bn_att2 = conv(512, classes, 1), nn.BatchNorm2d(classes)
            self.att_conv2 = conv(classes, classes, 1)
            self.att_conv3, self.bn_att3 = conv(classes, 1, 3), nn.BatchNorm2d(1)
            self.layer4, self.fc = layer(256, 512, 2), nn.Linear(512, classes)

        def forward(self, x):
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
            x = self.layer3(self.layer2(self.layer1(x)))  # (N, 256, m, m)
            branch = self.relu(self.bn_att2(self.att_conv(self.bn_att(self.att_layer4(x)))))  # (N, K, m, m)
            attention = torch.sigmoid(self.bn_att3(self.att_conv3(branch)))  # (N, 1, m, m)
            x = self.layer4(x * attention + x)
            return self.att_conv2(branch).mean((2, 3)), self.fc(x.mean((2, 3))), attention

    return Abn()


def slices(folder, side, settings, augmented):
    """A Dataset of the slices in `folder`, augmented as crates/train/src/augment.rs does, or plain."""
    import numpy
    import torch
    from torch.nn import functional

    images, masks = (torch.from_numpy(numpy.fromfile(folder / name, numpy.uint8)).view(-1, 1, side, side)
                     for name in ("images.u8", "masks.u8"))

    def symmetric(key):
        return settings[key] * (2 * torch.rand(()).item() - 1)

    class Slices(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            both = torch.cat([images[index].float() / 255, masks[index].float()])  # (2, S, S)
            if augmented:
                angle, zoom = math.radians(symmetric("rotate_deg")), 1 + symmetric("scale")
                mirror = -1.0 if torch.rand(()).item() < settings["flip"] else 1.0
                cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
                theta = torch.tensor([[mirror * cos, mirror * sin, 2 * symmetric("shift")], [-sin, cos, 2 * symmetric("shift")]])
                grid = functional.affine_grid(theta[None], (1, 2, side, side), align_corners=False)
                both = functional.grid_sample(both[None], grid, align_corners=False)[0]
                tone = (both[:1] - 0.5) * (1 + symmetric("contrast")) + 0.5 + symmetric("brightness")
                both = torch.cat([tone.clamp(0, 1), both[1:]])
            return (both[:1] - settings["mean"]) / settings["std"], both[1:], index % 2

    return Slices()


def peak_mib():
    """VmHWM of this process and those it started, MiB."""
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        process = pathlib.Path("/proc", str(waiting.pop()))
        line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
        total += int(line.split()[1]) / 1024
        for task in (process / "task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    return total


def train(model, loader, settings, epochs, fused):
    """Images/s of the best epoch after the first, which warms up."""
    import torch
    from torch.nn import functional
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]),
                                  eps=settings["eps"], weight_decay=settings["weight_decay"], fused=fused or None)
    best = 0.0
    for epoch in range(epochs):
        started, running = time.perf_counter(), 0.0
        for image, mask, label in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bf16"):
                att_logits, per_logits, attention = (output.float() for output in model(image))
            target = functional.adaptive_avg_pool2d(mask, attention.shape[-2:])
            loss = (functional.cross_entropy(att_logits, label) + functional.cross_entropy(per_logits, label)
                    + settings["gamma"] * functional.mse_loss(attention, target))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()
        if epoch > 0:
            best = max(best, len(loader.dataset) / (time.perf_counter() - started))
    return best


def child(task):
    """One measurement of PyTorch; prints it as JSON."""
    import torch
    from torch.utils.data import DataLoader
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    settings, folder, workers = task["settings"], pathlib.Path(task["folder"]), task["workers"]
    model = network(settings["channels"], 2)
    loader = DataLoader(slices(folder, task["side"], settings, True), settings["batch_size"], shuffle=True,
                        num_workers=workers, persistent_workers=workers > 0)
    found = {"training": train(model, loader, settings, task["epochs"], task["fused"]), "memory": peak_mib()}
    plain = slices(folder, task["side"], settings, False)
    started = time.perf_counter()
    model.eval()
    with torch.inference_mode():
        for image, _, _ in DataLoader(plain, PREDICTION_BATCH, num_workers=workers):
            with torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bf16"):
                att_logits, per_logits, _ = (output.float() for output in model(image))
            per_logits.softmax(-1).tolist(), att_logits.softmax(-1).tolist()
    found["prediction"] = len(plain) / (time.perf_counter() - started)
    print(json.dumps(found))


def theirs(ours, folder, workers, fused):
    task = {key: ours[key] for key in ("side", "threads", "epochs", "settings")}
    task = {**task, "folder": str(folder), "workers": workers, "fused": fused}
    out, _, _ = measured([sys.executable, __file__, "--child", json.dumps(task)], ours["threads"])
    return json.loads(out.splitlines()[-1])


def best(runs):
    """The fastest training and prediction, and the smallest peak."""
    return {"training": max(run["training"] for run in runs), "prediction": max(run["prediction"] for run in runs),
            "memory": min(run["memory"] for run in runs)}


def one(program, flags, threads, precision="f32"):
    return json.loads(measured([program, *flags, "--precision", precision], threads)[0].splitlines()[-1])


def side_by_side(program, flags, runs):
    """`runs` processes of one thread at the same time: images/s and memory of all."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(runs) as pool:
        found = list(pool.map(lambda _: one(program, flags, 1), range(runs)))
    return {key: sum(run[key] for run in found) for key in ("training", "prediction", "memory")}


def compare(program, folder, side, threads, arguments):
    """Rows of the table: name, numbers, and the row they are compared with."""
    more = ["--batches", arguments.batches] if arguments.batches else []
    flags = ["--side", side, "--threads", threads, *more]
    measured([program, *flags, "--write", folder], threads)
    ours, tried, fused, half, their_half, many = [], {workers: [] for workers in WORKERS}, [], [], [], []

    def quickest():
        return max(tried, key=lambda workers: max((run["training"] for run in tried[workers]), default=0.0))

    for turn in range(arguments.repeat):
        ours.append(one(program, flags, threads))
        # The first turn tries every number of workers, the others repeat the fastest.
        for workers in WORKERS if turn == 0 else [quickest()]:
            tried[workers].append(theirs(ours[0], folder, workers, False))
        fused.append(theirs(ours[0], folder, quickest(), True))
        half.append(one(program, flags, threads, "bf16"))
        their_half.append(theirs(half[0], folder, quickest(), True))
        if threads > 1:
            many.append(side_by_side(program, ["--side", side, "--threads", 1, *more], threads))
    workers = quickest()
    plain = best(tried[workers])
    found = [("Chumoku", best(ours), None), (f"PyTorch, workers: {workers}", plain, best(ours)),
             (f"PyTorch, workers: {workers}, fused AdamW", best(fused), best(ours))]
    if many:
        found.append((f"Chumoku, {threads} runs of one thread / PyTorch", best(many), plain))
    return found + [("Chumoku, bf16", best(half), None), ("PyTorch, autocast bf16, fused AdamW", best(their_half), best(half))]


def row(side, threads, name, run, other):
    """One line. Ratios are ours over theirs, whichever of both the line is about."""
    numbers = [f"{run['training']:.1f}", f"{run['prediction']:.1f}", f"{run['memory']:.0f}"]
    ours, theirs_ = (run, other) if name.startswith("Chumoku") else (other, run)
    ratios = [f"{ours[key] / theirs_[key]:.2f}" for key in ("training", "prediction", "memory")] if other else [""] * 3
    return f"| {side} | {threads} | {name} | {' | '.join(numbers + ratios)} |"


def executable():
    """The bench program, built."""
    command = [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--profile", "release", "--workspace", "--bench", "throughput", "--no-run",
               "--message-format", "json"]
    result = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    artifacts = [json.loads(line) for line in result.stdout.splitlines()]
    return next(found["executable"] for found in artifacts
                if found.get("executable") and found["target"]["name"] == "throughput")


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(json.loads(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--batches", type=int, help="batches of an epoch; three epochs are trained")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    program, load = executable(), os.getloadavg()[0]
    lines = ["| side, px | threads | | training, images/s | prediction, images/s | peak memory, MiB | ours / theirs: training | "
             "prediction | memory |",
             "|---|---|---|---|---|---|---|---|---|"]
    for side in arguments.sides:
        for threads in arguments.threads:
            for name, run, other in compare(program, arguments.folder / f"{side}", side, threads, arguments):
                lines.append(row(side, threads, name, run, other))
                print(lines[-1], file=sys.stderr, flush=True)
    from importlib.metadata import version
    text = (f"ABN, batch 16, AdamW, augmented; random slices; torch {version('torch')} against chumoku-train with libtorch "
            f"2.11.0; best of {arguments.repeat}; {hardware()}; load before the first run {load:.1f}.\n\n" + "\n".join(lines))
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
