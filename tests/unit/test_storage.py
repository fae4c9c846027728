"""The product store: whole files, a commit with one winner, errors that say what to do."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from covis_dask.config import Location
from covis_dask.errors import (
    ConfigurationError,
    ProductDamaged,
    RawMissing,
    StorageRefused,
    StorageUnavailable,
)
from covis_dask.storage import ProductStore, open_location, storage_errors
from covis_dask.storage.retry import retry_while_unavailable


@pytest.fixture
def store(tmp_path: Path) -> ProductStore:
    """Give a store in a new folder."""
    return ProductStore.open(Location(str(tmp_path / "products"))).marked()


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
        if store.put_if_absent("run/metadata.json", f"{number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read_json("run/metadata.json") == won[0]


def test_swaps_count_every_racer_once(store: ProductStore) -> None:
    """Eight who raise a counter at once by read and swap, again when refused: no raise is lost."""
    store.put_bytes("run/metadata.json", b"0")
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        for _ in range(5):
            swapped = False
            while not swapped:
                held = store.read_tagged("run/metadata.json")
                assert held is not None
                swapped = store.put_if_match("run/metadata.json", b"%d" % (int(held.data) + 1), held.tag)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read_bytes("run/metadata.json") == b"40"


def test_swap_refuses_what_has_changed(store: ProductStore) -> None:
    """What was read and is no longer there is not replaced; nor is what was never there."""
    assert store.put_if_absent("x", b"1")
    held = store.read_tagged("x")
    assert held is not None
    assert not store.put_if_absent("x", b"2")
    store.put_bytes("x", b"3")
    assert not store.put_if_match("x", b"4", held.tag)
    assert not store.put_if_match("y", b"4", held.tag)
    assert (store.read_bytes("x"), store.read_bytes("y")) == (b"3", None)


def test_lock_of_the_dead_is_free(store: ProductStore) -> None:
    """A process that is killed while it holds the lock of a manifest leaves it to the next."""
    script = (
        "import os, sys; from pathlib import Path; from covis_dask.storage._disk import _locked\n"
        "with _locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, f"{store.root}/x"], check=False)
    assert done.returncode == -9
    assert store.put_if_absent("x", b"1")


@pytest.mark.parametrize("change", ["renamed", "emptied"])
def test_store_that_goes_away_is_never_made_anew(store: ProductStore, change: str) -> None:
    """A root that is not there, or has lost its mark, is an outage for every call; nothing is made."""
    root, away = Path(store.root), Path(store.root).with_name("away")
    assert store.put_if_absent("run/x", b"1")
    root.rename(away)
    if change == "emptied":
        root.mkdir()
    calls: list[Callable[[], object]] = [
        lambda: store.put_bytes("run/y", b"2"),
        lambda: store.put_if_absent("run/x", b"2"),
        lambda: store.read_bytes("run/x"),
        lambda: store.read_tagged("run/x"),
        lambda: store.sizes("run"),
        lambda: ProductStore.open(Location(store.url)).expecting(store.id),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="mounted"):
            call()
    assert root.exists() == (change == "emptied")
    assert not list(root.rglob("*"))
    if change == "emptied":
        root.rmdir()
    away.rename(root)
    assert store.expecting(store.id).read_bytes("run/x") == b"1"


def test_mark_stays(store: ProductStore) -> None:
    """Whoever marks a store that has a mark finds that one; another store's is refused."""
    again = ProductStore.open(Location(store.url)).marked()
    assert again.id == store.id
    with pytest.raises(StorageUnavailable, match="another store"):
        again.expecting("other")


def test_links_out_of_the_store_are_not_followed(store: ProductStore, tmp_path: Path) -> None:
    """Neither read nor written through; a link within the store is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("not ours")
    Path(store.root, "run").symlink_to(outside)
    for call in (store.read_bytes, store.read_tagged, lambda path: store.put_bytes(path, b"1")):
        with pytest.raises(ProductDamaged, match="link"):
            call("run/x")
    with pytest.raises(ProductDamaged, match="inside"):
        store.read_bytes("../outside/x")
    assert (outside / "x").read_text() == "not ours"
    store.put_bytes("disk/x", b"1")
    Path(store.root, "within").symlink_to(Path(store.root, "disk"))
    assert store.read_bytes("within/x") == b"1"


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
    assert store.put_if_absent("run/metadata.json", b"1")
    assert store.put_if_absent("run/metadata.json", b"2")
    store = store.probed()
    assert not store.conditional
    assert not store.put_if_absent("run/metadata.json", b"3")
    assert not store.put_if_match("run/metadata.json", b"3", "another")
    held = store.read_tagged("run/metadata.json")
    assert held is not None
    assert store.put_if_match("run/metadata.json", b"4", held.tag)
    assert store.read_json("run/metadata.json") == 4
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
