#!/usr/bin/env python3
"""Times `chumoku-report metrics` beside the same work in Python (numpy, scikit-learn, scipy) on the same predictions.

usage: bench_report.py FOLDER [--program target/release/chumoku-report] [--repeat 2] [--sizes paper million] [--out FILE.md]
FOLDER gets the predictions, made by report_predictions.py. Each measurement is a process of its own, reading of the file included;
both take turns, and of each number the best is taken, since other work on the machine can only add to it.
The Python side is what a competent user writes: the slices' metrics by scikit-learn and the patients' by numpy on one process; the
bootstrap draws patients within class, all 2,000 draws at once as counts, from which every ratio follows by one matrix product, and
the AUC by roc_auc_score with the draw's counts as weights; once more with an AUC of the user's own, which sorts once. Where that would take hours, it runs with fewer resamples, and the time of
a resample, measured apart, is multiplied; the table says so.
Values without chance must be equal to 1e-9. Needs what tools/report_requirements.txt pins.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from measuring import HERE, hardware, measured

RESAMPLES = 2000
EQUAL = 1e-9
# Slices, patients, methods, and the resamples that Python is given time for. The first is the paper's size.
SIZES = {"paper": (13_713, 346, 2, RESAMPLES), "million": (1_000_000, 10_000, 2, 10)}


def ratios(confusion):
    """Ratios of (..., 4) counts TN, FP, FN, TP."""
    import numpy as np
    tn, fp, fn, tp = np.moveaxis(confusion, -1, 0)
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    root = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return {"accuracy": (tp + tn) / (tp + tn + fp + fn), "sensitivity": sensitivity, "specificity": specificity,
            "ppv": tp / (tp + fp), "npv": tn / (tn + fn), "f1": 2 * tp / (2 * tp + fp + fn),
            "balanced_accuracy": (sensitivity + specificity) / 2, "mcc": (tp * tn - fp * fn) / root}


def draws(labels, resamples, rng):
    """(resamples, patients) times that each patient is drawn, within class."""
    import numpy as np
    counts = np.zeros((resamples, labels.size))
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        counts[:, members] = rng.multinomial(members.size, np.full(members.size, 1 / members.size), resamples)
    return counts


def sorted_once(label, p):
    """The weighted AUC (ties one half) as a function of the weights, with the scores sorted beforehand."""
    import numpy as np
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) > 0])
    is_positive = label[order] == 1

    def auc(weights):
        weights = weights[order]
        positive = np.add.reduceat(np.where(is_positive, weights, 0), starts)
        negative = np.add.reduceat(np.where(is_positive, 0, weights), starts)
        below = np.cumsum(negative) - negative / 2
        return (positive * below).sum() / (positive.sum() * negative.sum())
    return auc


def method(label, p, patient, patient_label, counts, own):
    """Values and resamples of one method; `own`: the AUC of resamples by sorted_once."""
    import numpy as np
    from sklearn.metrics import brier_score_loss, roc_auc_score
    cell = 2 * label + (p >= 0.5)
    by_patient = np.stack([np.bincount(patient, cell == kind, patient_label.size) for kind in range(4)], axis=1)
    squares = np.bincount(patient, (p - label) ** 2, patient_label.size)
    slices = np.bincount(patient, minlength=patient_label.size)
    value = {name: float(found) for name, found in ratios(by_patient.sum(axis=0)).items()}
    value |= {"auc": float(roc_auc_score(label, p)), "brier": float(brier_score_loss(label, p))}
    mean = np.bincount(patient, p, patient_label.size) / slices
    right = (mean >= 0.5) == patient_label
    patients = {"accuracy": right.mean(), "sensitivity": right[patient_label == 1].mean(),
                "specificity": right[patient_label == 0].mean(), "auc": roc_auc_score(patient_label, mean)}
    started = time.perf_counter()
    resampled = ratios(counts @ by_patient) | {"brier": counts @ squares / (counts @ slices)}
    weighted = sorted_once(label, p) if own else lambda weights: roc_auc_score(label, p, sample_weight=weights)
    resampled["auc"] = np.array([weighted(draw[patient]) for draw in counts])
    seconds = (time.perf_counter() - started) / len(counts)
    return {"slice": value, "patient": {name: float(found) for name, found in patients.items()}}, resampled, right, seconds


def child(task):
    """The Python side; prints values, intervals and seconds a resample as JSON."""
    import numpy as np
    import pyarrow.parquet
    from scipy.stats import binomtest
    table = pyarrow.parquet.read_table(task["file"], columns=["patient_id", "label", "prob", "method"])
    prob = table["prob"].combine_chunks()
    p = prob.values.to_numpy().astype(float)[1::2]
    names, of = np.unique(table["method"].to_numpy(), return_inverse=True)
    _, patient = np.unique(table["patient_id"].to_numpy(), return_inverse=True)
    label = table["label"].to_numpy().astype(int)
    patient_label = np.zeros(patient.max() + 1, int)
    patient_label[patient] = label
    counts = draws(patient_label, task["resamples"], np.random.default_rng(0))
    results, resampled, right, seconds = {}, {}, {}, 0.0
    for place, name in enumerate(names):
        mine = of == place
        results[name], resampled[name], right[name], each = method(label[mine], p[mine], patient[mine], patient_label, counts,
                                                                       task["own"])
        seconds += each
    def ends(values):
        return [float(end) for end in np.quantile(values, [0.025, 0.975])]
    for name in names:
        results[name]["ends"] = {metric: ends(values) for metric, values in resampled[name].items()}
    a, b = names[:2]
    differences = {metric: ends(resampled[b][metric] - resampled[a][metric]) for metric in resampled[a]}
    only = (int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum()))
    mcnemar = binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
    print(json.dumps({"methods": results, "differences": differences, "mcnemar": float(mcnemar), "each": seconds}))


def ours(program, file, out, threads):
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    _, _, numbers = measured([program, "metrics", file, "--json", out], threads)
    return numbers


def theirs(file, resamples, own):
    task = {"file": str(file), "resamples": resamples, "own": own}
    out, _, numbers = measured([sys.executable, __file__, "--child", json.dumps(task)], 1)
    found = json.loads(out.splitlines()[-1])
    return numbers | {"all": numbers["process"] + (RESAMPLES - resamples) * found["each"], "found": found}


def agreement(ours_, found):
    """Numbers held, the largest difference of values, and of the ends of intervals."""
    values, ends = [], []
    for name, theirs_ in found["methods"].items():
        for level in ("slice", "patient"):
            values += [abs(ours_["methods"][name][level][metric]["value"] - value) for metric, value in theirs_[level].items()]
        for metric, (low, high) in theirs_["ends"].items():
            mine = ours_["methods"][name]["slice"][metric]
            ends += [abs(mine["low"] - low), abs(mine["high"] - high)]
    tests = [entry["p"] for entry in ours_["comparisons"] if (entry["level"], entry["metric"]) == ("patient", "accuracy")]
    values.append(abs(tests[0] - found["mcnemar"]))
    return len(values), max(values), max(ends)


def size(name, arguments, lines, notes):
    """Rows of one size."""
    slices, patients, methods, resamples = SIZES[name]
    file, out = arguments.folder / f"{name}.parquet", arguments.folder / f"{name}.json"
    make = [sys.executable, HERE / "report_predictions.py", file, "--slices", slices, "--patients", patients, "--methods", methods]
    subprocess.run([str(part) for part in make], check=True, stdout=sys.stderr)
    cores = os.cpu_count()
    runs = {threads: [] for threads in sorted({1, cores})}
    python = {own: [] for own in (False, True)}
    for _ in range(arguments.repeat):
        for threads, found in runs.items():
            found.append(ours(arguments.program, file, out, threads))
        for own, found in python.items():
            found.append(theirs(file, resamples, own))
    both = [agreement(json.loads(out.read_text()), found[0]["found"]) for found in python.values()]
    held, furthest, ends = (max(one[part] for one in both) for part in range(3))
    if furthest > EQUAL:
        sys.exit(f"bench_report: {name}: a value differs by {furthest:.2e}, expected at most {EQUAL}")
    best = {own: min(run["all"] for run in found) for own, found in python.items()}
    extrapolated = f", extrapolated from {resamples}" if resamples < RESAMPLES else ""
    what = f"| {slices:,} | {patients:,} |"
    for threads, found in runs.items():
        seconds, memory = min(run["process"] for run in found), min(run["memory"] for run in found)
        lines.append(f"{what} Chumoku, threads: {threads} | {seconds:.2f} | {memory:.0f} | {best[False] / seconds:.1f} | {best[True] / seconds:.1f} |")
    for own, found in python.items():
        name = "Python, AUC sorted once" if own else "Python, roc_auc_score"
        lines.append(f"{what} {name}{extrapolated} | {best[own]:.2f} | {min(run['memory'] for run in found):.0f} | | |")
    notes.append(f"{slices:,} slices: {held} values (metrics of slices and patients, McNemar's p) differ by at most {furthest:.0e}"
                 + (f"; ends of bootstrap intervals, from other draws, by at most {ends:.4f}" if resamples == RESAMPLES else "") + ".")
    print("\n".join(lines[-len(runs) - len(python):]), notes[-1], sep="\n", file=sys.stderr, flush=True)


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(json.loads(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target/release/chumoku-report")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    lines = ["| slices | patients | | wall, s | peak memory, MiB | times as fast as roc_auc_score | as sorted once |",
             "|---|---|---|---|---|---|---|"]
    notes = []
    for name in arguments.sizes:
        size(name, arguments, lines, notes)
    from importlib.metadata import version
    versions = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "numpy", "pyarrow"))
    text = (f"`chumoku-report metrics` beside the same in Python ({versions}), one process: two methods, {RESAMPLES:,} resamples of the "
            f"patients within class, reading of the Parquet file included; best of {arguments.repeat}; {hardware()}; load before the first "
            f"run {load:.1f}. Ours does more: DeLong, Wilson, every text table.\n\n" + "\n".join(lines) + "\n\n" + "\n".join(f"- {note}" for note in notes))
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
