"""Range axis."""

import numpy as np
import pytest

from covis_dask.sonar.ranges import range_axis
from tests.unit._sonar_reference import FS, SOUND_SPEED


def test_ranges_of_a_real_product() -> None:
    """First and last range of an Ashes run of 3523 samples, to the last bit."""
    ranges = range_axis(3523, SOUND_SPEED, FS, from_zero=False)
    assert ranges[0] == 0.021524917268573952
    assert ranges[3522] == 75.83228353718603


@pytest.mark.parametrize("from_zero", [False, True])
def test_ranges_q10_first_sample(from_zero: bool) -> None:
    """Q10: sample s lies at (s + 1) c / (2 fs) as in the original, at s c / (2 fs) when mended."""
    step = SOUND_SPEED / (2 * FS)
    ranges = range_axis(10, SOUND_SPEED, FS, from_zero=from_zero)
    np.testing.assert_allclose(ranges, (np.arange(10) + (not from_zero)) * step, rtol=1e-14)


@pytest.mark.parametrize("from_zero", [False, True])
def test_ranges_q10_decimated(from_zero: bool) -> None:
    """Q10: after decimation by 4 the first sample lies at 4 steps as in the original, at 0 when mended."""
    step = SOUND_SPEED / (2 * FS)
    ranges = range_axis(10, SOUND_SPEED, FS, decimation=4, from_zero=from_zero)
    np.testing.assert_allclose(ranges, (4 * np.arange(10) + (0 if from_zero else 4)) * step, rtol=1e-14)


def test_ranges_q10_first_samp() -> None:
    """Q10: a first stored sample other than 0 shifts the mended axis; the original has no axis for it."""
    step = SOUND_SPEED / (2 * FS)
    ranges = range_axis(5, SOUND_SPEED, FS, decimation=4, first_samp=7, from_zero=True)
    np.testing.assert_allclose(ranges, (4 * np.arange(5) + 7) * step, rtol=1e-14)
    with pytest.raises(ValueError, match="first stored sample is 7"):
        range_axis(5, SOUND_SPEED, FS, from_zero=False, first_samp=7)
