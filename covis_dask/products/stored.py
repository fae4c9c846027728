"""Products as they lie in a store: found by their manifests, whatever the layout.

Everything that reads products goes through here; nobody else needs to know where a version's files are.
"""

from dataclasses import dataclass
from typing import Any

import xarray as xr

from catalog.errors import CovisError, DocumentError
from covis_dask.errors import LegacyProduct, ProductDamaged
from covis_dask.products.commit import look
from covis_dask.products.formats import file_name
from covis_dask.products.manifest import Failure, FileEntry, Manifest
from covis_dask.products.paths import LOG, ProductPaths, picture_name
from covis_dask.products.reading import read_netcdf, read_zarr, read_zarr_zip
from covis_dask.storage import ProductStore, storage_errors

__all__ = ["ProductMissing", "StoredProduct", "Try", "newest_log", "tries"]


class ProductMissing(CovisError):
    """The run has no product, or not the part of it that was asked for."""


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """The current product of a run.

    Parameters
    ----------
    store : ProductStore
    run : str
        The run's folder below the store; empty when the store's root is that folder.
    manifest : Manifest
    """

    store: ProductStore
    run: str
    manifest: Manifest

    @classmethod
    def at(cls, store: ProductStore, run: str) -> "StoredProduct | None":
        """Return the product in a run's folder, None when none is committed there.

        Raises
        ------
        LegacyProduct, ProductDamaged
            When what lies there is no manifest that can be used.
        StorageUnavailable
            When the store does not answer.
        """
        seen = look(store, run, f"{store.url}/{run}" if run else store.url)
        if seen.fault is not None:
            raise seen.fault
        return None if seen.manifest is None else cls(store, run, seen.manifest)

    @classmethod
    def of(cls, store: ProductStore, run: str) -> "StoredProduct":
        """Return the product in a run's folder.

        Raises
        ------
        ProductMissing
            When there is none; else as `at`.
        """
        found = cls.at(store, run)
        if found is None:
            raise ProductMissing(
                f"{store.url}/{run}".rstrip("/") + " holds no product: nothing is committed there"
            )
        return found

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the product."""
        return self.manifest.files

    def path(self, entry: FileEntry) -> str:
        """Return where a file lies below the store."""
        return ProductPaths.file(self.run, entry.name)

    def url(self, entry: FileEntry) -> str:
        """Return where a file lies, for whoever opens it without us; see `ProductStore.address`."""
        return self.store.address(self.path(entry))

    def read(self, plain: str) -> bytes | None:
        """Return the contents of a file by its plain name (``<basename>.nc``); None when it has none such.

        Raises
        ------
        ProductDamaged
            When the manifest names the file and the store has not got it.
        """
        entry = self.manifest.file(plain)
        return None if entry is None else self._contents(entry)

    def picture(self) -> bytes | None:
        """Return the quick look as PNG; see `read`."""
        return self.read(picture_name(self.manifest.basename))

    def log(self) -> str | None:
        """Return the log of the run; see `read`."""
        data = self.read(LOG)
        return None if data is None else data.decode(errors="replace")

    def dataset(self) -> xr.Dataset:
        """Return the product's variables, in memory: from its NetCDF file, or else its Zarr store.

        Raises
        ------
        ProductMissing
            When it has neither.
        ProductDamaged
            When what the manifest names is not there, or cannot be read.
        """
        basename = self.manifest.basename
        try:
            if (data := self.read(f"{basename}.nc")) is not None:
                return read_netcdf(data, basename)
            if (data := self.read(file_name(basename, "zarr"))) is not None:
                return read_zarr_zip(data)
            if (folder := self._zarr(f"{basename}.zarr")) is not None:
                with storage_errors(f"reading {self.store.url}/{folder}", missing=ProductDamaged):
                    return read_zarr(self.store.fs, self.store.full(folder))
        except (OSError, ValueError, KeyError) as error:
            raise ProductDamaged(
                f"the product at {self.store.url}/{self.run} cannot be read ({error}); --force makes it anew"
            ) from error
        raise ProductMissing(f"the product of {basename} has neither a NetCDF nor a Zarr file")

    def _zarr(self, plain: str) -> str | None:
        """Return the folder of a Zarr store, every file of which is there and inside the store."""
        parts = [entry for entry in self.files if entry.plain.startswith(f"{plain}/")]
        if not parts:
            return None
        folder = parts[0].name.removesuffix(parts[0].plain.removeprefix(plain))
        path = ProductPaths.file(self.run, folder)
        held = self.store.sizes(path)
        for entry in parts:
            if held.get(self.path(entry)) != entry.size:
                raise self._lost(entry)
        return path

    def _contents(self, entry: FileEntry) -> bytes:
        data = self.store.read_bytes(self.path(entry))
        if data is None or len(data) != entry.size:
            raise self._lost(entry)
        return data

    def _lost(self, entry: FileEntry) -> ProductDamaged:
        return ProductDamaged(
            f"the product at {self.store.url}/{self.run} lacks {entry.name}, or it is not as long as it was; "
            "--force makes it anew"
        )


@dataclass(frozen=True, slots=True)
class Try:
    """A try that failed.

    Parameters
    ----------
    folder : str
        Where its note and log lie below the store.
    failure : Failure
    """

    folder: str
    failure: Failure

    @property
    def log(self) -> str:
        """Where its log lies below the store."""
        return ProductPaths.log(self.folder)


def tries(store: ProductStore, run: str) -> tuple[Try, ...]:
    """Return the tries that failed, of those that are kept, the latest last; notes in disorder are left out.

    Raises
    ------
    StorageUnavailable
        When the store does not answer.
    """
    folders = [run, *(ProductPaths.tries(run, name) for name in store.folders(ProductPaths.tries(run)))]
    found = []
    for folder in folders:
        document: Any = store.read_json(ProductPaths.failure(folder))
        try:
            found.append(Try(folder, Failure.from_document(document)))
        except DocumentError:
            continue
    return tuple(sorted(found, key=lambda one: (one.failure.token, one.failure.finished)))


def newest_log(store: ProductStore, run: str) -> str | None:
    """Return where the log of the latest attempt lies below the store: of the product, or of a later failure.

    Raises
    ------
    StorageUnavailable
        When the store does not answer.
    """
    try:
        product = StoredProduct.at(store, run)
    except (LegacyProduct, ProductDamaged):
        product = None
    failed = tries(store, run)
    if product is not None:
        made = product.manifest
        failed = tuple(
            one for one in failed if (one.failure.token, one.failure.finished) > (made.token, made.finished)
        )
        entry = made.file(LOG)
        if not failed:
            return None if entry is None else product.path(entry)
    return failed[-1].log if failed else None
