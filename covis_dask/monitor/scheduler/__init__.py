"""What the Dask scheduler knows of batches, and what it serves."""

__all__: list[str] = []
