"""Write the archive of simulated runs: ``python -m covis_dask.simulate --output DIR [--full] [--seed N]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from covis_dask.simulate.archive import write_demo_archive

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m covis_dask.simulate",
        description="Write simulated raw runs of COVIS, in the instrument's own format, as "
        "DIR/YYYY/MM/DD/<basename>.tar.gz (one .tar and one .7z among them). Existing runs are kept.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the archive")
    parser.add_argument(
        "--full", action="store_true", help="add one run of every mode of the Ashes era, 2019"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of noise and weather")
    options = parser.parse_args(argv)
    try:
        paths = write_demo_archive(options.output, full=options.full, seed=options.seed, log=print)
    except OSError as error:
        print(f"cannot write to {options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{len(paths)} runs in {options.output}, {sum(p.stat().st_size for p in paths) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
