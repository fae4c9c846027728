"""``python -m covis_dask.simulate.demo`` is what ``make demo`` does."""

import sys

from covis_dask.cli.demo import main

if __name__ == "__main__":
    sys.exit(main())
