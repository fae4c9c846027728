"""What the catalogues of versions 1 and 2 in data/catalog hold, each as the program of its day wrote it."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

from catalog.model import Batch, Content, ProductRecord, RawFile, Run
from catalog.names import parse_basename

__all__ = ["BATCHES", "CLAIMED", "MONGODB", "RUNS", "SQLITE"]

_FOLDER = Path(__file__).with_name("data") / "catalog"
SQLITE = {version: _FOLDER / f"version-{version}.sqlite" for version in (1, 2)}
MONGODB = {version: _FOLDER / f"version-{version}.mongodb.json" for version in (1, 2)}

_AT = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, dt.UTC)
_INPUTS = json.dumps({"filename": "x.tar.gz", "size": 526996026}, sort_keys=True)
_BATCH = "20260102T030000-abcdef"


def _run(basename: str, *raw: RawFile) -> Run:
    name = parse_basename(basename)
    return Run(name.basename, name.datetime, name.mode, name.site, raw)


def _product(state: str, kind: str | None = None, reason: str | None = None) -> ProductRecord:
    path = "native-matlab/2014/01/01/x"
    return ProductRecord(state, "native", "1.2", "f" * 16, path, 2, _BATCH, _AT, kind, reason)


_WASABI = RawFile("WASABI", "2019/10/24/COVIS-20191024T003346-diffuse3.tar.gz", 66600000)
RUNS = (
    _run("APLUWCOVISMBSONAR001_20111001T210757", RawFile("OLD-COVIS-NAS1", "z.7z", 7)),
    replace(
        _run(
            "APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING",
            RawFile("OLD-COVIS-NAS5", "2014/01/01/x.tar.gz", 526996026),
            RawFile("DMAS", "x.tar"),
        ),
        contents=(Content("sweep.json", 4727, "abc"), Content("index.csv", 5)),
        product=replace(_product("done"), inputs=_INPUTS, formats=("nc", "mat")),
    ),
    replace(
        _run("APLUWCOVISMBSONAR001_20140101T030043.176Z-DIFFUSE", RawFile("DMAS", "y.tar")),
        product=_product("failed", "timeout", "it took longer than 4 h"),
    ),
    _run("COVIS-20191024T000002-imaging1"),
    replace(
        _run("COVIS-20191024T003346-diffuse3", _WASABI),
        product=replace(
            _product("quarantined", "archive-truncated", "the archive ends early"), inputs=_INPUTS
        ),
    ),
    replace(
        _run("COVIS-20191025T000002-survey3", RawFile("WASABI", "s.tar.gz", 1)),
        product=_product("unsupported", "mode-unsupported", "no program"),
    ),
)
"""All runs, earliest first."""

BATCHES = (
    Batch("20260103T030000-fedcba", {}, {"engine": "both"}, {}, {}, _AT + dt.timedelta(days=1)),
    Batch(
        _BATCH,
        {"years": [2014], "start": "2014-01-01T00:00:00+00:00"},
        {
            "engine": "native",
            "profile": "matlab",
            "prefix": "native-matlab",
            "store": "covis-data/products",
            "force": False,
        },
        {"dask": "2025.1"},
        {"done": 1, "already": 0, "failed": 1, "quarantined": 1, "unsupported": 1, "not-run": 0},
        _AT,
        _AT + dt.timedelta(hours=1),
        f"native-matlab/batches/{_BATCH}/report.html",
    ),
)
"""All batches, newest first."""

CLAIMED = (RUNS[3].basename, BATCHES[0].id)
"""A run that a batch holds, for a century by the clock; there is no lease behind it."""
