"""Manifests by a few words, and a store of manifests in memory."""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from covis_dask.products.manifest import FileEntry, Level2, Manifest, Pings
from covis_dask.storage import Tagged

RUN = "p/2014/01/01/APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING"
BASENAME = RUN.rsplit("/", 1)[-1]
_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@dataclass
class MemoryStore:
    """Objects by path; keeps both conditions of `covis_dask.products.commit.ManifestStore`."""

    objects: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def holding(cls, document: Any, run: str = RUN) -> "MemoryStore":
        """Give a store with a document in the place of a run's manifest."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return cls({f"{run}/metadata.json": data})

    def read_tagged(self, path: str) -> Tagged | None:
        data = self.objects.get(path)
        return None if data is None else Tagged(data, hashlib.sha256(data).hexdigest())

    def put_if_absent(self, path: str, data: bytes) -> bool:
        return self._put(path, data, None)

    def put_if_match(self, path: str, data: bytes, tag: str) -> bool:
        return self._put(path, data, tag)

    def _put(self, path: str, data: bytes, tag: str | None) -> bool:
        held = self.read_tagged(path)
        if (None if held is None else held.tag) != tag:
            return False
        self.objects[path] = data
        return True


def manifest(
    fingerprint: str = "a",
    version: str = "1",
    *,
    token: int = 0,
    formats: tuple[str, ...] = ("nc",),
    level2: Level2 | None = None,
) -> Manifest:
    """Make a manifest of a product with one file of each format, and a log."""
    folder = f"v/{fingerprint}-{version}"
    names = [*(f"{BASENAME}.{one}" for one in formats), "output.txt"]
    return Manifest(
        basename=BASENAME,
        engine="native",
        version="1",
        fingerprint=fingerprint,
        preset="END",
        profile="matlab",
        parameters={},
        software={},
        batch="b",
        attempt=1,
        token=token,
        started=_NOW,
        finished=_NOW,
        files=tuple(FileEntry(f"{folder}/{name}", 1, "0" * 64) for name in names),
        pings=Pings(2, 2),
        folder=folder,
        level2=level2,
    )


def second(level1: str = "a", version: str = "1", fingerprint: str = "A", token: int = 0) -> Level2:
    """Make what was derived from a product."""
    folder = f"l2/{fingerprint}-{version}"
    file = FileEntry(f"{folder}/{BASENAME}.l2.nc", 1, "0" * 64)
    return Level2(
        folder=folder, version="1", fingerprint=fingerprint, level1=level1, files=(file,), token=token
    )
