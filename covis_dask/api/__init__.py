"""What ``import covis_dask`` gives: single archives (`archives`), and batches of them (`batches`).

Nothing is imported here, so that a name costs what it needs and no more; see `covis_dask` for the names.
"""

__all__ = ["archives", "batches", "handle", "keywords"]
