"""The compiled ways give what the plain ones give."""

from functools import partial

import numpy as np
import pytest

from covis_dask.modes.ashes.bathy import bathy_burst, bathy_peaks
from covis_dask.modes.ashes.imaging import imaging_samples
from covis_dask.modes.parameters import Noise, Oscfar
from covis_dask.raw.record import Samples
from covis_dask.sonar._burst_kernels import first_peak_of_median
from covis_dask.sonar._types import Int, Real
from covis_dask.sonar.beamform import Beamformer, ReceiverArray, Sector, beamformer
from covis_dask.sonar.calibration import Calibration
from covis_dask.sonar.detect import percentile_hazen
from covis_dask.sonar.filter import Lowpass, make_filter
from covis_dask.sonar.fused import FusedBeamformer
from covis_dask.sonar.geometry import HeadAttitude, directions_ashes
from covis_dask.sonar.grid import GridAxes, make_gridder
from covis_dask.sonar.stats import PingStatistics, median_filter
from tests._stepwise import imaging_burst
from tests.unit._sonar_reference import FS, SCHEMES, SOUND_SPEED, TAU, FilterParameters, noise

_RANGES: Real = (np.arange(600) + 1) * np.float64(0.1)


def _beams(*, silent_monitor: bool = False, end: float = 54.0) -> Beamformer:
    return beamformer(
        396_000, SOUND_SPEED, FS, ReceiverArray(256, silent_monitor=silent_monitor), Sector(-54, end)
    )


def _recorded(nsamps: int = 500) -> Samples:
    values = np.random.default_rng(3).integers(-32000, 32000, (nsamps, 512)).astype(np.int16)
    return Samples(values, 1 / 16)


@pytest.mark.parametrize(
    ("lowpass", "silent", "end"),
    [
        (Lowpass(2, FS, TAU), False, 54.0),
        (Lowpass(4, FS, TAU), True, 54.0),
        (Lowpass(2, FS, TAU, zero_phase=False, decimation=4), False, 54.0),
        (Lowpass(2, FS, TAU, order=3), False, 54.0),
        (Lowpass(2, FS, TAU), False, 50.0),
        (make_filter(FilterParameters(status="off"), FS, TAU), False, 54.0),
    ],
)
def test_the_fused_beamformer_is_filter_and_beamformer(lowpass: Lowpass, silent: bool, end: float) -> None:
    """One go gives the same beams as step by step, whatever the filter and the span of the beams."""
    samples, phase = _recorded(), 0.7
    beams = _beams(silent_monitor=silent, end=end)
    plain = beams(lowpass(samples.decode() * np.exp(-1j * phase)))
    fused = FusedBeamformer(lowpass, beams)
    for given in (samples, Samples.of(samples.decode())):
        found = fused(given.values, given.scale, phase)
        np.testing.assert_allclose(found, plain, rtol=0, atol=1e-11 * np.abs(plain).max())


def test_rows_left_out_change_nothing() -> None:
    """The first rows come out the same when the filter never sees what lies far behind them."""
    samples, fused = _recorded(1500), FusedBeamformer(Lowpass(2, FS, TAU), _beams())
    whole = fused(samples.values, samples.scale, 0.2)
    first = fused(samples.values, samples.scale, 0.2, 400)
    assert first.shape == (400, 256)
    np.testing.assert_allclose(first, whole[:400], rtol=0, atol=1e-14 * np.abs(whole).max())


@pytest.mark.parametrize("start", [0, 150, 400])
@pytest.mark.parametrize("status", ["on", "off"])
def test_blocks_begin_where_asked(start: int, status: str) -> None:
    """Blocks that begin later hold the same rows, and there are none where nothing is wanted."""
    samples, fused = (
        _recorded(700),
        FusedBeamformer(make_filter(FilterParameters(status=status), FS, TAU), _beams()),
    )
    whole = fused(samples.values, samples.scale, 0.2, 400)
    found = np.empty((400, 256), np.complex128)
    for rows, beams in fused.blocks(samples.values, samples.scale, 0.2, 400, start):
        found[rows] = beams
    np.testing.assert_allclose(found[start:], whole[start:], rtol=0, atol=1e-14 * np.abs(whole).max())
    assert not list(fused.blocks(samples.values, samples.scale, 0.2, 0))


@pytest.mark.parametrize("seed", range(6))
def test_first_peaks_are_the_medians(seed: int) -> None:
    """Short columns, odd windows, plateaus, equal peaks: the first maximum of the median filter."""
    rng = np.random.default_rng(seed)
    for nsamps, size in ((1, 20), (15, 20), (16, 5), (17, 2), (33, 1), (200, 20), (201, 7)):
        values = rng.integers(0, 4, (nsamps, 11)) * rng.choice([-1.0, 0.0, 1.0, 1e6], (nsamps, 11))
        peaks = np.zeros(11, np.int64)
        first_peak_of_median(values, size, peaks)
        np.testing.assert_array_equal(peaks, np.argmax(median_filter(values, size), axis=0))


def test_single_precision_is_near() -> None:
    """Beams in float32 differ by a millionth of the largest."""
    samples, lowpass, beams = _recorded(), Lowpass(2, FS, TAU), _beams()
    double = FusedBeamformer(lowpass, beams)(samples.values, samples.scale, 0.7)
    single = FusedBeamformer(lowpass, beams, "float32")(samples.values, samples.scale, 0.7)
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-6 * np.abs(double).max())


