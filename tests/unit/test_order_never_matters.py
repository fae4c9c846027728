"""Order of the members, kind of archive, threads, and how often: none of them changes a bit (7.3 item 28)."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
from threadpoolctl import threadpool_limits

from covis_dask.modes import program
from covis_dask.modes.context import Context
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import with_sweep
from covis_dask.simulate.faults import break_run
from covis_dask.simulate.pack import Order, write_archive
from tests.unit._small_runs import MODES, Members, Mode, in_folder, process

PROFILES = ("matlab", "corrected")

PACKED: tuple[tuple[str, Order], ...] = (
    (".tar", "name"),
    (".tar", "metadata-last"),
    (".tar", "shuffled"),
    (".tar.gz", "written"),
    (".tar.gz", "shuffled"),
    (".7z", "name"),
    (".7z", "shuffled"),
    ("", "name"),
)


def _members(mode: Mode) -> Members:
    """Return the files of a run in which one ping is bad, and one lacks its header."""
    members = mode.members
    break_run(members, [f"truncated_bin:{mode.numbers[1]}", f"missing_json:{mode.numbers[-1]}"])
    return members


def _identical(got: xr.Dataset, want: xr.Dataset) -> None:
    """Compare everything in two datasets, values to the last bit."""
    xr.testing.assert_identical(got, want)
    for name, variable in want.variables.items():
        assert got[name].values.tobytes() == np.asarray(variable.values).tobytes(), name


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_order_and_kind_of_the_archive(mode: Mode, profile: str, tmp_path: Path) -> None:
    """The same files give the same dataset, however they are packed."""
    members, parameters = _members(mode), mode.parameters(profile)
    want = process(mode, in_folder(mode, members), parameters)
    fs = fsspec.filesystem("file")
    for number, (extension, order) in enumerate(PACKED):
        path = tmp_path / str(number) / (mode.basename + extension)
        write_archive(members, path, folder=mode.spec.folder, order=order, seed=number)
        _identical(process(mode, ArchiveSource(fs, str(path)), parameters), want)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_threads_and_repetition(mode: Mode, profile: str) -> None:
    """Once more, and with more threads allowed: the engine gives each run one, so nothing changes."""
    source, parameters = in_folder(mode, _members(mode)), mode.parameters(profile)
    want = process(mode, source, parameters)
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            _identical(process(mode, source, parameters), want)


@pytest.mark.parametrize("preset", ["PP3", "PPX"])
@pytest.mark.parametrize("mode", [mode for mode in MODES if len(mode.presets) > 1], ids=str)
def test_other_presets(mode: Mode, preset: str) -> None:
    """The presets that are not the default do not depend on the order either."""
    members, parameters = _members(mode), mode.parameters("matlab", preset)
    shuffled = dict(sorted(members.items(), key=lambda item: item[0][::-1]))
    _identical(
        process(mode, in_folder(mode, shuffled), parameters),
        process(mode, in_folder(mode, members), parameters),
    )


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_threads_of_the_program_itself(mode: Mode) -> None:
    """The program, without the engine's care, is the same with one BLAS thread and with two."""
    source, parameters = in_folder(mode, _members(mode)), mode.parameters("matlab")
    found = program(mode.family, mode.site)
    assert found is not None
    products = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            products.append(
                with_sweep(source, mode.basename, lambda sweep: found(sweep, parameters, Context()))
            )
    _identical(products[1], products[0])
