"""What ``make demo`` does: simulate a small archive of 2014, catalogue it, process it, say where."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from covis_dask.simulate.archive import write_demo_archive

__all__ = ["main"]

_DATA = Path("covis-data")


def _step(*command: str) -> int:
    """Show a command, and run it as a user would."""
    print(f"\n$ python -m {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode  # noqa: S603 (our own)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code of its batch."""
    parser = argparse.ArgumentParser(prog="python -m covis_dask.simulate.demo", description=__doc__)
    parser.add_argument("--full", action="store_true", help="add runs of every mode of the Ashes era, 2019")
    arguments = parser.parse_args(argv)
    raw = _DATA / "raw"
    print(f"simulated raw runs in {raw} (existing ones are kept)", flush=True)
    write_demo_archive(raw, full=arguments.full, log=lambda line: print(f"  {line}", flush=True))
    code = _step("catalog", "import", "--walk", str(raw), "--host", "COVIS-NAS")
    if code == 0:
        years = ["--year", "2014", *(["--year", "2019"] if arguments.full else [])]
        code = _step("covis_dask.batch", *years)
    if code == 0:
        products = _DATA / "products" / "native-matlab"
        reports = sorted(products.glob("batches/*/report.html"))
        print(
            f"\nproducts   {products}/YYYY/MM/DD/RUN"
            "\n           (`covis open RUN`, or in Python covis_dask.open_product('RUN'))"
            f"\nreport     {reports[-1]}"
            "\ndashboard  http://127.0.0.1:8787/covis while a batch runs"
            "\n\nRun it again: nothing is done twice."
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
