#!/usr/bin/env bash
# Runs the reference study in a fresh folder and holds its report to the tracked one. On the machine of the reference every number is
# the same; a processor with other instructions trains networks that differ as those of another seed do, hence the tolerance
# (reports/reference/README.md says what was seen).
# usage: reference.sh BIN STUDY.yaml REFERENCE_FOLDER
# TOLERANCE (default 0.25; 0 on the machine of the reference) is the largest difference of any share, AUC or interval end.
set -euo pipefail
bin=$1 study=$2 reference=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/chumoku" run "$study" --progress plain --set paths.data="$work/data" --set paths.reports="$work/reports" >"$work/log" 2>&1 ||
  { tail -20 "$work/log" >&2; exit 1; }
"$bin/chumoku-report" compare "$reference" "$work"/reports/* --tolerance "${TOLERANCE:-0.25}" >"$work/compared" ||
  { cat "$work/compared"; echo "not reproduced: the report of $study is further from $reference than the tolerance" >&2; exit 5; }
tail -1 "$work/compared"
