"""Manifest and failure survive JSON, and refuse what cannot be."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covis_dask.products.manifest import (
    Bursts,
    Failure,
    FileEntry,
    InputFile,
    Manifest,
    Pings,
    SkippedBurst,
    checksum,
    is_ours,
    software_versions,
)
from tests.unit._datasets import ASHES

_COMMON: dict[str, Any] = {
    "basename": ASHES["imaging"],
    "engine": "native",
    "version": "1",
    "fingerprint": "0123456789abcdef",
    "preset": "PP2",
    "profile": "matlab",
    "parameters": {"filter": {"bw": 2.0}, "grids": [{"type": "a"}], "attitude": {"central_heading": None}},
    "input": InputFile("WASABI", "2019/08/20/run.tar.gz", 412, "9b2f"),
    "software": {"python": "3.12.0"},
    "batch": "20260102T030405-abcdef",
    "attempt": 2,
    "started": dt.datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=dt.UTC),
    "finished": dt.datetime(2026, 1, 2, 3, 5, tzinfo=dt.UTC),
    "worker": "worker-3",
    "timings": {"read": 1.5, "compute": 3.0},
    "notes": ("flat seafloor assumed",),
}
_MANIFEST = Manifest(
    **_COMMON,
    files=(FileEntry("run.nc", 10, "a" * 64), FileEntry("run.zarr/x/c/0", 3, "b" * 64)),
    pings=Pings(total=365, used=363, bad=1, missing=1),
    bursts=Bursts(used=72, skipped=(SkippedBurst(3, "pitch out of bounds"),)),
)
_FAILURE = Failure(**_COMMON, state="quarantined", kind="archive-truncated", reason="It ends at byte 7.")


@pytest.mark.parametrize("document", [_MANIFEST, _FAILURE])
def test_round_trip(document: Manifest | Failure) -> None:
    """What JSON gives back equals what was written."""
    assert type(document).from_json(document.to_json()) == document
    assert type(document).from_json(document.to_json().encode()) == document


def test_the_schema_comes_first() -> None:
    """A reader sees at once what it has before it."""
    assert next(iter(_MANIFEST.to_document().items())) == ("schema", "covis-dask/manifest/2")
    assert next(iter(_FAILURE.to_document().items())) == ("schema", "covis-dask/failure/1")


def test_keys_of_later_versions_are_tolerated() -> None:
    """A document with more keys, at any depth, reads as one without them."""
    document = _MANIFEST.to_document() | {"mood": "good"}
    document["pings"] = document["pings"] | {"doubtful": 3}
    assert Manifest.from_document(document) == _MANIFEST


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.pop("files"), "manifest cannot be read: object missing required field `files`"),
        (lambda d: d.update(files="run.nc"), "manifest cannot be read: files: expected `array`, got `str`"),
        (lambda d: d.update(attempt="two"), "attempt: expected `int`, got `str`"),
        (lambda d: d.update(attempt=True), "attempt: expected `int`, got `bool`"),
        (lambda d: d.update(pings=[1]), "pings: expected `object`, got `array`"),
        (lambda d: d["pings"].update(total=1.5), "pings.total: expected `int`, got `float`"),
        (lambda d: d.update(started="yesterday"), "started: invalid RFC3339 encoded datetime"),
        (
            lambda d: d.update(started="2026-01-02T03:04:05"),
            "started: expected `datetime` with a timezone component",
        ),
        (lambda d: d.update(parameters=None), "parameters: expected `object`, got `null`"),
        (lambda d: d["timings"].update(read="long"), r"timings\[...\]: expected `float`, got `str`"),
        (lambda d: d["files"][1].update(name="../other"), r"files\[1\]: '../other' is not a file name"),
        (lambda d: d["files"][0].update(sha256="zz"), "sha256 of run.nc is invalid"),
        (lambda d: d.update(schema="covis-dask/manifest/9"), "not a covis-dask/manifest/2 document"),
    ],
)
def test_wrong_documents_are_refused(change: Callable[[dict[str, Any]], Any], complaint: str) -> None:
    """Each fault is named by its place in the document."""
    document = json.loads(_MANIFEST.to_json())
    change(document)
    with pytest.raises(ValueError, match=complaint):
        Manifest.from_document(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": 1}'])
def test_no_document_at_all(text: str) -> None:
    """Half-written JSON, or JSON of another kind, is a ValueError and nothing else."""
    with pytest.raises(ValueError, match="this is no"):
        Manifest.from_json(text)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../run.nc", "a/../../b", "a\\b"])
def test_file_names_stay_in_the_product(name: str) -> None:
    """No manifest can name a file outside its folder."""
    with pytest.raises(ValueError, match="not a file name inside a product"):
        FileEntry(name, 1, "a" * 64)


def test_is_ours() -> None:
    """Our manifests of any version are ours; failures and what the old worker wrote are not."""
    assert is_ours(_MANIFEST.to_document())
    assert is_ours({"schema": "covis-dask/manifest/7"})
    assert not is_ours(_FAILURE.to_document())
    assert not is_ours({"python_version": "3.5"})
    assert not is_ours(["schema"])
    assert not is_ours(None)


def test_checksum_and_entry(tmp_path: Path) -> None:
    """An entry has the size and SHA-256 of the file."""
    path = tmp_path / "run.nc"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum(path) == known
    assert FileEntry.of(path) == FileEntry("run.nc", 3, known)
    assert FileEntry.of(path, "sub/run.nc").name == "sub/run.nc"


def test_no_address_is_written() -> None:
    """Dask names workers by address unless told otherwise; the address stays out of the document."""
    document = Manifest(
        **_COMMON | {"worker": "tcp://10.0.0.7:41234"}, files=(), pings=Pings(total=1, used=1)
    ).to_document()
    assert "10.0.0.7" not in json.dumps(document)
    assert document["worker"].startswith("worker-")


def test_a_failure_without_input() -> None:
    """When no host had the file there is no input to name."""
    failure = Failure(
        **_COMMON | {"input": None}, state="failed", kind="raw-missing", reason="No host has it."
    )
    assert "input" not in failure.to_document()
    assert Failure.from_json(failure.to_json()).input is None


def test_software_versions() -> None:
    """Everything that takes part in the numbers is named."""
    assert {"python", "numpy", "scipy", "xarray", "covis-dask"} == set(software_versions())
