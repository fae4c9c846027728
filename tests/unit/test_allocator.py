"""Memory of runs: used again while one goes on, given back when it has ended."""

import json
import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import json, resource
from covis_dask.runs.memory import reused_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for n in range(1, 41):
        b"%d" % n * 2_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

found = {"before": faults()}
with reused_memory():
    faults()
    found["within"] = faults()
    small = [bytes([n % 256]) * 100_000 for n in range(400)]
    found["full"] = resident()
    del small
found["after"] = resident()
print(json.dumps(found))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told what to keep")
def test_freed_memory_is_used_again_and_given_back() -> None:
    """With the environment of Dask's workers: pages are not fetched anew each time, nor kept for ever."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["within"] < found["before"] / 10
    assert found["full"] - found["after"] > 30_000_000
