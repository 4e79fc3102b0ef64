#!/usr/bin/env bash
# A tiny study with `instructions: avx2` on this processor and on emulated ones, without AVX-512 and of two makers: is every Parquet,
# safetensors and CSV file the same bytes? Some minutes. Needs qemu-x86_64 7.2 or newer, the first with AVX2 (Debian: qemu-user).
# usage: other_processor.sh BIN STUDY.yaml [PROCESSOR...]    those that `qemu-x86_64 -cpu help` lists
set -euo pipefail
bin=$1 study=$2
shift 2
[ $# -gt 0 ] || set -- Haswell-v4 EPYC-Rome-v1
command -v qemu-x86_64 >/dev/null || { echo "no program qemu-x86_64: see the head of $0" >&2; exit 6; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What crates/contract/src/instructions.rs holds libtorch by. A program that finds it set does not start again; started again it would
# run on this processor and not on the emulated one.
held=(ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=COMPATIBLE)

stages() { # NAME [LAUNCHER...]
  local folder=$work/$1
  shift
  for stage in phantom preprocess dataset "train --method conventional --fold 0" "train --method proposed --fold 0"; do
    # shellcheck disable=SC2086
    "$@" "$bin"/chumoku-$stage --config "$study" --progress none --set instructions=avx2 --set phantom.patients_per_class=2 \
      --set phantom.slices=3 --set train.batch_size=2 --set paths.data="$folder" --set paths.reports="$folder" >>"$folder.log" 2>&1 ||
      { tail -20 "$folder.log" >&2; exit 1; }
  done
  (cd "$folder" && find . -type f \( -name '*.parquet' -o -name '*.safetensors' -o -name '*.csv' \) -print0 | sort -z | xargs -0 sha256sum) >"$folder.sums"
}

stages here
for processor; do
  stages "$processor" env "${held[@]}" qemu-x86_64 -cpu "$processor" -strace -D "$work/$processor.calls"
  if grep -q 'execve(' "$work/$processor.calls"; then
    echo "a program started another, which was not emulated: \`held\` in $0 is not what the programs set" >&2
    exit 1
  fi
  if ! diff "$work/here.sums" "$work/$processor.sums"; then
    echo "not reproduced: the files above differ between this processor and an emulated $processor" >&2
    exit 1
  fi
  echo "reproduced: $(wc -l <"$work/here.sums") files are the same bytes on this processor and on an emulated $processor"
done
