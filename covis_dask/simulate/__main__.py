"""``python -m covis_dask.simulate`` is ``covis simulate``."""

import sys

from covis_dask.cli.simulate import main

if __name__ == "__main__":
    sys.exit(main())
