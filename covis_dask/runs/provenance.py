"""What a product says of its making: in its attributes, in the manifest, in the note of a failure."""

import datetime as dt
import json
import socket
from typing import Any

import numpy as np
import xarray as xr

from covis_dask.engines import Engine
from covis_dask.products.manifest import Bursts, InputFile, Pings, SkippedBurst
from covis_dask.products.metadata import ProductFacts
from covis_dask.runs.task import RunTask

__all__ = ["bursts_of", "notes_of", "oddities_of", "pings_of", "product_facts", "provenance"]


def provenance(task: RunTask, engine: Engine, started: dt.datetime) -> dict[str, Any]:
    """Gather what manifest and failure both say."""
    return {
        "basename": task.run.basename,
        "engine": engine.name,
        "version": engine.version,
        "fingerprint": task.fingerprint,
        "preset": task.parameters.preset,
        "profile": task.parameters.profile,
        "parameters": task.parameters.to_dict(),
        "batch": task.batch,
        "attempt": task.attempt,
        "token": task.token,
        "started": started,
        "finished": dt.datetime.now(dt.UTC),
        "worker": socket.gethostname(),
    }


def product_facts(task: RunTask, engine: Engine, source: InputFile) -> ProductFacts:
    """Gather what the product's attributes say."""
    return ProductFacts(
        basename=task.run.basename,
        mode=task.run.mode,
        site=task.run.site,
        start=task.run.datetime,
        engine=engine.name,
        version=engine.version,
        preset=task.parameters.preset,
        profile=task.parameters.profile,
        parameters=task.parameters.to_dict(),
        input=source,
        fingerprint=task.fingerprint,
        created=task.created,
    )


def pings_of(ds: xr.Dataset) -> Pings:
    """Count the pings of a product."""
    return Pings(
        total=int(ds.attrs["pings_total"]),
        used=int(ds.attrs["pings_used"]),
        bad=np.size(ds.attrs["bad_ping"]),
        missing=np.size(ds.attrs["missing_ping"]),
    )


def bursts_of(ds: xr.Dataset) -> Bursts:
    """Count the bursts of a product, and say which were left out."""
    skipped = json.loads(ds.attrs["bursts_skipped_reasons"])
    return Bursts(
        used=int(ds.attrs["bursts_used"]),
        skipped=tuple(SkippedBurst(number, str(burst["reason"])) for number, burst in enumerate(skipped)),
    )


def notes_of(ds: xr.Dataset) -> tuple[str, ...]:
    """Repeat in the manifest what a user must not overlook."""
    notes = {"seafloor": ds.attrs.get("seafloor"), "engines differ in": ds.attrs.get("engines_differ_in")}
    return (*(f"{name}: {value}" for name, value in notes.items() if value), *oddities_of(ds))


def oddities_of(ds: xr.Dataset) -> tuple[str, ...]:
    """Return what was odd about the data of a run, for report and page: a sound run has nothing here."""
    fault = ds.attrs.get("calibration_fault")
    found = (ds.attrs.get("raw_notes"), f"calibration not valid: {fault}" if fault else None)
    return tuple(str(note) for note in found if note)
