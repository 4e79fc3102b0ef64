#!/usr/bin/env bash
# Runs a study in two fresh folders and compares every Parquet, safetensors and CSV file byte for byte; then runs it once more
# and expects nothing to do.
# usage: reproduce.sh CHUMOKU STUDY.yaml [more arguments of `chumoku run`]
set -euo pipefail
chumoku=$1 study=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { # FOLDER LOG: prints nothing unless it fails
  "$chumoku" run "$study" --progress plain --set paths.data="$work/$1/data" --set paths.reports="$work/$1/reports" "${@:3}" >"$work/$2" 2>&1 ||
    { cat "$work/$2" >&2; exit 1; }
}

for folder in a b; do
  run "$folder" "$folder.log" "$@"
  (cd "$work/$folder" && find . -type f \( -name '*.parquet' -o -name '*.safetensors' -o -name '*.csv' \) -print0 | sort -z | xargs -0 sha256sum) >"$work/$folder.sums"
done
if ! diff "$work/a.sums" "$work/b.sums"; then
  echo "not reproduced: the files above differ between two runs of $study" >&2
  exit 1
fi
run b again.log "$@"
grep -q "nothing to do" "$work/again.log" || { cat "$work/again.log" >&2; echo "a second run of an unchanged study did work" >&2; exit 1; }
echo "reproduced: $(wc -l <"$work/a.sums") files are the same bytes in two runs of $study, and a third run had nothing to do"
