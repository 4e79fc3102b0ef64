"""What the comparisons of times share: a command measured as a process, the best of several, the machine."""
import os
import pathlib
import platform
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def measured(command, threads):
    """Runs a command; its output, and wall time (s), CPU time (s) and peak memory (MiB) of the process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(HERE)}
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=environment, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {command[0]} ended with {process.returncode}: {err[-2000:]}")
    numbers = {"process": time.perf_counter() - started, "cpu": usage.ru_utime + usage.ru_stime,
               "memory": usage.ru_maxrss / 1024}
    return out, err, numbers


def hardware():
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.processor())
    return f"{name}, {os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB"
