"""The file formats a product can have; what writes them is in `covis_dask.products.writers`."""

__all__ = ["FORMATS", "formats_in"]

FORMATS = ("nc", "zarr", "mat")
"""File formats a product can have."""


def formats_in(basename: str, files: list[str]) -> frozenset[str]:
    """Tell the formats of a product by the names of its files."""
    return frozenset(
        name for name in FORMATS if any(file.split("/")[0] == f"{basename}.{name}" for file in files)
    )
