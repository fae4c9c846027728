"""Commands that look at what was done, one module each; `covis_dask.cli` finds them by name."""

__all__: list[str] = []
