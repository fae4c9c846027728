"""The product store and the catalogue, as every process of the simulation reaches them."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from catalog.errors import CatalogUnavailable
from catalog.store import Catalog
from covis_dask.errors import StorageUnavailable
from covis_dask.products.manifest import Manifest
from covis_dask.storage import ProductStore, Tagged
from tests.faults.simulation.world import World

__all__ = ["SimulatedStore", "reached"]

T = TypeVar("T")


class SimulatedStore:
    """An object store that keeps both conditions; it remembers every manifest there ever was.

    Parameters
    ----------
    world : World
    """

    url = "sim://products"

    def __init__(self, world: World) -> None:
        self._world = world
        self.objects: dict[str, bytes] = {}
        self.manifests: dict[str, list[Manifest]] = {}
        self.changes = 0

    @property
    def as_store(self) -> ProductStore:
        """Itself, as what the program takes it for."""
        return cast(ProductStore, self)

    def _call(self, effect: Callable[[], T]) -> T:
        return self._world.call("store", effect, StorageUnavailable)

    def read_tagged(self, path: str) -> Tagged | None:
        """See `ProductStore`."""

        def read() -> Tagged | None:
            data = self.objects.get(path)
            return None if data is None else Tagged(data, _tag(data))

        return self._call(read)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """See `ProductStore`."""
        return self._call(lambda: self._swap(path, data, None))

    def put_if_match(self, path: str, data: bytes, tag: str) -> bool:
        """See `ProductStore`."""
        return self._call(lambda: self._swap(path, data, tag))

    def _swap(self, path: str, data: bytes, tag: str | None) -> bool:
        held = self.objects.get(path)
        if (None if held is None else _tag(held)) != tag:
            return False
        self.objects[path] = data
        manifest = Manifest.from_document(json.loads(data))
        self.manifests.setdefault(path, []).append(manifest)
        self.changes += 1
        return True

    def put_bytes(self, path: str, data: bytes) -> None:
        """See `ProductStore`."""
        self._call(lambda: self.objects.__setitem__(path, data))

    def sizes(self, folder: str) -> dict[str, int]:
        """See `ProductStore`."""
        return self._call(
            lambda: {path: len(data) for path, data in self.objects.items() if path.startswith(f"{folder}/")}
        )

    def remove_folder(self, folder: str) -> None:
        """See `ProductStore`; one object after the other, as everywhere."""

        def remove(path: str) -> None:
            self.objects.pop(path, None)
            self.changes += 1

        for path in self.sizes(folder):
            self._call(partial(remove, path))


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_ASKED = (
    "select", "get", "open_lease", "beat", "leases", "take_over", "close_lease", "claim", "holders",
    "doubted", "record", "release", "put_batch", "get_batch",
)  # fmt: skip


class _Reached:
    def __init__(self, world: World, catalog: Catalog) -> None:
        self._world = world
        self._catalog = catalog

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _ASKED:
            raise AttributeError(name)
        method = getattr(self._catalog, name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            def effect() -> Any:
                answer = method(*args, **kwargs)
                return list(answer) if name == "select" else answer

            return self._world.call("catalogue", effect, CatalogUnavailable)

        return ask


def reached(world: World, catalog: Catalog) -> Catalog:
    """Return a catalogue as processes of a world reach it: each call may fail, or its answer be lost."""
    return cast(Catalog, _Reached(world, catalog))
