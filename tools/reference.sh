#!/usr/bin/env bash
# Runs the reference study in a fresh folder and holds it to what is tracked: the hash of every Parquet, safetensors and CSV file
# (REFERENCE_FOLDER/SHA256SUMS), and the numbers of its report. The study is held to AVX2 (`instructions`), so every file should be the same
# on every x86-64 processor that has it; where one is not, the numbers may still be near, and the verdict says which it is.
# usage: reference.sh BIN STUDY.yaml REFERENCE_FOLDER
# TOLERANCE (default 0.25, as far as another seed goes) is the largest difference of any share, AUC or interval end; with 0 every hash counts
# too. WRITE=1 writes SHA256SUMS and the reference's files instead.
set -euo pipefail
bin=$1 study=$2 reference=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/chumoku" run "$study" --progress plain --set paths.data="$work/data" --set paths.reports="$work/reports" >"$work/log" 2>&1 ||
  { tail -20 "$work/log" >&2; exit 1; }
(cd "$work" && find . -type f \( -name '*.parquet' -o -name '*.safetensors' -o -name '*.csv' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$work/sums"
if [ "${WRITE:-}" = 1 ]; then
  cp "$work/sums" "$reference/SHA256SUMS"
  for file in "$reference"/*; do cp "$work"/reports/*/"$(basename "$file")" "$reference" 2>/dev/null || true; done
  echo "$reference: $(wc -l <"$work/sums") hashes and the files of the report are those of this run"
  exit
fi

all=$(wc -l <"$reference/SHA256SUMS")
same=$(comm -12 <(sort "$reference/SHA256SUMS") <(sort "$work/sums") | wc -l)
echo "$same of $all files are the same bytes as the reference's"
if [ "${TOLERANCE:-}" = 0 ] && ! diff "$reference/SHA256SUMS" "$work/sums"; then
  echo "not reproduced: the files above are not the reference's" >&2
  exit 5
fi
"$bin/chumoku-report" compare "$reference" "$work"/reports/* --tolerance "${TOLERANCE:-0.25}" >"$work/compared" ||
  { cat "$work/compared"; echo "not reproduced: the report of $study is further from $reference than the tolerance" >&2; exit 5; }
tail -1 "$work/compared"
