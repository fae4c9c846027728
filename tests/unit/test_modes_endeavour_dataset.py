"""Datasets of the mode programs: axes, complex fields, bookkeeping."""

import json

import numpy as np
import pytest

from covis_dask.errors import NoValidPings
from covis_dask.modes import parameters_for
from covis_dask.modes._tally import PingTally
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.sonar.grid import GridAxes
from tests.unit._endeavour_runs import Row, noise, run

ROWS = [Row(1, 30.0), Row(2, 30.0), Row(3, 40.0)]


def _product() -> DatasetBuilder:
    return DatasetBuilder(run(ROWS, noise(4)), parameters_for("doppler", "Endeavour"))


def _axes(xmax: float = 2.0) -> GridAxes:
    return GridAxes.from_bounds((0.0, xmax, 1.0), (0.0, 3.0, 1.0))


def _quiet(_: str) -> None:
    """Say nothing."""


def test_axes_are_shared_or_get_a_suffix() -> None:
    """Grids with the same axes share them; an axis that differs ends in the suffix of its grid."""
    product = _product()
    for key, prefix, axes, suffix in (
        ("v", "doppler_velocity", _axes(), "one"),
        ("v", "intensity", _axes(), "two"),
        ("w", "intensity", _axes(5.0), "fr"),
    ):
        product.grid(axes, {key: np.zeros(axes.shape)}, prefix, suffix)
    ds = product.dataset(PingTally(_quiet, 3), {})
    dims = [ds[name].dims for name in ("vertical_velocity", "backscatter", "intensity_weight")]
    assert dims == [("y", "x"), ("y", "x"), ("y", "x_fr")]
    assert ds["x"].attrs["axis"] == "X"
    with pytest.raises(ValueError, match="there already"):
        product.grid(_axes(9.0), {"std": np.zeros((4, 10))}, "intensity", "fr")


def test_a_variable_that_the_spec_does_not_know_is_refused() -> None:
    """What a product holds stands in the mode's spec, so that no file has a variable without a name."""
    axes = _axes()
    with pytest.raises(KeyError, match="Endeavour doppler products have no variable 'intensity_speed'"):
        _product().grid(axes, {"speed": np.zeros(axes.shape)}, "intensity")
    with pytest.raises(KeyError, match="their spec must list it"):
        _product().own("drift", np.zeros(()))


def test_complex_fields_become_two() -> None:
    """A complex field becomes its real and imaginary parts, both NaN where nothing came."""
    product, axes = _product(), _axes()
    values = np.full(axes.shape, 3 + 4j)
    values[0, 0] = np.nan
    product.grid(axes, {"covar": values}, "doppler_velocity")
    ds = product.dataset(PingTally(_quiet, 3), {})
    for part, number in (("real", 3.0), ("imag", 4.0)):
        assert ds[f"autocovariance_{part}"].attrs["original_name"] == f"doppler_velocity_covar_{part}"
        assert np.isnan(ds[f"autocovariance_{part}"][0, 0])
        assert ds[f"autocovariance_{part}"][1, 1] == number


def test_ping_times_that_no_calendar_holds_are_left_out() -> None:
    """A time beyond all calendars becomes NaN, so that any reader can open the product."""
    product, sweep = _product(), run(ROWS, noise(4))
    table = sweep.table
    table.time[1] = 1e300
    product.pings(table)
    ds = product.dataset(PingTally(_quiet, 3), {})
    assert np.isnan(ds["ping_time"].values).tolist() == [False, True, False]
    assert ds.attrs["time_coverage_end"].startswith("2011-")


def test_account_tells_what_was_left_out() -> None:
    """The attributes count pings and bursts, and give a reason for each that was left out."""
    log: list[str] = []
    tally = PingTally(log.append, 6)
    tally.bad(5, "it is cut off")
    tally.bad(5, "again")
    tally.missing([2])
    tally.skip(30.0, [1, 2], "fewer than 2 valid pings")
    tally.use([1, 2, 5])
    found = tally.attributes()
    assert (found["pings_total"], found["pings_used"], found["bursts_used"]) == (6, 3, 1)
    assert (found["bad_ping"], found["missing_ping"]) == ([5], [2])
    assert json.loads(found["bursts_skipped_reasons"])[0]["pings"] == [1, 2]
    assert json.loads(found["bad_ping_reasons"]) == {"5": "it is cut off"}
    assert len(log) == 3
    tally.require_pings()


def test_account_refuses_a_run_without_pings() -> None:
    """A run of which nothing is left is refused with the most frequent reasons."""
    tally = PingTally(_quiet, 3)
    for number in (1, 2):
        tally.bad(number, "it is empty")
    tally.bad(3, "it is cut off")
    with pytest.raises(NoValidPings, match=r"it is empty \(2\); it is cut off \(1\)"):
        tally.require_pings()
