"""Bathymetry, 2018+: known answers (docs/method.md#known-answers), and the quirks in both profiles."""

import weakref
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

from covis_dask.modes.ashes import bathy
from covis_dask.modes.ashes.bathy import bathy_burst, first_maximum
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import GridSpec, Noise, Oscfar
from covis_dask.raw.sweep import Ping, RawSweep
from covis_dask.sonar._types import Real
from covis_dask.sonar.calibration import Calibration
from tests.unit._ashes import (
    PROFILES,
    FakeSweep,
    Row,
    elements,
    fake,
    floor_echo,
    named,
    parameters,
    table,
    transmission,
)

N = 680
DOWN = -25.0
"""A gentle slope: at a steep one many beams hear the floor at once, and OSCFAR takes it for clutter."""
PLANE = GridSpec("any", -16.0, 16.0, -16.0, 16.0, 0.5, 0.5)
HEARD = slice(22, 234)
"""Beams that reach the seafloor within the ping."""


def _process(height: float | Real, profile: str) -> xr.Dataset:
    beams = 5000 * floor_echo(N, DOWN, height, width=12)
    ping = transmission(N) + elements(beams, monitor=profile == "matlab")
    chosen = parameters("bathy", profile, grid=PLANE)
    return bathy.process(
        fake([Row(1, pitch=DOWN), Row(2, pitch=DOWN)], {1: ping, 2: ping}), chosen, Context()
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_a_level_seafloor_is_level(profile: str) -> None:
    """7.3.22: a seafloor at z = 0 comes out at z = 0, in every beam and in every cell."""
    ds = _process(0.0, profile)
    assert np.abs(ds["point_z"].values[HEARD]).max() < 0.1
    height, weight = named(ds, "v").values, named(ds, "w").values
    distance = np.hypot(*np.meshgrid(ds["x"], ds["y"]))
    near = (distance > 4) & (distance < 13)  # beams that hear no floor put the head itself there (4.7)
    assert ((weight > 0) & near).sum() > 30
    assert np.abs(height[(weight > 0) & near]).max() < 0.1
    assert np.isnan(height[weight == 0]).all()
    # The heading of the fan's centre is 279 + 16 - 360 degrees.
    middle = np.degrees(np.arctan2(ds["point_x"].values[127:129, 0], ds["point_y"].values[127:129, 0]))
    np.testing.assert_allclose(middle, -65, atol=0.5)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_step_is_recovered(profile: str) -> None:
    """7.3.22: where the seafloor rises by 1 m, so does the product."""
    height = np.where(np.arange(256) < 128, 0.0, 1.0)
    points = _process(height, profile)["point_z"].values[:, 0]
    np.testing.assert_allclose(points[22:118], 0, atol=0.12)
    np.testing.assert_allclose(points[138:234], 1, atol=0.12)


@pytest.mark.parametrize("profile", PROFILES)
def test_q2_q4_weights_of_the_map(profile: str) -> None:
    """Q1, Q2, Q4, 7.3.26: in matlab weights stay below 4 sqrt 2; in corrected every point counts as 1."""
    ds = _process(0.0, profile)
    weight = named(ds, "w").values
    if profile == "matlab":
        assert 1 < weight.max() <= 4 * np.sqrt(2)
    else:
        inside = (np.abs(ds["point_x"].values) <= 16) & (np.abs(ds["point_y"].values) <= 16)
        assert weight.sum() == pytest.approx(inside.sum(), rel=1e-12)


@pytest.mark.parametrize(("profile", "kept"), [("matlab", False), ("corrected", True)])
def test_q41_a_height_of_exactly_zero(profile: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q41: matlab takes a true height of 0 for an empty cell, corrected keeps it."""

    @dataclass
    class Grid:
        def finish(self) -> dict[str, Real]:
            return {"v": np.zeros((65, 65)), "w": np.ones((65, 65))}

        def add(self, *_: object) -> None:
            pass

    monkeypatch.setattr(bathy, "make_gridder", lambda *_: Grid())
    ds = _process(0.0, profile)
    assert np.isfinite(named(ds, "v").values).all() == kept


def test_undetected_samples_take_the_least_clutter() -> None:
    """4.7: what does not stand out takes the smallest percentile, what has no SNR the least value."""
    mean = np.full((40, 256), 1.0 + 1.0j)
    mean[10] *= 0.5
    mean[20, 5] = 100.0
    made = bathy_burst(mean, Calibration(np.ones(40), np.ones(256)), Noise(snr_thresh=20), Oscfar(), 20)
    assert made.detected.sum() == 1
    assert made.mean[20, 5] == 100
    assert made.mean[20, 6] == pytest.approx(np.sqrt(0.5))
    assert made.snr[20, 6] == pytest.approx(20 * np.log10(np.sqrt(2) / 0.197))
    assert made.strength[20, 6] == pytest.approx(0.5)
    assert made.strength[20, 5] == pytest.approx(1e4)


def test_the_first_of_equal_maxima_is_taken() -> None:
    """3.14: the maximum of a column is its first; NaN does not count, and a column of NaN gives 0."""
    values = np.array([[1.0, np.nan, np.nan], [3.0, np.nan, 2.0], [3.0, np.nan, 1.0]])
    np.testing.assert_array_equal(first_maximum(values), [1, 0, 1])


@dataclass
class _Watched(FakeSweep):
    """Counts how many pings are alive whenever the next is asked for."""

    alive: list[int] = field(default_factory=list)

    def pings(self, channels: int, wanted: Container[int] | None = None) -> Iterator[Ping]:
        refs: list[weakref.ref[Any]] = []
        for ping in super().pings(channels, wanted):
            assert ping.samples is not None
            refs.append(weakref.ref(ping.samples.values))
            yield ping
            del ping
            self.alive.append(sum(ref() is not None for ref in refs))


def test_pings_are_forgotten() -> None:
    """A burst of many pings takes no more memory than one of few: the ping before is gone with the next."""
    ping = transmission(120)
    rows = [Row(number, pitch=DOWN) for number in range(1, 13)]
    sweep = _Watched(table(rows), dict.fromkeys(range(1, 13), ping))
    bathy.process(cast(RawSweep, sweep), parameters("bathy", "matlab", grid=PLANE), Context())
    assert len(sweep.alive) == 12
    assert max(sweep.alive) <= 1
