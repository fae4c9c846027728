"""The product store: whole files, a commit with one winner, errors that say what to do."""

import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from covis_dask.config import Location
from covis_dask.errors import ConfigurationError, RawMissing, StorageRefused, StorageUnavailable
from covis_dask.storage import ProductStore, open_location, storage_errors
from covis_dask.storage.retry import retry_while_unavailable


@pytest.fixture
def store(tmp_path: Path) -> ProductStore:
    """Give a store in a folder that is not there yet."""
    return ProductStore.open(Location(str(tmp_path / "products")))


def test_documents_and_files_round_trip(store: ProductStore, tmp_path: Path) -> None:
    """What is put can be read, folders keep their shape, and what is removed is gone."""
    (tmp_path / "a.zarr" / "c").mkdir(parents=True)
    (tmp_path / "a.zarr" / "c" / "0").write_bytes(b"chunk")
    store.check_writable()
    store.put_file(tmp_path / "a.zarr", "run/a.zarr")
    store.put_bytes("run/x.json", b'{"a": 1}')
    assert store.read_bytes("run/a.zarr/c/0") == b"chunk"
    assert store.read_json("run/x.json") == {"a": 1}
    store.remove("run/x.json")
    store.remove("run/x.json")
    assert store.read_json("run/x.json") is None
    assert not list(Path(store.root).rglob("*.part"))


def test_commit_has_one_winner(store: ProductStore) -> None:
    """Of many who put the same new document at once exactly one is told that it is theirs."""
    barrier = threading.Barrier(8)
    won: list[int] = []

    def race(number: int) -> None:
        barrier.wait()
        if store.put_new_json("run/metadata.json", {"by": number}):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read_json("run/metadata.json") == {"by": won[0]}


def test_store_that_refuses_says_why(tmp_path: Path) -> None:
    """A store that cannot take writes stops with its own reason and advice."""
    (tmp_path / "file").write_text("in the way")
    store = ProductStore.open(Location(str(tmp_path / "file" / "products")))
    with pytest.raises(StorageRefused, match=r"Not a directory.*check its permissions"):
        store.check_writable()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError("Access Denied"), StorageRefused),
        (FileNotFoundError("NoSuchBucket"), StorageRefused),
        (OSError(28, "No space left on device"), StorageRefused),
        (TimeoutError("slow"), StorageUnavailable),
        (ConnectionResetError("gone"), StorageUnavailable),
    ],
)
def test_errors_of_stores_fall_in_two_groups(error: Exception, expected: type[Exception]) -> None:
    """An answer of no stops the batch; no answer is tried again."""
    with pytest.raises(expected), storage_errors("writing x"):
        raise error


def test_missing_file_is_what_the_caller_says() -> None:
    """A raw file that is not there is raw-missing, not a refusal."""
    with pytest.raises(RawMissing), storage_errors("looking for x", missing=RawMissing):
        raise FileNotFoundError


def test_unknown_protocol_is_a_configuration_error() -> None:
    """A URL no file system knows is named."""
    with pytest.raises(ConfigurationError, match="nonsense://x"):
        open_location(Location("nonsense://x"))


class _Careless(MemoryFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Ignores conditions, as some S3 servers do."""

    protocol = "careless"
    store: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        super().pipe_file(path, value)


def test_store_that_ignores_conditions_is_found_out() -> None:
    """The probe at start-up sees it; then we look before we commit, and leave no probe behind."""
    store = ProductStore(_Careless(), "/x", "careless://x")
    assert store.put_new_json("run/metadata.json", {"by": 1})
    assert store.put_new_json("run/metadata.json", {"by": 2})
    store = store.probed()
    assert not store.conditional
    assert not store.put_new_json("run/metadata.json", {"by": 3})
    assert store.read_json("run/metadata.json") == {"by": 2}
    assert not [path for path in store.fs.find("/x") if "probe" in path]


def test_probe_of_a_store_that_honours_them(store: ProductStore) -> None:
    """A local folder keeps conditions itself."""
    assert store.probed().conditional


def test_short_outages_are_ridden_out() -> None:
    """A call is repeated while the store is away, and its error comes through when patience ends."""
    faults = [StorageUnavailable("away")] * 2
    said: list[str] = []

    def call() -> str:
        if faults:
            raise faults.pop()
        return "there"

    assert retry_while_unavailable(call, 10.0, 0.01, said.append) == "there"
    assert len(said) == 2
    faults.append(StorageUnavailable("away"))
    with pytest.raises(StorageUnavailable):
        retry_while_unavailable(call, 0.0, 0.01, said.append)
