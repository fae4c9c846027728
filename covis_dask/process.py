"""``python -m covis_dask.process``: process single archives, without catalogue or cluster."""

import sys

from covis_dask.cli.process import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
