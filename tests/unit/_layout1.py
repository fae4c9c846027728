"""A product as the releases before layout 2 have left it: made by their code, kept as it was."""

import tarfile
from pathlib import Path

BASENAME = "APLUWCOVISMBSONAR001_20140305T010012.345Z-DIFFUSE"
WORDS = tuple(
    word
    for number in (0, 1)
    for setting in ("xmin=-8", "xmax=8", "ymin=-8", "ymax=8", "dx=4", "dy=4")
    for word in ("--set", f"grids.{number}.{setting}")
)
"""What ``covis process`` was told, beside the archive of `tests._place.diffuse(1)`."""


def unpack(store: Path) -> Path:
    """Put the product into a store; returns the run's folder."""
    store.mkdir(parents=True, exist_ok=True)
    with tarfile.open(Path(__file__).parent / "data" / "layout1.tar.xz") as archive:
        archive.extractall(store, filter="data")
    return store / BASENAME
