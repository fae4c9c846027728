"""Run cases: ``python -m tests.fuzz [KIND[:SEED] ...] [COUNT]``; of every kind, from 0 on, by default."""

import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.fuzz._archives import check as check_archive
from tests.fuzz._bombs import BOMBS, explode
from tests.fuzz._documents import check_document, check_listing, check_manifest, check_settings

__all__ = ["KINDS", "run"]

KINDS: Mapping[str, Callable[[random.Random, Path], None]] = {
    "archive": check_archive,
    "document": check_document,
    "listing": check_listing,
    "manifest": check_manifest,
    "settings": check_settings,
}
_SLOW = 10.0
_MOST_MEMORY = 1_000_000  # KiB


def run(kind: str, seed: int) -> str | None:
    """Run a case; return what went wrong."""
    start = time.process_time()
    with tempfile.TemporaryDirectory(prefix="covis-fuzz-") as folder:
        try:
            KINDS[kind](random.Random(f"{kind}:{seed}"), Path(folder))
        except Exception:
            return traceback.format_exc()
        left = [path.name for path in Path(folder).iterdir() if path.name.startswith("covis-")]
    if left:
        return f"it left {left} in scratch\n"
    seconds = time.process_time() - start
    return f"it took {seconds:.1f} s\n" if seconds > _SLOW else None


def main(words: list[str]) -> int:
    """Run the cases that the words mean; print those that fail, and the sum."""
    warnings.simplefilter("ignore")  # of packers that are told to pack what no packer should
    count = int(words.pop()) if words and words[-1].isdigit() else 100
    failed, done = 0, 0
    if "bombs" in words:
        return _bombs()
    for word in words or list(KINDS):
        kind, _, seed = word.partition(":")
        for number in [int(seed)] if seed else range(count):
            done += 1
            if (fault := run(kind, number)) is not None:
                failed += 1
                print(f"{kind} {number}\n{fault}")
    return _summed(done, failed)


def _bombs() -> int:
    """Read every bomb; print those that fail, and the memory all of it took."""
    failed = 0
    for name in BOMBS:
        with tempfile.TemporaryDirectory(prefix="covis-fuzz-") as folder:
            start, fault = time.monotonic(), _explode(name, Path(folder))
        print(f"{time.monotonic() - start:5.1f} s  {name}")
        if fault is not None:
            failed += 1
            print(fault)
    return _summed(len(BOMBS), failed)


def _explode(name: str, folder: Path) -> str | None:
    try:
        return explode(name, folder)
    except Exception:
        return traceback.format_exc()


def _most_memory() -> int:
    """Return the most memory this program has had, kB; getrusage would count that of whoever started it."""
    with suppress(OSError), Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _summed(done: int, failed: int) -> int:
    memory = _most_memory()
    print(f"{done} cases, {failed} failed, {memory >> 10} MiB of memory at most")
    return int(failed > 0 or memory > _MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