@pytest.mark.parametrize("q", [0.0, 12.5, 65.0, 100.0])
def test_percentiles_are_numpys(q: float) -> None:
    """A percentile is NumPy's Hazen percentile, also among negative and equal numbers, in place or not."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 37)) * 10.0 ** rng.integers(-12, 12, (40, 1))
    values[3], values[4, ::2] = 1.0, -0.0
    wanted = np.percentile(values, q, axis=1, method="hazen")
    np.testing.assert_allclose(percentile_hazen(values, q), wanted, rtol=1e-12)
    np.testing.assert_allclose(percentile_hazen(values, q, overwrite_input=True), wanted, rtol=1e-12)


def _statistics(seed: int = 0) -> PingStatistics:
    pings = PingStatistics()
    level = 10 ** np.random.default_rng(seed).uniform(-1, 4, (600, 256))
    for number in range(4):
        pings.add(level * (noise(100, 600, 256) + 0.2 * noise(number, 600, 256)))
    return pings


def test_imaging_looks_at_few_samples() -> None:
    """Samples reduced one by one have the values of the whole burst; a masked one need not be detected."""
    pings, calibration = _statistics(), Calibration(np.linspace(0.1, 3, 600), np.linspace(1, 2, 256))
    whole = imaging_burst(pings, calibration, Noise(), Oscfar())
    places = np.random.default_rng(2).integers(0, 600 * 256, 5000)
    some = imaging_samples(pings, calibration.gain, Noise(), Oscfar(), places)
    wanted, found = whole.intensities.masked(50.0, 1e-9, 1e-9), some.intensities.masked(50.0, 1e-9, 1e-9)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values.reshape(-1)[places])
    np.testing.assert_array_equal(some.Kp, whole.Kp.reshape(-1)[places])
    assert (found["Ia_filt"] > 1e-9).any()


@pytest.mark.parametrize("window", [20, 5])
def test_bathymetry_finds_the_peaks(window: int) -> None:
    """The short way to the strongest echo of each beam ends where median filter and maximum do."""
    mean = _statistics().mean
    calibration = Calibration(np.linspace(0.1, 3, 600), np.linspace(1, 2, 256))
    settings = (Noise(snr_thresh=30.0), Oscfar(threshold=3.0), window)
    wanted = bathy_burst(mean, calibration, *settings).peak
    found = bathy_peaks(mean, calibration, *settings, np.empty(mean.shape))
    np.testing.assert_array_equal(found, wanted)


def _picked(values: Real, places: Int) -> dict[str, Real]:
    return {"v": values.reshape(-1)[places]}


@pytest.mark.parametrize("scheme", ["ashes", "mended"])
@pytest.mark.parametrize("roll", [0.0, 0.03])
@pytest.mark.parametrize("part", [None, 0.5])
def test_a_fan_is_gridded_like_its_samples(scheme: str, roll: float, part: float | None) -> None:
    """Jumping from cell to cell along the beams gives the grid of all samples, also of level beams."""
    axes = GridAxes.from_bounds((-40, 20, 0.5), (-40, 20, 0.5), (0, 20, 0.6))
    angles, rng = np.linspace(-0.9, 0.9, 64), np.random.default_rng(5)
    jumping, plain = (make_gridder(axes, ["v"], SCHEMES[scheme]) for _ in range(2))
    for pitch in (0.0, 0.2, 0.25):
        directions = directions_ashes(angles, HeadAttitude(0.0, roll, pitch, 344.0, 16.0))
        values = rng.normal(size=(600, 64))
        select = rng.random((600, 64)) < part if part else np.ones((600, 64), np.bool_)
        plain.add(directions.at(_RANGES), {"v": values}, select)
        jumping.add_beams(directions, _RANGES, partial(_picked, values), select if part else None)
    wanted, found = plain.finish(), jumping.finish()
    for name in ("v", "w"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pitch", [-0.3, 0.2, 1.0])
def test_nothing_in_the_box_lies_beyond_the_reach(pitch: float) -> None:
    """Rows are left out only where no sample can be in the grid, also when the head turns a little."""
    lower, upper = (-40.0, -40.0, 0.0), (20.0, 20.0, 20.0)
    angles = np.linspace(-0.9, 0.9, 64)
    ranges: Real = np.arange(1, 800) * np.float64(0.2)
    directions = directions_ashes(angles, HeadAttitude(0.1, 0.02, pitch, 279.0, 16.0))
    furthest = directions.max_range(lower, upper, slack=0.02)
    for turn in (-0.01, 0.0, 0.01):
        places = directions_ashes(
            angles, HeadAttitude(0.1, 0.02 + turn / 2, pitch + turn / 2, 279.0, 16.0)
        ).at(ranges)
        inside = np.logical_and.reduce(
            [(p >= low) & (p <= high) for p, low, high in zip(places, lower, upper, strict=True)]
        )
        assert ranges[inside.any(axis=1)].max() <= furthest
    assert directions.max_range(lower, upper, slack=4.0) == np.inf


@pytest.mark.parametrize("slack", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("wall", [20.0, -20.0])
def test_the_range_of_beams_that_may_be_turned(slack: float, wall: float) -> None:
    """A beam that is turned towards the level leaves the box later: by so much, and not by more."""
    steep = np.copysign(0.2, wall)
    beam = directions_ashes(np.zeros(1), HeadAttitude(0.0, 0.0, steep, 279.0, 16.0))
    lower, upper = (-1e6, -1e6, min(wall, 0.0)), (1e6, 1e6, max(wall, 0.0))
    turned = abs((wall - 4.2) / np.sin(abs(steep) - slack))
    furthest = beam.max_range(lower, upper, slack)
    assert turned <= furthest * (1 + 1e-9)
    assert furthest == pytest.approx(abs((wall - 4.2) / (np.sin(0.2) - slack)), rel=1e-9)
