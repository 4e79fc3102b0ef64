#!/usr/bin/env python3
"""Writes a Parquet file of predictions, as large as asked, to time `chumoku-report metrics` with.

    python3 -m venv venv
    venv/bin/pip install numpy==2.4.6 pyarrow==26.0.1
    venv/bin/python tools/report_predictions.py predictions.parquet --slices 13713 --patients 346 --methods 2 --folds 3
    /usr/bin/time -v target/release/chumoku-report metrics predictions.parquet --json metrics.json

The same arguments give the same rows. Two classes: a third of the patients are positive, and the slices of a patient share half
of the variance of their scores. Columns as in 3_runs, without the attention maps; probabilities are f32, as a network's are.
"""

import argparse

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def method_rows(rng, patient, label, method, seed, shared):
    """The rows of one run; `shared` are the patients' own errors, half of which all methods have in common."""
    own = rng.normal(0.0, 1.0, len(shared))
    score = (2.0 * label - 1.0) * (0.7 + 0.1 * method) + 0.5 * (shared + own)[patient] + rng.normal(0.0, 0.7, len(patient))
    positive = (1.0 / (1.0 + np.exp(-score))).astype(np.float32)
    return np.stack([np.float32(1.0) - positive, positive], axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    for name, default in [("slices", 13713), ("patients", 346), ("methods", 2), ("seeds", 1), ("folds", 3), ("seed", 0)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    wanted = parser.parse_args()
    rng = np.random.default_rng(wanted.seed)
    # Every patient has a slice; the rest fall where they fall.
    patient = np.concatenate([np.arange(wanted.patients), rng.integers(0, wanted.patients, wanted.slices - wanted.patients)])
    patient = np.sort(patient)
    label_of = (np.arange(wanted.patients) % 3 == 0).astype(np.int32)
    fold_of = rng.integers(0, wanted.folds, wanted.patients).astype(np.int32)
    shared = rng.normal(0.0, 1.0, wanted.patients)
    slice_ids = pa.array([f"slice-{index:08}" for index in range(wanted.slices)])
    patient_ids = pa.array([f"patient-{index:06}" for index in patient])
    tables = []
    for method in range(wanted.methods):
        name = ["conventional", "proposed"][method] if method < 2 else f"method-{method}"
        for seed in range(wanted.seeds):
            prob = method_rows(rng, patient, label_of[patient], method, seed, shared)
            offsets = pa.array(np.arange(0, prob.size + 1, 2, dtype=np.int32))
            tables.append(pa.table({
                "slice_id": slice_ids,
                "patient_id": patient_ids,
                "label": label_of[patient],
                "method": pa.array([name] * wanted.slices),
                "fold": fold_of[patient],
                "seed": np.full(wanted.slices, seed, dtype=np.int64),
                "prob": pa.ListArray.from_arrays(offsets, pa.array(prob.ravel())),
            }))
    table = pa.concat_tables(tables)
    pq.write_table(table, wanted.target, compression="zstd")
    print(f"{wanted.target}: {table.num_rows} rows")


if __name__ == "__main__":
    main()
