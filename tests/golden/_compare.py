"""The golden cases: where they lie, and the rule by which numbers equal the original's (science.md 7)."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from catalog.model import Run
from catalog.names import mode_family, parse_basename
from covis_dask.engines.native import NativeEngine
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import parameters_for
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep

__all__ = ["Case", "assert_grids", "assert_stage", "golden_case", "process", "through"]

T = TypeVar("T")

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "data", _HERE.parents[2] / "shared" / "golden")
"""The compact set that travels with the code, else the full one beside the checkout."""

_NOT_VALUES = {"x", "y", "z", "shape", "index"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One run, and what the original made of it.

    Parameters
    ----------
    run : Run
    archive : Path
    facts : mapping
        case.json.
    expected : mapping of str to ndarray
        expected.npz.
    """

    run: Run
    archive: Path
    facts: Mapping[str, Any]
    expected: Mapping[str, NDArray[Any]]

    @property
    def source(self) -> ArchiveSource:
        """The archive, as an engine takes it."""
        return ArchiveSource(fsspec.filesystem("file"), str(self.archive))

    def fields(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield original name and full array of every gridded variable."""
        for key in self.expected:
            name = key.removeprefix("grid_")
            if key == name or name in _NOT_VALUES or name.rpartition("_")[2] in _NOT_VALUES:
                continue
            yield name, self._dense(key)

    def _dense(self, key: str) -> NDArray[Any]:
        """Return a gridded array in full; volumes are kept as flat index and values."""
        values = self.expected[key]
        stems = [name.removesuffix("_index") for name in self.expected if name.endswith("_index")]
        stem = max((stem for stem in stems if key.startswith(f"{stem}_")), key=len, default=None)
        if stem is None:
            return values
        full = np.zeros(self.expected[f"{stem}_shape"], values.dtype)
        full.reshape(-1)[self.expected[f"{stem}_index"]] = values
        return full


def golden_case(name: str) -> Case:
    """Return a golden case, or skip the test where there is none beside the checkout."""
    for folder in _FOLDERS:
        here = folder / name
        if (here / "case.json").is_file():
            facts = json.loads((here / "case.json").read_text())
            with np.load(here / facts["expected"]) as expected:
                arrays = dict(expected)
            parsed = parse_basename(facts["run"])
            run = Run(parsed.basename, parsed.datetime, parsed.mode, parsed.site)
            return Case(run, here / facts["archive"], facts, arrays)
    pytest.skip(f"the golden case {name} is not beside this checkout")


def process(case: Case, profile: str = "matlab", overrides: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Make the product of a case with the native engine."""
    run = case.run
    parameters = parameters_for(
        mode_family(run.mode, run.site), run.site, profile=profile, overrides=overrides
    )
    return NativeEngine().process(case.source, run, parameters, Context())


def through(case: Case, consume: Callable[[RawSweep], T]) -> T:
    """Do something with the sweep of a case."""
    return with_sweep(case.source, case.run.basename, consume)


def assert_grids(ds: xr.Dataset, case: Case) -> None:
    """Compare every gridded variable and weight with the original's."""
    named = {v.attrs["original_name"]: v.values for v in ds.variables.values() if "original_name" in v.attrs}
    compared = 0
    for name, want in case.fields():
        got = named[f"{name}_real"] + 1j * named[f"{name}_imag"] if np.iscomplexobj(want) else named[name]
        _assert_grid(got, want, name)
        compared += 1
    assert compared


def _assert_grid(got: NDArray[Any], want: NDArray[Any], name: str) -> None:
    """Hold one grid to the rule; NaN of ours, and of theirs, counts as the original's 0."""
    assert got.shape == want.shape, f"{name}: shape {got.shape}, not {want.shape}"
    got, want = (np.where(np.isnan(array), 0, array) for array in (got, want))
    off = np.abs(got - want) > 1e-9 * np.abs(want) + 1e-10 * np.abs(want).max()
    allowed = 1e-5 * np.count_nonzero(want) + 1
    assert np.count_nonzero(off) <= allowed, f"{name}: {np.count_nonzero(off)} cells differ"


def assert_stage(got: NDArray[Any], want: NDArray[Any], what: str, *, absolute: float = 0.0) -> None:
    """Hold an intermediate array to the rule of science.md 7."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    assert np.array_equal(np.isnan(got), np.isnan(want)), f"{what}: NaN elsewhere"
    got, want = (np.where(np.isnan(array), 0, array) for array in (got, want))
    worst = np.max(
        np.abs(got - want) - (1e-7 * np.abs(want) + 1e-8 * np.abs(want).max() + absolute), initial=0
    )
    assert worst <= 0, f"{what}: differs by {worst:g} more than allowed"
