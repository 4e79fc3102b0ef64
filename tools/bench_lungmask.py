#!/usr/bin/env python3
"""Times lungmask 0.2.22 (Python) and chumoku-preprocess on the same volume with the same weights and threads.

usage: bench_lungmask.py FOLDER [--weights W.pth] [--volume CT.nii] [--threads 1 2] [--repeat 3] [--size 512] [--slices 60]
                         [--minutes 3] [--bin target/release] [--out FILE.md]
FOLDER keeps what is made once: a phantom volume, and weights of R231's size (without --weights: lungmask_train.py, --minutes
minutes). Each repetition runs one after the other, from reading the NIfTI to writing the mask; of each number the best is
taken, since other work on the machine can only add to it. CPU seconds (user and system, of the whole process) suffer
least from such work.
Needs what tools/lungmask_requirements.txt pins.
"""
import argparse
import hashlib
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import time

from measuring import HERE, hardware, measured

# What is printed: row, key, the largest ratio that counts as good.
ROWS = [("whole job, process to process, s", "process", 1.0), ("whole job without imports, s", "whole", 1.0),
        ("network: loading it, s", "model", None), ("network: forward passes, s", "network", None),
        ("everything but the network, s", "rest", 0.2),
        ("- reading, s", "read", None), ("- body crop and resizing, s", "prepare", None),
        ("- clean-up and way back, s", "clean", None), ("- writing, s", "write", None),
        ("CPU time of the process, s", "cpu", 1.0), ("peak memory, MiB", "memory", 0.5)]


def child(weights, volume, mask, threads):
    """lungmask in a process of its own; prints the seconds of each part."""
    spent = {}

    def timed(name, work):
        def run(*arguments, **named):
            started = time.perf_counter()
            result = work(*arguments, **named)
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started
            return result
        return run

    import SimpleITK as sitk
    import torch
    from lungmask import utils
    import lungmask_parity
    logging.disable(logging.INFO)
    torch.set_num_threads(threads)
    started = time.perf_counter()
    inferer = timed("model", lungmask_parity.inferer)(weights)
    image = timed("read", utils.load_input_image)(volume)
    inferer.model.forward = timed("network", inferer.model.forward)
    utils.preprocess = timed("prepare", utils.preprocess)
    utils.postprocessing = timed("clean", utils.postprocessing)
    utils.reshape_mask = timed("clean", utils.reshape_mask)
    result = sitk.GetImageFromArray(inferer.apply(image))
    result.CopyInformation(image)
    timed("write", sitk.WriteImage)(result, mask)
    spent["whole"] = time.perf_counter() - started
    # Not the sum of the parts: what lies between them belongs to the job.
    spent["rest"] = spent["whole"] - spent["network"] - spent["model"]
    print(json.dumps(spent))


def theirs(weights, volume, mask, threads):
    out, _, numbers = measured([sys.executable, __file__, "--child", weights, volume, mask, threads], threads)
    return {**numbers, **json.loads(out.splitlines()[-1])}


def ours(program, model, volume, mask, threads):
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    _, err, numbers = measured([program, "segment", volume, mask, "--model", model, "--model-sha256", digest,
                                f"--threads={threads}", "--progress=none", "--timing"], threads)
    line = next((line for line in err.splitlines() if line.startswith("timing, s:")), None)
    if line is None:
        sys.exit(f"bench_lungmask: {program} printed no timing")
    parts = {name: float(value) for name, value in re.findall(r"(\w+) ([\d.]+)", line.split(":", 1)[1])}
    # Parts overlap here, so the time that each was busy counts, also where it cost nobody a wait.
    parts["rest"] = sum(parts[name] for name in ("read", "prepare", "clean", "write"))
    return {**numbers, **parts}


def best(runs):
    return {name: min(run[name] for run in runs) for name in runs[0]}


