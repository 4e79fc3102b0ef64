#!/usr/bin/env python3
"""Time and peak memory of each stage of pipelines/scale.yaml at three numbers of patients: how do they grow with the slices?

usage: measure_scale.py FOLDER [--patients 11 43 173] [--set key=value]... [--bin target/release] [--out FILE.md]
FOLDER keeps the studies; what is up to date there is not run again, and its numbers are taken from FOLDER/scale.json.
Trains one epoch of fold 0 of one method, predicts its test slices, and takes the metrics of those predictions.
Needs Python's standard library alone.
"""
import argparse
import json
import os
import pathlib
import time


def stage(command, log):
    """Runs a program; its wall-clock seconds, CPU seconds and peak memory in MiB."""
    started = time.monotonic()
    with open(log, "w") as file:
        pid = os.posix_spawnp(command[0], command, os.environ,
                              file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1),
                                            (os.POSIX_SPAWN_DUP2, file.fileno(), 2)])
        _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed, see {log}")
    return {"seconds": time.monotonic() - started, "cpu": usage.ru_utime + usage.ru_stime,
            "mib": usage.ru_maxrss / 1024}


def measure(binaries, folder, patients, settings):
    """Every stage of a study with `patients` of each class."""
    sets = [f"phantom.patients_per_class={patients}", f"paths.data={folder}/{patients}",
            f"paths.reports={folder}/{patients}/reports", *settings]
    common = ["--config", "pipelines/scale.yaml", "--progress", "none"]
    for pair in sets:
        common += ["--set", pair]
    run = folder / str(patients) / "scale" / "3_runs" / "conventional" / "fold-0" / "seed-0"
    stages = {
        "phantom": ["chumoku-phantom", *common],
        "preprocess": ["chumoku-preprocess", *common],
        "dataset": ["chumoku-dataset", *common],
        "train": ["chumoku-train", *common, "--method", "conventional", "--fold", "0", "--seed", "0"],
        "predict": ["chumoku-train", "predict", "--weights", str(run / "weights.safetensors"), "--threads", "1",
                    "--slices", str(run.parents[3] / "1_masks" / "slices.parquet"), "--out", str(folder / "out.parquet")],
        "report": ["chumoku-report", "metrics", str(run / "predictions.parquet")],
    }
    kept = folder / str(patients) / "scale.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for name, command in stages.items():
        if name not in rows:
            log = folder / f"{patients}-{name}.log"
            rows[name] = stage([str(binaries / command[0]), *command[1:]], log)
            print(patients, name, rows[name], flush=True)
            kept.write_text(json.dumps(rows, indent=1))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[11, 43, 173])
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--out", type=pathlib.Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    folder = given.folder.absolute()
    table = ["| patients | slices read | stage | wall-clock, s | CPU, s | peak memory, MiB |", "|---|---|---|---|---|---|"]
    for patients in given.patients:
        (folder / str(patients)).mkdir(exist_ok=True)
        for name, row in measure(given.bin.absolute(), folder, patients, given.settings).items():
            table.append(f"| {2 * patients} | {2 * patients * 40:,} | {name} | {row['seconds']:.1f} | {row['cpu']:.1f} "
                         f"| {row['mib']:.0f} |")
    text = "\n".join(table) + "\n"
    if given.out:
        given.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
