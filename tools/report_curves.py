#!/usr/bin/env python3
"""Writes crates/report/tests/curves.json: curves and calibration bins computed by scikit-learn.

    python3 -m venv venv
    venv/bin/pip install numpy==2.4.6 scikit-learn==1.9.1
    venv/bin/python tools/report_curves.py

Every case holds its inputs, so the Rust test needs nothing but this file. Weights stand for a bootstrap resample: how often each item
counts.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

TARGET = Path(__file__).resolve().parent.parent / "crates" / "report" / "tests" / "curves.json"
BINS = 10  # as in crates/report/src/calibration.rs


def case(scores, positive, weights=None):
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    once = np.ones(len(scores), int) if weights is None else np.asarray(weights)
    # Items that count twice are written twice: calibration_curve takes no weights.
    many, truth = np.repeat(scores, once), np.repeat(positive, once)
    fpr, tpr, _ = roc_curve(truth, many, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(truth, many)
    observed, predicted = calibration_curve(truth, many, n_bins=BINS, strategy="uniform")
    return {
        "scores": scores.tolist(), "positive": positive.tolist(), "weights": once.tolist(),
        "fpr": fpr.tolist(), "tpr": tpr.tolist(),
        # scikit-learn goes from the lowest threshold up and ends in a point of its own, (recall 0, precision 1).
        "precision": precision[:-1][::-1].tolist(), "recall": recall[:-1][::-1].tolist(),
        "average_precision": float(average_precision_score(truth, many)),
        "observed": observed.tolist(), "predicted": predicted.tolist(),
    }


def main():
    rng = np.random.default_rng(7)
    truth = rng.random(60) < 0.4
    scores = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.0, 1.0)
    edges = np.arange(BINS + 1) / BINS
    cases = {
        "no_ties": case(scores, truth),
        "ties": case(np.round(scores, 1), truth),
        "weighted": case(np.round(scores, 1), truth, rng.poisson(1.0, 60)),
        "one_score": case(np.full(6, 0.5), [1, 0, 1, 0, 0, 0]),
        "separated": case([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]),
        "reversed": case([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),
        "edges": case(np.concatenate([edges, edges]), np.arange(2 * len(edges)) % 3 == 0),
    }
    TARGET.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
