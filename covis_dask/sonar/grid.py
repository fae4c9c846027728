"""Scattered samples on a regular grid (science.md 3.11)."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import DTypeLike

from covis_dask.sonar._gridder import GridAxes, Gridder, GridRequest
from covis_dask.sonar._last_sample import PerBurstGridder, PerRunGridder
from covis_dask.sonar._multilinear import MultilinearGridder

__all__ = ["GridAxes", "Gridder", "make_gridder"]

_SCHEMES: Mapping[str, type[PerRunGridder | PerBurstGridder | MultilinearGridder]] = {
    "ashes": PerRunGridder,
    "endeavour": PerBurstGridder,
    "corrected": MultilinearGridder,
}


def make_gridder(
    axes: GridAxes,
    names: Collection[str],
    scheme: str,
    unnormalised: Collection[str] = (),
    dtype: DTypeLike = np.float64,
    fractions: Collection[str] = (),
) -> Gridder:
    """Return a gridder for variables that share samples and weight (science.md 3.11).

    Parameters
    ----------
    axes : GridAxes
        The grid.
    names : collection of str
        Variables.
    scheme : {"ashes", "endeavour", "corrected"}
        The original's of 2018+ or of 2010-15, or multilinear weights (Q1 to Q4 mended).
    unnormalised : collection of str
        Variables that are not divided by the weight at the end (Q29).
    dtype : dtype
        Of the finished grids, float64 or float32 (complex ones likewise); all sums are float64.
    fractions : collection of str
        With ``corrected``: variables of which it also tells, as ``NAME_valid``, in which part of the samples
        (by weight) they were numbers.

    Raises
    ------
    ValueError
        No such scheme, or one that has no fractions.
    """
    if scheme not in _SCHEMES:
        raise ValueError(f"gridding scheme {scheme!r}: {', '.join(_SCHEMES)} are possible")
    if fractions and scheme != "corrected":
        raise ValueError(f"gridding scheme {scheme!r} does not tell which part of the samples was valid")
    return _SCHEMES[scheme](
        GridRequest(axes, tuple(names), frozenset(unnormalised), np.dtype(dtype), tuple(fractions))
    )
