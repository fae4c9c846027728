"""Phase correction and clock offset."""

import numpy as np
import pytest

from covis_dask.sonar.phase import correct_phase, monitor_samples, offset_covariance, phase_offset
from tests.unit._sonar_reference import FS, TAU, noise


def test_phase_removed() -> None:
    """A ping turned by 0.3 rad comes back."""
    ref = noise(1, 100, 8)
    turned = ref * np.exp(0.3j)
    assert phase_offset(turned, ref, 7, 52) == pytest.approx(0.3, rel=1e-12)
    np.testing.assert_allclose(correct_phase(turned, ref, 7, 52), ref, rtol=1e-12)


def test_phase_of_reference_is_nothing() -> None:
    """The reference ping is not turned."""
    ref = noise(2, 100, 8)
    np.testing.assert_allclose(correct_phase(ref, ref, -1, 52), ref, rtol=1e-15)


def test_phase_looks_at_channel_and_transmission_only() -> None:
    """What the other channels and the later samples hold does not matter."""
    ref, x = noise(3, 100, 8), noise(4, 100, 8)
    other = x.copy()
    other[52:] = 0
    other[:, :3] = 0
    assert phase_offset(other, ref, 3, 52) == phase_offset(x, ref, 3, 52)
    expected = np.angle(np.sum(x[:52, 3] * np.conj(ref[:52, 3])))
    assert phase_offset(x, ref, 3, 52) == pytest.approx(expected, rel=1e-12)


def test_phase_leaves_its_input_alone() -> None:
    """Correction makes a new array."""
    x = noise(5, 60, 4)
    before = x.copy()
    correct_phase(x, noise(6, 60, 4), 3, 52)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("short", ["ping", "reference"])
def test_phase_of_short_ping_is_refused(short: str) -> None:
    """A ping shorter than the transmission is an error, as in the original."""
    x, ref = noise(7, 51 if short == "ping" else 90, 4), noise(8, 51 if short == "reference" else 90, 4)
    with pytest.raises(ValueError, match="52 samples"):
        correct_phase(x, ref, 3, 52)


def test_phase_of_a_ping_as_long_as_the_transmission() -> None:
    """A ping that lasts exactly as long as the transmission is long enough."""
    ref = noise(7, 52, 4)
    assert phase_offset(ref * np.exp(0.3j), ref, 3, 52) == pytest.approx(0.3, rel=1e-12)


def test_phase_channel_is_that_of_the_reference() -> None:
    """The last channel is counted in the reference ping; a ping without that channel is an error."""
    with pytest.raises(ValueError, match="channel 7"):
        phase_offset(noise(9, 60, 4), noise(10, 60, 8), -1, 52)


@pytest.mark.parametrize(("pulses", "samples"), [(3, 52), (5, 86)])
def test_monitor_samples(pulses: int, samples: int) -> None:
    """3 and 5 pulse lengths of 0.5 ms last 52 and 86 samples."""
    assert monitor_samples(pulses, FS, TAU) == samples


def test_offset_covariance() -> None:
    """A monitored tone that turns backwards by 0.01 rad a sample gives a phase of +0.08 at lag 8."""
    tone = np.exp(-0.01j * np.arange(60))[:, None] * np.ones(3)
    covariance = offset_covariance(tone, -1, 52, 8)
    assert np.angle(covariance) == pytest.approx(0.08, rel=1e-12)
    assert abs(covariance) == pytest.approx(44, rel=1e-12)
