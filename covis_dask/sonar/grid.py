"""Scattered samples on a regular grid (docs/method.md#gridding)."""

from collections.abc import Collection

import numpy as np
from numpy.typing import DTypeLike

from covis_dask.sonar._gridder import GridAxes, Gridder, GridRequest, GridScheme
from covis_dask.sonar._last_sample import PerBurstGridder, PerRunGridder
from covis_dask.sonar._multilinear import MultilinearGridder
from covis_dask.sonar._passes import EverySampleGridder

__all__ = ["GridAxes", "GridScheme", "Gridder", "make_gridder"]


def make_gridder(
    axes: GridAxes,
    names: Collection[str],
    scheme: GridScheme,
    *,
    unnormalised: Collection[str] = (),
    dtype: DTypeLike = np.float64,
    own: Collection[str] = (),
    fractions: Collection[str] = (),
) -> Gridder:
    """Return a gridder for variables that share samples and weight (docs/method.md#gridding).

    Parameters
    ----------
    axes : GridAxes
        The grid.
    names : collection of str
        Variables.
    scheme : GridScheme
        How samples are spread over the nodes.
    unnormalised : collection of str
        Variables that are not divided by the weight at the end (Q29).
    dtype : dtype
        Of the finished grids, float64 or float32 (complex ones likewise); all sums are float64.
    own : collection of str
        Variables that are averaged over the samples in which they are numbers; NaN in one of the others makes
        NaN of the nodes that the sample reaches.
    fractions : collection of str
        Those of `own` of which it also tells, as ``NAME_valid``, in which part of the samples (by weight)
        they were numbers.

    Raises
    ------
    ValueError
        Fractions are asked for of a variable that is not averaged over its own samples.
    """
    if not set(fractions) <= set(own):
        raise ValueError(
            f"fractions of {sorted(set(fractions) - set(own))}, whose samples are not told apart"
        )
    request = GridRequest(
        axes,
        scheme,
        tuple(names),
        frozenset(unnormalised),
        np.dtype(dtype),
        frozenset(own),
        tuple(fractions),
    )
    if scheme.is_multilinear(axes):
        return MultilinearGridder(request)
    if scheme.every_sample:
        return EverySampleGridder(request)
    return PerBurstGridder(request) if scheme.flattened else PerRunGridder(request)
