"""Beamformer."""

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from covis_dask.sonar.beamform import ReceiverArray, Sector, beam_count, beamformer
from tests.unit._sonar_reference import FS, SOUND_SPEED, noise, plain_beams


def _wave(angle: float, freq: float, nelems: int) -> NDArray[np.complex128]:
    """One sample of a plane wave from an angle (rad)."""
    k = 2 * np.pi * freq / SOUND_SPEED
    positions = np.linspace(-0.204, 0.204, nelems)
    wave: NDArray[np.complex128] = np.exp(-1j * k * positions * np.sin(angle))[None, :]
    return wave


@pytest.mark.parametrize(("freq", "nelems", "sector"), [(396e3, 256, (-54, 54)), (200e3, 128, (-64, 64))])
def test_beams_folded_equal_plain(freq: float, nelems: int, sector: tuple[float, float]) -> None:
    """The mirrored form gives the sum over the elements, for more rows than one block holds."""
    x = noise(1, 300, nelems)
    beams = beamformer(freq, SOUND_SPEED, FS, ReceiverArray(nelems), Sector(*sector))
    want = plain_beams(x, freq, SOUND_SPEED, beams.angles)
    np.testing.assert_allclose(beams(x), want, rtol=0, atol=1e-12 * np.abs(want).max())
    np.testing.assert_allclose(x @ beams.steering, want, rtol=0, atol=1e-12 * np.abs(want).max())


def test_beams_of_a_lopsided_sector() -> None:
    """A sector that is not symmetric works too."""
    x = noise(2, 20, 256)
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-30, 54))
    want = plain_beams(x, 396e3, SOUND_SPEED, beams.angles)
    np.testing.assert_allclose(beams(x), want, rtol=0, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize("beam", [0, 100, 127, 128, 255])
def test_beams_focus_a_plane_wave(beam: int) -> None:
    """A wave from the angle of a beam is loudest there, with the sum of the weights, 137.78."""
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-54, 54))
    response = np.abs(beams(_wave(beams.angles[beam], 396e3, 256))[0])
    assert response.argmax() == beam
    assert response[beam] == pytest.approx(0.54 * 256 - 0.46, rel=1e-12)


def test_beam_width() -> None:
    """The half-power width near broadside is 0.7 degrees at 396 kHz."""
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-54, 54))
    off = np.radians(np.linspace(0, 1, 401)) + beams.angles[128]
    power = np.array([np.abs(beams(_wave(angle, 396e3, 256))[0, 128]) ** 2 for angle in off])
    half = off[np.argmax(power < power[0] / 2)] - beams.angles[128]
    assert 2 * np.degrees(half) == pytest.approx(0.7, abs=0.06)


def test_beam_angles() -> None:
    """No beam looks straight ahead: the two in the middle lie half a spacing to either side."""
    angles = np.degrees(beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-54, 54)).angles)
    assert angles[0] == pytest.approx(-54)
    assert angles[255] == pytest.approx(54)
    assert angles[128] == pytest.approx(0.42353 / 2, rel=1e-5)
    assert angles[127] == pytest.approx(-angles[128], rel=1e-10)


def test_beam_count() -> None:
    """128 beams at 200 kHz, 256 at 396 kHz, an error elsewhere."""
    assert beam_count(200e3) == 128
    assert beam_count(396e3) == 256
    for freq in (396000.5, 400e3):
        with pytest.raises(ValueError, match="no beams"):
            beam_count(freq)


@pytest.mark.parametrize("silent", [False, True])
def test_beams_q8_monitor_channel(silent: bool) -> None:
    """Q8: the monitor channel has weight 0.08 as in the original, and none when mended."""
    x = np.zeros((3, 256), np.complex128)
    x[:, -1] = 1 - 2j
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256, silent_monitor=silent), Sector(-54, 54))
    np.testing.assert_allclose(np.abs(beams(x)), 0 if silent else 0.08 * np.sqrt(5), rtol=1e-12, atol=1e-15)


def test_beams_q8_other_channels_keep_their_weight() -> None:
    """Q8: without the monitor, the beams are those of the other 255 channels."""
    x = noise(3, 10, 256)
    silent = x.copy()
    silent[:, -1] = 0
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256, silent_monitor=True), Sector(-54, 54))
    want = plain_beams(silent, 396e3, SOUND_SPEED, beams.angles)
    np.testing.assert_allclose(beams(x), want, rtol=0, atol=1e-12 * np.abs(want).max())
    np.testing.assert_allclose(x @ beams.steering, want, rtol=0, atol=1e-12 * np.abs(want).max())


def test_beams_refuse_other_channels() -> None:
    """Data of another array, or an odd number of channels, is an error."""
    with pytest.raises(ValueError, match="128 channels"):
        beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-54, 54))(noise(4, 5, 128))
    with pytest.raises(ValueError, match="even"):
        beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(255), Sector(-54, 54))


def test_beams_threads_change_no_bit() -> None:
    """One BLAS thread or two: the same bits."""
    x = noise(5, 700, 256)
    beams = beamformer(396e3, SOUND_SPEED, FS, ReceiverArray(256), Sector(-54, 54))
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(beams(x))
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("sector", [(-54.0, 54.0), (-54.0, 50.0)])
def test_beams_left_out_change_no_other(sector: tuple[float, float]) -> None:
    """Without the outermost beams the others are the same, in a symmetric and in a lopsided sector."""
    former = beamformer(396_000, 1470.0, FS, ReceiverArray(256), Sector(*sector))
    data = noise(3, 40, 256)
    narrow = former.narrowed(24)
    np.testing.assert_array_equal(narrow.angles, former.angles[24:-24])
    np.testing.assert_allclose(narrow(data), former(data)[:, 24:-24], rtol=0, atol=1e-12)
