"""What ``import covis_dask`` gives: single archives (`archives`), batches (`batches`), files (`files`).

Nothing is imported here, so that a name costs what it needs and no more; see `covis_dask` for the names.
"""

__all__ = ["archives", "batches", "files", "handle", "keywords"]
