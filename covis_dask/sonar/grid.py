"""Scattered samples on a regular grid (docs/method.md#gridding)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from covis_dask.sonar._gridder import GridAxes, Gridder, GridRequest, GridScheme
from covis_dask.sonar._last_sample import PerBurstGridder, PerRunGridder
from covis_dask.sonar._multilinear import MultilinearGridder
from covis_dask.sonar._passes import EverySampleGridder

__all__ = ["GridAxes", "GridScheme", "Gridder", "OwnSamples", "make_gridder"]


@dataclass(frozen=True, slots=True)
class OwnSamples:
    """Variables that are averaged over the samples in which they are numbers.

    NaN in one of the others makes NaN of the nodes that the sample reaches.

    Parameters
    ----------
    names : collection of str
    fractions : collection of str
        Those of `names` of which it is also told, as ``NAME_valid``, in which part of the samples (by weight)
        they were numbers.

    Raises
    ------
    ValueError
        Fractions are asked for of a variable that is not averaged over its own samples.
    """

    names: Collection[str] = ()
    fractions: Collection[str] = ()

    def __post_init__(self) -> None:
        if strangers := set(self.fractions) - set(self.names):
            raise ValueError(f"fractions of {sorted(strangers)}, whose samples are not told apart")


_NONE_OWN = OwnSamples()


def make_gridder(
    axes: GridAxes,
    names: Collection[str],
    scheme: GridScheme,
    *,
    unnormalised: Collection[str] = (),
    dtype: DTypeLike = np.float64,
    own: OwnSamples = _NONE_OWN,
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
    own : OwnSamples
        Variables whose gaps spoil none of the others.
    """
    request = GridRequest(
        axes,
        scheme,
        tuple(names),
        frozenset(unnormalised),
        np.dtype(dtype),
        frozenset(own.names),
        tuple(own.fractions),
    )
    if scheme.is_multilinear(axes):
        return MultilinearGridder(request)
    if scheme.every_sample:
        return EverySampleGridder(request)
    return PerBurstGridder(request) if scheme.flattened else PerRunGridder(request)
