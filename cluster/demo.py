"""``python -m cluster.demo``: simulate a small archive, put it on the first host, catalogue it, process it.

Words that are not known here go to the batch, such as ``--scheduler tcp://scheduler:8786``.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from catalog.ingest import walk_store
from covis_dask.cli import batch
from covis_dask.config import load_settings
from covis_dask.errors import CovisError
from covis_dask.simulate.archive import write_demo_archive
from covis_dask.storage import open_location

__all__ = ["main"]

_HOST = "COVIS-NAS"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code of its batch."""
    parser = argparse.ArgumentParser(prog="python -m cluster.demo", description=__doc__)
    parser.add_argument("--load-only", action="store_true", help="process nothing")
    arguments, batch_arguments = parser.parse_known_args(argv)
    try:
        _load()
    except CovisError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0 if arguments.load_only else batch.main([*batch_arguments, "--year", "2014"])


def _load() -> None:
    """Store the runs that are not stored yet, and list all of them in the catalogue."""
    settings = load_settings()
    fs, root = open_location(settings.hosts[_HOST])
    with tempfile.TemporaryDirectory(prefix="covis-demo-", dir=settings.scratch) as folder:
        for path in write_demo_archive(folder):
            target = f"{root}/{path.relative_to(folder).as_posix()}"
            if not fs.exists(target):
                fs.put_file(str(path), target)
                print(f"stored {Path(target).name}", flush=True)  # noqa: T201
    with settings.catalog.open() as catalog:
        new, _ = catalog.add_raw(walk_store(fs, root, _HOST).runs)
    print(f"{new} runs are new in the catalogue", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
