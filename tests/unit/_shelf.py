"""A catalogue and a product store with the products of some runs in it, made without raw data."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dask.config

from catalog.model import Batch, ProductRecord, RawFile, Run
from catalog.names import archive_path, parse_basename
from catalog.store import Catalog
from covis_dask.batches.history import History
from covis_dask.config import Location
from covis_dask.products.manifest import FileEntry, Manifest
from covis_dask.products.paths import ProductPaths, draw_version
from covis_dask.storage import ProductStore
from tests.unit._manifests import manifest

__all__ = ["NAMES", "PREFIX", "Shelf"]

PREFIX = "native-matlab"
NAMES = tuple(f"APLUWCOVISMBSONAR001_201403{day:02d}T010012.345Z-DIFFUSE" for day in (5, 6, 7))


@dataclass(frozen=True)
class Shelf:
    """A catalogue and a store.

    Parameters
    ----------
    folder : Path
        Of this test's own.
    products : Location
        A bucket, or by default a folder.
    """

    folder: Path
    products: Location

    @classmethod
    @contextmanager
    def at(cls, folder: Path, products: Location | None = None) -> Iterator["Shelf"]:
        """Give an empty one, known to this process's configuration."""
        location = products or Location(str(folder / "products"))
        words = {"url": location.url, "endpoint": location.endpoint, "key": location.key}
        (folder / "scratch").mkdir()
        settings = {
            "covis.scratch": str(folder / "scratch"),
            "covis.catalog.url": f"sqlite:///{folder}/catalog.sqlite",
            "covis.products": {
                **{word: value for word, value in words.items() if value},
                **({"secret": location.secret} if location.secret else {}),
            },
        }
        with dask.config.set(settings):
            shelf = cls(folder, location)
            with shelf.catalog() as catalog:
                start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
                known = {"store": location.url, "store-id": shelf.store.marked().id, "prefix": PREFIX}
                catalog.put_batch(Batch("b", {}, known, {}, {}, start, end=start))
            yield shelf

    @property
    def store(self) -> ProductStore:
        return ProductStore.open(self.products)

    def catalog(self) -> Catalog:
        return History.here().settings.catalog.open()

    @staticmethod
    def path(basename: str, prefix: str = PREFIX) -> str:
        return ProductPaths(prefix).run(basename)

    def add(self, basename: str, *, size: int | None = 1000) -> Run:
        """Put a run into the catalogue."""
        name = parse_basename(basename)
        raw = (RawFile("COVIS-NAS", archive_path(basename, ".tar.gz"), size),)
        run = Run(basename, name.datetime, name.mode, name.site, raw)
        with self.catalog() as catalog:
            catalog.add_raw([run])
        return run

    def commit(
        self,
        basename: str,
        files: Mapping[str, bytes] | None = None,
        *,
        fingerprint: str = "f" * 16,
        token: int = 0,
        recorded: bool = True,
    ) -> Manifest:
        """Put a product into the store, over what is committed there, and tell the catalogue of it."""
        self.add(basename)
        folder, run, store = draw_version(fingerprint), self.path(basename), self.store
        given = files or {f"{basename}.nc": b"n" * 30, "output.txt": b"done\n"}
        entries = []
        for name, data in given.items():
            store.put_bytes(f"{run}/{folder}/{name}", data)
            entries.append(FileEntry(f"{folder}/{name}", len(data), hashlib.sha256(data).hexdigest()))
        made = replace(
            manifest(fingerprint, token=token), basename=basename, folder=folder, files=tuple(entries)
        )
        store.put_bytes(ProductPaths.manifest(run), made.to_json().encode())
        if recorded:
            self.record(basename, made)
        return made

    def record(self, basename: str, made: Manifest, **changes: object) -> None:
        """Tell the catalogue of a product."""
        record = ProductRecord(
            state="done",
            engine=made.engine,
            version=made.version,
            fingerprint=made.fingerprint,
            path=self.path(basename),
            attempts=1,
            batch="b",
            at=made.finished,
            formats=tuple(sorted(made.formats)),
            token=made.token,
        )
        with self.catalog() as catalog:
            catalog.record({basename: replace(record, **changes)})  # type: ignore[arg-type]

    def recorded(self, basename: str) -> ProductRecord | None:
        with self.catalog() as catalog:
            run = catalog.get(basename)
        assert run is not None
        return run.product
