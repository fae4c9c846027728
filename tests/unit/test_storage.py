"""The product store: whole files, a commit with one winner, errors that say what to do."""

import threading
from pathlib import Path

import pytest

from covis_dask.config import Location
from covis_dask.errors import ConfigurationError, RawMissing, StorageRefused, StorageUnavailable
from covis_dask.storage import ProductStore, open_location, storage_errors


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
