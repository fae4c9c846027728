"""Writes docs/quirks.md: ``python -m tests.quirks > docs/quirks.md``."""

from covis_dask.modes.quirks import page

if __name__ == "__main__":
    print(page(), end="")
