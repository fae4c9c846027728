"""Reading a run as an engine does, and the files that came with the field reports."""

from functools import cache
from pathlib import Path

import pytest
import xarray as xr
from fsspec.implementations.local import LocalFileSystem

from catalog.model import Run
from catalog.names import parse_basename
from covis_dask.engines.native import NativeEngine
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.unit._rawruns import CHANNELS

__all__ = ["SOUND", "assert_sound", "process", "read", "report"]

_REPORTS = Path(__file__).resolve().parents[3] / "shared" / "field-reports"
_BASENAME = "COVIS-20191024T003346-diffuse1"

SOUND = [1, 2, 3, 5, 6]
"""Pings of the tiny run that variants are made of."""


def report(name: str) -> Path:
    """Return the folder of a field report, or skip."""
    if not (_REPORTS / name).is_dir():
        pytest.skip("the field reports (../shared/field-reports) are not beside this checkout")
    return _REPORTS / name


def read(source: ArchiveSource, log: list[str], rate: float | None = 34482) -> list[int]:
    """Read a tiny run whole, and return the numbers of its sound pings; `rate` asks for the common header."""

    def consume(sweep: RawSweep) -> list[int]:
        if rate is not None:
            sweep.common_header(rate)
        return [ping.number for ping in sweep.pings(CHANNELS) if ping.data is not None]

    return with_sweep(source, "any", consume, log=log.append)


def process(path: Path) -> tuple[xr.Dataset, list[str]]:
    """Make the product of a report's archive, and return it with the log."""
    log: list[str] = []
    name = parse_basename(_BASENAME)
    run = Run(basename=_BASENAME, datetime=name.datetime, mode=name.mode, site=name.site)
    parameters = parameters_for("diffuse", "Ashes")
    source = ArchiveSource(LocalFileSystem(), str(path))
    return NativeEngine().process(source, run, parameters, Context(log=log.append)), log


def assert_sound(path: Path) -> list[str]:
    """Make sure that an archive gives the product of the sound run it was made of; return the log."""
    product, log = process(path)
    xr.testing.assert_identical(product, _sound())
    return log


@cache
def _sound() -> xr.Dataset:
    return process(report("base") / f"{_BASENAME}.tar.gz")[0]
