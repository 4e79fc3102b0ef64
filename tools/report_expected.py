#!/usr/bin/env python3
"""Writes crates/report/tests/expected.json: metrics and tests computed by other people's code.

    python3 -m venv venv
    venv/bin/pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 statsmodels==0.15.0 pauc==0.2.2
    venv/bin/python tools/report_expected.py

Every case holds its inputs, so the Rust test needs nothing but this file. Scores are rounded to two decimals to make ties.
"""

import json
from pathlib import Path

import numpy as np
import pauc
from scipy.stats import binomtest, norm, rankdata
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

TARGET = Path(__file__).resolve().parent.parent / "crates" / "report" / "tests" / "expected.json"


def patients_and_slices(rng, patients, slices, classes):
    """Patient of each slice and class of each patient, every class present."""
    label_of = np.concatenate([np.arange(classes), rng.integers(0, classes, patients - classes)])
    patient = np.concatenate([np.arange(patients), rng.integers(0, patients, slices - patients)])
    return np.sort(patient), label_of


def probabilities(rng, patient, label_of, classes, strength):
    """Two-decimal distributions whose error is shared by the slices of a patient."""
    shared = rng.normal(0.0, 1.0, (len(label_of), classes))
    logits = shared[patient] + rng.normal(0.0, 0.7, (len(patient), classes))
    logits[np.arange(len(patient)), label_of[patient]] += strength
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    prob = np.round(prob, 2)
    # The first class takes what rounding left, and scores stay multiples of 0.01.
    prob[:, 0] = np.round(1.0 - prob[:, 1:].sum(axis=1), 2)
    return np.clip(prob, 0.0, 1.0)


def decisions(prob, positive):
    """Largest probability; a tie goes to the positive class, else to the smaller label."""
    order = [positive] + [k for k in range(prob.shape[1]) if k != positive]
    return np.array(order)[np.argmax(prob[:, order], axis=1)]


def calibration_error(truth, probability, bins=10):
    """Expected calibration error from scikit-learn's curve, which leaves empty bins out; its counts with its own edges."""
    share, mean = calibration_curve(truth, probability, n_bins=bins, strategy="uniform")
    counts = np.bincount(np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], probability), minlength=bins)
    return float((counts[counts > 0] / len(truth) * np.abs(share - mean)).sum())


def slice_metrics(label, prob, positive):
    called = decisions(prob, positive)
    truth, hit = label == positive, called == positive
    binary = prob.shape[1] == 2
    one_hot = np.eye(prob.shape[1])[label]
    out = {
        "accuracy": metrics.accuracy_score(label, called),
        "sensitivity": metrics.recall_score(truth, hit),
        "specificity": metrics.recall_score(~truth, ~hit),
        "auc": metrics.roc_auc_score(truth, prob[:, positive]),
        "ppv": metrics.precision_score(truth, hit),
        "npv": metrics.precision_score(~truth, ~hit),
        "f1": metrics.f1_score(truth, hit),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, called),
        "mcc": metrics.matthews_corrcoef(label, called),
        "brier": metrics.brier_score_loss(truth, prob[:, positive]) if binary
        else metrics.brier_score_loss(label, prob, labels=list(range(prob.shape[1])), scale_by_half=False),
        "ece": calibration_error(truth, prob[:, positive]) if binary
        else np.mean([calibration_error(label == k, prob[:, k]) for k in range(prob.shape[1])]),
    }
    assert binary or abs(out["brier"] - ((prob - one_hot) ** 2).sum(axis=1).mean()) < 1e-12
    assert abs(out["balanced_accuracy"] - metrics.recall_score(label, called, average="macro")) < 1e-12
    if not binary:
        each = [metrics.roc_auc_score(label == k, prob[:, k]) for k in range(prob.shape[1])]
        out["auc_macro"] = metrics.roc_auc_score(label, prob, multi_class="ovr", average="macro")
        assert abs(out["auc_macro"] - np.mean(each)) < 1e-9
    return {name: float(value) for name, value in out.items()}


def patient_scores(patient, label_of, prob, positive, rule):
    """(patients, K): mean softmax; softmax of the most positive slice, ties by the other classes; share of the slices' decisions."""
    called = decisions(prob, positive)
    of = {
        "mean": lambda mine: prob[mine].mean(axis=0),
        "max": lambda mine: max(prob[mine].tolist(), key=lambda row: (row[positive], *row)),
        "share": lambda mine: np.bincount(called[mine], minlength=prob.shape[1]) / mine.sum(),
    }[rule]
    # To 12 decimals, so that equal means tie whatever the order of the sum.
    return np.round([of(patient == p) for p in range(len(label_of))], 12)


