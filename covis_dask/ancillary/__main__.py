"""``python -m covis_dask.ancillary`` is ``covis ancillary``."""

import sys

from covis_dask.cli.ancillary import main

if __name__ == "__main__":
    sys.exit(main())
