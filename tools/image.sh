#!/usr/bin/env bash
# Builds the image of Containerfile with podman, or with docker where there is no podman, and tries it: the smoke study in a folder of this
# machine, on a read-only root, as whoever calls this (as user 1000, if that is root; a rootless engine makes root of its caller), then once more,
# with nothing to do.
# usage: image.sh [NAME]    (default: chumoku)
# IMAGE_ENGINE: podman or docker. IMAGE_BUILD_ARGS, IMAGE_RUN_ARGS: more arguments of `build` and `run`, split at spaces, such as a proxy's
# certificates (--volume /etc/ssl/certs/ca.pem:/ca.pem --env SSL_CERT_FILE=/ca.pem) or a mirror of the base images.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-chumoku}
engine=${IMAGE_ENGINE:-$(command -v podman || command -v docker || true)}
[ -n "$engine" ] || { echo "neither podman nor docker is on the PATH: install one (Debian: apt-get install podman)" >&2; exit 6; }
read -ra build_args <<<"${IMAGE_BUILD_ARGS:-}"
read -ra run_args <<<"${IMAGE_RUN_ARGS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$engine" build "${build_args[@]}" -f Containerfile -t "$name" .

user=("$(id -u)" "$(id -g)")
if [ "${user[0]}" = 0 ]; then
  user=(1000 1000)
  chown 1000:1000 "$work"
elif "$engine" info 2>/dev/null | grep -E '^ *rootless(: true)?$' >/dev/null; then
  user=(0 0)
fi

try() { # ARGUMENTS of chumoku
  "$engine" run --rm --read-only --user "${user[0]}:${user[1]}" -v "$work:/study" "${run_args[@]}" "$name" "$@" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
}

smoke=(run /opt/chumoku/pipelines/smoke.yaml --progress plain --set preprocess.model=/opt/chumoku/data/models/lung-unet.pt)
try "${smoke[@]}"
try "${smoke[@]}"
grep -q "nothing to do" "$work/log" || { cat "$work/log" >&2; echo "a second run of an unchanged study did work" >&2; exit 1; }
size=$("$engine" image inspect --format '{{.Size}}' "$name")
echo "image $name, $((size / 1000000)) MB: it ran the smoke study, and again with nothing to do"
