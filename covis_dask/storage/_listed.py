"""Entries of a folder in a store, with what the store knows of them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Listed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file or folder in a store.

    Parameters
    ----------
    path : str
        Below the store.
    size : int, optional
        Bytes; None for a folder.
    modified : datetime, optional
        When it was written, UTC, by the store's own clock; None where nobody knows.
    """

    path: str
    size: int | None
    modified: dt.datetime | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @classmethod
    def of(cls, info: Mapping[str, Any], path: str) -> "Listed":
        """Read what an fsspec file system says of an entry."""
        if info["type"] == "directory":
            return cls(path, None, None)
        moment = next((info[key] for key in ("LastModified", "mtime", "created") if info.get(key)), None)
        if isinstance(moment, (int, float)):
            moment = dt.datetime.fromtimestamp(moment, dt.UTC)
        if not isinstance(moment, dt.datetime):
            return cls(path, int(info["size"]), None)
        known = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        return cls(path, int(info["size"]), known)
