"""Slant range of each sample (docs/method.md#slant-range, Q10)."""

import numpy as np

from covis_dask.sonar._types import Real

__all__ = ["range_axis"]


def range_axis(
    nsamps: int,
    c: float,
    fs: float,
    *,
    from_zero: bool,
    decimation: int = 1,
    first_samp: int = 0,
) -> Real:
    """Return the slant ranges [nsamps] of stored samples, m.

    Parameters
    ----------
    nsamps : int
        Samples, after decimation.
    c : float
        Sound speed, m/s.
    fs : float
        Sample rate as recorded, before decimation, Hz.
    from_zero : bool
        Sample s lies at ``(s * decimation + first_samp) * c / (2 fs)``. Otherwise, as in the originals, the
        first sample lies at one (decimated) sample distance.
    decimation : int
        Only every so many-th sample was kept.
    first_samp : int
        Number of the first stored sample. The programs of 2018+ never look at it: leave it out there.

    Raises
    ------
    ValueError
        `first_samp` is not 0 in the originals' form: the original ends up with too few ranges and fails.
    """
    if from_zero:
        return np.arange(first_samp, first_samp + nsamps * decimation, decimation) * np.float64(c / (2 * fs))
    if first_samp:
        raise ValueError(f"the first stored sample is {first_samp}: the original has no range axis for this")
    return np.arange(1, nsamps + 1) * np.float64(c / (2 * (fs / decimation)))
