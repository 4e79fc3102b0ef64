#!/usr/bin/env python3
"""Counts a study's slices and patients again, from its files alone, and looks for the counts in its report.

    python3 -m venv venv && venv/bin/pip install pyarrow==26.0.1
    venv/bin/python tools/check_flow.py data/phantom reports/phantom
"""

import csv
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq


def number(count, unit):
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def main():
    data, reports = Path(sys.argv[1]), Path(sys.argv[2])
    html = (reports / "report.html").read_text()
    flow = re.sub(r"<[^>]+>", "|", re.search(r'<ol class="flow">.*?</ol>', html, re.S).group(0))
    kept = pq.read_table(data / "1_masks/slices.parquet", columns=["slice_id", "patient_id", "flags"]).to_pylist()
    with open(data / "1_masks/excluded.csv", newline="") as lines:
        excluded = list(csv.DictReader(lines))
    with open(data / "1_masks/qa.csv", newline="") as lines:
        series = list(csv.DictReader(lines))
    masks = [row for row in excluded if row["slice_id"]]
    segmented = len(kept) + len(masks)
    # qa.csv was written from the series themselves: another way to the same numbers.
    assert segmented == sum(int(row["slices"]) for row in series), "slices of qa.csv"
    assert len(kept) == sum(int(row["kept"]) for row in series), "kept of qa.csv"
    flags = Counter(flag for row in kept for flag in row["flags"])
    patients = {row["patient_id"] for row in kept}
    runs = sorted((data / "3_runs").glob("*/fold-*/seed-*"))
    method, seed = runs[0].parts[-3], runs[0].name
    tested = [row for run in sorted((data / "3_runs" / method).glob(f"fold-*/{seed}"))
              for row in pq.read_table(run / "predictions.parquet", columns=["slice_id", "patient_id", "label"]).to_pylist()]
    assert len({row["slice_id"] for row in tested}) == len(tested), "a slice was tested twice"
    by_class = Counter(row["label"] for row in tested)
    wanted = [
        f'{number(segmented, "slice")} of {number(len({row["patient_id"] for row in series if row["series_id"]}), "patient")}',
        f'{number(len(kept), "slice")} of {number(len(patients), "patient")}',
        f'{number(len(tested), "slice")} of {number(len({row["patient_id"] for row in tested}), "patient")}',
        *[f'{reason.replace("_", " ")}: {count}' for reason, count in Counter(row["reason"] for row in excluded if row["reason"] != "no_ct").items()],
        *[f'{flag.replace("_", " ")}: {count}' for flag, count in flags.items()],
        *[f"|{number(count, 'slice')}|" for count in by_class.values()],
    ]
    missing = [text for text in wanted if text not in flow]
    assert not missing, f"not in the flow: {missing}\n{flow}"
    print(f"the flow agrees with the files: {'; '.join(wanted)}")


if __name__ == "__main__":
    main()
