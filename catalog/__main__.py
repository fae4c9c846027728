"""``python -m catalog``: the door to `catalog.tools.command`."""

import sys

from catalog.tools.command import main

if __name__ == "__main__":
    sys.exit(main())
