"""``python -m tests.benchmarks._workers CASE COUNT ARCHIVE ROUNDS``: two workers against one.

In runs per hour. The real batch command on the local cluster it makes, with nothing in the environment that
says how many threads to use. Equal runs lie in the archive as links to one file. The pace is counted from the
start of the first run to the end of the last, as the products' manifests have them: what a cluster needs to
come up belongs to no run.
"""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks._child import bare_environment
from tests.benchmarks._runs import CASES

__all__ = ["main"]


def _archive_of(folder: Path, case: str, count: int, archive: Path) -> None:
    """Make a raw archive in which one file is many runs."""
    first = CASES[case].full
    for number in range(count):
        start = first.start + dt.timedelta(minutes=number)
        name = first.basename.replace(f"{first.start:%Y%m%dT%H%M%S}", f"{start:%Y%m%dT%H%M%S}")
        place = folder / "covis-data" / "raw" / f"{start:%Y/%m/%d}" / f"{name}.tar.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(archive, place)
        except OSError:  # another file system
            place.symlink_to(archive)
    _run(folder, "catalog", "import", "--walk", "covis-data/raw", "--host", "COVIS-NAS")


def _run(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=bare_environment() | {"DASK_CONFIG": str(folder / "config")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{words} failed:\n{done.stdout}\n{done.stderr}")


def _pace(folder: Path, workers: int, count: int) -> float:
    """Return runs per hour."""
    products = folder / "covis-data" / "products"
    shutil.rmtree(products / "native-matlab", ignore_errors=True)
    words = ["--year", "2019", "--workers", str(workers), "--force"]
    _run(folder, "covis_dask.batch", *words)
    manifests = [json.loads(path.read_text()) for path in products.rglob("metadata.json")]
    if len(manifests) != count:
        raise SystemExit(f"{len(manifests)} of {count} runs were done")
    starts, ends = (
        [dt.datetime.fromisoformat(manifest[word]) for manifest in manifests]
        for word in ("started", "finished")
    )
    return 3600 * count / (max(ends) - min(starts)).total_seconds()


def main(arguments: list[str]) -> None:
    """Measure in turn, and print one line of JSON."""
    case, count, archive, rounds = arguments
    found: dict[str, Any] = {"case": case, "runs": int(count), "one": [], "two": []}
    with tempfile.TemporaryDirectory() as folder:
        _archive_of(Path(folder), case, int(count), Path(archive))
        for _ in range(int(rounds)):
            for workers, word in ((1, "one"), (2, "two")):
                found[word].append(_pace(Path(folder), workers, int(count)))
    found["ratio"] = max(found["two"]) / max(found["one"])
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