def study(folder, binaries, name, **phantom):
    """A phantom study's raw folder, made once."""
    config = folder / f"{name}.yaml"
    settings = ", ".join(f"{key}: {value}" for key, value in phantom.items())
    config.write_text(f"study: {name}\npaths: {{data: {folder}, reports: {folder}}}\n"
                      f"phantom: {{enabled: true, {settings}}}\n")
    subprocess.run([binaries / "chumoku-phantom", "--config", config], check=True)
    return folder / name / "0_raw"


def prepare(arguments):
    """Volume, weights and model, made where they are not given."""
    import SimpleITK as sitk
    import lungmask_parity
    folder, volume, weights = arguments.folder.resolve(), arguments.volume, arguments.weights
    folder.mkdir(parents=True, exist_ok=True)
    if volume is None:
        raw = study(folder, arguments.bin, "bench", patients_per_class=1, slices=arguments.slices, size=arguments.size,
                    seed=303)
        volume = folder / f"ct-{arguments.size}x{arguments.size}x{arguments.slices}.nii"
        sitk.WriteImage(lungmask_parity.series(raw / "PH-0001" / "CT-1"), str(volume))
    if weights is None:
        weights = folder / "weights-wide.pth"
        if not weights.exists():
            raw = study(folder, arguments.bin, "bench-train", patients_per_class=40, slices=8, size=256, seed=101)
            subprocess.run([sys.executable, HERE / "lungmask_train.py", raw, folder / "weights.pth", "--minutes",
                            str(arguments.minutes), "--widen", "6"], check=True)
    model = folder / "model.pt"
    subprocess.run([sys.executable, HERE / "export_lungmask.py", weights, model], check=True, stdout=subprocess.DEVNULL)
    return volume, weights, model


def table(threads, python, rust):
    lines = [f"| {threads} thread{'s' if threads > 1 else ''} | lungmask | Chumoku | ratio | goal |", "|---|---|---|---|---|"]
    for title, key, goal in ROWS:
        ratio = rust[key] / python[key]
        wanted = "" if goal is None else f"at most {goal:g}" + ("" if ratio <= goal else " (missed)")
        lines.append(f"| {title} | {python[key]:.2f} | {rust[key]:.2f} | {ratio:.2f} | {wanted} |")
    return "\n".join(lines)


def equal(folder):
    """The share of equal voxels of the two masks that the last runs wrote."""
    import SimpleITK as sitk
    one, other = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name))) for name in ("theirs.nii", "ours.nii"))
    return (one == other).mean(), int((one > 0).sum())


def bench(arguments):
    volume, weights, model = prepare(arguments)
    import torch
    from lungmask_parity import sitk
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(volume))
    reader.ReadImageInformation()
    size, load = "x".join(map(str, reader.GetSize())), os.getloadavg()[0]
    text = [f"lungmask 0.2.22 with torch {torch.__version__} against chumoku-preprocess; volume {size}; best of "
            f"{arguments.repeat}; {hardware()}; load before the first run {load:.1f}."]
    program = arguments.bin / "chumoku-preprocess"
    for threads in arguments.threads:
        rounds = [(theirs(weights, volume, arguments.folder / "theirs.nii", threads),
                   ours(program, model, volume, arguments.folder / "ours.nii", threads)) for _ in range(arguments.repeat)]
        text.append(table(threads, best([one for one, _ in rounds]), best([other for _, other in rounds])))
    share, lung = equal(arguments.folder)
    text.append(f"Masks: {share:.6%} of the voxels are equal; {lung} voxels are lung.")
    print("\n\n".join(text))
    if arguments.out:
        arguments.out.write_text("\n\n".join(text) + "\n")


def main():
    if sys.argv[1:2] == ["--child"]:
        weights, volume, mask, threads = sys.argv[2:]
        return child(weights, volume, mask, int(threads))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--weights", type=pathlib.Path, help="state dict of lungmask's network")
    parser.add_argument("--volume", type=pathlib.Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--out", type=pathlib.Path)
    bench(parser.parse_args())


if __name__ == "__main__":
    main()
