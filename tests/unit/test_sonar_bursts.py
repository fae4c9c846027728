"""Burst grouping."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from covis_dask.sonar.bursts import Burst, bursts_ashes, bursts_endeavour

_PITCH = np.array([1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 3.0])  # a a b b a a c


def _rows(bursts: list[Burst]) -> list[list[int]]:
    return [burst.rows.tolist() for burst in bursts]


def test_bursts_q5_original() -> None:
    """Q5: pings that return to an old pitch join the open burst."""
    assert _rows(bursts_ashes(_PITCH, _PITCH, consecutive=False, tolerance=0)) == [[0, 1], [2, 3, 4, 5], [6]]


def test_bursts_q5_mended() -> None:
    """Q5: mended, a burst is a series of equal readings."""
    assert _rows(bursts_ashes(_PITCH, _PITCH, consecutive=True, tolerance=0)) == [[0, 1], [2, 3], [4, 5], [6]]


def test_bursts_q5_tolerance() -> None:
    """Q5: mended, a wobble within the tolerance opens no new burst, but a slow drift does in the end."""
    pitch = np.array([10.0, 10.1, 10.0, 10.1, 10.2, 10.3])
    assert len(bursts_ashes(pitch, pitch, consecutive=True, tolerance=0)) == 6
    assert _rows(bursts_ashes(pitch, pitch, consecutive=True, tolerance=0.11)) == [[0, 1, 2, 3], [4, 5]]
    assert _rows(bursts_ashes(pitch, pitch, consecutive=False, tolerance=0.11)) == [[0], [1, 2, 3], [4], [5]]


def test_bursts_pitch_is_the_sensor_pitch_of_the_first() -> None:
    """A burst knows the sensor pitch of its first ping."""
    sensor = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    bursts = bursts_ashes(_PITCH, sensor, consecutive=False, tolerance=0)
    assert [burst.pitch for burst in bursts] == [0.1, 0.3, 0.7]
    assert [len(burst) for burst in bursts] == [2, 4, 1]


def test_bursts_q6_original() -> None:
    """Q6: the last burst of a 2010-15 run is lost; a run of one pitch has none at all."""
    assert _rows(bursts_endeavour(_PITCH, last=False, tolerance=0)) == [[0, 1], [2, 3], [4, 5]]
    assert bursts_endeavour(np.array([5.0, 5.0, 5.0]), last=False, tolerance=0) == []


def test_bursts_q6_mended() -> None:
    """Q6: mended, the last burst is kept."""
    assert _rows(bursts_endeavour(_PITCH, last=True, tolerance=0)) == [[0, 1], [2, 3], [4, 5], [6]]
    assert [burst.pitch for burst in bursts_endeavour(_PITCH, last=True, tolerance=0)] == [1, 2, 1, 3]


def test_bursts_q56_tolerance() -> None:
    """Q56: a jitter of 0.1 degrees splits bursts in the original; mended, a tolerance joins them."""
    pitch = np.array([20.0, 20.1, 20.0, 25.0, 25.0])
    assert _rows(bursts_endeavour(pitch, last=True, tolerance=0)) == [[0], [1], [2], [3, 4]]
    assert _rows(bursts_endeavour(pitch, last=True, tolerance=0.15)) == [[0, 1, 2], [3, 4]]


def test_bursts_of_nothing() -> None:
    """A run without pings has no bursts."""
    empty = np.array([])
    for mended in (False, True):
        assert bursts_ashes(empty, empty, consecutive=mended, tolerance=0) == []
        assert bursts_endeavour(empty, last=mended, tolerance=0) == []


def test_bursts_with_unread_pitch() -> None:
    """Readings that are no numbers equal nothing, themselves included."""
    pitch = np.array([1.0, np.nan, np.nan, 1.0])
    assert _rows(bursts_ashes(pitch, pitch, consecutive=False, tolerance=0)) == [[0], [1], [2, 3]]
    assert _rows(bursts_ashes(pitch, pitch, consecutive=True, tolerance=0)) == [[0], [1], [2], [3]]


@pytest.mark.parametrize(("name", "npings", "nbursts"), [("2018", 232, 114), ("2019b", 365, 72)])
def test_bursts_of_real_products(shared: Path, name: str, npings: int, nbursts: int) -> None:
    """The bursts of real processed runs follow from their ping tables (one of ten pings in 2019b)."""
    covis = loadmat(shared / "inputs" / f"covis_bathy_{name}.mat", squeeze_me=True, struct_as_record=False)[
        "covis"
    ]
    assert len(covis.ping) == npings
    rotator = np.array([ping.rot_pitch for ping in covis.ping], dtype=float)
    sensor = np.array([ping.sen_pitch for ping in covis.ping], dtype=float)
    numbers = np.array([ping.num for ping in covis.ping])
    bursts = bursts_ashes(rotator, sensor, consecutive=False, tolerance=0)
    assert len(bursts) == len(covis.burst) == nbursts
    for burst, want in zip(bursts, covis.burst, strict=True):
        assert burst.pitch == want.pitch
        assert numbers[burst.rows].tolist() == np.atleast_1d(want.ping).tolist()
    assert max(len(burst) for burst in bursts) == (10 if name == "2019b" else max(len(b) for b in bursts))
