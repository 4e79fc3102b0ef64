#!/usr/bin/env bash
# Runs a study in two fresh folders and compares every Parquet, safetensors and CSV file byte for byte.
# usage: reproduce.sh CHUMOKU STUDY.yaml [more arguments of `chumoku run`]
set -euo pipefail
chumoku=$1 study=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for run in a b; do
  "$chumoku" run "$study" --progress plain --set paths.data="$work/$run/data" --set paths.reports="$work/$run/reports" "$@" >"$work/$run.log" 2>&1 ||
    { cat "$work/$run.log" >&2; exit 1; }
  (cd "$work/$run" && find . -type f \( -name '*.parquet' -o -name '*.safetensors' -o -name '*.csv' \) -print0 | sort -z | xargs -0 sha256sum) >"$work/$run.sums"
done
if diff "$work/a.sums" "$work/b.sums"; then
  echo "reproduced: $(wc -l <"$work/a.sums") files are the same bytes in two runs of $study"
else
  echo "not reproduced: the files above differ between two runs of $study" >&2
  exit 1
fi
