#!/usr/bin/env bash
# Packs the programs with the libtorch they need, the lung model, the studies and the documents into one archive that runs
# from any folder of any x86-64 Linux with glibc 2.36 or later; then unpacks it in an empty folder and runs the smoke study there.
# The same tree and compiler give the same bytes.
# usage: release.sh BIN LIBTORCH OUT
set -euo pipefail
bin=$1 libtorch=$2 out=$3
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=chumoku-$version-x86_64-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -d "$libtorch/licenses" ] || { echo "$libtorch has no folder licenses, which a release must carry: remove it and run make setup" >&2; exit 6; }
mkdir -p "$work/$name"/{bin,lib,data/models} "$out"
cp "$bin"/chumoku "$bin"/chumoku-{phantom,preprocess,dataset,train,report} "$work/$name/bin"
strip "$work/$name"/bin/*
cp "$libtorch"/lib/*.so* "$work/$name/lib"
cp -r "$libtorch/licenses" "$work/$name/lib"
cp data/models/* "$work/$name/data/models"
cp -r pipelines README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$work/$name"
for file in "$out"/sbom-*.json; do
  [ ! -e "$file" ] || cp "$file" "$work/$name"
done
tar -C "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -n -6 >"$out/$name.tar.gz"

mkdir "$work/empty"
tar -C "$work/empty" -xzf "$out/$name.tar.gz"
cd "$work/empty/$name"
env -i PATH=/usr/bin:/bin bin/chumoku-train doctor | grep -q "$PWD/lib" || { echo "the programs do not use the libtorch of their own archive" >&2; exit 1; }
env -i PATH=/usr/bin:/bin HOME="$work" bin/chumoku run pipelines/smoke.yaml --progress none >"$work/smoke.log" 2>&1 || { tail -20 "$work/smoke.log" >&2; exit 1; }
cd - >/dev/null
(cd "$out" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
echo "$out/$name.tar.gz: $(du -h "$out/$name.tar.gz" | cut -f1), unpacked in an empty folder it ran the smoke study"
