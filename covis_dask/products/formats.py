"""The file formats a product can have; what writes them is in `covis_dask.products.writers`."""

__all__ = ["FORMATS", "file_name", "formats_in"]

FORMATS = ("nc", "zarr", "mat")
"""File formats a product can have."""

_ENDINGS = {"zarr": "zarr.zip"}


def file_name(basename: str, form: str) -> str:
    """Return the name of a product's file in a format."""
    return f"{basename}.{_ENDINGS.get(form, form)}"


def formats_in(basename: str, files: list[str]) -> frozenset[str]:
    """Tell the formats of a product by the names of its files."""
    # Before form 2 of the files, a Zarr store was a folder.
    heads = {file.split("/")[0] for file in files}
    return frozenset(name for name in FORMATS if {f"{basename}.{name}", file_name(basename, name)} & heads)
