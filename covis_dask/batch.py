"""``python -m covis_dask.batch``: process the runs that the selection words choose."""

import sys

from covis_dask.cli.batch import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
