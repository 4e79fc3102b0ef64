#!/usr/bin/env python3
"""Fetch the CPU part of libtorch 2.11.0 into a folder (default: .libtorch).

The source is the PyPI wheel of torch 2.11.0, the version that tch 0.24 binds. pip is asked where the wheel
is (so mirrors, proxies and certificates configured for pip are honoured); the download itself is
resumable and checked against the sha256 pinned below. The CUDA kernels are left out: what is unpacked is what
libtorch_cpu.so needs. Python's standard library is all this script uses.

usage: fetch_libtorch.py [DESTINATION]
exit codes: 0 done or already there; 6 could not be fetched (run again: it goes on where it stopped)
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile

VERSION = "2.11.0"
PYTHON_TAG = "3.11"
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"]
WHEELS = {  # requirement -> sha256 of the wheel, as published on PyPI
    f"torch=={VERSION}": "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
    "nvidia-cuda-runtime==13.0.96": "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    "nvidia-cuda-cupti==13.0.85": "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
}
# libtorch_cpu.so names these two CUDA libraries as needed even when no GPU is used.
LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libgomp", "libshm.so", "libcudart.so", "libcupti.so")
STAMP = "build-version"
ATTEMPTS = 4


def fail(message):
    print(f"fetch_libtorch: {message}", file=sys.stderr)
    sys.exit(6)


def locate(requirement):
    """The wheel's address, by pip's resolver."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps",
               "--only-binary=:all:", "--python-version", PYTHON_TAG, "--target", "/nonexistent", "--report", "-"]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    result = subprocess.run(command + [requirement], capture_output=True, text=True)
    if result.returncode != 0:
        fail(f"pip cannot find {requirement}: {result.stderr.strip().splitlines()[-1:] or 'no output'}; "
             "check the network and pip's index settings, or set LIBTORCH to a libtorch 2.11.0 of your own")
    return json.loads(result.stdout)["install"][0]["download_info"]["url"]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def append(url, part):
    """Continue `part` where it ends. Progress goes to stderr about once a second."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            return
        raise
    with response, open(part, "ab") as file:
        if have and response.status != 206:  # the server does not resume: start over
            file.truncate(0)
            have = 0
        total = have + int(response.headers.get("Content-Length", 0))
        shown = time.monotonic()
        while block := response.read(1 << 20):
            file.write(block)
            have += len(block)
            if time.monotonic() - shown > 1:
                shown = time.monotonic()
                print(f"  {have >> 20} of {total >> 20} MiB", file=sys.stderr, flush=True)
        if total and have < total:
            raise ConnectionError(f"the connection closed after {have} of {total} bytes")


def download(requirement, expected, folder):
    name = requirement.replace("==", "-")
    wheel, part = folder / f"{name}.whl", folder / f"{name}.whl.part"
    if wheel.exists() and sha256(wheel) == expected:
        return wheel
    url = locate(requirement)
    print(f"fetch_libtorch: {requirement}", file=sys.stderr, flush=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            append(url, part)
            break
        except OSError as error:
            have = part.stat().st_size >> 20 if part.exists() else 0
            if attempt == ATTEMPTS:
                fail(f"{requirement} stopped at {have} MiB ({error}); run the same command again to go on from there")
            print(f"  {error}; attempt {attempt + 1} of {ATTEMPTS} goes on at {have} MiB", file=sys.stderr)
            time.sleep(2 * attempt)
    found = sha256(part)
    if found != expected:
        part.unlink()
        fail(f"{requirement}: sha256 is {found}, expected {expected}; the file was removed, run again")
    part.rename(wheel)
    return wheel


def wanted(member):
    """Where a member of a wheel goes below the destination, or None."""
    parts = pathlib.PurePosixPath(member).parts
    name = parts[-1]
    if parts[:2] == ("torch", "include"):
        return pathlib.PurePosixPath(*parts[1:])
    if "lib" in parts[:-1] and ".so" in name and name.startswith(LIBRARIES):
        return pathlib.PurePosixPath("lib", name)
    if parts[0].endswith(".dist-info") and name.lower().startswith(("license", "notice")):
        # Whoever passes the libraries on passes these on.
        return pathlib.PurePosixPath("licenses", f"{parts[0].removesuffix('.dist-info')}-{name}")
    return None


def unpack(wheel, destination):
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            target = None if info.is_dir() else wanted(info.filename)
            if target is not None:
                path = destination / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, open(path, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)


def link_stub(lib):
    """A libtorch.so that needs the CPU library alone; the wheel's own would ask for CUDA."""
    subprocess.run(["g++", "-shared", "-o", lib / "libtorch.so", "-Wl,-soname,libtorch.so", "-Wl,--no-as-needed",
                    f"-L{lib}", "-ltorch_cpu", "-Wl,--allow-shlib-undefined", "-Wl,-rpath,$ORIGIN",
                    "-x", "c++", "/dev/null"], check=True)


def main():
    destination = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".libtorch").absolute()
    stamp = destination / STAMP
    if stamp.exists() and stamp.read_text().strip() == VERSION:
        return
    if (sys.platform, os.uname().machine) != ("linux", "x86_64"):
        fail("the pinned wheel is for x86-64 Linux; elsewhere set LIBTORCH to a libtorch 2.11.0 of your own")
    if shutil.which("g++") is None:
        fail("g++ is missing; install a C++ compiler (Debian: apt-get install g++)")
    downloads = destination.with_name(destination.name + ".download")
    fresh = destination.with_name(destination.name + ".new")
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        wheels = [download(requirement, digest, downloads) for requirement, digest in WHEELS.items()]
        shutil.rmtree(fresh, ignore_errors=True)
        for wheel in wheels:
            unpack(wheel, fresh)
        link_stub(fresh / "lib")
        if shutil.which("strip"):
            subprocess.run(["strip", "--strip-unneeded", fresh / "lib" / "libtorch_cpu.so"], check=True)
        (fresh / STAMP).write_text(VERSION + "\n")
        shutil.rmtree(destination, ignore_errors=True)
        fresh.rename(destination)
        shutil.rmtree(downloads)
    except OSError as error:
        fail(f"{error}; free the disk or fix the folder, then run again")
    except subprocess.CalledProcessError as error:
        fail(f"{error}; is the C++ compiler complete (binutils, libstdc++)?")
    print(f"fetch_libtorch: libtorch {VERSION} (CPU) is in {destination}", file=sys.stderr)


if __name__ == "__main__":
    main()
