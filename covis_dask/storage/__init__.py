"""Where files lie: locations as file systems, the product store, raw hosts of their own kinds, patience."""

from covis_dask.storage.locations import open_location, path_on, sent_instead, storage_errors
from covis_dask.storage.store import Listed, ProductStore, Tagged

__all__ = ["Listed", "ProductStore", "Tagged", "open_location", "path_on", "sent_instead", "storage_errors"]