def patient_metrics(label_of, score, positive):
    called = decisions(score, positive)
    truth, hit = label_of == positive, called == positive
    return {
        "accuracy": [int((called == label_of).sum()), len(label_of)],
        "sensitivity": [int((truth & hit).sum()), int(truth.sum())],
        "specificity": [int((~truth & ~hit).sum()), int((~truth).sum())],
    }


def obuchowski(patient, truth, scores):
    """AUCs, their covariance, and z and p of second minus first: Obuchowski 1997, pair by pair, with all three of its terms."""
    clusters = np.unique(patient)
    m, n = truth.sum(), (~truth).sum()
    sums, sizes, auc = [], [], []
    for score in scores:
        kernel = (score[truth][:, None] > score[~truth][None, :]) + 0.5 * (score[truth][:, None] == score[~truth][None, :])
        auc.append(float(kernel.mean()))
        v10, v01 = kernel.mean(axis=1), kernel.mean(axis=0)
        of_cases = np.array([v10[patient[truth] == c].sum() - auc[-1] * (patient[truth] == c).sum() for c in clusters])
        of_controls = np.array([v01[patient[~truth] == c].sum() - auc[-1] * (patient[~truth] == c).sum() for c in clusters])
        sums.append((of_cases, of_controls))
    i10, i01, i = len(np.unique(patient[truth])), len(np.unique(patient[~truth])), len(clusters)
    covariance = np.empty((len(scores), len(scores)))
    for a, (cases_a, controls_a) in enumerate(sums):
        for b, (cases_b, controls_b) in enumerate(sums):
            s10 = i10 / ((i10 - 1) * m) * (cases_a * cases_b).sum()
            s01 = i01 / ((i01 - 1) * n) * (controls_a * controls_b).sum()
            s11 = i / (i - 1) * np.array([(cases_a * controls_b).sum(), (cases_b * controls_a).sum()])
            assert abs(s11).max() < 1e-12, "a patient has slices of one class only"
            covariance[a, b] = s10 / m + s01 / n + s11.sum() / (m * n)
    z = (auc[1] - auc[0]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return {"auc": auc, "covariance": covariance.ravel().tolist(), "p": float(2 * norm.sf(abs(z)))}


def cluster_bootstrap(rng, patient, label_of, prob, positive, resamples=20_000):
    """Percentile intervals with patients drawn within class; AUC from scikit-learn's ranks with integer weights."""
    truth = label_of[patient] == positive
    score, hit = prob[:, positive], decisions(prob, positive) == positive
    greater = (score[truth][:, None] > score[~truth][None, :]) + 0.5 * (score[truth][:, None] == score[~truth][None, :])
    groups = [np.flatnonzero(label_of == k) for k in np.unique(label_of)]
    sensitivity, auc, ece, brier = [], [], [], []
    bins = np.searchsorted(np.linspace(0.0, 1.0, 11)[1:-1], score)
    for _ in range(resamples):
        weight = np.zeros(len(label_of))
        for group in groups:
            np.add.at(weight, rng.choice(group, len(group)), 1)
        w = weight[patient]
        sensitivity.append((w * (truth & hit)).sum() / (w * truth).sum())
        gaps = np.bincount(bins, w * truth, 10) - np.bincount(bins, w * score, 10)
        ece.append(np.abs(gaps).sum() / w.sum())
        brier.append((w * (truth - score) ** 2).sum() / w.sum())
        pairs = w[truth][:, None] * w[~truth][None, :]
        auc.append((pairs * greater).sum() / pairs.sum())
    all_of = {"sensitivity": sensitivity, "auc": auc, "ece": ece, "brier": brier}
    return {name: np.quantile(values, [0.025, 0.975]).tolist() for name, values in all_of.items()}


def study(rng, patients, slices, classes, positive, decimals=2):
    patient, label_of = patients_and_slices(rng, patients, slices, classes)
    case = {"classes": classes, "positive": positive, "patient": patient.tolist(), "label_of": label_of.tolist(), "methods": []}
    for strength in (1.0, 1.4):
        prob = probabilities(rng, patient, label_of, classes, strength)
        if decimals < 2:
            prob[:, 1] = np.round(prob[:, 1], decimals)
            prob[:, 0] = np.round(1.0 - prob[:, 1], decimals)
        scores = {rule: patient_scores(patient, label_of, prob, positive, rule) for rule in ("mean", "max", "share")}
        mean = scores["mean"]
        method = {"prob": prob.tolist(), "slice": slice_metrics(label_of[patient], prob, positive),
                  "patient": patient_metrics(label_of, mean, positive)}
        method["rules"] = {
            rule: {**patient_metrics(label_of, score, positive),
                   "auc": float(metrics.roc_auc_score(label_of == positive, score[:, positive]))} for rule, score in scores.items()}
        if classes == 2:
            method["bootstrap"] = cluster_bootstrap(rng, patient, label_of, prob, positive)
        method["confusion"] = metrics.confusion_matrix(label_of[patient], decisions(prob, positive)).tolist()
        method["patient_confusion"] = metrics.confusion_matrix(label_of, decisions(mean, positive)).tolist()
        if classes > 2:
            by_class = [(label_of[patient], prob), (label_of, mean)]
            method["auc_by_class"], method["patient_auc_by_class"] = [
                [float(metrics.roc_auc_score(label == k, score[:, k])) for k in range(classes)] for label, score in by_class]
        method["patient_auc"] = float(metrics.roc_auc_score(label_of == positive, mean[:, positive]))
        case["methods"].append(method)
    truth = label_of[patient] == positive
    case["clustered"] = obuchowski(patient, truth, [np.array(method["prob"])[:, positive] for method in case["methods"]])
    return case


def second_set(rng, patients, resamples=20_000):
    """Two methods on two sets of slices of the same patients, and a measure with gaps on the slices of the first set.

    Falls are first minus second set; differences are method b minus a. Patients are drawn within class, the same ones for
    everything in a resample, so that all intervals are paired.
    """
    positive, label_of = 1, np.concatenate([np.arange(2), rng.integers(0, 2, patients - 2)])
    sets = [np.sort(np.concatenate([np.arange(patients), rng.integers(0, patients, n - patients)])) for n in (140, 125)]
    probs = [[probabilities(rng, patient, label_of, 2, strength) for patient in sets] for strength in (1.6, 0.8)]
    measure = [np.round(rng.beta(2, 3, len(sets[0])) + 0.05 * m + 0.1 * rng.normal(0, 1, patients)[sets[0]], 3) for m in (0, 1)]
    for values in measure:
        values[rng.random(len(values)) < 0.2] = np.nan

    def once(weight, patient, prob):
        """AUC and accuracy of slices, accuracy of patients, by scikit-learn."""
        w, truth = weight[patient], label_of[patient] == positive
        mean = np.array([prob[patient == p].mean(axis=0) for p in range(patients)])
        return [
            metrics.roc_auc_score(truth[w > 0], prob[w > 0, positive], sample_weight=w[w > 0]),
            metrics.accuracy_score(label_of[patient], decisions(prob, positive), sample_weight=w),
            metrics.accuracy_score(label_of, decisions(mean, positive), sample_weight=weight),
        ]

    def prepared(patient, prob):
        """The same as a function of the weights, with everything that they do not change worked out before."""
        truth, score = label_of[patient] == positive, prob[:, positive]
        kernel = (score[truth][:, None] > score[~truth][None, :]) + 0.5 * (score[truth][:, None] == score[~truth][None, :])
        hit = decisions(prob, positive) == label_of[patient]
        mean = np.array([prob[patient == p].mean(axis=0) for p in range(patients)])
        right = decisions(mean, positive) == label_of
        def of(weight):
            w = weight[patient]
            auc = w[truth] @ kernel @ w[~truth] / (w[truth].sum() * w[~truth].sum())
            return [auc, w @ hit / w.sum(), weight @ right / weight.sum()]
        return of

    fast = [[prepared(patient, prob) for patient, prob in zip(sets, both)] for both in probs]

    def statistics(weight, of):
        rows = []
        for method, values in enumerate(measure):
            standard, reversed_ = [np.array(of(weight, method, which)) for which in (0, 1)]
            there, w = ~np.isnan(values), weight[sets[0]]
            rows.append([*standard, *reversed_, *(standard - reversed_), np.average(values[there], weights=w[there])])
        a, b = np.array(rows)
        return np.array([a, b, b - a])

    names = ["auc", "accuracy", "patient_accuracy", "reversed_auc", "reversed_accuracy", "reversed_patient_accuracy",
             "fall_auc", "fall_accuracy", "fall_patient_accuracy", "measure"]
    by_sklearn = lambda weight, method, which: once(weight, sets[which], probs[method][which])
    by_kernel = lambda weight, method, which: fast[method][which](weight)
    groups = [np.flatnonzero(label_of == k) for k in (0, 1)]
    draws = []
    for index in range(resamples):
        weight = np.zeros(patients)
        for group in groups:
            np.add.at(weight, rng.choice(group, len(group)), 1)
        draws.append(statistics(weight, by_kernel))
        assert index >= 50 or np.allclose(draws[-1], statistics(weight, by_sklearn), atol=1e-12)
    point = statistics(np.ones(patients), by_sklearn)
    ends = np.quantile(np.array(draws), [0.025, 0.975], axis=0)
    entry = lambda row: {name: [point[row, i], ends[0][row, i], ends[1][row, i]] for i, name in enumerate(names)}
    clean = lambda values: [None if np.isnan(value) else float(value) for value in values]
    return {"label_of": label_of.tolist(), "sets": [patient.tolist() for patient in sets],
            "methods": [{"prob": [prob.tolist() for prob in both], "measure": clean(values)} for both, values in zip(probs, measure)],
            "a": entry(0), "b": entry(1), "difference": entry(2)}


def delong(rng, patients, ties):
    truth = np.concatenate([[0, 0, 1, 1], rng.integers(0, 2, patients - 4)])
    scores = [np.round(truth * strength + rng.normal(0, 1, patients), 1 if ties else 9) for strength in (0.8, 1.3)]
    curves = [pauc.ROC(truth, score, direction="<") for score in scores]
    test = pauc.compare(curves[0], curves[1], method="delong", paired=True)
    # The definition itself, pair by pair, as a second opinion: it must agree with pauc before anything is written.
    placements = []
    for score in scores:
        kernel = (score[truth == 1][:, None] > score[truth == 0][None, :]) + 0.5 * (
            score[truth == 1][:, None] == score[truth == 0][None, :])
        placements.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    auc = [float(case.mean()) for case, _ in placements]
    covariance = np.cov([c for c, _ in placements]) / (truth == 1).sum() + np.cov([c for _, c in placements]) / (truth == 0).sum()
    deviate = (auc[1] - auc[0]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    p = float(2 * norm.sf(abs(deviate)))
    theirs = float(test["p_value"] if isinstance(test, dict) else getattr(test, "p_value", getattr(test, "pvalue", np.nan)))
    assert abs(theirs - p) < 1e-9, (test, p)
    assert all(abs(pauc.var(curve, method="delong") - covariance[i, i]) < 1e-9 for i, curve in enumerate(curves))
    return {"truth": truth.tolist(), "scores": [s.tolist() for s in scores], "auc": auc, "covariance": covariance.ravel().tolist(), "p": p}


def main():
    rng = np.random.default_rng(20260701)
    fractions = [(0, 10), (10, 10), (1, 3), (299, 346), (115, 119), (184, 227), (7, 1000)]
    tables = [(0, 0), (1, 4), (5, 5), (10, 25), (0, 6), (33, 21), (60, 100)]
    ranks = np.round(rng.normal(0, 1, 25), 1)
    values = rng.normal(0, 1, 41)
    expected = {
        "binary": study(rng, 24, 150, 2, 1),
        "binary_swapped": study(rng, 24, 150, 2, 0),
        "three_classes": study(rng, 30, 200, 3, 1),
        "wilson": [
            {"correct": c, "total": n, "confidence": level, "ends": list(map(float, proportion_confint(c, n, 1 - level, "wilson")))}
            for c, n in fractions for level in (0.9, 0.95, 0.99)
        ],
        "mcnemar": [
            {"first": b, "second": c, "p": float(mcnemar([[7, b], [c, 9]], exact=True).pvalue) if b + c else 1.0} for b, c in tables
        ],
        "delong": [delong(rng, 60, True), delong(rng, 45, False), delong(rng, 346, True)],
        "holm": [
            {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}
            for p in ([0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.9], [0.04], [0.001, 0.5, 0.02, 0.02, 0.013, 0.3, 0.001, 0.07, 0.6, 0.9, 0.011])
        ],
        "midranks": {"values": ranks.tolist(), "ranks": rankdata(ranks).tolist()},
        "quantiles": {"values": values.tolist(), "at": [0.0, 0.025, 0.3, 0.975, 1.0],
                      "expected": np.quantile(values, [0.0, 0.025, 0.3, 0.975, 1.0]).tolist()},
    }
    # A generator of its own, so that the cases above keep their numbers.
    expected["second_set"] = second_set(np.random.default_rng(20260702), 26)
    # One decimal: most scores tie, many are one half, and many lie on the edge of a bin.
    expected["tied"] = study(np.random.default_rng(20260703), 20, 120, 2, 1, decimals=1)
    for row in expected["mcnemar"]:
        if row["first"] + row["second"]:
            scipy_p = binomtest(row["first"], row["first"] + row["second"], 0.5).pvalue
            assert abs(scipy_p - row["p"]) < 1e-12, row
    TARGET.write_text(json.dumps(expected) + "\n")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
