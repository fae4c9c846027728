"""Listings, documents of the catalogue, manifests and settings, each changed in any way."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask.config
import yaml

import covis_dask.config
from catalog.errors import DocumentError, ListingError
from catalog.ingest import import_listing
from catalog.merging import changes, new_document
from catalog.model import RawFile, Run, to_json
from catalog.names import parse_basename
from catalog.query import RunQuery, choose, matches
from catalog.reading import read_run
from catalog.sqlite import SqliteCatalog
from covis_dask.config import load_settings, settings_faults
from covis_dask.errors import ConfigurationError, ProductDamaged
from covis_dask.products.manifest import FileEntry, Manifest, Pings
from tests.fuzz._changes import changed_bytes, changed_document, changed_text

__all__ = ["check_document", "check_listing", "check_manifest", "check_settings"]

_NAMES = [f"2019/10/24/COVIS-20191024T0{hour}3346-diffuse3.tar.gz" for hour in range(6)]
_BASENAMES = [name.rpartition("/")[2].removesuffix(".tar.gz") for name in _NAMES]
_LISTINGS = (
    "\n".join(f"5\t{1000 + size}\t{name}" for size, name in enumerate(_NAMES)),
    json.dumps(_NAMES, indent=1),
    json.dumps(_NAMES),
    "basename,datetime,site,mode,raw_size,gz_size,7z_size\n"
    + "\n".join(f"{name},2019-10-24T01:33:46,Ashes,diffuse3,1,2,3" for name in _BASENAMES),
)
_RUN = parse_basename("APLUWCOVISMBSONAR001_20111005T210757.973Z-IMAGING")
_DOCUMENT: dict[str, Any] = {
    "_id": "4f2a",
    "basename": _RUN.basename,
    "datetime": _RUN.datetime,
    "mode": _RUN.mode,
    "site": _RUN.site,
    "raw": [
        {"host": "DMAS", "filename": f"{_RUN.basename}.tar", "filesize": 5},
        {"host": "WASABI", "filename": f"2011/10/05/{_RUN.basename}.tar.gz"},
    ],
    "contents": [{"name": "index.csv", "size": 7, "sha1": "ab"}],
    "product": {
        "state": "done", "engine": "native", "version": "1", "fingerprint": "f", "path": "p", "attempts": 1,
        "batch": "b", "at": _RUN.datetime, "formats": ["nc"],
    },
}  # fmt: skip
_MANIFEST = Manifest(
    basename=_RUN.basename, engine="native", version="1", fingerprint="f", preset="END", profile="matlab",
    parameters={"a": {"b": [1, 2.5, None]}}, batch="b", attempt=1,
    started=_RUN.datetime, finished=_RUN.datetime,
    files=(FileEntry("run.nc", 10, "a" * 64), FileEntry("run.zarr/x/c/0", 3, "b" * 64)), pings=Pings(9, 8),
)  # fmt: skip
_SETTINGS = yaml.safe_load((Path(covis_dask.config.__file__).parents[1] / "covis.yaml").read_text("utf-8"))


def check_listing(rng: random.Random, folder: Path) -> None:
    """Import a listing: every line is a run's or counted, or the whole is refused as a `ListingError`."""
    data = rng.choice(_LISTINGS).encode()
    for _ in range(rng.randint(1, 2)):
        data = changed_text(rng, data) if rng.random() < 0.7 else changed_bytes(rng, data)
    path = folder / "listing"
    path.write_bytes(data)
    with suppress(ListingError):
        report = import_listing(path, rng.choice((None, "DMAS", "COVIS-NAS", "", "a b")))
        named = sum(len(run.raw) or 1 for run in report.runs)
        assert named + sum(skipped.count for skipped in report.skipped.values()) >= report.entries
        json.dumps([run.to_document() for run in report.runs], default=str)


def check_document(rng: random.Random, folder: Path) -> None:
    """Read a run's document: a run, readable or not, that can be selected, shown, written and added to."""
    document = changed_document(rng, _DOCUMENT)
    run = read_run(document, "4f2a")
    assert isinstance(run.basename, str)
    query = RunQuery.from_text(
        {"year": "2011", "mode": "imaging", "site": "endeavour", "regex": "IMA", "limit": 3}
    )
    list(choose([run] if matches(query, run) else [], query))
    text = to_json(run.to_document())
    if isinstance(document, dict):
        changes(document, Run(_RUN.basename, _RUN.datetime, "IMAGING", "Endeavour", (RawFile("A", "x.7z"),)))
    if run.fault is None:
        assert read_run(json.loads(text), "4f2a").basename == run.basename
        new_document(run)
        if rng.random() < 0.1:
            with SqliteCatalog(folder / "c.sqlite") as catalog, suppress(UnicodeEncodeError):
                catalog.add_raw([run])  # half a surrogate pair is no text to SQLite
                assert catalog.get(run.basename) is not None
                list(catalog.select(RunQuery()))


def check_manifest(rng: random.Random, _: Path) -> None:
    """Read a manifest: one whose files stay in their folder, or a `DocumentError`."""
    document = changed_document(rng, json.loads(_MANIFEST.to_json()))
    with suppress(DocumentError, ProductDamaged):
        manifest = Manifest.at("some/path", document)
        for entry in manifest.files:
            assert not entry.name.startswith("/")
            assert ".." not in entry.name.split("/")
        assert manifest.started.tzinfo is not None
    with suppress(DocumentError):
        Manifest.from_json(changed_bytes(rng, _MANIFEST.to_json().encode()))


def check_settings(rng: random.Random, _: Path) -> None:
    """Load settings: values that can be used, or a `ConfigurationError` with the key."""
    section = changed_document(rng, _SETTINGS["covis"])
    environ = {"HOME": "/nowhere"} if rng.random() < 0.9 else {"NAS_URL": "nas:9000", "MONGODB_URL": "x"}
    with dask.config.set({"covis": section}):
        with suppress(ConfigurationError):
            load_settings(environ)
        assert all(isinstance(fault, str) for fault in settings_faults(environ))
