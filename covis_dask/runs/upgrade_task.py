"""What a worker is told of one product that is to be carried over (`covis_dask.runs.upgrading`)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from catalog.model import ProductRecord
from covis_dask.runs.versions import versions_here

__all__ = ["UpgradeTask"]


@dataclass(frozen=True, slots=True)
class UpgradeTask:
    """What a worker needs to know of one product.

    Parameters
    ----------
    basename, store, path, batch : str
        As in `covis_dask.runs.task.RunTask`.
    known : ProductRecord, optional
        What the catalogue has of it.
    bytes_in, attempt, token, store_id, versions
        As there.
    """

    basename: str
    store: str
    path: str
    batch: str
    known: ProductRecord | None = None
    bytes_in: int = 0
    attempt: int = 1
    token: int = 0
    store_id: str | None = None
    versions: Mapping[str, str] = field(default_factory=versions_here)

    label = "upgrade"

    def again(self) -> "UpgradeTask":
        """Return the task of the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def under(self, token: int) -> "UpgradeTask":
        """Return the task as it is under a claim."""
        return replace(self, token=token)

    def record(self, at: dt.datetime) -> ProductRecord | None:
        """Return what the catalogue keeps of a product that was carried over."""
        return None if self.known is None else replace(self.known, token=self.token, at=at)
