"""``python -m covis_dask.cli`` is ``covis``."""

import sys

from covis_dask.cli import main

if __name__ == "__main__":
    sys.exit(main())
