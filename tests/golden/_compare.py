"""The golden cases: where they lie, and the rule by which numbers equal the original's.

See docs/method.md#known-answers.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from catalog.model import Run
from catalog.names import mode_family, parse_basename
from covis_dask.ancillary import FolderAncillary, open_ancillary
from covis_dask.engines.native import NativeEngine
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters, load_overrides
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep

__all__ = [
    "COMPACT",
    "FULL",
    "Case",
    "Taps",
    "assert_axes_beams_and_bursts",
    "assert_cells",
    "assert_grids",
    "assert_stage",
    "assert_taps",
    "compact_case",
    "golden_case",
    "load_case",
    "original_arrays",
    "parameters_of",
    "process",
    "seafloor",
    "through",
]

T = TypeVar("T")

Taps = Mapping[str, NDArray[Any]]
"""Intermediates by their key in expected.npz."""

_HERE = Path(__file__).resolve().parent
COMPACT = _HERE / "data"
"""The set that travels with the code (README.md)."""
FULL = _HERE.parents[2] / "shared" / "golden"
"""The full set, beside some checkouts."""

_INPUTS = FULL.parent / "inputs"
"""What the original programs read beside a run, beside some checkouts."""

_NOT_VALUES = ("_x", "_y", "_z", "_shape", "_index")


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

    @property
    def family(self) -> str:
        """The family of the run's mode."""
        return mode_family(self.run.mode, self.run.site)

    @property
    def probed_burst(self) -> int:
        """Index of the probed burst, counted from 0."""
        return int(self.facts["probe"]["burst"]) - 1

    def fields(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield original name and full array of every gridded variable of the full set."""
        for key in self.gridded_keys():
            stem, values = self.stem_of(key), self.expected[key]
            if f"{stem}_index" in self.expected:
                # Volumes are kept as flat index and values.
                full = np.zeros(self.expected[f"{stem}_shape"], values.dtype)
                full.reshape(-1)[self.expected[f"{stem}_index"]] = values
                values = full
            yield key.removeprefix("grid_"), values

    def cells(self) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Yield original name, flat index of the cells kept, and their values, of the compact set."""
        for key in self.gridded_keys():
            yield key.removeprefix("grid_"), self.expected[f"{self.stem_of(key)}_index"], self.expected[key]

    def gridded_keys(self) -> list[str]:
        """Return the keys of gridded values and weights."""
        return [key for key in self.expected if key.startswith("grid_") and not key.endswith(_NOT_VALUES)]

    def stem_of(self, key: str) -> str:
        """Return what the keys of the axes, or of the cells, of a gridded variable begin with."""
        stems = [
            name.removesuffix(end) for name in self.expected for end in ("_x", "_index") if name.endswith(end)
        ]
        return max((stem for stem in stems if key.startswith(f"{stem}_")), key=len)


@cache
def load_case(folder: Path) -> Case:
    """Read a case from its folder."""
    facts = json.loads((folder / "case.json").read_text())
    with np.load(folder / facts["expected"]) as expected:
        arrays = dict(expected)
    parsed = parse_basename(facts["run"])
    run = Run(parsed.basename, parsed.datetime, parsed.mode, parsed.site)
    return Case(run, folder / facts["archive"], facts, arrays)


def golden_case(name: str) -> Case:
    """Return a case of the full set, or skip the test where the set is not beside the checkout."""
    if not (FULL / name / "case.json").is_file():
        pytest.skip("the full golden set (../shared/golden) is not beside this checkout")
    return load_case(FULL / name)


def compact_case(name: str) -> Case:
    """Return a case of the compact set, which every checkout has."""
    return load_case(COMPACT / name)


def parameters_of(case: Case, profile: str = "matlab") -> Parameters:
    """Return the parameters of a case: the preset of its program, and its own where it brings some."""
    named = case.archive.parent / "params.json"
    preset = case.facts.get("preset", "default")
    return parameters_for(
        case.family,
        case.run.site,
        preset=None if preset == "default" else preset,
        profile=profile,
        overrides=load_overrides(named) if named.is_file() else {},
    )


def seafloor() -> FolderAncillary:
    """Return the seafloor grids of the original programs, or skip the test where they are not here."""
    if not any(_INPUTS.glob("covis_bathy_20*.mat")):
        pytest.skip("the original's seafloor grids (../shared/inputs) are not beside this checkout")
    return open_ancillary(fsspec.filesystem("file"), str(_INPUTS))


def process(case: Case, profile: str = "matlab") -> xr.Dataset:
    """Make the product of a case with the native engine; diffuse runs of 2018+ on the original's seafloor."""
    on_seafloor = case.family == "diffuse" and case.run.site == "Ashes"
    context = Context(ancillary=seafloor()) if on_seafloor else Context()
    return NativeEngine().process(case.source, case.run, parameters_of(case, profile), context)


def through(case: Case, consume: Callable[[RawSweep], T]) -> T:
    """Do something with the sweep of a case."""
    return with_sweep(case.source, case.run.basename, consume)


def original_arrays(ds: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Return the arrays of a product by the name that the original gives them; complex ones joined."""
    named = {v.attrs["original_name"]: v.values for v in ds.variables.values() if "original_name" in v.attrs}
    joined = {
        name.removesuffix("_real"): values + 1j * named[f"{name.removesuffix('_real')}_imag"]
        for name, values in named.items()
        if name.endswith("_real")
    }
    return {**named, **joined}


def assert_grids(ds: xr.Dataset, case: Case) -> None:
    """Compare every gridded variable and weight with the original's."""
    arrays = original_arrays(ds)
    compared = 0
    for name, want in case.fields():
        _assert_grid(arrays[name], want, name)
        compared += 1
    assert compared


def assert_cells(ds: xr.Dataset, case: Case) -> None:
    """Compare the cells that the compact set keeps; every one of them must hold."""
    arrays = original_arrays(ds)
    compared = 0
    for name, index, want in case.cells():
        off = _off(arrays[name].reshape(-1)[index], want)
        assert not off.any(), f"{name}: {np.count_nonzero(off)} of {len(want)} cells differ"
        compared += len(want)
    assert compared


def assert_axes_beams_and_bursts(ds: xr.Dataset, case: Case) -> None:
    """Compare axes of the grids, ranges, beam angles, sound speed and the list of bursts with the original's.

    Of a compact case, whose pings are cut, only the ranges kept.
    """
    axes = [key for key in case.expected if key.startswith("grid_") and key.endswith(("_x", "_y", "_z"))]
    assert axes or not case.facts.get("kept", {"gridded": True})["gridded"]
    for key in axes:
        np.testing.assert_allclose(_array(ds, key[-1]), case.expected[key], rtol=1e-12, atol=1e-12)
    ranges = _array(ds, "beam_range")[: len(case.expected["beam_range"])]
    np.testing.assert_allclose(ranges, case.expected["beam_range"], rtol=1e-12)
    np.testing.assert_allclose(_array(ds, "beam_angle"), case.expected["beam_angle"], rtol=1e-12)
    assert ds.attrs["sound_speed"] == case.expected["sound_speed_beamformer"]
    arrays = {**{str(key): array.values for key, array in ds.variables.items()}, **original_arrays(ds)}
    for key in case.expected:
        if key.startswith("burst_"):
            np.testing.assert_array_equal(arrays[key], case.expected[key])


def _array(ds: xr.Dataset, name: str) -> NDArray[Any]:
    """Return an axis; of a full-range product that of its maps, not of its plume."""
    return ds[f"{name}_fr" if f"{name}_fr" in ds.variables else name].values


def _assert_grid(got: NDArray[Any], want: NDArray[Any], name: str) -> None:
    """Hold one grid to the rule."""
    assert got.shape == want.shape, f"{name}: shape {got.shape}, not {want.shape}"
    off = np.count_nonzero(_off(got, want))
    # NaN of the original counts as 0 here too.
    allowed = 1e-5 * np.count_nonzero(np.nan_to_num(want)) + 1
    assert off <= allowed, f"{name}: {off} cells differ"


def _off(got: NDArray[Any], want: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which cells differ; NaN of ours, and of theirs, counts as the original's 0."""
    got, want = (np.where(np.isnan(array), 0, array) for array in (got, want))
    off: NDArray[np.bool_] = np.abs(got - want) > 1e-9 * np.abs(want) + 1e-10 * np.abs(want).max()
    return off


def assert_stage(got: NDArray[Any], want: NDArray[Any], what: str, *, absolute: float = 0.0) -> None:
    """Hold an intermediate array to the rule of docs/method.md#known-answers."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    assert np.array_equal(np.isnan(got), np.isnan(want)), f"{what}: NaN elsewhere"
    # Flags are compared as numbers; 0 and 1 are never within the tolerance of each other.
    got, want = (np.where(np.isnan(array), 0, array) * 1.0 for array in (np.asarray(got), np.asarray(want)))
    worst = np.max(
        np.abs(got - want) - (1e-7 * np.abs(want) + 1e-8 * np.abs(want).max() + absolute), initial=0
    )
    assert worst <= 0, f"{what}: differs by {worst:g} more than allowed"


def assert_taps(taps: Taps, case: Case, *prefixes: str) -> None:
    """Compare the intermediates whose keys begin with one of some words; single numbers to 1e-12.

    Of the compact set only the slices that it keeps are compared.
    """
    slices = case.facts.get("slices", {})
    compared = 0
    for key, want in case.expected.items():
        if key not in taps or not key.startswith(prefixes):
            continue
        cut = tuple(slice(*part) for part in slices.get(key, ()))
        got = np.asarray(taps[key])[cut]
        if want.ndim == 0:
            assert complex(got) == pytest.approx(complex(want), rel=1e-12), key
        else:
            assert_stage(got, want, key, absolute=_rounding(key, taps, cut))
        compared += 1
    assert compared


def _rounding(key: str, taps: Taps, cut: tuple[slice, ...]) -> float:
    """Return what rounding alone may do where a difference of nearly equal numbers is taken."""
    if key.endswith("sig_phi2"):
        return 1e-12  # ln(1/J) where J is close to 1
    if key == "tap_vel_I_filt":
        # I (1 - exp(-x)) where x is close to 0
        return float(np.finfo(np.float64).eps * np.abs(taps["tap_vel_I"][cut]).max())
    return 0.0
